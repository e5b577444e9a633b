//! Summarises the files, so that later searches skip most blocks (`saved.rs`).
//!
//! Summarising costs several times as much as looking for a word, so no search does it. A router does it in the
//! background after searches, on a thread of the lowest priority: where nobody searches, nothing is summarised.
//!
//! Only lines that no crash can take back are summarised: up to the position of the sink (`store.rs`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::blocks::{Block, Visitor};
use super::catalog::{Catalog, LogFile};
use super::job::{Job, Stop};
use super::line::Parser;
use super::saved::tail_of;
use super::summary::Group;
use crate::disk::DiskError;
use crate::file::records;
use crate::limits;

/// The lowest priority of a thread.
const NICENESS: i32 = 19;

/// Summarises what isn't yet, the newest files first, and removes the summaries of files that are gone. `position` is the
/// position record of the sink.
pub fn prepare(job: &mut Job, position: &Path) -> Result<(), Stop> {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for file in (0..job.files.len()).rev() {
        job.go_on()?;
        if job.files[file].is_ambiguous {
            continue;
        }
        bytes += summarise(job, file, position)?;
        if bytes > limits::SUMMARIES_BYTES {
            break;
        }
        kept.push(job.files[file].number);
    }
    kept.reverse();
    Ok(job.catalog.saved().keep_only(&kept)?)
}

/// Summarises the blocks of a file that are missing. Returns the size of its summaries.
fn summarise(job: &mut Job, file: usize, position: &Path) -> Result<u64, Stop> {
    let changes = job.files[file].changes;
    let blocks = job.blocks(file)?;
    let (number, is_compressed) = (job.files[file].number, job.is_compressed(file));
    let catalog = job.catalog.clone();
    let durable = if is_compressed { u64::MAX } else { durable_length(position, &job.files[file]) };
    let mut until = blocks.all.partition_point(|block| block.end <= durable);
    // Such a block may become longer.
    if !is_compressed && until == blocks.all.len() && blocks.all.last().is_some_and(Block::is_short) {
        until -= 1;
    }
    let known = blocks.summarised_len();
    let ends = |group| catalog.saved().head(number, group).is_some_and(|(head, _)| head.is_last);
    let is_done = known >= until && (!is_compressed || blocks.groups().checked_sub(1).is_some_and(ends));
    if until < limits::SUMMARY_MIN_BLOCKS || is_done {
        return Ok(catalog.saved().size(number, blocks.groups()));
    }
    // The last group is replaced if it isn't full, or to say that it is the last one.
    let known = known.min(until - 1);
    let begin = known - known % limits::SUMMARY_BLOCKS;
    let full = until - until % limits::SUMMARY_BLOCKS;
    if !is_compressed && !is_worth_it(&job.files[file], known.max(full) - full, until - full) {
        until = full;
    }
    if begin < until {
        let mut building = Building {
            catalog: &catalog,
            file: number,
            changes,
            at: begin,
            until,
            is_compressed,
            group: Group::default(),
            failed: None,
        };
        job.read(file, &blocks, begin..until, &mut building)?;
        if let Some(error) = building.failed {
            return Err(error.into());
        }
        job.reload(file)?;
    }
    Ok(catalog.saved().size(number, until.div_ceil(limits::SUMMARY_BLOCKS)))
}

/// Whether to replace a group that is not full. While the file grows, only now and then.
fn is_worth_it(file: &LogFile, known: usize, now: usize) -> bool {
    let changed = fs::metadata(&file.path).and_then(|found| found.modified());
    let age = changed.ok().and_then(|changed| changed.elapsed().ok());
    age.is_none_or(|age| age >= limits::SUMMARY_INTERVAL) || now.saturating_sub(known) * 4 >= known
}

/// The length to which a file will never be cut off again. What the position doesn't list was not written since.
fn durable_length(position: &Path, file: &LogFile) -> u64 {
    let Some(record) = records::read(position).ok().flatten() else { return 0 };
    if record.files.values().any(|listed| listed.rotated.contains(&file.path)) {
        return 0;
    }
    match record.files.get(&file.path) {
        Some(listed) if listed.rotated.is_empty() => listed.length,
        Some(_) => 0,
        None => u64::MAX,
    }
}

/// Writes a group once it is full.
struct Building<'c> {
    catalog: &'c Catalog,
    file: u64,
    /// Nothing is written if files were rewritten since.
    changes: u64,
    /// The number of the next block.
    at: usize,
    until: usize,
    is_compressed: bool,
    group: Group,
    failed: Option<DiskError>,
}

impl Visitor for Building<'_> {
    fn wants(&self, _block: &Block) -> bool {
        true
    }

    fn visit(&mut self, block: &Block, bytes: &[u8], parser: &mut Parser) -> bool {
        self.group.add(block, bytes, parser);
        let number = self.at / limits::SUMMARY_BLOCKS;
        self.at += 1;
        let is_last = self.at == self.until;
        if self.group.len() < limits::SUMMARY_BLOCKS && !is_last {
            return true;
        }
        if let Some(content) = self.group.finish(self.file, tail_of(bytes), is_last && self.is_compressed) {
            let write = || self.catalog.saved().write(self.file, number, &content);
            match self.catalog.rewrites().unless_since(self.changes, write) {
                Some(written) => self.failed = written.err(),
                None => return false,
            }
        }
        self.failed.is_none()
    }
}

/// The thread. Dropping this ends it, in the middle of a file if necessary.
pub struct Background {
    /// `None` while it ends.
    wake: Option<SyncSender<()>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    pub fn start(sink: &str, catalog: Arc<Catalog>, position: PathBuf) -> io::Result<Background> {
        let (wake, woken) = sync_channel(1);
        let ending = Arc::new(AtomicBool::new(false));
        let (sink, is_ending) = (sink.to_owned(), ending.clone());
        let thread = thread::Builder::new()
            .name(format!("search-{sink}"))
            .spawn(move || run(&sink, &catalog, &position, &woken, &is_ending))?;
        Ok(Background { wake: Some(wake), ending, thread: Some(thread) })
    }

    /// Call this after a search.
    pub fn wake(&self) {
        // If the channel is full, the thread will wake anyway.
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there was already logged.
            let _ = thread.join();
        }
    }
}

fn run(sink: &str, catalog: &Arc<Catalog>, position: &Path, woken: &Receiver<()>, ending: &Arc<AtomicBool>) {
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(sink, "files are summarised at normal priority: {error}");
    }
    while woken.recv().is_ok() {
        let begun = Instant::now();
        match Job::start(catalog.clone(), ending.clone()).and_then(|mut job| prepare(&mut job, position)) {
            Ok(()) => tracing::debug!(sink, "files are summarised for searches, after {:?}", begun.elapsed()),
            Err(Stop::Cancelled) => return,
            Err(error) => tracing::warn!(sink, "searches stay slower than they could be: {error}"),
        }
        let begun = Instant::now();
        while let Some(left) = limits::SUMMARY_INTERVAL.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
            if ending.load(Ordering::Relaxed) {
                return;
            }
            thread::park_timeout(left);
        }
    }
}
