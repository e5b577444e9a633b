//! Deletes entries permanently, while a router may be writing to the same folder.
//!
//! A deleted entry keeps its place and length, which readers need to find the next one, but its content is overwritten.
//! The byte that marks it as deleted is synced first, then the rest, so after a power failure in between readers skip
//! the entry. A file without entries is removed, unless it is the newest of its origin, which a router may have open.
//! Replayed entries are still in the file, and are deleted like others.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use super::QuarantineFolder;
use super::browse::Place;
use super::entry::{DELETED, QuarantineEntry, Slot};
use super::origin::Origin;
use super::read;

/// Counts of deleted entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    pub entries: u64,
    pub bytes: u64,
}

/// Deletes the selected entries; with `dry_run`, only counts them.
pub fn delete(
    folder: &QuarantineFolder,
    chosen: impl Fn(&Place, &QuarantineEntry) -> bool,
    dry_run: bool,
) -> io::Result<Deleted> {
    let mut deleted = Deleted::default();
    let files = read::files(&folder.path)?;
    for (number, file) in files.iter().enumerate() {
        let bytes = match std::fs::read(&file.path) {
            // The router removed it in the meantime.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let mut places = Vec::new();
        let (mut left, mut read_to) = (0, 0);
        for Slot { start, end, entry } in Slot::all(&bytes, &folder.keys)? {
            read_to = end;
            match entry {
                Some(entry) if chosen(&Place::of(&file.path, end as u64, &entry), &entry) => {
                    places.push((start as u64, end - start));
                }
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
        // A file that can't be read to its end may contain more entries.
        if left == 0 && read_to == bytes.len() && !is_newest {
            read::remove(&file.path)?;
        } else if !places.is_empty() {
            overwrite(&OpenOptions::new().write(true).open(&file.path)?, &places)?;
        }
    }
    if !dry_run && deleted.entries > 0 {
        File::open(&folder.path)?.sync_all()?;
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
