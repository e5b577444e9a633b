//! The quarantine stores records that a filter failed on, that could not be parsed, or that a sink refused permanently.
//!
//! These records may contain the secrets that filters would have removed. So the folder and its files are accessible
//! only to their owner (0700, 0600), size and age are limited, and the operator chooses what to keep.
//!
//! | file | purpose |
//! |---|---|
//! | `quarantine.rs` | writes entries, which are durable when [`Quarantine::sync`] returns |
//! | `quarantine/entry.rs` | the format of an entry |
//! | `quarantine/sealed.rs` | encrypted files |
//! | `quarantine/origin.rs` | disk usage by origin, and which files to remove |
//! | `quarantine/read.rs` | reads entries, and records which were replayed |
//! | `quarantine/browse.rs` | entries for the API: page by page, and by their place |
//! | `quarantine/delete.rs` | deletes entries permanently, also while a router is running |
//!
//! **An entry is durable before its sender gets an answer.** Over the size limit, the oldest files of the largest
//! origin (filter or sink, and source) are removed. A single entry may exceed the limit.

pub mod browse;
pub mod delete;
mod entry;
mod origin;
pub mod read;
mod sealed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use metrics::counter;
use weir_journal::Keys;
use weir_journal::disk::create_folder;

use crate::limits;
pub use entry::QuarantineEntry;
use origin::Origin;
use sealed::{FileSealer, HEADER_BYTES};

/// What is kept of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The record and the reason.
    Record,
    /// The reason alone.
    Reason,
    /// Nothing; the record is only counted.
    Nothing,
}

/// Options from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineOptions {
    pub keep: Keep,
    pub max_size_bytes: u64,
    pub max_age: Duration,
}

/// The folder of a quarantine, and the keys that its files are encrypted with.
#[derive(Clone, Debug)]
pub struct QuarantineFolder {
    pub path: PathBuf,
    pub keys: Keys,
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
    folder: QuarantineFolder,
    state: Mutex<State>,
}

struct State {
    options: QuarantineOptions,
    open: Vec<Open>,
    /// Entries whose file could not be synced; they must be written to another file first.
    to_rewrite: BTreeMap<Origin, Vec<u8>>,
    /// Bytes of all files, as last computed.
    size_bytes: u64,
}

/// A file that is open for writing.
struct Open {
    origin: Origin,
    file: File,
    path: PathBuf,
    size_bytes: u64,
    synced_bytes: u64,
    /// Entries at its end that are not synced, as they are without encryption.
    unsynced: Vec<u8>,
    sealer: Option<FileSealer>,
}

/// Fails if a file is encrypted with a key that is missing. Changes nothing.
pub fn check_keys(folder: &Path, keys: &Keys) -> anyhow::Result<()> {
    for file in read::files(folder)? {
        let mut header = [0; HEADER_BYTES];
        // Shorter files have no entries.
        let is_read = File::open(&file.path).and_then(|mut file| file.read_exact(&mut header)).is_ok();
        if let Some(key) = sealed::key_of(&header).filter(|_| is_read) {
            keys.check(key).with_context(|| format!("quarantine: {} can't be read", file.path.display()))?;
        }
    }
    Ok(())
}

impl Quarantine {
    /// Creates the folder if it is missing, accessible only to its owner, and removes old files.
    pub fn open(folder: QuarantineFolder, options: QuarantineOptions) -> Result<Self, QuarantineError> {
        let failed = |source| QuarantineError { path: folder.path.clone(), doing: "create the folder", source };
        create_folder(&folder.path, 0o700).map_err(failed)?;
        let state = State { options, open: Vec::new(), to_rewrite: BTreeMap::new(), size_bytes: 0 };
        let quarantine = Self { folder, state: Mutex::new(state) };
        quarantine.tidy(&mut quarantine.lock(), 0)?;
        Ok(quarantine)
    }

    pub fn folder(&self) -> &QuarantineFolder {
        &self.folder
    }

    /// Changes the options for later entries.
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

    /// Makes all entries durable, from all callers; does nothing if they already are. If a file can't be synced, its
    /// unsynced entries are written to another file; while that fails too, every call fails.
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
        while let Some((origin, bytes)) = state.to_rewrite.pop_first() {
            if let Err(error) = self.write(state, origin, &bytes) {
                // Other entries of this origin may have been added in the meantime.
                let later = state.to_rewrite.insert(origin, bytes).unwrap_or_default();
                state.to_rewrite.entry(origin).or_default().extend(later);
                return Err(error);
            }
        }
        while let Some(at) = state.open.iter().position(|open| !open.unsynced.is_empty()) {
            match state.open[at].file.sync_data() {
                Ok(()) => {
                    let open = &mut state.open[at];
                    open.synced_bytes = open.size_bytes;
                    open.unsynced.clear();
                }
                Err(source) => return Err(set_aside_unsynced(state, at, source)),
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
        if !state.to_rewrite.is_empty() {
            // Limits these entries: nothing is added while they can't be made durable.
            self.sync_all(&mut state)?;
        }
        let source = (!raw).then(|| weir_record::Record::new(bytes).source());
        let origin = Origin::of(from, source);
        let entry = QuarantineEntry {
            time: weir_record::time::now_ns(),
            from: from.into(),
            reason: reason.into(),
            raw,
            record: kept,
        };
        self.write(&mut state, origin, &entry.to_bytes())
    }

    /// Appends entries to the file of their origin.
    fn write(&self, state: &mut State, origin: Origin, bytes: &[u8]) -> Result<(), QuarantineError> {
        let at = self.file_for(state, origin, bytes.len() as u64)?;
        let open = &mut state.open[at];
        let sealed = open.sealer.as_mut().map(|sealer| sealer.seal(bytes));
        let stored = sealed.as_deref().unwrap_or(bytes);
        if let Err(source) = open.file.write_all(stored) {
            let path = open.path.clone();
            // Truncate the partial entry; if that fails too, rewrite the entries before it to another file. That is
            // always done with an encrypted file, because nothing else may be encrypted in place of this entry.
            if open.sealer.is_some() || open.file.set_len(open.size_bytes).is_err() {
                set_aside_unsynced(state, at, std::io::ErrorKind::Other.into());
            }
            return Err(QuarantineError { path, doing: "write an entry", source });
        }
        open.size_bytes += stored.len() as u64;
        open.unsynced.extend_from_slice(bytes);
        state.size_bytes += stored.len() as u64;
        Ok(())
    }

    /// The index in `state.open` of the origin's file, which has room for `more_bytes`.
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
        let path = self.folder.path.join(name);
        let failed = |source| QuarantineError { path: path.clone(), doing: "create a file", source };
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let (sealer, header) = FileSealer::begin(&self.folder.keys).map_err(failed)?.unzip();
        let header: &[u8] = header.as_ref().map_or(&[], |header| header);
        file.write_all(header).map_err(|source| {
            // Without entries, it is of no use.
            let _ = std::fs::remove_file(&path);
            failed(source)
        })?;
        File::open(&self.folder.path).and_then(|folder| folder.sync_all()).map_err(failed)?;
        let size_bytes = header.len() as u64;
        state.size_bytes += size_bytes;
        state.open.push(Open { origin, file, path, size_bytes, synced_bytes: 0, unsynced: Vec::new(), sealer });
        Ok(state.open.len() - 1)
    }

    /// If there are too many origins, a new one shares the files of [`Origin::OTHERS`].
    fn within_bounds(&self, origin: Origin) -> Result<Origin, QuarantineError> {
        let shares = origin::shares(&self.files()?);
        let is_known = shares.contains_key(&origin) || shares.len() < limits::QUARANTINE_ORIGINS;
        Ok(if is_known { origin } else { Origin::OTHERS })
    }

    /// Syncs and closes a file.
    fn close(&self, state: &mut State, at: usize) -> Result<(), QuarantineError> {
        match state.open[at].file.sync_data() {
            Ok(()) => {
                state.open.remove(at);
                Ok(())
            }
            Err(source) => Err(set_aside_unsynced(state, at, source)),
        }
    }

    /// Removes old files, and makes room for `more_bytes`.
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
        read::files(&self.folder.path).map_err(|source| self.unseen(source))
    }

    fn unseen(&self, source: std::io::Error) -> QuarantineError {
        QuarantineError { path: self.folder.path.clone(), doing: "list the folder", source }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // At worst, a panic leaves a torn entry at the end, which readers skip.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// After a failed fsync the content of the page cache is unknown, so unsynced entries are written to another file.
fn set_aside_unsynced(state: &mut State, at: usize, source: std::io::Error) -> QuarantineError {
    let Open { origin, file, path, synced_bytes, unsynced, .. } = state.open.swap_remove(at);
    // Otherwise the entries would be stored twice.
    if let Err(error) = file.set_len(synced_bytes) {
        tracing::debug!("can't cut {}: {error}", path.display());
    }
    if !unsynced.is_empty() {
        state.to_rewrite.entry(origin).or_default().extend(unsynced);
    }
    QuarantineError { path, doing: "sync an entry", source }
}

impl weir_sinks::Quarantine for Quarantine {
    fn put(&self, from: &str, reason: &str, record: &[u8]) -> Result<(), String> {
        self.keep(from, reason, record).and_then(|()| self.sync()).map_err(|e| e.to_string())
    }
}
