//! Paths with `*`: which values of a record become fields.
//!
//! `*` matches anything within a key; `**`, as a key of its own, matches any
//! number of keys. A match is named by its keys from the first one with a star
//! on: `metadata.*` finds `metadata.took_ms` as `took_ms`.

use weir_guest::{Path, Record, Value};

use crate::limits::{MAX_DEPTH, MAX_VALUES_SEEN};

/// A path, or a pattern of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    keys: Vec<Key>,
    /// The keys before the first one with a star.
    plain: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Plain(String),
    /// The parts between stars; the key starts with the first and ends with the
    /// last.
    Stars(Vec<String>),
    Any,
}

impl Pattern {
    pub fn parse(text: &str) -> Self {
        let key = |key: &String| match key.as_str() {
            "**" => Key::Any,
            key if key.contains('*') => Key::Stars(key.split('*').map(str::to_owned).collect()),
            key => Key::Plain(key.to_owned()),
        };
        let keys: Vec<Key> = Path::parse(text).keys().iter().map(key).collect();
        let plain = keys.iter().take_while(|key| matches!(key, Key::Plain(_))).count();
        Pattern { keys, plain }
    }

    /// Whether it has no star.
    pub fn is_path(&self) -> bool {
        self.plain == self.keys.len()
    }

    /// The last key, which names the value of a path without stars.
    pub fn last_key(&self) -> &str {
        match self.keys.last() {
            Some(Key::Plain(key)) => key,
            _ => "",
        }
    }

    /// Calls `found` with the name and the value of each match; maps are
    /// searched, lists are not.
    pub fn find<'r>(&self, record: &Record<'r>, mut found: impl FnMut(&str, Value<'r>)) {
        let mut value = Value::Map(record.map());
        for key in &self.keys[..self.plain] {
            let Key::Plain(key) = key else { return };
            match value.step(key) {
                Some(deeper) => value = deeper,
                None => return,
            }
        }
        if self.is_path() {
            found(self.last_key(), value);
            return;
        }
        let mut search = Search { name: String::new(), left: MAX_VALUES_SEEN };
        search.walk(&self.keys[self.plain..], value, 0, &mut found);
    }
}

struct Search {
    name: String,
    /// How many more values may be looked at.
    left: usize,
}

impl Search {
    fn walk<'r>(&mut self, keys: &[Key], value: Value<'r>, depth: usize, found: &mut impl FnMut(&str, Value<'r>)) {
        let Some((key, rest)) = keys.split_first() else {
            found(&self.name, value);
            return;
        };
        let Some(map) = value.as_map().filter(|_| depth < MAX_DEPTH) else {
            return;
        };
        for (name, value) in map.iter() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let length = self.name.len();
            if length > 0 {
                self.name.push('.');
            }
            self.name.push_str(name);
            match key {
                Key::Any => {
                    // One key or more.
                    self.walk(rest, value, depth + 1, found);
                    self.walk(keys, value, depth + 1, found);
                }
                key if key.fits(name) => self.walk(rest, value, depth + 1, found),
                _ => {}
            }
            self.name.truncate(length);
        }
    }
}

impl Key {
    fn fits(&self, name: &str) -> bool {
        let parts = match self {
            Key::Plain(key) => return key == name,
            Key::Any => return true,
            Key::Stars(parts) => parts,
        };
        let (Some((first, rest)), Some(last)) = (parts.split_first(), parts.last()) else {
            return false;
        };
        let Some(mut text) = name.strip_prefix(first.as_str()) else {
            return false;
        };
        // For all parts but the last, the earliest match is correct.
        for part in &rest[..rest.len() - 1] {
            match text.find(part.as_str()) {
                Some(at) => text = &text[at + part.len()..],
                None => return false,
            }
        }
        text.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_guest::Encode;
    use weir_guest::testing::json;

    fn found(pattern: &str, record: serde_json::Value) -> Vec<String> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let (record, _) = Record::read(&bytes).expect("it was just written");
        let mut names = Vec::new();
        Pattern::parse(pattern).find(&record, |name, _| names.push(name.to_owned()));
        names.sort();
        names
    }

    #[test]
    fn stars_stand_for_parts_of_keys_and_two_for_any_way() {
        let record = json!({ "m": { "a_ms": 1, "b_ms": 2, "db": { "rows": 3, "io": { "rows": 4 } } }, "x.y": 5 });
        for (pattern, expected) in [
            ("m.a_ms", vec!["a_ms"]),
            ("m.*_ms", vec!["a_ms", "b_ms"]),
            ("m.*", vec!["a_ms", "b_ms", "db"]),
            ("m.**.rows", vec!["db.io.rows", "db.rows"]),
            ("*.db.r*s", vec!["m.db.rows"]),
            ("**.rows", vec!["m.db.io.rows", "m.db.rows"]),
            ("x\\.y", vec!["x.y"]),
            ("m.d*b", vec!["db"]),
            ("m.db*b", vec![]),
            ("m.absent", vec![]),
            ("m.a_ms.*", vec![]),
        ] {
            assert_eq!(found(pattern, record.clone()), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_looked_at_is_bounded() {
        let mut deep = json!(1);
        for _ in 0..60 {
            deep = json!({ "a": deep, "b": 1 });
        }
        assert!(found("**.**.**.**", deep).len() <= MAX_VALUES_SEEN);
    }
}
