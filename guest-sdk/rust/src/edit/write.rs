//! Writes the tree of an edit: as a merge patch, or applied to the record.

use std::cell::OnceCell;

use super::tree::{Branch, Change, NodeId, Tree};
use crate::encode::{self, Encode, Open};
use crate::value::{Array, Map, Value};

/// The record's existing value at a path. It is looked up only if needed, and
/// only once: most changes don't depend on it.
struct Existing<'p, 'r> {
    above: Option<(&'p Existing<'p, 'r>, &'p [u8])>,
    value: OnceCell<Option<Value<'r>>>,
}

impl<'p, 'r> Existing<'p, 'r> {
    fn record(map: Map<'r>) -> Self {
        Existing { above: None, value: OnceCell::from(Some(Value::Map(map))) }
    }

    fn below(&'p self, key: &'p [u8]) -> Self {
        Existing { above: Some((self, key)), value: OnceCell::new() }
    }

    fn get(&self) -> Option<Value<'r>> {
        *self.value.get_or_init(|| {
            let (above, key) = self.above?;
            above.map()?.find(key).and_then(Value::peek)
        })
    }

    fn map(&self) -> Option<Map<'r>> {
        self.get().and_then(|value| value.as_map())
    }
}

impl Tree {
    /// Writes the changes as a merge patch. Returns whether there are any; if
    /// not, nothing is written.
    pub fn write_patch(&self, record: Map<'_>, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let open = Open::begin(out);
        let count = self.write_changes(self.root(), &Existing::record(record), out);
        if count == 0 {
            out.truncate(start);
            return false;
        }
        open.end_map(out, count);
        true
    }

    /// Writes the record with the changes applied.
    pub fn write_whole(&self, record: Map<'_>, out: &mut Vec<u8>) {
        self.write_branch(self.root(), Some(Value::Map(record)), out);
    }

    /// Writes the changed keys without a header; returns their number.
    fn write_changes(&self, branch: Branch, there: &Existing<'_, '_>, out: &mut Vec<u8>) -> usize {
        let mut count = 0;
        for node in self.children(branch) {
            let start = out.len();
            let key = self.key(node);
            encode::str_bytes(out, key);
            if !self.write_change(node, &there.below(key), out) {
                out.truncate(start);
                if !branch.fresh || there.map().is_none_or(|map| map.find(key).is_none()) {
                    continue;
                }
                // The new value is absent, so the existing one must be removed.
                encode::str_bytes(out, key);
                encode::nil(out);
            }
            count += 1;
        }
        if branch.fresh {
            for (key, _) in there.map().into_iter().flat_map(|map| map.iter()) {
                if self.child(branch, key).is_none() {
                    encode::str(out, key);
                    encode::nil(out);
                    count += 1;
                }
            }
        }
        count
    }

    /// Writes the value with which a merge patch produces the intended result.
    /// Returns false if there is nothing to do; what was written is then useless.
    fn write_change(&self, node: NodeId, there: &Existing<'_, '_>, out: &mut Vec<u8>) -> bool {
        match self.change(node) {
            Change::Remove => {
                encode::nil(out);
                there.get().is_some()
            }
            Change::Set(span) => {
                match self.value(span) {
                    Some(Value::Map(new)) if let Some(old) = there.map() => write_replacement(old, new, out),
                    _ => encode::append(out, self.bytes(span)),
                }
                true
            }
            Change::Below(branch)
                if self.changes_list(branch)
                    && let Some(Value::Array(list)) = there.get() =>
            {
                self.write_list(branch, list, out);
                true
            }
            Change::Below(branch) => {
                let open = Open::begin(out);
                let count = self.write_changes(branch, there, out);
                open.end_map(out, count);
                count > 0 || branch.fresh
            }
        }
    }

    /// Writes the resulting value of a node. Returns false, with nothing written,
    /// if there is none.
    fn write_node(&self, node: NodeId, there: Option<Value<'_>>, out: &mut Vec<u8>) -> bool {
        match self.change(node) {
            Change::Remove => false,
            Change::Set(span) => {
                encode::append(out, self.bytes(span));
                true
            }
            Change::Below(branch) => self.write_branch(branch, there, out),
        }
    }

    fn write_branch(&self, branch: Branch, there: Option<Value<'_>>, out: &mut Vec<u8>) -> bool {
        if let Some(Value::Array(list)) = there
            && self.changes_list(branch)
        {
            self.write_list(branch, list, out);
            return true;
        }
        let map = there.filter(|_| !branch.fresh).and_then(|value| value.as_map());
        let start = out.len();
        let open = Open::begin(out);
        let mut count = 0;
        for (key, value) in map.into_iter().flat_map(|map| map.iter()) {
            count += usize::from(self.write_entry(key.as_bytes(), self.child(branch, key), Some(value), out));
        }
        for node in self.children(branch) {
            let key = self.key(node);
            if map.is_none_or(|map| map.find(key).is_none()) {
                count += usize::from(self.write_entry(key, Some(node), None, out));
            }
        }
        if count > 0 || branch.fresh || map.is_some() {
            open.end_map(out, count);
            return true;
        }
        // Only removals, below a value that has nothing to remove.
        out.truncate(start);
        if let Some(value) = there {
            value.encode(out);
        }
        there.is_some()
    }

    fn write_entry(&self, key: &[u8], node: Option<NodeId>, value: Option<Value<'_>>, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        encode::str_bytes(out, key);
        let written = match (node, value) {
            (Some(node), value) => self.write_node(node, value, out),
            (None, Some(value)) => {
                value.encode(out);
                true
            }
            (None, None) => false,
        };
        if !written {
            out.truncate(start);
        }
        written
    }

    /// Whether a branch changes an existing list, rather than creating a map.
    fn changes_list(&self, branch: Branch) -> bool {
        !branch.fresh && self.children(branch).all(|node| is_index(self.key(node)))
    }

    fn write_list(&self, branch: Branch, list: Array<'_>, out: &mut Vec<u8>) {
        let open = Open::begin(out);
        let mut count = 0;
        let last = list.iter().map(Some).chain([None]);
        for (index, value) in last.enumerate() {
            count += usize::from(match (self.child(branch, &index.to_string()), value) {
                (None, None) => false,
                (None, Some(value)) => {
                    value.encode(out);
                    true
                }
                (Some(node), value) => self.write_node(node, value, out),
            });
        }
        open.end_array(out, count);
    }
}

fn is_index(key: &[u8]) -> bool {
    !key.is_empty() && key.iter().all(u8::is_ascii_digit)
}

/// Writes a patch that replaces `old` with exactly `new`.
fn write_replacement(old: Map<'_>, new: Map<'_>, out: &mut Vec<u8>) {
    let open = Open::begin(out);
    let mut count = 0;
    for (key, value) in new.iter() {
        encode::str(out, key);
        match (old.get(key), value) {
            (Some(Value::Map(old)), Value::Map(new)) => write_replacement(old, new, out),
            _ => value.encode(out),
        }
        count += 1;
    }
    for (key, _) in old.iter().filter(|(key, _)| new.get(key).is_none()) {
        encode::str(out, key);
        encode::nil(out);
        count += 1;
    }
    open.end_map(out, count);
}
