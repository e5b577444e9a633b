//! The view of one record that a filter is given.
//!
//! Reading a field walks the record's bytes up to it; nothing is decoded ahead.
//! The host sends every record with `timestamp`, `level`, `source` and
//! `message`, so these readers have no "absent" case worth asking for.

use std::borrow::Cow;

use crate::level::Level;
use crate::value::{Map, Value};

/// One record, read where it lies in the batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8],
    map: Map<'a>,
}

impl<'a> Record<'a> {
    /// The record that begins at `at` and where it ends, or `None` if there is
    /// no whole map.
    pub fn read(batch: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let (map, end) = Map::read(batch, at)?;
        Some((Record { bytes: &batch[at..end], map }, end))
    }

    /// The record as MessagePack.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The record as a map.
    pub fn map(&self) -> Map<'a> {
        self.map
    }

    /// When it happened, in nanoseconds since 1970-01-01 UTC.
    pub fn timestamp(&self) -> i64 {
        self.map.get("timestamp").and_then(|value| value.as_i64()).unwrap_or_default()
    }

    /// How severe it is.
    pub fn level(&self) -> Level {
        self.text("level").and_then(Level::parse).unwrap_or_default()
    }

    /// The component or service that spoke.
    pub fn source(&self) -> &'a str {
        self.text("source").unwrap_or_default()
    }

    /// What it said.
    pub fn message(&self) -> &'a str {
        self.text("message").unwrap_or_default()
    }

    /// The labels that routing gave it so far.
    pub fn routes(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let list = self.map.get("routes").and_then(|value| value.as_list());
        list.into_iter().flat_map(|list| list.iter()).filter_map(|label| label.as_str())
    }

    /// What stands at a dotted path, lists by index: `context.user.email`,
    /// `tags.0`. A dot or backslash inside a key is written with a backslash
    /// before it.
    pub fn get(&self, path: &str) -> Option<Value<'a>> {
        self.walk(keys(path))
    }

    /// The same as [`Record::get`] for a path that was parsed before, which is
    /// quicker.
    pub fn at(&self, path: &Path) -> Option<Value<'a>> {
        self.walk(path.iter())
    }

    fn walk<K: AsRef<str>>(&self, mut keys: impl Iterator<Item = K>) -> Option<Value<'a>> {
        keys.try_fold(Value::Map(self.map), |value, key| value.step(key.as_ref()))
    }

    /// All keys and values of the record, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        self.map.iter()
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.map.get(key).and_then(|value| value.as_str())
    }
}

/// A dotted path, taken apart once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path {
    keys: Vec<String>,
}

impl Path {
    /// Takes a dotted path apart. Every text is a path; the empty one names the
    /// key that is the empty text.
    pub fn parse(path: &str) -> Self {
        Path { keys: keys(path).map(Cow::into_owned).collect() }
    }

    /// A path of keys that may hold any character.
    pub fn of<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Path { keys: keys.into_iter().map(Into::into).collect() }
    }

    /// Its keys, outermost first.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The same as texts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }
}

/// The keys of a dotted path, taken apart as they are asked for. One that holds a
/// backslash is written anew.
pub(crate) fn keys(path: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(path);
    std::iter::from_fn(move || {
        let path = rest?;
        // Keys are short: a loop over their bytes is quicker than a search.
        let end = path.bytes().position(|byte| byte == b'.' || byte == b'\\');
        match end.map(|end| (end, path.as_bytes()[end])) {
            None => {
                rest = None;
                Some(Cow::Borrowed(path))
            }
            Some((end, b'.')) => {
                rest = Some(&path[end + 1..]);
                Some(Cow::Borrowed(&path[..end]))
            }
            Some(_) => {
                let (key, after) = unescape(path);
                rest = after;
                Some(Cow::Owned(key))
            }
        }
    })
}

/// The first key of a path that holds backslashes, and the path after it.
fn unescape(path: &str) -> (String, Option<&str>) {
    let mut key = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => return (key, Some(chars.as_str())),
            // A backslash at the very end stands for itself.
            '\\' => key.push(chars.next().unwrap_or('\\')),
            c => key.push(c),
        }
    }
    (key, None)
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, key) in self.keys.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&key.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

/// In options a path is written as text.
impl<'de> serde::Deserialize<'de> for Path {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Path::parse(&String::deserialize(deserializer)?))
    }
}
