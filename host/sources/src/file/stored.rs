//! The positions of a source as the journal keeps them.
//!
//! | key | value |
//! |---|---|
//! | 8 random bytes | a file: where it was last, how far it was read, what the bytes before look like |
//! | none | the globs of the last run: what they match is not new |

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::content::Compression;
use super::seen::{Hash, Mark};
use crate::destination::Position;
use crate::limits;

/// The key of a file, which it keeps whatever its name and its inode become.
pub(super) type Key = u64;

/// The form of the values.
const VERSION: u8 = 1;

/// A file on its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Inode {
    pub device: u64,
    pub number: u64,
}

/// What is kept of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub mark: Mark,
    /// Pieces of the line at the offset that have been read.
    pub piece: u32,
    pub inode: Inode,
    /// The seconds since 1970 when it was no longer found; 0: it is there.
    pub gone_s: u64,
    /// The size of a compressed file that has been read to its end; otherwise 0.
    pub whole_size: u64,
    pub compression: Option<Compression>,
    pub path: PathBuf,
}

/// The position of a file.
pub(super) fn position(key: Key, stored: &Stored) -> Position {
    let mut value = vec![VERSION, stored.compression.map_or(0, Compression::number)];
    let Inode { device, number } = stored.inode;
    for field in [stored.mark.offset, stored.piece.into(), device, number, stored.gone_s, stored.whole_size] {
        value.extend_from_slice(&field.to_le_bytes());
    }
    value.extend_from_slice(&stored.mark.head);
    value.extend_from_slice(&stored.mark.tail);
    value.extend_from_slice(stored.path.as_os_str().as_bytes());
    Position { key: key.to_le_bytes().into(), value: Some(value) }
}

/// Deletes the position of a file.
pub(super) fn deletion(key: Key) -> Position {
    Position { key: key.to_le_bytes().into(), value: None }
}

/// Reads the position of a file; `None`: it is none.
pub(super) fn file(position: &Position) -> Option<(Key, Stored)> {
    let key = Key::from_le_bytes(position.key.as_slice().try_into().ok()?);
    let ([VERSION, compression], mut rest) = position.value.as_ref()?.split_first_chunk()? else {
        return None;
    };
    let mut field = || {
        let (field, after) = rest.split_first_chunk()?;
        rest = after;
        Some(u64::from_le_bytes(*field))
    };
    let (offset, piece, device, number) = (field()?, field()?, field()?, field()?);
    let (gone_s, whole_size) = (field()?, field()?);
    let (head, rest) = rest.split_first_chunk::<{ size_of::<Hash>() }>()?;
    let (tail, path) = rest.split_first_chunk()?;
    let stored = Stored {
        mark: Mark { offset, head: *head, tail: *tail },
        piece: u32::try_from(piece).ok()?,
        inode: Inode { device, number },
        gone_s,
        whole_size,
        compression: Compression::of_number(*compression),
        path: OsString::from_vec(path.to_vec()).into(),
    };
    Some((key, stored))
}

/// The position that keeps the globs.
pub(super) fn globs(text: &str) -> Position {
    // Longer ones are refused before.
    debug_assert!(text.len() <= limits::MAX_POSITION_BYTES);
    Position { key: Vec::new(), value: Some(text.into()) }
}

/// The globs of the last run; `None`: there was none.
pub(super) fn last_globs(positions: &[Position]) -> Option<String> {
    let position = positions.iter().find(|position| position.key.is_empty())?;
    String::from_utf8(position.value.clone()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::seen::Seen;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let mut seen = Seen::default();
        seen.advance(b"bytes");
        let stored = Stored {
            mark: seen.mark(),
            piece: 3,
            inode: Inode { device: 7, number: u64::MAX },
            gone_s: 1,
            whole_size: 2,
            compression: Some(Compression::Zstd),
            path: OsString::from_vec(b"/var/\xff.log".to_vec()).into(),
        };
        let position = position(9, &stored);
        assert_eq!(file(&position), Some((9, stored)));
        let cut = Position { value: position.value.map(|value| value[..40].to_vec()), ..position };
        assert_eq!(file(&cut), None);
        assert_eq!(file(&globs("/a\n")), None);
        assert_eq!(last_globs(&[globs("/a\n")]), Some("/a\n".to_owned()));
    }
}
