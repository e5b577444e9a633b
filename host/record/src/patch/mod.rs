//! Changes canonical records without re-encoding what is not touched: merge patches ([`merge_patch`]) and changes by
//! path ([`apply_changes`]).
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | the errors, and the valid values of reserved keys |
//! | `merge.rs` | RFC 7396 |
//! | `change.rs` | set, remove, level, message, route |
//! | `many.rs` | many changes at once |
//!
//! The result is canonical; on an error, nothing is appended. Values in patches and changes come from filters and are
//! checked like a sender's bytes. In addition, both preserve what a record needs: `timestamp`, `level`, `source` and
//! `message` can be set but not removed; `level` and a `timestamp` in text are normalised as at ingest; `routes` must
//! be a list of text, `context` and `metadata` maps.

mod change;
mod many;
mod merge;

pub use change::{Change, apply_changes};
pub use merge::merge_patch;
use weir_wire::token::{Token, token};

use crate::arrival::{ReadError, RecordFault};
use crate::from_msgpack::copy;
use crate::keys::Fingerprints;
use crate::level::{Level, Scale};
use crate::limits::MAX_RECORD_BYTES;
use crate::time;
use crate::write;

/// Why a record could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The record is not canonical.
    #[error("record to change is malformed")]
    Record,
    /// The patch is not MessagePack, or not a map.
    #[error("patch is malformed: {0}")]
    Patch(&'static str),
    /// A required key can't be removed.
    #[error("`{0}` can't be removed; set it instead")]
    Needed(&'static str),
    /// A reserved key can't have this value.
    #[error("`{key}` must be {wanted}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// The values it can have.
        wanted: &'static str,
    },
    /// An index beyond the end of a list, or not an index.
    #[error("`{0}` is not an index in the list")]
    NoIndex(String),
    /// The record would be nested too deeply.
    #[error("change nests the record deeper than 64 levels")]
    TooDeep,
    /// The record would be too large.
    #[error("changed record is larger than 1 MiB")]
    TooLarge,
    /// The record would have too many keys.
    #[error("changed record has more than 65535 keys")]
    TooManyKeys,
    /// Removing items from long lists, or adding labels to long ones, takes too many moves.
    #[error("changes rearrange long lists too often")]
    TooManyMoves,
}

/// The error for invalid input from a filter.
fn fault(stop: ReadError) -> PatchError {
    match stop {
        ReadError::Record(RecordFault::TooDeep) => PatchError::TooDeep,
        stop => PatchError::Patch(stop.reason()),
    }
}

/// A top-level key with a meaning to Weir.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReservedKey {
    Timestamp,
    Level,
    Source,
    Message,
    Routes,
    Context,
    Metadata,
}

fn reserved_key(key: &[u8]) -> Option<ReservedKey> {
    Some(match key {
        b"timestamp" => ReservedKey::Timestamp,
        b"level" => ReservedKey::Level,
        b"source" => ReservedKey::Source,
        b"message" => ReservedKey::Message,
        b"routes" => ReservedKey::Routes,
        b"context" => ReservedKey::Context,
        b"metadata" => ReservedKey::Metadata,
        _ => return None,
    })
}

/// Fails if a key can't be removed.
fn check_removal(key: &[u8]) -> Result<(), PatchError> {
    Err(PatchError::Needed(match reserved_key(key) {
        Some(ReservedKey::Timestamp) => "timestamp",
        Some(ReservedKey::Level) => "level",
        Some(ReservedKey::Source) => "source",
        Some(ReservedKey::Message) => "message",
        _ => return Ok(()),
    }))
}

/// Appends the value of a top-level key, normalised if the key is reserved.
fn write_top(key: &[u8], value: &[u8], out: &mut Vec<u8>) -> Result<(), PatchError> {
    let Some(own) = reserved_key(key) else { return write_checked(value, 2, out) };
    let (first, _) = token(value).ok_or(PatchError::Patch("value is cut short"))?;
    let wrong = |key, wanted| PatchError::WrongType { key, wanted };
    match (own, first) {
        (ReservedKey::Timestamp, Token::Int(ns)) => write::int64(out, ns),
        (ReservedKey::Timestamp, _) => {
            let ns = time::ns_from_msgpack(value);
            let wanted = "an integer of nanoseconds or a moment in RFC 3339";
            write::int64(out, ns.ok_or(wrong("timestamp", wanted))?);
        }
        (ReservedKey::Level, _) => {
            let level = match first {
                Token::Str(text) => std::str::from_utf8(text).ok().and_then(|text| Level::parse_in(text, Scale::Any)),
                Token::Int(number) => Level::from_number(number),
                _ => None,
            };
            write::str(out, level.ok_or(wrong("level", "the name of a level"))?.as_str());
        }
        (ReservedKey::Source | ReservedKey::Message, Token::Str(_)) => write_checked(value, 2, out)?,
        (ReservedKey::Source, _) => return Err(wrong("source", "text")),
        (ReservedKey::Message, _) => return Err(wrong("message", "text")),
        (ReservedKey::Routes, _) if crate::builder::is_list_of_text(value) => write_checked(value, 2, out)?,
        (ReservedKey::Routes, _) => return Err(wrong("routes", "a list of text")),
        (ReservedKey::Context | ReservedKey::Metadata, Token::Map(_)) => write_checked(value, 2, out)?,
        (ReservedKey::Context, _) => return Err(wrong("context", "a map")),
        (ReservedKey::Metadata, _) => return Err(wrong("metadata", "a map")),
    }
    Ok(())
}

/// Appends a value from a filter, checked like a sender's.
fn write_checked(value: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), PatchError> {
    copy(value, out, &mut Fingerprints::default(), depth).map(|_| ()).map_err(fault)
}

/// Runs a change that appends a record. Removes what it appended if it fails or the record is too large.
fn appended(out: &mut Vec<u8>, change: impl FnOnce(&mut Vec<u8>) -> Result<(), PatchError>) -> Result<(), PatchError> {
    let start = out.len();
    let changed = change(out)
        .and_then(|()| if out.len() - start > MAX_RECORD_BYTES { Err(PatchError::TooLarge) } else { Ok(()) });
    if changed.is_err() {
        out.truncate(start);
    }
    changed
}

/// Writes the number of entries into the 16-bit header at `at`.
fn set_count(out: &mut [u8], at: usize, count: u32) -> Result<(), PatchError> {
    let count = u16::try_from(count).map_err(|_| PatchError::TooManyKeys)?;
    out[at + 1..at + 3].copy_from_slice(&count.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
