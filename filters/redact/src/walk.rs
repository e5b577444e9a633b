//! Walks over the records of a batch, as bytes.
//!
//! A record in which nothing is found costs the walk, and one verdict. When
//! something is found the walk writes the patch as it goes:
//! - in maps only the keys that change are written, with the maps on the way;
//! - a list in which something changes is written whole, since a merge patch
//!   can't reach into one: the bytes between the changes are copied.
//!
//! Nothing at all is written before the first finding: the maps on the way to it
//! are remembered, and written with it.

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

/// Everything that is known about what to mask.
pub struct Redactor {
    keys: KeySet,
    scanner: Scanner,
    masker: Masker,
    allowed: Allowed,
}

/// What the bytes are no record for.
const BROKEN: &str = "a record is no whole MessagePack map";

/// Where and how deep in a record the walk is.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    /// Whether it is the value of a sensitive key, or in a list that is. Maps there are not walked through.
    sensitive: bool,
}

impl Place {
    fn below(self, sensitive: bool) -> Self {
        Place { depth: self.depth + 1, sensitive }
    }
}

/// One walk: what it reads, where it is, and what it uses again and again.
struct Walk<'r, 'b> {
    redactor: &'r mut Redactor,
    batch: &'b [u8],
    at: usize,
    found: Vec<Finding>,
    text: Vec<u8>,
    /// The keys from the record to here; kept only if there is an allow-list.
    path: Vec<Vec<u8>>,
    /// The maps from the record to here, as far as they are in the patch.
    maps: Vec<PatchMap>,
}

/// A map that enters the patch when something in it changes.
struct PatchMap {
    /// Where its key stands in the batch; for the record itself, nothing.
    key: Range<usize>,
    /// Once it is in the patch.
    open: Option<Open>,
}

impl Redactor {
    /// What to mask where, and how.
    pub fn new(keys: KeySet, scanner: Scanner, masker: Masker, allowed: Allowed) -> Self {
        Redactor { keys, scanner, masker, allowed }
    }

    /// Decides about a batch.
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

    /// How many findings of each kind were masked since the last call.
    pub fn take_counts(&mut self) -> impl Iterator<Item = (Kind, u64)> + use<> {
        self.masker.take_counts()
    }
}

impl Walk<'_, '_> {
    /// Writes the patch of one record; false if there is nothing to patch.
    fn record(&mut self, out: &mut Vec<u8>) -> Result<bool, String> {
        self.maps.clear();
        let count = self.map_header().ok_or(BROKEN)?;
        let place = Place { depth: 0, sensitive: false };
        Ok(self.patch_map(0..0, count, place, out).ok_or(BROKEN)?)
    }

    /// A map of which only what changes is written; whether anything does.
    fn patch_map(&mut self, key: Range<usize>, count: usize, place: Place, out: &mut Vec<u8>) -> Option<bool> {
        self.maps.push(PatchMap { key, open: None });
        let changed = self.map(count, place, out)?;
        if let Some(open) = self.maps.pop()?.open {
            open.end_map(out, changed);
        }
        Some(changed > 0)
    }

    /// Copies what stands before a finding at `at`, after the maps around it that
    /// are not in the patch yet.
    fn copy_to(&mut self, at: usize, copied: usize, out: &mut Vec<u8>) {
        for map in self.maps.iter_mut().filter(|map| map.open.is_none()) {
            encode::prefix(out, &self.batch[map.key.start..], map.key.len());
            map.open = Some(Open::begin(out));
        }
        encode::prefix(out, &self.batch[copied..], at - copied);
    }

    /// The keys of a map whose header was read; returns how many changed.
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
                // Most values are such texts: no need to ask what they are.
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

    /// Searches the text between `start` and `end`, whose value begins at `at`,
    /// and moves behind it.
    #[inline]
    fn search(&mut self, start: usize, end: usize, at: usize, copied: &mut usize, out: &mut Vec<u8>) -> bool {
        self.at = end;
        self.redactor.scanner.scan(self.batch, start, end, &mut self.found);
        !self.found.is_empty() && self.write_masked(start, end, at, copied, out)
    }

    /// One value. If something in it changes, everything from `copied` to it is
    /// copied first, and `copied` moves to its end. In a patch a map writes only
    /// what changes.
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
            // Beginning with 2^32, where numbers may be those of cards.
            0xcf => self.number(place.sensitive, copied, out),
            // Nothing, true and false say nothing.
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

    /// The values of a list.
    fn list(&mut self, place: Place, copied: &mut usize, patch: bool, out: &mut Vec<u8>) -> Option<bool> {
        if place.depth > MAX_DEPTH {
            return None;
        }
        let count = self.list_header()?;
        let mut changed = false;
        for _ in 0..count {
            changed |= self.value(place.below(place.sensitive), copied, false, out)?;
        }
        // The innermost lists are finished by the outermost.
        if changed && patch {
            encode::prefix(out, &self.batch[*copied..], self.at - *copied);
            *copied = self.at;
        }
        Some(changed)
    }

    /// A map below a sensitive key, which began at `at`. Its keys may be secrets as well as its values are: `copied`
    /// moves behind all of it, and one mask stands in its place.
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

    /// The keys and values of a map inside a list, which is written whole.
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

    /// A text, or bytes that may be one.
    fn text(&mut self, sensitive: bool, copied: &mut usize, out: &mut Vec<u8>) -> Option<bool> {
        let at = self.at;
        let header = self.text_header()?;
        let text = header.read(self)?;
        if sensitive {
            return Some(!text.is_empty() && self.write_mask(text, at, copied, out));
        }
        Some(self.search(self.at - header.len, self.at, at, copied, out))
    }

    /// Writes a text with what was found in it masked.
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
        // The new header most likely is as long as the old one.
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

    /// Writes the header of a text in place of one that may have another length.
    fn write_header(&mut self, old: Range<usize>, binary: bool, len: usize, out: &mut Vec<u8>) {
        self.text.clear();
        if binary {
            encode::bin_header(&mut self.text, len);
        } else {
            encode::str_header(&mut self.text, len);
        }
        drop(out.splice(old, self.text.drain(..)));
    }

    /// A whole number of eight bytes.
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

    /// Masks the whole value between `at` and here, because of its key.
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

    /// Writes what stands for a whole value, whose key is sensitive.
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

    /// Writes the text at hand in place of the value that ends here.
    fn write_text(&mut self, copied: &mut usize, out: &mut Vec<u8>) {
        encode::str_header(out, self.text.len());
        out.extend_from_slice(&self.text);
        *copied = self.at;
    }
}
