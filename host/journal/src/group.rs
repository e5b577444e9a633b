//! The frames of one write: headers and small payloads are copied into one buffer, large payloads stay where they are.
//!
//! A payload is copied at most once, a large one never, unless it is encrypted. Buffers are reused from group to group.

use crate::cipher::{Sealer, TAG_BYTES};
use crate::frame::{FRAME_HEADER_BYTES, FRAME_LEDGER, FRAME_LZ4, FrameHeader, compress};
use crate::ledger::Ledger;
use crate::limits::{COPY_BELOW_BYTES, KEEP_SCRATCH_BYTES};
use crate::reader::Entry;
use crate::state::RecentEntry;
use crate::storage::StoredFile;
use crate::writer::AppendCallback;
use bytes::Bytes;
use std::io::{self, IoSlice};
use std::ops::Range;

/// A frame in the group, waiting for its write.
pub(crate) struct Queued {
    pub recent: RecentEntry,
    pub ledger: Ledger,
    pub frame_bytes: u64,
    pub done: AppendCallback,
}

enum Part {
    Scratch(Range<usize>),
    Payload(Bytes),
}

/// A payload in the form it will have on disk.
pub(crate) struct Prepared {
    payload: Bytes,
    pub cost_bytes: usize,
    is_compressed: bool,
    /// Before encryption.
    stored_bytes: usize,
    is_encrypted: bool,
}

impl Prepared {
    pub(crate) fn frame_bytes(&self) -> u64 {
        let tag_bytes = if self.is_encrypted { TAG_BYTES } else { 0 };
        (FRAME_HEADER_BYTES + self.stored_bytes + tag_bytes) as u64
    }
}

/// The fields of a frame's header that don't come from its payload.
pub(crate) struct Stamp {
    pub mark: u32,
    pub sequence: u64,
    pub durable: u64,
    pub time_ns: i64,
    pub records: u32,
    pub records_before: u64,
}

/// The frames of the next write.
#[derive(Default)]
pub(crate) struct Group {
    pub frames: Vec<Queued>,
    pub size_bytes: u64,
    pub records: u64,
    scratch: Vec<u8>,
    parts: Vec<Part>,
    compressed: Vec<u8>,
}

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Compresses the payload if requested and worthwhile. The next `push` must be of this payload.
    pub(crate) fn prepare(&mut self, payload: Vec<u8>, wants_compression: bool, is_encrypted: bool) -> Prepared {
        let is_compressed = wants_compression && compress(&payload, &mut self.compressed);
        let stored_bytes = if is_compressed { self.compressed.len() } else { payload.len() };
        Prepared {
            cost_bytes: payload.capacity() + size_of::<RecentEntry>(),
            payload: Bytes::from(payload),
            is_compressed,
            stored_bytes,
            is_encrypted,
        }
    }

    /// Adds a frame to the write. `sealer`: of the segment, if it is encrypted.
    pub(crate) fn push(
        &mut self,
        prepared: Prepared,
        stamp: &Stamp,
        ledger: Ledger,
        sealer: Option<&mut Sealer>,
        done: AppendCallback,
    ) {
        let frame_bytes = prepared.frame_bytes();
        let Prepared { payload, cost_bytes, is_compressed, stored_bytes, is_encrypted } = prepared;
        let stored: &[u8] = if is_compressed { &self.compressed } else { &payload };
        assert_eq!(stored.len(), stored_bytes, "the payload prepared last is the one pushed");
        assert_eq!(sealer.is_some(), is_encrypted, "a segment is encrypted as a whole");
        // Both lengths are at most MAX_PAYLOAD_BYTES (checked when the append was accepted), so they fit.
        let header = FrameHeader {
            mark: stamp.mark,
            flags: if is_compressed { FRAME_LZ4 } else { 0 } | if ledger.is_empty() { 0 } else { FRAME_LEDGER },
            stored_bytes: stored_bytes as u32,
            payload_bytes: payload.len() as u32,
            sequence: stamp.sequence,
            durable: stamp.durable,
            time_ns: stamp.time_ns,
            records: stamp.records,
            crc: 0,
        };
        let start = self.scratch.len();
        let copied = is_compressed || is_encrypted || stored_bytes < COPY_BELOW_BYTES;
        if copied {
            self.scratch.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
            self.scratch.extend_from_slice(stored);
            let header = header.seal(&mut self.scratch, start + FRAME_HEADER_BYTES, sealer);
            self.scratch[start..start + FRAME_HEADER_BYTES].copy_from_slice(&header.encode());
        } else {
            let header = FrameHeader { crc: crc32c::crc32c(stored), ..header };
            self.scratch.extend_from_slice(&header.encode());
        }
        self.cover(start..self.scratch.len());
        if !copied {
            self.parts.push(Part::Payload(payload.clone()));
        }
        self.size_bytes += frame_bytes;
        self.records += u64::from(stamp.records);
        let batch_bytes = payload.len() - if ledger.is_empty() { 0 } else { ledger.size_bytes() };
        let payload = payload.slice(..batch_bytes);
        let entry = Entry { sequence: stamp.sequence, time_ns: stamp.time_ns, records: stamp.records, payload };
        let recent = RecentEntry { entry, records_before: stamp.records_before, cost_bytes };
        self.frames.push(Queued { recent, ledger, frame_bytes, done });
    }

    /// Adjacent ranges of the buffer become one part of the write.
    fn cover(&mut self, range: Range<usize>) {
        match self.parts.last_mut() {
            Some(Part::Scratch(before)) if before.end == range.start => before.end = range.end,
            _ => self.parts.push(Part::Scratch(range)),
        }
    }

    /// Appends everything to the file.
    pub(crate) fn write_to(&self, file: &dyn StoredFile) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Scratch(range) => IoSlice::new(&self.scratch[range.clone()]),
                Part::Payload(payload) => IoSlice::new(payload),
            })
            .collect();
        file.append(&mut slices)
    }

    /// Clears the bytes and returns the frames. The buffers are kept unless they grew large.
    pub(crate) fn take(&mut self) -> Vec<Queued> {
        self.size_bytes = 0;
        self.records = 0;
        self.parts.clear();
        // The compressed payload stays: the frames before it may be written between `prepare` and `push`.
        self.scratch.clear();
        self.scratch.shrink_to(KEEP_SCRATCH_BYTES);
        std::mem::take(&mut self.frames)
    }
}
