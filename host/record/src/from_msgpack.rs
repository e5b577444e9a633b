//! Converts MessagePack from senders to canonical MessagePack. The input is validated, and bytes are kept unchanged
//! where possible.
//!
//! Changes: invalid UTF-8 in text becomes U+FFFD; of duplicate keys, the last wins; keys that are integers, floats,
//! booleans or nil become their JSON text, and binary keys become text. A record with a list, a map or an extension as
//! key is bad.
//!
//! A body is one map, a list of maps, or concatenated maps. A truncated list is a syntax error and nothing of it is
//! accepted. Of concatenated maps, complete ones are accepted and a truncated one is bad; it is a syntax error only if
//! no complete one came before.

use std::borrow::Cow;

use weir_wire::token::{Token, skip, token};

use crate::arrival::{BodyBudget, Defaults, ReadError, RecordFault, RejectedRecord, SyntaxError};
use crate::batch::Batch;
use crate::builder::RecordBuilder;
use crate::keys::{Fingerprints, KeySet, MAP, fingerprint, patch_header};
use crate::limits::MAX_DEPTH;
use crate::{to_json, write};

const CUT: &str = "MessagePack is cut short or holds the reserved marker 0xc1";

/// Reads a body of MessagePack and appends its records to `out`. Returns the records that were rejected.
pub fn read_msgpack(body: &[u8], defaults: &Defaults<'_>, out: &mut Batch) -> Result<Vec<RejectedRecord>, SyntaxError> {
    let before = out.len();
    let mut reader =
        Reader { body, at: 0, builder: RecordBuilder::new(defaults), budget: BodyBudget::new(out), index: 0 };
    let read = match token(body) {
        Some((Token::Array(len), header)) => reader.list(len, header, out),
        _ => reader.sequence(out),
    };
    match read {
        Ok(()) => Ok(reader.budget.bad),
        Err(error) => {
            out.truncate(before);
            Err(error)
        }
    }
}

struct Reader<'r> {
    body: &'r [u8],
    at: usize,
    builder: RecordBuilder<'r>,
    budget: BodyBudget,
    index: u32,
}

impl Reader<'_> {
    fn list(&mut self, len: u32, header: usize, out: &mut Batch) -> Result<(), SyntaxError> {
        self.at = header;
        for _ in 0..len {
            self.record(out)?;
        }
        if self.at == self.body.len() {
            return Ok(());
        }
        // What follows the list is read as if it stood alone.
        self.sequence(out)
    }

    fn sequence(&mut self, out: &mut Batch) -> Result<(), SyntaxError> {
        while self.at < self.body.len() {
            let start = self.at;
            let Err(error) = self.record(out) else { continue };
            if self.index == 0 || error.too_much {
                return Err(error);
            }
            let error = error.to_string();
            self.budget.bad.push(RejectedRecord { index: self.index, error, bytes: self.body[start..].to_vec() });
            return Ok(());
        }
        Ok(())
    }

    /// Reads one record, into the batch or the list of bad ones.
    fn record(&mut self, out: &mut Batch) -> Result<(), SyntaxError> {
        let bytes = &self.body[self.at..];
        let (fault, len) = match self.map(bytes, out) {
            Ok(len) => (None, len),
            Err(ReadError::Record(fault)) => {
                (Some(fault), skip(bytes).ok_or_else(|| self.fails(ReadError::Syntax(CUT)))?)
            }
            Err(stop) => return Err(self.fails(stop)),
        };
        if let Some(fault) = fault {
            let error = fault.reason().to_owned();
            self.budget.bad.push(RejectedRecord { index: self.index, error, bytes: bytes[..len].to_vec() });
        }
        self.index += 1;
        self.at += len;
        self.budget.check(out).map_err(|stop| self.fails(stop))
    }

    fn fails(&self, stop: ReadError) -> SyntaxError {
        SyntaxError::new(self.at, stop)
    }

    fn map(&mut self, bytes: &[u8], out: &mut Batch) -> Result<usize, ReadError> {
        self.builder.start();
        let len = read_entries(bytes, &mut self.builder)?;
        self.builder.finish(out)?;
        Ok(len)
    }
}

/// Adds the entries of the map at the start of `bytes` to a record. Returns the length of the map.
#[inline(always)]
pub(crate) fn read_entries(bytes: &[u8], builder: &mut RecordBuilder<'_>) -> Result<usize, ReadError> {
    let (Token::Map(entries), mut at) = token(bytes).ok_or(ReadError::Syntax(CUT))? else {
        return Err(ReadError::Record(RecordFault::NotAMap));
    };
    for _ in 0..entries {
        let (key, key_len) = match short_key(&bytes[at..]) {
            Some(key) => (Cow::Borrowed(key), 1 + key.len()),
            None => read_key(&bytes[at..])?,
        };
        at += key_len;
        builder.entry(&key, |out, fingerprints| {
            at += copy(&bytes[at..], out, fingerprints, 2)?;
            Ok(())
        })?;
    }
    Ok(at)
}

/// The fast path for most keys: ASCII of at most 31 bytes.
#[inline(always)]
pub(crate) fn short_key(bytes: &[u8]) -> Option<&[u8]> {
    let (marker, rest) = bytes.split_first()?;
    let key = rest.get(..usize::from(marker & 0x1f))?;
    (marker & 0xe0 == 0xa0 && key.is_ascii()).then_some(key)
}

/// A key as valid text, and its encoded length.
pub(crate) fn read_key(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, usize), ReadError> {
    let (key, len) = token(bytes).ok_or(ReadError::Syntax(CUT))?;
    let key = match key {
        Token::Str(text) | Token::Bin(text) => valid_text(text),
        Token::Array(_) | Token::Map(_) | Token::Ext(..) => return Err(ReadError::Record(RecordFault::KeyIsNotText)),
        _ => {
            let mut text = Vec::new();
            to_json::raw_value(&bytes[..len], 1, &mut text);
            Cow::Owned(text)
        }
    };
    Ok((key, len))
}

/// Text as UTF-8, with U+FFFD for what is not.
#[inline]
pub(crate) fn valid_text(text: &[u8]) -> Cow<'_, [u8]> {
    if text.is_ascii() || std::str::from_utf8(text).is_ok() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(String::from_utf8_lossy(text).into_owned().into_bytes())
}

/// Appends the value at the start of `bytes` and returns its length. `depth` is the depth of the value if it is a list
/// or map.
pub(crate) fn copy(
    bytes: &[u8],
    out: &mut Vec<u8>,
    fingerprints: &mut Fingerprints,
    depth: usize,
) -> Result<usize, ReadError> {
    let (first, len) = token(bytes).ok_or(ReadError::Syntax(CUT))?;
    match first {
        Token::Array(_) | Token::Map(_) if depth > MAX_DEPTH => Err(ReadError::Record(RecordFault::TooDeep)),
        Token::Array(items) => {
            let mut at = len;
            out.extend_from_slice(&bytes[..len]);
            for _ in 0..items {
                at += copy(&bytes[at..], out, fingerprints, depth + 1)?;
            }
            Ok(at)
        }
        Token::Map(entries) => copy_map(bytes, len, entries, out, fingerprints, depth),
        Token::Str(text) => {
            match valid_text(text) {
                Cow::Borrowed(_) => write::prefix(out, bytes, len),
                Cow::Owned(text) => write::str_bytes(out, &text),
            }
            Ok(len)
        }
        _ => {
            write::prefix(out, bytes, len);
            Ok(len)
        }
    }
}

fn copy_map(
    bytes: &[u8],
    header_len: usize,
    entries: u32,
    out: &mut Vec<u8>,
    fingerprints: &mut Fingerprints,
    depth: usize,
) -> Result<usize, ReadError> {
    let mut at = header_len;
    let header = out.len();
    out.push(MAP[0]);
    let mut keys = KeySet::new(fingerprints);
    for _ in 0..entries {
        let key_len = match short_key(&bytes[at..]) {
            Some(key) => {
                keys.add(fingerprint(key), fingerprints);
                write::prefix(out, &bytes[at..], 1 + key.len());
                1 + key.len()
            }
            None => {
                let (key, key_len) = read_key(&bytes[at..])?;
                keys.add(fingerprint(&key), fingerprints);
                write::str_bytes(out, &key);
                key_len
            }
        };
        at += key_len;
        at += copy(&bytes[at..], out, fingerprints, depth + 1)?;
    }
    let count = keys.finish(fingerprints, out, header + 1);
    patch_header(out, header, count, MAP);
    Ok(at)
}

#[cfg(test)]
#[path = "from_msgpack_tests.rs"]
mod tests;
