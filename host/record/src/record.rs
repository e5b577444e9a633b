//! A view of one canonical record: its head in one pass, any field by path.
//!
//! Nothing is decoded in advance. The views accept any bytes and never panic; a
//! missing value or one of the wrong type reads as its default (time 0, INFO, empty
//! text).

use weir_wire::path::keys;
use weir_wire::token::{Token, skip, token};
use weir_wire::{Map, Value};

use crate::level::Level;

/// One canonical record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    bytes: &'a [u8],
}

/// The four values that every record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// When it happened, in nanoseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    /// How severe it is.
    pub level: Level,
    /// The component or service that logged it.
    pub source: &'a str,
    /// The message.
    pub message: &'a str,
}

/// The start of a record whose head is in the usual order: the map's header, the key
/// of the time, and the marker of a nine-byte integer.
const TIMESTAMP_AT: usize = 3;
const TIMESTAMP_KEY: &[u8; 11] = b"\xa9timestamp\xd3";
const LEVEL_AT: usize = TIMESTAMP_AT + TIMESTAMP_KEY.len() + 8;
const LEVEL_KEY: &[u8; 6] = b"\xa5level";
const SOURCE_KEY: &[u8; 7] = b"\xa6source";
const MESSAGE_KEY: &[u8; 8] = b"\xa7message";

impl<'a> Record<'a> {
    /// A view of the bytes of one record.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Record<'a> {
        Record { bytes }
    }

    /// The bytes of the record.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Time, level, source and message, read in one pass.
    #[inline]
    pub fn head(&self) -> Head<'a> {
        let (timestamp, level, source, message) = match self.ordered_head() {
            Some(head) => head,
            None => self.scattered_head(),
        };
        Head { timestamp, level, source: text(source), message: text(message) }
    }

    /// The head where this crate's writers put it: first, in order.
    #[inline]
    pub(crate) fn ordered_head(&self) -> Option<(i64, Level, &'a [u8], &'a [u8])> {
        let rest = self.bytes.get(TIMESTAMP_AT..)?.strip_prefix(TIMESTAMP_KEY)?;
        let (time, rest) = rest.split_first_chunk::<8>()?;
        let (Token::Str(level), len) = token(rest.strip_prefix(LEVEL_KEY)?)? else { return None };
        let rest = rest[LEVEL_KEY.len() + len..].strip_prefix(SOURCE_KEY)?;
        let (Token::Str(source), len) = token(rest)? else { return None };
        let (Token::Str(message), _) = token(rest[len..].strip_prefix(MESSAGE_KEY)?)? else { return None };
        Some((i64::from_be_bytes(*time), Level::from_canonical(level)?, source, message))
    }

    #[cold]
    fn scattered_head(&self) -> (i64, Level, &'a [u8], &'a [u8]) {
        let mut head = (0, Level::Info, &b""[..], &b""[..]);
        for (key, value) in self.raw_entries() {
            match (key, token(value)) {
                (b"timestamp", Some((Token::Int(time), _))) => head.0 = time,
                (b"level", Some((Token::Str(name), _))) => {
                    head.1 = Level::from_canonical(name).unwrap_or(Level::Info);
                }
                (b"source", Some((Token::Str(name), _))) => head.2 = name,
                (b"message", Some((Token::Str(said), _))) => head.3 = said,
                _ => {}
            }
        }
        head
    }

    /// When it happened, in nanoseconds since 1970-01-01 UTC.
    pub fn timestamp(&self) -> i64 {
        let ordered = self.bytes.get(TIMESTAMP_AT..).and_then(|rest| rest.strip_prefix(TIMESTAMP_KEY));
        match ordered.and_then(|rest| rest.first_chunk::<8>()) {
            Some(time) => i64::from_be_bytes(*time),
            None => self.scattered_head().0,
        }
    }

    /// How severe it is.
    pub fn level(&self) -> Level {
        let ordered = self.timestamp_is_first().then(|| self.bytes.get(LEVEL_AT..)).flatten();
        match ordered.and_then(|rest| token(rest.strip_prefix(LEVEL_KEY)?)) {
            Some((Token::Str(name), _)) => Level::from_canonical(name).unwrap_or(Level::Info),
            _ => self.scattered_head().1,
        }
    }

    fn timestamp_is_first(&self) -> bool {
        self.bytes.get(TIMESTAMP_AT..).is_some_and(|rest| rest.starts_with(TIMESTAMP_KEY))
    }

    /// The component or service that logged it.
    pub fn source(&self) -> &'a str {
        text(self.ordered_head().map_or_else(|| self.scattered_head().2, |head| head.2))
    }

    /// The message.
    pub fn message(&self) -> &'a str {
        text(self.ordered_head().map_or_else(|| self.scattered_head().3, |head| head.3))
    }

    /// The value at a dotted [path](weir_wire::path), with list items by index: `context.user.email`, `tags.0`.
    pub fn get(&self, path: &str) -> Option<Value<'a>> {
        self.map().walk(keys(path))
    }

    /// The entries in order. Stops at bytes that are not an entry.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.map().iter()
    }

    /// The labels that routing rules added.
    pub fn routes(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let list = self.map().get("routes").and_then(|value| value.as_array());
        list.into_iter().flat_map(|list| list.iter()).filter_map(|value| value.as_str())
    }

    /// The record as a map, empty if the bytes are not a map.
    pub fn map(&self) -> Map<'a> {
        Value::peek(self.bytes).and_then(|value| value.as_map()).unwrap_or_default()
    }

    /// The keys, and their values as bytes.
    pub(crate) fn raw_entries(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let map = self.map();
        let mut entries = map.rest();
        (0..map.len()).map_while(move |_| {
            let (Token::Str(key), key_len) = token(entries)? else { return None };
            let value = &entries[key_len..];
            let (value, rest) = value.split_at_checked(skip(value)?)?;
            entries = rest;
            Some((key, value))
        })
    }
}

/// Text in a canonical record is valid UTF-8; anything else reads as empty.
#[inline]
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
