//! Records, batches, levels and moments: the one form in which everything goes
//! through Weir, how senders' bytes come into it, how filters change it, and how
//! it leaves as JSON.
//!
//! A *canonical record* is one MessagePack map with a 16-bit header, keys of
//! valid text and none of them twice. It holds `timestamp` (nanoseconds since
//! 1970 UTC, integer), `level` (a canonical name), `source` and `message` (text),
//! usually first and in this order, and then whatever its sender sent. It is at
//! most [`limits::MAX_DEPTH`] deep and [`limits::MAX_RECORD_BYTES`] long. The
//! readers ([`read_json()`], [`read_msgpack`], [`read_text`]) make records
//! canonical, [`merge_patch`] and [`apply_changes`] keep them so, and everything
//! else may rely on it; but whatever the bytes, nothing here panics, recurses
//! without bound or believes a declared length.
//!
//! | module | purpose |
//! |---|---|
//! | `read_json`, `from_json`, `scan` | JSON bodies: records, values, bytes |
//! | `from_msgpack`, `from_text` | the other two kinds of body |
//! | `arrival`, `builder`, `aliases`, `keys` | what readers share: defaults, the rules below, duplicate keys |
//! | `batch`, `record` | views that read in place; single values are `weir-wire`'s [`Value`] |
//! | `patch` | changes that copy what they do not touch |
//! | `to_json`, [`write`](mod@write) | out as JSON, out as MessagePack |
//! | [`time`], `level` | moments and severities in every form |
//! | [`escape`] | text of unknown origin, made harmless for terminals and lines |
//!
//! # What becomes of what senders send
//!
//! No rule loses the sender's data: what cannot be used where it stands is kept
//! under another name.
//!
//! | what comes | what becomes of it |
//! |---|---|
//! | `timestamp`, `level`, `source` absent, null or empty text | time of receipt, the endpoint's level and source |
//! | `message` absent or null | the JSON of the record's other entries (not of time, level and source), cut at 16 KiB with `…` |
//! | an [alias](Aliases), its canonical key absent or unusable | renamed to the canonical key |
//! | an alias beside a usable canonical key, or several aliases | the canonical key wins, else the first in the table's order; the others stay under their own names |
//! | an alias with an unusable value | stays as it is |
//! | a canonical key with an unusable value | kept as `<key>_original` (`level_original`; with a further `_original` while that is taken), and the key counts as absent |
//! | number or truth value as `message` or `source` | its text |
//! | list, map or extension as `message` or `source` | unusable |
//! | bytes as `message`, `source`, `level` or a moment | read as text |
//! | `level` in any common spelling | the canonical name |
//! | a number as level, also in text | 0–7 syslog; 10, 20 and 25–100 bunyan and pino; other 8–24 OTLP. Under `levelno` Python's scale, under `severity_number` OTLP's, under `PRIORITY` syslog's. See [`Level::from_number`] |
//! | any other level | unusable |
//! | a moment | see [`time`]: RFC 3339, epoch numbers by size, MessagePack and Fluent extensions; others are unusable |
//! | `context`, `metadata` that is no map | kept as `context_original` …; null is dropped |
//! | `routes`, which choose the sinks of a record and are not its sender's to give | kept as `routes_original`; null is dropped. Only where [`Defaults::keeps_routes`] says so a list of text stays |
//! | additions for `context` | fill only keys that the sender's `context` lacks |
//! | duplicate keys, at any depth | the last wins |
//! | text or keys that are not UTF-8, surrogates that stand alone | U+FFFD in their place |
//! | integers beyond 64 bits in JSON | the float that is written with the same digits (`100000000000000000000`), else their text |
//! | other numbers in JSON | the nearest float; the text of those beyond the largest one and below the smallest (`1e400`, `1e-400`) |
//! | `NaN`, `Infinity` in JSON | floats; as JSON they leave as `null` |
//! | keys that are not text (MessagePack) | their JSON as text; lists, maps and extensions as keys make the record bad |
//! | bytes and extensions inside a record | kept; see `to_json` for their JSON: base64 |
//! | a record that is no map, deeper than 64, over 1 MiB or over 65,535 keys | [`Bad`]; the others go on |
//! | a syntax error in a list, JSON or MessagePack | [`SyntaxError`] with the byte offset, nothing accepted |
//! | a broken line of JSON lines; a cut map after whole ones | [`Bad`]; [`SyntaxError`] only when nothing could be read |
//! | a body that becomes more than 64 MiB, or holds more than 1,048,576 records or 65,536 bad ones | [`SyntaxError`] with `too_much`, nothing accepted |
//! | empty lines, in text and JSON lines | left out |
#![forbid(unsafe_code)]

mod aliases;
mod arrival;
mod batch;
mod builder;
pub mod escape;
mod from_json;
mod from_msgpack;
mod from_text;
mod keys;
mod level;
pub mod limits;
mod patch;
mod read_json;
mod record;
mod scan;
pub mod time;
mod to_json;
pub mod write;

pub use aliases::{AliasError, Aliases, MAX_ALIASES, Role};
pub use arrival::{Bad, Defaults, SyntaxError};
pub use batch::{Batch, DecodeError};
pub use from_msgpack::read_msgpack;
pub use from_text::read_text;
pub use level::{Level, Scale};
pub use patch::{Change, PatchError, apply_changes, merge_patch};
pub use read_json::{json_to_msgpack, read_json};
pub use record::{Head, Record};
pub use to_json::{write_json, write_json_value};
pub use weir_wire::{Array, Map, Value, path};
