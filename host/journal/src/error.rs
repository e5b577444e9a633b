//! What can go wrong, by what the caller was doing: opening, appending, reading.

use crate::report::{Damage, Lost};
use std::io;
use thiserror::Error;

/// Why a journal could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has the journal open.
    #[error("journal `{folder}` is in use by another process; stop it or choose another data folder")]
    Locked {
        /// The folder.
        folder: String,
    },
    /// Stored bytes are not what was written. Nothing was changed.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// What was acknowledged is missing at the end. Nothing was changed.
    #[error("{0}")]
    Lost(Lost),
    /// A segment was written by a newer version. Nothing was changed.
    #[error(
        "journal `{place}`: `{segment}` has format {version}, newer than this weir reads; run the newer weir again"
    )]
    Newer {
        /// The folder.
        place: String,
        /// The file.
        segment: String,
        /// Its format.
        version: u16,
    },
    /// The folder or a file in it can't be used.
    #[error("journal `{place}`: can't {action}: {source}")]
    Storage {
        /// The folder.
        place: String,
        /// What was tried, with the file's name.
        action: String,
        /// Why it failed.
        source: io::Error,
    },
    /// An option is out of its bounds.
    #[error("journal option `{option}`: {reason}")]
    Option {
        /// Its name as in the configuration.
        option: &'static str,
        /// What is wrong and what is allowed.
        reason: String,
    },
}

impl OpenError {
    /// True when [`OnDamage::SetAside`](crate::OnDamage) would get past it.
    pub fn is_damage(&self) -> bool {
        matches!(self, OpenError::Damaged(_) | OpenError::Lost(_))
    }
}

/// Why a payload was not taken, or is not known to be durable.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum AppendError {
    /// The disk budget, the disk, or the file descriptors for a next segment are used up.
    #[error("journal is full: {0}")]
    Full(String),
    /// More waits for the disk than the bounds allow.
    #[error("journal is busy: too much is waiting for the disk; try again")]
    Busy,
    /// A write or fsync failed before: what the disk holds is no longer known, so nothing is accepted.
    #[error("journal is stopped: {0}; restart after the disk is healthy")]
    Poisoned(String),
    /// Larger than [`MAX_PAYLOAD_BYTES`](crate::limits::MAX_PAYLOAD_BYTES) or the whole disk budget.
    #[error("batch of {size_bytes} bytes is larger than the journal takes ({max_bytes}); send smaller batches")]
    TooLarge {
        /// What was offered.
        size_bytes: u64,
        /// What is allowed.
        max_bytes: u64,
    },
    /// [`Journal::close`](crate::Journal::close) was called.
    #[error("journal is closed")]
    Closed,
}

impl AppendError {
    /// True when the same append may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, AppendError::Full(_) | AppendError::Busy)
    }
}

/// Why a reader could not be opened or could not read on.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A reader of that name exists already; drop it first.
    #[error("journal reader `{0}` is open already")]
    InUse(String),
    /// The name can't be stored.
    #[error("journal reader `{name}`: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The journal was closed and everything in it has been read.
    #[error("journal is closed")]
    Closed,
    /// A stored frame is not what was written.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// A segment can't be read.
    #[error("journal `{place}`: can't read `{segment}`: {source}")]
    Storage {
        /// The folder.
        place: String,
        /// The file.
        segment: String,
        /// Why it failed.
        source: io::Error,
    },
}
