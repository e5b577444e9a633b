//! Errors, one type for each activity of the caller: opening, appending, reading.

use crate::cipher::NoKey;
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
    /// Stored bytes differ from what was written. Nothing was changed.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// Acknowledged frames are missing at the end. Nothing was changed.
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
        /// Its format version.
        version: u16,
    },
    /// A segment is encrypted with a key that was not given. Nothing was changed.
    #[error("journal `{place}`: `{segment}` can't be read: {missing}")]
    Key {
        /// The folder.
        place: String,
        /// The file.
        segment: String,
        /// The key that is needed.
        missing: NoKey,
    },
    /// The folder or a file in it can't be used.
    #[error("journal `{place}`: can't {action}: {source}")]
    Storage {
        /// The folder.
        place: String,
        /// The operation that failed, with the file's name.
        action: String,
        /// The cause.
        source: io::Error,
    },
    /// An option is out of range.
    #[error("journal option `{option}`: {reason}")]
    Option {
        /// Its name as in the configuration.
        option: &'static str,
        /// What is wrong and what is allowed.
        reason: String,
    },
}

impl OpenError {
    /// True if [`OnDamage::SetAside`](crate::OnDamage) would get past the error.
    pub fn is_damage(&self) -> bool {
        matches!(self, OpenError::Damaged(_) | OpenError::Lost(_))
    }
}

/// Why a payload was not accepted, or is not known to be durable.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum AppendError {
    /// The disk budget or the disk is full, or no file descriptor is left for the next segment.
    #[error("journal is full: {0}")]
    Full(String),
    /// The queue for the disk is full.
    #[error("journal is busy: too many batches are waiting for the disk; try again")]
    Busy,
    /// An earlier write or fsync failed. The content of the disk is unknown, so nothing is accepted.
    #[error("journal is stopped: {0}; restart after the disk is healthy")]
    Poisoned(String),
    /// Larger than [`MAX_PAYLOAD_BYTES`](crate::limits::MAX_PAYLOAD_BYTES) or the whole disk budget.
    #[error("batch of {size_bytes} bytes is larger than the journal accepts ({max_bytes}); send smaller batches")]
    TooLarge {
        /// The payload's size.
        size_bytes: u64,
        /// The maximum.
        max_bytes: u64,
    },
    /// [`Journal::close`](crate::Journal::close) was called.
    #[error("journal is closed")]
    Closed,
}

impl AppendError {
    /// True if the same append may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, AppendError::Full(_) | AppendError::Busy)
    }
}

/// Why a reader could not be opened or could not continue.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A reader of that name is already open; drop it first.
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
    /// A stored frame differs from what was written.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// A segment can't be read.
    #[error("journal `{place}`: can't read `{segment}`: {source}")]
    Storage {
        /// The folder.
        place: String,
        /// The file.
        segment: String,
        /// The cause.
        source: io::Error,
    },
}
