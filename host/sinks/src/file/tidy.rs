//! Compresses rotated files and removes old ones on a dedicated thread; delivery never waits for it.
//!
//! It touches only files that are in this sink's file list and that no other sink has claimed since, and never a
//! rotation that a crash might still undo. A file that the sink may still write to is not removed: the sink releases it
//! once it is past its retention. Failures are logged and retried the next time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use weir_journal::disk::replace_file_with;

use super::file_list::FileList;
use super::rotate::{COMPRESSED, with_ending};
use super::store::Unsettled;
use crate::limits;
use crate::owners::Claimant;

/// The work of the thread.
pub struct TidyJob {
    /// The sink's name, for the log.
    pub sink: String,
    /// The files to consider.
    pub file_list: FileList,
    /// Which files belong to other sinks.
    pub claimant: Claimant,
    /// Compress rotated files with zstd.
    pub compress: bool,
    /// How many rotated files are kept per live file.
    pub keep: Option<usize>,
    /// How long a file is kept after its last change.
    pub max_age: Option<Duration>,
    /// The files to leave alone.
    pub unsettled: Unsettled,
    /// Set to true to stop the thread.
    pub ending: Arc<AtomicBool>,
}

/// The thread. Dropping this ends it, in the middle of a file if necessary, so that it never runs beside the thread of
/// the next sink: two threads compressing the same file could damage it.
pub struct TidyThread {
    /// `None` while it ends.
    wake: Option<SyncSender<()>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TidyThread {
    /// Starts the thread, which tidies once immediately. `None` if the options leave nothing to do.
    pub fn start(tidy: TidyJob) -> io::Result<Option<TidyThread>> {
        if !tidy.compress && tidy.keep.is_none() && tidy.max_age.is_none() {
            return Ok(None);
        }
        let (wake, woken) = sync_channel(1);
        let ending = tidy.ending.clone();
        let name = format!("tidy-{}", tidy.sink);
        let thread = thread::Builder::new().name(name).spawn(move || run(&tidy, &woken))?;
        Ok(Some(TidyThread { wake: Some(wake), ending, thread: Some(thread) }))
    }

    /// Call this after a rotation.
    pub fn wake(&self) {
        // If the channel is full, the thread will wake anyway.
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }
}

impl Drop for TidyThread {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.wake = None;
        // A panic there was already logged.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(tidy: &TidyJob, woken: &Receiver<()>) {
    loop {
        tidy.once(SystemTime::now());
        if woken.recv_timeout(limits::TIDY_INTERVAL) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

impl TidyJob {
    /// Checks all files once.
    pub fn once(&self, now: SystemTime) {
        let entries = match self.file_list.entries() {
            Ok(entries) => entries,
            Err(error) => return tracing::warn!(sink = self.sink, "can't tidy up: {error}"),
        };
        // Read after the list: every rotation in the list is either in this set or settled.
        let unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut rotated: BTreeMap<PathBuf, Vec<(PathBuf, bool)>> = BTreeMap::new();
        for entry in entries.into_iter().filter(|entry| !unsettled.contains(&entry.path)) {
            for (path, compressed) in [(with_ending(&entry.path, COMPRESSED), true), (entry.path, false)] {
                if (compressed && entry.live.is_none()) || !is_file(&path) || self.claimant.belongs_to_other(&path) {
                    continue;
                }
                if is_too_old(&path, self.max_age, now) {
                    self.claimant.unless_claimed(&path, || self.remove_if_too_old(&path, now));
                } else if let Some(live) = &entry.live {
                    rotated.entry(live.clone()).or_default().push((path, compressed));
                }
            }
        }
        for mut files in rotated.into_values() {
            // Names sort by rotation time.
            files.sort();
            let surplus = self.keep.map_or(0, |keep| files.len().saturating_sub(keep));
            for (at, (path, compressed)) in files.iter().enumerate() {
                if self.ending.load(Ordering::Relaxed) {
                    return;
                }
                if at < surplus {
                    self.attempt("remove", path, || fs::remove_file(path));
                } else if self.compress && !compressed {
                    self.attempt("compress", path, || compress(path, &self.ending));
                }
            }
        }
        if let Err(error) = self.file_list.shorten() {
            tracing::warn!(sink = self.sink, "can't tidy up: {error}");
        }
    }

    fn remove_if_too_old(&self, path: &Path, now: SystemTime) {
        // Asked again: the sink may have written to it since.
        if is_too_old(path, self.max_age, now) {
            tracing::info!(sink = self.sink, file = %path.display(), "removing a file past its retention");
            self.attempt("remove", path, || fs::remove_file(path));
        }
    }

    fn attempt(&self, action: &str, path: &Path, work: impl FnOnce() -> io::Result<()>) {
        if let Err(error) = work()
            && !self.ending.load(Ordering::Relaxed)
        {
            tracing::warn!(sink = self.sink, file = %path.display(), "can't {action} a file that is no longer written: {error}");
        }
    }
}

/// True if a file was last changed longer ago than this.
pub fn is_too_old(path: &Path, max_age: Option<Duration>, now: SystemTime) -> bool {
    let Some(max_age) = max_age else { return false };
    let changed = fs::metadata(path).and_then(|found| found.modified());
    changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|age| age > max_age))
}

/// True for a regular file, and not for a link to one.
fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Reads a file, and fails once the thread has to stop.
struct CancellableReader<'a> {
    ending: &'a AtomicBool,
    source: &'a File,
}

impl Read for CancellableReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ending.load(Ordering::Relaxed) {
            return Err(io::Error::other("the sink is stopping"));
        }
        self.source.read(out)
    }
}

/// Replaces a file by its compressed form, which keeps the modification time. A crash leaves one of the two files, or
/// both with the same content; the next attempt removes the leftover.
fn compress(path: &Path, ending: &AtomicBool) -> io::Result<()> {
    let target = with_ending(path, COMPRESSED);
    let source = File::open(path)?;
    let found = source.metadata()?;
    replace_file_with(&target, |out| {
        out.set_permissions(found.permissions())?;
        let source = CancellableReader { ending, source: &source };
        zstd::stream::copy_encode(source, &*out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
        out.set_modified(found.modified()?)
    })?;
    fs::remove_file(path)
}
