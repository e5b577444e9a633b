//! The report on opening a journal: what was found, what a crash left behind, what is damaged and what to do about it.

use std::fmt;

/// Stored bytes that differ from what was written, and that no crash explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The folder.
    pub place: String,
    /// The file.
    pub segment: String,
    /// Offset in the file.
    pub offset: u64,
    /// The first sequence that can't be read.
    pub first_lost: u64,
    /// The last sequence that can't be read, if something after it can be.
    pub last_lost: Option<u64>,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { place, segment, offset, first_lost, reason, .. } = self;
        write!(f, "journal `{place}`: `{segment}` is damaged at byte {offset}: {reason}; ")?;
        match self.last_lost {
            Some(last) if last == *first_lost => write!(f, "frame {last} is lost")?,
            Some(last) => write!(f, "frames {first_lost} to {last} are lost")?,
            None => write!(f, "frame {first_lost} and perhaps later ones are lost")?,
        }
        write!(
            f,
            "; restore the file from a backup, or run `weir journal salvage`, which keeps every undamaged frame and \
             renames the damaged file to `{segment}.damaged`"
        )
    }
}

/// Acknowledged frames that are missing at the end of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The folder.
    pub place: String,
    /// The first missing frame.
    pub first: u64,
    /// The last frame that is known to have been there.
    pub last: u64,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lost { place, first, last } = self;
        write!(
            f,
            "journal `{place}` ends before frame {first}, but everything up to frame {last} was acknowledged: segments at \
             its end were cut, emptied or removed; restore them from a backup, or run `weir journal salvage`, which \
             continues without the missing frames"
        )
    }
}

/// What was found on opening.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments.
    pub segments: usize,
    /// Frames in them.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Sequence of the newest frame, 0 for a new journal.
    pub last_sequence: u64,
    /// The incomplete end that a crash left and that was cut off.
    pub torn: Option<TornTail>,
    /// Damaged files that were set aside.
    pub set_aside: Vec<SetAside>,
    /// The frames missing at the end, if the journal continues without them.
    pub lost: Option<Lost>,
}

impl Recovery {
    /// A description of what was repaired on opening; `None` if nothing was.
    pub fn summary(&self) -> Option<String> {
        let mut found = Vec::new();
        if let Some(torn) = &self.torn {
            found.push(format!(
                "`{}` was cut at byte {}: the last {} bytes are an incomplete batch. Usually this is an unfinished write of the \
                 last run, which was not acknowledged; if the file was damaged in another way, batches acknowledged in \
                 the second before are lost",
                torn.segment, torn.offset, torn.size_bytes
            ));
        }
        for aside in &self.set_aside {
            let Damage { segment, offset, reason, .. } = &aside.damage;
            found.push(format!(
                "`{segment}` is damaged at byte {offset} ({reason}): {} undamaged batches were kept, the file is now `{}`",
                aside.saved_frames, aside.kept_as
            ));
        }
        if let Some(Lost { first, last, .. }) = &self.lost {
            found.push(format!("frames {first} to {last}, which were acknowledged, are missing at the end"));
        }
        (!found.is_empty()).then(|| found.join("; "))
    }
}

/// The end of the last segment that was not completely written during a crash. With `sync = "always"` it contains
/// nothing that was acknowledged. Damage to acknowledged frames is distinguished from it by `cursors`, except for the
/// last second before the crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub segment: String,
    /// Where it was cut.
    pub offset: u64,
    /// Bytes that were cut off.
    pub size_bytes: u64,
}

/// A damaged file that was renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// What was wrong with it.
    pub damage: Damage,
    /// Its new name.
    pub kept_as: String,
    /// Undamaged frames that were kept.
    pub saved_frames: u64,
}
