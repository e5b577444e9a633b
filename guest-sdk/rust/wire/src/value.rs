//! Views of MessagePack values. Nothing is copied, and nothing inside an array or
//! map is read before it is needed.

use core::str;

use crate::token::{Token, find, skip_many, step, token};

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Null.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Int(i64),
    /// An integer above `i64::MAX`, and only that.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Bytes that are not text, or text that is not UTF-8.
    Bin(&'a [u8]),
    /// An array.
    Array(Array<'a>),
    /// A map.
    Map(Map<'a>),
    /// An extension: its type and its bytes.
    Ext(i8, &'a [u8]),
}

/// An array, read in place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Array<'a> {
    /// The items, possibly followed by other bytes.
    bytes: &'a [u8],
    len: u32,
}

/// A map, read in place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Map<'a> {
    /// The entries, possibly followed by other bytes.
    bytes: &'a [u8],
    len: u32,
}

impl<'a> Value<'a> {
    /// The value at the start of `bytes`, and its length in bytes. `None` if the
    /// bytes are truncated or use the one reserved marker.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Option<(Value<'a>, usize)> {
        let (first, len) = token(bytes)?;
        let inside = match first {
            Token::Array(items) => u64::from(items),
            Token::Map(entries) => 2 * u64::from(entries),
            _ => return Some((Value::of(first, &[]), len)),
        };
        let rest = bytes.get(len..)?;
        let size = skip_many(rest, inside)?;
        Some((Value::of(first, rest.get(..size)?), len + size))
    }

    /// The value at the start of `bytes`. Unlike [`Value::read`], it doesn't look
    /// for the end of an array or map, so that may be truncated.
    #[inline]
    pub fn peek(bytes: &'a [u8]) -> Option<Value<'a>> {
        let (first, len) = token(bytes)?;
        Some(Value::of(first, bytes.get(len..)?))
    }

    /// The value of a token; `inside` is what follows it.
    #[inline]
    fn of(token: Token<'a>, inside: &'a [u8]) -> Value<'a> {
        match token {
            Token::Nil => Value::Nil,
            Token::Bool(b) => Value::Bool(b),
            Token::Int(n) => Value::Int(n),
            Token::UInt(n) => Value::UInt(n),
            Token::Float(n) => Value::Float(n),
            Token::Str(text) => str::from_utf8(text).map_or(Value::Bin(text), Value::Str),
            Token::Bin(body) => Value::Bin(body),
            Token::Ext(kind, body) => Value::Ext(kind, body),
            Token::Array(len) => Value::Array(Array { bytes: inside, len }),
            Token::Map(len) => Value::Map(Map { bytes: inside, len }),
        }
    }

    /// The string, if it is text.
    pub fn as_str(&self) -> Option<&'a str> {
        match *self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Value::Int(n) => Some(n),
            _ => None,
        }
    }

    /// The integer, if it is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::UInt(n) => Some(n),
            Value::Int(n) => u64::try_from(n).ok(),
            _ => None,
        }
    }

    /// The number as the nearest float, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::Int(n) => Some(n as f64),
            Value::UInt(n) => Some(n as f64),
            Value::Float(n) => Some(n),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// The array, if it is one.
    pub fn as_array(&self) -> Option<Array<'a>> {
        match *self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<Map<'a>> {
        match *self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Whether it is null.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// The value under a key of a map, or at an index of an array.
    pub fn step(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Value::Map(map) => map.get(key),
            Value::Array(array) => array.get(key.parse().ok()?),
            _ => None,
        }
    }
}

impl<'a> Array<'a> {
    /// The number of items.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The items in order. Ends early at bytes that are not a value.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut rest = self.bytes;
        (0..self.len).map_while(move |_| {
            let (value, len) = Value::read(rest)?;
            rest = rest.get(len..)?;
            Some(value)
        })
    }

    /// The item at an index; those before it are skipped unread.
    pub fn get(&self, index: u32) -> Option<Value<'a>> {
        let before = skip_many(self.bytes, u64::from((index < self.len).then_some(index)?))?;
        Value::peek(self.bytes.get(before..)?)
    }

    /// The items as MessagePack, without the header. `None` if they are not
    /// complete.
    pub fn items(&self) -> Option<&'a [u8]> {
        self.bytes.get(..skip_many(self.bytes, u64::from(self.len))?)
    }

    /// The bytes from the first item on, possibly followed by other bytes.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Map<'a> {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries in order. Ends early at a key that is not text or at bytes
    /// that are not a value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let mut rest = self.bytes;
        (0..self.len).map_while(move |_| {
            let (Token::Str(key), key_len) = token(rest)? else { return None };
            let (value, len) = Value::read(rest.get(key_len..)?)?;
            rest = rest.get(key_len + len..)?;
            Some((str::from_utf8(key).ok()?, value))
        })
    }

    /// The value under a key; those before it are skipped unread.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        Value::peek(self.find(key.as_bytes())?)
    }

    /// The bytes from the value under a key on.
    pub fn find(&self, key: &[u8]) -> Option<&'a [u8]> {
        find(self.bytes, self.len, key)
    }

    /// Looks up a path, key by key; in an array, a key is an index.
    pub fn walk<K: AsRef<str>>(self, mut keys: impl Iterator<Item = K>) -> Option<Value<'a>> {
        let Some(first) = keys.next() else { return Some(Value::Map(self)) };
        let mut at = self.find(first.as_ref().as_bytes())?;
        for key in keys {
            at = step(at, key.as_ref())?;
        }
        Value::peek(at)
    }

    /// The entries as MessagePack, without the header. `None` if they are not
    /// complete.
    pub fn entries(&self) -> Option<&'a [u8]> {
        self.bytes.get(..skip_many(self.bytes, 2 * u64::from(self.len))?)
    }

    /// The bytes from the first entry on, possibly followed by other bytes.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Arrays are equal if their items are, in any encoding.
impl PartialEq for Array<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && same_values(self.bytes, other.bytes, u64::from(self.len))
    }
}

/// Maps are equal if their entries are, in the same order.
impl PartialEq for Map<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && same_values(self.bytes, other.bytes, 2 * u64::from(self.len))
    }
}

/// Whether two runs of `count` values are equal, token by token.
fn same_values(mut a: &[u8], mut b: &[u8], count: u64) -> bool {
    let mut pending = count;
    while pending > 0 {
        let (Some((left, left_len)), Some((right, right_len))) = (token(a), token(b)) else { return false };
        if left != right {
            return false;
        }
        pending -= 1;
        // Can't overflow: each addition is below 2^33 and costs a byte.
        pending += match left {
            Token::Array(items) => u64::from(items),
            Token::Map(entries) => 2 * u64::from(entries),
            _ => 0,
        };
        (a, b) = (&a[left_len..], &b[right_len..]);
    }
    true
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn maps_are_read_by_key_and_in_order() {
        let bytes = [0x82, 0xa1, b'a', 1, 0xa1, b'b', 0x92, 2, 3];
        let (value, len) = Value::read(&bytes).expect("well formed");
        let map = value.as_map().expect("a map");
        assert_eq!(len, bytes.len());
        assert_eq!(map.get("a"), Some(Value::Int(1)));
        assert_eq!(map.get("c"), None);
        let items: Vec<_> = map.get("b").and_then(|v| v.as_array()).expect("an array").iter().collect();
        assert_eq!(items, [Value::Int(2), Value::Int(3)]);
        assert_eq!(map.iter().map(|(k, _)| k).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn arrays_are_read_by_index() {
        let bytes = [0x93, 1, 0x92, 2, 3, 4];
        let array = Value::peek(&bytes).and_then(|value| value.as_array()).expect("an array");
        assert_eq!(array.get(2), Some(Value::Int(4)));
        assert_eq!(array.get(3), None);
        assert_eq!(Value::Array(array).step("0"), Some(Value::Int(1)));
        assert_eq!(Value::Array(array).step("x"), None);
    }

    #[test]
    fn a_peeked_map_ends_with_its_entries() {
        let bytes = [0x81, 0xa1, b'a', 1, 0xc0, 0xc0];
        let map = Value::peek(&bytes).and_then(|value| value.as_map()).expect("a map");
        assert_eq!(map.entries(), Some(&bytes[1..4]));
        assert_eq!(Value::read(&bytes), Some((Value::Map(map), 4)));
        let cut = Value::peek(&bytes[..3]).and_then(|value| value.as_map()).expect("a map");
        assert_eq!(cut.entries(), None);
    }

    #[test]
    fn equality_ignores_number_width_but_not_key_order() {
        let narrow = [0x82, 0xa1, b'a', 5, 0xa1, b'b', 0x91, 6];
        let wide = [0xde, 0, 2, 0xa1, b'a', 0xcc, 5, 0xa1, b'b', 0xdc, 0, 1, 0xd1, 0, 6];
        let turned = [0x82, 0xa1, b'b', 0x91, 6, 0xa1, b'a', 5];
        let read = |bytes| Value::read(bytes).expect("well formed").0;
        assert_eq!(read(&narrow), read(&wide));
        assert_ne!(read(&narrow), read(&turned));
        assert_ne!(read(&narrow), read(&[0x80]));
    }

    #[test]
    fn equality_of_deeply_nested_values_does_not_recurse() {
        let deep = vec![0x91; 1 << 20];
        let array = Value::peek(&deep).expect("an array");
        assert_ne!(array, array, "it is not whole");
        let whole: Vec<u8> = deep.iter().copied().chain([1]).collect();
        assert_eq!(Value::peek(&whole), Value::peek(&whole));
    }

    #[test]
    fn invalid_utf8_is_read_as_bytes() {
        assert_eq!(Value::read(&[0xa1, 0xff]), Some((Value::Bin(&[0xff]), 2)));
    }
}
