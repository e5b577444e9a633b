//! The export format of the journal: entries of fields, each `NAME=value` and a line end, or `NAME`, a line end, the
//! length as 64 bits in little-endian order, the value, and a line end. An empty line ends an entry.
//!
//! Invariant: whatever the input, an entry takes at most [`MAX_ENTRY_BYTES`] and one more field. What is more (a core dump
//! is one field) is left out, and the entry says so.

use crate::limits::{MAX_ENTRY_BYTES, MAX_FIELD_NAME_BYTES, MAX_LINE_BYTES};

/// An entry of the journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
    /// Something is left out.
    pub is_cut: bool,
}

impl Entry {
    /// The value of a field; of several, the last.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().rev().find(|(field, _)| field == name.as_bytes()).map(|(_, value)| &value[..])
    }

    /// All fields, in the order of the journal.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    pub fn cursor(&self) -> Option<&[u8]> {
        self.get("__CURSOR")
    }

    pub fn message(&self) -> &[u8] {
        self.get("MESSAGE").unwrap_or_default()
    }

    fn add(&mut self, name: Vec<u8>, value: Vec<u8>) {
        if self.bytes >= MAX_ENTRY_BYTES {
            self.is_cut = true;
            return;
        }
        self.bytes += name.len() + value.len();
        self.fields.push((name, value));
    }
}

/// Reads entries from bytes as they arrive.
#[derive(Default)]
pub(super) struct Export {
    state: State,
    name: Vec<u8>,
    value: Vec<u8>,
    entry: Entry,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Name,
    Text,
    /// How many bytes of the length are known, and their value.
    Length(u32, u64),
    /// How many bytes of the value are missing.
    Binary(u64),
    /// The line end after a binary value.
    End,
}

impl Export {
    /// Calls `each` with every entry that these bytes complete.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Entry)) {
        while let Some((first, rest)) = bytes.split_first() {
            match self.state {
                State::Name => {
                    bytes = rest;
                    match first {
                        b'\n' if self.name.is_empty() => each(std::mem::take(&mut self.entry)),
                        b'\n' => self.state = State::Length(0, 0),
                        b'=' => self.state = State::Text,
                        byte if self.name.len() < MAX_FIELD_NAME_BYTES => self.name.push(*byte),
                        _ => self.entry.is_cut = true,
                    }
                }
                State::Text => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    self.keep(&bytes[..end.unwrap_or(bytes.len())]);
                    bytes = end.map_or(&[], |end| &bytes[end + 1..]);
                    if end.is_some() {
                        self.end_field();
                    }
                }
                State::Length(known, length) => {
                    bytes = rest;
                    let length = length | u64::from(*first) << (8 * known);
                    self.state = match known {
                        7 if length == 0 => State::End,
                        7 => State::Binary(length),
                        _ => State::Length(known + 1, length),
                    };
                }
                State::Binary(missing) => {
                    let taken = usize::try_from(missing).map_or(bytes.len(), |missing| missing.min(bytes.len()));
                    self.keep(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    let missing = missing - taken as u64;
                    self.state = if missing == 0 { State::End } else { State::Binary(missing) };
                }
                State::End => {
                    bytes = rest;
                    self.end_field();
                }
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(MAX_LINE_BYTES - self.value.len());
        self.value.extend_from_slice(&bytes[..kept]);
        self.entry.is_cut |= kept < bytes.len();
    }

    fn end_field(&mut self) {
        self.entry.add(std::mem::take(&mut self.name), std::mem::take(&mut self.value));
        self.state = State::Name;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<Entry> {
        let (mut export, mut entries) = (Export::default(), Vec::new());
        for chunk in chunks {
            export.push(chunk, |entry| entries.push(entry));
        }
        entries
    }

    #[test]
    fn entries_are_the_same_wherever_the_bytes_are_cut() {
        let text = b"__CURSOR=s=1;i=2\nMESSAGE\n\x05\0\0\0\0\0\0\0a\n\xff=\n\nEMPTY=\nNONE\n\0\0\0\0\0\0\0\0\n\nMESSAGE=next\n\n";
        for at in 0..=text.len() {
            let entries = read(&[&text[..at], &text[at..]]);
            let [first, second] = &entries[..] else { panic!("cut at {at}: {entries:?}") };
            assert_eq!(first.cursor(), Some(&b"s=1;i=2"[..]), "cut at {at}");
            assert_eq!(first.message(), b"a\n\xff=\n");
            assert_eq!((first.get("EMPTY"), first.get("NONE")), (Some(&b""[..]), Some(&b""[..])));
            assert_eq!((second.message(), second.cursor(), second.is_cut), (&b"next"[..], None, false));
        }
    }

    #[test]
    fn what_is_too_large_is_left_out_and_what_follows_is_read() {
        let huge = 3 * MAX_LINE_BYTES;
        let mut text = [b"COREDUMP\n".to_vec(), (huge as u64).to_le_bytes().to_vec(), vec![b'\n'; huge]].concat();
        text.extend_from_slice(b"\nMESSAGE=crashed\n");
        for number in 0..100 {
            text.extend_from_slice(format!("F{number}={}\n", "x".repeat(MAX_LINE_BYTES / 2)).as_bytes());
        }
        text.extend_from_slice(b"\nMESSAGE=next\n\n");
        let chunks: Vec<&[u8]> = text.chunks(1000).collect();
        let entries = read(&chunks);
        let sizes: Vec<_> = entries.iter().map(|entry| (entry.is_cut, entry.bytes < 2 * MAX_ENTRY_BYTES)).collect();
        assert_eq!(sizes, [(true, true), (false, true)]);
        assert_eq!((entries[0].message(), entries[1].message()), (&b"crashed"[..], &b"next"[..]));
    }
}
