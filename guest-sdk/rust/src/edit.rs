//! Changes to a record, collected and then written as a patch.
//!
//! An [`Edit`] is a tree of the keys that change. What it writes is an RFC 7396
//! merge patch: only the changed keys and the maps on the way to them, so that
//! the rest of the record stays byte for byte as it was.
//!
//! A merge patch can't do two things, and this module hides both:
//! - It can't reach into a list: a change inside one sends the whole list.
//! - It merges maps: setting a map where one stands sends nulls for the keys
//!   that must go.
//!
//! In a merge patch null removes. So setting a key to null removes it, and nulls
//! within a map that is set are left out; nulls within lists stay.

use crate::encode::{self, Encode, Open};
use crate::level::Level;
use crate::record::{Path, Record};
use crate::value::Value;

/// The changes to one record, in the order they are made.
#[derive(Debug, Default)]
pub struct Edit {
    root: Branch,
    routes: Vec<String>,
}

#[derive(Debug)]
enum Node {
    Set(Vec<u8>),
    Remove,
    Branch(Branch),
}

#[derive(Debug, Default)]
struct Branch {
    /// Whether nothing of what the record has here remains.
    fresh: bool,
    children: Vec<(String, Node)>,
}

impl Edit {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.root.children.is_empty() && self.routes.is_empty()
    }

    /// Takes back all changes.
    pub fn clear(&mut self) {
        self.root.children.clear();
        self.routes.clear();
    }

    /// Sets the value at a dotted path, making the maps on the way to it. In a
    /// list an index one past the end appends; one further does nothing.
    pub fn set(&mut self, path: &str, value: impl Encode) {
        self.set_at(&Path::parse(path), value);
    }

    /// The same as [`Edit::set`] for a path that was parsed before.
    pub fn set_at(&mut self, path: &Path, value: impl Encode) {
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        let node = if bytes == [0xc0] { Node::Remove } else { Node::Set(bytes) };
        self.root.put(path.keys(), node);
    }

    /// Removes what stands at a dotted path, if anything does. In a list the
    /// values after it move up.
    pub fn remove(&mut self, path: &str) {
        self.remove_at(&Path::parse(path));
    }

    /// The same as [`Edit::remove`] for a path that was parsed before.
    pub fn remove_at(&mut self, path: &Path) {
        self.root.put(path.keys(), Node::Remove);
    }

    /// Sets when it happened, in nanoseconds since 1970-01-01 UTC.
    pub fn timestamp(&mut self, ns: i64) {
        self.set("timestamp", ns);
    }

    /// Sets how severe it is.
    pub fn level(&mut self, level: Level) {
        self.set("level", level);
    }

    /// Sets the component or service that spoke.
    pub fn source(&mut self, source: &str) {
        self.set("source", source);
    }

    /// Sets what it said.
    pub fn message(&mut self, message: &str) {
        self.set("message", message);
    }

    /// Adds a label for sinks to select by, if it is not there yet.
    pub fn route(&mut self, label: &str) {
        if !self.routes.iter().any(|known| known == label) {
            self.routes.push(label.to_owned());
        }
    }

    /// What stands at a path once the changes so far are made, except routes.
    pub fn get<'s>(&'s self, record: &Record<'s>, path: &Path) -> Option<Value<'s>> {
        let mut branch = &self.root;
        let mut there = Some(Value::Map(record.map()));
        for (depth, key) in path.keys().iter().enumerate() {
            there = if branch.fresh { None } else { there.and_then(|value| value.step(key)) };
            match branch.child(key) {
                None => return path.keys()[depth + 1..].iter().try_fold(there?, |v, k| v.step(k)),
                Some(Node::Remove) => return None,
                Some(Node::Set(bytes)) => {
                    let (value, _) = Value::read(bytes, 0)?;
                    return path.keys()[depth + 1..].iter().try_fold(value, |v, k| v.step(k));
                }
                Some(Node::Branch(deeper)) => branch = deeper,
            }
        }
        // The path ends at a map of which only parts were changed.
        there
    }

    /// Writes the changes to a record as a merge patch. Returns whether the
    /// record had to be changed at all; if not, nothing is written.
    pub fn write_patch(&mut self, record: &Record<'_>, out: &mut Vec<u8>) -> bool {
        self.settle_routes(record);
        let start = out.len();
        let open = Open::begin(out);
        let count = self.root.write_changes(Some(Value::Map(record.map())), out);
        if count == 0 {
            out.truncate(start);
            return false;
        }
        open.end_map(out, count);
        true
    }

    /// Writes the whole record as the changes leave it.
    pub fn write_record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        self.settle_routes(record);
        self.root.write_whole(Some(Value::Map(record.map())), out);
    }

    /// Turns the labels that were added into a change of the list `routes`.
    fn settle_routes(&mut self, record: &Record<'_>) {
        if self.routes.is_empty() {
            return;
        }
        let path = Path::of(["routes"]);
        let list = self.get(record, &path).and_then(|value| value.as_list());
        let known = list.into_iter().flat_map(|list| list.iter());
        let mut labels: Vec<String> = known.filter_map(|label| label.as_str().map(str::to_owned)).collect();
        let before = labels.len();
        for label in &self.routes {
            if !labels.contains(label) {
                labels.push(label.clone());
            }
        }
        self.routes.clear();
        if labels.len() > before {
            self.set_at(&path, labels);
        }
    }
}

impl Branch {
    fn child(&self, key: &str) -> Option<&Node> {
        self.children.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    fn put(&mut self, keys: &[String], node: Node) {
        let Some((key, rest)) = keys.split_first() else {
            return;
        };
        let index = self.children.iter().position(|(name, _)| name == key);
        if rest.is_empty() {
            match index {
                Some(index) => self.children[index].1 = node,
                None => self.children.push((key.clone(), node)),
            }
            return;
        }
        let index = index.unwrap_or_else(|| {
            self.children.push((key.clone(), Node::Branch(Branch::default())));
            self.children.len() - 1
        });
        self.children[index].1.open().put(rest, node);
    }

    /// Writes the keys that change, without a header; returns how many.
    fn write_changes(&self, there: Option<Value<'_>>, out: &mut Vec<u8>) -> usize {
        let mut count = 0;
        for (key, node) in &self.children {
            let start = out.len();
            encode::str(out, key);
            let old = there.and_then(|value| value.step(key));
            if node.write_change(old, out) {
                count += 1;
            } else {
                out.truncate(start);
            }
        }
        if let (true, Some(Value::Map(map))) = (self.fresh, there) {
            for (key, _) in map.iter().filter(|(key, _)| self.child(key).is_none()) {
                encode::str(out, key);
                encode::nil(out);
                count += 1;
            }
        }
        count
    }

    /// Writes what stands here afterwards, whole; false, with nothing written,
    /// when nothing does.
    fn write_whole(&self, there: Option<Value<'_>>, out: &mut Vec<u8>) -> bool {
        if let Some(Value::List(list)) = there
            && self.changes_list()
        {
            self.write_list(list, out);
            return true;
        }
        let map = there.filter(|_| !self.fresh).and_then(|value| value.as_map());
        let start = out.len();
        let open = Open::begin(out);
        let mut count = 0;
        for (key, value) in map.into_iter().flat_map(|map| map.iter()) {
            count += usize::from(write_entry(key, self.child(key), Some(value), out));
        }
        for (key, node) in &self.children {
            if map.is_none_or(|map| map.get(key).is_none()) {
                count += usize::from(write_entry(key, Some(node), None, out));
            }
        }
        if count > 0 || self.fresh || map.is_some() {
            open.end_map(out, count);
            return true;
        }
        // Only removals, below something that has nothing to remove.
        out.truncate(start);
        if let Some(value) = there {
            value.encode(out);
        }
        there.is_some()
    }

    /// Whether it changes a list where one stands, rather than put a map there.
    fn changes_list(&self) -> bool {
        !self.fresh && self.children.iter().all(|(key, _)| key.parse::<usize>().is_ok())
    }

    fn write_list(&self, list: crate::value::List<'_>, out: &mut Vec<u8>) {
        let open = Open::begin(out);
        let mut count = 0;
        let last = list.iter().map(Some).chain([None]);
        for (index, value) in last.enumerate() {
            let node = self.child(&index.to_string());
            count += usize::from(match (node, value) {
                (None, None) | (Some(Node::Remove), _) => false,
                (None, Some(value)) => {
                    value.encode(out);
                    true
                }
                (Some(node), value) => node.write_whole(value, out),
            });
        }
        open.end_list(out, count);
    }
}

impl Node {
    /// The branch below this node; what was set here before becomes its start.
    fn open(&mut self) -> &mut Branch {
        if !matches!(self, Node::Branch(_)) {
            let mut branch = Branch { fresh: true, children: Vec::new() };
            if let Node::Set(bytes) = self {
                let map = Value::read(bytes, 0).and_then(|(value, _)| value.as_map());
                for (key, value) in map.into_iter().flat_map(|map| map.iter()) {
                    let mut bytes = Vec::new();
                    value.encode(&mut bytes);
                    branch.children.push((key.to_owned(), Node::Set(bytes)));
                }
            }
            *self = Node::Branch(branch);
        }
        match self {
            Node::Branch(branch) => branch,
            _ => unreachable!("made a branch above"),
        }
    }

    /// Writes the value that makes a merge patch change `there` into what is
    /// meant; false, with nothing of use written, when there is nothing to do.
    fn write_change(&self, there: Option<Value<'_>>, out: &mut Vec<u8>) -> bool {
        match (self, there) {
            (Node::Remove, None) => false,
            (Node::Remove, Some(_)) => {
                encode::nil(out);
                true
            }
            (Node::Set(bytes), there) => {
                match (Value::read(bytes, 0), there) {
                    (Some((Value::Map(new), _)), Some(Value::Map(old))) => {
                        write_replacement(old, new, out);
                    }
                    _ => out.extend_from_slice(bytes),
                }
                true
            }
            (Node::Branch(branch), Some(Value::List(_))) if branch.changes_list() => branch.write_whole(there, out),
            (Node::Branch(branch), there) => {
                let open = Open::begin(out);
                let count = branch.write_changes(there.filter(|v| v.as_map().is_some()), out);
                open.end_map(out, count);
                count > 0 || branch.fresh
            }
        }
    }

    fn write_whole(&self, there: Option<Value<'_>>, out: &mut Vec<u8>) -> bool {
        match self {
            Node::Remove => false,
            Node::Set(bytes) => {
                out.extend_from_slice(bytes);
                true
            }
            Node::Branch(branch) => branch.write_whole(there, out),
        }
    }
}

fn write_entry(key: &str, node: Option<&Node>, value: Option<Value<'_>>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    encode::str(out, key);
    let written = match (node, value) {
        (Some(node), value) => node.write_whole(value, out),
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

/// A patch that leaves exactly `new` where `old` stands.
fn write_replacement(old: crate::Map<'_>, new: crate::Map<'_>, out: &mut Vec<u8>) {
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
