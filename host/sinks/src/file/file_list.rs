//! The list of the files that this sink has created or rotated. Only these are ever compressed or removed.
//!
//! A name proves nothing: another program, another sink, or a sender with a well-chosen source can create a file that
//! looks like one of ours. So every file is recorded before it is created, in `sinks/NAME.files` in the data folder,
//! one line of JSON each. A line without its file is harmless and is removed when the list is shortened. A line that a
//! crash cut off is ignored, because its file was not created.
//!
//! Earlier versions kept no list. When a sink first starts with a position but without a list, the list begins with the
//! files that its template can name, and with those rotated files that can't be anything else: they were last changed
//! before the time in their name, and that time has passed.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use weir_record::time::now_ns;

use super::rotate::{COMPRESSED, read_name, with_ending};
use crate::disk::{Disk, DiskError};
use crate::limits;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;

/// A file of the sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path. A compressed file has one more suffix.
    pub path: PathBuf,
    /// Creation time in seconds since 1970 UTC.
    made: i64,
    /// For a rotated file, the path before the rotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<PathBuf>,
    /// True if a value of a record is part of its name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_value: bool,
}

impl FileEntry {
    /// A file that is about to be created.
    pub fn live(path: &Path, by_value: bool) -> FileEntry {
        FileEntry { path: path.into(), made: now_ns() / SECOND_NS, live: None, by_value }
    }

    /// A name that a file is about to be rotated to.
    pub fn rotated(path: &Path, live: &Path) -> FileEntry {
        FileEntry { path: path.into(), made: now_ns() / SECOND_NS, live: Some(live.into()), by_value: false }
    }

    fn exists(&self) -> bool {
        let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
        is_there(&self.path) || (self.live.is_some() && is_there(&with_ending(&self.path, COMPRESSED)))
    }
}

/// The list. Clones share it, among them the one of the tidying thread.
#[derive(Clone)]
pub struct FileList {
    path: PathBuf,
    disk: Disk,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    /// Recorded and perhaps not created yet.
    fresh: HashSet<PathBuf>,
    /// The day of `made_today`.
    day: i64,
    /// Files created that day for values of records.
    made_today: usize,
}

impl State {
    fn count(&mut self, entry: &FileEntry) {
        let day = entry.made.div_euclid(DAY_S);
        if day > self.day {
            (self.day, self.made_today) = (day, 0);
        }
        self.made_today += usize::from(entry.by_value && day == self.day);
    }
}

impl FileList {
    /// The list at that path. Touches nothing.
    pub fn new(path: PathBuf, disk: Disk) -> FileList {
        FileList { path, disk, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the list exists.
    pub fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Prepares the list after a start or a failure.
    pub fn open(&self) -> Result<(), DiskError> {
        let mut state = self.state();
        *state = State::default();
        self.tidy_up(&mut state)?;
        self.entries()?.iter().for_each(|entry| state.count(entry));
        Ok(())
    }

    /// Files created today (UTC) for values of records.
    pub fn made_today(&self) -> usize {
        let mut state = self.state();
        let day = (now_ns() / SECOND_NS).div_euclid(DAY_S);
        if day > state.day {
            (state.day, state.made_today) = (day, 0);
        }
        state.made_today
    }

    /// Records files durably, before they are created.
    pub fn add(&self, entries: &[FileEntry]) -> Result<(), DiskError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut state = self.state();
        let mut bytes = Vec::new();
        for entry in entries {
            push_line(entry, &mut bytes).map_err(|error| DiskError::new("write", &self.path, error))?;
            state.count(entry);
            state.fresh.insert(entry.path.clone());
        }
        let mut file = match state.file.take() {
            Some(file) => file,
            None => self.open_file()?,
        };
        self.disk.append(&mut file, &self.path, &bytes)?;
        self.disk.sync(&file, &self.path)?;
        state.file = Some(file);
        Ok(())
    }

    fn open_file(&self) -> Result<File, DiskError> {
        self.disk.create_own_folder(&self.path)?;
        let mut file = self.disk.open_own(&self.path)?;
        // Terminates a line that a crash cut off.
        if fs::read(&self.path).is_ok_and(|content| content.last().is_some_and(|last| *last != b'\n')) {
            self.disk.append(&mut file, &self.path, b"\n")?;
        }
        self.disk.sync_folder(self.path.parent().unwrap_or(Path::new("/")))?;
        Ok(file)
    }

    /// Every recorded file has been created by now, or never will be.
    pub fn settle(&self) {
        self.state().fresh.clear();
    }

    /// All files, each once.
    pub fn entries(&self) -> Result<Vec<FileEntry>, DiskError> {
        let content = match fs::read(&self.path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(DiskError::new("read", &self.path, error)),
        };
        let lines =
            content.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<FileEntry>(line).ok());
        let each: BTreeMap<PathBuf, FileEntry> = lines.map(|entry| (entry.path.clone(), entry)).collect();
        Ok(each.into_values().collect())
    }

    /// Removes lines without files if there are many.
    pub fn shorten(&self) -> Result<(), DiskError> {
        let mut state = self.state();
        self.tidy_up(&mut state)
    }

    fn tidy_up(&self, state: &mut State) -> Result<(), DiskError> {
        let all = self.entries()?;
        let left: Vec<_> = all.iter().filter(|entry| state.fresh.contains(&entry.path) || entry.exists()).collect();
        if all.len() - left.len() < limits::FILE_LIST_SLACK {
            return Ok(());
        }
        self.replace(left.into_iter(), state)
    }

    fn replace<'a>(&self, entries: impl Iterator<Item = &'a FileEntry>, state: &mut State) -> Result<(), DiskError> {
        let mut bytes = Vec::new();
        for entry in entries {
            push_line(entry, &mut bytes).map_err(|error| DiskError::new("write", &self.path, error))?;
        }
        state.file = None;
        self.disk.replace(&self.path, &bytes)
    }

    /// Creates the list: empty, or with the files below `root` if an earlier version kept no list. `is_live` is true
    /// for the paths that the sink's template can name.
    pub fn create_or_migrate(&self, root: Option<&Path>, is_live: impl Fn(&Path) -> bool) -> Result<(), DiskError> {
        let mut paths = Vec::new();
        if let Some(root) = root {
            walk(root, &mut paths);
        }
        let now = SystemTime::now();
        let entry = |path: PathBuf| {
            // As old as possible, so that they count for no day.
            let (made, by_value) = (0, false);
            let Some(rotated) = read_name(&path) else {
                return is_live(&path).then_some(FileEntry { path, made, live: None, by_value });
            };
            let changed = fs::metadata(&path).and_then(|found| found.modified()).ok()?;
            let is_rotated = is_live(&rotated.live) && changed <= rotated.at && rotated.at <= now;
            is_rotated.then_some(FileEntry { path: rotated.uncompressed, made, live: Some(rotated.live), by_value })
        };
        let entries: Vec<FileEntry> = paths.into_iter().filter_map(entry).collect();
        self.replace(entries.iter(), &mut self.state())
    }
}

fn push_line(entry: &FileEntry, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, entry)?;
    out.push(b'\n');
    Ok(())
}

/// Collects the files below a folder, up to a limit, without following links.
fn walk(root: &Path, out: &mut Vec<PathBuf>) {
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            if out.len() + folders.len() >= limits::MIGRATED_FILES {
                return;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => out.push(entry.path()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_list(folder: &Path) -> FileList {
        FileList::new(folder.join("sinks/a.files"), Disk::default())
    }

    #[test]
    fn each_file_is_listed_once_and_a_broken_line_hides_no_other() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let list = file_list(folder.path());
        let (live, rotated) = (folder.path().join("a b\n.log"), folder.path().join("r"));
        list.add(&[FileEntry::live(&live, true), FileEntry::rotated(&rotated, &live)]).expect("writable");
        let mut content = fs::read(&list.path).expect("there");
        content.extend_from_slice(b"{\"path\":\"/cut");
        fs::write(&list.path, content).expect("writable");
        let list = file_list(folder.path());
        list.open().expect("readable");
        list.add(&[FileEntry::live(&live, true)]).expect("writable");
        let found = list.entries().expect("readable");
        assert_eq!(found.iter().map(|entry| &entry.path).collect::<Vec<_>>(), [&live, &rotated]);
        assert_eq!((&found[0].live, &found[1].live), (&None, &Some(live)));
        assert_eq!(list.made_today(), 2);
    }

    #[test]
    fn lines_without_files_are_removed_once_there_are_many() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let list = file_list(folder.path());
        let kept = folder.path().join("kept");
        fs::write(&kept, "").expect("writable");
        let mut entries = vec![FileEntry::live(&kept, false)];
        entries
            .extend((0..limits::FILE_LIST_SLACK).map(|n| FileEntry::live(&folder.path().join(n.to_string()), false)));
        list.add(&entries).expect("writable");
        list.shorten().expect("works");
        assert_eq!(list.entries().expect("readable").len(), entries.len(), "they may be made yet");
        list.settle();
        list.shorten().expect("works");
        assert_eq!(list.entries().expect("readable").len(), 1);
        list.add(&[FileEntry::live(&kept, false)]).expect("goes on");
    }
}
