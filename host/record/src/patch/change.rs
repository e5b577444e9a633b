//! Changes a record by path. A few changes are made one after the other, each in one pass over the record; many are
//! made together, in `many.rs`.

use weir_wire::Value;
use weir_wire::path::next_key;
use weir_wire::token::{Token, skip, skip_many, token};

use super::{PatchError, appended, check_removal, many, reserved_key, set_count, write_checked, write_top};
use crate::keys::{ARRAY, MAP, patch_header};
use crate::level::Level;
use crate::limits::{MAX_CHANGES_BY_COPY, MAX_DEPTH};
use crate::record::Record;
use crate::write;

/// One change to a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change<'a> {
    /// Sets the value at a path, creating the maps that lead to it; a value on the way
    /// that is neither list nor map is replaced. In a list, the index after the last
    /// item appends.
    Set(&'a str, Value<'a>),
    /// Removes the value at a path, if there is one.
    Remove(&'a str),
    /// Sets the level.
    Level(Level),
    /// Sets the message.
    Message(&'a str),
    /// Adds a label that sinks can select by, unless the record has it.
    Route(&'a str),
}

/// Appends a canonical record with changes applied in order.
pub fn apply_changes(record: &[u8], changes: &[Change<'_>], out: &mut Vec<u8>) -> Result<(), PatchError> {
    let Some((Token::Map(_), _)) = token(record) else { return Err(PatchError::Record) };
    appended(out, |out| {
        if changes.len() > MAX_CHANGES_BY_COPY {
            return many::apply(record, changes, out);
        }
        let Some((last, before)) = changes.split_last() else {
            out.extend_from_slice(record);
            return Ok(());
        };
        let mut current = std::borrow::Cow::Borrowed(record);
        for change in before {
            let mut next = Vec::with_capacity(record.len() + 64);
            apply(&current, change, &mut next)?;
            current = std::borrow::Cow::Owned(next);
        }
        apply(&current, last, out)
    })
}

fn apply(record: &[u8], change: &Change<'_>, out: &mut Vec<u8>) -> Result<(), PatchError> {
    let mut value = Vec::new();
    let path = match *change {
        Change::Set(path, new) => {
            write::value(&mut value, new);
            path
        }
        Change::Remove(path) => return edit_record(record, path, None, out),
        Change::Level(level) => {
            write::str(&mut value, level.as_str());
            "level"
        }
        Change::Message(message) => {
            write::str(&mut value, message);
            "message"
        }
        Change::Route(label) => {
            let mut routes: Vec<&str> = Record::new(record).routes().collect();
            if routes.contains(&label) {
                out.extend_from_slice(record);
                return Ok(());
            }
            routes.push(label);
            write::array_header(&mut value, routes.len() as u32);
            routes.iter().for_each(|route| write::str(&mut value, route));
            "routes"
        }
    };
    edit_record(record, path, Some(&value), out)
}

/// Appends a record with a new value at a path, or with the value removed.
fn edit_record(record: &[u8], path: &str, new: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), PatchError> {
    let Some((Token::Map(len), header)) = token(record) else { return Err(PatchError::Record) };
    let (key, rest) = next_key(path);
    let key = key.as_bytes();
    let start = out.len();
    write::map16_header(out, 0);
    let count = edit_entries(&record[header..], len, key, out, |before, out| match (rest, new) {
        (None, Some(value)) => write_top(key, value, out).map(|()| true),
        (None, None) => check_removal(key).map(|()| false),
        (Some(_), _) => edit_below(before, rest, new, 2, out),
    })?;
    set_count(out, start, count)?;
    if rest.is_some() && new.is_some() && reserved_key(key).is_some() {
        recheck(&out[start..], key)?;
    }
    Ok(())
}

/// Checks that a reserved key still has a valid value after a change inside it.
fn recheck(record: &[u8], key: &[u8]) -> Result<(), PatchError> {
    match Record::new(record).map().find(key) {
        Some(value) => write_top(key, value, &mut Vec::new()),
        None => Ok(()),
    }
}

/// Appends a value with a change applied further down. Returns false if the value is removed. `depth` is the depth of
/// the value if it is a list or map.
fn edit_below(
    before: Option<&[u8]>,
    path: Option<&str>,
    new: Option<&[u8]>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<bool, PatchError> {
    let Some(path) = path else {
        return match new {
            Some(value) => write_checked(value, depth, out).map(|()| true),
            None => Ok(false),
        };
    };
    if depth > MAX_DEPTH {
        return Err(PatchError::TooDeep);
    }
    let (key, rest) = next_key(path);
    let (entries, len) = match before.and_then(|value| Some((value, token(value)?))) {
        Some((value, (Token::Map(len), header))) => (&value[header..], len),
        Some((value, (Token::Array(len), header))) => {
            return edit_list(&value[header..], len, &key, rest, new, depth, out);
        }
        Some((value, _)) if new.is_none() => {
            out.extend_from_slice(value);
            return Ok(true);
        }
        None if new.is_none() => return Ok(false),
        _ => (&[][..], 0),
    };
    let header = out.len();
    out.push(MAP[0]);
    let count =
        edit_entries(entries, len, key.as_bytes(), out, |before, out| edit_below(before, rest, new, depth + 1, out))?;
    patch_header(out, header, count, MAP);
    Ok(true)
}

/// Appends the entries of a map with the value of one key replaced. `edit` gets the existing value, and returns whether
/// it appended one.
fn edit_entries(
    entries: &[u8],
    len: u32,
    key: &[u8],
    out: &mut Vec<u8>,
    edit: impl FnOnce(Option<&[u8]>, &mut Vec<u8>) -> Result<bool, PatchError>,
) -> Result<u32, PatchError> {
    let mut at = 0;
    let mut found = None;
    for _ in 0..len {
        let Some((Token::Str(name), key_len)) = token(&entries[at..]) else { return Err(PatchError::Record) };
        let value_at = at + key_len;
        let end = value_at + skip(&entries[value_at..]).ok_or(PatchError::Record)?;
        if name == key {
            found = Some((value_at, end));
            break;
        }
        at = end;
    }
    out.extend_from_slice(&entries[..at]);
    let key_at = out.len();
    write::str_bytes(out, key);
    let stands = edit(found.map(|(from, to)| &entries[from..to]), out)?;
    if !stands {
        out.truncate(key_at);
    }
    out.extend_from_slice(&entries[found.map_or(at, |(_, to)| to)..]);
    Ok(len - u32::from(found.is_some()) + u32::from(stands))
}

fn edit_list(
    items: &[u8],
    len: u32,
    key: &str,
    path: Option<&str>,
    new: Option<&[u8]>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<bool, PatchError> {
    let index = match key.parse::<u32>().ok() {
        Some(index) if index < len || (index == len && new.is_some()) => index,
        _ if new.is_none() => len,
        _ => return Err(PatchError::NoIndex(key.to_owned())),
    };
    let start = skip_many(items, u64::from(index)).ok_or(PatchError::Record)?;
    let before = (index < len).then(|| &items[start..]);
    let old_len = before.map_or(Some(0), skip).ok_or(PatchError::Record)?;
    let header = out.len();
    out.push(ARRAY[0]);
    out.extend_from_slice(&items[..start]);
    let stands = edit_below(before.map(|value| &value[..old_len]), path, new, depth + 1, out)?;
    out.extend_from_slice(&items[start + old_len..]);
    patch_header(out, header, len - u32::from(before.is_some()) + u32::from(stands), ARRAY);
    Ok(true)
}
