//! Reads headers of strings, maps and lists, and skips values.
//!
//! Every read is checked against the end of the batch; the walk moves only past
//! complete values.

use weir_guest::value;

use super::Walk;

/// The size of values that are sensitive only because of their key, by their
/// first byte; 0 for all others. Integers of eight bytes may be card numbers.
static SCALARS: [u8; 256] = {
    let mut widths = [0; 256];
    let mut marker = 0;
    while marker < 256 {
        widths[marker] = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 1,
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 => 3,
            0xca | 0xce | 0xd2 => 5,
            0xcb => 9,
            _ => 0,
        };
        marker += 1;
    }
    widths
};

/// The header of text or bytes.
#[derive(Clone, Copy)]
pub(super) struct TextHeader {
    /// The length of the text in bytes.
    pub(super) len: usize,
}

impl TextHeader {
    /// Reads the bytes after the header and moves past them.
    #[inline]
    pub(super) fn read<'b>(self, walk: &mut Walk<'_, 'b>) -> Option<&'b [u8]> {
        let end = walk.at.checked_add(self.len)?;
        let bytes = walk.batch.get(walk.at..end)?;
        walk.at = end;
        Some(bytes)
    }
}

impl<'b> Walk<'_, 'b> {
    /// Reads a key; nearly all are strings of less than 32 bytes.
    #[inline(always)]
    pub(super) fn key(&mut self) -> Option<&'b [u8]> {
        if let [marker @ 0xa0..=0xbf, rest @ ..] = self.batch.get(self.at..)? {
            let key = rest.get(..usize::from(marker & 0x1f))?;
            self.at += 1 + key.len();
            return Some(key);
        }
        self.text_header()?.read(self)
    }

    #[inline]
    pub(super) fn text_header(&mut self) -> Option<TextHeader> {
        let marker = *self.batch.get(self.at)?;
        self.at += 1;
        let len = match marker {
            0xa0..=0xbf => usize::from(marker & 0x1f),
            0xd9 | 0xc4 => self.length(1)?,
            0xda | 0xc5 => self.length(2)?,
            0xdb | 0xc6 => self.length(4)?,
            _ => return None,
        };
        Some(TextHeader { len })
    }

    pub(super) fn map_header(&mut self) -> Option<usize> {
        let marker = *self.batch.get(self.at)?;
        self.at += 1;
        match marker {
            0x80..=0x8f => Some(usize::from(marker & 0x0f)),
            0xde => self.length(2),
            0xdf => self.length(4),
            _ => None,
        }
    }

    pub(super) fn list_header(&mut self) -> Option<usize> {
        let marker = *self.batch.get(self.at)?;
        self.at += 1;
        match marker {
            0x90..=0x9f => Some(usize::from(marker & 0x0f)),
            0xdc => self.length(2),
            0xdd => self.length(4),
            _ => None,
        }
    }

    fn length(&mut self, width: usize) -> Option<usize> {
        let bytes = self.batch.get(self.at..self.at + width)?;
        self.at += width;
        Some(bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)))
    }

    /// The end of the value at `at`.
    pub(super) fn end_of(&self, at: usize) -> Option<usize> {
        Some(at + value::skip(self.batch.get(at..)?)?)
    }

    /// The start and end of the string here, if it has up to 255 bytes.
    #[inline]
    pub(super) fn short_text(&self) -> Option<(usize, usize)> {
        let (start, len) = match self.batch.get(self.at..)? {
            [marker @ 0xa0..=0xbf, ..] => (self.at + 1, usize::from(marker & 0x1f)),
            [0xd9, len, ..] => (self.at + 2, usize::from(*len)),
            _ => return None,
        };
        (start + len <= self.batch.len()).then_some((start, start + len))
    }

    /// The end of the value here, most likely a time or a level.
    #[inline]
    pub(super) fn known_end(&self) -> Option<usize> {
        match (self.short_text(), self.batch.get(self.at..self.at + 9)) {
            (Some((_, end)), _) => Some(end),
            (None, Some([0xcf | 0xd3, ..])) => Some(self.at + 9),
            _ => self.end_of(self.at),
        }
    }

    /// Skips a value in which nothing can be found, if there is one here.
    #[inline]
    pub(super) fn step_over_scalar(&mut self) -> bool {
        let width = match self.batch.get(self.at) {
            Some(marker) => usize::from(SCALARS[usize::from(*marker)]),
            None => 0,
        };
        let whole = width > 0 && self.at + width <= self.batch.len();
        if whole {
            self.at += width;
        }
        whole
    }
}
