//! Applies many changes to one record in one pass: the parts of the record that the changes reach are parsed into a
//! tree, changed there, and written once.
//!
//! The cost is linear in the size of the record and the changes, except for two bounded parts: list items that move
//! when an earlier one is removed, and labels that are compared with a new one.

use std::borrow::Cow;
use std::collections::HashMap;

use weir_wire::path::next_key;
use weir_wire::token::{Token, skip, token};

use super::{Change, PatchError, ReservedKey, check_removal, reserved_key, set_count, write_checked, write_top};
use crate::limits::{MAX_DEPTH, MAX_KEYS_SEARCHED, MAX_LIST_MOVES, MAX_RECORD_BYTES};
use crate::write;

/// Appends a record with changes applied in order.
pub(super) fn apply(record: &[u8], changes: &[Change<'_>], out: &mut Vec<u8>) -> Result<(), PatchError> {
    let mut tree = Tree::of(record)?;
    changes.iter().try_for_each(|change| tree.apply(change))?;
    tree.write(out)
}

/// A record being changed.
struct Tree<'a> {
    top: Entries<'a>,
    /// Number of entries and items created.
    made: usize,
    /// Number of list items moved or compared.
    moves: usize,
}

/// A value of the changed record.
enum Node<'a> {
    /// Unchanged, as in the record.
    Old(&'a [u8]),
    /// Set by a change, and validated.
    New(Box<[u8]>),
    /// A list that a change reaches into.
    List(Vec<Node<'a>>),
    /// A map that a change reaches into.
    Map(Entries<'a>),
}

/// The entries, in order, of a map that a change reaches into.
#[derive(Default)]
struct Entries<'a> {
    /// Removed entries leave a gap, so that indexes stay valid.
    slots: Vec<Option<(Cow<'a, [u8]>, Node<'a>)>>,
    /// The index of each key, once there are many.
    places: Option<HashMap<Cow<'a, [u8]>, usize>>,
    count: u32,
}

impl<'a> Tree<'a> {
    fn of(record: &'a [u8]) -> Result<Self, PatchError> {
        match Node::Old(record).opened()? {
            Some(Node::Map(top)) => Ok(Self { top, made: 0, moves: 0 }),
            _ => Err(PatchError::Record),
        }
    }

    fn apply(&mut self, change: &Change<'_>) -> Result<(), PatchError> {
        let mut value = Vec::new();
        match *change {
            Change::Set(path, new) => {
                write::value(&mut value, new);
                self.set(path, &value)
            }
            Change::Remove(path) => self.remove(path),
            Change::Level(level) => {
                write::str(&mut value, level.as_str());
                self.set("level", &value)
            }
            Change::Message(message) => {
                write::str(&mut value, message);
                self.set("message", &value)
            }
            Change::Route(label) => self.add_route(label),
        }
    }

    fn set(&mut self, path: &str, value: &[u8]) -> Result<(), PatchError> {
        let (key, rest) = next_key(path);
        let key = key.as_bytes();
        let own = reserved_key(key);
        let node = self.top.place(key, &mut self.made);
        let Some(rest) = rest else {
            let mut checked = Vec::new();
            write_top(key, value, &mut checked)?;
            *node = Node::New(checked.into());
            return self.check_size();
        };
        set_below(node, rest, value, &mut self.made)?;
        // Checks that a reserved key still has a valid value.
        let fits = match own {
            None => true,
            Some(ReservedKey::Context | ReservedKey::Metadata) => matches!(node, Node::Map(_)),
            Some(ReservedKey::Routes) => {
                let is_text = matches!(token(value), Some((Token::Str(_), _)));
                matches!(node, Node::List(_)) && is_text && next_key(rest).1.is_none()
            }
            Some(_) => false,
        };
        if !fits {
            let wrong = if matches!(node, Node::Map(_)) { [0x80] } else { [0x90] };
            write_top(key, &wrong, &mut Vec::new())?;
            return Err(PatchError::Patch("list holds something else than text"));
        }
        self.check_size()
    }

    fn remove(&mut self, path: &str) -> Result<(), PatchError> {
        let (key, rest) = next_key(path);
        let key = key.as_bytes();
        let Some(rest) = rest else {
            check_removal(key)?;
            self.top.remove(key);
            return Ok(());
        };
        match self.top.get(key) {
            Some(node) => self.moves += remove_below(node, rest)?,
            None => return Ok(()),
        }
        self.check_moves()
    }

    fn add_route(&mut self, label: &str) -> Result<(), PatchError> {
        let node = self.top.place(b"routes", &mut self.made);
        node.open()?;
        if !matches!(node, Node::List(_)) {
            *node = Node::List(Vec::new());
        }
        if let Node::List(routes) = node {
            self.moves += routes.len();
            if !routes.iter().any(|route| route.is_text(label.as_bytes())) {
                let mut text = Vec::new();
                write::str(&mut text, label);
                routes.push(Node::New(text.into()));
                self.made += 1;
            }
        }
        self.check_moves()?;
        self.check_size()
    }

    fn check_moves(&self) -> Result<(), PatchError> {
        if self.moves > MAX_LIST_MOVES { Err(PatchError::TooManyMoves) } else { Ok(()) }
    }

    /// Every created entry or item takes at least two bytes.
    fn check_size(&self) -> Result<(), PatchError> {
        if self.top.count > u32::from(u16::MAX) {
            return Err(PatchError::TooManyKeys);
        }
        if self.made > MAX_RECORD_BYTES / 2 { Err(PatchError::TooLarge) } else { Ok(()) }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), PatchError> {
        let start = out.len();
        write::map16_header(out, 0);
        self.top.write(out);
        set_count(out, start, self.top.count)
    }
}

/// Sets the value at a path below a node, creating the maps that lead to it.
fn set_below<'a>(mut node: &mut Node<'a>, mut path: &str, value: &[u8], made: &mut usize) -> Result<(), PatchError> {
    // The depth of the node if it is a list or map.
    for depth in 2..=MAX_DEPTH {
        let (key, rest) = next_key(path);
        node.open()?;
        if !matches!(node, Node::List(_) | Node::Map(_)) {
            *node = Node::Map(Entries::default());
        }
        let place = match node {
            Node::Map(entries) => entries.place(key.as_bytes(), made),
            Node::List(items) => {
                let index = index(&key).filter(|index| *index <= items.len());
                let index = index.ok_or_else(|| PatchError::NoIndex(key.into_owned()))?;
                if index == items.len() {
                    items.push(Node::Map(Entries::default()));
                    *made += 1;
                }
                &mut items[index]
            }
            // It was converted to a map.
            Node::Old(_) | Node::New(_) => return Err(PatchError::Record),
        };
        let Some(rest) = rest else {
            let mut checked = Vec::with_capacity(value.len());
            write_checked(value, depth + 1, &mut checked)?;
            *place = Node::New(checked.into());
            return Ok(());
        };
        (node, path) = (place, rest);
    }
    Err(PatchError::TooDeep)
}

/// Removes the value at a path below a node, if there is one. Returns the number of items that moved.
fn remove_below(mut node: &mut Node<'_>, mut path: &str) -> Result<usize, PatchError> {
    for _ in 2..=MAX_DEPTH {
        let (key, rest) = next_key(path);
        node.open()?;
        let below = match (node, rest) {
            (Node::Map(entries), None) => {
                entries.remove(key.as_bytes());
                return Ok(0);
            }
            (Node::Map(entries), Some(_)) => entries.get(key.as_bytes()),
            (Node::List(items), None) => {
                let Some(index) = index(&key).filter(|index| *index < items.len()) else { return Ok(0) };
                items.remove(index);
                return Ok(items.len() - index);
            }
            (Node::List(items), Some(_)) => index(&key).and_then(|index| items.get_mut(index)),
            (Node::Old(_) | Node::New(_), _) => return Ok(0),
        };
        let (Some(below), Some(rest)) = (below, rest) else { return Ok(0) };
        (node, path) = (below, rest);
    }
    Err(PatchError::TooDeep)
}

fn index(key: &str) -> Option<usize> {
    usize::try_from(key.parse::<u32>().ok()?).ok()
}

impl<'a> Node<'a> {
    /// Parses a list or map into nodes, unless it already is.
    fn open(&mut self) -> Result<(), PatchError> {
        if let Some(opened) = self.opened()? {
            *self = opened;
        }
        Ok(())
    }

    fn opened(&self) -> Result<Option<Node<'a>>, PatchError> {
        match self {
            Self::Old(value) => take_apart(value, Node::Old, Cow::Borrowed),
            Self::New(value) => take_apart(value, |part| Node::New(part.into()), |key| Cow::Owned(key.to_vec())),
            Self::List(_) | Self::Map(_) => Ok(None),
        }
    }

    fn is_text(&self, text: &[u8]) -> bool {
        let value = match self {
            Self::Old(value) => value,
            Self::New(value) => &value[..],
            Self::List(_) | Self::Map(_) => return false,
        };
        matches!(token(value), Some((Token::Str(found), _)) if found == text)
    }

    /// The recursion is limited by the depth of the record.
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Old(value) => out.extend_from_slice(value),
            Self::New(value) => out.extend_from_slice(value),
            Self::List(items) => {
                write::array_header(out, items.len() as u32);
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(entries) => {
                write::map_header(out, entries.count);
                entries.write(out);
            }
        }
    }
}

/// The parts of a list or map; nothing for other values.
fn take_apart<'v, 'a>(
    value: &'v [u8],
    part: impl Fn(&'v [u8]) -> Node<'a>,
    own: impl Fn(&'v [u8]) -> Cow<'a, [u8]>,
) -> Result<Option<Node<'a>>, PatchError> {
    let (first, mut at) = token(value).ok_or(PatchError::Record)?;
    let next = |at: &mut usize| {
        let rest = value.get(*at..).ok_or(PatchError::Record)?;
        let length = skip(rest).ok_or(PatchError::Record)?;
        *at += length;
        Ok(&rest[..length])
    };
    match first {
        Token::Array(len) => {
            let items: Result<_, PatchError> = (0..len).map(|_| next(&mut at).map(&part)).collect();
            Ok(Some(Node::List(items?)))
        }
        Token::Map(len) => {
            let mut entries = Entries::default();
            for _ in 0..len {
                let Some((Token::Str(key), _)) = token(next(&mut at)?) else { return Err(PatchError::Record) };
                entries.push(own(key), part(next(&mut at)?));
            }
            Ok(Some(Node::Map(entries)))
        }
        _ => Ok(None),
    }
}

impl<'a> Entries<'a> {
    fn push(&mut self, key: Cow<'a, [u8]>, node: Node<'a>) {
        if self.slots.len() == MAX_KEYS_SEARCHED {
            let keys = self.slots.iter().enumerate().rev();
            self.places = Some(keys.filter_map(|(at, slot)| Some((slot.as_ref()?.0.clone(), at))).collect());
        }
        if let Some(places) = &mut self.places {
            places.entry(key.clone()).or_insert(self.slots.len());
        }
        if self.slots.is_empty() {
            // A map created on the way to a value has one entry.
            self.slots.reserve_exact(1);
        }
        self.slots.push(Some((key, node)));
        self.count += 1;
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(key).copied(),
            None => self.slots.iter().position(|slot| slot.as_ref().is_some_and(|(name, _)| **name == *key)),
        }
    }

    fn get(&mut self, key: &[u8]) -> Option<&mut Node<'a>> {
        let at = self.find(key)?;
        self.slots[at].as_mut().map(|(_, node)| node)
    }

    /// The value of a key; an empty map if there was none.
    fn place(&mut self, key: &[u8], made: &mut usize) -> &mut Node<'a> {
        let at = self.find(key).unwrap_or_else(|| {
            *made += 1;
            self.push(Cow::Owned(key.to_vec()), Node::Map(Entries::default()));
            self.slots.len() - 1
        });
        let (_, node) = self.slots[at].get_or_insert_with(|| (Cow::Owned(key.to_vec()), Node::Map(Entries::default())));
        node
    }

    fn remove(&mut self, key: &[u8]) {
        let Some(at) = self.find(key) else { return };
        if let Some(places) = &mut self.places {
            places.remove(key);
        }
        self.slots[at] = None;
        self.count -= 1;
    }

    fn write(&self, out: &mut Vec<u8>) {
        for (key, node) in self.slots.iter().flatten() {
            write::str_bytes(out, key);
            node.write(out);
        }
    }
}
