//! The in-memory index of each segment file: its range, and positions for readers that start in the middle. Pure
//! bookkeeping; [`read`](crate::read) reads the file and [`appender`](crate::appender) writes it.

use crate::cipher::Opener;
use crate::format::{SEGMENT_HEADER_BYTES, SegmentHeader, segment_name};
use crate::limits::INDEX_EVERY_BYTES;

/// The start of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexPoint {
    pub sequence: u64,
    pub offset: u64,
    /// Records before this frame, since the journal began.
    pub records_before: u64,
}

/// A segment as readers may see it: without frames that are written but not yet durable.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub name: String,
    pub mark: u32,
    /// When it was created, in nanoseconds since 1970 UTC.
    pub created_ns: i64,
    pub first: u64,
    /// Its last frame; while it is empty, the frame before the segment.
    pub last: u64,
    pub frames: u64,
    pub records_before: u64,
    /// Records up to and including its last frame, since the journal began.
    pub records_after: u64,
    pub size_bytes: u64,
    pub has_gaps: bool,
    /// Decrypts its frames, if they are encrypted.
    pub key: Option<Opener>,
    index: Vec<IndexPoint>,
}

impl Segment {
    pub(crate) fn empty(header: &SegmentHeader, key: Option<Opener>) -> Segment {
        Segment {
            name: segment_name(header.first),
            mark: header.mark,
            created_ns: header.created_ns,
            first: header.first,
            last: header.previous,
            frames: 0,
            records_before: header.records_before,
            records_after: header.records_before,
            size_bytes: SEGMENT_HEADER_BYTES as u64,
            has_gaps: header.has_gaps(),
            key,
            index: Vec::new(),
        }
    }

    /// Adds the frame at the segment's end.
    pub(crate) fn push(&mut self, sequence: u64, records: u32, frame_bytes: u64) {
        assert!(sequence > self.last, "frames come in order");
        let due = self.index.last().map_or(0, |point| point.offset + INDEX_EVERY_BYTES);
        if self.size_bytes >= due {
            self.index.push(IndexPoint { sequence, offset: self.size_bytes, records_before: self.records_after });
        }
        self.last = sequence;
        self.frames += 1;
        self.records_after += u64::from(records);
        self.size_bytes += frame_bytes;
    }

    /// The last indexed place at or before the first frame after `position`.
    pub(crate) fn place_after(&self, position: u64) -> IndexPoint {
        let later = self.index.partition_point(|point| point.sequence <= position.saturating_add(1));
        match later.checked_sub(1) {
            Some(at) => self.index[at],
            None => IndexPoint {
                sequence: self.first,
                offset: SEGMENT_HEADER_BYTES as u64,
                records_before: self.records_before,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_in_the_middle_starts_at_the_nearest_index_point_before_it() {
        let header = SegmentHeader {
            flags: 0,
            mark: 0,
            first: 11,
            previous: 10,
            records_before: 500,
            created_ns: 0,
            seal: None,
        };
        let mut segment = Segment::empty(&header, None);
        for sequence in 11..=1000 {
            segment.push(sequence, 2, 10_000);
        }
        for position in [0, 10, 11, 500, 998, 999] {
            let place = segment.place_after(position);
            let passed = place.sequence - 11;
            assert!(place.sequence <= (position + 1).max(11));
            assert_eq!(place.offset, SEGMENT_HEADER_BYTES as u64 + passed * 10_000);
            assert_eq!(place.records_before, 500 + passed * 2);
            assert!(position.saturating_sub(place.sequence) * 10_000 <= INDEX_EVERY_BYTES + 10_000);
        }
    }
}
