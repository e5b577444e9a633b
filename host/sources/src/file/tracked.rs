//! One file that is read: where it is, how far it was read, and whether there is something to do for it.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::content::Compression;
use super::options::Settings;
use super::order::log_of;
use super::seen::{Mark, Seen};
use super::stored::{Inode, Stored};
use crate::limits;

/// What changes when a file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Look {
    /// When it was last written, in nanoseconds since 1970.
    pub modified_ns: i128,
    pub size: u64,
}

impl Look {
    pub fn of(metadata: &Metadata) -> Look {
        let modified_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Look { modified_ns, size: metadata.len() }
    }
}

impl Inode {
    pub fn of(metadata: &Metadata) -> Inode {
        Inode { device: metadata.dev(), number: metadata.ino() }
    }
}

/// Whether a file is still where the globs find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Here,
    /// Renamed or deleted at that time, but still open: it is read to its end.
    Leaving(Instant),
    /// Since so many seconds after 1970. Its content may come back, compressed or as a copy.
    Gone(u64),
}

/// What is left at the end of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pending {
    #[default]
    Nothing,
    /// A line without an end.
    Line,
    /// Lines that may be continued.
    Record,
}

/// A file with a position.
#[derive(Debug)]
pub(super) struct Tracked {
    path: PathBuf,
    /// The log of which it is a generation.
    log: PathBuf,
    pub inode: Inode,
    pub compression: Option<Compression>,
    pub presence: Presence,
    /// The position.
    pub mark: Mark,
    /// What is before the position. `None`: that was not compared with the file yet, or it is gone.
    pub seen: Option<Seen>,
    /// Pieces read of the line at the position.
    pub piece: u32,
    /// The size of a compressed file that was read to its end; otherwise 0.
    pub whole_size: u64,
    pub file: Option<File>,
    /// How it looked last, and since when.
    pub look: Look,
    pub changed: Instant,
    /// How it looked when it was last read to its end.
    pub read: Option<Look>,
    pub pending: Pending,
    /// It is compressed and may end before the position, though all of it was read: rotation copied the original before
    /// its last lines were written.
    pub may_lack_end: bool,
    /// A compressed file that begins with what was read of this one, but doesn't go on with it.
    pub unlike: Option<Inode>,
    /// Zeros known to be after the position.
    pub zeros: u64,
    /// It can't be read at the moment.
    pub is_failing: bool,
    /// No scan has put it in order yet.
    pub is_new: bool,
    /// The files of its log from the oldest on, and how many of the first are still to be read before this one. `None`:
    /// it waits for none.
    pub after: Option<(Arc<[Inode]>, usize)>,
    /// The last scan that found it.
    pub found_in: u64,
}

impl Tracked {
    /// A file of which nothing was read yet.
    pub fn new(path: PathBuf, inode: Inode, look: Look, now: Instant) -> Tracked {
        Tracked {
            compression: Compression::of(&path),
            log: log_of(&path),
            path,
            inode,
            presence: Presence::Here,
            mark: Seen::default().mark(),
            seen: Some(Seen::default()),
            piece: 0,
            whole_size: 0,
            may_lack_end: false,
            unlike: None,
            file: None,
            look,
            changed: now,
            read: None,
            pending: Pending::Nothing,
            zeros: 0,
            is_failing: false,
            is_new: true,
            after: None,
            found_in: 0,
        }
    }

    /// A file that an earlier run has read.
    pub fn restored(stored: Stored, now: Instant) -> Tracked {
        let presence = if stored.gone_s == 0 { Presence::Here } else { Presence::Gone(stored.gone_s) };
        Tracked {
            compression: stored.compression,
            mark: stored.mark,
            seen: None,
            piece: stored.piece,
            presence,
            whole_size: stored.whole_size,
            is_new: false,
            ..Tracked::new(stored.path, stored.inode, Look::default(), now)
        }
    }

    pub fn stored(&self) -> Stored {
        let gone_s = if let Presence::Gone(since) = self.presence { since } else { 0 };
        Stored {
            mark: self.mark,
            piece: self.piece,
            inode: self.inode,
            gone_s,
            whole_size: self.whole_size,
            compression: self.compression,
            path: self.path.clone(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log of which it is a generation.
    pub fn log(&self) -> &Path {
        &self.log
    }

    pub fn renamed(&mut self, path: PathBuf) {
        self.log = log_of(&path);
        self.path = path;
    }

    pub fn is_gone(&self) -> bool {
        matches!(self.presence, Presence::Gone(_))
    }

    /// Notes how it looks now.
    pub fn looks(&mut self, look: Look, now: Instant) {
        if self.look != look {
            self.look = look;
            self.changed = now;
        }
    }

    /// Bytes that were not read yet; of a compressed file, all or none.
    pub fn behind(&self) -> u64 {
        match self.compression {
            _ if self.is_gone() => 0,
            None => self.look.size.saturating_sub(self.mark.offset),
            Some(_) if self.whole_size == self.look.size => 0,
            Some(_) => self.look.size,
        }
    }

    /// Whether everything was read, as far as it can be.
    pub fn is_caught_up(&self) -> bool {
        match self.compression {
            _ if self.is_failing => true,
            None => self.read == Some(self.look) && self.pending != Pending::Record,
            Some(_) => self.whole_size == self.look.size || self.read == Some(self.look),
        }
    }

    fn is_quiet(&self, for_time: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.changed) >= for_time
    }

    /// Whether the time has come that lines without an end, or without a continuation, are read as they are.
    pub fn ends(&self, settings: &Settings, is_final: bool, now: Instant) -> super::grouping::Ends {
        let line = is_final || self.is_quiet(settings.partial_line, now);
        let timeout = match (&settings.grouping, settings.engine) {
            (Some(grouping), _) => grouping.timeout,
            (None, Some(_)) => limits::CONTAINER_PART,
            (None, None) => Duration::ZERO,
        };
        super::grouping::Ends { line, record: line || self.is_quiet(timeout, now) }
    }

    /// Whether it left long enough ago that nobody writes to it any more.
    pub fn has_left(&self, after: Duration, now: Instant) -> bool {
        matches!(self.presence, Presence::Leaving(since) if now.saturating_duration_since(since) >= after)
            && self.is_quiet(after, now)
    }

    /// Whether there is something to read.
    pub fn is_due(&self, settings: &Settings, now: Instant) -> bool {
        if self.is_gone() || self.is_new || self.is_failing || (self.compression.is_none() && self.seen.is_none()) {
            return false;
        }
        match self.compression {
            Some(_) => self.whole_size != self.look.size && self.read != Some(self.look),
            None if self.read != Some(self.look) => true,
            None => match (self.pending, self.ends(settings, false, now)) {
                (Pending::Nothing, _) => false,
                (Pending::Line, ends) => ends.line,
                (Pending::Record, ends) => ends.record,
            },
        }
    }
}
