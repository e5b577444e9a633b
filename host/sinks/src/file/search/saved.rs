//! The summaries of a sink's files: `search/SINK/` in the data folder, one file per group of blocks.
//!
//! - **They are never trusted blindly.** A group belongs to a file if it has the file's number, follows the group before
//!   it, and if the last bytes of its last block are those in the file. Everything in it has a checksum. In doubt it counts
//!   as absent, so its blocks are read.
//! - They contain nothing that is not in the files. Deleting them at any time costs speed only.
//! - A group is replaced as a whole, so a reader in another process sees the old one or the new one.
//! - Only times stay in memory. Filters and counts are read when a query needs them, and cached by the operating system.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use weir_query::whole_words::Words;

use super::blocks::{Block, Blocks, Source};
use super::catalog::hash;
use super::summary::{self, Head, Rows};
use super::words::{LINE_BYTES, bits, has_bits, hash_of, line_of};
use crate::disk::{Disk, DiskError};
use crate::limits;

/// Bytes at the end of a group that identify its content.
const TAIL_BYTES: usize = 1024;

/// The folder with the summaries of a sink.
pub struct Saved {
    folder: PathBuf,
    disk: Disk,
}

impl Saved {
    /// Touches nothing.
    pub fn new(folder: PathBuf) -> Saved {
        Saved { folder, disk: Disk::default() }
    }

    fn path(&self, file: u64, group: usize) -> PathBuf {
        self.folder.join(format!("{file:016x}-{group}"))
    }

    /// The blocks of a file, as far as they are summarised.
    pub fn blocks(&self, file: u64, source: &Source) -> io::Result<Blocks> {
        let (mut all, mut groups): (Vec<Block>, Vec<Rows>) = (Vec::new(), Vec::new());
        let mut is_complete = false;
        while let Some((head, rows)) = self.head(file, groups.len()) {
            let known = all.len();
            let mut start = all.last().map_or(0, |last| last.end);
            if head.start != start {
                break;
            }
            for block in &head.blocks {
                all.push(Block { start, end: block.end, oldest: block.oldest, newest: block.newest });
                start = block.end;
            }
            if !source.is_compressed && tail(source, all.last())? != Some(head.tail) {
                all.truncate(known);
                break;
            }
            groups.push(rows);
            is_complete = head.is_last;
            if head.blocks.len() < limits::SUMMARY_BLOCKS {
                break;
            }
        }
        Ok(Blocks::summarised(all, groups, is_complete && source.is_compressed))
    }

    /// A group without its filters. `None` if there is none, or it is damaged.
    pub fn head(&self, file: u64, group: usize) -> Option<(Head, Rows)> {
        let open = File::open(self.path(file, group)).ok()?;
        let mut begin = [0; 16];
        open.read_exact_at(&mut begin, 0).ok()?;
        let mut head = vec![0; summary::head_length(&begin)?];
        open.read_exact_at(&mut head, begin.len() as u64).ok()?;
        summary::decode(&begin, &head).filter(|(head, _)| head.file == file)
    }

    /// The blocks of a group that can contain these words, from the lowest bit.
    pub fn with_words(&self, file: u64, group: usize, rows: &Rows, words: &Words) -> u128 {
        let Ok(open) = File::open(self.path(file, group)) else { return rows.all() };
        let mut row = Vec::new();
        let mut with_word = |word: &str| {
            let hash = hash_of(word);
            let line = line_of(hash, rows.lines());
            let (at, length) = rows.place(line);
            row.resize(length, 0);
            let Some(lines) = open.read_exact_at(&mut row, at).ok().and_then(|()| rows.open(line, &row)) else {
                return rows.all();
            };
            let bits = bits(hash);
            let found = lines.chunks_exact(LINE_BYTES).rev();
            found.fold(0, |found, line| found << 1 | u128::from(has_bits(line, &bits)))
        };
        with_words(words, rows.all(), &mut with_word) | rows.unclear
    }

    pub fn write(&self, file: u64, group: usize, content: &[u8]) -> Result<(), DiskError> {
        self.disk.replace(&self.path(file, group), content)
    }

    /// The size of a file's summaries in bytes.
    pub fn size(&self, file: u64, groups: usize) -> u64 {
        let size = |group| fs::metadata(self.path(file, group)).map_or(0, |found| found.len());
        (0..groups).map(size).sum()
    }

    /// Removes the summaries of all files but these, which are sorted.
    pub fn keep_only(&self, files: &[u64]) -> Result<(), DiskError> {
        let failed = |error| DiskError::new("read", &self.folder, error);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.split('-').next());
            let number = number.and_then(|number| u64::from_str_radix(number, 16).ok());
            // A name that is no number is not ours.
            if number.is_some_and(|number| files.binary_search(&number).is_err()) {
                self.disk.remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// A hash of the last bytes of a block.
pub fn tail_of(block: &[u8]) -> u64 {
    hash(&block[block.len().saturating_sub(TAIL_BYTES)..])
}

/// The same from the file. `None` if it is shorter.
fn tail(source: &Source, block: Option<&Block>) -> io::Result<Option<u64>> {
    let Some(block) = block else { return Ok(None) };
    let length = usize::try_from(block.end - block.start).unwrap_or(TAIL_BYTES).min(TAIL_BYTES);
    let mut bytes = vec![0; length];
    match source.file.read_exact_at(&mut bytes, block.end - length as u64) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        read => read.map(|()| Some(tail_of(&bytes))),
    }
}

fn with_words(words: &Words, all: u128, with_word: &mut impl FnMut(&str) -> u128) -> u128 {
    match words {
        Words::One(word) => with_word(word),
        Words::All(several) => several.iter().fold(all, |found, words| match found {
            0 => 0,
            found => found & with_words(words, all, with_word),
        }),
        Words::Any(several) => several.iter().fold(0, |found, words| found | with_words(words, all, with_word)),
    }
}
