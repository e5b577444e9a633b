//! Walks the frames of a segment file in order, checks every byte, and finds the next undamaged frame after a bad one.
//! Used when a journal is opened, salvaged or inspected; readers know their position and use `read`.
//!
//! Never holds more than one piece of the file, or one encrypted frame: other payloads are checked piece by piece.

use crate::cipher::{Keys, Opener};
use crate::format::{BadHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::limits::SCAN_BYTES;
use crate::storage::{StoredFile, read_up_to};
use bytes::Bytes;
use std::io;

/// Step over unreadable places when looking for the next undamaged frame: a page of a disk.
const PAGE_BYTES: u64 = 4096;

/// An undamaged frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub header: FrameHeader,
    pub offset: u64,
}

impl Found {
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.header.frame_bytes()
    }
}

/// What was found at the current offset.
#[derive(Debug)]
pub(crate) enum Step {
    Frame(Found),
    /// The file ends here, between two frames.
    End,
    Broken(Broken),
}

/// Why there is no frame where one is expected.
#[derive(Debug)]
pub(crate) struct Broken {
    pub reason: String,
    /// No crash leaves this: the disk did not return the bytes, or a complete frame can't be decrypted.
    pub beyond_crash: bool,
}

impl Broken {
    fn because(reason: impl Into<String>) -> Broken {
        Broken { reason: reason.into(), beyond_crash: false }
    }

    fn by_no_crash(reason: impl Into<String>) -> Broken {
        Broken { reason: reason.into(), beyond_crash: true }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::by_no_crash(format!("it can't be read: {error}"))
    }
}

/// A walk through one segment.
pub(crate) struct Scan<'a> {
    pub file: &'a dyn StoredFile,
    mark: u32,
    gaps: bool,
    /// Decrypts the frames, if they are encrypted.
    pub key: Option<Opener>,
    /// Where the next frame is expected.
    pub offset: u64,
    /// Its sequence (the lowest possible one, where sequences may be missing).
    pub expected: u64,
    /// The file's length when the walk began.
    pub size_bytes: u64,
    /// A piece of the file, and its offset.
    piece: Vec<u8>,
    piece_at: u64,
}

/// Reads and checks the header of a segment. The outer error is an I/O error.
pub(crate) fn read_header(file: &dyn StoredFile) -> io::Result<Result<SegmentHeader, BadHeader>> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let filled = read_up_to(file, &mut bytes, 0)?;
    Ok(SegmentHeader::decode(&bytes[..filled]))
}

impl<'a> Scan<'a> {
    pub(crate) fn new(file: &'a dyn StoredFile, header: &SegmentHeader, keys: &Keys) -> io::Result<Scan<'a>> {
        Ok(Scan {
            key: header.opener(keys).map_err(io::Error::other)?,
            size_bytes: file.size_bytes()?,
            file,
            mark: header.mark,
            gaps: header.has_gaps(),
            offset: SEGMENT_HEADER_BYTES as u64,
            expected: header.first,
            piece: Vec::new(),
            piece_at: 0,
        })
    }

    /// Accepts missing sequences, whatever the header says.
    pub(crate) fn with_gaps(self) -> Scan<'a> {
        Scan { gaps: true, ..self }
    }

    /// Checks the expected frame and steps over it. After `Broken`, the offset is unchanged.
    pub(crate) fn step(&mut self) -> Step {
        if self.offset == self.size_bytes {
            return Step::End;
        }
        match self.check(self.offset) {
            Ok(found) => self.accept(found),
            Err(broken) => Step::Broken(broken),
        }
    }

    fn accept(&mut self, found: Found) -> Step {
        let sequence = found.header.sequence;
        let due = sequence == self.expected || (self.gaps && sequence > self.expected);
        if !due {
            let expected = self.expected;
            return Step::Broken(Broken::because(format!("found frame {sequence}, expected {expected}")));
        }
        self.pass(&found);
        Step::Frame(found)
    }

    /// Continues after this frame.
    pub(crate) fn pass(&mut self, found: &Found) {
        self.offset = found.end();
        self.expected = found.header.sequence + 1;
    }

    /// Steps over the next undamaged frame, whatever is before it.
    pub(crate) fn next_whole(&mut self) -> Option<Found> {
        match self.step() {
            Step::Frame(found) => Some(found),
            Step::End => None,
            Step::Broken(_) => {
                let found = self.search()?;
                self.pass(&found);
                Some(found)
            }
        }
    }

    /// The next undamaged frame after the current offset, with the expected sequence or a later one.
    pub(crate) fn search(&mut self) -> Option<Found> {
        let mark = self.mark.to_le_bytes();
        let mut at = self.offset + 1;
        while at + FRAME_HEADER_BYTES as u64 <= self.size_bytes {
            let Ok(piece) = self.bytes(at, FRAME_HEADER_BYTES) else {
                at = (at / PAGE_BYTES + 1) * PAGE_BYTES;
                continue;
            };
            match piece.windows(mark.len()).position(|window| window == mark) {
                None => at += (piece.len() - mark.len() + 1) as u64,
                Some(further) => {
                    at += further as u64;
                    match self.check(at) {
                        Ok(found) if found.header.sequence >= self.expected => return Some(found),
                        Ok(_) | Err(_) => at += 1,
                    }
                }
            }
        }
        None
    }

    /// An undamaged frame at this offset, with any sequence.
    fn check(&mut self, offset: u64) -> Result<Found, Broken> {
        let found = self.check_sums(offset)?;
        if found.header.is_sealed() || self.key.is_some() {
            let stored = self.stored(&found)?;
            found.header.open(stored, self.key.as_ref()).map_err(Broken::by_no_crash)?;
        }
        Ok(found)
    }

    /// A frame at this offset with the right checksums.
    fn check_sums(&mut self, offset: u64) -> Result<Found, Broken> {
        let left = self.size_bytes.saturating_sub(offset);
        if left < FRAME_HEADER_BYTES as u64 {
            return Err(Broken::because("a frame's header is cut short"));
        }
        let mark = self.mark;
        let header = FrameHeader::decode(self.bytes(offset, FRAME_HEADER_BYTES)?, mark).map_err(Broken::because)?;
        if header.frame_bytes() > left {
            return Err(Broken::because("a frame's payload is cut short"));
        }
        let mut crc = 0;
        let mut at = offset + FRAME_HEADER_BYTES as u64;
        let end = offset + header.frame_bytes();
        while at < end {
            let piece = self.bytes(at, 1)?;
            let here = piece.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            crc = crc32c::crc32c_append(crc, &piece[..here]);
            at += here as u64;
        }
        if crc != header.crc {
            return Err(Broken::because("a frame's payload has the wrong checksum"));
        }
        Ok(Found { header, offset })
    }

    /// The bytes from this offset on, at least `least`.
    fn bytes(&mut self, offset: u64, least: usize) -> io::Result<&[u8]> {
        let held = offset.checked_sub(self.piece_at).and_then(|skip| usize::try_from(skip).ok());
        let start = match held {
            Some(skip) if skip + least <= self.piece.len() => skip,
            _ => {
                let left = self.size_bytes.saturating_sub(offset).min(SCAN_BYTES as u64);
                self.piece.resize(least.max(left as usize), 0);
                let filled = match read_up_to(self.file, &mut self.piece, offset) {
                    Ok(filled) => filled,
                    Err(error) => {
                        self.piece.clear();
                        return Err(error);
                    }
                };
                self.piece.truncate(filled);
                self.piece_at = offset;
                if filled < least {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                0
            }
        };
        Ok(&self.piece[start..])
    }

    /// The frame's payload, decrypted. It was verified when the frame was found.
    pub(crate) fn opened(&self, found: &Found) -> io::Result<Bytes> {
        let opened = found.header.open(self.stored(found)?, self.key.as_ref());
        opened.map_err(io::Error::other)
    }

    fn stored(&self, found: &Found) -> io::Result<Bytes> {
        let mut stored = vec![0; found.header.stored_bytes as usize];
        let at = found.offset + FRAME_HEADER_BYTES as u64;
        let filled = read_up_to(self.file, &mut stored, at)?;
        if filled < stored.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(stored.into())
    }
}
