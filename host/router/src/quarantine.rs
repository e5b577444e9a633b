//! Quarantine: where records go that no filter could clean, that could not be read, or that a
//! sink refused for good.
//!
//! What lies here may hold the very secrets that the filters were to remove, so it is a place of
//! its own: a folder that only its owner can enter (0700), files that only its owner can read
//! (0600), a bound on size and on age, and a choice of what is kept at all.
//!
//! | file | purpose |
//! |---|---|
//! | `quarantine.rs` | writing: one file at a time, durable when [`Quarantine::sync`] returns |
//! | `quarantine/entry.rs` | one entry and how it is written |
//! | `quarantine/read.rs` | reading back, and remembering what was replayed |
//! | `quarantine/delete.rs` | deleting entries for good, beside a running router |
//!
//! **An entry is durable before its sender hears of it.** Over the size bound the oldest files go.

pub mod delete;
mod entry;
pub mod read;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use metrics::counter;

use crate::limits;
pub use entry::Entry;

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
    "quarantine `{}`: can't {doing}: {source}; give weir room and access there, or set `[quarantine] keep = \"nothing\"`",
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
    open: Option<Open>,
    /// Written but not synced.
    dirty: bool,
}

struct Open {
    file: File,
    path: PathBuf,
    size_bytes: u64,
}

impl Quarantine {
    /// Makes the folder when it is missing, for its owner alone, and lets go what is too old.
    pub fn open(folder: &Path, options: QuarantineOptions) -> Result<Self, QuarantineError> {
        let failed = |doing| move |source| QuarantineError { path: folder.to_path_buf(), doing, source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make the folder"))?;
        let quarantine =
            Self { folder: folder.to_path_buf(), state: Mutex::new(State { options, open: None, dirty: false }) };
        quarantine.tidy(&quarantine.lock())?;
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

    /// Makes everything kept so far durable; costs nothing when there is nothing to do.
    pub fn sync(&self) -> Result<(), QuarantineError> {
        let mut state = self.lock();
        if !state.dirty {
            return Ok(());
        }
        if let Some(open) = &state.open
            && let Err(source) = open.file.sync_data()
        {
            let path = open.path.clone();
            // What the kernel holds of this file is unknown now: go on in a new one.
            state.open = None;
            return Err(QuarantineError { path, doing: "make an entry durable", source });
        }
        state.dirty = false;
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
        let entry =
            Entry { time: weir_record::time::now_ns(), from: from.into(), reason: reason.into(), raw, record: kept };
        let bytes = entry.to_bytes();
        self.make_room(&mut state)?;
        let Some(open) = &mut state.open else {
            return Ok(());
        };
        if let Err(source) = open.file.write_all(&bytes) {
            // Cut off what was written of it; if even that fails, a new file is begun.
            let cut = open.file.set_len(open.size_bytes);
            let path = open.path.clone();
            if cut.is_err() {
                state.open = None;
            }
            return Err(QuarantineError { path, doing: "write an entry", source });
        }
        open.size_bytes += bytes.len() as u64;
        state.dirty = true;
        Ok(())
    }

    /// Has a file open that may grow.
    fn make_room(&self, state: &mut State) -> Result<(), QuarantineError> {
        if let Some(open) = &state.open
            && open.size_bytes < limits::QUARANTINE_FILE_BYTES
        {
            return Ok(());
        }
        if let Some(full) = state.open.take() {
            full.file.sync_data().map_err(|source| QuarantineError {
                path: full.path,
                doing: "make entries durable",
                source,
            })?;
        }
        self.tidy(state)?;
        let path = self.folder.join(format!("{}.{}", weir_record::time::now_ns(), entry::EXTENSION));
        let failed = |source| QuarantineError { path: path.clone(), doing: "begin a file", source };
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        state.open = Some(Open { file, path, size_bytes: 0 });
        Ok(())
    }

    /// Removes files past the bounds, the oldest first.
    fn tidy(&self, state: &State) -> Result<(), QuarantineError> {
        let failed = |source| QuarantineError { path: self.folder.clone(), doing: "look through the folder", source };
        let mut files = read::files(&self.folder).map_err(failed)?;
        let mut total: u64 = files.iter().map(|f| f.size_bytes).sum();
        let now = SystemTime::now();
        files.retain(|f| state.open.as_ref().is_none_or(|open| open.path != f.path));
        for file in files {
            let age = now.duration_since(file.changed).unwrap_or_default();
            let over = total + limits::QUARANTINE_FILE_BYTES > state.options.max_size_bytes;
            if !over && age <= state.options.max_age {
                continue;
            }
            total -= file.size_bytes;
            let why = if over { "size" } else { "age" };
            tracing::warn!("quarantine: {} removed: past the bound on {why}", file.path.display());
            read::remove(&file.path).map_err(failed)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding it leaves at worst a torn entry at the end, which reading skips.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl weir_sinks::Quarantine for Quarantine {
    fn put(&self, from: &str, reason: &str, record: &[u8]) -> Result<(), String> {
        self.keep(from, reason, record).and_then(|()| self.sync()).map_err(|e| e.to_string())
    }
}
