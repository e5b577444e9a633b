//! Counts matching records over time.
//!
//! If nothing but level, source and time decide, no line is parsed in full, and the counts of summarised blocks are used:
//! only blocks that the edge of a bucket or of the query's range cuts are read. For that, the buckets must be known before,
//! so the range of the matches is determined first.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use weir_query::Query;
use weir_query::search::{By, Histogram};
use weir_record::{Level, Record};

use super::blocks::{Block, Blocks, Visitor};
use super::job::{Job, Stop, Wanted};
use super::line::{Head, Parser, head};
use super::summary::{self, Summary};
use crate::counts::{Asked, Counts};
use crate::limits;
use crate::rebuilt;

struct Counting {
    wanted: Wanted,
    by: By,
    /// Level and source are enough to tell whether a record matches.
    by_head: bool,
    counts: Counts,
    /// By level and source, as a line contains them: the number of its key, if it matches.
    heads: HashMap<Vec<u8>, Option<usize>>,
    lines: Vec<Range<usize>>,
}

/// The numbers of matches by the number of their key, and whether these are all records of the block.
type Matches = (Box<[(u32, u32)]>, bool);

/// A block whose matches are known.
struct Known {
    file: usize,
    at: usize,
    oldest: i64,
    newest: i64,
    /// All of its records match.
    is_all: bool,
    /// By the number of a key.
    counts: Box<[(u32, u32)]>,
}

pub fn histogram(job: &mut Job, query: &Query, by: By, buckets: usize) -> Result<Histogram, Stop> {
    let asked = Asked::new(query, buckets);
    let wanted = Wanted::new(query);
    if wanted.is_impossible() {
        return Ok(asked.empty());
    }
    let by_head = query.is_by_level_and_source();
    // Without a source in the query or as key, the counts of levels are enough.
    let by_level = by == By::Level && query.is_by_level();
    let (heads, lines) = (HashMap::new(), Vec::new());
    let mut counting = Counting { wanted, by, by_head, counts: Counts::default(), heads, lines };
    let mut known = Vec::new();
    for file in 0..job.files.len() {
        if job.files[file].range.is_some_and(|range| !counting.wanted.overlaps_range(range)) {
            continue;
        }
        let mut blocks = job.candidates(file, &counting.wanted)?;
        if by_head {
            blocks = counting.take_known(job, file, &blocks, by_level, &mut known)?;
        }
        job.read(file, &blocks, 0..blocks.all.len(), &mut counting)?;
    }
    counting.add_known(job, known, &asked)?;
    Ok(counting.counts.histogram(&asked))
}

impl Counting {
    /// Takes the blocks whose matches are known. Returns the others.
    fn take_known(
        &mut self,
        job: &Job,
        file: usize,
        blocks: &Arc<Blocks>,
        by_level: bool,
        known: &mut Vec<Known>,
    ) -> Result<Arc<Blocks>, Stop> {
        let mut is_known = vec![false; blocks.all.len()];
        for group in 0..blocks.groups() {
            job.go_on()?;
            let begin = group * limits::SUMMARY_BLOCKS;
            let Some((head, _)) = job.catalog.saved().head(job.files[file].number, group) else { continue };
            let mut keys = HashMap::new();
            for (at, summary) in (begin..blocks.summarised_len()).zip(&head.blocks) {
                let block = &blocks.all[at];
                let is_same =
                    block.end == summary.end && (block.oldest, block.newest) == (summary.oldest, summary.newest);
                if !is_same || !self.wanted.has_time(block.oldest) || !self.wanted.has_time(block.newest) {
                    continue;
                }
                if let Some((counts, is_all)) = self.matches(summary, &head, by_level, &mut keys) {
                    is_known[at] = true;
                    if !counts.is_empty() {
                        let Block { oldest, newest, .. } = *block;
                        known.push(Known { file, at, oldest, newest, is_all, counts });
                    }
                }
            }
        }
        Ok(Arc::new(blocks.only(|at| !is_known[at])))
    }

    /// The matches of a block. `None` if it must be read. `keys` remembers the keys of the block's group.
    fn matches(
        &mut self,
        block: &Summary,
        group: &summary::Head,
        by_level: bool,
        keys: &mut HashMap<(u16, u8), Option<u32>>,
    ) -> Option<Matches> {
        let (mut found, mut is_all) = (Vec::new(), true);
        let levels: Vec<(u16, u8, u32)>;
        let parts = if by_level {
            levels = (0..).zip(block.levels?).map(|(level, count)| (0, level, count)).collect();
            &levels
        } else {
            block.sources.as_ref()?
        };
        for (source, level, count) in parts.iter().copied().filter(|(.., count)| *count > 0) {
            let key = match keys.get(&(source, level)) {
                Some(known) => *known,
                None => {
                    let name = if by_level { "" } else { group.sources.get(usize::from(source))? };
                    let key = self.key(block.oldest, Level::ALL.get(usize::from(level))?.as_str(), name);
                    let key = key.and_then(|key| u32::try_from(key).ok());
                    keys.insert((source, level), key);
                    key
                }
            };
            match key {
                Some(key) => found.push((key, count)),
                None => is_all = false,
            }
        }
        Some((found.into(), is_all))
    }

    /// The number of the key of a record, if it matches.
    fn key(&mut self, at: i64, level: &str, source: &str) -> Option<usize> {
        let head = rebuilt::record(at, level, source, "", "{}")?;
        let is_match = self.wanted.query.matches(Record::new(&head));
        is_match.then(|| self.counts.key(if self.by == By::Level { level } else { source }))
    }

    /// Adds the blocks whose matches are known, and reads those of them that are in several buckets.
    fn add_known(&mut self, job: &mut Job, mut known: Vec<Known>, asked: &Asked) -> Result<(), Stop> {
        if known.is_empty() {
            return Ok(());
        }
        known.sort_unstable_by_key(|block| Reverse(block.oldest));
        self.find_end(job, &mut known, |block, (oldest, _)| block.oldest < oldest)?;
        known.sort_unstable_by_key(|block| block.newest);
        self.find_end(job, &mut known, |block, (_, newest)| block.newest > newest)?;
        let buckets = self.counts.buckets(asked);
        let (inside, cut): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|block| buckets.of(block.oldest) == buckets.of(block.newest));
        for block in inside {
            for (key, count) in block.counts {
                self.counts.add_several(block.oldest, key as usize, count.into());
            }
        }
        self.read_known(job, cut)
    }

    /// Finds the first or the last match. The blocks are sorted, and the one with the farthest time is the last. Blocks
    /// that must be read for it are counted.
    fn find_end(
        &mut self,
        job: &mut Job,
        known: &mut Vec<Known>,
        is_beyond: impl Fn(&Known, (i64, i64)) -> bool,
    ) -> Result<(), Stop> {
        while let Some(block) = known.pop_if(|block| is_beyond(block, self.counts.range())) {
            if block.is_all {
                self.counts.cover(block.oldest, block.newest);
                known.push(block);
                break;
            }
            let file = block.file;
            let mut read = vec![block];
            // A compressed file is read only once.
            if job.is_compressed(file) {
                read.extend(known.extract_if(.., |block| block.file == file));
            }
            self.read_known(job, read)?;
        }
        Ok(())
    }

    fn read_known(&mut self, job: &mut Job, mut known: Vec<Known>) -> Result<(), Stop> {
        known.sort_unstable_by_key(|block| (block.file, block.at));
        for of_file in known.chunk_by(|one, next| one.file == next.file) {
            let file = of_file[0].file;
            let blocks = job.blocks(file)?;
            let blocks = blocks.only(|at| of_file.binary_search_by_key(&at, |block| block.at).is_ok());
            job.read(file, &blocks, 0..blocks.all.len(), self)?;
        }
        Ok(())
    }

    fn count(&mut self, line: &[u8], parser: &mut Parser) {
        let Some(at) = parser.timestamp(line).filter(|at| self.wanted.has_time(*at)) else { return };
        if self.by_head
            && let Some(Head { bytes, level, source }) = head(line)
        {
            let key = match self.heads.get(bytes) {
                Some(known) => *known,
                None => {
                    let key = self.key(at, level, source);
                    if self.heads.len() < limits::FILE_SEARCH_HEADS && bytes.len() <= limits::SEARCH_KEY_BYTES {
                        self.heads.insert(bytes.to_vec(), key);
                    }
                    key
                }
            };
            if let Some(key) = key {
                self.counts.add_several(at, key, 1);
            }
        } else if let Some(record) = parser.record(line).map(Record::new)
            && self.wanted.query.matches(record)
        {
            let level = record.level();
            self.counts.add(at, if self.by == By::Level { level.as_str() } else { record.source() });
        }
    }
}

impl Visitor for Counting {
    fn wants(&self, block: &Block) -> bool {
        self.wanted.overlaps(block)
    }

    fn visit(&mut self, _block: &Block, bytes: &[u8], parser: &mut Parser) -> bool {
        let mut lines = std::mem::take(&mut self.lines);
        self.wanted.prefilter.lines(bytes, &mut lines);
        for line in &lines {
            self.count(&bytes[line.clone()], parser);
        }
        self.lines = lines;
        true
    }
}
