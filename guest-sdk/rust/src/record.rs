//! The view of a record that a filter gets.
//!
//! Reading a field walks the record's bytes up to it; nothing is decoded in advance.
//! Every record has `timestamp`, `level`, `source` and `message`, so the methods for
//! these return plain values.

use std::borrow::Cow;

use weir_wire::path;

use crate::level::Level;
use crate::value::{Map, Value};

/// One record, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8],
    map: Map<'a>,
}

impl<'a> Record<'a> {
    /// The record at the start of `bytes` and its length, or `None` if there is
    /// no complete map.
    pub fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (value, len) = Value::read(bytes)?;
        Some((Record { bytes: bytes.get(..len)?, map: value.as_map()? }, len))
    }

    /// Splits the next record off the rest of a batch.
    pub(crate) fn next(rest: &mut &'a [u8], batch: &[u8]) -> Result<Self, String> {
        let (record, len) = Record::read(rest)
            .ok_or_else(|| format!("no MessagePack map at byte {} of the batch", batch.len() - rest.len()))?;
        *rest = &rest[len..];
        Ok(record)
    }

    /// The record as MessagePack.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The record as a map.
    pub fn map(&self) -> Map<'a> {
        self.map
    }

    /// The timestamp, in nanoseconds since 1970-01-01 UTC.
    pub fn timestamp(&self) -> i64 {
        self.map.get("timestamp").and_then(|value| value.as_i64()).unwrap_or_default()
    }

    /// The level.
    pub fn level(&self) -> Level {
        self.text("level").and_then(Level::parse).unwrap_or_default()
    }

    /// The component or service that logged it.
    pub fn source(&self) -> &'a str {
        self.text("source").unwrap_or_default()
    }

    /// The message.
    pub fn message(&self) -> &'a str {
        self.text("message").unwrap_or_default()
    }

    /// The labels that earlier filters added.
    pub fn routes(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let list = self.map.get("routes").and_then(|value| value.as_array());
        list.into_iter().flat_map(|list| list.iter()).filter_map(|label| label.as_str())
    }

    /// The value at a dotted path, with lists by index: `context.user.email`,
    /// `tags.0`. Escape a dot or a backslash inside a key with a backslash; see
    /// [`Path::parse`].
    pub fn get(&self, path: &str) -> Option<Value<'a>> {
        self.map.walk(path::keys(path))
    }

    /// Like [`Record::get`], for a parsed path, which is faster.
    pub fn at(&self, path: &Path) -> Option<Value<'a>> {
        self.map.walk(path.iter())
    }

    /// All keys and values of the record, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.map.iter()
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.map.get(key).and_then(|value| value.as_str())
    }
}

/// A parsed path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path {
    keys: Vec<String>,
}

impl Path {
    /// Parses a dotted path: keys separated by dots, with a backslash before a
    /// dot or backslash that is part of a key. A backslash at the very end stands
    /// for itself. Every string is a path; the empty one has one key, the empty
    /// string.
    pub fn parse(path: &str) -> Self {
        Path { keys: path::keys(path).map(Cow::into_owned).collect() }
    }

    /// Creates a path from keys, which may contain any character.
    pub fn of<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Path { keys: keys.into_iter().map(Into::into).collect() }
    }

    /// Its keys, outermost first.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The keys as strings.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut path = String::new();
        for (index, key) in self.keys.iter().enumerate() {
            if index > 0 {
                path.push('.');
            }
            path::escape(&mut path, key);
        }
        f.write_str(&path)
    }
}

/// In options, a path is a string.
impl<'de> serde::Deserialize<'de> for Path {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Path::parse(&String::deserialize(deserializer)?))
    }
}
