//! The newest matching records.
//!
//! Whatever has the newest time is read next: a file whose blocks are not known yet, or some of its blocks. When enough
//! records were found and all that is left is older, the search is over.

use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;
use std::sync::Arc;

use weir_query::Query;
use weir_query::search::{Hit, Place};
use weir_record::Record;

use super::blocks::{Block, Blocks, Visitor};
use super::catalog::id_of;
use super::job::{Job, Stop, Wanted};
use super::line::Parser;
use crate::limits;

/// Something to read, by its newest time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    newest: i64,
    file: usize,
    /// `None`: the file's blocks are not known yet.
    first_block: Option<usize>,
    last_block: usize,
}

/// Collects the newest.
struct Newest {
    wanted: Wanted,
    before: Option<Place>,
    limit: usize,
    file: u64,
    found: BTreeMap<Place, Vec<u8>>,
    lines: Vec<Range<usize>>,
}

pub fn newest(job: &mut Job, query: &Query, before: Option<Place>, limit: usize) -> Result<Vec<Hit>, Stop> {
    let mut wanted = Wanted::new(query);
    if let Some(before) = before {
        wanted.newest = wanted.newest.min(before.timestamp_ns);
    }
    if limit == 0 || wanted.is_impossible() {
        return Ok(Vec::new());
    }
    let mut newest = Newest { wanted, before, limit, file: 0, found: BTreeMap::new(), lines: Vec::new() };
    let mut queue: BinaryHeap<Next> = (0..job.files.len()).filter_map(|file| newest.next_file(job, file)).collect();
    let mut known: Vec<Arc<Blocks>> = vec![Arc::default(); job.files.len()];
    while let Some(next) = queue.pop() {
        if newest.last().is_some_and(|last| next.newest < last) {
            break;
        }
        match next.first_block {
            None => {
                let mut blocks = job.blocks(next.file)?;
                let is_compressed = job.is_compressed(next.file);
                if is_compressed {
                    blocks = job.candidates(next.file, &newest.wanted)?;
                }
                queue.extend(newest.steps(&blocks, is_compressed).into_iter().filter_map(|step| {
                    let newest = blocks.all[step.clone()].iter().filter(|block| newest.wants(block));
                    let newest = newest.map(|block| block.newest).max()?;
                    Some(Next { newest, file: next.file, first_block: Some(step.start), last_block: step.end })
                }));
                known[next.file] = blocks;
            }
            Some(first) => {
                newest.file = job.files[next.file].number;
                let blocks = known[next.file].clone();
                // Looked up as late as here, since most searches end early.
                let is_single = next.last_block == first + 1;
                if is_single && !job.may_have_words(next.file, &blocks, first, &newest.wanted) {
                    continue;
                }
                job.read(next.file, &blocks, first..next.last_block, &mut newest)?;
            }
        }
    }
    Ok(newest.found.into_iter().rev().map(|(place, record)| Hit { id: place.id, record }).collect())
}

impl Newest {
    fn next_file(&self, job: &Job, file: usize) -> Option<Next> {
        let range = job.files[file].range;
        let newest = range.map_or(i64::MAX, |(_, until)| until.saturating_sub(1));
        let overlaps = range.is_none_or(|range| self.wanted.overlaps_range(range));
        overlaps.then_some(Next { newest, file, first_block: None, last_block: 0 })
    }

    /// The blocks that are read at once: one, or of a compressed file, which is read from its beginning each time, the
    /// last few that are needed, and then the rest.
    fn steps(&self, blocks: &Blocks, is_compressed: bool) -> Vec<Range<usize>> {
        let all = 0..blocks.all.len();
        if !is_compressed {
            return blocks.steps(false);
        }
        let mut wanted = all.clone().rev().filter(|at| self.wants(&blocks.all[*at]));
        let rest = wanted.nth(limits::FILE_LAST_BLOCKS).map_or(0, |at| at + 1);
        [0..rest, rest..all.end].into_iter().filter(|step| !step.is_empty()).collect()
    }

    /// The time that a record must have to be among the newest, once there are enough.
    fn last(&self) -> Option<i64> {
        let (last, _) = self.found.first_key_value()?;
        (self.found.len() >= self.limit).then_some(last.timestamp_ns)
    }

    fn offer(&mut self, offset: u64, line: &[u8], parser: &mut Parser) {
        let Some(timestamp_ns) = parser.timestamp(line) else { return };
        let place = Place { timestamp_ns, id: id_of(self.file, offset) };
        let is_full = self.found.len() >= self.limit;
        if !self.wanted.has_time(timestamp_ns)
            || self.before.is_some_and(|before| place >= before)
            || (is_full && self.found.first_key_value().is_some_and(|(last, _)| place < *last))
        {
            return;
        }
        if let Some(record) = parser.record(line)
            && self.wanted.query.matches(Record::new(record))
        {
            self.found.insert(place, record.to_vec());
            if self.found.len() > self.limit {
                self.found.pop_first();
            }
        }
    }
}

impl Visitor for Newest {
    fn wants(&self, block: &Block) -> bool {
        self.wanted.overlaps(block) && self.last().is_none_or(|last| last <= block.newest)
    }

    fn visit(&mut self, block: &Block, bytes: &[u8], parser: &mut Parser) -> bool {
        let mut lines = std::mem::take(&mut self.lines);
        self.wanted.prefilter.lines(bytes, &mut lines);
        // The last ones are mostly the newest; once there are enough, the others are not parsed.
        for line in lines.iter().rev() {
            self.offer(block.start + line.start as u64, &bytes[line.clone()], parser);
        }
        self.lines = lines;
        true
    }
}
