//! What opening a journal tells: what was found, what a crash left behind, what is damaged and what to do about it.

use std::fmt;

/// Stored bytes that are not what was written, and that no crash explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The folder.
    pub place: String,
    /// The file.
    pub segment: String,
    /// Where in it.
    pub offset: u64,
    /// The first sequence that can't be read.
    pub first_lost: u64,
    /// The last sequence that can't be read, when something after it is readable.
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
            "; put the file back from a backup, or run `weir journal salvage`, which keeps every whole frame and \
             renames the damaged file to `{segment}.damaged`"
        )
    }
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments kept.
    pub segments: usize,
    /// Frames in them.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Sequence of the newest frame, 0 for a new journal.
    pub last_sequence: u64,
    /// What a crash left half written and was cut off.
    pub torn: Option<TornTail>,
    /// Damaged files that were set aside.
    pub set_aside: Vec<SetAside>,
}

impl Recovery {
    /// What opening had to mend, in words; nothing when all was whole.
    pub fn summary(&self) -> Option<String> {
        let mut found = Vec::new();
        if let Some(torn) = &self.torn {
            found.push(format!(
                "`{}` was cut at byte {}: {} bytes were half written when weir last stopped, and never acknowledged",
                torn.segment, torn.offset, torn.size_bytes
            ));
        }
        for aside in &self.set_aside {
            let Damage { segment, offset, reason, .. } = &aside.damage;
            found.push(format!(
                "`{segment}` is damaged at byte {offset} ({reason}): {} whole batches of it are kept, the file is now `{}`",
                aside.saved_frames, aside.kept_as
            ));
        }
        (!found.is_empty()).then(|| found.join("; "))
    }
}

/// The end of the last segment that was not completely written when a crash came. It was never acknowledged
/// (with `sync = "always"`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub segment: String,
    /// Where it was cut.
    pub offset: u64,
    /// How much went.
    pub size_bytes: u64,
}

/// A damaged file that was renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// What was wrong with it.
    pub damage: Damage,
    /// Its new name.
    pub kept_as: String,
    /// Frames of it that were whole and are kept.
    pub saved_frames: u64,
}
