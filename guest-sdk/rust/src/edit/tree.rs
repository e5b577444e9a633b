//! The changed keys, as a tree in two buffers: the nodes, and the bytes of keys
//! and values. Both are cleared for the next record, not freed.
//!
//! A replaced node stays in place, and so do its bytes: positions never change
//! while a record is edited.

use weir_wire::path::keys;
use weir_wire::token::same_text;

use crate::encode::{self, Encode};
use crate::value::Value;

/// The tree; its first node is the record, once there is a change.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    /// The bytes of keys, values and labels, which spans refer to.
    bytes: Vec<u8>,
}

/// A key of a map, and its change.
#[derive(Debug)]
struct Node {
    key: Span,
    change: Change,
    /// The next node in the same map.
    next: Option<NodeId>,
}

/// The index of a node in the tree.
pub type NodeId = usize;

const ROOT: NodeId = 0;

/// The change of a key's value.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// The value is replaced with this MessagePack.
    Set(Span),
    Remove,
    /// These keys of the value change.
    Below(Branch),
}

/// The changed keys of a map.
#[derive(Clone, Copy, Debug, Default)]
pub struct Branch {
    /// Whether the existing value is replaced completely.
    pub fresh: bool,
    first: Option<NodeId>,
    last: Option<NodeId>,
}

/// A range of the bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    start: usize,
    end: usize,
}

impl Tree {
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn clear(&mut self) {
        self.nodes.clear();
        self.bytes.clear();
    }

    /// The changes of the record's top-level keys.
    pub fn root(&self) -> Branch {
        match self.nodes.first() {
            Some(Node { change: Change::Below(branch), .. }) => *branch,
            _ => Branch::default(),
        }
    }

    /// The nodes of a map, in the order in which their keys were first used.
    pub fn children(&self, branch: Branch) -> impl Iterator<Item = NodeId> {
        std::iter::successors(branch.first, |node| self.nodes[*node].next)
    }

    pub fn child(&self, branch: Branch, key: &str) -> Option<NodeId> {
        self.children(branch).find(|node| same_text(self.key(*node), key.as_bytes()))
    }

    /// The key of a node as text.
    pub fn key(&self, node: NodeId) -> &[u8] {
        self.bytes(self.nodes[node].key)
    }

    pub fn change(&self, node: NodeId) -> Change {
        self.nodes[node].change
    }

    pub fn bytes(&self, span: Span) -> &[u8] {
        &self.bytes[span.start..span.end]
    }

    /// A label.
    pub fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }

    /// An encoded value.
    pub fn value(&self, span: Span) -> Option<Value<'_>> {
        Some(Value::read(self.bytes(span))?.0)
    }

    /// Stores a string in the bytes.
    pub fn keep(&mut self, text: &str) -> Span {
        let start = self.bytes.len();
        encode::append(&mut self.bytes, text.as_bytes());
        Span { start, end: self.bytes.len() }
    }

    /// Sets a node to a value; null removes it.
    pub fn set(&mut self, node: NodeId, value: impl Encode) {
        let start = self.bytes.len();
        value.encode(&mut self.bytes);
        self.nodes[node].change = match self.bytes[start..] {
            [0xc0] => Change::Remove,
            _ => Change::Set(Span { start, end: self.bytes.len() }),
        };
    }

    pub fn remove(&mut self, node: NodeId) {
        self.nodes[node].change = Change::Remove;
    }

    /// The node at a dotted path; see [`Tree::place`].
    pub fn place_at(&mut self, path: &str) -> NodeId {
        // Every path has at least one key.
        self.place(keys(path)).unwrap_or(ROOT)
    }

    /// The node at the end of a path, created if missing; the caller sets its
    /// change. The nodes on the path become branches. `None` without any key.
    pub fn place<K: AsRef<str>>(&mut self, keys: impl Iterator<Item = K>) -> Option<NodeId> {
        let mut at = None;
        for key in keys {
            let above = at.unwrap_or(ROOT);
            let branch = self.open(above);
            at = self.child(branch, key.as_ref()).or_else(|| {
                let key = self.keep(key.as_ref());
                Some(self.add(above, Node { key, change: Change::Below(Branch::default()), next: None }))
            });
        }
        at
    }

    /// The branch below a node; a value set there before becomes its initial
    /// content.
    fn open(&mut self, node: NodeId) -> Branch {
        if node == ROOT && self.nodes.is_empty() {
            let change = Change::Below(Branch::default());
            self.nodes.push(Node { key: Span::default(), change, next: None });
        }
        let before = match self.nodes[node].change {
            Change::Below(branch) => return branch,
            before => before,
        };
        self.nodes[node].change = Change::Below(Branch { fresh: true, ..Branch::default() });
        if let Change::Set(span) = before {
            self.take_apart(node, span);
        }
        match self.nodes[node].change {
            Change::Below(branch) => branch,
            _ => unreachable!("made a branch above"),
        }
    }

    /// Creates a node for each key of a map; does nothing for other values.
    fn take_apart(&mut self, above: NodeId, span: Span) {
        let set = self.bytes(span).to_vec();
        let map = Value::read(&set).and_then(|(value, _)| value.as_map());
        for (key, value) in map.into_iter().flat_map(|map| map.iter()) {
            let key = self.keep(key);
            let start = self.bytes.len();
            value.encode(&mut self.bytes);
            let change = Change::Set(Span { start, end: self.bytes.len() });
            self.add(above, Node { key, change, next: None });
        }
    }

    /// Adds a node below a branch.
    fn add(&mut self, above: NodeId, node: Node) -> NodeId {
        let id = self.nodes.len();
        self.nodes.push(node);
        let Change::Below(branch) = &mut self.nodes[above].change else { return id };
        let last = branch.last.replace(id);
        match last {
            Some(last) => self.nodes[last].next = Some(id),
            None => branch.first = Some(id),
        }
        id
    }
}
