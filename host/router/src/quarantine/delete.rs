//! Deletes entries for good, beside a router that may be writing to the same folder.
//!
//! An entry stays where it is and keeps its length, since others are found by it, but its content is overwritten. First
//! the byte that marks it as deleted is made durable, then the rest: a power cut in between leaves an entry that is
//! skipped, never one at which reading would stop. A file without any entry left goes, unless it is the newest of its
//! origin, which a router may have open. What was replayed from a file is still in it, and is deleted like the rest.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::entry::{DELETED, Entry, Slot};
use super::origin::Origin;
use super::read;

/// What was deleted, or would be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    pub entries: u64,
    pub bytes: u64,
}

/// Deletes what is chosen; with `dry_run` it only counts.
pub fn delete(folder: &Path, chosen: impl Fn(&Entry) -> bool, dry_run: bool) -> io::Result<Deleted> {
    let mut deleted = Deleted::default();
    let files = read::files(folder)?;
    for (number, file) in files.iter().enumerate() {
        let bytes = match std::fs::read(&file.path) {
            // The router has tidied it away meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let mut places = Vec::new();
        let (mut left, mut read_to) = (0, 0);
        for Slot { start, end, entry } in Slot::all(&bytes) {
            read_to = end;
            match entry {
                Some(entry) if chosen(&entry) => places.push((start as u64, end - start)),
                Some(_) => left += 1,
                None => {}
            }
        }
        deleted.entries += places.len() as u64;
        deleted.bytes += places.iter().map(|(_, length)| *length as u64).sum::<u64>();
        if dry_run {
            continue;
        }
        let is_newest =
            files[number + 1..].iter().all(|later| Origin::of_file(&later.path) != Origin::of_file(&file.path));
        // What can't be read to its end may hold more than what was found.
        if left == 0 && read_to == bytes.len() && !is_newest {
            read::remove(&file.path)?;
        } else if !places.is_empty() {
            overwrite(&OpenOptions::new().write(true).open(&file.path)?, &places)?;
        }
    }
    if !dry_run && deleted.entries > 0 {
        File::open(folder)?.sync_all()?;
    }
    Ok(deleted)
}

fn overwrite(file: &File, places: &[(u64, usize)]) -> io::Result<()> {
    for (start, _) in places {
        file.write_all_at(&[DELETED], *start)?;
    }
    file.sync_data()?;
    for (start, length) in places {
        file.write_all_at(&vec![0; length - 1], start + 1)?;
    }
    file.sync_data()
}
