//! One record, and those next to it: in the order of ids, which is the order of the lines of a file, and then that of the
//! files' first records.

use std::collections::VecDeque;
use std::ops::Range;

use weir_query::search::Hit;
use weir_query::{EntryId, Query};
use weir_record::Record;

use super::blocks::{Block, Visitor};
use super::catalog::{id_of, place_of};
use super::job::{Job, Stop, Wanted};
use super::line::Parser;

/// The record with an id.
pub fn get(job: &mut Job, id: EntryId) -> Result<Option<Hit>, Stop> {
    let (number, offset) = place_of(id);
    let Ok(file) = job.files.binary_search_by_key(&number, |file| file.number) else { return Ok(None) };
    let line = job.line(file, offset)?;
    let record = line.and_then(|line| job.parser.record(&line).map(<[u8]>::to_vec));
    Ok(record.map(|record| Hit { id, record }))
}

/// The record and its neighbours that match, newest first.
pub fn around(job: &mut Job, query: &Query, id: EntryId, before: usize, after: usize) -> Result<Vec<Hit>, Stop> {
    let (number, _) = place_of(id);
    if job.files.binary_search_by_key(&number, |file| file.number).is_err() {
        return Err(Stop::Unknown(id));
    }
    let mut found = neighbours(job, query, id, after, Direction::Newer)?;
    found.reverse();
    found.extend(get(job, id)?);
    found.extend(neighbours(job, query, id, before, Direction::Older)?);
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Older,
    Newer,
}

/// The nearest matching records on one side, nearest first.
fn neighbours(job: &mut Job, query: &Query, id: EntryId, most: usize, direction: Direction) -> Result<Vec<Hit>, Stop> {
    let wanted = Wanted::new(query);
    let mut found = Vec::new();
    if most == 0 || wanted.is_impossible() {
        return Ok(found);
    }
    let mut side = Side { wanted, id, direction, most, file: 0, found: VecDeque::new(), lines: Vec::new() };
    let (number, offset) = place_of(id);
    let mut files: Vec<usize> = (0..job.files.len())
        .filter(|file| match direction {
            Direction::Older => job.files[*file].number <= number,
            Direction::Newer => job.files[*file].number >= number,
        })
        .filter(|file| job.files[*file].range.is_none_or(|range| side.wanted.overlaps_range(range)))
        .collect();
    if direction == Direction::Older {
        files.reverse();
    }
    for file in files {
        side.file = job.files[file].number;
        let blocks = job.candidates(file, &side.wanted)?;
        let mut steps = blocks.steps(job.is_compressed(file));
        if side.file == number {
            let at = blocks.at(offset).unwrap_or(blocks.all.len());
            steps.retain(|step| match direction {
                Direction::Older => step.start <= at,
                Direction::Newer => step.end > at,
            });
        }
        if direction == Direction::Older {
            steps.reverse();
        }
        for step in steps {
            job.read(file, &blocks, step, &mut side)?;
            match direction {
                Direction::Older => found.extend(side.found.drain(..).rev()),
                Direction::Newer => found.extend(side.found.drain(..)),
            }
            side.most = most - found.len();
            if side.most == 0 {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// Takes the matching lines on one side of a record: the last ones before it, or the first ones after it.
struct Side {
    wanted: Wanted,
    id: EntryId,
    direction: Direction,
    most: usize,
    file: u64,
    found: VecDeque<Hit>,
    lines: Vec<Range<usize>>,
}

impl Side {
    fn take(&mut self, id: EntryId, line: &[u8], parser: &mut Parser) {
        if let Some(record) = parser.record(line)
            && self.wanted.query.matches(Record::new(record))
        {
            self.found.push_back(Hit { id, record: record.to_vec() });
            if self.found.len() > self.most {
                self.found.pop_front();
            }
        }
    }
}

impl Visitor for Side {
    fn wants(&self, block: &Block) -> bool {
        self.wanted.overlaps(block)
    }

    fn visit(&mut self, block: &Block, bytes: &[u8], parser: &mut Parser) -> bool {
        let mut lines = std::mem::take(&mut self.lines);
        self.wanted.prefilter.lines(bytes, &mut lines);
        for line in &lines {
            let id = id_of(self.file, block.start + line.start as u64);
            match self.direction {
                Direction::Older if id < self.id => self.take(id, &bytes[line.clone()], parser),
                Direction::Newer if id > self.id && self.found.len() < self.most => {
                    self.take(id, &bytes[line.clone()], parser);
                }
                _ => {}
            }
        }
        self.lines = lines;
        self.direction == Direction::Older || self.found.len() < self.most
    }
}
