//! Where every reader is, durably: one small text file, replaced whole by write, fsync and rename.
//!
//! ```text
//! weir-journal cursors 1
//! 1042 81200 archive
//! 1040 81031 alerts to slack
//! crc32c 1f0e2d3c
//! ```
//! A line a reader: the last sequence it has delivered, the records in the journal up to there, its name to the end
//! of the line. The last line holds the checksum of everything before it.
//! A cursor is only ever behind what was delivered, never ahead: delivery comes before [`commit`](crate::Reader::commit).

use crate::limits::{MAX_NAME_BYTES, MAX_READERS};
use crate::storage::{Storage, read_up_to};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{self, IoSlice};

/// The file, and its name while it is written.
pub(crate) const CURSORS_FILE: &str = "cursors";
pub(crate) const CURSORS_NEW: &str = "cursors.new";
const TITLE: &str = "weir-journal cursors 1";
/// Larger than any file of [`MAX_READERS`] lines: what is longer is not ours.
const MAX_FILE_BYTES: u64 = (MAX_READERS * (MAX_NAME_BYTES + 64)) as u64;

/// A stored position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub committed: u64,
    pub records: u64,
}

/// A name is stored in a line of text.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(format!("a name has 1 to {MAX_NAME_BYTES} bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err("a name has no control characters".to_string());
    }
    Ok(())
}

/// Writes all cursors; once this returns they survive a power cut.
pub(crate) fn save(storage: &dyn Storage, cursors: &BTreeMap<String, Stored>) -> io::Result<()> {
    let text = encode(cursors);
    let file = storage.create(CURSORS_NEW)?;
    file.append(&mut [IoSlice::new(text.as_bytes())])?;
    file.sync()?;
    storage.rename(CURSORS_NEW, CURSORS_FILE)?;
    storage.sync_folder()
}

/// Reads them; no file means no cursors. The inner error says what is wrong with the file.
pub(crate) fn load(storage: &dyn Storage) -> io::Result<Result<BTreeMap<String, Stored>, String>> {
    let file = match storage.open(CURSORS_FILE) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(BTreeMap::new())),
        Err(error) => return Err(error),
    };
    let size_bytes = file.size_bytes()?;
    if size_bytes > MAX_FILE_BYTES {
        return Ok(Err(format!("it has {size_bytes} bytes, more than any list of cursors")));
    }
    // Within MAX_FILE_BYTES, so it fits.
    let mut bytes = vec![0; size_bytes as usize];
    let filled = read_up_to(&*file, &mut bytes, 0)?;
    Ok(decode(&bytes[..filled]))
}

fn encode(cursors: &BTreeMap<String, Stored>) -> String {
    let mut text = format!("{TITLE}\n");
    for (name, Stored { committed, records }) in cursors {
        // Writing into a String can't fail.
        let _ = writeln!(text, "{committed} {records} {name}");
    }
    let crc = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "crc32c {crc:08x}");
    text
}

fn decode(bytes: &[u8]) -> Result<BTreeMap<String, Stored>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_string())?;
    let body_end = text.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
    let (body, last) = text.split_at(body_end);
    let crc = last.trim_end_matches('\n').strip_prefix("crc32c ");
    let crc = crc.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    if crc != Some(crc32c::crc32c(body.as_bytes())) {
        return Err("its checksum is wrong".to_string());
    }
    let mut lines = body.lines();
    if lines.next() != Some(TITLE) {
        return Err(format!("it does not begin with `{TITLE}`"));
    }
    lines.map(|line| parse_line(line).ok_or(format!("the line `{line}` is no cursor"))).collect()
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

    fn sample() -> BTreeMap<String, Stored> {
        BTreeMap::from([
            ("archive".to_string(), Stored { committed: 1042, records: 81200 }),
            ("alerts to slack".to_string(), Stored { committed: 0, records: 0 }),
        ])
    }

    #[test]
    fn cursors_come_back_as_they_were_saved() {
        assert_eq!(decode(encode(&sample()).as_bytes()), Ok(sample()));
        assert_eq!(decode(encode(&BTreeMap::new()).as_bytes()), Ok(BTreeMap::new()));
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
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
