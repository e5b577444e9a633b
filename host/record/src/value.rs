//! Reading MessagePack in place: [`Value`] for everybody, and the tokens that
//! this crate's own loops are made of.
//!
//! Nothing here allocates, recurses or trusts a length: a declared length that
//! exceeds the bytes ends in `None`, and skipping costs no more than the bytes
//! skipped.

/// One value, read where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer that fits 64 bits with sign.
    Int(i64),
    /// An integer above `i64::MAX`, and only that.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Bytes that are not text.
    Bin(&'a [u8]),
    /// A list.
    Array(Array<'a>),
    /// A map.
    Map(Map<'a>),
    /// An extension type and its bytes.
    Ext(i8, &'a [u8]),
}

/// A list, read where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    pub(crate) items: &'a [u8],
    pub(crate) len: u32,
}

/// A map, read where it lies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Map<'a> {
    pub(crate) entries: &'a [u8],
    pub(crate) len: u32,
}

/// What stands at the head of some bytes: a whole scalar, or the start of a
/// list or map with the number of its items or entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Token<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Str(&'a [u8]),
    Bin(&'a [u8]),
    Ext(i8, &'a [u8]),
    Array(u32),
    Map(u32),
}

fn fixed<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

fn length(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    Some(match width {
        1 => *bytes.get(at)? as usize,
        2 => u16::from_be_bytes(fixed(bytes, at)?) as usize,
        _ => u32::from_be_bytes(fixed(bytes, at)?) as usize,
    })
}

/// The token at the head of `bytes`, and how many bytes it takes: all of a
/// scalar, only the header of a list or map.
#[inline]
pub(crate) fn token(bytes: &[u8]) -> Option<(Token<'_>, usize)> {
    let marker = *bytes.first()?;
    match marker {
        0x00..=0x7f => Some((Token::Int(i64::from(marker)), 1)),
        0xa0..=0xbf => {
            let end = 1 + (marker & 0x1f) as usize;
            Some((Token::Str(bytes.get(1..end)?), end))
        }
        0x80..=0x8f => Some((Token::Map(u32::from(marker & 0x0f)), 1)),
        0x90..=0x9f => Some((Token::Array(u32::from(marker & 0x0f)), 1)),
        0xe0..=0xff => Some((Token::Int(i64::from(marker as i8)), 1)),
        // The form of most messages, so it is read here.
        0xd9 => {
            let end = 2 + *bytes.get(1)? as usize;
            Some((Token::Str(bytes.get(2..end)?), end))
        }
        _ => wide_token(bytes, marker),
    }
}

fn wide_token(bytes: &[u8], marker: u8) -> Option<(Token<'_>, usize)> {
    let sized = |width: usize| -> Option<(&[u8], usize)> {
        let start = 1 + width;
        let end = start.checked_add(length(bytes, 1, width)?)?;
        Some((bytes.get(start..end)?, end))
    };
    let ext = |kind_at: usize, len: usize| -> Option<(Token<'_>, usize)> {
        let start = kind_at + 1;
        let end = start.checked_add(len)?;
        Some((Token::Ext(*bytes.get(kind_at)? as i8, bytes.get(start..end)?), end))
    };
    let unsigned = |n: u64| i64::try_from(n).map_or(Token::UInt(n), Token::Int);
    Some(match marker {
        0xc0 => (Token::Nil, 1),
        0xc2 => (Token::Bool(false), 1),
        0xc3 => (Token::Bool(true), 1),
        0xc4..=0xc6 => {
            let (body, end) = sized(1 << (marker - 0xc4))?;
            (Token::Bin(body), end)
        }
        0xc7..=0xc9 => {
            let width = 1 << (marker - 0xc7);
            ext(1 + width, length(bytes, 1, width)?)?
        }
        0xca => (Token::Float(f64::from(f32::from_be_bytes(fixed(bytes, 1)?))), 5),
        0xcb => (Token::Float(f64::from_be_bytes(fixed(bytes, 1)?)), 9),
        0xcc => (Token::Int(i64::from(*bytes.get(1)?)), 2),
        0xcd => (Token::Int(i64::from(u16::from_be_bytes(fixed(bytes, 1)?))), 3),
        0xce => (Token::Int(i64::from(u32::from_be_bytes(fixed(bytes, 1)?))), 5),
        0xcf => (unsigned(u64::from_be_bytes(fixed(bytes, 1)?)), 9),
        0xd0 => (Token::Int(i64::from(*bytes.get(1)? as i8)), 2),
        0xd1 => (Token::Int(i64::from(i16::from_be_bytes(fixed(bytes, 1)?))), 3),
        0xd2 => (Token::Int(i64::from(i32::from_be_bytes(fixed(bytes, 1)?))), 5),
        0xd3 => (Token::Int(i64::from_be_bytes(fixed(bytes, 1)?)), 9),
        0xd4..=0xd8 => ext(1, 1 << (marker - 0xd4))?,
        0xd9..=0xdb => {
            let (body, end) = sized(1 << (marker - 0xd9))?;
            (Token::Str(body), end)
        }
        0xdc => (Token::Array(length(bytes, 1, 2)? as u32), 3),
        0xdd => (Token::Array(length(bytes, 1, 4)? as u32), 5),
        0xde => (Token::Map(length(bytes, 1, 2)? as u32), 3),
        0xdf => (Token::Map(length(bytes, 1, 4)? as u32), 5),
        _ => return None,
    })
}

/// The length in bytes of `count` values in a row at the head of `bytes`.
pub(crate) fn skip_many(bytes: &[u8], count: u64) -> Option<usize> {
    let mut pending = count;
    let mut at = 0;
    while pending > 0 {
        let (token, len) = token(bytes.get(at..)?)?;
        at += len;
        pending -= 1;
        // Cannot overflow: each addition is below 2^33 and costs a byte.
        match token {
            Token::Array(n) => pending = pending.checked_add(u64::from(n))?,
            Token::Map(n) => pending = pending.checked_add(2 * u64::from(n))?,
            _ => {}
        }
    }
    Some(at)
}

/// The length in bytes of the value at the head of `bytes`.
#[inline]
pub(crate) fn skip(bytes: &[u8]) -> Option<usize> {
    let (first, len) = token(bytes)?;
    match first {
        Token::Array(n) => Some(len + skip_many(&bytes[len..], u64::from(n))?),
        Token::Map(n) => Some(len + skip_many(&bytes[len..], 2 * u64::from(n))?),
        _ => Some(len),
    }
}

impl<'a> Value<'a> {
    /// The value at the head of `bytes` and its length in bytes. `None` when the
    /// bytes are cut short, use the one reserved marker, or hold text that is
    /// not UTF-8.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Option<(Value<'a>, usize)> {
        let (first, len) = token(bytes)?;
        Some(match first {
            Token::Nil => (Value::Nil, len),
            Token::Bool(b) => (Value::Bool(b), len),
            Token::Int(n) => (Value::Int(n), len),
            Token::UInt(n) => (Value::UInt(n), len),
            Token::Float(n) => (Value::Float(n), len),
            Token::Str(text) => (Value::Str(std::str::from_utf8(text).ok()?), len),
            Token::Bin(body) => (Value::Bin(body), len),
            Token::Ext(kind, body) => (Value::Ext(kind, body), len),
            Token::Array(n) => {
                let body = skip_many(&bytes[len..], u64::from(n))?;
                (Value::Array(Array { items: &bytes[len..len + body], len: n }), len + body)
            }
            Token::Map(n) => {
                let body = skip_many(&bytes[len..], 2 * u64::from(n))?;
                (Value::Map(Map { entries: &bytes[len..len + body], len: n }), len + body)
            }
        })
    }

    /// The text, if it is text.
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

    /// The number, if it is one, as the nearest float.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::Int(n) => Some(n as f64),
            Value::UInt(n) => Some(n as f64),
            Value::Float(n) => Some(n),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_array(&self) -> Option<Array<'a>> {
        match *self {
            Value::Array(list) => Some(list),
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

    /// The items in order. Ends early at bytes that are no value.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut rest = self.items;
        (0..self.len).map_while(move |_| {
            let (value, len) = Value::read(rest)?;
            rest = &rest[len..];
            Some(value)
        })
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
    /// that are no value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let mut rest = self.entries;
        (0..self.len).map_while(move |_| {
            let (Token::Str(key), key_len) = token(rest)? else { return None };
            let (value, len) = Value::read(&rest[key_len..])?;
            rest = &rest[key_len + len..];
            Some((std::str::from_utf8(key).ok()?, value))
        })
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        Value::read(find(self.entries, self.len, key.as_bytes())?).map(|(value, _)| value)
    }
}

/// The bytes from the value under `key` on, among the entries of a map.
pub(crate) fn find<'a>(entries: &'a [u8], len: u32, key: &[u8]) -> Option<&'a [u8]> {
    let mut rest = entries;
    for _ in 0..len {
        let (name, name_len) = token(rest)?;
        let value = &rest[name_len..];
        match name {
            Token::Str(name) if name == key => return Some(value),
            Token::Str(_) => rest = &value[skip(value)?..],
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_width_read_as_the_same_number() {
        for bytes in [
            &[5u8][..],
            &[0xcc, 5],
            &[0xcd, 0, 5],
            &[0xce, 0, 0, 0, 5],
            &[0xcf, 0, 0, 0, 0, 0, 0, 0, 5],
            &[0xd0, 5],
            &[0xd1, 0, 5],
            &[0xd2, 0, 0, 0, 5],
            &[0xd3, 0, 0, 0, 0, 0, 0, 0, 5],
        ] {
            assert_eq!(Value::read(bytes), Some((Value::Int(5), bytes.len())));
        }
        assert_eq!(Value::read(&[0xff]), Some((Value::Int(-1), 1)));
        assert_eq!(Value::read(&[0xcf, 255, 255, 255, 255, 255, 255, 255, 255]), Some((Value::UInt(u64::MAX), 9)));
    }

    #[test]
    fn a_length_beyond_the_bytes_is_refused_at_once() {
        for bytes in [
            &[0xdd, 255, 255, 255, 255][..],
            &[0xdf, 255, 255, 255, 255],
            &[0xdb, 255, 255, 255, 255],
            &[0xc6, 255, 255, 255, 255],
            &[0xc9, 255, 255, 255, 255, 1],
            &[0xd8, 1, 2],
            &[0xc1],
            &[],
        ] {
            assert_eq!(Value::read(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn nesting_of_any_depth_is_skipped_without_recursion() {
        let mut bytes = vec![0x91; 1 << 22];
        bytes.push(0xc0);
        assert_eq!(skip(&bytes), Some(bytes.len()));
    }

    #[test]
    fn a_map_answers_by_key_and_in_order() {
        let bytes = [0x82, 0xa1, b'a', 1, 0xa1, b'b', 0x92, 2, 3];
        let (value, len) = Value::read(&bytes).expect("well formed");
        let map = value.as_map().expect("a map");
        assert_eq!(len, bytes.len());
        assert_eq!(map.get("a"), Some(Value::Int(1)));
        assert_eq!(map.get("c"), None);
        let items: Vec<_> = map.get("b").and_then(|v| v.as_array()).expect("a list").iter().collect();
        assert_eq!(items, [Value::Int(2), Value::Int(3)]);
        assert_eq!(map.iter().map(|(k, _)| k).collect::<Vec<_>>(), ["a", "b"]);
    }
}
