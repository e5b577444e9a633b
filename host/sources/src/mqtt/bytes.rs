//! Bytes that arrive to packets, and the encodings that packets consist of.

use super::packet::{Packet, Version};
use crate::limits;

/// The bytes are no packet that a server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Bytes that have arrived, as packets.
#[derive(Default)]
pub(super) struct Arrived {
    pub bytes: Vec<u8>,
    /// How much of them was read.
    at: usize,
    /// How many of those that follow belong to a packet that was too large.
    left_out: usize,
}

impl Arrived {
    /// The next packet, if it is complete.
    pub fn next(&mut self, version: Version) -> Result<Option<Packet>, Malformed> {
        let skipped = self.left_out.min(self.bytes.len() - self.at);
        (self.at, self.left_out) = (self.at + skipped, self.left_out - skipped);
        let mut rest = Reader(&self.bytes[self.at..]);
        let Some((first, length)) = rest.header()? else { return Ok(self.compact()) };
        let kept = length.min(limits::BUS_VALUE_BYTES);
        let Ok(body) = rest.take(kept) else { return Ok(self.compact()) };
        let after = self.bytes.len() - rest.0.len();
        let packet = version.read(first, body)?;
        (self.at, self.left_out) = (after, length - kept);
        Ok(Some(packet))
    }

    /// Forgets what was read.
    fn compact(&mut self) -> Option<Packet> {
        self.bytes.drain(..std::mem::take(&mut self.at));
        None
    }
}

/// Reads from the start of some bytes.
#[derive(Clone, Copy)]
pub(super) struct Reader<'b>(pub &'b [u8]);

impl<'b> Reader<'b> {
    pub fn take(&mut self, length: usize) -> Result<&'b [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(self.take(2)?.try_into().map_or(0, u16::from_be_bytes))
    }

    pub fn text(&mut self) -> Result<&'b [u8], Malformed> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// The first byte of a packet and the length of its body, if they have arrived.
    fn header(&mut self) -> Result<Option<(u8, usize)>, Malformed> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(None) };
        self.0 = rest;
        Ok(self.variable()?.map(|length| (*first, length)))
    }

    /// A number of up to four bytes; `None` if its end is missing.
    fn variable(&mut self) -> Result<Option<usize>, Malformed> {
        let mut number = 0;
        for shift in [0, 7, 14, 21] {
            let Some((byte, rest)) = self.0.split_first() else { return Ok(None) };
            self.0 = rest;
            number |= usize::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(Some(number));
            }
        }
        Err(Malformed)
    }

    pub fn properties(&mut self) -> Result<&'b [u8], Malformed> {
        let length = self.variable()?.ok_or(Malformed)?;
        self.take(length)
    }
}

/// Texts have at most 65,535 bytes, which the options are checked for.
pub(super) fn text(into: &mut Vec<u8>, text: &[u8]) {
    into.extend((text.len() as u16).to_be_bytes());
    into.extend_from_slice(text);
}

/// Seven bits a byte, the lowest first.
pub(super) fn variable(into: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}
