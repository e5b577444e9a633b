//! Where records go. Reads the journal, one cursor a sink, and delivers: to the console, to files, to databases, to
//! servers of many kinds.
//!
//! Stands last in the flow: `ingest → filters → journal → sinks`. Knows records and the journal and nothing else.
//!
//! | file | purpose |
//! |---|---|
//! | `sink.rs` | the trait, positions, errors, and the contract between a sink and its runner |
//! | `select.rs` | which records a sink takes: routes and least level |
//! | `runner/` | carries records from the journal to one sink: retries, quarantine, cursor, health |
//! | `condition.rs` | conditions on records in the options of sinks |
//! | `registry.rs` | the kinds there are, one line each |
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
//! | `owners.rs` | which sink a file belongs to |
//! | `collisions.rs` | sinks that would write to one file for certain |
//! | `disk.rs` | the operations on the disk, which tests may cut at any point |
//! | `post/` | posting to servers over HTTP: options, requests, answers |
//! | `template.rs` | texts with placeholders: `{source}` |
//! | `text.rs` | text from records, made harmless |
//! | `limits.rs` | every bound, with its unit and reason |
//! | `compliance.rs` | the test that every kind passes |
//!
//! # What each kind promises
//! | kind | a record in the journal | how |
//! |---|---|---|
//! | `file` | exactly once | cut back to a durable position at the start (`file/store.rs`) |
//! | `sqlite` | exactly once | the cursor is in the transaction of the rows (`sqlite/mod.rs`) |
//! | `postgres` | exactly once | the same, and the cursor's row is locked first (`postgres/mod.rs`) |
//! | `http` | at least once | a repetition within one run has the key of the first attempt (`http/mod.rs`) |
//! | `nats` | exactly once, through outages no longer than the stream's duplicate window | the record's id is the message's (`nats/mod.rs`) |
//! | `influxdb` | at least once, and the same point again changes nothing | points are the same to the letter (`influxdb/mod.rs`) |
//! | `datadog` | at least once | every record carries its id (`datadog/mod.rs`) |
//! | `slack` | shown or counted, at least once | a message speaks for all that waited (`slack/mod.rs`) |
//! | `prometheus` | counted exactly once | the counts and their position are one file (`prometheus/mod.rs`) |
//! | `console` | shown, unless the terminal stands still | |
//!
//! A record that a sink can never take goes to quarantine with the reason, at least once, and holds up no other.

#![forbid(unsafe_code)]

mod collisions;
#[cfg(test)]
mod compliance;
mod condition;
mod console;
mod datadog;
mod disk;
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
mod registry;
mod runner;
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
pub use exposition::Exposition;
pub use file::let_go as let_go_of_files;
pub use owners::Owners;
pub use registry::{Build, BuildContext, Guarantee, KINDS, Kind, OpenOutput, Reach, Variable, kind};
pub use runner::{
    Doors, ErrorKind, FALLBACK_MARK, FellBack, Replay, Replayed, RunnerOptions, RunningSink, State, Status, Stopped,
    describe_metrics, fallback_reader, falls_back_for, spawn,
};
pub use select::Selection;
pub use sink::{Batching, Delivered, Indexes, Position, Quarantine, Selected, Sink, SinkError};
