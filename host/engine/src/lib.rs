//! The engine: runs filters, which are WebAssembly, over batches of records.
//!
//! A module becomes a [`Filter`] with [`Engine::load`]; filters in order are a [`Chain`]; each pipeline thread has a
//! [`Worker`] that runs batches through the chain. What the engine promises: whatever a filter does, it takes bounded
//! time and memory, it sees nothing but the records and what `weir:filter/host` offers, and records that it can't
//! process don't take others with them.
//!
//! | file | what it does |
//! |---|---|
//! | `engine` | the runtime's configuration, and what all filters share |
//! | `ticker` | the clock behind deadlines |
//! | `module` | the compiler's output to a component; refuses what is none |
//! | `structure`, `compiler` | what a module may be made of; compiling within bounds |
//! | `adapt` | names and guards that compilers can't be told to write |
//! | `mend` | what is known to be wrong in a language's runtime, put right |
//! | `wasi` | the empty WASI that guests built for it get |
//! | `filter` | a loaded filter: describes, configures, hands over state |
//! | `check` | tries a new version on recent records, beside the running one |
//! | `instance` | one running instance of a filter, and the seat that holds it |
//! | `guest` | a store and its bounds; a failed call in words |
//! | `v1`, `v2` | the contract, version 1 and what version 2 adds to it |
//! | `worker` | batches through the chain |
//! | `search` | calls a filter, and finds the records it fails on |
//! | `budget` | what a batch may take on its way: time, and what is added to it |
//! | `rewrite` | a batch on its way through a filter |
//! | `holds`, `replay` | records that filters hold back; giving them to a new instance again |
//! | `paths`, `rights`, `boundary` | what a filter may see and change, and that it keeps to it |
//! | `tap` | copies of a filter's batches, for a version in its shadow |
//! | `health` | failing and suspended filters |
//! | `saving`, `credit` | when a filter's state is saved; how much it may emit at its ticks |
//! | `trial` | one instance alone and watched, for tests of filters |
//! | `shared`, `kv` | what the instances of a filter have in common |
//! | `metrics`, `usage` | each filter's numbers; its memory and time |
//!
//! Invariants: no record is lost without an entry in [`Outcome::failed`] or a verdict that drops it; the records that
//! come out are canonical; an instance that failed in any way but by its own refusal is never called again. What a filter
//! held and did not release is held by the next instance, whatever became of the one before.
#![deny(unsafe_code, missing_docs)]

mod adapt;
mod boundary;
mod budget;
mod check;
mod compiler;
mod credit;
mod engine;
mod error;
mod filter;
mod guest;
mod health;
mod holds;
mod instance;
mod kv;
mod limits;
mod mend;
mod metrics;
mod module;
mod paths;
mod replay;
mod rewrite;
mod rights;
mod saving;
mod search;
mod shared;
mod structure;
mod tap;
mod ticker;
mod trial;
mod usage;
mod v1;
mod v2;
mod wasi;
mod worker;
mod world;

pub use check::Checked;
pub use compiler::{CompileBounds, Compiler, compile_bounds, compile_into};
pub use engine::{Engine, EngineOptions};
pub use error::{EngineError, FailureKind, LoadError, Problem};
pub use filter::{Filter, FilterSpec, OnError};
pub use health::Health;
pub use holds::{HeldRecord, Holding};
pub use metrics::describe_metrics;
pub use module::component_bytes;
pub use module::digest;
pub use rights::{Right, Rights};
pub use tap::Listening;
pub use trial::{CallFailure, Clock, Compiled, Made, PASS_THROUGH, Trial};
pub use usage::Taken;
pub use v1::Description;
pub use worker::{Action, Chain, Failed, Outcome, Worker};
pub use world::World;

#[cfg(test)]
mod tests;
