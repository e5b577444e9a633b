//! Records, batches, levels and times: the form in which all data passes through
//! Weir, how senders' bytes are converted into it, how filters change it, and how it
//! is converted to JSON.
//!
//! A *canonical record* is one MessagePack map with a 16-bit header and unique keys
//! of valid UTF-8. It contains `timestamp` (nanoseconds since 1970 UTC, an integer),
//! `level` (a canonical name), `source` and `message` (text), usually first and in
//! this order, and then whatever its sender sent. It is at most
//! [`limits::MAX_DEPTH`] deep and [`limits::MAX_RECORD_BYTES`] long. The readers
//! ([`read_json()`], [`read_msgpack`], [`read_text`]) make records canonical,
//! [`merge_patch`] and [`apply_changes`] keep them canonical, and all other code may
//! rely on it. Whatever the bytes are, nothing here panics, recurses without bound
//! or trusts a declared length.
//!
//! | module | purpose |
//! |---|---|
//! | `read_json`, `from_json`, `scan` | JSON bodies: records, values, bytes |
//! | `from_msgpack`, `from_text` | the other two kinds of body |
//! | `compose`, `values` | records from entries, for other formats |
//! | `arrival`, `builder`, `aliases`, `keys` | shared by the readers: defaults, errors, the rules below, duplicate keys |
//! | `batch`, `record` | views that read in place; single values are `weir-wire`'s [`Value`] |
//! | `patch` | changes, which copy what they don't touch |
//! | `give_routes` | the routes that all records of a listener or a source get |
//! | `to_json`, [`write`](mod@write) | writing JSON and MessagePack |
//! | [`time`], `level` | times and levels in all their forms |
//! | [`escape`] | escapes untrusted text for terminals and log lines |
//!
//! # How input is normalised
//!
//! No rule loses the sender's data: a value that can't be used under its key is kept
//! under another name.
//!
//! | input | result |
//! |---|---|
//! | `timestamp`, `level`, `source` absent, null or empty text | the time of receipt, and the endpoint's level and source |
//! | `message` absent or null | the JSON of the record's other entries (not of time, level and source), cut at 16 KiB with `…` |
//! | an [alias](Aliases), its canonical key absent or unusable | renamed to the canonical key |
//! | an alias beside a usable canonical key, or several aliases | the canonical key wins, otherwise the first alias in the table's order; the others keep their names |
//! | an alias with an unusable value | unchanged |
//! | a canonical key with an unusable value | kept as `<key>_original` (`level_original`; another `_original` is added while that is taken, and a record with eight of them is rejected), and the key counts as absent |
//! | number or truth value as `message` or `source` | its text |
//! | list, map or extension as `message` or `source` | unusable |
//! | bytes as `message`, `source`, `level` or a time | read as text |
//! | `level` in any common spelling | the canonical name |
//! | a number as level, also in text | 0–7 syslog; 10, 20 and 25–100 bunyan and pino; other 8–24 OTLP. Under `levelno` Python's scale, under `severity_number` OTLP's, under `PRIORITY` syslog's. See [`Level::from_number`] |
//! | any other level | unusable |
//! | a time | see [`time`]: RFC 3339, epoch numbers by size, MessagePack and Fluent extensions; others are unusable |
//! | `context`, `metadata` that is not a map | kept as `context_original` …; null is dropped |
//! | `routes`, which select a record's sinks and which senders must not set | kept as `routes_original`; null is dropped. A list of text stays only if [`Defaults::keeps_routes`] is set |
//! | additions for `context` | set only keys that the sender's `context` lacks |
//! | duplicate keys, at any depth | the last wins |
//! | text or keys that are not UTF-8, lone surrogates | replaced with U+FFFD |
//! | integers beyond 64 bits in JSON | the float with the same digits (`100000000000000000000`), otherwise their text |
//! | other numbers in JSON | the nearest float; their text if they are out of range (`1e400`, `1e-400`) |
//! | `NaN`, `Infinity` in JSON | floats; written as `null` in JSON |
//! | keys that are not text (MessagePack) | their JSON as text; a record with a list, map or extension as key is rejected |
//! | bytes and extensions inside a record | kept; base64 in JSON, see `to_json` |
//! | a record that is not a map, deeper than 64, over 1 MiB or over 65,535 keys | [`RejectedRecord`]; the other records are taken |
//! | a syntax error in a list, JSON or MessagePack | [`SyntaxError`] with the byte offset; nothing is taken |
//! | a malformed line in JSON lines; a truncated map after whole ones | [`RejectedRecord`]; [`SyntaxError`] only if nothing could be read |
//! | a body that becomes more than 64 MiB, or holds more than 1,048,576 records or 65,536 bad ones | [`SyntaxError`] with `too_much`; nothing is taken |
//! | empty lines, in text and JSON lines | skipped |

mod aliases;
mod arrival;
mod batch;
mod builder;
mod compose;
pub mod escape;
mod from_json;
mod from_msgpack;
mod from_text;
mod give_routes;
mod keys;
mod level;
pub mod limits;
mod patch;
mod read_json;
mod record;
mod scan;
pub mod time;
mod to_json;
mod values;
pub mod write;

pub use aliases::{AliasError, Aliases, MAX_ALIASES, Role};
pub use arrival::{Defaults, RejectedRecord, SyntaxError};
pub use batch::{Batch, DecodeError};
pub use compose::{ComposeError, Composer};
pub use from_msgpack::read_msgpack;
pub use from_text::read_text;
pub use give_routes::give_routes;
pub use level::{Level, Scale};
pub use patch::{Change, PatchError, apply_changes, merge_patch};
pub use read_json::{json_to_msgpack, read_json, read_json_up_to};
pub use record::{Head, Record};
pub use to_json::{write_json, write_json_value};
pub use values::{ListWriter, MapWriter, SharedValue, ValueWriter};
pub use weir_wire::token::{Token, token};
pub use weir_wire::{Array, Map, Value, path};
