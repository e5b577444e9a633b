//! The bytes on disk: names, the segment's header, and (in [`frame`](crate::frame)) the frame's.
//!
//! All integers are little-endian. Each segment has a format version; segments of a newer version are refused.
//!
//! # The folder
//! | name | what |
//! |---|---|
//! | `00000000000000000001.seg` | a segment; the name is the sequence of its first frame, 20 digits |
//! | `cursors` | the position of every reader (see [`cursor`](crate::cursor)); `cursors.new` while it is being replaced |
//! | `spare` | an empty file, already open, that becomes the next segment |
//! | `lock` | locked while a process has the journal open |
//! | `….seg.damaged`, `….seg.damaged.2` … | damaged segments that were set aside; Weir never reads or removes them |
//! | `….seg.salvaged` | the undamaged frames of a segment while it is being set aside |
//! | `….seg.erased` | the copy of a segment during an erasure; removed at the next start |
//!
//! # A segment
//! A header of 64 bytes, then frames without space between them, to the end of the file.
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | `WEIRJRNL` |
//! | 8–9 | version: 2, or 3 if the frames are [encrypted](crate::cipher); in 1 there are no ledgers |
//! | 10–11 | flags: 1 = sequences may be missing between its frames or after them (a damaged one was set aside); 2 = written with `sync = "off"` |
//! | 12–15 | mark: a random number that begins every frame of this segment; senders can't know it, so no payload can look like a frame |
//! | 16–23 | sequence of the first frame |
//! | 24–31 | sequence of the last frame of the segment before (less than first − 1 after a jump of the numbering) |
//! | 32–39 | records in all frames before this segment, since the journal began |
//! | 40–47 | time of creation, nanoseconds since 1970 UTC, signed |
//! | 48–51 | version 3: the id of the key; zero in others |
//! | 52–59 | version 3: random, for a key of this segment alone; zero in others |
//! | 60–63 | CRC32C of bytes 0–59 |
//!
//! # A frame
//! A header of 52 bytes, then the payload.
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | the segment's mark |
//! | 4–7 | flags: 1 = the payload is one LZ4 block; 2 = a [ledger](crate::ledger) stands at the end of the payload; 4 = the stored payload is encrypted, and followed by a tag of 16 bytes that counts in its length. In a segment of version 3, every frame has flag 4; in others, none |
//! | 8–11 | length of the payload as stored |
//! | 12–15 | length of the payload as appended |
//! | 16–23 | sequence |
//! | 24–31 | the last sequence known to be durable when this frame was written |
//! | 32–39 | time, nanoseconds since 1970 UTC, signed |
//! | 40–43 | records in the payload |
//! | 44–47 | CRC32C of the payload as stored |
//! | 48–51 | CRC32C of bytes 0–47 |
//!
//! # Consequences
//! - A segment is synced before the next one is created, whatever `sync` is: **only the last segment can have a torn
//!   end**.
//! - A bad frame in the last segment is a torn end, unless an undamaged frame after it says that the bad one was
//!   durable: then it is damage. A group is written in one go, so after a power cut a later frame of the group may be
//!   complete while an earlier one is not; the `durable` field distinguishes this from damage. An encrypted frame whose
//!   checksum is right and whose tag is wrong is damage wherever it is: no crash leaves one.
//! - An encrypted segment whose header is damaged can't be decrypted: its key is derived from the header.

use crate::cipher::{KeyId, Keys, NoKey, Opener, Seal, Sealer};
use crate::limits::MAX_PAYLOAD_BYTES;
use std::io;

/// Length of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"WEIRJRNL";
/// The versions this code writes: without and with encryption.
const VERSION: u16 = 2;
const SEALED_VERSION: u16 = 3;
/// The oldest version this code reads.
const OLDEST_VERSION: u16 = 1;
/// Sequences may be missing in this segment or between it and the next.
pub(crate) const SEGMENT_GAPS: u16 = 1;
/// Written with `sync = "off"`.
pub(crate) const SEGMENT_UNSYNCED: u16 = 2;

// A frame's stored length is a u32, and so must be the sum of its parts.
const _: () = assert!(MAX_PAYLOAD_BYTES < u32::MAX as usize);

/// The header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub flags: u16,
    pub mark: u32,
    pub first: u64,
    pub previous: u64,
    pub records_before: u64,
    pub created_ns: i64,
    /// The frames are encrypted.
    pub seal: Option<Seal>,
}

/// Why 64 bytes are not a segment header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadHeader {
    /// The bytes differ from what was written.
    Damaged(&'static str),
    /// Written by a newer Weir.
    Newer(u16),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        let version = if self.seal.is_some() { SEALED_VERSION } else { VERSION };
        bytes[8..10].copy_from_slice(&version.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.flags.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.mark.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.previous.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.records_before.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created_ns.to_le_bytes());
        if let Some(Seal { key, salt }) = self.seal {
            bytes[48..52].copy_from_slice(&key.0);
            bytes[52..60].copy_from_slice(&salt);
        }
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header of a segment that replaces this one. It is encrypted if new segments are, or if this one was, always
    /// with random bytes of its own.
    pub(crate) fn for_copy(&self, keys: &Keys) -> io::Result<SegmentHeader> {
        let seal = match (keys.seal()?, self.seal) {
            (Some(seal), _) => Some(seal),
            (None, Some(original)) => Some(Seal::new(original.key)?),
            (None, None) => None,
        };
        Ok(SegmentHeader { seal, ..*self })
    }

    /// Decrypts the segment's frames; `None` if they are not encrypted.
    pub(crate) fn opener(&self, keys: &Keys) -> Result<Option<Opener>, NoKey> {
        self.seal.map(|seal| keys.opener(seal.key, &self.encode())).transpose()
    }

    /// Encrypts the frames of a segment that was created with this header just now; `None` if they are not to be
    /// encrypted.
    pub(crate) fn sealer(&self, keys: &Keys) -> Result<Option<Sealer>, NoKey> {
        self.seal.map(|seal| keys.sealer(seal.key, &self.encode())).transpose()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<SegmentHeader, BadHeader> {
        if bytes.len() < SEGMENT_HEADER_BYTES {
            return Err(BadHeader::Damaged("its header is cut short"));
        }
        if &bytes[0..8] != MAGIC {
            return Err(BadHeader::Damaged("its header does not begin with WEIRJRNL"));
        }
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Err(BadHeader::Damaged("its header has the wrong checksum"));
        }
        let version = u16_at(bytes, 8);
        if !(OLDEST_VERSION..=SEALED_VERSION).contains(&version) {
            return Err(BadHeader::Newer(version));
        }
        let flags = u16_at(bytes, 10);
        if flags & !(SEGMENT_GAPS | SEGMENT_UNSYNCED) != 0 {
            return Err(BadHeader::Damaged("its header has unknown flags"));
        }
        let seal = (version == SEALED_VERSION).then(|| {
            let (mut key, mut salt) = ([0; 4], [0; 8]);
            key.copy_from_slice(&bytes[48..52]);
            salt.copy_from_slice(&bytes[52..60]);
            Seal { key: KeyId(key), salt }
        });
        Ok(SegmentHeader {
            flags,
            mark: u32_at(bytes, 12),
            first: u64_at(bytes, 16),
            previous: u64_at(bytes, 24),
            records_before: u64_at(bytes, 32),
            created_ns: u64_at(bytes, 40).cast_signed(),
            seal,
        })
    }

    pub(crate) fn has_gaps(&self) -> bool {
        self.flags & SEGMENT_GAPS != 0
    }

    pub(crate) fn is_unsynced(&self) -> bool {
        self.flags & SEGMENT_UNSYNCED != 0
    }
}

/// The file name of the segment whose first frame has this sequence.
pub(crate) fn segment_name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// The first sequence of a segment, from its file name; `None` if it is not a segment.
pub(crate) fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Reads at an offset; callers have checked the length.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let mut value = [0; 2];
    value.copy_from_slice(&bytes[at..at + 2]);
    u16::from_le_bytes(value)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_names_sort_by_sequence_and_other_names_are_not_segments() {
        assert_eq!(segment_name(1), "00000000000000000001.seg");
        assert!(segment_name(9) < segment_name(10));
        assert_eq!(parse_segment_name(&segment_name(u64::MAX)), Some(u64::MAX));
        for other in [
            "cursors",
            "1.seg",
            "00000000000000000001.seg.damaged",
            "0000000000000000000x.seg",
            "+0000000000000000001.seg",
        ] {
            assert_eq!(parse_segment_name(other), None, "{other}");
        }
    }

    #[test]
    fn any_changed_byte_of_a_segment_header_is_detected() {
        for seal in [None, Some(Seal { key: KeyId([1, 2, 3, 4]), salt: [5; 8] })] {
            let header = SegmentHeader {
                flags: SEGMENT_GAPS,
                mark: 7,
                first: 3,
                previous: 2,
                records_before: 100,
                created_ns: -1,
                seal,
            };
            let bytes = header.encode();
            assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
            for at in 0..bytes.len() {
                let mut changed = bytes;
                changed[at] ^= 0x10;
                assert!(SegmentHeader::decode(&changed).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn a_newer_version_is_not_reported_as_damage() {
        let header =
            SegmentHeader { flags: 0, mark: 7, first: 3, previous: 2, records_before: 0, created_ns: 0, seal: None };
        let mut bytes = header.encode();
        bytes[8] = 4;
        let crc = crc32c::crc32c(&bytes[..60]).to_le_bytes();
        bytes[60..64].copy_from_slice(&crc);
        assert_eq!(SegmentHeader::decode(&bytes), Err(BadHeader::Newer(4)));
    }
}
