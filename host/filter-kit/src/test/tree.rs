//! A record as a mutable tree of values, for generating and minimising records.
//!
//! Limits are those of records: the tree is written as MessagePack and read like a sender's, and what ingest would
//! reject is not a record.

use weir_record::{Batch, Record, Value, write};

use super::samples;

/// A value with everything in it.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Nil,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Ext(i8, Vec<u8>),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    pub fn of(record: Record<'_>) -> Tree {
        Tree::Map(record.entries().map(|(key, value)| (key.to_owned(), Tree::read(value))).collect())
    }

    fn read(value: Value<'_>) -> Tree {
        match value {
            Value::Nil => Tree::Nil,
            Value::Bool(b) => Tree::Bool(b),
            Value::Int(n) => Tree::Int(n),
            Value::UInt(n) => Tree::UInt(n),
            Value::Float(n) => Tree::Float(n),
            Value::Str(text) => Tree::Text(text.to_owned()),
            Value::Bin(bytes) => Tree::Bytes(bytes.to_vec()),
            Value::Ext(kind, bytes) => Tree::Ext(kind, bytes.to_vec()),
            Value::Array(items) => Tree::List(items.iter().map(Tree::read).collect()),
            Value::Map(map) => Tree::Map(map.iter().map(|(key, value)| (key.to_owned(), Tree::read(value))).collect()),
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Tree::Nil => write::nil(out),
            Tree::Bool(b) => write::bool(out, *b),
            Tree::Int(n) => write::int(out, *n),
            Tree::UInt(n) => write::uint(out, *n),
            Tree::Float(n) => write::float(out, *n),
            Tree::Text(text) => write::str(out, text),
            Tree::Bytes(bytes) => write::bin(out, bytes),
            Tree::Ext(kind, bytes) => write::ext(out, *kind, bytes),
            Tree::List(items) => {
                write::array_header(out, items.len() as u32);
                items.iter().for_each(|item| item.write(out));
            }
            Tree::Map(entries) => {
                write::map_header(out, entries.len() as u32);
                for (key, value) in entries {
                    write::str(out, key);
                    value.write(out);
                }
            }
        }
    }

    /// Sets the value at a path, creating what is missing. The tree must be a map.
    pub fn set(&mut self, path: &[String], value: Tree) {
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self, Tree::Map(_)) {
            *self = Tree::Map(Vec::new());
        }
        let Tree::Map(entries) = self else { return };
        let at = match entries.iter().position(|(key, _)| key == first) {
            Some(at) => at,
            None => {
                entries.push((first.clone(), Tree::Nil));
                entries.len() - 1
            }
        };
        entries[at].1.set(rest, value);
    }

    /// All keys and texts.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Tree::Text(text) => vec![text.clone()],
            Tree::List(items) => items.iter().flat_map(Tree::texts).collect(),
            Tree::Map(entries) => {
                entries.iter().flat_map(|(key, value)| [key.clone()].into_iter().chain(value.texts())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Number of values, including itself.
    pub fn nodes(&self) -> usize {
        1 + match self {
            Tree::List(items) => items.iter().map(Tree::nodes).sum::<usize>(),
            Tree::Map(entries) => entries.iter().map(|(_, value)| value.nodes()).sum(),
            _ => 0,
        }
    }

    /// The value with this number, in the order of `nodes`.
    pub fn node_mut(&mut self, number: usize) -> Option<&mut Tree> {
        let mut left = number;
        self.find(&mut left)
    }

    fn find(&mut self, left: &mut usize) -> Option<&mut Tree> {
        if *left == 0 {
            return Some(self);
        }
        *left -= 1;
        match self {
            Tree::List(items) => items.iter_mut().find_map(|item| item.find(left)),
            Tree::Map(entries) => entries.iter_mut().find_map(|(_, value)| value.find(left)),
            _ => None,
        }
    }
}

/// Converts trees to records like ingest; `None` if it would reject one.
pub fn batch(trees: &[Tree]) -> Option<Batch> {
    let mut batch = Batch::new();
    let mut bytes = Vec::new();
    for tree in trees {
        bytes.clear();
        tree.write(&mut bytes);
        samples::read_msgpack(&bytes, &mut batch).ok()?;
    }
    (batch.len() == trees.len()).then_some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Tree {
        Tree::Text(text.into())
    }

    #[test]
    fn records_survive_a_round_trip_through_a_tree() {
        let mut given = Batch::new();
        let json = br#"{"message":"m","a":[1,{"b":null}],"c":{"d":1.5,"e":18446744073709551615}}"#;
        samples::read_json(json, &mut given).unwrap();
        let tree = Tree::of(given.record(0));
        assert_eq!(batch(&[tree]), Some(given));
    }

    #[test]
    fn values_can_be_found_by_number_and_set_by_path() {
        let mut tree = Tree::Map(vec![("a".into(), Tree::List(vec![Tree::Nil, text("x")])), ("b".into(), Tree::Nil)]);
        assert_eq!(tree.nodes(), 5);
        assert_eq!(tree.node_mut(3), Some(&mut text("x")));
        assert_eq!(tree.node_mut(5), None);
        tree.set(&["c".into(), "d".into()], text("y"));
        tree.set(&["b".into(), "d".into()], text("z"));
        assert_eq!(tree.nodes(), 8);
        assert_eq!(tree.node_mut(7), Some(&mut text("y")));
        assert_eq!(tree.node_mut(5), Some(&mut text("z")));
    }

    #[test]
    fn trees_that_ingest_would_reject_are_not_records() {
        assert_eq!(batch(&[Tree::Nil]), None);
        assert_eq!(batch(&[Tree::Map(vec![("a".into(), text(&"x".repeat(2 << 20)))])]), None);
    }
}
