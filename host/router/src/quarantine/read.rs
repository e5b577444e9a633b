//! Reads the quarantine, for `weir quarantine list` and `replay`, while a router may be writing to it.
//!
//! The file `NAME.replayed` contains the number of bytes of a file up to which all records were replayed; entries
//! without a complete record stay. Files are never rewritten, except for deleted entries (`delete.rs`).

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use weir_journal::Keys;
use weir_journal::disk::replace_file;

use super::entry::{EXTENSION, QuarantineEntry, Slot};

const REPLAYED: &str = "replayed";

/// A file of the quarantine.
#[derive(Debug)]
pub struct QuarantineFile {
    pub path: PathBuf,
    pub size_bytes: u64,
    pub changed: SystemTime,
}

/// An entry and its end, for [`mark_replayed`].
#[derive(Debug)]
pub struct Found {
    pub entry: QuarantineEntry,
    pub end: u64,
}

/// The files of a quarantine, oldest first; empty if the folder doesn't exist.
pub fn files(folder: &Path) -> io::Result<Vec<QuarantineFile>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != EXTENSION) {
            continue;
        }
        // It may have been removed in the meantime.
        let Ok(about) = path.metadata() else { continue };
        files.push(QuarantineFile { size_bytes: about.len(), changed: about.modified()?, path });
    }
    // Names start with the time, which has the same number of digits for the next two centuries.
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The entries of a file that have not been replayed, or can't be.
pub fn entries(file: &Path, keys: &Keys) -> io::Result<Vec<Found>> {
    let bytes = std::fs::read(file)?;
    let replayed = replayed(file);
    let whole = Slot::all(&bytes, keys)?.filter_map(|slot| Some(Found { entry: slot.entry?, end: slot.end as u64 }));
    Ok(whole.filter(|found| found.end > replayed || !found.entry.can_replay()).collect())
}

/// Records that all entries up to `end` that can be replayed have been.
pub fn mark_replayed(file: &Path, end: u64) -> io::Result<()> {
    replace_file(&file.with_extension(REPLAYED), end.to_string().as_bytes())
}

/// Removes a file and its replay position.
pub fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file.with_extension(REPLAYED)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    std::fs::remove_file(file)
}

fn replayed(file: &Path) -> u64 {
    // Without a valid file, nothing was replayed.
    std::fs::read_to_string(file.with_extension(REPLAYED)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
