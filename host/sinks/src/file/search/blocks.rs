//! The blocks of a file: whole lines each, with the range of their times.
//!
//! A record may have any time, so only the lines tell whether a block can contain one of the newest records. They are
//! read once per file, at the speed of the disk, and remembered: a file only grows. What is remembered of a rotated file
//! also holds for the compressed one, since blocks are counted in bytes of lines. The first blocks may be summarised
//! (`saved.rs`); then not even their times are read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use memchr::memrchr;
use weir_record::time;

use super::line::{Parser, lines, timestamp_text};
use super::summary::Rows;
use crate::limits;

/// Whole lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub start: u64,
    pub end: u64,
    /// The times of its records. The oldest is the later one if there are none.
    pub oldest: i64,
    pub newest: i64,
}

/// What is known of a file.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    pub all: Vec<Block>,
    /// The groups of summarised blocks.
    groups: Vec<Rows>,
    /// How many blocks at the beginning are summarised.
    summarised: usize,
    /// How much of the file has been read.
    read: u64,
    /// All of a compressed file has been read.
    is_complete: bool,
}

/// An open file.
#[derive(Debug)]
pub struct Source {
    pub file: File,
    pub is_compressed: bool,
}

/// Takes blocks as they are read.
pub trait Visitor {
    /// Whether a block is needed.
    fn wants(&self, block: &Block) -> bool;
    /// Takes a block's bytes. False ends the reading.
    fn visit(&mut self, block: &Block, bytes: &[u8], parser: &mut Parser) -> bool;
}

/// What reading needs.
pub struct Reading<'r> {
    pub buffer: &'r mut Vec<u8>,
    pub parser: &'r mut Parser,
    pub go_on: &'r dyn Fn() -> bool,
}

impl Source {
    /// Reads the lines from some place on.
    pub fn reader(&self, from: u64) -> io::Result<Box<dyn Read + '_>> {
        let mut file = &self.file;
        if !self.is_compressed {
            file.seek(SeekFrom::Start(from))?;
            return Ok(Box::new(file));
        }
        file.seek(SeekFrom::Start(0))?;
        let mut reader = zstd::stream::read::Decoder::new(file)?;
        io::copy(&mut (&mut reader).take(from), &mut io::sink())?;
        Ok(Box::new(reader))
    }

    /// The line at an offset, without its end. `None` if no whole line begins there.
    pub fn line(&self, offset: u64) -> io::Result<Option<Vec<u8>>> {
        let reader = self.reader(offset.saturating_sub(1))?;
        let mut reader = BufReader::new(reader).take(1 + limits::FILE_LINE_BYTES as u64);
        let mut line = Vec::new();
        let mut next = || match reader.read_until(b'\n', &mut line) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            read => read.map(|_| (line.pop() == Some(b'\n')).then(|| std::mem::take(&mut line))),
        };
        match offset {
            0 => next(),
            // The end of the line before.
            _ if next()?.is_some_and(|before| before.is_empty()) => next(),
            _ => Ok(None),
        }
    }

    /// Reads blocks that follow each other. A file that was cut off meanwhile ends early.
    pub fn read(&self, blocks: &[Block], reading: &mut Reading<'_>, visitor: &mut dyn Visitor) -> io::Result<()> {
        let Some(first) = blocks.iter().position(|block| visitor.wants(block)) else { return Ok(()) };
        let end = blocks.iter().rposition(|block| visitor.wants(block)).map_or(first, |last| last + 1);
        let blocks = &blocks[first..end];
        let mut reader = if self.is_compressed { Some(self.reader(blocks[0].start)?) } else { None };
        for block in blocks {
            let is_wanted = visitor.wants(block);
            if !is_wanted && reader.is_none() {
                continue;
            }
            reading.buffer.resize(usize::try_from(block.end - block.start).unwrap_or_default(), 0);
            let outcome = match &mut reader {
                Some(reader) => reader.read_exact(reading.buffer),
                None => self.file.read_exact_at(reading.buffer, block.start),
            };
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                outcome => outcome?,
            }
            if !(reading.go_on)() || (is_wanted && !visitor.visit(block, reading.buffer, reading.parser)) {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Block {
    /// Whether it may become longer when lines are added to the file.
    pub fn is_short(&self) -> bool {
        self.end - self.start < limits::FILE_BLOCK_BYTES / 2
    }
}

impl Blocks {
    /// Blocks that are known from their summaries.
    pub fn summarised(all: Vec<Block>, groups: Vec<Rows>, is_complete: bool) -> Blocks {
        let (summarised, read) = (all.len(), all.last().map_or(0, |last| last.end));
        Blocks { all, groups, summarised, read, is_complete }
    }

    /// How many blocks at the beginning are summarised.
    pub fn summarised_len(&self) -> usize {
        self.summarised
    }

    /// The number of a block's group, its group, and its place in it. `None` if it is not summarised.
    pub fn group(&self, block: usize) -> Option<(usize, &Rows, usize)> {
        let group = block / limits::SUMMARY_BLOCKS;
        let rows = self.groups.get(group).filter(|_| block < self.summarised)?;
        Some((group, rows, block % limits::SUMMARY_BLOCKS))
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// All blocks, but only these have times, so no search reads the others.
    pub fn only(&self, is_kept: impl Fn(usize) -> bool) -> Blocks {
        let mut blocks = self.clone();
        for (at, block) in blocks.all.iter_mut().enumerate() {
            if !is_kept(at) {
                (block.oldest, block.newest) = (i64::MAX, i64::MIN);
            }
        }
        blocks
    }

    /// Whether nothing was added to the file since.
    pub fn are_current(&self, source: &Source) -> io::Result<bool> {
        Ok(if source.is_compressed { self.is_complete } else { self.read == source.file.metadata()?.len() })
    }

    /// Reads what is new in the file. False if `go_on` ended it; what was read is kept then.
    pub fn extend(&mut self, source: &Source, parser: &mut Parser, go_on: &dyn Fn() -> bool) -> io::Result<bool> {
        // After a crash, what the position doesn't cover is cut off.
        if !source.is_compressed && source.file.metadata()?.len() < self.read {
            *self = Blocks::default();
        }
        // The last block may have been shorter than the others.
        self.all.pop_if(|last| last.is_short());
        self.summarised = self.summarised.min(self.all.len());
        let mut start = self.all.last().map_or(0, |last| last.end);
        let mut reader = source.reader(start)?;
        let mut bytes = Vec::new();
        while go_on() {
            let got = reader.by_ref().take(limits::FILE_BLOCK_BYTES).read_to_end(&mut bytes)?;
            if got == 0 {
                self.read = start + bytes.len() as u64;
                self.is_complete = source.is_compressed;
                return Ok(true);
            }
            let end = match memrchr(b'\n', &bytes) {
                Some(last) => last + 1,
                // No record is that long.
                None if bytes.len() > limits::FILE_LINE_BYTES => bytes.len(),
                None => continue,
            };
            let (oldest, newest) = times(&bytes[..end], parser);
            self.all.push(Block { start, end: start + end as u64, oldest, newest });
            start += end as u64;
            self.read = start;
            bytes.drain(..end);
        }
        Ok(false)
    }

    /// The block with this place in the file.
    pub fn at(&self, offset: u64) -> Option<usize> {
        let at = self.all.partition_point(|block| block.end <= offset);
        (at < self.all.len()).then_some(at)
    }

    /// The blocks that are read at once: one, or all of a compressed file, which can only be read from its beginning.
    pub fn steps(&self, is_compressed: bool) -> Vec<Range<usize>> {
        let step = if is_compressed { self.all.len().max(1) } else { 1 };
        (0..self.all.len()).step_by(step).map(|at| at..at + step).collect()
    }
}

/// The oldest and newest time of lines. Times with the same number of digits sort as text, so few of them are parsed.
fn times(bytes: &[u8], parser: &mut Parser) -> (i64, i64) {
    let (mut oldest, mut newest) = (i64::MAX, i64::MIN);
    let (mut least, mut most): (&[u8], &[u8]) = (b"", b"");
    for line in lines(bytes) {
        match timestamp_text(line) {
            Some(text) if text.len() == least.len() && least <= text && text <= most => {}
            Some(text) if text.ends_with(b"Z") && time::parse_rfc3339(text).is_some() => {
                let at = time::parse_rfc3339(text).unwrap_or_default();
                if text.len() != least.len() {
                    (least, most) = (text, text);
                }
                (least, most) = (least.min(text), most.max(text));
                (oldest, newest) = (oldest.min(at), newest.max(at));
            }
            _ => {
                let Some(at) = parser.timestamp(line) else { continue };
                (oldest, newest) = (oldest.min(at), newest.max(at));
            }
        }
    }
    (oldest, newest)
}
