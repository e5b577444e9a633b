//! The record that each stream holds while it waits for the next line.
//!
//! Invariants: at most `max_streams` streams and `MAX_HELD_BYTES`. Without room,
//! a record goes on unjoined.

use std::collections::HashMap;

use weir_guest::Level;
use weir_guest::hash::Seeded;

use crate::limits::{LINE_OVERHEAD_BYTES, MAX_HELD_BYTES};
use crate::lines::Position;

/// A held line.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    pub id: u64,
    pub text: &'a str,
    /// The size of its record in bytes.
    pub record_bytes: usize,
}

/// A record that waits for more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// When the latest line arrived, by the host's clock.
    pub latest_ns: i64,
    pub position: Position,
    /// The record of the first line.
    pub record: Vec<u8>,
    /// The ids of all lines; at least one.
    pub ids: Vec<u64>,
    /// The total size of the records of all lines.
    pub record_bytes: usize,
    /// All lines; empty while there is only one.
    pub text: String,
    /// The highest level.
    pub level: Level,
}

impl Waiting {
    /// The memory that it takes in the filter or in Weir, whichever is more.
    fn bytes(&self) -> usize {
        self.record_bytes.max(self.record.len() + self.text.len()) + self.ids.len() * LINE_OVERHEAD_BYTES
    }
}

/// All waiting records, by the key of their stream.
#[derive(Debug)]
pub struct Streams {
    max_streams: usize,
    waiting: HashMap<Box<[u8]>, Waiting, Seeded>,
    held_bytes: usize,
}

impl Streams {
    /// `seed` keeps senders from choosing colliding keys.
    pub fn new(max_streams: usize, seed: u64) -> Self {
        Streams { max_streams, waiting: HashMap::with_hasher(Seeded(seed)), held_bytes: 0 }
    }

    /// The waiting record of a stream.
    pub fn get(&self, key: &[u8]) -> Option<&Waiting> {
        self.waiting.get(key)
    }

    /// Adds a line to the waiting record of a stream. Returns false if there is
    /// no room.
    pub fn add(&mut self, key: &[u8], line: Line<'_>, first: &str, change: impl FnOnce(&mut Waiting)) -> bool {
        let Some(waiting) = self.waiting.get_mut(key) else {
            return false;
        };
        let before = waiting.bytes();
        let grows = line.record_bytes.max(first.len() + line.text.len() + 1) + LINE_OVERHEAD_BYTES;
        if self.held_bytes + grows > MAX_HELD_BYTES {
            return false;
        }
        waiting.text.push_str(first);
        waiting.text.push('\n');
        waiting.text.push_str(line.text);
        waiting.ids.push(line.id);
        waiting.record_bytes += line.record_bytes;
        change(waiting);
        self.held_bytes = self.held_bytes + waiting.bytes() - before;
        true
    }

    /// Stores a record for a stream without one. Returns it if there is no room.
    pub fn hold(&mut self, key: &[u8], waiting: Waiting) -> Option<Waiting> {
        let bytes = key.len() + waiting.bytes();
        if self.waiting.len() >= self.max_streams || self.held_bytes + bytes > MAX_HELD_BYTES {
            return Some(waiting);
        }
        self.held_bytes += bytes;
        self.waiting.insert(key.into(), waiting)
    }

    /// Removes the waiting record of a stream.
    pub fn take(&mut self, key: &[u8]) -> Option<Waiting> {
        let (key, waiting) = self.waiting.remove_entry(key)?;
        self.held_bytes -= key.len() + waiting.bytes();
        Some(waiting)
    }

    /// Removes the records that are due, in the order of their latest lines.
    pub fn take_if(&mut self, due: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let held_bytes = &mut self.held_bytes;
        let gone = self.waiting.extract_if(|_, waiting| due(waiting));
        let mut gone: Vec<Waiting> = gone
            .map(|(key, waiting)| {
                *held_bytes -= key.len() + waiting.bytes();
                waiting
            })
            .collect();
        gone.sort_by_key(|waiting| waiting.ids.last().copied());
        gone
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Waiting)> {
        self.waiting.iter().map(|(key, waiting)| (&**key, waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waiting(size: usize) -> Waiting {
        Waiting {
            latest_ns: 0,
            position: Position::Nothing,
            record: vec![0; size],
            ids: vec![1],
            record_bytes: size,
            text: String::new(),
            level: Level::Info,
        }
    }

    proptest! {
        #[test]
        fn the_bytes_that_are_counted_are_those_that_are_held(
            steps in prop::collection::vec((0..6_u8, 0..3_u8, 0..50_usize), 0..80),
            max_streams in 1..5_usize,
        ) {
            let mut streams = Streams::new(max_streams, 7);
            for (key, what, size) in steps {
                match what {
                    0 if streams.get(&[key]).is_none() => drop(streams.hold(&[key], waiting(size))),
                    1 => {
                        let line = Line { id: 2, text: &"x".repeat(size), record_bytes: 20 };
                        streams.add(&[key], line, "first", |_| ());
                    }
                    _ => drop(streams.take(&[key])),
                }
                let held: usize = streams.iter().map(|(key, waiting)| key.len() + waiting.bytes()).sum();
                prop_assert_eq!(held, streams.held_bytes);
                prop_assert!(streams.iter().len() <= max_streams);
            }
            streams.take_if(|_| true);
            prop_assert_eq!(streams.held_bytes, 0);
        }
    }
}
