//! Write filters for Weir in Rust.
//!
//! Implement [`Filter`], export it, build a `cdylib` for
//! `wasm32-unknown-unknown`, and put the `.wasm` into the filters folder.
//!
//! ```
//! use weir_guest::{Description, Edit, Filter, Record, Verdict};
//!
//! #[derive(Default, serde::Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! pub struct Options {
//!     shout: bool,
//! }
//!
//! pub struct Greeter {
//!     options: Options,
//! }
//!
//! impl Filter for Greeter {
//!     type Options = Options;
//!
//!     fn describe() -> Description {
//!         Description {
//!             name: "greeter",
//!             version: "1.0.0",
//!             description: "greets the user of a record",
//!             ..Description::default()
//!         }
//!     }
//!
//!     fn new(options: Options) -> Result<Self, String> {
//!         Ok(Greeter { options })
//!     }
//!
//!     fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
//!         let Some(name) = record.get("context.user").and_then(|user| user.as_str()) else {
//!             return Verdict::Drop;
//!         };
//!         let mark = if self.options.shout { "!" } else { "" };
//!         edit.set("context.greeting", format!("hello {name}{mark}"));
//!         Verdict::Keep
//!     }
//! }
//!
//! weir_guest::export!(Greeter);
//!
//! // The same filter, tested natively:
//! use weir_guest::testing::{Bench, json};
//! let mut bench = Bench::<Greeter>::new(json!({ "shout": true })).unwrap();
//! let outcome = bench.run_one(json!({ "context": { "user": "Ada" } }));
//! assert_eq!(outcome.record()["context"]["greeting"], "hello Ada!");
//! ```
//!
//! A filter that keeps state also implements [`StatefulFilter`] and is exported with
//! `weir_guest::export!(stateful MyFilter)`. A filter that must see more *records*
//! before it can let one go on is a [`HoldingFilter`], exported with
//! `weir_guest::export!(holding MyFilter)`; the records that it holds survive a crash.
//! The functions in [`host`] are all that a filter may call.
//!
//! | module | purpose |
//! |---|---|
//! | [`value`] | reading MessagePack in place |
//! | [`record`](Record) | the view of one record, and paths into it |
//! | [`edit`](Edit) | changes to a record, written as a merge patch |
//! | [`encode`] | writing MessagePack |
//! | [`holding`](HoldingFilter) | filters that hold records |
//! | [`output`](Output) | the verdicts about a batch |
//! | [`host`] | log, counters, time and the key-value store |
//! | [`OptionError`] | an option that can't be used |
//! | [`OptionErrors`] | collects all mistakes in options, to report them at once |
//! | [`hash`] | a hash that is the same everywhere |
//! | [`state`] | reading the state that another version saved |
//! | [`time`] | formatting times |
//! | [`testing`] | running a filter natively |

// The generated bindings name this crate as filters do.
extern crate self as weir_guest;

#[doc(hidden)]
pub mod bindings;
mod edit;
pub mod encode;
#[cfg(not(target_arch = "wasm32"))]
mod fake;
mod filter;
#[doc(hidden)]
pub mod guest;
pub mod hash;
mod holding;
pub mod host;
mod level;
mod new_record;
#[doc(hidden)]
pub mod options;
mod output;
mod record;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod time;
pub mod value;

pub use edit::Edit;
pub use encode::{Encode, Encoded};
pub use filter::{BatchFilter, Description, Filter, StatefulFilter, Verdict};
pub use holding::{Emitter, HoldingFilter, HoldingVerdict};
pub use level::{Level, LevelOrOff};
pub use new_record::NewRecord;
pub use options::{OptionError, OptionErrors};
pub use output::Output;
pub use record::{Path, Record};
pub use value::{Array, Map, Value};

#[doc(hidden)]
pub use wit_bindgen;

/// Exports a filter from a WebAssembly module: `export!(MyFilter)`,
/// `export!(stateful MyFilter)` for a [`StatefulFilter`], or
/// `export!(holding MyFilter)` for a [`HoldingFilter`]. Does nothing natively.
#[macro_export]
macro_rules! export {
    (stateful $filter:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Guest = $crate::guest::Stateful<$filter>;
    $crate::bindings::packed::export_packed!(Guest with_types_in $crate::bindings::packed);
    $crate::bindings::state::export_state!(Guest with_types_in $crate::bindings::state);
        };
    };
    (holding $filter:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Guest = $crate::guest::Holding<$filter>;
    $crate::bindings::holding::export_holding!(Guest with_types_in $crate::bindings::holding);
        };
    };
    ($filter:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Guest = $crate::guest::Stateless<$filter>;
    $crate::bindings::packed::export_packed!(Guest with_types_in $crate::bindings::packed);
        };
    };
}
