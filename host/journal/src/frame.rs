//! The header of a frame and the stored form of a payload. Pure functions on bytes; [`format`](crate::format) has the
//! table.
//!
//! Invariant, asserted on writing and on reading: the stored length never exceeds the payload's own length, which never
//! exceeds [`MAX_PAYLOAD_BYTES`].

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
        assert!(self.stored_bytes <= self.payload_bytes, "a payload never grows on disk");
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
        if header.flags & !(FRAME_LZ4 | FRAME_LEDGER) != 0 {
            return Err("a frame has unknown flags");
        }
        let in_bounds = header.payload_bytes as usize <= MAX_PAYLOAD_BYTES;
        if !in_bounds || header.stored_bytes > header.payload_bytes {
            return Err("a frame's length is out of range");
        }
        Ok(header)
    }

    /// Length of header and payload.
    pub(crate) fn frame_bytes(&self) -> u64 {
        FRAME_HEADER_BYTES as u64 + u64::from(self.stored_bytes)
    }

    /// The batch that was appended, from the stored payload. The error says what is wrong with it.
    pub(crate) fn batch(&self, stored: Bytes) -> Result<Bytes, &'static str> {
        let payload = self.payload(stored)?;
        match self.has_ledger() {
            true => Ok(Ledger::split(&payload)?.0),
            false => Ok(payload),
        }
    }

    /// The ledger that was appended, from the stored payload.
    pub(crate) fn ledger(&self, stored: Bytes) -> Result<Ledger, &'static str> {
        Ledger::read(&Ledger::split(&self.payload(stored)?)?.1)
    }

    pub(crate) fn has_ledger(&self) -> bool {
        self.flags & FRAME_LEDGER != 0
    }

    /// Batch and ledger together, from the stored payload.
    fn payload(&self, stored: Bytes) -> Result<Bytes, &'static str> {
        if crc32c::crc32c(&stored) != self.crc {
            return Err("a frame's payload has the wrong checksum");
        }
        if self.flags & FRAME_LZ4 == 0 {
            if self.stored_bytes != self.payload_bytes {
                return Err("a frame's lengths contradict each other");
            }
            return Ok(stored);
        }
        match lz4_flex::block::decompress(&stored, self.payload_bytes as usize) {
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
        assert_eq!(head.payload(stored.clone().into()).as_deref(), Ok(&payload[..]));
        stored[3] ^= 1;
        assert!(head.payload(stored.clone().into()).is_err());
        // Even with a matching checksum, data that can't be decompressed is an error, not a panic.
        head.crc = crc32c::crc32c(&stored[..4]);
        assert!(head.payload(Bytes::copy_from_slice(&stored[..4])).is_err());
    }

    #[test]
    fn a_payload_that_compression_would_not_shrink_is_stored_as_is() {
        assert!(!compress(b"", &mut Vec::new()));
        assert!(!compress(b"q7", &mut Vec::new()));
    }
}
