//! A view over one canonical record: its head in one look, any field by path.
//!
//! Nothing is decoded before it is asked for. The views accept any bytes and
//! never panic; what is missing or has the wrong type reads as its default
//! (time 0, INFO, empty text), so only the makers of records must be careful.

use std::borrow::Cow;

use crate::level::Level;
use crate::value::{Map, Token, Value, find, skip, token};

/// One canonical record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    bytes: &'a [u8],
}

/// The four things that every record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// When it happened, in nanoseconds since 1970-01-01 UTC.
    pub timestamp: i64,
    /// How severe it is.
    pub level: Level,
    /// The component or service that spoke.
    pub source: &'a str,
    /// What it said.
    pub message: &'a str,
}

/// How a record begins whose head stands in its usual order: the map's header,
/// then the key of the time and the marker of a nine-byte integer.
const TIMESTAMP_AT: usize = 3;
const TIMESTAMP_KEY: &[u8; 11] = b"\xa9timestamp\xd3";
const LEVEL_AT: usize = TIMESTAMP_AT + TIMESTAMP_KEY.len() + 8;
const LEVEL_KEY: &[u8; 6] = b"\xa5level";
const SOURCE_KEY: &[u8; 7] = b"\xa6source";
const MESSAGE_KEY: &[u8; 8] = b"\xa7message";

impl<'a> Record<'a> {
    /// A view over the bytes of one record.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Record<'a> {
        Record { bytes }
    }

    /// The bytes of the record.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Time, level, source and message, read in one go.
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

    /// The component or service that spoke.
    pub fn source(&self) -> &'a str {
        text(self.ordered_head().map_or_else(|| self.scattered_head().2, |head| head.2))
    }

    /// What it said.
    pub fn message(&self) -> &'a str {
        text(self.ordered_head().map_or_else(|| self.scattered_head().3, |head| head.3))
    }

    /// What stands at a dotted path, lists by index: `context.user.email`,
    /// `tags.0`. A dot or a backslash inside a key is written with a backslash
    /// before it.
    pub fn get(&self, path: &str) -> Option<Value<'a>> {
        let mut at = self.bytes;
        let mut path = path.as_bytes();
        loop {
            let (key, rest) = next_segment(path);
            at = step(at, &key)?;
            match rest {
                Some(rest) => path = rest,
                None => return Value::read(at).map(|(value, _)| value),
            }
        }
    }

    /// The entries in order. Ends early at bytes that are no entry.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.map().iter()
    }

    /// The labels that routing rules gave it.
    pub fn routes(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let map = self.map();
        let list = find(map.entries, map.len, b"routes").and_then(Value::read).and_then(|(v, _)| v.as_array());
        list.into_iter().flat_map(|list| list.iter()).filter_map(|value| value.as_str())
    }

    /// The record as a map. Empty, when the bytes are none.
    pub fn map(&self) -> Map<'a> {
        match token(self.bytes) {
            Some((Token::Map(len), header)) => Map { entries: &self.bytes[header..], len },
            _ => Map { entries: &[], len: 0 },
        }
    }

    /// Keys, and the bytes from the value on.
    pub(crate) fn raw_entries(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let Map { mut entries, len } = self.map();
        (0..len).map_while(move |_| {
            let (Token::Str(key), key_len) = token(entries)? else { return None };
            let value = &entries[key_len..];
            let (value, rest) = value.split_at_checked(skip(value)?)?;
            entries = rest;
            Some((key, value))
        })
    }
}

/// Text of a canonical record is valid; anything else reads as empty.
#[inline]
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The first key of a path, its backslashes taken out, and the path after its
/// dot.
pub(crate) fn next_segment(path: &[u8]) -> (Cow<'_, [u8]>, Option<&[u8]>) {
    let Some(at) = path.iter().position(|b| matches!(b, b'.' | b'\\')) else {
        return (Cow::Borrowed(path), None);
    };
    if path[at] == b'.' {
        return (Cow::Borrowed(&path[..at]), Some(&path[at + 1..]));
    }
    let mut key = Vec::with_capacity(path.len());
    let mut bytes = path.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'.' => return (Cow::Owned(key), Some(&path[at + 1..])),
            b'\\' => key.extend(bytes.next().map(|(_, escaped)| *escaped)),
            _ => key.push(byte),
        }
    }
    (Cow::Owned(key), None)
}

/// The bytes from what stands under a key or index on, in the list or map that
/// `bytes` begins with.
fn step<'a>(bytes: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let (container, header) = token(bytes)?;
    let inside = &bytes[header..];
    match container {
        Token::Map(len) => find(inside, len, key),
        Token::Array(len) => {
            let index: u32 = std::str::from_utf8(key).ok()?.parse().ok()?;
            let before = crate::value::skip_many(inside, u64::from((index < len).then_some(index)?))?;
            Some(&inside[before..])
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
