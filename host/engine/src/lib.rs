//! The engine: runs filters, which are WebAssembly, over batches of records.
//!
//! A module becomes a [`Filter`] with [`Engine::load`]; filters in order are a [`Chain`]; each pipeline thread has a
//! [`Worker`] that runs batches through the chain. The engine guarantees that a filter uses bounded time and memory, that
//! it has access to nothing but the records and `weir:filter/host`, and that a record it fails on does not make others
//! fail.
//!
//! The files, in layers. Each file imports only files above it; a test enforces this.
//!
//! | layer | file | what it does |
//! |---|---|---|
//! | base | `limits`, `error` | every bound of the engine; everything that can go wrong |
//! | | `lock`, `ticker`, `kv` | locking; the clock behind deadlines; a filter's key-value store |
//! | | `spec`, `description`, `world` | a filter's configuration; what it says of itself; what it exports |
//! | | `paths`, `metrics`, `usage` | sets of paths; each filter's numbers; its memory and time |
//! | records | `holds`, `budget` | records that filters hold back; the time a batch may take and what may be added to it |
//! | | `rewrite`, `pieces` | a batch on its way through a filter; a batch in parts, one for each call |
//! | | `boundary`, `rights` | comparing records with what a filter may see and change; what that is |
//! | | `credit`, `recorder`, `context` | what a filter may emit at its ticks; its log and counters in a test; what its instances share |
//! | call | `runtime`, `guest` | wasmtime's configuration; a store with its bounds, and why a call of it failed |
//! | | `v2`, `v1` | the contract: what version 2 adds, version 1 and what both share |
//! | compile | `wasi`, `adapt`, `structure` | the empty WASI; names and guards that compilers can't write; what a module may be made of |
//! | | `component`, `compiler` | the compiler's output to a component; compiling in a bounded process |
//! | | `engine`, `module` | what all filters share; a component compiled and linked |
//! | instantiate | `instance`, `slot` | one instance, and the template it is started from; the place it has |
//! | | `health`, `saving`, `tap` | failing and suspended filters; when state is saved; copies of batches |
//! | | `filter`, `exchange` | a loaded filter; its instances started and replaced |
//! | judge | `replay`, `search` | held records given to a new instance; the records that a filter fails on |
//! | | `worker` | batches through the chain |
//! | | `check`, `test_instance` | a new version beside the running one; one instance alone, for tests of filters |
//! | swap | `handover` | state and held records from one version to the next |
//!
//! Invariants:
//! - A record is lost only if a verdict drops it or [`Outcome::failed`] lists it.
//! - The records that come out are canonical.
//! - An instance is never called again after a failure, unless the filter itself reported it.
//! - Records that a filter held and did not release are held by its next instance, however the last one ended.
#![deny(missing_docs)]

mod adapt;
mod boundary;
mod budget;
mod check;
mod compiler;
mod component;
mod context;
mod credit;
mod description;
mod engine;
mod error;
mod exchange;
mod filter;
mod guest;
mod handover;
mod health;
mod holds;
mod instance;
mod kv;
mod limits;
mod lock;
mod metrics;
mod module;
mod paths;
mod pieces;
mod recorder;
mod replay;
mod rewrite;
mod rights;
mod runtime;
mod saving;
mod search;
mod slot;
mod spec;
mod structure;
mod tap;
mod test_instance;
mod ticker;
mod usage;
mod v1;
mod v2;
mod wasi;
mod worker;
mod world;

pub use check::CheckReport;
pub use compiler::{CompileBounds, Compiler, compile_into};
pub use component::{component_bytes, digest};
pub use description::Description;
pub use engine::{Engine, EngineOptions};
pub use error::{EngineError, FailureKind, LoadError, LoadErrorKind};
pub use filter::Filter;
pub use health::Health;
pub use holds::{HeldRecord, Holding};
pub use metrics::describe_metrics;
pub use recorder::Clock;
pub use rights::{Right, Rights};
pub use spec::{FilterSpec, OnError};
pub use tap::Subscription;
pub use test_instance::{CallFailure, Compiled, PASS_THROUGH, Processed, TestInstance};
pub use usage::ResourceUsage;
pub use worker::{Action, Chain, Failed, Outcome, Worker};
pub use world::World;

#[cfg(test)]
mod tests;
