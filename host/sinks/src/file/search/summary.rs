//! What is kept of the blocks of a file, so that most of them need not be read: their times, their numbers of records by
//! level and source, and the filters of their words.
//!
//! Blocks are summarised in groups, each in a file of its own, so that a file that grows never has much to write again:
//!
//! | bytes | content |
//! |---|---|
//! | 8 | [`MAGIC`], which names the version |
//! | 4 | length of the head |
//! | 4 | checksum of the head |
//! | | the [`Head`] as MessagePack |
//! | | the rows of the filters |
//!
//! A row consists of the same line of every block's filter and a checksum, so a look-up of a word in a whole group is one
//! read of a few KiB. Its checksum begins with that of the head and its number, so a row of another group is no row of
//! this one.

use serde::{Deserialize, Serialize};
use weir_record::{Level, Record};

use super::blocks::Block;
use super::line::{self, Parser, lines};
use super::words::{Collector, LINE_BYTES, LINES, Line, fold};
use crate::limits;

const MAGIC: &[u8; 8] = b"weirsum1";
const HEAD_AT: usize = 16;

/// Records of each level.
pub type Levels = [u32; Level::ALL.len()];

/// A block, summarised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub end: u64,
    pub oldest: i64,
    pub newest: i64,
    /// Its filter means nothing.
    pub is_unclear: bool,
    /// `None` if a level is not one of Weir's.
    pub levels: Option<Levels>,
    /// Records by the number of a source and of a level. `None` if there are too many sources.
    pub sources: Option<Vec<(u16, u8, u32)>>,
}

/// Everything about a group but its filters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the file.
    pub file: u64,
    /// Where the first block begins.
    pub start: u64,
    /// A hash of the last bytes of the last block.
    pub tail: u64,
    /// The file ends with this group, and never grows.
    pub is_last: bool,
    /// Lines of each filter.
    lines: u32,
    pub sources: Vec<String>,
    pub blocks: Vec<Summary>,
}

/// Where the filters of a group are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    blocks: usize,
    lines: usize,
    at: u64,
    checksum: u32,
    /// Blocks whose filters mean nothing, from the lowest bit.
    pub unclear: u128,
}

impl Rows {
    /// All of its blocks.
    pub fn all(&self) -> u128 {
        u128::MAX >> (u128::BITS as usize - self.blocks)
    }

    pub fn lines(&self) -> usize {
        self.lines
    }

    /// The place and length of a row.
    pub fn place(&self, line: usize) -> (u64, usize) {
        let length = self.blocks * LINE_BYTES + size_of::<u32>();
        (self.at + (line * length) as u64, length)
    }

    /// The lines of a row. `None` if it is damaged.
    pub fn open<'r>(&self, line: usize, row: &'r [u8]) -> Option<&'r [u8]> {
        let (lines, checksum) = row.split_last_chunk()?;
        (u32::from_le_bytes(*checksum) == row_checksum(self.checksum, line, lines)).then_some(lines)
    }
}

fn row_checksum(head: u32, line: usize, lines: &[u8]) -> u32 {
    crc32c::crc32c_append(head ^ line as u32, lines)
}

/// Length of the head at the beginning of a group, once its first bytes are known.
pub fn head_length(begin: &[u8; HEAD_AT]) -> Option<usize> {
    let rest = begin.strip_prefix(MAGIC)?;
    let length = u32::from_le_bytes(*rest.first_chunk()?) as usize;
    (length <= limits::SUMMARY_HEAD_BYTES).then_some(length)
}

/// Reads a head. `None` if it is damaged.
pub fn decode(begin: &[u8; HEAD_AT], head: &[u8]) -> Option<(Head, Rows)> {
    let checksum = u32::from_le_bytes(*begin.last_chunk()?);
    if crc32c::crc32c(head) != checksum {
        return None;
    }
    let read: Head = rmp_serde::from_slice(head).ok()?;
    let lines = read.lines as usize;
    let is_sound = (1..=limits::SUMMARY_BLOCKS).contains(&read.blocks.len())
        && lines.is_power_of_two()
        && read.blocks.iter().try_fold(read.start, |at, block| (block.end > at).then_some(block.end)).is_some();
    let unclear = read.blocks.iter().rev().fold(0, |bits, block| bits << 1 | u128::from(block.is_unclear));
    let rows = Rows { blocks: read.blocks.len(), lines, at: (HEAD_AT + head.len()) as u64, checksum, unclear };
    is_sound.then_some((read, rows))
}

/// Summarises one block after the other.
#[derive(Default)]
pub struct Group {
    start: u64,
    sources: Vec<String>,
    blocks: Vec<Summary>,
    filters: Vec<Line>,
    words: Collector,
}

impl Group {
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    pub fn add(&mut self, block: &Block, bytes: &[u8], parser: &mut Parser) {
        if self.blocks.is_empty() {
            self.start = block.start;
        }
        let begin = self.filters.len();
        self.filters.resize(begin + LINES, Line::default());
        let filter = self.filters[begin..].first_chunk_mut();
        let is_clear = filter.is_some_and(|filter| self.words.add(bytes, filter));
        let Block { end, oldest, newest, .. } = *block;
        let mut summary = Summary {
            end,
            oldest,
            newest,
            is_unclear: !is_clear,
            levels: Some(Levels::default()),
            sources: Some(vec![]),
        };
        for line in lines(bytes) {
            self.count(line, parser, &mut summary);
        }
        self.blocks.push(summary);
    }

    /// Counts a line, as a histogram does.
    fn count(&mut self, line: &[u8], parser: &mut Parser, summary: &mut Summary) {
        if parser.timestamp(line).is_none() {
            return;
        }
        let record;
        let (level, source) = match line::head(line) {
            Some(head) => (head.level, head.source),
            None => {
                let Some(parsed) = parser.record(line) else { return };
                record = Record::new(parsed);
                (record.level().as_str(), record.source())
            }
        };
        let Some(level) = Level::ALL.iter().position(|known| known.as_str() == level) else {
            (summary.levels, summary.sources) = (None, None);
            return;
        };
        if let Some(levels) = &mut summary.levels {
            levels[level] += 1;
        }
        let Some(counts) = &mut summary.sources else { return };
        let source = match self.sources.iter().position(|known| known == source) {
            Some(known) => known,
            None if self.sources.len() < limits::SUMMARY_SOURCES => {
                self.sources.push(source.to_owned());
                self.sources.len() - 1
            }
            None => {
                summary.sources = None;
                return;
            }
        };
        let key = (source as u16, level as u8);
        match counts.iter_mut().find(|(source, level, _)| (*source, *level) == key) {
            Some((.., count)) => *count += 1,
            None => counts.push((key.0, key.1, 1)),
        }
    }

    /// The content of the group's file. It is empty afterwards.
    pub fn finish(&mut self, file: u64, tail: u64, is_last: bool) -> Option<Vec<u8>> {
        let lines = fold(&mut self.filters, LINES);
        let blocks = std::mem::take(&mut self.blocks);
        let filters = std::mem::take(&mut self.filters);
        let sources = std::mem::take(&mut self.sources);
        let head = Head { file, start: self.start, tail, is_last, lines: lines as u32, sources, blocks };
        let encoded = rmp_serde::to_vec(&head).ok()?;
        let checksum = crc32c::crc32c(&encoded);
        let length = u32::try_from(encoded.len()).ok()?;
        let mut out = Vec::with_capacity(HEAD_AT + encoded.len() + filters.len() * LINE_BYTES + lines * 4);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&encoded);
        for line in 0..lines {
            let begin = out.len();
            for part in filters.iter().skip(line).step_by(lines).flatten() {
                out.extend_from_slice(&part.to_le_bytes());
            }
            let checksum = row_checksum(checksum, line, &out[begin..]);
            out.extend_from_slice(&checksum.to_le_bytes());
        }
        Some(out)
    }
}
