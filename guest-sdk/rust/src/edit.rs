//! Changes to a record, collected and then written as a patch.
//!
//! An [`Edit`] is a tree of the keys that change. It is written as an RFC 7396
//! merge patch: only the changed keys and the maps that lead to them, so the rest
//! of the record stays byte for byte as it was.
//!
//! The tree is stored in two buffers that are reused for every record: once they
//! are large enough, a change does not allocate. Values of the record are looked up
//! only for changes that depend on them.
//!
//! Merge patches have two limitations, which this module hides:
//! - They can't reach into a list, so a change inside a list sends the whole list.
//! - They merge maps, so setting a map in place of another sends nulls for the keys
//!   to remove.
//!
//! Null removes a key in a merge patch. So setting a key to null removes it, and
//! nulls inside a map that is set are left out. Nulls inside lists are kept.
//!
//! | file | purpose |
//! |---|---|
//! | `edit.rs` | what a filter calls |
//! | `edit/tree.rs` | the changed keys, in two buffers |
//! | `edit/write.rs` | writes them as a patch, or applied to the record |

mod tree;
mod write;

use crate::encode::Encode;
use crate::level::Level;
use crate::record::{Path, Record};
use crate::value::Value;
use tree::{Change, Span, Tree};

/// The changes to one record, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Edit {
    tree: Tree,
    /// The added labels, each once.
    routes: Vec<Span>,
}

impl Edit {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty() && self.routes.is_empty()
    }

    /// Discards all changes.
    pub fn clear(&mut self) {
        self.tree.clear();
        self.routes.clear();
    }

    /// Sets the value at a dotted path and creates missing maps on it. In a list,
    /// an index one past the end appends; a higher one does nothing.
    pub fn set(&mut self, path: &str, value: impl Encode) {
        let node = self.tree.place_at(path);
        self.tree.set(node, value);
    }

    /// Like [`Edit::set`], for a parsed path.
    pub fn set_at(&mut self, path: &Path, value: impl Encode) {
        if let Some(node) = self.tree.place(path.iter()) {
            self.tree.set(node, value);
        }
    }

    /// Removes the value at a dotted path, if there is one. In a list, the values
    /// after it move up.
    pub fn remove(&mut self, path: &str) {
        let node = self.tree.place_at(path);
        self.tree.remove(node);
    }

    /// Like [`Edit::remove`], for a parsed path.
    pub fn remove_at(&mut self, path: &Path) {
        if let Some(node) = self.tree.place(path.iter()) {
            self.tree.remove(node);
        }
    }

    /// Sets the timestamp, in nanoseconds since 1970-01-01 UTC.
    pub fn timestamp(&mut self, ns: i64) {
        self.set("timestamp", ns);
    }

    /// Sets the level.
    pub fn level(&mut self, level: Level) {
        self.set("level", level);
    }

    /// Sets the component or service that logged the record.
    pub fn source(&mut self, source: &str) {
        self.set("source", source);
    }

    /// Sets the message.
    pub fn message(&mut self, message: &str) {
        self.set("message", message);
    }

    /// Adds a label that sinks can select by, if it is missing.
    pub fn route(&mut self, label: &str) {
        if !self.routes.iter().any(|known| self.tree.bytes(*known) == label.as_bytes()) {
            self.routes.push(self.tree.keep(label));
        }
    }

    /// The value at a path after the changes so far, except for routes.
    pub fn get<'s>(&'s self, record: &Record<'s>, path: &Path) -> Option<Value<'s>> {
        let mut branch = self.tree.root();
        let mut there = Some(Value::Map(record.map()));
        let mut keys = path.iter();
        while let Some(key) = keys.next() {
            there = if branch.fresh { None } else { there.and_then(|value| value.step(key)) };
            match self.tree.child(branch, key).map(|node| self.tree.change(node)) {
                None => return keys.try_fold(there?, |value, key| value.step(key)),
                Some(Change::Remove) => return None,
                Some(Change::Set(value)) => {
                    return keys.try_fold(self.tree.value(value)?, |value, key| value.step(key));
                }
                Some(Change::Below(below)) => branch = below,
            }
        }
        // The path ends at a map that was changed only in parts.
        there
    }

    /// Writes the changes to a record as a merge patch. Returns whether there are
    /// any; if not, nothing is written.
    pub fn write_patch(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> bool {
        self.settle_routes(record);
        self.tree.write_patch(record.map(), out)
    }

    /// Writes the whole record with the changes applied.
    pub fn write_record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.settle_routes(record);
        self.tree.write_whole(record.map(), out);
    }

    /// Converts the added labels to a change of the list `routes`.
    fn settle_routes(&mut self, record: &Record<'_>) {
        if self.routes.is_empty() {
            return;
        }
        let list = self.get(record, &Path::of(["routes"])).and_then(|value| value.as_array());
        let mut labels: Vec<&str> = list.into_iter().flat_map(|list| list.iter()).filter_map(|v| v.as_str()).collect();
        let before = labels.len();
        for label in &self.routes {
            let label = self.tree.text(*label);
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        if labels.len() > before {
            let mut list = Vec::new();
            labels.encode(&mut list);
            let node = self.tree.place_at("routes");
            self.tree.set(node, Value::read(&list).map(|(list, _)| list));
        }
        self.routes.clear();
    }
}
