//! DER (X.690), as much of it as certificates need: elements with one-byte tags.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The tag of a context-specific element that holds others.
pub(super) const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of a context-specific element that holds a value.
pub(super) const fn implicit(number: u8) -> u8 {
    0x80 | number
}

/// Reads elements one after the other.
#[derive(Clone, Copy)]
pub(super) struct Elements<'d>(pub(super) &'d [u8]);

impl<'d> Elements<'d> {
    /// The next element if it has this tag.
    pub(super) fn tagged(&mut self, tag: u8) -> Option<&'d [u8]> {
        let (found, content, rest) = split(self.0)?;
        (found == tag).then(|| {
            self.0 = rest;
            content
        })
    }
}

impl<'d> Iterator for Elements<'d> {
    type Item = (u8, &'d [u8]);

    /// Ends at the end, and at something that is not DER.
    fn next(&mut self) -> Option<(u8, &'d [u8])> {
        let (tag, content, rest) = split(self.0)?;
        self.0 = rest;
        Some((tag, content))
    }
}

/// Splits off the first element: its tag, its content, and what follows.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // No certificate has elements of 16 MiB.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// An element with these parts as its content.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut element = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ 0..0x80) => element.push(length),
        _ => {
            let digits = content.len().to_be_bytes();
            let digits = &digits[digits.iter().take_while(|digit| **digit == 0).count()..];
            element.push(0x80 | digits.len() as u8);
            element.extend_from_slice(digits);
        }
    }
    element.extend_from_slice(&content);
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_every_length_are_read_as_they_are_written() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let whole = [element(OCTET_STRING, &[&content]), element(INTEGER, &[&[1]])].concat();
            let mut elements = Elements(&whole);
            assert_eq!(elements.tagged(INTEGER), None);
            assert_eq!(elements.tagged(OCTET_STRING), Some(content.as_slice()));
            assert_eq!(elements.next(), Some((INTEGER, [1].as_slice())));
            assert_eq!(elements.next(), None);
            assert_eq!(Elements(&whole[..length]).next(), None, "cut off");
        }
        assert_eq!(Elements(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]).next(), None);
    }
}
