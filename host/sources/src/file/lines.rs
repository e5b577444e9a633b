//! Cuts the bytes of a file into lines, and decodes them.
//!
//! What a cut is depends only on the bytes from its beginning on, never on how many of them are there yet: after a crash,
//! the same bytes become the same lines.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the text of a file is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum Encoding {
    /// UTF-8; what is not becomes U+FFFD.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-16, the low byte first.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// UTF-16, the high byte first.
    #[serde(rename = "utf-16be")]
    Utf16Be,
    /// ISO 8859-1.
    #[serde(rename = "latin-1")]
    Latin1,
}

/// The next piece of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut<'b> {
    /// A line, without its end.
    Line(&'b [u8]),
    /// The beginning of a line that is longer than the limit.
    Piece(&'b [u8]),
}

impl Encoding {
    /// The bytes that may mark the encoding at the beginning of a file.
    pub fn mark(self) -> &'static [u8] {
        match self {
            Encoding::Utf8 => b"\xef\xbb\xbf",
            Encoding::Utf16Le => b"\xff\xfe",
            Encoding::Utf16Be => b"\xfe\xff",
            Encoding::Latin1 => b"",
        }
    }

    /// Bytes of one unit.
    pub fn unit(self) -> usize {
        match self {
            Encoding::Utf8 | Encoding::Latin1 => 1,
            Encoding::Utf16Le | Encoding::Utf16Be => 2,
        }
    }

    /// The next line of at most `max` bytes, and how many bytes it takes with its end. `None`: its end is missing. With
    /// `is_last`, the bytes end the last line.
    pub fn cut(self, bytes: &[u8], max: usize, is_last: bool) -> Option<(Cut<'_>, usize)> {
        let unit = self.unit();
        let within = &bytes[..bytes.len().min(max + unit)];
        if let Some(end) = self.line_end(within) {
            let line = &bytes[..end];
            return Some((Cut::Line(self.without_return(line)), end + unit));
        }
        if bytes.len() >= max + unit {
            let length = self.boundary(bytes, max);
            return Some((Cut::Piece(&bytes[..length]), length));
        }
        (is_last && !bytes.is_empty()).then(|| (Cut::Line(self.without_return(bytes)), bytes.len()))
    }

    fn line_end(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Encoding::Utf8 | Encoding::Latin1 => memchr(b'\n', bytes),
            Encoding::Utf16Le => memchr_iter(b'\n', bytes).find(|at| at % 2 == 0 && bytes.get(at + 1) == Some(&0)),
            Encoding::Utf16Be => {
                memchr_iter(b'\n', bytes).find(|at| at % 2 == 1 && bytes[at - 1] == 0).map(|at| at - 1)
            }
        }
    }

    fn without_return(self, line: &[u8]) -> &[u8] {
        let end: &[u8] = match self {
            Encoding::Utf8 | Encoding::Latin1 => b"\r",
            Encoding::Utf16Le => b"\r\0",
            Encoding::Utf16Be => b"\0\r",
        };
        line.strip_suffix(end).unwrap_or(line)
    }

    /// The last boundary between characters that is not after `max`.
    fn boundary(self, bytes: &[u8], max: usize) -> usize {
        match self {
            Encoding::Latin1 => max,
            Encoding::Utf8 => {
                let boundary = (max.saturating_sub(3)..=max).rev().find(|at| bytes[*at] & 0xc0 != 0x80);
                boundary.unwrap_or(max)
            }
            Encoding::Utf16Le | Encoding::Utf16Be => {
                let max = max & !1;
                let high = if self == Encoding::Utf16Le { bytes[max - 1] } else { bytes[max - 2] };
                // The first half of a pair stays with the second.
                if (0xd8..0xdc).contains(&high) { max - 2 } else { max }
            }
        }
    }

    /// Whole zero units at the start of the bytes, in bytes.
    pub fn zeros(self, bytes: &[u8]) -> usize {
        let zeros = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        zeros - zeros % self.unit()
    }

    /// Text as UTF-8, or as bytes that should be.
    pub fn decode(self, text: &[u8]) -> Cow<'_, [u8]> {
        let units = |read: fn([u8; 2]) -> u16| {
            // An odd byte at the end is half a unit.
            let half = if text.len() % 2 == 1 { "\u{fffd}" } else { "" };
            let units = text.as_chunks::<2>().0.iter().map(|unit| read(*unit));
            let chars = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
            Cow::Owned((chars.collect::<String>() + half).into_bytes())
        };
        match self {
            Encoding::Utf8 => Cow::Borrowed(text),
            Encoding::Latin1 if text.is_ascii() => Cow::Borrowed(text),
            Encoding::Latin1 => Cow::Owned(text.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes()),
            Encoding::Utf16Le => units(u16::from_le_bytes),
            Encoding::Utf16Be => units(u16::from_be_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTF16: [Encoding; 2] = [Encoding::Utf16Le, Encoding::Utf16Be];

    fn encoded(encoding: Encoding, text: &str) -> Vec<u8> {
        match encoding {
            Encoding::Utf8 => text.into(),
            Encoding::Latin1 => text.chars().map(|c| c as u8).collect(),
            Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }

    fn texts(encoding: Encoding, mut bytes: &[u8], max: usize, is_last: bool) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some((cut, length)) = encoding.cut(bytes, max, is_last) {
            let (text, mark) = match cut {
                Cut::Line(text) => (text, ""),
                Cut::Piece(text) => (text, "…"),
            };
            texts.push(String::from_utf8_lossy(&encoding.decode(text)).into_owned() + mark);
            bytes = &bytes[length..];
        }
        texts
    }

    #[test]
    fn every_encoding_has_the_same_lines() {
        // U+0A0D and U+0D0A contain the bytes of line ends.
        for (encoding, text) in [
            (Encoding::Utf8, "a\r\nü\n\n\rb\nc"),
            (Encoding::Latin1, "a\r\nü\n\n\rb\nc"),
            (UTF16[0], "a\r\nü\u{a0d}\u{d0a}\n\n\rb\nc"),
            (UTF16[1], "a\r\nü\u{a0d}\u{d0a}\n\n\rb\nc"),
        ] {
            let bytes = encoded(encoding, text);
            let second = if encoding.unit() == 2 { "ü\u{a0d}\u{d0a}" } else { "ü" };
            assert_eq!(texts(encoding, &bytes, 64, false), ["a", second, "", "\rb"], "{encoding:?}");
            assert_eq!(texts(encoding, &bytes, 64, true), ["a", second, "", "\rb", "c"], "{encoding:?}");
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters_and_nothing_of_it_is_lost() {
        for encoding in [Encoding::Utf8, UTF16[0], UTF16[1]] {
            let text = "é𝄞x".repeat(9);
            let bytes = encoded(encoding, &format!("{text}\nnext\n"));
            for max in 8..20 {
                let cut = texts(encoding, &bytes, max, false);
                assert_eq!(cut.concat().replace('…', ""), text.clone() + "next", "{encoding:?} {max}");
                assert_eq!(cut.last().expect("lines"), "next");
            }
        }
        assert_eq!(
            texts(Encoding::Utf8, &[0x80; 17], 8, false),
            [format!("{}…", "\u{fffd}".repeat(8)), format!("{}…", "\u{fffd}".repeat(8))]
        );
    }

    #[test]
    fn a_cut_is_the_same_however_many_bytes_follow() {
        let text: Vec<u8> =
            (0..400_u32).map(|n| if n.is_multiple_of(37) { b'\n' } else { b'a' + (n % 5) as u8 }).collect();
        for max in [8, 36, 37, 38] {
            let whole = Encoding::Utf8.cut(&text[1..], max, false).expect("a cut");
            for length in 0..300 {
                if let Some(cut) = Encoding::Utf8.cut(&text[1..=length], max, false) {
                    assert_eq!(cut, whole, "{max} {length}");
                }
            }
        }
    }

    #[test]
    fn zeros_are_whole_units() {
        assert_eq!(Encoding::Utf8.zeros(b"\0\0\0a"), 3);
        assert_eq!(Encoding::Utf16Be.zeros(b"\0\0\0a"), 2);
        assert_eq!(String::from_utf8_lossy(&UTF16[0].decode(b"a\0\x00\xd8b\0c")), "a\u{fffd}b\u{fffd}");
    }
}
