//! Reading MessagePack where it lies.
//!
//! Everything a filter sees of a record is a [`Value`] that borrows from the
//! batch. Nothing is copied and nothing is read before it is asked for: a map
//! or list is its bytes and a count, walked by iterating.
//!
//! Bytes that are no MessagePack never panic and never loop: reading ends, as
//! `None`. Text that is not UTF-8 is seen as [`Value::Bin`].

use crate::encode;

/// One value of a record.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Nothing: null.
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Int(i64),
    /// An integer of 2^63 or more.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Bytes that are not text.
    Bin(&'a [u8]),
    /// A list of values.
    List(List<'a>),
    /// A map from keys to values.
    Map(Map<'a>),
    /// A MessagePack extension: its type and its bytes.
    Ext(i8, &'a [u8]),
}

/// A list inside a record.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    bytes: &'a [u8],
    len: usize,
}

/// A map inside a record, or a record itself.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    bytes: &'a [u8],
    len: usize,
}

/// What a MessagePack marker says of the value that it begins.
enum Head {
    /// The value is whole within its head: its bytes are `body..end`.
    Scalar,
    /// A string of that many bytes after the head.
    Str(usize),
    Bin(usize),
    /// An extension: that many bytes, the type before them.
    Ext(usize),
    List(usize),
    Map(usize),
}

fn be(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let slice = bytes.get(at..at.checked_add(width)?)?;
    Some(slice.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

fn length(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    usize::try_from(be(bytes, at, width)?).ok()
}

/// The head of the value at `at`, and where what follows the head begins.
#[inline]
fn head(bytes: &[u8], at: usize) -> Option<(Head, usize)> {
    let marker = *bytes.get(at)?;
    let at = at + 1;
    Some(match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (Head::Scalar, at),
        0x80..=0x8f => (Head::Map(usize::from(marker & 0x0f)), at),
        0x90..=0x9f => (Head::List(usize::from(marker & 0x0f)), at),
        0xa0..=0xbf => (Head::Str(usize::from(marker & 0x1f)), at),
        0xc1 => return None,
        0xc4 => (Head::Bin(length(bytes, at, 1)?), at + 1),
        0xc5 => (Head::Bin(length(bytes, at, 2)?), at + 2),
        0xc6 => (Head::Bin(length(bytes, at, 4)?), at + 4),
        0xc7 => (Head::Ext(length(bytes, at, 1)?), at + 1),
        0xc8 => (Head::Ext(length(bytes, at, 2)?), at + 2),
        0xc9 => (Head::Ext(length(bytes, at, 4)?), at + 4),
        0xcc | 0xd0 => (Head::Scalar, at + 1),
        0xcd | 0xd1 => (Head::Scalar, at + 2),
        0xca | 0xce | 0xd2 => (Head::Scalar, at + 4),
        0xcb | 0xcf | 0xd3 => (Head::Scalar, at + 8),
        0xd4..=0xd8 => (Head::Ext(1 << (marker - 0xd4)), at),
        0xd9 => (Head::Str(length(bytes, at, 1)?), at + 1),
        0xda => (Head::Str(length(bytes, at, 2)?), at + 2),
        0xdb => (Head::Str(length(bytes, at, 4)?), at + 4),
        0xdc => (Head::List(length(bytes, at, 2)?), at + 2),
        0xdd => (Head::List(length(bytes, at, 4)?), at + 4),
        0xde => (Head::Map(length(bytes, at, 2)?), at + 2),
        0xdf => (Head::Map(length(bytes, at, 4)?), at + 4),
    })
}

/// What a marker alone says of its value: how many bytes it has, the marker
/// included, and how many values lie inside it, which follow. Without bytes: those
/// after the marker must be read, too.
const STEPS: [[u8; 2]; 256] = {
    let mut steps = [[1, 0]; 256];
    let mut marker = 0;
    while marker < 256 {
        let low = marker as u8;
        steps[marker] = match low {
            0x80..=0x8f => [1, 2 * (low & 0x0f)],
            0x90..=0x9f => [1, low & 0x0f],
            0xa0..=0xbf => [1 + (low & 0x1f), 0],
            0xcc | 0xd0 => [2, 0],
            0xcd | 0xd1 => [3, 0],
            0xca | 0xce | 0xd2 => [5, 0],
            0xcb | 0xcf | 0xd3 => [9, 0],
            0xc1 | 0xc4..=0xc9 | 0xd4..=0xdf => [0, 0],
            _ => [1, 0],
        };
        marker += 1;
    }
    steps
};

/// Where the value that begins at `at` ends, or `None` if it is not whole.
pub fn skip(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    let mut pending: usize = 1;
    while pending > 0 {
        pending -= 1;
        let marker = *bytes.get(at)?;
        if let 0xa0..=0xbf = marker {
            // Most are short texts: where one ends must be known before the next can be read.
            at += 1 + usize::from(marker & 0x1f);
            continue;
        }
        let [size, inside] = STEPS[usize::from(marker)];
        if size > 0 {
            at += usize::from(size);
            pending = pending.checked_add(usize::from(inside))?;
        } else if marker == 0xd9 {
            at += 2 + usize::from(*bytes.get(at + 1)?);
        } else {
            let (end, inside) = wide_step(bytes, at)?;
            pending = pending.checked_add(inside)?;
            at = end;
        }
    }
    (at <= bytes.len()).then_some(at)
}

/// The same for a value whose head is more than its marker: where the values inside
/// it begin, or else its end, and their number.
fn wide_step(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let (head, body) = head(bytes, at)?;
    Some(match head {
        Head::Scalar => (body, 0),
        Head::Str(len) | Head::Bin(len) => (body.checked_add(len)?, 0),
        Head::Ext(len) => (body.checked_add(len)?.checked_add(1)?, 0),
        Head::List(len) => (body, len),
        Head::Map(len) => (body, len.checked_mul(2)?),
    })
}

fn scalar(bytes: &[u8], at: usize) -> Option<Value<'_>> {
    let marker = *bytes.get(at)?;
    let number = |width| be(bytes, at + 1, width);
    Some(match marker {
        0x00..=0x7f => Value::Int(i64::from(marker)),
        0xe0..=0xff => Value::Int(i64::from(marker as i8)),
        0xc2 => Value::Bool(false),
        0xc3 => Value::Bool(true),
        0xca => Value::Float(f64::from(f32::from_bits(number(4)? as u32))),
        0xcb => Value::Float(f64::from_bits(number(8)?)),
        0xcc => Value::Int(number(1)? as i64),
        0xcd => Value::Int(number(2)? as i64),
        0xce => Value::Int(number(4)? as i64),
        0xcf => match i64::try_from(number(8)?) {
            Ok(n) => Value::Int(n),
            Err(_) => Value::UInt(number(8)?),
        },
        0xd0 => Value::Int(i64::from(number(1)? as u8 as i8)),
        0xd1 => Value::Int(i64::from(number(2)? as u16 as i16)),
        0xd2 => Value::Int(i64::from(number(4)? as u32 as i32)),
        0xd3 => Value::Int(number(8)? as i64),
        _ => Value::Nil,
    })
}

impl<'a> Value<'a> {
    /// The value that begins at `at` and where it ends.
    pub fn read(bytes: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let (head, body) = head(bytes, at)?;
        let slice = |len: usize| {
            let end = body.checked_add(len)?;
            Some((bytes.get(body..end)?, end))
        };
        Some(match head {
            Head::Scalar => (scalar(bytes, at)?, body),
            Head::Str(len) => {
                let (text, end) = slice(len)?;
                (std::str::from_utf8(text).map_or(Value::Bin(text), Value::Str), end)
            }
            Head::Bin(len) => {
                let (data, end) = slice(len)?;
                (Value::Bin(data), end)
            }
            Head::Ext(len) => {
                let (data, end) = slice(len.checked_add(1)?)?;
                (Value::Ext(data[0] as i8, &data[1..]), end)
            }
            Head::List(len) => {
                let end = skip(bytes, at)?;
                (Value::List(List { bytes: &bytes[body..end], len }), end)
            }
            Head::Map(len) => {
                let end = skip(bytes, at)?;
                (Value::Map(Map { bytes: &bytes[body..end], len }), end)
            }
        })
    }

    /// The value that begins at `at` of bytes that are known to be whole. Where a map
    /// or list ends is not looked for: its bytes go on to the end of these.
    fn within(bytes: &'a [u8], at: usize) -> Option<Self> {
        match *bytes.get(at)? {
            0x80..=0x9f | 0xdc..=0xdf => match head(bytes, at)? {
                (Head::List(len), body) => Some(Value::List(List { bytes: bytes.get(body..)?, len })),
                (Head::Map(len), body) => Some(Value::Map(Map { bytes: bytes.get(body..)?, len })),
                _ => None,
            },
            _ => Some(Value::read(bytes, at)?.0),
        }
    }

    /// The text, if it is text.
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The value as a whole number that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::UInt(n) => Some(*n),
            other => u64::try_from(other.as_i64()?).ok(),
        }
    }

    /// The number, if it is one; integers beyond 2^53 are rounded.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::UInt(n) => Some(*n as f64),
            Value::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<List<'a>> {
        match self {
            Value::List(list) => Some(*list),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<Map<'a>> {
        match self {
            Value::Map(map) => Some(*map),
            _ => None,
        }
    }

    /// Whether it is null.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// What stands under a key of a map, or at an index of a list.
    pub fn step(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Value::Map(map) => map.get(key),
            Value::List(list) => list.iter().nth(key.parse().ok()?),
            _ => None,
        }
    }
}

/// Equality of what is meant: integers by number, maps in order.
impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Nil, Value::Nil) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::UInt(a), Value::UInt(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::Bin(a), Value::Bin(b)) => a == b,
            (Value::List(a), Value::List(b)) => a.iter().eq(b.iter()),
            (Value::Map(a), Value::Map(b)) => a.iter().eq(b.iter()),
            (Value::Ext(a, x), Value::Ext(b, y)) => a == b && x == y,
            _ => false,
        }
    }
}

impl<'a> List<'a> {
    /// How many values are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values, in order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let bytes = self.bytes;
        let mut at = 0;
        (0..self.len).map_while(move |_| {
            let (value, end) = Value::read(bytes, at)?;
            at = end;
            Some(value)
        })
    }
}

impl<'a> Map<'a> {
    /// The map that begins at `at` and where it ends.
    pub fn read(bytes: &'a [u8], at: usize) -> Option<(Self, usize)> {
        match Value::read(bytes, at)? {
            (Value::Map(map), end) => Some((map, end)),
            _ => None,
        }
    }

    /// How many keys are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The keys and values, in order. Ends early at a key that is no text,
    /// which the host never sends.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let bytes = self.bytes;
        let mut at = 0;
        (0..self.len).map_while(move |_| {
            let (key, end) = Value::read(bytes, at)?;
            let (value, end) = Value::read(bytes, end)?;
            at = end;
            Some((key.as_str()?, value))
        })
    }

    /// What stands under a key; values before it are stepped over unread.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.find(key.as_bytes())
    }

    pub(crate) fn find(&self, key: &[u8]) -> Option<Value<'a>> {
        let bytes = self.bytes;
        let mut at = 0;
        for _ in 0..self.len {
            let (len, body) = match *bytes.get(at)? {
                marker @ 0xa0..=0xbf => (usize::from(marker & 0x1f), at + 1),
                _ => match head(bytes, at)? {
                    (Head::Str(len), body) => (len, body),
                    _ => return None,
                },
            };
            let end = body.checked_add(len)?;
            if encode::same(bytes.get(body..end)?, key) {
                return Value::within(bytes, end);
            }
            at = skip(bytes, end)?;
        }
        None
    }
}
