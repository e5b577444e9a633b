//! Stores every reader's position and the last durable frame in one small text file, which is replaced as a whole by
//! write, fsync and rename.
//!
//! ```text
//! weir-journal cursors 2
//! durable 1050 next 1051
//! 1042 81200 archive
//! 1040 81031 alerts to slack
//! crc32c 1f0e2d3c
//! ```
//! `durable` is the last frame known to be durable when the file was written. `next` is the lowest number that the next
//! frame may get; it is higher than `durable` + 1 after a jump of the numbering. Files of version 1 have no such line.
//! One line per reader follows: the last sequence it has delivered, the number of records in the journal up to there,
//! and its name up to the end of the line. The last line is the checksum of everything before it.
//! No crash makes the journal end before `durable`: if those frames are missing, acknowledged data was lost in another
//! way. The file is at most about half a second old.
//! A cursor may be behind what was delivered, never ahead of it: delivery comes before
//! [`commit`](crate::Reader::commit).

use crate::limits::{MAX_NAME_BYTES, MAX_READERS};
use crate::storage::{Storage, read_up_to};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{self, IoSlice};

/// The file, and its name while it is written.
pub(crate) const CURSORS_FILE: &str = "cursors";
pub(crate) const CURSORS_NEW: &str = "cursors.new";
const TITLE: &str = "weir-journal cursors 2";
const TITLE_1: &str = "weir-journal cursors 1";
/// Larger than any file of [`MAX_READERS`] lines: a longer file was not written by the journal.
const MAX_FILE_BYTES: u64 = (MAX_READERS * (MAX_NAME_BYTES + 64)) as u64;

/// A stored position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub committed: u64,
    pub records: u64,
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    pub cursors: BTreeMap<String, Stored>,
    /// The last frame known to be durable.
    pub durable: u64,
    /// The lowest number that the next appended frame may get.
    pub next: u64,
}

/// The name of readers without a cursor, for metrics and log lines.
pub(crate) const FOLLOWER: &str = "(follower)";

/// Refuses names that can't be stored in a line of text.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(format!("a name must have 1 to {MAX_NAME_BYTES} bytes"));
    }
    if name == FOLLOWER {
        return Err("this name is taken by readers without a cursor".to_string());
    }
    if name.chars().any(char::is_control) {
        return Err("a name must not contain control characters".to_string());
    }
    Ok(())
}

/// Writes the file. It survives a power cut once this returns.
pub(crate) fn save(storage: &dyn Storage, saved: &Saved) -> io::Result<()> {
    let text = encode(saved);
    let file = storage.create(CURSORS_NEW)?;
    file.append(&mut [IoSlice::new(text.as_bytes())])?;
    file.sync()?;
    storage.rename(CURSORS_NEW, CURSORS_FILE)?;
    storage.sync_folder()
}

/// Reads the file; without a file there are no cursors. The inner error says what is wrong with its content.
pub(crate) fn load(storage: &dyn Storage) -> io::Result<Result<Saved, String>> {
    let file = match storage.open(CURSORS_FILE) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(Saved::default())),
        Err(error) => return Err(error),
    };
    let size_bytes = file.size_bytes()?;
    if size_bytes > MAX_FILE_BYTES {
        return Ok(Err(format!("its {size_bytes} bytes are more than any list of cursors")));
    }
    // At most MAX_FILE_BYTES, so it fits.
    let mut bytes = vec![0; size_bytes as usize];
    let filled = read_up_to(&*file, &mut bytes, 0)?;
    Ok(decode(&bytes[..filled]))
}

fn encode(saved: &Saved) -> String {
    let mut text = format!("{TITLE}\ndurable {} next {}\n", saved.durable, saved.next);
    for (name, Stored { committed, records }) in &saved.cursors {
        // Writing into a String can't fail.
        let _ = writeln!(text, "{committed} {records} {name}");
    }
    let crc = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "crc32c {crc:08x}");
    text
}

fn decode(bytes: &[u8]) -> Result<Saved, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_string())?;
    let body_end = text.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
    let (body, last) = text.split_at(body_end);
    let crc = last.trim_end_matches('\n').strip_prefix("crc32c ");
    let crc = crc.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    if crc != Some(crc32c::crc32c(body.as_bytes())) {
        return Err("its checksum is wrong".to_string());
    }
    let mut lines = body.lines();
    let (durable, next) = match lines.next() {
        Some(TITLE) => lines.next().and_then(parse_end).ok_or("the line `durable` is missing or invalid")?,
        Some(TITLE_1) => (0, 0),
        _ => return Err(format!("it does not begin with `{TITLE}`")),
    };
    let cursors = lines.map(|line| parse_line(line).ok_or(format!("the line `{line}` is not a cursor")));
    Ok(Saved { cursors: cursors.collect::<Result<_, _>>()?, durable, next })
}

fn parse_end(line: &str) -> Option<(u64, u64)> {
    let (durable, next) = line.strip_prefix("durable ")?.split_once(" next ")?;
    Some((durable.parse().ok()?, next.parse().ok()?))
}

fn parse_line(line: &str) -> Option<(String, Stored)> {
    let mut parts = line.splitn(3, ' ');
    let committed = parts.next()?.parse().ok()?;
    let records = parts.next()?.parse().ok()?;
    Some((parts.next()?.to_string(), Stored { committed, records }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Saved {
        let cursors = BTreeMap::from([
            ("archive".to_string(), Stored { committed: 1042, records: 81200 }),
            ("alerts to slack".to_string(), Stored { committed: 0, records: 0 }),
        ]);
        Saved { cursors, durable: 1050, next: 1051 }
    }

    #[test]
    fn saved_cursors_are_loaded_unchanged() {
        assert_eq!(decode(encode(&sample()).as_bytes()), Ok(sample()));
        assert_eq!(decode(encode(&Saved::default()).as_bytes()), Ok(Saved::default()));
    }

    #[test]
    fn cursors_of_version_1_are_read() {
        let body = "weir-journal cursors 1\n1042 81200 archive\n0 0 alerts to slack\n";
        let text = format!("{body}crc32c {:08x}\n", crc32c::crc32c(body.as_bytes()));
        assert_eq!(decode(text.as_bytes()), Ok(Saved { durable: 0, next: 0, ..sample() }));
    }

    #[test]
    fn any_changed_or_missing_byte_is_detected() {
        let whole = encode(&sample()).into_bytes();
        for at in 0..whole.len() - 1 {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(decode(&changed).is_err(), "byte {at}");
            assert!(decode(&whole[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn names_that_would_break_the_line_are_refused() {
        assert!(check_name("alerts to slack").is_ok());
        for name in ["", "a\nb", "a\u{7f}", &"x".repeat(MAX_NAME_BYTES + 1)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
