//! Reads frames from a segment file for a reader that is not served from memory. Runs on a thread that may block. One
//! call reads about [`MAX_READ_BYTES`] at most (or one frame, if that is larger).
//!
//! Payloads are slices of the bytes that were read, not copies (unless compressed or encrypted). A frame whose checksum
//! doesn't match, or that can't be decrypted, is an error, never an entry.

use crate::cipher::Opener;
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::limits::{MAX_READ_BYTES, SCAN_BYTES};
use crate::reader::Entry;
use crate::segment::IndexPoint;
use crate::storage::{Storage, StoredFile, read_up_to};
use bytes::Bytes;
use std::io;
use std::sync::Arc;

/// A place in an open segment file.
#[derive(Clone)]
pub(crate) struct Place {
    pub file: Arc<dyn StoredFile>,
    /// First sequence and mark of the segment, which identify it.
    pub segment: u64,
    pub mark: u32,
    pub at: IndexPoint,
}

/// What to read.
pub(crate) struct Plan {
    pub storage: Arc<dyn Storage>,
    pub name: String,
    pub segment: u64,
    pub mark: u32,
    /// Decrypts the frames, if they are encrypted.
    pub key: Option<Opener>,
    /// Where the visible part of the file ends.
    pub end: u64,
    pub place: Option<Place>,
    pub start: IndexPoint,
    /// Entries after this one.
    pub position: u64,
    pub max_bytes: usize,
}

/// The entries that were read, and where to continue.
pub(crate) struct Piece {
    pub entries: Vec<Entry>,
    pub place: Place,
    /// Records before the first entry, since the journal began.
    pub records_before: u64,
}

/// Why nothing was read.
pub(crate) enum ReadFailure {
    /// The segment was removed in the meantime.
    Gone,
    Disk(io::Error),
    Damaged {
        offset: u64,
        reason: &'static str,
    },
}

impl From<io::Error> for ReadFailure {
    fn from(error: io::Error) -> ReadFailure {
        ReadFailure::Disk(error)
    }
}

impl Plan {
    pub(crate) fn read(self) -> Result<Piece, ReadFailure> {
        let mut place = match &self.place {
            Some(place) if (place.segment, place.mark) == (self.segment, self.mark) => place.clone(),
            _ => {
                let file = match self.storage.open(&self.name) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return Err(ReadFailure::Gone);
                    }
                    Err(error) => return Err(error.into()),
                };
                Place { file, segment: self.segment, mark: self.mark, at: self.start }
            }
        };
        let mut piece_bytes = self.max_bytes.clamp(SCAN_BYTES, MAX_READ_BYTES);
        let mut entries = Vec::new();
        let mut records_before = place.at.records_before;
        // Each iteration advances the place, or grows the piece to the size of the frame there; a frame ends before
        // `end`.
        while place.at.offset < self.end && entries.is_empty() {
            let left = usize::try_from(self.end - place.at.offset).unwrap_or(usize::MAX);
            let mut piece = vec![0; piece_bytes.min(left)];
            let filled = read_up_to(&*place.file, &mut piece, place.at.offset)?;
            piece.truncate(filled);
            let piece = Bytes::from(piece);
            let before = place.at.offset;
            let needs = self.parse(&piece, &mut place, &mut entries, &mut records_before)?;
            if place.at.offset == before {
                if needs <= piece.len() || needs > left {
                    return Err(self.damaged(before, "the file is shorter than what was written"));
                }
                piece_bytes = needs;
            }
        }
        Ok(Piece { entries, place, records_before })
    }

    /// Takes complete frames from the piece. Returns the size of the first frame that was not complete.
    fn parse(
        &self,
        piece: &Bytes,
        place: &mut Place,
        entries: &mut Vec<Entry>,
        records_before: &mut u64,
    ) -> Result<usize, ReadFailure> {
        let mut at = 0;
        let mut taken_bytes = 0;
        loop {
            let rest = &piece[at..];
            if rest.len() < FRAME_HEADER_BYTES {
                return Ok(FRAME_HEADER_BYTES);
            }
            let header =
                FrameHeader::decode(rest, self.mark).map_err(|reason| self.damaged(place.at.offset, reason))?;
            // A frame is smaller than 2^32 bytes, and so than any usize here.
            let frame_bytes = header.frame_bytes() as usize;
            let is_due = header.sequence > self.position;
            let payload_bytes = header.payload_bytes as usize;
            if is_due && !entries.is_empty() && taken_bytes + payload_bytes > self.max_bytes {
                return Ok(0);
            }
            if rest.len() < frame_bytes {
                return Ok(frame_bytes);
            }
            if is_due {
                if entries.is_empty() {
                    *records_before = place.at.records_before;
                }
                let stored = piece.slice(at + FRAME_HEADER_BYTES..at + frame_bytes);
                let payload = header.open(stored, self.key.as_ref()).and_then(|opened| header.batch(opened));
                let payload = payload.map_err(|reason| self.damaged(place.at.offset, reason))?;
                taken_bytes += payload_bytes;
                entries.push(Entry {
                    sequence: header.sequence,
                    time_ns: header.time_ns,
                    records: header.records,
                    payload,
                });
            }
            at += frame_bytes;
            place.at = IndexPoint {
                sequence: header.sequence + 1,
                offset: place.at.offset + frame_bytes as u64,
                records_before: place.at.records_before + u64::from(header.records),
            };
        }
    }

    fn damaged(&self, offset: u64, reason: &'static str) -> ReadFailure {
        ReadFailure::Damaged { offset, reason }
    }
}
