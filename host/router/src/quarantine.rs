//! Quarantine: where records go that no filter could clean, that could not be read, or that a
//! sink refused for good.
//!
//! What lies here may hold the very secrets that the filters were to remove, so it is a place of
//! its own: a folder that only its owner can enter (0700), files that only its owner can read
//! (0600), a bound on size and on age, and a choice of what is kept at all.
//!
//! | file | purpose |
//! |---|---|
//! | `quarantine.rs` | writing: durable when [`Quarantine::sync`] returns |
//! | `quarantine/entry.rs` | one entry and how it is written |
//! | `quarantine/origin.rs` | who takes how much of it, and what goes when it is full |
//! | `quarantine/read.rs` | reading back, and remembering what was replayed |
//! | `quarantine/delete.rs` | deleting entries for good, beside a running router |
//!
//! **An entry is durable before its sender hears of it.** Over the size bound the oldest files go of the origin (filter or
//! sink, and source) that takes most; a single entry may exceed it.

pub mod delete;
mod entry;
mod origin;
pub mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use metrics::counter;
use weir_journal::disk::create_folder;

use crate::limits;
pub use entry::Entry;
use origin::Origin;

/// What is kept of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The record and the reason.
    Record,
    /// The reason alone.
    Reason,
    /// Nothing: it is only counted.
    Nothing,
}

/// The operator's choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineOptions {
    pub keep: Keep,
    pub max_size_bytes: u64,
    pub max_age: Duration,
}

/// Why an entry could not be kept.
#[derive(Debug, thiserror::Error)]
#[error(
    "quarantine `{}`: can't {doing}: {source}; free disk space or give weir write access, or set `[quarantine] keep = \"nothing\"`",
    path.display()
)]
pub struct QuarantineError {
    path: PathBuf,
    doing: &'static str,
    source: std::io::Error,
}

/// The quarantine of a running router.
pub struct Quarantine {
    folder: PathBuf,
    state: Mutex<State>,
}

struct State {
    options: QuarantineOptions,
    open: Vec<Open>,
    /// Entries whose file could not be synced: nothing is durable before they are in another one.
    adrift: BTreeMap<Origin, Vec<u8>>,
    /// Bytes of all files, as far as is known without looking.
    size_bytes: u64,
}

/// A file that is written to.
struct Open {
    origin: Origin,
    file: File,
    path: PathBuf,
    size_bytes: u64,
    /// Entries at its end that are not synced yet.
    unsynced: Vec<u8>,
}

impl Quarantine {
    /// Makes the folder when it is missing, for its owner alone, and lets go what is too old.
    pub fn open(folder: &Path, options: QuarantineOptions) -> Result<Self, QuarantineError> {
        let failed = |doing| move |source| QuarantineError { path: folder.to_path_buf(), doing, source };
        create_folder(folder, 0o700).map_err(failed("create the folder"))?;
        let state = State { options, open: Vec::new(), adrift: BTreeMap::new(), size_bytes: 0 };
        let quarantine = Self { folder: folder.to_path_buf(), state: Mutex::new(state) };
        quarantine.tidy(&mut quarantine.lock(), 0)?;
        Ok(quarantine)
    }

    /// Takes over other choices, for what comes from now on.
    pub fn set_options(&self, options: QuarantineOptions) {
        self.lock().options = options;
    }

    /// Keeps a canonical record. Durable once [`sync`](Self::sync) has returned.
    pub fn keep(&self, from: &str, reason: &str, record: &[u8]) -> Result<(), QuarantineError> {
        self.put(from, reason, record, false)
    }

    /// Keeps bytes that could not be read as a record. Durable once [`sync`](Self::sync) has returned.
    pub fn keep_raw(&self, from: &str, reason: &str, bytes: &[u8]) -> Result<(), QuarantineError> {
        self.put(from, reason, bytes, true)
    }

    /// Makes everything kept so far durable, whoever kept it; costs nothing when there is nothing to do. When a file can't
    /// be synced, what was written to it goes into another one; while that fails too, so does every call.
    pub fn sync(&self) -> Result<(), QuarantineError> {
        self.sync_all(&mut self.lock())
    }

    fn sync_all(&self, state: &mut State) -> Result<(), QuarantineError> {
        self.sync_files(state).or_else(|error| {
            tracing::warn!("{error}; rewriting the entries to another file");
            self.sync_files(state)
        })
    }

    fn sync_files(&self, state: &mut State) -> Result<(), QuarantineError> {
        while let Some((origin, bytes)) = state.adrift.pop_first() {
            if let Err(error) = self.write(state, origin, &bytes) {
                // Others of this origin may have come to them meanwhile.
                let later = state.adrift.insert(origin, bytes).unwrap_or_default();
                state.adrift.entry(origin).or_default().extend(later);
                return Err(error);
            }
        }
        while let Some(at) = state.open.iter().position(|open| !open.unsynced.is_empty()) {
            match state.open[at].file.sync_data() {
                Ok(()) => state.open[at].unsynced.clear(),
                Err(source) => return Err(set_adrift(state, at, source)),
            }
        }
        Ok(())
    }

    fn put(&self, from: &str, reason: &str, bytes: &[u8], raw: bool) -> Result<(), QuarantineError> {
        counter!("weir_quarantined_records_total", "from" => from.to_string()).increment(1);
        let mut state = self.lock();
        let kept = match state.options.keep {
            Keep::Nothing => return Ok(()),
            Keep::Reason => None,
            Keep::Record => Some(bytes.to_vec().into()),
        };
        if !state.adrift.is_empty() {
            // Bounds them: nothing is added while they can't be made durable.
            self.sync_all(&mut state)?;
        }
        let source = (!raw).then(|| weir_record::Record::new(bytes).source());
        let origin = Origin::of(from, source);
        let entry =
            Entry { time: weir_record::time::now_ns(), from: from.into(), reason: reason.into(), raw, record: kept };
        self.write(&mut state, origin, &entry.to_bytes())
    }

    /// Writes entries to the file of their origin.
    fn write(&self, state: &mut State, origin: Origin, bytes: &[u8]) -> Result<(), QuarantineError> {
        let at = self.file_for(state, origin, bytes.len() as u64)?;
        let open = &mut state.open[at];
        if let Err(source) = open.file.write_all(bytes) {
            let path = open.path.clone();
            // Cut off what was written of it; if even that fails, the entries before it go into another file.
            if open.file.set_len(open.size_bytes).is_err() {
                set_adrift(state, at, std::io::ErrorKind::Other.into());
            }
            return Err(QuarantineError { path, doing: "write an entry", source });
        }
        open.size_bytes += bytes.len() as u64;
        open.unsynced.extend_from_slice(bytes);
        state.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Where in `state.open` the file is that entries of this origin go to, with room for so many bytes.
    fn file_for(&self, state: &mut State, origin: Origin, more_bytes: u64) -> Result<usize, QuarantineError> {
        if state.size_bytes + more_bytes > state.options.max_size_bytes {
            self.tidy(state, more_bytes)?;
        }
        let file_bytes =
            limits::QUARANTINE_FILE_BYTES.min(state.options.max_size_bytes / limits::QUARANTINE_FILES_IN_BUDGET);
        let place = |state: &State, origin| state.open.iter().position(|open| open.origin == origin);
        let origin = if place(state, origin).is_some() { origin } else { self.within_bounds(origin)? };
        if let Some(at) = place(state, origin) {
            if state.open[at].size_bytes < file_bytes {
                return Ok(at);
            }
            self.close(state, at)?;
        }
        self.tidy(state, more_bytes)?;
        if state.open.len() >= limits::QUARANTINE_OPEN_FILES {
            self.close(state, 0)?;
        }
        let name = format!("{}{}.{}", weir_record::time::now_ns(), origin.suffix(), entry::EXTENSION);
        let path = self.folder.join(name);
        let failed = |source| QuarantineError { path: path.clone(), doing: "create a file", source };
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        state.open.push(Open { origin, file, path, size_bytes: 0, unsynced: Vec::new() });
        Ok(state.open.len() - 1)
    }

    /// With too many origins, a new one shares the files of the others.
    fn within_bounds(&self, origin: Origin) -> Result<Origin, QuarantineError> {
        let shares = origin::shares(&self.files()?);
        let is_known = shares.contains_key(&origin) || shares.len() < limits::QUARANTINE_ORIGINS;
        Ok(if is_known { origin } else { Origin::OTHERS })
    }

    /// Closes a file durably.
    fn close(&self, state: &mut State, at: usize) -> Result<(), QuarantineError> {
        match state.open[at].file.sync_data() {
            Ok(()) => {
                state.open.remove(at);
                Ok(())
            }
            Err(source) => Err(set_adrift(state, at, source)),
        }
    }

    /// Removes files that are too old, and makes room for so many bytes.
    fn tidy(&self, state: &mut State, more_bytes: u64) -> Result<(), QuarantineError> {
        let now = SystemTime::now();
        let is_open = |state: &State, path: &Path| state.open.iter().any(|open| open.path == path);
        let (old, files): (Vec<_>, Vec<_>) = self.files()?.into_iter().partition(|file| {
            now.duration_since(file.changed).unwrap_or_default() > state.options.max_age && !is_open(state, &file.path)
        });
        let mut size_bytes: u64 = files.iter().map(|file| file.size_bytes).sum();
        let over = origin::to_remove(files, more_bytes, state.options.max_size_bytes);
        size_bytes -= over.iter().map(|file| file.size_bytes).sum::<u64>();
        for (file, why) in old.iter().map(|file| (file, "age")).chain(over.iter().map(|file| (file, "size"))) {
            tracing::warn!("quarantine: removed {}: over the limit on {why}", file.path.display());
            read::remove(&file.path).map_err(|source| self.unseen(source))?;
            state.open.retain(|open| open.path != file.path);
        }
        state.size_bytes = size_bytes;
        Ok(())
    }

    fn files(&self) -> Result<Vec<read::QuarantineFile>, QuarantineError> {
        read::files(&self.folder).map_err(|source| self.unseen(source))
    }

    fn unseen(&self, source: std::io::Error) -> QuarantineError {
        QuarantineError { path: self.folder.clone(), doing: "list the folder", source }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding it leaves at worst a torn entry at the end, which reading skips.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What the kernel holds of a file is unknown after a failed fsync: what was not durable of it goes into another one.
fn set_adrift(state: &mut State, at: usize, source: std::io::Error) -> QuarantineError {
    let Open { origin, file, path, size_bytes, unsynced } = state.open.swap_remove(at);
    // Else they would be there twice.
    let durable_bytes = size_bytes - unsynced.len() as u64;
    if let Err(error) = file.set_len(durable_bytes) {
        tracing::debug!("can't cut {}: {error}", path.display());
    }
    if !unsynced.is_empty() {
        state.adrift.entry(origin).or_default().extend(unsynced);
    }
    QuarantineError { path, doing: "sync an entry", source }
}

impl weir_sinks::Quarantine for Quarantine {
    fn put(&self, from: &str, reason: &str, record: &[u8]) -> Result<(), String> {
        self.keep(from, reason, record).and_then(|()| self.sync()).map_err(|e| e.to_string())
    }
}
