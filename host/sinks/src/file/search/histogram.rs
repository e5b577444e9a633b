//! Counts matching records over time. If only level (or only source) and time decide, no line is parsed in full.

use std::ops::Range;

use weir_query::Query;
use weir_query::search::{By, Histogram};
use weir_record::Record;

use super::blocks::{Block, Visitor};
use super::job::{Job, Stop, Wanted};
use super::line::{Parser, level_and_source};
use crate::counts::{Asked, Counts};
use crate::rebuilt;

struct Counting {
    wanted: Wanted,
    by: By,
    /// Level and source are enough to tell whether a record matches.
    by_head: bool,
    counts: Counts,
    lines: Vec<Range<usize>>,
}

pub fn histogram(job: &mut Job, query: &Query, by: By, buckets: usize) -> Result<Histogram, Stop> {
    let asked = Asked::new(query, buckets);
    let wanted = Wanted::new(query);
    if wanted.is_impossible() {
        return Ok(asked.empty());
    }
    let by_head = query.is_by_level() || query.is_by_source();
    let mut counting = Counting { wanted, by, by_head, counts: Counts::default(), lines: Vec::new() };
    for file in 0..job.files.len() {
        if job.files[file].range.is_some_and(|range| !counting.wanted.overlaps_range(range)) {
            continue;
        }
        let blocks = job.blocks(file)?;
        job.read(file, &blocks, 0..blocks.all.len(), &mut counting)?;
    }
    Ok(counting.counts.histogram(&asked))
}

impl Counting {
    fn count(&mut self, line: &[u8], parser: &mut Parser) {
        let Some(at) = parser.timestamp(line).filter(|at| self.wanted.has_time(*at)) else { return };
        if self.by_head
            && let Some((level, source)) = level_and_source(line)
        {
            let head = rebuilt::record(at, level, source, "", "{}");
            if head.is_some_and(|head| self.wanted.query.matches(Record::new(&head))) {
                self.counts.add(at, if self.by == By::Level { level } else { source });
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
