//! A running search: the files that it sees, and what it has open.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weir_query::search::SearchError;
use weir_query::whole_words::Words;
use weir_query::{EntryId, Query};

use super::blocks::{Block, Blocks, Reading, Source, Visitor};
use super::catalog::{Catalog, LogFile};
use super::line::{Parser, Prefilter};
use crate::disk::DiskError;
use crate::limits;

/// Why a search ended early.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Nobody waits for it any more.
    #[error("the search was cancelled")]
    Cancelled,
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No file has this id.
    #[error(
        "it has no record {0}: here, ids are places in its files; those of the live stream and of databases are others"
    )]
    Unknown(EntryId),
}

impl Stop {
    pub fn error(&self, sink: &str) -> SearchError {
        let text = format!("sink `{sink}`: {self}");
        if matches!(self, Stop::Unknown(_)) { SearchError::Unsupported(text) } else { SearchError::Unavailable(text) }
    }
}

/// What is searched for.
pub struct Wanted {
    pub query: Query,
    pub prefilter: Prefilter,
    /// Words of every match.
    pub words: Option<Words>,
    /// The range of times, from the first, up to and including the second.
    pub oldest: i64,
    pub newest: i64,
}

impl Wanted {
    pub fn new(query: &Query) -> Wanted {
        let (oldest, until) = query.time_range();
        let newest = until.map_or(i64::MAX, |until| until.saturating_sub(1));
        // No time is before the first one.
        let oldest = if until == Some(i64::MIN) { i64::MAX } else { oldest };
        Wanted { query: query.clone(), prefilter: Prefilter::new(query), words: query.json_words(), oldest, newest }
    }

    /// Whether no time is in the range.
    pub fn is_impossible(&self) -> bool {
        self.oldest > self.newest || matches!(self.prefilter, Prefilter::None)
    }

    pub fn has_time(&self, at: i64) -> bool {
        (self.oldest..=self.newest).contains(&at)
    }

    /// Whether a range, from its first time up to but not including its second, can contain a match.
    pub fn overlaps_range(&self, (since, until): (i64, i64)) -> bool {
        since <= self.newest && self.oldest < until
    }

    /// Whether a block can contain a match.
    pub fn overlaps(&self, block: &Block) -> bool {
        // The range of a block without times is empty.
        block.oldest.max(self.oldest) <= block.newest.min(self.newest)
    }
}

/// A search. It sees the files that were there when it began.
pub struct Job {
    pub files: Vec<LogFile>,
    pub parser: Parser,
    pub catalog: Arc<Catalog>,
    cancelled: Arc<AtomicBool>,
    /// Files that are open, so that it doesn't matter if they are renamed or removed. `None`: it was removed before.
    open: HashMap<usize, Option<Source>>,
    /// The blocks of a file's group that can contain the words, from the lowest bit.
    with_words: HashMap<(usize, usize), u128>,
    buffer: Vec<u8>,
}

impl Job {
    pub fn start(catalog: Arc<Catalog>, cancelled: Arc<AtomicBool>) -> Result<Job, Stop> {
        let mut parser = Parser::default();
        let files = catalog.files(&mut parser)?;
        let (open, with_words) = (HashMap::new(), HashMap::new());
        Ok(Job { files, parser, catalog, cancelled, open, with_words, buffer: Vec::new() })
    }

    /// Fails once nobody waits for the search any more.
    pub fn go_on(&self) -> Result<(), Stop> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Stop::Cancelled) } else { Ok(()) }
    }

    fn open(&mut self, file: usize) -> Result<(), Stop> {
        if self.open.contains_key(&file) {
            return Ok(());
        }
        if self.open.len() >= limits::FILE_SEARCH_OPEN {
            self.open.clear();
        }
        let source = self.catalog.open(&self.files[file], &mut self.parser)?;
        self.open.insert(file, source);
        Ok(())
    }

    /// The blocks of a file up to its end. None if it was removed.
    pub fn blocks(&mut self, file: usize) -> Result<Arc<Blocks>, Stop> {
        self.open(file)?;
        let Some(Some(source)) = self.open.get(&file) else { return Ok(Arc::default()) };
        let failed = |error| DiskError::new("read", &self.files[file].path, error);
        let known = self.catalog.blocks(&self.files[file], source).map_err(failed)?;
        if known.are_current(source).map_err(failed)? {
            return Ok(known);
        }
        let mut blocks = Blocks::clone(&known);
        let go_on = || {
            #[cfg(test)]
            self.catalog.blocks_read.fetch_add(1, Ordering::Relaxed);
            !self.cancelled.load(Ordering::Relaxed)
        };
        let is_whole = blocks.extend(source, &mut self.parser, &go_on).map_err(failed)?;
        let blocks = Arc::new(blocks);
        self.catalog.remember(&self.files[file], blocks.clone());
        if is_whole { Ok(blocks) } else { Err(Stop::Cancelled) }
    }

    /// Reads the summaries of a file again, after some were added.
    pub fn reload(&mut self, file: usize) -> Result<(), Stop> {
        self.open(file)?;
        if let Some(Some(source)) = self.open.get(&file) {
            let reloaded = self.catalog.reload(&self.files[file], source);
            reloaded.map_err(|error| DiskError::new("read", &self.files[file].path, error))?;
        }
        Ok(())
    }

    /// Whether a block can contain the words of a query, as far as its summary tells. A job is for one query.
    pub fn may_have_words(&mut self, file: usize, blocks: &Blocks, block: usize, wanted: &Wanted) -> bool {
        let Some(words) = &wanted.words else { return true };
        let Some((group, rows, at)) = blocks.group(block) else { return true };
        let number = self.files[file].number;
        let found = self.with_words.entry((file, group));
        let found = found.or_insert_with(|| self.catalog.saved().with_words(number, group, rows, words));
        *found >> at & 1 == 1
    }

    /// The blocks of a file of which only those have times that can contain a match.
    pub fn candidates(&mut self, file: usize, wanted: &Wanted) -> Result<Arc<Blocks>, Stop> {
        let blocks = self.blocks(file)?;
        if wanted.words.is_none() || blocks.summarised_len() == 0 {
            return Ok(blocks);
        }
        let may_match: Vec<bool> = (0..blocks.all.len())
            .map(|at| wanted.overlaps(&blocks.all[at]) && self.may_have_words(file, &blocks, at, wanted))
            .collect();
        Ok(Arc::new(blocks.only(|at| may_match[at])))
    }

    /// The line at an offset, without its end. `None` if none begins there.
    pub fn line(&mut self, file: usize, offset: u64) -> Result<Option<Vec<u8>>, Stop> {
        self.open(file)?;
        let Some(Some(source)) = self.open.get(&file) else { return Ok(None) };
        source.line(offset).map_err(|error| DiskError::new("read", &self.files[file].path, error).into())
    }

    /// Reads some blocks of a file that follow each other.
    pub fn read(
        &mut self,
        file: usize,
        blocks: &Blocks,
        range: Range<usize>,
        visitor: &mut dyn Visitor,
    ) -> Result<(), Stop> {
        self.open(file)?;
        let Some(Some(source)) = self.open.get(&file) else { return Ok(()) };
        let go_on = || {
            #[cfg(test)]
            self.catalog.blocks_read.fetch_add(1, Ordering::Relaxed);
            !self.cancelled.load(Ordering::Relaxed)
        };
        let mut reading = Reading { buffer: &mut self.buffer, parser: &mut self.parser, go_on: &go_on };
        let outcome = source.read(&blocks.all[range], &mut reading, visitor);
        outcome.map_err(|error| DiskError::new("read", &self.files[file].path, error))?;
        self.go_on()
    }

    /// Whether a file is compressed, as it was opened.
    pub fn is_compressed(&self, file: usize) -> bool {
        let source = self.open.get(&file).and_then(Option::as_ref);
        source.map_or(self.files[file].is_compressed, |source| source.is_compressed)
    }
}
