//! Runs WebAssembly filters over batches of records.
//!
//! [`Engine::load`] turns a module into a [`Filter`]. A [`Chain`] is an ordered list of filters, and each pipeline
//! thread has a [`Worker`] that runs batches through the chain. The engine bounds the time and memory of every filter,
//! gives it access to nothing but the records and `weir:filter/host`, and isolates failures: a record that a filter
//! fails on does not affect the others.
//!
//! The files, in layers. A file may import only files above it; a test enforces this.
//!
//! | layer | file | what it does |
//! |---|---|---|
//! | base | `limits`, `error` | every bound of the engine; its errors |
//! | | `signature` | signatures of modules, and whose count |
//! | | `lock`, `ticker`, `kv` | locking; the clock behind deadlines; a filter's key-value store |
//! | | `spec`, `description`, `world` | a filter's configuration; its description of itself; the world it exports |
//! | | `paths`, `metrics`, `usage` | sets of paths; the metrics of a filter; its memory and CPU time |
//! | records | `holds`, `budget` | records that filters hold; limits on the time of a batch and on what filters add to it |
//! | | `rewrite`, `pieces` | builds the output of a filter; splits a batch into calls |
//! | | `boundary`, `rights` | enforces what a filter may see and change; computes it from description and configuration |
//! | | `credit`, `recorder`, `context` | limits what ticks emit; log and counters under test; state shared by a filter's instances |
//! | call | `runtime`, `guest` | wasmtime's configuration; a store with limits, and errors for failed calls |
//! | | `v2`, `v1` | the contract: additions of version 2; version 1 and what both share |
//! | compile | `wasi`, `adapt`, `structure` | the WASI stub; fixes up core modules; limits on module structure |
//! | | `component`, `compiler` | makes a component of a core module; compiles in a separate, limited process |
//! | | `engine`, `module` | state shared by all filters; compiles and links a component |
//! | instantiate | `instance`, `slot` | an instance and its template; the slot that an instance runs in |
//! | | `health`, `saving`, `tap` | failing and suspended filters; when state is saved; copies of batches |
//! | | `filter`, `exchange` | a loaded filter; starts and replaces its instances |
//! | judge | `replay`, `search` | replays held records to a new instance; finds the records that a filter fails on |
//! | | `worker` | runs batches through the chain |
//! | | `check`, `test_instance` | compares a new version with the running one; a single instance for tests of filters |
//! | swap | `handover` | hands state and held records to the next version |
//!
//! Invariants:
//! - A record is lost only if a verdict drops it or [`Outcome::failed`] lists it.
//! - All output records are canonical.
//! - If a filter has trusted keys, nothing but the check of its signature reads a module before that has passed.
//! - An instance is never called again after a failure, unless the filter returned the error or its answer exceeded its
//!   rights or the budget.
//! - Records that a filter holds are passed to its next instance, however the previous one ended.
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
mod signature;
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
pub use signature::{PrivateKey, PublicKey, TrustedKeys, signer};
pub use spec::{FilterSpec, OnError};
pub use tap::Subscription;
pub use test_instance::{CallFailure, Compiled, PASS_THROUGH, Processed, TestInstance};
pub use usage::ResourceUsage;
pub use worker::{Action, Chain, Failed, Outcome, Worker};
pub use world::World;

#[cfg(test)]
mod tests;
