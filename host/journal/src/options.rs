//! Options of a journal: the checked `[journal]` section of the configuration.

use crate::cipher::Keys;
use crate::error::OpenError;
use crate::limits;
use std::time::Duration;

/// When an append counts as done, and when readers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// After fdatasync, which all waiting appends share. Nothing acknowledged is ever lost.
    Always,
    /// After the write. fdatasync follows within this time, and readers see the append only then. A power cut loses at
    /// most this much of what was acknowledged; a crash of the process alone loses nothing.
    Every(Duration),
    /// After the write. The operating system decides when it reaches the disk (closed segments are synced).
    Off,
}

/// What happens when the disk budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Appends fail with [`AppendError::Full`](crate::AppendError) until the slowest reader moves on.
    Refuse,
    /// The oldest segment is removed; readers that had not read it count the lost records in
    /// [`Reader::skipped`](crate::Reader::skipped).
    DropOldest,
}

/// What happens if opening finds damage that no crash explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDamage {
    /// Refuse to open, changing nothing, with a report.
    Refuse,
    /// Rename damaged segments to `….damaged`, keep all their undamaged frames, and continue.
    SetAside,
}

/// Options of [`Journal::open`](crate::Journal::open).
#[derive(Debug, Clone)]
pub struct Options {
    /// See [`SyncMode`].
    pub sync: SyncMode,
    /// Disk budget for all segments.
    pub max_size_bytes: u64,
    /// How long segments are kept after every reader has passed them, as far as the budget allows.
    pub keep: Duration,
    /// Size at which a segment is closed.
    pub segment_bytes: u64,
    /// See [`WhenFull`].
    pub when_full: WhenFull,
    /// LZ4 compression for payloads that it makes smaller.
    pub compress: bool,
    /// Memory for recent entries, shared by all readers.
    pub recent_bytes: usize,
    /// See [`OnDamage`].
    pub on_damage: OnDamage,
    /// Encryption of the segments; by default, there is none.
    pub keys: Keys,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sync: SyncMode::Always,
            max_size_bytes: limits::DEFAULT_MAX_SIZE_BYTES,
            keep: Duration::ZERO,
            segment_bytes: limits::DEFAULT_SEGMENT_BYTES,
            when_full: WhenFull::Refuse,
            compress: false,
            recent_bytes: limits::DEFAULT_RECENT_BYTES,
            on_damage: OnDamage::Refuse,
            keys: Keys::default(),
        }
    }
}

impl Options {
    /// Checks that all options are in range; errors name the option as in the configuration.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let segment = limits::MIN_SEGMENT_BYTES..=limits::MAX_SEGMENT_BYTES;
        if !segment.contains(&self.segment_bytes) {
            return Err(OpenError::Option {
                option: "segment_size",
                reason: format!(
                    "{} bytes is out of range; use {} to {}",
                    self.segment_bytes,
                    segment.start(),
                    segment.end()
                ),
            });
        }
        if self.max_size_bytes < limits::MIN_SIZE_BYTES {
            return Err(OpenError::Option {
                option: "max_size",
                reason: format!("{} bytes is too small; use {} or more", self.max_size_bytes, limits::MIN_SIZE_BYTES),
            });
        }
        if self.sync == SyncMode::Every(Duration::ZERO) {
            return Err(OpenError::Option {
                option: "sync",
                reason: "the interval is zero; use \"always\"".to_string(),
            });
        }
        Ok(())
    }

    /// The size at which segments are closed: as configured, but at most a quarter of the budget.
    pub(crate) fn roll_bytes(&self) -> u64 {
        self.segment_bytes.min(self.max_size_bytes / limits::SEGMENTS_IN_BUDGET)
    }
}
