//! The keys of a map: fingerprints for detecting duplicates and looking up aliases, and the removal of duplicates. The
//! last one wins.

use std::collections::HashMap;

use weir_wire::token::{Token, skip, token};

use crate::limits::MAX_KEYS_SEARCHED;

/// A hash of a key.
#[inline]
pub(crate) fn fingerprint(key: &[u8]) -> u64 {
    let (first, last) = if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
    } else {
        match *key {
            [] => (0, 0),
            [a] => (u64::from(a), 1),
            [a, b] => (u64::from(a), u64::from(b)),
            _ => (u64::from(key[0]) | u64::from(key[1]) << 8, u64::from(key[2])),
        }
    };
    let mixed = (first ^ last.rotate_left(29) ^ (key.len() as u64) << 57).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

/// The fingerprints of the maps being written, innermost last.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints(Vec<u64>);

impl Fingerprints {
    /// Discards all maps, finished or not.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The keys of one map being written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySet {
    base: usize,
    count: u32,
    seen: u64,
    suspect: bool,
}

impl KeySet {
    /// Starts a map.
    #[inline]
    pub(crate) fn new(fingerprints: &Fingerprints) -> KeySet {
        KeySet { base: fingerprints.0.len(), count: 0, seen: 0, suspect: false }
    }

    /// Adds a key by its fingerprint.
    #[inline]
    pub(crate) fn add(&mut self, print: u64, fingerprints: &mut Fingerprints) {
        self.count += 1;
        let bit = 1 << (print & 63);
        if self.seen & bit != 0 && !self.suspect {
            self.suspect = self.count as usize > MAX_KEYS_SEARCHED || fingerprints.0[self.base..].contains(&print);
        }
        self.seen |= bit;
        fingerprints.0.push(print);
    }

    /// Finishes a map whose entries start at `start` in `out`, and removes all but the last entry of each key. Returns
    /// the number of remaining entries.
    #[inline]
    pub(crate) fn finish(self, fingerprints: &mut Fingerprints, out: &mut Vec<u8>, start: usize) -> u32 {
        fingerprints.0.truncate(self.base);
        if self.suspect { remove_duplicates(out, start, self.count) } else { self.count }
    }
}

#[cold]
fn remove_duplicates(out: &mut Vec<u8>, start: usize, count: u32) -> u32 {
    let entries = out.split_off(start);
    let mut last: HashMap<&[u8], usize> = HashMap::with_capacity(count as usize);
    let mut spans = Vec::with_capacity(count as usize);
    let mut at = 0;
    while let Some((Token::Str(key), key_len)) = entries.get(at..).and_then(token) {
        let Some(value_len) = skip(&entries[at + key_len..]) else { break };
        last.insert(key, at);
        spans.push((key, at, at + key_len + value_len));
        at += key_len + value_len;
    }
    let mut kept = 0;
    for (key, from, to) in spans {
        if last.get(key) == Some(&from) {
            out.extend_from_slice(&entries[from..to]);
            kept += 1;
        }
    }
    kept
}

/// Writes the number of entries or items to a header that has one byte reserved at `at`. Moves what follows if one byte
/// is not enough.
#[inline]
pub(crate) fn patch_header(out: &mut Vec<u8>, at: usize, count: u32, [fix, wide, widest]: [u8; 3]) {
    if count < 16 {
        out[at] = fix | count as u8;
        return;
    }
    let mut header = [0; 5];
    let header = match u16::try_from(count) {
        Ok(count) => {
            header[0] = wide;
            header[1..3].copy_from_slice(&count.to_be_bytes());
            &header[..3]
        }
        Err(_) => {
            header[0] = widest;
            header[1..5].copy_from_slice(&count.to_be_bytes());
            &header[..]
        }
    };
    out.splice(at..=at, header.iter().copied());
}

/// The map markers, by width of the count.
pub(crate) const MAP: [u8; 3] = [0x80, 0xde, 0xdf];
/// The list markers, by width of the count.
pub(crate) const ARRAY: [u8; 3] = [0x90, 0xdc, 0xdd];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write;

    fn written(keys: &[&str]) -> (Vec<u8>, u32) {
        let (mut fingerprints, mut out) = (Fingerprints::default(), vec![7]);
        let mut set = KeySet::new(&fingerprints);
        for (at, key) in keys.iter().enumerate() {
            set.add(fingerprint(key.as_bytes()), &mut fingerprints);
            write::str(&mut out, key);
            write::int(&mut out, at as i64);
        }
        let count = set.finish(&mut fingerprints, &mut out, 1);
        assert!(fingerprints.0.is_empty() && out[0] == 7);
        (out, count)
    }

    #[test]
    fn of_duplicate_keys_the_last_stays() {
        let (out, count) = written(&["a", "b", "a", "c", "a"]);
        assert_eq!(count, 3);
        assert_eq!(out, [7, 0xa1, b'b', 1, 0xa1, b'c', 3, 0xa1, b'a', 4]);
    }

    #[test]
    fn different_keys_all_stay_however_many() {
        let names: Vec<String> = (0..1000).map(|n| format!("key{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(written(&names).1, 1000);
        assert_eq!(written(&[names.as_slice(), &["key500"]].concat()).1, 1000);
    }

    #[test]
    fn headers_grow_with_the_count_and_keep_what_follows() {
        for (count, header) in [(15, &[0x8f][..]), (16, &[0xde, 0, 16]), (65_536, &[0xdf, 0, 1, 0, 0])] {
            let mut out = vec![1, 0, 2, 3];
            patch_header(&mut out, 1, count, MAP);
            assert_eq!(out, [&[1], header, &[2, 3]].concat());
        }
    }
}
