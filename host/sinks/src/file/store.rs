//! Exactly-once writes to any number of files.
//!
//! # The constraint
//! Appending to a file and recording the position are two operations, and the process or the machine may die between
//! any two. So after a crash, a file may contain more than the position says, or, after a power cut, garbage where it
//! was not yet synced. The position must therefore be enough to restore **every** file to its state at one moment.
//!
//! # The position record
//! One small JSON file in the data folder, replaced atomically and durably. It says that frames up to `sequence` are
//! durable in the files, and for every file that *may have been touched since*: its length at that moment and the names
//! it may have been rotated to since, in order.
//!
//! # The rules
//! 1. **Intent first.** Before touching (creating, appending to, rotating) a file that the record does not list, a new
//!    record is written that lists it. It has the old `sequence`: nothing has been promised yet.
//! 2. **Position last.** A new `sequence` is written only after every touched file and every folder with a new name in
//!    it has been fsynced; the journal's cursor follows only after that.
//! 3. **Names are used once.** A rotated name is chosen only if no file has it, so if it exists later, the rename
//!    announced by rule 1 has happened.
//! 4. Rotated files are compressed, counted and checked for age only after a position has passed their rotation
//!    (`Unsettled`).
//!
//! # Why that is enough
//! Start undoes everything after the record. For a listed file: if its first rotated name exists, the bytes of the
//! position are in that file, so the later rotated files, all younger than the position, are removed, and the first is
//! renamed over the file; otherwise no rotation happened. Then the file is truncated to its listed length. By rule 1 a
//! file that is not listed was not touched, so now *all* files are as they were at `sequence`; by rule 2 those bytes
//! survived; and the journal still has everything after `sequence`. Delivering that again writes each record exactly
//! once.
//! A crash while undoing doesn't change this argument: removing, renaming and truncating can each be repeated, and once
//! the first rotated name is gone, only the truncation remains. A crash between an intent and its operation leaves an
//! intent without effect, which the undoing ignores.
//!
//! # Ownership
//! The argument requires that nobody else writes to a listed file. So a file is claimed (`owners.rs`) before it is
//! listed, and released when it is no longer listed; a file claimed by another sink is neither written nor undone. A
//! renamed sink takes over the record of its old name: a record of a sink that is no longer configured, for the same
//! path. From other such records it removes the files that it can name itself, so that a sink that returns under an old
//! name truncates nothing that was written since.
//!
//! Before files are rewritten to erase lines (`erase.rs`), every file is restored to the position, and a position is
//! written that lists none ([`Store::release`]): no length of a file before matters then.
//!
//! A file past its retention is released at the next position, and only then removed (`tidy.rs`): what is written to an
//! open file after its name was removed is lost.
//!
//! If an operator moves or deletes a file, it is released at the next position and created again; a file that became
//! shorter than its position is left as it is, with a warning.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::file_list::{FileEntry, FileList};
use super::records::{self, ListedFile, PositionRecord};
use super::rotate;
use super::tidy::is_too_old;
use crate::disk::{Disk, DiskError};
use crate::limits;
use crate::owners::{Claimant, Files, Owner};

/// What went wrong, by remedy.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The position record was not written by this version.
    #[error(
        "the position record `{place}` can't be read: {reason}; move it away to continue from the journal's cursor (the last records may then be written twice)"
    )]
    Record { place: String, reason: String },
}

struct Open {
    file: File,
    length: u64,
    /// Bytes that were written since it was last synced.
    unsynced: u64,
    used: u64,
}

/// Rotated files that a crash might still undo; shared with the tidying thread.
pub type Unsettled = Arc<Mutex<HashSet<PathBuf>>>;

/// Lines for one file, with the places where it is rotated.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The file.
    pub path: PathBuf,
    /// True if a value of a record is part of its name, and the file counts towards `max_new_files`.
    pub by_value: bool,
    /// The lines.
    pub bytes: Vec<u8>,
    /// The file is rotated before these offsets of `bytes`.
    pub cuts: Vec<usize>,
}

/// Whether the sink may write a file.
pub enum Admission {
    /// It may; the file has this length.
    Granted(u64),
    /// It belongs to another sink.
    OwnedByOther(String),
    /// It would exceed today's limit.
    TooMany,
}

/// The parameters of a store.
pub struct StoreOptions {
    /// The path of the position record.
    pub record: PathBuf,
    /// The list of the sink's files.
    pub file_list: FileList,
    /// The sink as an owner of files.
    pub owner: Owner,
    /// The sink's path template, which identifies its record under an older name.
    pub template: String,
    /// All paths that the template can name.
    pub files: Files,
    /// The folder that contains all of them.
    pub root: PathBuf,
    /// How many files are kept open.
    pub open_files: usize,
    /// How many files values of records may create per day.
    pub max_new_files: usize,
    /// How long after its last change a file is released, to be removed.
    pub retention: Option<Duration>,
}

/// The files of one sink and their position.
pub struct Store {
    options: StoreOptions,
    disk: Disk,
    /// Admitted files that are not in the file list yet.
    admitted: usize,
    is_overflowing: bool,
    sequence: Option<u64>,
    listed: BTreeMap<PathBuf, ListedFile>,
    open: HashMap<PathBuf, Open>,
    /// Folders with names that are not durable yet.
    folders: BTreeSet<PathBuf>,
    unsettled: Unsettled,
    clock: u64,
}

impl Store {
    /// Touches nothing before `restore`.
    pub fn new(options: StoreOptions, disk: Disk) -> Store {
        Store {
            options,
            disk,
            admitted: 0,
            is_overflowing: false,
            sequence: None,
            listed: BTreeMap::new(),
            open: HashMap::new(),
            folders: BTreeSet::new(),
            unsettled: Unsettled::default(),
            clock: 0,
        }
    }

    /// The rotated files that must not be tidied yet.
    pub fn unsettled(&self) -> Unsettled {
        self.unsettled.clone()
    }

    /// The list of the sink's files.
    pub fn file_list(&self) -> FileList {
        self.options.file_list.clone()
    }

    /// A handle to ask which files belong to other sinks.
    pub fn claimant(&self) -> Claimant {
        self.options.owner.claimant()
    }

    /// The sink's name.
    pub fn sink(&self) -> &str {
        self.options.owner.sink()
    }

    /// The last durable frame.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// Restores every file to the position and returns it, but never more than `last_sequence`.
    pub fn restore(&mut self, last_sequence: u64) -> Result<Option<u64>, StoreError> {
        self.open.clear();
        self.folders.clear();
        self.admitted = 0;
        let found = self.find_record()?;
        self.open_file_list(found.is_some())?;
        let record = found.unwrap_or_else(PositionRecord::new);
        self.listed.clear();
        for (path, listed) in record.files {
            if let Err(whose) = self.options.owner.claim(&path) {
                tracing::warn!(
                    file = %path.display(), sink = self.sink(),
                    "a file of this sink now belongs to {whose} and is left unchanged; its last records may be written twice"
                );
                continue;
            }
            self.undo(&path, &listed)?;
            self.listed.insert(path, ListedFile { rotated: Vec::new(), ..listed });
        }
        let listed = &self.listed;
        self.options.owner.keep_only(|path| listed.contains_key(path));
        // Files can't contain frames of this journal beyond its end: see `Sink::start`.
        self.sequence = record.sequence.map(|sequence| sequence.min(last_sequence));
        self.settle();
        Ok(record.sequence)
    }

    /// This sink's record, or that of the same sink under an older name.
    fn find_record(&self) -> Result<Option<PositionRecord>, StoreError> {
        let StoreOptions { record, template, files, .. } = &self.options;
        let found = self.options.owner.alone(|configured| {
            if let Some(configured) = configured {
                records::settle_unconfigured(&self.disk, record, template, files, configured)?;
            }
            records::read(record)
        })?;
        self.options.owner.claim_recorded_files(|configured| records::files_of_all(record, configured));
        Ok(found)
    }

    /// Without a list, this is the first start, or an earlier version kept none.
    fn open_file_list(&self, had_position: bool) -> Result<(), DiskError> {
        let StoreOptions { file_list, files, root, .. } = &self.options;
        if !file_list.exists() {
            let root = had_position.then_some(root.as_path());
            file_list.create_or_migrate(root, |path| files.has(path))?;
        }
        file_list.open()
    }

    fn undo(&self, path: &Path, listed: &ListedFile) -> Result<(), StoreError> {
        if let Some((first, later)) = listed.rotated.split_first()
            && self.disk.length(first)?.is_some()
        {
            for younger in later {
                self.disk.remove(younger)?;
            }
            self.disk.rename(first, path)?;
            self.disk.sync_folder(path.parent().unwrap_or(path))?;
        }
        match self.disk.length(path)? {
            Some(length) if length > listed.length => {
                tracing::debug!(file = %path.display(), from = length, to = listed.length, "truncating a file to its position");
                self.disk.truncate(path, listed.length)?;
            }
            Some(length) if length < listed.length => {
                tracing::warn!(
                    file = %path.display(), length, expected = listed.length,
                    "a file is shorter than at its last position; another program truncated or replaced it"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// The current length of a file.
    fn length(&self, path: &Path) -> Result<Option<u64>, DiskError> {
        match self.open.get(path) {
            Some(open) => Ok(Some(open.length)),
            None => self.disk.length(path),
        }
    }

    /// Requests a file, which belongs to this sink from then on. `by_value`: a value of a record is part of its name.
    pub fn admit(&mut self, path: &Path, by_value: bool) -> Result<Admission, DiskError> {
        let length = self.length(path)?;
        if self.listed.contains_key(path) {
            return Ok(Admission::Granted(length.unwrap_or(0)));
        }
        let is_new = length.is_none() && by_value;
        if is_new && self.options.file_list.made_today() + self.admitted >= self.options.max_new_files {
            if !std::mem::replace(&mut self.is_overflowing, true) {
                tracing::warn!(
                    sink = self.sink(),
                    file = %path.display(),
                    "values of records have created {} files today, the limit set by `max_new_files`; lines for further files \
                     go to one file with `_overflow` in place of each value",
                    self.options.max_new_files
                );
            }
            return Ok(Admission::TooMany);
        }
        if let Err(whose) = self.options.owner.claim(path) {
            return Ok(Admission::OwnedByOther(whose));
        }
        self.admitted += usize::from(is_new);
        self.is_overflowing &= !is_new;
        Ok(Admission::Granted(length.unwrap_or(0)))
    }

    /// Appends lines to files, rotating where the chunks say. After an error, only `restore` may follow.
    pub fn append<'a>(&mut self, chunks: impl Iterator<Item = &'a Chunk> + Clone) -> Result<(), StoreError> {
        let plans = self.write_intents(chunks.clone())?;
        for (chunk, names) in chunks.zip(plans) {
            let mut from = 0;
            for (cut, name) in chunk.cuts.iter().zip(names) {
                self.append_to(&chunk.path, &chunk.bytes[from..*cut])?;
                self.rotate(&chunk.path, &name)?;
                from = *cut;
            }
            self.append_to(&chunk.path, &chunk.bytes[from..])?;
        }
        Ok(())
    }

    /// Rule 1. Returns the names for each chunk's rotations.
    fn write_intents<'a>(&mut self, chunks: impl Iterator<Item = &'a Chunk>) -> Result<Vec<Vec<PathBuf>>, StoreError> {
        let mut news = false;
        let mut plans = Vec::new();
        let mut entries = Vec::new();
        for chunk in chunks {
            if !self.listed.contains_key(&chunk.path) {
                let length = self.length(&chunk.path)?;
                entries.extend(length.is_none().then(|| FileEntry::live(&chunk.path, chunk.by_value)));
                self.listed.insert(chunk.path.clone(), ListedFile { length: length.unwrap_or(0), rotated: Vec::new() });
                news = true;
            }
            let mut names = Vec::with_capacity(chunk.cuts.len());
            for _ in &chunk.cuts {
                let taken = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
                let name = rotate::free_name(&chunk.path, |name| taken.contains(name));
                drop(taken);
                self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone());
                entries.push(FileEntry::rotated(&name, &chunk.path));
                names.push(name);
            }
            if let Some(listed) = self.listed.get_mut(&chunk.path) {
                news |= !names.is_empty();
                listed.rotated.extend(names.iter().cloned());
            }
            plans.push(names);
        }
        self.options.file_list.add(&entries)?;
        self.admitted = 0;
        if news {
            self.write_record(self.sequence, &self.listed)?;
        }
        Ok(plans)
    }

    fn write_record(&self, sequence: Option<u64>, files: &BTreeMap<PathBuf, ListedFile>) -> Result<(), StoreError> {
        records::write(&self.disk, &self.options.record, sequence, Some(&self.options.template), files)
    }

    fn append_to(&mut self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.make_open(path)?;
        self.clock += 1;
        if let Some(open) = self.open.get_mut(path) {
            open.used = self.clock;
            open.unsynced += bytes.len() as u64;
            self.disk.append(&mut open.file, path, bytes)?;
            open.length += bytes.len() as u64;
            if open.unsynced >= limits::UNSYNCED_BYTES {
                self.disk.sync(&open.file, path)?;
                open.unsynced = 0;
            }
        }
        Ok(())
    }

    fn make_open(&mut self, path: &Path) -> Result<(), StoreError> {
        if self.open.contains_key(path) {
            return Ok(());
        }
        while self.open.len() >= self.options.open_files {
            let Some(oldest) = self.open.iter().min_by_key(|(_, open)| open.used).map(|(path, _)| path.clone()) else {
                break;
            };
            if let Some(open) = self.open.remove(&oldest).filter(|open| open.unsynced > 0) {
                self.disk.sync(&open.file, &oldest)?;
            }
        }
        let length = match self.disk.length(path)? {
            Some(length) => length,
            None => {
                self.make_folders(path)?;
                0
            }
        };
        let file = self.disk.open(path)?;
        self.open.insert(path.to_path_buf(), Open { file, length, unsynced: 0, used: self.clock });
        Ok(())
    }

    /// Creates the folders of a new file, and remembers the folder that gets the file's name.
    fn make_folders(&mut self, path: &Path) -> Result<(), StoreError> {
        let Some(parent) = path.parent() else { return Ok(()) };
        self.folders.insert(parent.to_path_buf());
        if !parent.is_dir() {
            self.disk.create_folder(parent)?;
        }
        Ok(())
    }

    fn rotate(&mut self, path: &Path, name: &Path) -> Result<(), StoreError> {
        // The bytes must be durable under the new name before a position passes them, and afterwards the file is not
        // open.
        if let Some(open) = self.open.remove(path).filter(|open| open.unsynced > 0) {
            self.disk.sync(&open.file, path)?;
        }
        if self.disk.length(path)?.is_some() {
            self.disk.rename(path, name)?;
            self.folders.insert(path.parent().unwrap_or(path).to_path_buf());
        }
        Ok(())
    }

    /// True if so many files were touched that a position is due.
    pub fn is_position_due(&self) -> bool {
        self.listed.len() >= limits::LISTED_FILES
    }

    /// True if a file is past its retention, and a position would release it.
    pub fn has_expired(&self) -> bool {
        let now = SystemTime::now();
        self.listed.keys().any(|path| is_too_old(path, self.options.retention, now))
    }

    /// Rule 2: makes everything durable and records that the files contain frames up to `sequence` (`None`: up to the
    /// journal's cursor). Returns true if files were rotated since the last position.
    pub fn position(&mut self, sequence: Option<u64>) -> Result<bool, StoreError> {
        for (path, open) in self.open.iter_mut().filter(|(_, open)| open.unsynced > 0) {
            self.disk.sync(&open.file, path)?;
            open.unsynced = 0;
        }
        for folder in &self.folders {
            self.disk.sync_folder(folder)?;
        }
        self.folders.clear();
        let (retention, now) = (self.options.retention, SystemTime::now());
        self.open.retain(|path, open| is_still(path, &open.file) && !is_too_old(path, retention, now));
        for path in self.options.owner.reserved_by_others(self.open.keys()) {
            self.open.remove(&path);
        }
        let files = self.open.iter().map(|(path, open)| {
            // The file's actual length: another program may have truncated it or appended to it.
            let length = open.file.metadata().map_or(open.length, |found| found.len());
            (path.clone(), ListedFile { length, rotated: Vec::new() })
        });
        let files: BTreeMap<_, _> = files.collect();
        self.write_record(sequence, &files)?;
        for (path, listed) in &files {
            if let Some(open) = self.open.get_mut(path) {
                open.length = listed.length;
            }
        }
        self.sequence = sequence;
        self.options.owner.keep_only(|path| files.contains_key(path));
        self.options.file_list.settle();
        self.listed = files;
        Ok(self.settle())
    }

    /// The files with lines of this sink.
    pub fn files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut files = BTreeSet::new();
        for entry in self.options.file_list.entries()? {
            files.extend(entry.live.is_some().then(|| rotate::with_ending(&entry.path, rotate::COMPRESSED)));
            files.insert(entry.path);
        }
        files.extend(records::read(&self.options.record)?.into_iter().flat_map(|record| record.files.into_keys()));
        Ok(files.into_iter().collect())
    }

    /// Restores every file to the position, and writes a position that lists none: whatever happens to files until the
    /// next intent, the next start undoes nothing in them.
    pub fn release(&mut self, last_sequence: u64) -> Result<(), StoreError> {
        self.restore(last_sequence)?;
        if self.options.record.exists() {
            self.write_record(self.sequence, &BTreeMap::new())?;
        }
        self.listed.clear();
        self.options.owner.keep_only(|_| false);
        Ok(())
    }

    fn settle(&self) -> bool {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        let any = !unsettled.is_empty();
        unsettled.clear();
        any
    }
}

/// True if the path still leads to the open file.
fn is_still(path: &Path, file: &File) -> bool {
    match (fs::metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
        _ => false,
    }
}
