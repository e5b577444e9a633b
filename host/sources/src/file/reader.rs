//! Reads a file from its position on, one turn at a time.
//!
//! A turn makes records of what is complete and moves the position behind them. Nothing of a file stays in memory between
//! turns, except for the one compressed file that is being read: what was not complete is read again.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use weir_record::{Composer, SyntaxError};

use super::compose::{compose, compose_found};
use super::content::{Skip, Stream, open_inode};
use super::grouping::{Ends, next};
use super::options::Settings;
use super::seen::{Seen, fill_at};
use super::stored::Key;
use super::tracked::{Look, Pending, Tracked};
use crate::limits;

/// Bytes that a file gives in one turn, unless a record is longer.
const CHUNK: usize = 64 << 10;

/// Bytes of a compressed file that are skipped in one turn.
const SKIP: u64 = 8 << 20;

/// Zeros that are passed over in one turn.
const ZEROS: u64 = 64 << 20;

/// Collects the records of a delivery.
pub(super) struct Collector<'d, 'o> {
    pub composer: Composer<'d, 'o>,
    /// Bytes read for it.
    pub bytes: usize,
}

impl Collector<'_, '_> {
    fn is_full(&self) -> bool {
        self.composer.count() as usize >= limits::BATCH_RECORDS || self.bytes >= limits::BATCH_BYTES
    }
}

/// How a turn ended.
#[derive(Debug)]
pub(super) enum Turn {
    /// There is nothing more at the moment.
    End,
    /// There is more.
    More,
    /// The delivery is full.
    Full,
    /// What was read is not in the file any more: it was truncated or overwritten.
    Replaced,
    Failed(io::Error),
    /// The delivery can't be composed.
    Stopped(SyntaxError),
}

impl From<io::Error> for Turn {
    fn from(error: io::Error) -> Turn {
        Turn::Failed(error)
    }
}

/// Reads files.
pub(super) struct Reader {
    settings: Arc<Settings>,
    buffer: Vec<u8>,
    stream: Option<(Key, Stream)>,
}

impl Reader {
    pub fn new(settings: Arc<Settings>) -> Reader {
        Reader { settings, buffer: Vec::new(), stream: None }
    }

    /// Whether this compressed file is being read.
    pub fn streams(&self, key: Key) -> bool {
        self.stream.as_ref().is_some_and(|(streamed, _)| *streamed == key)
    }

    /// Stops reading a compressed file.
    pub fn close(&mut self, key: Key) {
        if self.streams(key) {
            self.stream = None;
        }
    }

    /// Reads a part of a file. `is_final`: nobody writes to it any more.
    pub fn turn(
        &mut self,
        key: Key,
        tracked: &mut Tracked,
        is_final: bool,
        now: Instant,
        to: &mut Collector<'_, '_>,
    ) -> Turn {
        let read = match tracked.compression {
            None => self.plain(tracked, is_final, now, to),
            Some(_) => self.compressed(key, tracked, to),
        };
        if let Some(seen) = &tracked.seen {
            tracked.mark = seen.mark();
        }
        read.unwrap_or_else(|turn| turn)
    }

    fn plain(
        &mut self,
        tracked: &mut Tracked,
        is_final: bool,
        now: Instant,
        to: &mut Collector<'_, '_>,
    ) -> Result<Turn, Turn> {
        let file = match tracked.file.take() {
            Some(file) => file,
            None => open_inode(tracked.path(), tracked.inode)?,
        };
        tracked.looks(Look::of(&file.metadata()?), now);
        let Some(mut seen) = tracked.seen.take() else {
            return Ok(Turn::End);
        };
        let turn = self.lines(&file, &mut seen, tracked, (is_final, now), to);
        tracked.seen = Some(seen);
        tracked.file = Some(file);
        turn
    }

    fn lines(
        &mut self,
        file: &File,
        seen: &mut Seen,
        tracked: &mut Tracked,
        (is_final, now): (bool, Instant),
        to: &mut Collector<'_, '_>,
    ) -> Result<Turn, Turn> {
        let mut want = CHUNK;
        loop {
            self.buffer.resize(self.most().max(CHUNK), 0);
            let read = fill_at(file, seen.offset(), &mut self.buffer[..want])?;
            // After that: if the file has been truncated before, what was read is not what follows.
            if !seen.is_in(file)? {
                return Ok(Turn::Replaced);
            }
            let is_at_end = read < want;
            // What was written since it was looked at is not quiet.
            let is_as_looked = seen.offset() + read as u64 <= tracked.look.size;
            if !is_at_end && tracked.piece == 0 && self.settings.encoding.zeros(&self.buffer[..read]) == read {
                return self.zeros(file, seen, tracked);
            }
            let ends = match is_at_end && is_as_looked {
                true => tracked.ends(&self.settings, is_final, now),
                false => Ends::default(),
            };
            let bytes = &self.buffer[..read];
            let is_start = seen.offset() == 0;
            let mut piece = tracked.piece;
            let (length, stop) = take(&self.settings, tracked.path(), &mut piece, (bytes, is_start, ends), to)?;
            tracked.piece = piece;
            seen.advance(&bytes[..length]);
            match stop {
                Stop::Full => return Ok(Turn::Full),
                Stop::Incomplete(_) if !is_at_end && length == 0 && want < self.buffer.len() => {
                    want = self.buffer.len();
                }
                Stop::Incomplete(_) if !is_at_end => return Ok(Turn::More),
                Stop::Incomplete(pending) => {
                    tracked.pending = pending;
                    tracked.read = is_as_looked.then_some(tracked.look);
                    return Ok(if is_as_looked { Turn::End } else { Turn::More });
                }
            }
        }
    }

    /// The bytes that are enough for any record.
    fn most(&self) -> usize {
        let grouped = self.settings.grouping.as_ref().map_or(0, |grouping| 2 * grouping.max_bytes);
        // Lines of a group that are empty in UTF-8 still have their ends.
        let open = self.settings.engine.map_or(0, |_| limits::OPEN_LINE_BYTES + self.settings.max_line);
        grouped
            + open
            + self.settings.grouping.as_ref().map_or(0, |grouping| 4 * grouping.max_lines)
            + self.settings.max_line
            + 8
    }

    /// Passes over zeros: a writer without O_APPEND leaves them when its file is truncated. They are no line, but if
    /// nothing follows them yet, they may be overwritten: the position stays before them.
    fn zeros(&mut self, file: &File, seen: &mut Seen, tracked: &mut Tracked) -> Result<Turn, Turn> {
        let mut zeros = tracked.zeros.max(CHUNK as u64);
        let until = zeros + ZEROS;
        while zeros < until {
            let read = fill_at(file, seen.offset() + zeros, &mut self.buffer[..CHUNK])?;
            let found = self.settings.encoding.zeros(&self.buffer[..read]);
            zeros += found as u64;
            if found + self.settings.encoding.unit() <= read {
                seen.advance_zeros(zeros);
                tracked.zeros = 0;
                return Ok(Turn::More);
            }
            if read < CHUNK {
                tracked.zeros = 0;
                tracked.pending = Pending::Nothing;
                tracked.read = Some(tracked.look);
                return Ok(Turn::End);
            }
        }
        // The rest in the next turn, which comes with the next poll: others are not held up.
        tracked.zeros = zeros;
        Ok(Turn::End)
    }

    fn compressed(&mut self, key: Key, tracked: &mut Tracked, to: &mut Collector<'_, '_>) -> Result<Turn, Turn> {
        let Some(compression) = tracked.compression else {
            return Ok(Turn::End);
        };
        if self.stream.as_ref().is_some_and(|(other, _)| *other != key) {
            // One after the other: each takes memory, and opening it again would mean decompressing it again.
            return Ok(Turn::More);
        }
        let mut stream = match self.stream.take() {
            Some((_, stream)) => stream,
            None => {
                tracked.seen = None;
                Stream::new(open_inode(tracked.path(), tracked.inode)?, compression)?
            }
        };
        let turn = self.decompressed(&mut stream, tracked, to);
        if matches!(turn, Ok(Turn::More | Turn::Full)) {
            self.stream = Some((key, stream));
        }
        turn
    }

    fn decompressed(
        &mut self,
        stream: &mut Stream,
        tracked: &mut Tracked,
        to: &mut Collector<'_, '_>,
    ) -> Result<Turn, Turn> {
        let mut seen = match tracked.seen.take() {
            Some(seen) => seen,
            None => match stream.skip_to(tracked.mark.offset, SKIP)? {
                Skip::More => return Ok(Turn::More),
                // All of it was read, as a part of the original.
                Skip::TooShort if tracked.may_lack_end => {
                    tracked.may_lack_end = false;
                    tracked.piece = 0;
                    stream.skipped.clone()
                }
                Skip::TooShort => return Ok(Turn::Replaced),
                Skip::Done if stream.skipped.mark() != tracked.mark => return Ok(Turn::Replaced),
                Skip::Done => stream.skipped.clone(),
            },
        };
        let mut want = CHUNK;
        let turn = loop {
            let error = stream.fill(want).err();
            let bytes = stream.ahead();
            let ends = Ends { line: stream.is_at_end, record: stream.is_at_end };
            let is_start = seen.offset() == 0;
            let mut piece = tracked.piece;
            let taken = take(&self.settings, tracked.path(), &mut piece, (bytes, is_start, ends), to);
            tracked.piece = piece;
            let (length, stop) = match taken {
                Ok(taken) => taken,
                Err(turn) => break Err(turn),
            };
            let is_short = bytes.len() < want;
            // Nobody overwrites zeros here.
            let zeros = if tracked.piece == 0 { self.settings.encoding.zeros(&bytes[length..]) } else { 0 };
            let length = length + zeros;
            seen.advance(&bytes[..length]);
            stream.consume(length);
            match (stop, error) {
                (Stop::Full, _) => break Ok(Turn::Full),
                (_, Some(error)) => break Err(Turn::Failed(error)),
                (_, None) if length == 0 && !is_short && want < self.most() => want = self.most(),
                (_, None) if !stream.is_at_end => break Ok(Turn::More),
                (_, None) => {
                    tracked.whole_size = tracked.look.size;
                    break Ok(Turn::End);
                }
            }
        };
        tracked.seen = Some(seen);
        turn
    }
}

/// Why no more records were taken.
enum Stop {
    Full,
    Incomplete(Pending),
}

/// Makes records of the bytes at the position. Returns how many bytes they take.
fn take(
    settings: &Settings,
    path: &Path,
    inside: &mut u32,
    (bytes, is_start, ends): (&[u8], bool, Ends),
    to: &mut Collector<'_, '_>,
) -> Result<(usize, Stop), Turn> {
    let encoding = settings.encoding;
    let file = settings.file_key.as_deref().map(|key| (key, path.as_os_str().as_bytes()));
    let rules = (encoding, settings.max_line, settings.grouping.as_ref());
    let mut at = if is_start && bytes.starts_with(encoding.mark()) { encoding.mark().len() } else { 0 };
    loop {
        if to.is_full() {
            return Ok((at, Stop::Full));
        }
        let rest = &bytes[at..];
        let zeros = if *inside == 0 { encoding.zeros(rest) } else { 0 };
        if zeros + encoding.unit() > rest.len() && !(ends.line && zeros < rest.len()) {
            let pending = if zeros < rest.len() { Pending::Line } else { Pending::Nothing };
            return Ok((at, Stop::Incomplete(pending)));
        }
        if zeros > 0 {
            at += zeros;
            continue;
        }
        if let Some(engine) = settings.engine.filter(|_| *inside == 0) {
            match engine.next(rest, settings.max_line, ends) {
                Some((_, 0)) => {}
                Some((found, length)) => {
                    for found in &found {
                        compose_found(&mut to.composer, file, found).map_err(Turn::Stopped)?;
                    }
                    at += length;
                    to.bytes += length;
                    continue;
                }
                None => {
                    let has_line = encoding.cut(rest, settings.max_line, false).is_some();
                    return Ok((at, Stop::Incomplete(if has_line { Pending::Record } else { Pending::Line })));
                }
            }
        }
        let Some(text) = next(rules, rest, *inside > 0, ends) else {
            let has_line = encoding.cut(rest, settings.max_line, false).is_some();
            let pending = if has_line { Pending::Record } else { Pending::Line };
            return Ok((at, Stop::Incomplete(pending)));
        };
        let piece = if text.is_piece || *inside > 0 { inside.saturating_add(1) } else { 0 };
        if !text.text.trim_ascii().is_empty() {
            compose(&mut to.composer, settings.format, file, &text.text, piece).map_err(Turn::Stopped)?;
        }
        *inside = if text.is_piece { piece } else { 0 };
        at += text.length;
        to.bytes += text.length;
    }
}
