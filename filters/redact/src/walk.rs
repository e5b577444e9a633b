//! Walks over the encoded records of a batch.
//!
//! A record without findings costs the walk and one verdict. With findings, the
//! walk writes the patch as it goes:
//! - a map is written with only the keys that change;
//! - a list with a change is written whole, since a merge patch can't reach into
//!   one: the bytes between the changes are copied.
//!
//! Nothing is written before the first finding: the maps that lead to it are
//! remembered, and written with it.

mod headers;

use std::ops::Range;

use weir_guest::encode::{self, Open};
use weir_guest::{Output, Value};

use crate::allow::Allowed;
use crate::keys::KeySet;
use crate::kind::{Finding, Kind};
use crate::limits::MAX_DEPTH;
use crate::mask::Masker;
use crate::patterns::card;
use crate::scan::Scanner;

/// The compiled options.
pub struct Redactor {
    keys: KeySet,
    scanner: Scanner,
    masker: Masker,
    allowed: Allowed,
}

/// The error for bytes that are not a record.
const BROKEN: &str = "a record is not a complete MessagePack map";

/// The position and depth of the walk in a record.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    /// Whether it is the value of a sensitive key, or in such a list. Maps there
    /// are masked as a whole.
    sensitive: bool,
}

impl Place {
    fn below(self, sensitive: bool) -> Self {
        Place { depth: self.depth + 1, sensitive }
    }
}

/// The state of a walk: its input, position and reusable buffers.
struct Walk<'r, 'b> {
    redactor: &'r mut Redactor,
    batch: &'b [u8],
    at: usize,
    found: Vec<Finding>,
    text: Vec<u8>,
    /// The keys from the record to here; tracked only if there is an allow-list.
    path: Vec<Vec<u8>>,
    /// The maps from the record to here, and which of them are in the patch.
    maps: Vec<PatchMap>,
}

/// A map that is added to the patch when something in it changes.
struct PatchMap {
    /// The offset of its key in the batch; none for the record itself.
    key: Range<usize>,
    /// Set once it is in the patch.
    open: Option<Open>,
}

impl Redactor {
    /// What to mask, and how.
    pub fn new(keys: KeySet, scanner: Scanner, masker: Masker, allowed: Allowed) -> Self {
        Redactor { keys, scanner, masker, allowed }
    }

    /// Processes a batch.
    pub fn redact(&mut self, batch: &[u8], output: &mut Output) -> Result<(), String> {
        let mut walk = Walk {
            redactor: self,
            batch,
            at: 0,
            found: Vec::new(),
            text: Vec::new(),
            path: Vec::new(),
            maps: Vec::new(),
        };
        while walk.at < batch.len() {
            output.patch_if(|out| walk.record(out))?;
        }
        Ok(())
    }

    /// Number of masked findings by kind since the last call.
    pub fn take_counts(&mut self) -> impl Iterator<Item = (Kind, u64)> + use<> {
        self.masker.take_counts()
    }
}

impl Walk<'_, '_> {
    /// Writes the patch of one record. Returns false if there is nothing to
    /// patch.
    fn record(&mut self, out: &mut Vec<u8>) -> Result<bool, String> {
        self.maps.clear();
        let count = self.map_header().ok_or(BROKEN)?;
        let place = Place { depth: 0, sensitive: false };
        Ok(self.patch_map(0..0, count, place, out).ok_or(BROKEN)?)
    }

    /// Patches a map by its changed keys. Returns whether there are any.
    fn patch_map(&mut self, key: Range<usize>, count: usize, place: Place, out: &mut Vec<u8>) -> Option<bool> {
        self.maps.push(PatchMap { key, open: None });
        let changed = self.map(count, place, out)?;
        if let Some(open) = self.maps.pop()?.open {
            open.end_map(out, changed);
        }
        Some(changed > 0)
    }

    /// Copies the bytes before a finding at `at`, after the surrounding maps that
    /// are not in the patch yet.
    fn copy_to(&mut self, at: usize, copied: usize, out: &mut Vec<u8>) {
        for map in self.maps.iter_mut().filter(|map| map.open.is_none()) {
            encode::prefix(out, &self.batch[map.key.start..], map.key.len());
            map.open = Some(Open::begin(out));
        }
        encode::prefix(out, &self.batch[copied..], at - copied);
    }

    /// Walks over the keys of a map, after its header. Returns how many changed.
    fn map(&mut self, count: usize, place: Place, out: &mut Vec<u8>) -> Option<usize> {
        if place.depth > MAX_DEPTH {
            return None;
        }
        let mut changed = 0;
        for _ in 0..count {
            let key_at = self.at;
            let key = self.key()?;
            let value_at = self.at;
            if place.depth == 0 && matches!(key, b"timestamp" | b"level") {
                self.at = self.known_end()?;
                continue;
            }
            let tracked = self.redactor.allowed.any();
            if tracked {
                self.path.push(key.to_vec());
                if self.redactor.allowed.covers(&self.path) {
                    self.path.pop();
                    self.at = self.end_of(value_at)?;
                    continue;
                }
            }
            let sensitive = self.redactor.keys.contains(key);
            let mut copied = key_at;
            let value_changed = match self.short_text() {
                // Most values are short strings: no need to decode the type.
                Some((start, end)) if !sensitive => self.search(start, end, value_at, &mut copied, out),
                _ if !sensitive && self.step_over_scalar() => false,
                _ => self.value(place.below(sensitive), &mut copied, true, out)?,
            };
            changed += usize::from(value_changed);
            if tracked {
                self.path.pop();
            }
        }
        Some(changed)
    }

    /// Searches the text between `start` and `end`, whose value starts at `at`,
    /// and moves past it.
    #[inline]
    fn search(&mut self, start: usize, end: usize, at: usize, copied: &mut usize, out: &mut Vec<u8>) -> bool {
        self.at = end;
        self.redactor.scanner.scan(self.batch, start, end, &mut self.found);
        !self.found.is_empty() && self.write_masked(start, end, at, copied, out)
    }

    /// Processes one value. If it changes, everything from `copied` to it is
    /// copied first, and `copied` moves to its end. In a patch, a map writes only
    /// its changes.
    fn value(&mut self, place: Place, copied: &mut usize, patch: bool, out: &mut Vec<u8>) -> Option<bool> {
        let at = self.at;
        match *self.batch.get(at)? {
            0xa0..=0xbf | 0xc4..=0xc6 | 0xd9..=0xdb => self.text(place.sensitive, copied, out),
            0x80..=0x8f | 0xde | 0xdf => {
                let count = self.map_header()?;
                if place.sensitive {
                    return self.whole_map(at, count, copied, out);
                }
                if !patch {
                    return self.entries(count, place, copied, out);
                }
                let changed = self.patch_map(*copied..at, count, place, out)?;
                *copied = self.at;
                Some(changed)
            }
            0x90..=0x9f | 0xdc | 0xdd => self.list(place, copied, patch, out),
            // Integers from 2^32 on may be card numbers. Taken for one without a sign, a negative one never is.
            0xcf | 0xd3 => self.number(place.sensitive, copied, out),
            // Null, true and false reveal nothing.
            0xc0..=0xc3 => {
                self.at = at + 1;
                Some(false)
            }
            _ => {
                self.at = self.end_of(self.at)?;
                Some(place.sensitive && self.replace(at, copied, out))
            }
        }
    }

    /// Processes the items of a list.
    fn list(&mut self, place: Place, copied: &mut usize, patch: bool, out: &mut Vec<u8>) -> Option<bool> {
        if place.depth > MAX_DEPTH {
            return None;
        }
        let count = self.list_header()?;
        let mut changed = false;
        for _ in 0..count {
            changed |= self.value(place.below(place.sensitive), copied, false, out)?;
        }
        // Nested lists are completed by the outermost one.
        if changed && patch {
            encode::prefix(out, &self.batch[*copied..], self.at - *copied);
            *copied = self.at;
        }
        Some(changed)
    }

    /// Masks a map under a sensitive key, which started at `at`, as a whole,
    /// because its keys may be secrets, too. `copied` moves to its end.
    fn whole_map(&mut self, at: usize, count: usize, copied: &mut usize, out: &mut Vec<u8>) -> Option<bool> {
        self.at = self.end_of(at)?;
        if count == 0 {
            return Some(false);
        }
        self.copy_to(at, *copied, out);
        self.text.clear();
        self.redactor.masker.mask_map(&self.batch[at..self.at], &mut self.text);
        self.write_text(copied, out);
        Some(true)
    }

    /// Processes the keys and values of a map inside a list, which is written
    /// whole.
    fn entries(&mut self, count: usize, place: Place, copied: &mut usize, out: &mut Vec<u8>) -> Option<bool> {
        if place.depth > MAX_DEPTH {
            return None;
        }
        let mut changed = false;
        for _ in 0..count {
            let key = self.key()?;
            let sensitive = self.redactor.keys.contains(key);
            let tracked = self.redactor.allowed.any();
            if tracked {
                self.path.push(key.to_vec());
                if self.redactor.allowed.covers(&self.path) {
                    self.path.pop();
                    self.at = self.end_of(self.at)?;
                    continue;
                }
            }
            changed |= self.value(place.below(sensitive), copied, false, out)?;
            if tracked {
                self.path.pop();
            }
        }
        Some(changed)
    }

    /// Processes text, or bytes that may be text.
    fn text(&mut self, sensitive: bool, copied: &mut usize, out: &mut Vec<u8>) -> Option<bool> {
        let at = self.at;
        let header = self.text_header()?;
        let text = header.read(self)?;
        if sensitive {
            return Some(!text.is_empty() && self.write_mask(text, at, copied, out));
        }
        Some(self.search(self.at - header.len, self.at, at, copied, out))
    }

    /// Writes a text with its findings masked.
    #[cold]
    fn write_masked(&mut self, start: usize, end: usize, at: usize, copied: &mut usize, out: &mut Vec<u8>) -> bool {
        let batch = self.batch;
        let binary = matches!(batch[at], 0xc4..=0xc6);
        let masker = &self.redactor.masker;
        self.found.retain(|finding| !masker.allows(&batch[start + finding.start..start + finding.end]));
        if self.found.is_empty() {
            return false;
        }
        self.copy_to(at, *copied, out);
        let written_at = out.len();
        // The new header usually has the length of the old one.
        let width = start - at;
        encode::prefix(out, &batch[at..], width);
        let mut to = start;
        for finding in &self.found {
            encode::prefix(out, &batch[to..], start + finding.start - to);
            to = start + finding.end;
            self.redactor.masker.mask(&batch[start + finding.start..to], finding.kind, out);
        }
        encode::prefix(out, &batch[to..], end - to);
        let len = out.len() - written_at - width;
        match (binary, width, len) {
            (false, 1, 0..=31) => out[written_at] = 0xa0 | len as u8,
            (false, 2, 32..=0xff) => out[written_at + 1] = len as u8,
            _ => self.write_header(written_at..written_at + width, binary, len, out),
        }
        *copied = self.at;
        true
    }

    /// Replaces the header of a text, whose length may differ.
    fn write_header(&mut self, old: Range<usize>, binary: bool, len: usize, out: &mut Vec<u8>) {
        self.text.clear();
        if binary {
            encode::bin_header(&mut self.text, len);
        } else {
            encode::str_header(&mut self.text, len);
        }
        drop(out.splice(old, self.text.drain(..)));
    }

    /// Processes an integer of eight bytes.
    fn number(&mut self, sensitive: bool, copied: &mut usize, out: &mut Vec<u8>) -> Option<bool> {
        let at = self.at;
        let bytes = self.batch.get(at + 1..at + 9)?;
        self.at = at + 9;
        let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if sensitive {
            return Some(self.replace(at, copied, out));
        }
        if !self.redactor.scanner.finds_cards() || !card::is_card_number(number) {
            return Some(false);
        }
        let digits = number.to_string();
        if self.redactor.masker.allows(digits.as_bytes()) {
            return Some(false);
        }
        self.copy_to(at, *copied, out);
        self.text.clear();
        self.redactor.masker.mask(digits.as_bytes(), Kind::Card, &mut self.text);
        self.write_text(copied, out);
        Some(true)
    }

    /// Masks the whole value between `at` and here because of its key.
    fn replace(&mut self, at: usize, copied: &mut usize, out: &mut Vec<u8>) -> bool {
        let number;
        let bytes = match Value::peek(&self.batch[at..]) {
            Some(Value::Str(text)) => text.as_bytes(),
            Some(Value::Bin(data) | Value::Ext(_, data)) => data,
            Some(Value::Int(n)) => {
                number = n.to_string();
                number.as_bytes()
            }
            Some(Value::UInt(n)) => {
                number = n.to_string();
                number.as_bytes()
            }
            Some(Value::Float(n)) => {
                number = n.to_string();
                number.as_bytes()
            }
            _ => return false,
        };
        self.write_mask(bytes, at, copied, out)
    }

    /// Writes the replacement of a whole value under a sensitive key.
    fn write_mask(&mut self, value: &[u8], at: usize, copied: &mut usize, out: &mut Vec<u8>) -> bool {
        if self.redactor.masker.allows(value) {
            return false;
        }
        self.copy_to(at, *copied, out);
        self.text.clear();
        self.redactor.masker.mask(value, Kind::Key, &mut self.text);
        self.write_text(copied, out);
        true
    }

    /// Writes the current text in place of the value that ends here.
    fn write_text(&mut self, copied: &mut usize, out: &mut Vec<u8>) {
        encode::str_header(out, self.text.len());
        out.extend_from_slice(&self.text);
        *copied = self.at;
    }
}
