//! Writing MessagePack into a byte vector, each value in its shortest form.

use weir_wire::Value;

/// The header of a map in the form that canonical records start with: a fixed width,
/// so that the count can be changed in place.
#[inline]
pub fn map16_header(out: &mut Vec<u8>, entries: u16) {
    let [high, low] = entries.to_be_bytes();
    out.extend_from_slice(&[0xde, high, low]);
}

/// The header of a map in its shortest form.
#[inline]
pub fn map_header(out: &mut Vec<u8>, entries: u32) {
    container_header(out, entries, [0x80, 0xde, 0xdf]);
}

/// The header of a list in its shortest form.
#[inline]
pub fn array_header(out: &mut Vec<u8>, items: u32) {
    container_header(out, items, [0x90, 0xdc, 0xdd]);
}

#[inline]
fn container_header(out: &mut Vec<u8>, count: u32, [fix, wide, widest]: [u8; 3]) {
    if count < 16 {
        out.push(fix | count as u8);
    } else if let Ok(count) = u16::try_from(count) {
        out.push(wide);
        out.extend_from_slice(&count.to_be_bytes());
    } else {
        out.push(widest);
        out.extend_from_slice(&count.to_be_bytes());
    }
}

/// Nil.
#[inline]
pub fn nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// A boolean.
#[inline]
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(0xc2 | u8::from(value));
}

/// An integer.
#[inline]
pub fn int(out: &mut Vec<u8>, value: i64) {
    match value {
        0.. => uint(out, value as u64),
        -32..=-1 => out.push(value as u8),
        -128..=-33 => out.extend_from_slice(&[0xd0, value as u8]),
        -0x8000..=-0x81 => {
            out.push(0xd1);
            out.extend_from_slice(&(value as i16).to_be_bytes());
        }
        -0x8000_0000..=-0x8001 => {
            out.push(0xd2);
            out.extend_from_slice(&(value as i32).to_be_bytes());
        }
        _ => int64(out, value),
    }
}

/// A signed integer in the nine-byte form, whatever its value.
#[inline]
pub fn int64(out: &mut Vec<u8>, value: i64) {
    out.push(0xd3);
    out.extend_from_slice(&value.to_be_bytes());
}

/// An unsigned integer.
#[inline]
pub fn uint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0x7f => out.push(value as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, value as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend_from_slice(&(value as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend_from_slice(&(value as u32).to_be_bytes());
        }
        _ => {
            out.push(0xcf);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// A floating-point number.
#[inline]
pub fn float(out: &mut Vec<u8>, value: f64) {
    out.push(0xcb);
    out.extend_from_slice(&value.to_be_bytes());
}

/// Text.
#[inline]
pub fn str(out: &mut Vec<u8>, text: &str) {
    str_bytes(out, text.as_bytes());
}

/// Text that is known to be UTF-8, as bytes.
#[inline]
pub(crate) fn str_bytes(out: &mut Vec<u8>, text: &[u8]) {
    str_header(out, text.len());
    out.extend_from_slice(text);
}

/// Text that is known to be UTF-8: the first `len` bytes of `rest`.
#[inline(always)]
pub(crate) fn str_prefix(out: &mut Vec<u8>, rest: &[u8], len: usize) {
    str_header(out, len);
    prefix(out, rest, len);
}

/// Appends the first `len` bytes of `rest`. Short text, the usual case, is copied with a move of fixed width and then
/// truncated, which is faster than a copy of variable length.
#[inline(always)]
pub(crate) fn prefix(out: &mut Vec<u8>, rest: &[u8], len: usize) {
    match rest.first_chunk::<SHORT_BYTES>() {
        Some(short) if len <= SHORT_BYTES => {
            let end = out.len() + len;
            out.extend_from_slice(short);
            out.truncate(end);
        }
        _ => out.extend_from_slice(&rest[..len]),
    }
}

/// The width in bytes of the move that copies short text: two vector registers.
const SHORT_BYTES: usize = 32;

#[inline]
pub(crate) fn str_header(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=31 => out.push(0xa0 | len as u8),
        32..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        0x100..=0xffff => {
            out.push(0xda);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

/// Bytes that are not text.
pub fn bin(out: &mut Vec<u8>, body: &[u8]) {
    match body.len() {
        0..=0xff => out.extend_from_slice(&[0xc4, body.len() as u8]),
        0x100..=0xffff => {
            out.push(0xc5);
            out.extend_from_slice(&(body.len() as u16).to_be_bytes());
        }
        _ => {
            out.push(0xc6);
            out.extend_from_slice(&(body.len() as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
}

/// An extension type and its bytes.
pub fn ext(out: &mut Vec<u8>, kind: i8, body: &[u8]) {
    match body.len() {
        1 => out.push(0xd4),
        2 => out.push(0xd5),
        4 => out.push(0xd6),
        8 => out.push(0xd7),
        16 => out.push(0xd8),
        0..=0xff => out.extend_from_slice(&[0xc7, body.len() as u8]),
        0x100..=0xffff => {
            out.push(0xc8);
            out.extend_from_slice(&(body.len() as u16).to_be_bytes());
        }
        _ => {
            out.push(0xc9);
            out.extend_from_slice(&(body.len() as u32).to_be_bytes());
        }
    }
    out.push(kind as u8);
    out.extend_from_slice(body);
}

/// Any value. Lists and maps are copied unchanged.
pub fn value(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Nil => nil(out),
        Value::Bool(b) => bool(out, b),
        Value::Int(n) => int(out, n),
        Value::UInt(n) => uint(out, n),
        Value::Float(n) => float(out, n),
        Value::Str(text) => str(out, text),
        Value::Bin(body) => bin(out, body),
        Value::Ext(kind, body) => ext(out, kind, body),
        // A truncated list or map can't be copied and becomes empty.
        Value::Array(list) => {
            let items = list.items();
            array_header(out, items.map_or(0, |_| list.len() as u32));
            out.extend_from_slice(items.unwrap_or_default());
        }
        Value::Map(map) => {
            let entries = map.entries();
            map_header(out, entries.map_or(0, |_| map.len() as u32));
            out.extend_from_slice(entries.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value_written: Value<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        value(&mut out, value_written);
        out
    }

    #[test]
    fn integers_at_every_boundary_read_back_and_take_the_fewest_bytes() {
        for (n, len) in [
            (0, 1),
            (127, 1),
            (128, 2),
            (255, 2),
            (256, 3),
            (65_535, 3),
            (65_536, 5),
            (u32::MAX as i64, 5),
            (u32::MAX as i64 + 1, 9),
            (i64::MAX, 9),
            (-1, 1),
            (-32, 1),
            (-33, 2),
            (-128, 2),
            (-129, 3),
            (-32_768, 3),
            (-32_769, 5),
            (i32::MIN as i64, 5),
            (i32::MIN as i64 - 1, 9),
            (i64::MIN, 9),
        ] {
            let out = written(Value::Int(n));
            assert_eq!(Value::read(&out), Some((Value::Int(n), len)), "{n}");
        }
    }

    #[test]
    fn text_bytes_and_extensions_of_every_width_read_back() {
        for len in [0, 1, 2, 3, 4, 8, 16, 31, 32, 255, 256, 65_535, 65_536] {
            let text = "x".repeat(len);
            for value in [Value::Str(&text), Value::Bin(text.as_bytes()), Value::Ext(-7, text.as_bytes())] {
                let out = written(value);
                assert_eq!(Value::read(&out), Some((value, out.len())), "{len}");
            }
        }
    }
}
