//! Sinks: deliver records from the journal to the console, files, databases and servers. Each sink has a cursor of its
//! own in the journal.
//!
//! The last stage of `ingest → filters → journal → sinks`. Depends on nothing but records, queries, the journal and documents.
//!
//! | file | purpose |
//! |---|---|
//! | `sink.rs` | the `Sink` trait: positions, errors, and the contract with the runner |
//! | `select.rs` | which records a sink takes: routes and minimum level |
//! | `runner/` | delivers records from the journal to one sink: retries, quarantine, cursor, health |
//! | `condition.rs` | conditions on records in the options of sinks |
//! | `erasure.rs` | what is erased from the sinks, on request |
//! | `registry.rs` | the kinds of sinks, one line each |
//! | `scrub.rs` | removes the secrets of a sink's or a source's options from its errors |
//! | `console/` | kind `console` |
//! | `file/` | kind `file` |
//! | `sqlite/` | kind `sqlite` |
//! | `postgres/` | kind `postgres` |
//! | `http/` | kind `http` |
//! | `datadog/` | kind `datadog` |
//! | `slack/` | kind `slack` |
//! | `nats/` | kind `nats` |
//! | `influxdb/` | kind `influxdb` |
//! | `prometheus/` | kind `prometheus` |
//! | `exposition.rs` | the metrics that sinks make of records, for `/metrics` |
//! | `owners.rs` | which sink owns a file |
//! | `collisions.rs` | finds sinks that would always write to the same file |
//! | `disk.rs` | disk operations, over a storage that tests can replace |
//! | `post/` | posting to servers over HTTP: options, requests, answers |
//! | `template.rs` | texts with placeholders: `{source}` |
//! | `counts.rs` | counts over time, from the rows of databases |
//! | `rebuilt.rs` | records from the rows of databases |
//! | `text.rs` | text of records, escaped for display and for paths |
//! | `limits.rs` | every limit, with its unit and reason |
//! | `compliance/` | the test that every kind passes |
//!
//! # Guarantees
//! | kind | a record in the journal arrives | how |
//! |---|---|---|
//! | `file` | exactly once | files are truncated to a durable position at the start (`file/store.rs`) |
//! | `sqlite` | exactly once | the cursor is in the transaction of the rows (`sqlite/mod.rs`) |
//! | `postgres` | exactly once | as `sqlite`, and the cursor's row is locked first (`postgres/mod.rs`) |
//! | `http` | at least once | a repetition within one run has the same idempotency key (`http/mod.rs`) |
//! | `nats` | exactly once, unless an outage is longer than the stream's duplicate window | the message id is the record's id (`nats/mod.rs`) |
//! | `influxdb` | at least once; writing a point again changes nothing | a repeated point is identical byte for byte (`influxdb/mod.rs`) |
//! | `datadog` | at least once | every record carries its id (`datadog/mod.rs`) |
//! | `slack` | at least once, shown or counted | a message summarises all waiting records (`slack/mod.rs`) |
//! | `prometheus` | exactly once, counted | counts and position are saved in one file (`prometheus/mod.rs`) |
//! | `console` | best effort | records are left out while the terminal accepts no output |
//!
//! A record that a sink can never take goes to quarantine with the reason, at least once, and does not block the
//! others.

mod collisions;
#[cfg(test)]
mod compliance;
mod condition;
mod console;
mod counts;
mod datadog;
mod disk;
mod erasure;
mod exposition;
mod file;
mod http;
mod influxdb;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod kill_posting;
pub mod limits;
mod nats;
#[cfg(test)]
mod outage;
mod owners;
mod post;
mod postgres;
mod prometheus;
mod rebuilt;
mod registry;
mod runner;
#[cfg(test)]
mod samples;
mod scrub;
mod select;
#[cfg(test)]
#[path = "../../../tests/servers/mod.rs"]
mod servers;
mod sink;
mod slack;
mod sqlite;
mod template;
#[cfg(test)]
mod testing;
mod text;

use weir_document::units;

pub use collisions::{Configured, collisions};
pub use console::{Clock, ConsoleStyle};
pub use erasure::{Erased, Erasure, without};
pub use exposition::Exposition;
pub use file::release_files;
pub use owners::Owners;
pub use registry::{Build, BuildContext, Guarantee, KINDS, Kind, OpenOutput, OpenSearch, Reach, Variable, kind};
pub use runner::{
    ErrorKind, FALLBACK_MARK, FallbackQueues, FallbackStatus, HeldSink, Replay, Replayed, RunnerOptions, RunningSink,
    State, Status, Stopped, describe_metrics, fallback_reader, sink_of_fallback_reader, spawn,
};
pub use scrub::Secrets;
pub use select::Selection;
pub use sink::{Batching, Delivered, Indexes, Position, Quarantine, Selected, Sink, SinkError};
