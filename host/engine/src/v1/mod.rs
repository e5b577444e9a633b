//! Version 1 of the contract, `weir:filter@1`, with the text in `wit/v1/`, and what later versions share with it: how
//! batches are encoded, verdicts applied and components called. Additions of version 2 are in [`crate::v2`].
//!
//! | file | what it does |
//! |---|---|
//! | `types` | the records and variants of the WIT as Rust types |
//! | `host` | the functions that a filter may call |
//! | `exports` | finds a component's exports, and calls them |
//! | `packed` | batches as bytes: applies verdicts |
//! | `typed` | batches as lists: applies verdicts |
//! | `reads` | which parts of a record a typed filter is shown |
//! | `build` | builds records from what typed filters return |

mod build;
mod exports;
mod host;
mod packed;
mod reads;
mod typed;
mod types;

pub(crate) use exports::{Contract, Encoding, Exports};
pub(crate) use host::link;

/// The text of the contract.
pub(crate) const WIT: &str = include_str!("../../../../wit/v1/filter.wit");
/// Names of interfaces with their version, as in imports and exports.
pub(crate) const HOST: &str = "weir:filter/host@1.0.0";
pub(crate) const LIFECYCLE: &str = "weir:filter/lifecycle@1.0.0";
pub(crate) const TYPED: &str = "weir:filter/typed@1.0.0";
pub(crate) const PACKED: &str = "weir:filter/packed@1.0.0";
pub(crate) const TYPED_STATE: &str = "weir:filter/typed-state@1.0.0";
pub(crate) const PACKED_STATE: &str = "weir:filter/packed-state@1.0.0";
