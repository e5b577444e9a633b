//! Reads and writes the wire format of Protocol Buffers.
//!
//! Records arrive as messages of two small schemas, OTLP's and Loki's. A generated codec would first build a tree of
//! objects, most of which would be dropped again, and its libraries would be the largest dependency of this crate. A
//! [`Message`] reads fields in place instead, and the protocol composes records from them.
//!
//! Invariants: nothing is allocated and no declared length is trusted; every byte is read once per message that it is in.
//! Fields that the caller doesn't know or that have another wire type are its to skip, as the format demands. Groups, which
//! no current schema has, are refused.

use weir_record::ComposeError;

/// The fields of a message, in the order in which they were sent.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    rest: &'a [u8],
}

/// The value of a field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
    Fixed32(u32),
}

const CUT: &str = "the protobuf message is cut short";

fn cut() -> ComposeError {
    ComposeError::syntax(CUT)
}

impl<'a> Message<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Message<'a> {
        Message { rest: bytes }
    }

    /// The next field and its number.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, ComposeError> {
        // Most fields are short texts and messages: their number, wire type and length are two bytes.
        if let [tag @ 0x08..0x80, length @ 0..0x80, rest @ ..] = self.rest
            && tag & 7 == 2
            && let Some((value, rest)) = rest.split_at_checked(usize::from(*length))
        {
            self.rest = rest;
            return Ok(Some((u64::from(tag >> 3), Field::Bytes(value))));
        }
        self.next_of_any_form()
    }

    fn next_of_any_form(&mut self) -> Result<Option<(u64, Field<'a>)>, ComposeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| cut())?;
                let (value, rest) = self.rest.split_at_checked(length).ok_or_else(cut)?;
                self.rest = rest;
                Field::Bytes(value)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            3 | 4 => return Err(ComposeError::syntax("the protobuf message has a group, which is not supported")),
            _ => return Err(ComposeError::syntax("the protobuf message has an unknown wire type")),
        };
        match tag >> 3 {
            0 => Err(ComposeError::syntax("the protobuf message has a field with the number 0")),
            number => Ok(Some((number, field))),
        }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, ComposeError> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, ComposeError> {
        let mut value = 0;
        for (at, &byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 {
            cut()
        } else {
            ComposeError::syntax("a protobuf varint is longer than 10 bytes")
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ComposeError> {
        let (value, rest) = self.rest.split_first_chunk().ok_or_else(cut)?;
        self.rest = rest;
        Ok(*value)
    }
}

pub(crate) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field of the wire type 0.
pub(crate) fn write_uint(out: &mut Vec<u8>, number: u32, value: u64) {
    write_varint(out, u64::from(number) << 3);
    write_varint(out, value);
}

/// Appends a field of the wire type 2.
pub(crate) fn write_bytes(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    write_varint(out, u64::from(number) << 3 | 2);
    write_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a field of the wire type 1.
pub(crate) fn write_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    write_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a field of the wire type 5.
pub(crate) fn write_fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    write_varint(out, u64::from(number) << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u64, Field<'_>)>, &'static str> {
        let mut message = Message::new(bytes);
        std::iter::from_fn(|| message.next().transpose()).collect::<Result<_, _>>().map_err(ComposeError::reason)
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut out = Vec::new();
        for value in [0, 127, 128, u64::MAX] {
            write_uint(&mut out, 1, value);
        }
        write_fixed64(&mut out, 2, 1 << 60);
        write_bytes(&mut out, 3, &[b'x'; 300]);
        write_fixed32(&mut out, 536_870_911, 5);
        let due = [
            (1, Field::Varint(0)),
            (1, Field::Varint(127)),
            (1, Field::Varint(128)),
            (1, Field::Varint(u64::MAX)),
            (2, Field::Fixed64(1 << 60)),
            (3, Field::Bytes(&[b'x'; 300])),
            (536_870_911, Field::Fixed32(5)),
        ];
        assert_eq!(all(&out), Ok(due.to_vec()));
        for end in 1..out.len() {
            // Cut between two fields, it is a shorter message.
            assert!(all(&out[..end]).is_ok_and(|fields| fields.len() < due.len()) || all(&out[..end]) == Err(CUT));
        }
    }

    #[test]
    fn what_is_no_message_is_refused_with_the_reason() {
        for (bytes, reason) in [
            (&[0x0b_u8][..], "group"),
            (&[0x0c], "group"),
            (&[0x0e, 0], "wire type"),
            (&[0x00, 0], "number 0"),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "varint"),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "cut short"),
            (&[0x0a, 2, b'x'], "cut short"),
            (&[0x09, 0, 0, 0], "cut short"),
        ] {
            let error = all(bytes).expect_err(reason);
            assert!(error.contains(reason), "{bytes:?}: {error}");
        }
    }
}
