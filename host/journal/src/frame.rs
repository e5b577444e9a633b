//! The header of a frame and the stored form of a payload. Pure functions on bytes; [`format`](crate::format) has the
//! table.
//!
//! Invariant, asserted on writing and on reading: without the tag of an encrypted one, the stored length never exceeds
//! the payload's own length, which never exceeds [`MAX_PAYLOAD_BYTES`].

use crate::cipher::{Opener, Sealer, TAG_BYTES};
use crate::format::{u32_at, u64_at};
use crate::ledger::Ledger;
use crate::limits::MAX_PAYLOAD_BYTES;
use bytes::Bytes;

/// Length of a frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 52;
/// The payload is one LZ4 block.
pub(crate) const FRAME_LZ4: u32 = 1;
/// A [`Ledger`] follows the batch in the payload.
pub(crate) const FRAME_LEDGER: u32 = 2;
/// The stored payload is encrypted.
pub(crate) const FRAME_SEALED: u32 = 4;
/// Everything in a header before the checksums, which an encrypted frame authenticates.
const AUTHENTICATED_BYTES: usize = 44;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub mark: u32,
    pub flags: u32,
    pub stored_bytes: u32,
    pub payload_bytes: u32,
    pub sequence: u64,
    pub durable: u64,
    pub time_ns: i64,
    pub records: u32,
    pub crc: u32,
}

impl FrameHeader {
    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        assert!(self.stored_bytes <= self.max_stored_bytes(), "a payload never grows on disk");
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.mark.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.stored_bytes.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.durable.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.time_ns.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.records.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..48]);
        bytes[48..52].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header in a segment with this mark. The error says what is wrong with it.
    pub(crate) fn decode(bytes: &[u8], mark: u32) -> Result<FrameHeader, &'static str> {
        if bytes.len() < FRAME_HEADER_BYTES {
            return Err("a frame's header is cut short");
        }
        if u32_at(bytes, 0) != mark {
            return Err("no frame begins here");
        }
        if crc32c::crc32c(&bytes[..48]) != u32_at(bytes, 48) {
            return Err("a frame's header has the wrong checksum");
        }
        let header = FrameHeader {
            mark,
            flags: u32_at(bytes, 4),
            stored_bytes: u32_at(bytes, 8),
            payload_bytes: u32_at(bytes, 12),
            sequence: u64_at(bytes, 16),
            durable: u64_at(bytes, 24),
            time_ns: u64_at(bytes, 32).cast_signed(),
            records: u32_at(bytes, 40),
            crc: u32_at(bytes, 44),
        };
        if header.flags & !(FRAME_LZ4 | FRAME_LEDGER | FRAME_SEALED) != 0 {
            return Err("a frame has unknown flags");
        }
        let in_bounds = header.payload_bytes as usize <= MAX_PAYLOAD_BYTES;
        if !in_bounds || header.stored_bytes > header.max_stored_bytes() {
            return Err("a frame's length is out of range");
        }
        Ok(header)
    }

    fn max_stored_bytes(&self) -> u32 {
        self.payload_bytes + if self.is_sealed() { TAG_BYTES as u32 } else { 0 }
    }

    /// The part of the header that an encrypted frame authenticates.
    pub(crate) fn authenticated(&self) -> [u8; AUTHENTICATED_BYTES] {
        let mut bytes = [0; AUTHENTICATED_BYTES];
        bytes.copy_from_slice(&self.encode()[..AUTHENTICATED_BYTES]);
        bytes
    }

    /// Length of header and payload.
    pub(crate) fn frame_bytes(&self) -> u64 {
        FRAME_HEADER_BYTES as u64 + u64::from(self.stored_bytes)
    }

    /// The batch that was appended, from the opened payload. The error says what is wrong with it.
    pub(crate) fn batch(&self, opened: Bytes) -> Result<Bytes, &'static str> {
        let payload = self.payload(opened)?;
        match self.has_ledger() {
            true => Ok(Ledger::split(&payload)?.0),
            false => Ok(payload),
        }
    }

    /// The ledger that was appended, from the opened payload.
    pub(crate) fn ledger(&self, opened: Bytes) -> Result<Ledger, &'static str> {
        Ledger::read(&Ledger::split(&self.payload(opened)?)?.1)
    }

    pub(crate) fn has_ledger(&self) -> bool {
        self.flags & FRAME_LEDGER != 0
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.flags & FRAME_SEALED != 0
    }

    /// Encrypts the payload that stands in `bytes` from `start` to the end, if the segment is encrypted. Returns the
    /// header with the length, the flag and the checksum of what is stored.
    pub(crate) fn seal(self, bytes: &mut Vec<u8>, start: usize, sealer: Option<&mut Sealer>) -> FrameHeader {
        let mut header = FrameHeader { flags: self.flags & !FRAME_SEALED, ..self };
        // At most MAX_PAYLOAD_BYTES, which was checked when the append was accepted, and a tag.
        header.stored_bytes = (bytes.len() - start) as u32;
        if let Some(sealer) = sealer {
            header.flags |= FRAME_SEALED;
            header.stored_bytes += TAG_BYTES as u32;
            let tag = sealer.seal(header.sequence, &header.authenticated(), &mut bytes[start..]);
            bytes.extend_from_slice(&tag);
        }
        header.crc = crc32c::crc32c(&bytes[start..]);
        header
    }

    /// Checks the stored payload and decrypts it, if it is in a segment with this key.
    pub(crate) fn open(&self, stored: Bytes, key: Option<&Opener>) -> Result<Bytes, &'static str> {
        if crc32c::crc32c(&stored) != self.crc {
            return Err("a frame's payload has the wrong checksum");
        }
        match key {
            None if self.is_sealed() => Err("an encrypted frame is in a segment without encryption"),
            None => Ok(stored),
            Some(_) if !self.is_sealed() => Err("a frame in an encrypted segment is not encrypted"),
            Some(key) => {
                let opened = key.open(self.sequence, &self.authenticated(), &stored);
                Ok(opened.ok_or("a frame can't be decrypted: it or the segment's header was changed")?.into())
            }
        }
    }

    /// Batch and ledger together, from the opened payload.
    fn payload(&self, opened: Bytes) -> Result<Bytes, &'static str> {
        if self.flags & FRAME_LZ4 == 0 {
            if opened.len() != self.payload_bytes as usize {
                return Err("a frame's lengths contradict each other");
            }
            return Ok(opened);
        }
        match lz4_flex::block::decompress(&opened, self.payload_bytes as usize) {
            Ok(payload) if payload.len() == self.payload_bytes as usize => Ok(payload.into()),
            Ok(_) | Err(_) => Err("a frame's payload can't be decompressed"),
        }
    }
}

/// Compresses into `buffer`, replacing its content. Returns false if that would save nothing.
pub(crate) fn compress(payload: &[u8], buffer: &mut Vec<u8>) -> bool {
    let bound = lz4_flex::block::get_maximum_output_size(payload.len());
    buffer.clear();
    buffer.resize(bound, 0);
    match lz4_flex::block::compress_into(payload, buffer) {
        Ok(written) if written < payload.len() => {
            buffer.truncate(written);
            true
        }
        // The buffer has room for the worst case, and after any failure storing the payload uncompressed is correct.
        Ok(_) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(stored: &[u8]) -> FrameHeader {
        FrameHeader {
            mark: 9,
            flags: 0,
            stored_bytes: stored.len() as u32,
            payload_bytes: stored.len() as u32,
            sequence: 5,
            durable: 4,
            time_ns: 1,
            records: 2,
            crc: crc32c::crc32c(stored),
        }
    }

    #[test]
    fn any_changed_byte_of_a_frame_header_is_detected() {
        let bytes = header(b"abc").encode();
        assert_eq!(FrameHeader::decode(&bytes, 9), Ok(header(b"abc")));
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= 1;
            assert!(FrameHeader::decode(&changed, 9).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_frame_with_the_mark_of_another_segment_is_refused() {
        assert!(FrameHeader::decode(&header(b"abc").encode(), 10).is_err());
    }

    #[test]
    fn a_compressed_payload_is_restored_and_a_changed_one_is_an_error() {
        let payload = b"the same words, the same words, the same words again".repeat(20);
        let mut stored = Vec::new();
        assert!(compress(&payload, &mut stored));
        assert!(stored.len() < payload.len());
        let mut head = header(&stored);
        head.flags = FRAME_LZ4;
        head.payload_bytes = payload.len() as u32;
        let opened = |head: FrameHeader, stored: &[u8]| head.payload(head.open(Bytes::copy_from_slice(stored), None)?);
        assert_eq!(opened(head, &stored).as_deref(), Ok(&payload[..]));
        stored[3] ^= 1;
        assert!(opened(head, &stored).is_err());
        // Even with a matching checksum, data that can't be decompressed is an error, not a panic.
        head.crc = crc32c::crc32c(&stored[..4]);
        assert!(opened(head, &stored[..4]).is_err());
    }

    #[test]
    fn a_payload_that_compression_would_not_shrink_is_stored_as_is() {
        assert!(!compress(b"", &mut Vec::new()));
        assert!(!compress(b"q7", &mut Vec::new()));
    }
}
