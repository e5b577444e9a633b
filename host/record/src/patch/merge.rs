//! RFC 7396 over MessagePack. The record is read only up to the last key that the patch names; everything between
//! changes is copied in one piece.

use std::borrow::Cow;
use std::collections::HashMap;

use smallvec::SmallVec;
use weir_wire::token::{Token, skip, token};

use super::{PatchError, appended, check_removal, set_count, write_checked, write_top};
use crate::arrival::ReadError;
use crate::from_msgpack::{read_key, short_key};
use crate::keys::{MAP, patch_header};
use crate::limits::{MAX_DEPTH, MAX_KEYS_SEARCHED};
use crate::write;

/// Appends a canonical record with a patch, which is a MessagePack map, applied: a value replaces, nil removes, a map
/// is merged. If the patch has a key twice, the last one counts.
pub fn merge_patch(record: &[u8], patch: &[u8], out: &mut Vec<u8>) -> Result<(), PatchError> {
    let Some((Token::Map(len), header)) = token(record) else { return Err(PatchError::Record) };
    appended(out, |out| {
        out.reserve(record.len() + patch.len());
        let start = out.len();
        write::map16_header(out, 0);
        let count = merge(&record[header..], len, &read_patch(patch)?, 1, out)?;
        set_count(out, start, count)
    })
}

/// An entry of a patch: its key and its encoded value.
type Entry<'p> = (Cow<'p, [u8]>, &'p [u8]);

/// The number of keys up to which nothing is allocated; most patches have no more.
const FEW: usize = 4;

/// The entries of a patch, without duplicate keys.
struct Patch<'p> {
    entries: SmallVec<[Entry<'p>; FEW]>,
    /// The index of each key, if there are too many for a linear search.
    places: Option<HashMap<Cow<'p, [u8]>, usize>>,
}

impl Patch<'_> {
    /// Finds a key. Patches usually have keys in the order of the record, so the one at `expected` is tried first.
    #[inline]
    fn find(&self, key: &[u8], expected: usize) -> Option<usize> {
        if self.entries.get(expected).is_some_and(|(name, _)| **name == *key) {
            return Some(expected);
        }
        match &self.places {
            Some(places) => places.get(key).copied(),
            None => self.entries.iter().position(|(name, _)| **name == *key),
        }
    }
}

fn read_patch(patch: &[u8]) -> Result<Patch<'_>, PatchError> {
    let Some((Token::Map(len), mut at)) = token(patch) else {
        return Err(PatchError::Patch("not a map"));
    };
    let mut read = Patch { entries: SmallVec::new(), places: None };
    for _ in 0..len {
        let (key, key_len) = match short_key(&patch[at..]) {
            Some(key) => (Cow::Borrowed(key), 1 + key.len()),
            None => read_key(&patch[at..]).map_err(super::fault)?,
        };
        let value = &patch[at + key_len..];
        let value_len = skip(value).ok_or(super::fault(ReadError::Syntax("cut short")))?;
        at += key_len + value_len;
        let value = &value[..value_len];
        match read.find(&key, usize::MAX) {
            Some(place) => read.entries[place].1 = value,
            None => {
                if let Some(places) = &mut read.places {
                    places.insert(key.clone(), read.entries.len());
                }
                read.entries.push((key, value));
            }
        }
        if read.places.is_none() && read.entries.len() > MAX_KEYS_SEARCHED {
            read.places = Some(read.entries.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect());
        }
    }
    Ok(read)
}

/// Appends the entries of a map with a patch applied, and returns their number. `depth` is the depth of the map.
fn merge(target: &[u8], len: u32, patch: &Patch<'_>, depth: usize, out: &mut Vec<u8>) -> Result<u32, PatchError> {
    let mut count = len;
    let mut named: SmallVec<[bool; FEW]> = SmallVec::from_elem(false, patch.entries.len());
    let mut missing = named.len();
    let (mut at, mut copied, mut expected) = (0, 0, 0);
    for _ in 0..len {
        if missing == 0 {
            break;
        }
        let Some((Token::Str(key), key_len)) = token(&target[at..]) else { return Err(PatchError::Record) };
        let value_at = at + key_len;
        let value_len = skip(&target[value_at..]).ok_or(PatchError::Record)?;
        let end = value_at + value_len;
        if let Some(place) = patch.find(key, expected) {
            expected = place + 1;
            named[place] = true;
            missing -= 1;
            out.extend_from_slice(&target[copied..at]);
            if !merge_value(key, Some(&target[value_at..end]), patch.entries[place].1, depth, out)? {
                count -= 1;
            }
            copied = end;
        }
        at = end;
    }
    out.extend_from_slice(&target[copied..]);
    for ((key, value), _) in patch.entries.iter().zip(named).filter(|(_, named)| !named) {
        count += u32::from(merge_value(key, None, value, depth, out)?);
    }
    Ok(count)
}

/// Appends an entry with a patch applied to its value. Returns false if the entry is removed.
fn merge_value(
    key: &[u8],
    target: Option<&[u8]>,
    patch: &[u8],
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<bool, PatchError> {
    let (first, _) = token(patch).ok_or(PatchError::Patch("cut short"))?;
    if first == Token::Nil {
        if depth == 1 {
            check_removal(key)?;
        }
        return Ok(false);
    }
    write::str_bytes(out, key);
    let Token::Map(_) = first else {
        match depth {
            1 => write_top(key, patch, out)?,
            _ => write_checked(patch, depth + 1, out)?,
        }
        return Ok(true);
    };
    if depth >= MAX_DEPTH {
        return Err(PatchError::TooDeep);
    }
    if depth == 1
        && !matches!(super::reserved_key(key), None | Some(super::ReservedKey::Context | super::ReservedKey::Metadata))
    {
        // This returns the error.
        write_top(key, patch, out)?;
    }
    // A map that replaces another value is written without its nils, as if it were merged into an empty map.
    let (entries, len) = match target.and_then(token) {
        Some((Token::Map(len), header)) => (target.map_or(&[][..], |target| &target[header..]), len),
        _ => (&[][..], 0),
    };
    let header = out.len();
    out.push(MAP[0]);
    let count = merge(entries, len, &read_patch(patch)?, depth + 1, out)?;
    patch_header(out, header, count, MAP);
    Ok(true)
}
