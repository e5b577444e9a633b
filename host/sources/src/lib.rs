//! Sources: records that Weir fetches, instead of waiting for somebody to send them.
//!
//! | file | purpose |
//! |---|---|
//! | `registry` | the kinds of sources, and tests that hold for each |
//! | `source` | what a kind implements |
//! | `destination` | where a source delivers to: retries, positions, defaults, counters |
//! | `limits` | every limit with its reason |
//! | `file/` | files that others write, such as logs |
//! | `demo` | invented records of a small shop |
//! | `stdin` | lines of standard input |
//! | `exec` | lines that a command writes |
//! | `docker/` | containers of a Docker engine |
//! | `journald/` | the journal of systemd |
//! | `parts` | lines of containers that were kept in parts |
//! | `process` | a command in a process group of its own, and its end |
//! | `text` | bytes to lines, lines to records |
//! | `nats/` | messages of NATS |
//! | `redis/` | entries of Redis streams |
//! | `mqtt/` | messages of MQTT |
//! | `message` | a message of a bus as a record |
//! | `identity` | the name of this router at a server that keeps something for it |
//! | `socket` | a connection to a server that a URL names, for sources that speak a protocol themselves |
//! | `kafka/` | messages of Kafka topics |
//!
//! A source that has positions, such as a file, hands them over with the records that end there. The router stores both in
//! the same frame of its journal, so after a crash the source continues exactly there: nothing is lost or repeated.
//!
//! Invariants: a source reads on only when what it has read is durable or in its memory, within the limits of this crate;
//! it never drops records because the router has no room, except messages of plain NATS subjects, which nobody else
//! keeps; nothing here knows the journal.

mod demo;
mod destination;
mod docker;
mod exec;
mod file;
mod identity;
mod journald;
mod kafka;
pub mod limits;
mod message;
mod mqtt;
mod nats;
mod parts;
mod process;
mod redis;
mod registry;
mod socket;
mod source;
mod stdin;
mod text;

pub use destination::{Delivery, Destination, Origin, Position, Refused, Stopping, Store, describe_metrics};
pub use registry::{BuildContext, KINDS, Kind, kind};
pub use source::Source;
pub use text::{Line, Lines};
