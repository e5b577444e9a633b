//! What has been read of a file, so that it can be recognised: by its first bytes and by those before the position.
//!
//! Two files that agree in both are taken to be the same, or copies: a log repeats neither its beginning nor the bytes
//! before a position by chance, because of its times. What is not the same any more has been truncated or replaced.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes at the beginning that are compared.
pub(super) const HEAD_BYTES: usize = 1 << 10;

/// Bytes before the position that are compared.
pub(super) const TAIL_BYTES: usize = 256;

pub(super) type Hash = [u8; 16];

/// Identifies the bytes before an offset. This is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub offset: u64,
    pub head: Hash,
    pub tail: Hash,
}

/// The bytes before an offset, as far as later ones need them.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    offset: u64,
    /// The first bytes, until there are enough; then empty.
    growing: Vec<u8>,
    head: Hash,
    tail: Vec<u8>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen { offset: 0, growing: Vec::new(), head: hash(b""), tail: Vec::new() }
    }
}

impl Seen {
    /// What has been read if `offset` bytes of this file have been. `None`: it has fewer.
    pub fn of(file: &File, offset: u64) -> io::Result<Option<Seen>> {
        let head = read_at(file, 0, short(offset, HEAD_BYTES))?;
        let length = short(offset, TAIL_BYTES);
        let tail = read_at(file, offset - length as u64, length)?;
        if head.len() < short(offset, HEAD_BYTES) || tail.len() < length {
            return Ok(None);
        }
        let hash = hash(&head);
        let growing = if offset < HEAD_BYTES as u64 { head } else { Vec::new() };
        Ok(Some(Seen { offset, growing, head: hash, tail }))
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// To be stored.
    pub fn mark(&self) -> Mark {
        Mark { offset: self.offset, head: self.head, tail: hash(&self.tail) }
    }

    /// These bytes follow.
    pub fn advance(&mut self, bytes: &[u8]) {
        if self.offset < HEAD_BYTES as u64 {
            let room = HEAD_BYTES - self.growing.len();
            self.growing.extend_from_slice(&bytes[..bytes.len().min(room)]);
            self.head = hash(&self.growing);
            if self.growing.len() == HEAD_BYTES {
                self.growing = Vec::new();
            }
        }
        let keep = TAIL_BYTES.saturating_sub(bytes.len()).min(self.tail.len());
        self.tail.drain(..self.tail.len() - keep);
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
        self.offset += bytes.len() as u64;
    }

    /// That many zeros follow.
    pub fn advance_zeros(&mut self, count: u64) {
        let zeros = [0; HEAD_BYTES + TAIL_BYTES];
        let first = count.min(zeros.len() as u64);
        self.advance(&zeros[..first as usize]);
        self.offset += count - first;
    }

    /// Whether the bytes before the offset are still in the file.
    pub fn is_in(&self, file: &File) -> io::Result<bool> {
        Ok(read_at(file, self.offset - self.tail.len() as u64, self.tail.len())? == self.tail)
    }
}

/// Up to `length` bytes from an offset; fewer at the end of the file.
pub(super) fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let read = fill_at(file, offset, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Fills the buffer from an offset. Returns how much there was.
pub(super) fn fill_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Bytes of the head or the tail before an offset.
pub(super) fn short(offset: u64, most: usize) -> usize {
    usize::try_from(offset).unwrap_or(most).min(most)
}

pub(super) fn hash(bytes: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(&blake3::hash(bytes).as_bytes()[..size_of::<Hash>()]);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_advances_equals_what_is_in_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let mut bytes: Vec<u8> = (0..5_000_u32).flat_map(u32::to_le_bytes).collect();
        bytes[600..1_900].fill(0);
        std::fs::write(&path, &bytes).expect("written");
        let file = File::open(&path).expect("opened");
        for steps in [vec![1, 5, 250, 256, 257, 1_024, 3_000], vec![1_023, 1, 1], vec![1_025], vec![600, 10]] {
            let mut seen = Seen::default();
            for step in steps {
                let at = seen.offset() as usize;
                seen.advance(&bytes[at..at + step]);
                let due = Seen::of(&file, seen.offset()).expect("read").expect("long enough");
                assert_eq!(seen.mark(), due.mark());
                assert!(seen.is_in(&file).expect("read"));
            }
        }
        let mut seen = Seen::default();
        seen.advance(&bytes[..600]);
        seen.advance_zeros(1_300);
        assert_eq!(seen.mark(), Seen::of(&file, 1_900).expect("read").expect("long enough").mark());
        assert!(Seen::of(&file, 30_000).expect("read").is_none());
        std::fs::write(&path, b"other").expect("written");
        assert!(!seen.is_in(&file).expect("read"));
    }
}
