//! Canonical records to JSON, in one pass over their bytes.
//!
//! Values that JSON lacks: NaN and infinities are `null`; bytes are base64 text; a
//! MessagePack timestamp or Fluent EventTime is RFC 3339 text; any other extension is
//! `{"ext":7,"data":"base64"}`. Integers are written in full, floats in the shortest
//! form that reads back as the same float.
//!
//! Values nested deeper than a canonical record may be, and truncated bytes, are
//! written as `null`, so the output is always valid JSON.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use weir_wire::Value;
use weir_wire::token::{Token, skip, token};

use crate::limits::MAX_DEPTH;
use crate::record::Record;
use crate::scan::plain_prefix;
use crate::{time, write};

/// Appends a record as one JSON object without a line end. Its `timestamp` is
/// written as RFC 3339 with nanoseconds.
pub fn write_json(record: Record<'_>, out: &mut Vec<u8>) {
    out.reserve(record.as_bytes().len() * 5 / 4);
    let map = record.map();
    let mut rest = map.rest();
    let mut first = true;
    out.push(b'{');
    for _ in 0..map.len() {
        let Some((Token::Str(key), key_len)) = token(rest) else { break };
        write_key(rest, key_len, key, &mut first, out);
        rest = &rest[key_len..];
        let taken = match token(rest) {
            Some((Token::Int(ns), len)) if key == b"timestamp" => {
                write_moment(ns, out);
                Some(len)
            }
            _ => write_value(rest, 2, out),
        };
        let Some(taken) = taken else { break };
        rest = &rest[taken..];
    }
    out.push(b'}');
}

/// Appends one value as JSON.
pub fn write_json_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Bool(b) => write_bool(b, out),
        Value::Int(n) => write_int(n, out),
        Value::UInt(n) => write_uint(n, out),
        Value::Float(n) => write_float(n, out),
        Value::Str(text) => write_string(text.as_bytes(), out),
        Value::Bin(bytes) => write_base64(bytes, out),
        Value::Ext(kind, bytes) => write_ext(kind, bytes, out),
        Value::Array(list) => {
            write_items(list.rest(), list.len() as u32, 1, out);
        }
        Value::Map(map) => raw_entries(map.rest(), map.len() as u32, usize::MAX, out),
    }
}

/// Appends the value that `bytes` begins with.
pub(crate) fn raw_value(bytes: &[u8], depth: usize, out: &mut Vec<u8>) {
    write_value(bytes, depth, out);
}

/// Appends a map's entries as an object. Stops once it has written more than `enough`
/// bytes.
pub(crate) fn raw_entries(entries: &[u8], len: u32, enough: usize, out: &mut Vec<u8>) {
    let mut rest = entries;
    let mut first = true;
    let limit = out.len().saturating_add(enough);
    out.push(b'{');
    for _ in 0..len {
        let Some((Token::Str(key), key_len)) = token(rest) else { break };
        write_key(rest, key_len, key, &mut first, out);
        let Some(taken) = write_value(&rest[key_len..], 2, out) else { break };
        rest = &rest[key_len + taken..];
        if out.len() > limit {
            return;
        }
    }
    out.push(b'}');
}

#[inline(always)]
fn write_key(bytes: &[u8], len: usize, key: &[u8], first: &mut bool, out: &mut Vec<u8>) {
    if !*first {
        out.push(b',');
    }
    *first = false;
    write_token_text(bytes, len, key, out);
    out.push(b':');
}

/// Appends the value at the head of `bytes` and returns its length. `None` if the
/// bytes are truncated; the JSON is valid even then.
fn write_value(bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<usize> {
    let Some((first, len)) = token(bytes) else {
        out.extend_from_slice(b"null");
        return None;
    };
    match first {
        Token::Str(text) => write_token_text(bytes, len, text, out),
        Token::Int(n) => write_int(n, out),
        Token::Nil => out.extend_from_slice(b"null"),
        Token::Bool(b) => write_bool(b, out),
        Token::UInt(n) => write_uint(n, out),
        Token::Float(n) => write_float(n, out),
        Token::Bin(body) => write_base64(body, out),
        Token::Ext(kind, body) => write_ext(kind, body, out),
        Token::Array(_) | Token::Map(_) if depth > MAX_DEPTH => {
            out.extend_from_slice(b"null");
            return skip(bytes);
        }
        Token::Array(items) => return Some(len + write_items(&bytes[len..], items, depth, out)?),
        Token::Map(entries) => return Some(len + write_entries(&bytes[len..], entries, depth, out)?),
    }
    Some(len)
}

fn write_items(bytes: &[u8], items: u32, depth: usize, out: &mut Vec<u8>) -> Option<usize> {
    let mut at = Some(0);
    out.push(b'[');
    for item in 0..items {
        let Some(start) = at else { break };
        if item > 0 {
            out.push(b',');
        }
        at = write_value(&bytes[start..], depth + 1, out).map(|len| start + len);
    }
    out.push(b']');
    at
}

fn write_entries(bytes: &[u8], entries: u32, depth: usize, out: &mut Vec<u8>) -> Option<usize> {
    let mut at = Some(0);
    let mut first = true;
    out.push(b'{');
    for _ in 0..entries {
        let Some((start, (Token::Str(key), key_len))) = at.and_then(|start| Some((start, token(&bytes[start..])?)))
        else {
            at = None;
            break;
        };
        write_key(&bytes[start..], key_len, key, &mut first, out);
        let value_at = start + key_len;
        at = write_value(&bytes[value_at..], depth + 1, out).map(|len| value_at + len);
    }
    out.push(b'}');
    at
}

fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn write_int(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_uint(value.unsigned_abs(), out);
}

fn write_uint(mut value: u64, out: &mut Vec<u8>) {
    if value < 10 {
        out.push(b'0' + value as u8);
        return;
    }
    let mut digits = [0; 20];
    let mut start = digits.len();
    while value > 0 {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits[start..]);
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.extend_from_slice(b"null");
    } else if !write_short_float(value, out) {
        // Writing to a vector can't fail. `Debug` is the shortest form that
        // reads back, and has a point or an exponent, so that it stays a float.
        let _ = write!(out, "{value:?}");
    }
}

/// Writes a float that has at most three decimals, which amounts and durations
/// have. A decimal of at most fifteen digits that reads as this float is its
/// shortest form, and no other has so few.
fn write_short_float(value: f64, out: &mut Vec<u8>) -> bool {
    let size = value.abs();
    let thousandths = (size * 1e3).round();
    if size >= 1e9 || thousandths / 1e3 != size {
        return false;
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let thousandths = thousandths as u64;
    write_uint(thousandths / 1000, out);
    let decimals = [100, 10, 1].map(|unit| b'0' + (thousandths / unit % 10) as u8);
    let len = if decimals[2] != b'0' { 3 } else { 1 + usize::from(decimals[1] != b'0') };
    out.push(b'.');
    out.extend_from_slice(&decimals[..len]);
    true
}

fn write_moment(ns: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    time::format_rfc3339(ns, out);
    out.push(b'"');
}

fn write_ext(kind: i8, body: &[u8], out: &mut Vec<u8>) {
    if let Some(ns) = time::from_ext(kind, body) {
        return write_moment(ns, out);
    }
    out.extend_from_slice(b"{\"ext\":");
    write_int(i64::from(kind), out);
    out.extend_from_slice(b",\"data\":");
    write_base64(body, out);
    out.push(b'}');
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}

#[inline(always)]
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let (plain, _) = plain_prefix(text);
    out.extend_from_slice(&text[..plain]);
    if plain < text.len() {
        write_escaped(&text[plain..], out);
    }
    out.push(b'"');
}

/// Writes the text that ends a token of `len` bytes at the head of `bytes`; what
/// follows it lets short text be copied in one move.
#[inline(always)]
fn write_token_text(bytes: &[u8], len: usize, text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let (plain, _) = plain_prefix(text);
    write::prefix(out, &bytes[len - text.len()..], plain);
    if plain < text.len() {
        write_escaped(&text[plain..], out);
    }
    out.push(b'"');
}

#[inline(never)]
fn write_escaped(mut rest: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let [high, low] = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
        let (plain, _) = plain_prefix(after);
        out.extend_from_slice(&after[..plain]);
        rest = &after[plain..];
    }
}

#[cfg(test)]
#[path = "to_json_tests.rs"]
mod tests;
