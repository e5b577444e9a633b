//! Version 2 of the contract, `weir:filter@2`, with the text in `wit/v2/`: adds the world of filters that hold records.
//! What it shares with version 1 (encoding of batches, most verdicts, host functions) is in [`crate::v1`].

mod holding;

pub(crate) use holding::{Process, Tick, call, tick};

/// The text of the contract.
pub(crate) const WIT: &str = include_str!("../../../../wit/v2/filter.wit");
pub(crate) const HOST: &str = "weir:filter/host@2.0.0";
pub(crate) const LIFECYCLE: &str = "weir:filter/lifecycle@2.0.0";
pub(crate) const HOLDING: &str = "weir:filter/holding@2.0.0";
