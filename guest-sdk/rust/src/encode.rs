//! Writing MessagePack.
//!
//! Edits and new records take any value that implements [`Encode`]: text, numbers,
//! lists, options, values from another record, and JSON.

use crate::value::Value;

/// A value that can be written into a record.
pub trait Encode {
    /// Appends the value as MessagePack.
    fn encode(&self, out: &mut Vec<u8>);
}

/// Appends a null.
pub fn nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// Appends a text.
pub fn str(out: &mut Vec<u8>, text: &str) {
    str_bytes(out, text.as_bytes());
}

/// Appends text that is known to be UTF-8.
pub(crate) fn str_bytes(out: &mut Vec<u8>, text: &[u8]) {
    str_header(out, text.len());
    append(out, text);
}

/// Appends the header of a text of `len` bytes.
pub fn str_header(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=31 => out.push(0xa0 | len as u8),
        32..=0xff => out.extend_from_slice(&[0xd9, len as u8]),
        0x100..=0xffff => sized(out, 0xda, &(len as u16).to_be_bytes()),
        _ => sized(out, 0xdb, &(len as u32).to_be_bytes()),
    }
}

/// Appends bytes that are not text.
pub fn bin(out: &mut Vec<u8>, data: &[u8]) {
    bin_header(out, data.len());
    out.extend_from_slice(data);
}

/// Appends the header of `len` bytes that are not text.
pub fn bin_header(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=0xff => out.extend_from_slice(&[0xc4, len as u8]),
        0x100..=0xffff => sized(out, 0xc5, &(len as u16).to_be_bytes()),
        _ => sized(out, 0xc6, &(len as u32).to_be_bytes()),
    }
}

/// Appends an integer in its shortest form.
pub fn int(out: &mut Vec<u8>, n: i64) {
    match n {
        0.. => uint(out, n as u64),
        -32..0 => out.push(n as i8 as u8),
        -0x80..-32 => out.extend_from_slice(&[0xd0, n as i8 as u8]),
        -0x8000..-0x80 => sized(out, 0xd1, &(n as i16).to_be_bytes()),
        -0x8000_0000..-0x8000 => sized(out, 0xd2, &(n as i32).to_be_bytes()),
        _ => sized(out, 0xd3, &n.to_be_bytes()),
    }
}

/// Appends an unsigned integer in its shortest form.
pub fn uint(out: &mut Vec<u8>, n: u64) {
    match n {
        0..=0x7f => out.push(n as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, n as u8]),
        0x100..=0xffff => sized(out, 0xcd, &(n as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => sized(out, 0xce, &(n as u32).to_be_bytes()),
        _ => sized(out, 0xcf, &n.to_be_bytes()),
    }
}

/// Appends a floating-point number.
pub fn float(out: &mut Vec<u8>, n: f64) {
    sized(out, 0xcb, &n.to_be_bytes());
}

/// Appends the header of an array.
pub fn array_header(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=15 => out.push(0x90 | len as u8),
        16..=0xffff => sized(out, 0xdc, &(len as u16).to_be_bytes()),
        _ => sized(out, 0xdd, &(len as u32).to_be_bytes()),
    }
}

/// Appends the header of a map.
pub fn map_header(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=15 => out.push(0x80 | len as u8),
        16..=0xffff => sized(out, 0xde, &(len as u16).to_be_bytes()),
        _ => sized(out, 0xdf, &(len as u32).to_be_bytes()),
    }
}

fn ext(out: &mut Vec<u8>, kind: i8, data: &[u8]) {
    match data.len() {
        0..=0xff => out.extend_from_slice(&[0xc7, data.len() as u8]),
        0x100..=0xffff => sized(out, 0xc8, &(data.len() as u16).to_be_bytes()),
        _ => sized(out, 0xc9, &(data.len() as u32).to_be_bytes()),
    }
    out.push(kind as u8);
    out.extend_from_slice(data);
}

fn sized(out: &mut Vec<u8>, marker: u8, bytes: &[u8]) {
    out.push(marker);
    out.extend_from_slice(bytes);
}

/// Appends bytes. Short runs are copied with two moves of a fixed width, which may
/// overlap: in WebAssembly a copy of variable length is a call into the runtime.
#[inline]
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        0 => {}
        1..4 => bytes.iter().for_each(|byte| out.push(*byte)),
        4..8 => append_overlapping::<4>(out, bytes),
        8..16 => append_overlapping::<8>(out, bytes),
        16..=32 => append_overlapping::<16>(out, bytes),
        33..=64 => append_overlapping::<32>(out, bytes),
        _ => out.extend_from_slice(bytes),
    }
}

/// Appends `N` to twice that many bytes.
#[inline]
fn append_overlapping<const N: usize>(out: &mut Vec<u8>, bytes: &[u8]) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
        out.extend_from_slice(first);
        out.truncate(out.len() + bytes.len() - 2 * N);
        out.extend_from_slice(last);
    }
}

/// Appends the first `len` bytes of `rest`. Short runs are copied in moves of a
/// fixed width, and the surplus is cut off again: in WebAssembly a copy of variable
/// length is a call into the runtime.
#[inline]
pub fn prefix(out: &mut Vec<u8>, mut rest: &[u8], mut len: usize) {
    if len <= MAX_MOVED_BYTES {
        while let Some(bytes) = rest.first_chunk::<MOVE_BYTES>() {
            let moved = len.min(MOVE_BYTES);
            let end = out.len() + moved;
            out.extend_from_slice(bytes);
            out.truncate(end);
            len -= moved;
            if len == 0 {
                return;
            }
            rest = &rest[moved..];
        }
    }
    out.extend_from_slice(&rest[..len]);
}

/// Bytes of one move: two vectors.
const MOVE_BYTES: usize = 32;

/// The length in bytes above which a call into the runtime is cheaper than moves.
const MAX_MOVED_BYTES: usize = 256;

/// A map or array whose length is known only after writing.
pub struct Open {
    at: usize,
}

impl Open {
    /// Starts it, with room for the shortest header.
    pub fn begin(out: &mut Vec<u8>) -> Self {
        out.push(0);
        Open { at: out.len() - 1 }
    }

    /// Finishes a map of `len` keys.
    pub fn end_map(self, out: &mut Vec<u8>, len: usize) {
        self.end(out, len, 0x80, map_header);
    }

    /// Finishes an array of `len` values.
    pub fn end_array(self, out: &mut Vec<u8>, len: usize) {
        self.end(out, len, 0x90, array_header);
    }

    fn end(self, out: &mut Vec<u8>, len: usize, short: u8, header: fn(&mut Vec<u8>, usize)) {
        if len <= 15 {
            out[self.at] = short | len as u8;
            return;
        }
        let mut bytes = Vec::with_capacity(5);
        header(&mut bytes, len);
        out.splice(self.at..=self.at, bytes);
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        str(out, self);
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        str(out, self);
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(if *self { 0xc3 } else { 0xc2 });
    }
}

impl Encode for f64 {
    fn encode(&self, out: &mut Vec<u8>) {
        float(out, *self);
    }
}

macro_rules! encode_int {
    ($($kind:ty => $write:ident as $wide:ty),*) => {$(
        impl Encode for $kind {
            fn encode(&self, out: &mut Vec<u8>) {
                $write(out, *self as $wide);
            }
        }
    )*};
}
encode_int!(i32 => int as i64, i64 => int as i64, u8 => uint as u64, u32 => uint as u64, u64 => uint as u64, usize => uint as u64);

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.encode(out),
            None => nil(out),
        }
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut Vec<u8>) {
        array_header(out, self.len());
        self.iter().for_each(|value| value.encode(out));
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_slice().encode(out);
    }
}

impl Encode for crate::Level {
    fn encode(&self, out: &mut Vec<u8>) {
        str(out, self.as_str());
    }
}

impl Encode for Value<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Nil => nil(out),
            Value::Bool(b) => b.encode(out),
            Value::Int(n) => int(out, *n),
            Value::UInt(n) => uint(out, *n),
            Value::Float(n) => float(out, *n),
            Value::Str(text) => str(out, text),
            Value::Bin(data) => bin(out, data),
            Value::Ext(kind, data) => ext(out, *kind, data),
            Value::Array(list) => {
                array_header(out, list.len());
                list.iter().for_each(|value| value.encode(out));
            }
            Value::Map(map) => {
                map_header(out, map.len());
                for (key, value) in map.iter() {
                    str(out, key);
                    value.encode(out);
                }
            }
        }
    }
}

/// A value that is already encoded as MessagePack.
#[derive(Debug)]
pub struct Encoded(pub Vec<u8>);

impl Encode for Encoded {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Encode for serde_json::Value {
    fn encode(&self, out: &mut Vec<u8>) {
        use serde_json::Value as Json;
        match self {
            Json::Null => nil(out),
            Json::Bool(b) => b.encode(out),
            Json::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
                (Some(n), _, _) => int(out, n),
                (_, Some(n), _) => uint(out, n),
                (_, _, n) => float(out, n.unwrap_or(f64::NAN)),
            },
            Json::String(text) => str(out, text),
            Json::Array(list) => list.encode(out),
            Json::Object(map) => {
                map_header(out, map.len());
                for (key, value) in map {
                    str(out, key);
                    value.encode(out);
                }
            }
        }
    }
}
