//! MessagePack one header at a time: [`token`] reads a scalar or the header of an
//! array or map, [`skip`] skips whole values, [`find`] looks up a key.
//!
//! Filters spend most of their time in these three functions, as WebAssembly.
//! Therefore `skip` uses a table, and short keys are compared as words.

/// The token at the start of some bytes: a complete scalar, or the header of an
/// array or map with its number of items or entries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    /// Null.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Int(i64),
    /// An integer above `i64::MAX`.
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// Text, not yet checked to be UTF-8.
    Str(&'a [u8]),
    /// Bytes that are not text.
    Bin(&'a [u8]),
    /// An extension: its type and its bytes.
    Ext(i8, &'a [u8]),
    /// The header of an array, with the number of items that follow.
    Array(u32),
    /// The header of a map, with the number of entries that follow.
    Map(u32),
}

/// The token at the start of `bytes`, and its length: all of a scalar, only the
/// header of an array or map.
#[inline]
pub fn token(bytes: &[u8]) -> Option<(Token<'_>, usize)> {
    let marker = *bytes.first()?;
    match marker {
        0x00..=0x7f => Some((Token::Int(i64::from(marker)), 1)),
        0xa0..=0xbf => {
            let end = 1 + usize::from(marker & 0x1f);
            Some((Token::Str(bytes.get(1..end)?), end))
        }
        0x80..=0x8f => Some((Token::Map(u32::from(marker & 0x0f)), 1)),
        0x90..=0x9f => Some((Token::Array(u32::from(marker & 0x0f)), 1)),
        0xe0..=0xff => Some((Token::Int(i64::from(marker as i8)), 1)),
        // The header of most messages, so it is read here.
        0xd9 => {
            let end = 2 + usize::from(*bytes.get(1)?);
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
        0xdc => (Token::Array(u32::from(u16::from_be_bytes(fixed(bytes, 1)?))), 3),
        0xdd => (Token::Array(u32::from_be_bytes(fixed(bytes, 1)?)), 5),
        0xde => (Token::Map(u32::from(u16::from_be_bytes(fixed(bytes, 1)?))), 3),
        0xdf => (Token::Map(u32::from_be_bytes(fixed(bytes, 1)?)), 5),
        // 0xc1, which MessagePack reserves.
        _ => return None,
    })
}

fn fixed<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

fn length(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    match width {
        1 => bytes.get(at).map(|len| usize::from(*len)),
        2 => fixed(bytes, at).map(|len| usize::from(u16::from_be_bytes(len))),
        _ => usize::try_from(u32::from_be_bytes(fixed(bytes, at)?)).ok(),
    }
}

/// What a marker tells about its value: the size in bytes, including the marker,
/// and the number of values inside. A size of 0 means that the bytes after the
/// marker must be read, too.
static STEPS: [[u8; 2]; 256] = {
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

/// The length in bytes of the value at the start of `bytes`. `None` if it is not
/// complete.
#[inline]
pub fn skip(bytes: &[u8]) -> Option<usize> {
    skip_many(bytes, 1)
}

/// The length in bytes of `count` consecutive values at the start of `bytes`.
pub fn skip_many(bytes: &[u8], count: u64) -> Option<usize> {
    let mut pending = usize::try_from(count).ok()?;
    let mut at = 0;
    while pending > 0 {
        pending -= 1;
        let marker = *bytes.get(at)?;
        if let 0xa0..=0xbf = marker {
            // Most values and keys are short strings.
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
            let (token, len) = wide_token(&bytes[at..], marker)?;
            at += len;
            let inside = match token {
                Token::Array(items) => u64::from(items),
                Token::Map(entries) => 2 * u64::from(entries),
                _ => 0,
            };
            pending = pending.checked_add(usize::try_from(inside).ok()?)?;
        }
    }
    (at <= bytes.len()).then_some(at)
}

/// The bytes from the value under `key` on, among the first `count` map entries
/// of `entries`. Values before it are skipped unread.
pub fn find<'a>(entries: &'a [u8], count: u32, key: &[u8]) -> Option<&'a [u8]> {
    let mut rest = entries;
    for _ in 0..count {
        let (Token::Str(name), len) = token(rest)? else { return None };
        let value = rest.get(len..)?;
        if same_text(name, key) {
            return Some(value);
        }
        rest = value.get(skip(value)?..)?;
    }
    None
}

/// The bytes from a value on: the one under a key of the map, or at an index of
/// the array, at the start of `bytes`.
#[inline]
pub fn step<'a>(bytes: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let (container, header) = token(bytes)?;
    let inside = bytes.get(header..)?;
    match container {
        Token::Map(count) => find(inside, count, key.as_bytes()),
        Token::Array(count) => {
            let index = key.parse::<u32>().ok().filter(|index| *index < count)?;
            inside.get(skip_many(inside, u64::from(index))?..)
        }
        _ => None,
    }
}

/// Whether two strings are equal. Those of 4 to 16 bytes are compared as two
/// words, which may overlap: in WebAssembly any other comparison is a loop over
/// the bytes.
#[inline]
pub fn same_text(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && match a.len() {
            4..8 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
            8..=16 => a.first_chunk::<8>() == b.first_chunk() && a.last_chunk::<8>() == b.last_chunk(),
            _ => a == b,
        }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

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
            assert_eq!(token(bytes), Some((Token::Int(5), bytes.len())));
        }
        assert_eq!(token(&[0xff]), Some((Token::Int(-1), 1)));
        assert_eq!(token(&[0xcf, 255, 255, 255, 255, 255, 255, 255, 255]), Some((Token::UInt(u64::MAX), 9)));
    }

    #[test]
    fn lengths_beyond_the_input_are_refused() {
        for bytes in [
            &[0xdb, 255, 255, 255, 255][..],
            &[0xc6, 255, 255, 255, 255],
            &[0xc9, 255, 255, 255, 255, 1],
            &[0xd8, 1, 2],
            &[0xc1],
            &[],
        ] {
            assert_eq!(token(bytes), None, "{bytes:x?}");
            assert_eq!(skip(bytes), None, "{bytes:x?}");
        }
        for bytes in [[0xdd, 255, 255, 255, 255], [0xdf, 255, 255, 255, 255]] {
            assert_eq!(skip(&bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn nesting_of_any_depth_is_skipped_without_recursion() {
        let mut bytes = vec![0x91; 1 << 22];
        bytes.push(0xc0);
        assert_eq!(skip(&bytes), Some(bytes.len()));
    }

    #[test]
    fn skipping_agrees_with_reading_token_by_token() {
        for marker in 0..=255u8 {
            // Whatever follows a marker: values of one byte.
            let bytes: Vec<u8> = [marker].into_iter().chain([0, 1, 0, 2, 3]).chain([7; 600]).collect();
            let by_token = token(&bytes).and_then(|(first, len)| {
                let inside = match first {
                    Token::Array(items) => items as usize,
                    Token::Map(entries) => 2 * entries as usize,
                    _ => 0,
                };
                (len + inside <= bytes.len()).then_some(len + inside)
            });
            assert_eq!(skip(&bytes), by_token, "{marker:#x}");
        }
    }

    #[test]
    fn strings_of_every_length_are_compared_completely() {
        let text: Vec<u8> = (0..40).collect();
        for len in 0..text.len() {
            let copy = text[..len].to_vec();
            assert!(same_text(&text[..len], &copy));
            assert!(!same_text(&text[..len], &text[..len + 1]));
            for at in 0..len {
                let mut other = text[..len].to_vec();
                other[at] ^= 1;
                assert!(!same_text(&text[..len], &other), "byte {at} of {len}");
            }
        }
    }
}
