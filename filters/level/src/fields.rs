//! Reads the two fields of a record that this filter needs, and the record's end.
//!
//! Common values are skipped with a table, since that is nearly all of the work;
//! the rest takes the slow path. Invariant: reads stay within the batch, and a
//! truncated record gives nothing.

use weir_guest::{Level, value};

/// The fields that decide about a record.
pub struct Fields<'b> {
    /// The level; INFO if the record has none.
    pub level: Level,
    /// The source; empty if the record has none.
    pub source: &'b [u8],
}

/// The size of a value by its first byte, or 0 if that is not enough to know it.
static WIDTHS: [u8; 256] = {
    let mut widths = [0; 256];
    let mut marker = 0;
    while marker < 256 {
        widths[marker] = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 | 0x80 | 0x90 => 1,
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 => 3,
            0xca | 0xce | 0xd2 => 5,
            0xcb | 0xcf | 0xd3 => 9,
            0xa0..=0xbf => 1 + (marker & 0x1f) as u8,
            _ => 0,
        };
        marker += 1;
    }
    widths
};

impl<'b> Fields<'b> {
    /// Reads the fields of the record at `at`, and its end.
    #[inline]
    pub fn read(batch: &'b [u8], at: usize) -> Option<(Self, usize)> {
        let (count, mut at) = map(batch, at)?;
        let mut fields = Fields { level: Level::default(), source: b"" };
        for _ in 0..count {
            let key_at = at;
            at = skip(batch, key_at)?;
            // Both keys are short strings, whose header is one byte.
            match &batch[key_at..at] {
                b"\xa5level" => {
                    let text = text(batch, at);
                    fields.level = text.and_then(level).unwrap_or_default();
                }
                b"\xa6source" => fields.source = text(batch, at).unwrap_or_default(),
                _ => {}
            }
            at = skip(batch, at)?;
        }
        Some((fields, at))
    }
}

/// The number of keys of the map at `at`, and the offset of the first.
fn map(batch: &[u8], at: usize) -> Option<(usize, usize)> {
    match batch.get(at..)? {
        [marker @ 0x80..=0x8f, ..] => Some((usize::from(marker & 0x0f), at + 1)),
        [0xde, a, b, ..] => Some((usize::from(u16::from_be_bytes([*a, *b])), at + 3)),
        [0xdf, a, b, c, d, ..] => Some((u32::from_be_bytes([*a, *b, *c, *d]) as usize, at + 5)),
        _ => None,
    }
}

/// The end of the value at `at`.
#[inline]
fn skip(batch: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    let mut pending = 1_usize;
    while pending > 0 {
        pending -= 1;
        let marker = *batch.get(at)?;
        let width = usize::from(WIDTHS[usize::from(marker)]);
        at = match marker {
            _ if width > 0 => at + width,
            0xd9 => at + 2 + usize::from(*batch.get(at + 1)?),
            0x80..=0x8f => {
                pending += 2 * usize::from(marker & 0x0f);
                at + 1
            }
            _ => at + value::skip(batch.get(at..)?)?,
        };
    }
    (at <= batch.len()).then_some(at)
}

/// The string at `at`, if it has up to 255 bytes.
fn text(batch: &[u8], at: usize) -> Option<&[u8]> {
    let rest = batch.get(at..)?;
    match rest {
        [marker @ 0xa0..=0xbf, ..] => rest.get(1..1 + usize::from(marker & 0x1f)),
        [0xd9, len, ..] => rest.get(2..2 + usize::from(*len)),
        _ => match value::Value::peek(rest)? {
            value::Value::Str(text) => Some(text.as_bytes()),
            _ => None,
        },
    }
}

/// Parses a level. Weir writes the standard names; an earlier filter may have
/// written another spelling.
fn level(text: &[u8]) -> Option<Level> {
    match text {
        b"INFO" => Some(Level::Info),
        b"DEBUG" => Some(Level::Debug),
        b"WARNING" => Some(Level::Warning),
        b"ERROR" => Some(Level::Error),
        _ => Level::parse(std::str::from_utf8(text).ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_values_of_every_kind() {
        let values: [&[u8]; 12] = [
            b"\x07",
            b"\xc0",
            b"\xcb12345678",
            b"\xcf12345678",
            b"\xa3abc",
            b"\xd9\x03abc",
            b"\xda\x00\x03abc",
            b"\xc4\x03abc",
            b"\x82\xa1a\x01\xa5level\xa5ERROR",
            b"\x92\x01\x81\xa1a\x90",
            b"\xdc\x00\x02\x01\x02",
            b"\xd6\x01abcd",
        ];
        for value in values {
            let mut record = b"\xde\x00\x03\xa1x".to_vec();
            record.extend_from_slice(value);
            record.extend_from_slice(b"\xa5level\xa5DEBUG\xa6source\xa3web");
            record.push(0x80);
            let (fields, end) = Fields::read(&record, 0).unwrap();
            assert_eq!((fields.level, fields.source, end), (Level::Debug, &b"web"[..], record.len() - 1));
        }
    }

    #[test]
    fn records_that_are_not_whole_give_nothing_and_never_panic() {
        let record = b"\x83\xa1x\x92\xa1a\xcb12345678\xa5level\xa5DEBUG\xa6source\xd9\x03web";
        for len in 0..record.len() {
            assert!(Fields::read(&record[..len], 0).is_none(), "{len}");
        }
        assert!(Fields::read(record, 0).is_some());
        for first in 0..=255_u8 {
            let bytes: Vec<u8> = (0..64).map(|n: u8| first.wrapping_add(n.wrapping_mul(37))).collect();
            let _ = Fields::read(&bytes, 0);
        }
    }

    #[test]
    fn levels_and_sources_of_another_type_count_as_absent() {
        let (fields, _) = Fields::read(b"\x82\xa5level\x01\xa6source\xc0", 0).unwrap();
        assert_eq!((fields.level, fields.source), (Level::Info, &b""[..]));
    }
}
