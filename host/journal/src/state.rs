//! State shared by the writer and the readers: the segments, the recent entries, every reader's position.
//!
//! It is behind one mutex, locked once per group by the writer and once per call by a reader, never while a file is
//! read, written or synced. Invariants:
//! - everything in it is visible: as durable as the sync mode promises;
//! - `recent` is the end of the journal without a gap: a reader at `recent.after` or later needs no file;
//! - only the writer removes segments, and only from the front.

use crate::cursor::Stored;
use crate::ledger::{Held, Ledger};
use crate::options::Options;
use crate::reader::Entry;
use crate::segment::Segment;
use crate::stats::Meters;
use crate::storage::Storage;
use crate::writer::Queue;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Shared by the journal's handle, its writer and its readers.
pub(crate) struct Shared {
    pub storage: Arc<dyn Storage>,
    pub options: Options,
    pub queue: Queue,
    pub meters: Meters,
    /// Changes when new frames become visible or the journal is closed.
    pub news: watch::Sender<u64>,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(storage: Arc<dyn Storage>, options: Options, queue: Queue, state: State) -> Shared {
        Shared {
            storage,
            options,
            queue,
            meters: Meters::new(),
            news: watch::Sender::new(state.visible),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics halfway through a change of the state; if it did, continuing is better than stopping
        // everything.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader, open or closed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cursor {
    pub committed: u64,
    /// Number of records in the journal up to there.
    pub records: u64,
    pub open: bool,
    pub skipped: u64,
}

impl Cursor {
    pub(crate) fn stored(&self) -> Stored {
        Stored { committed: self.committed, records: self.records }
    }
}

/// An entry in memory.
#[derive(Debug, Clone)]
pub(crate) struct RecentEntry {
    pub entry: Entry,
    /// Number of records before it, since the journal began.
    pub records_before: u64,
    /// Memory that it occupies.
    pub cost_bytes: usize,
}

/// The newest entries.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    pub entries: VecDeque<RecentEntry>,
    /// Every visible frame after this one is in `entries`.
    pub after: u64,
    pub size_bytes: usize,
}

impl Recent {
    fn push(&mut self, entry: RecentEntry, bound_bytes: usize) {
        self.size_bytes += entry.cost_bytes;
        self.entries.push_back(entry);
        while self.size_bytes > bound_bytes {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.size_bytes -= oldest.cost_bytes;
            self.after = oldest.entry.sequence;
        }
    }

    /// Forgets all entries up to this one.
    pub(crate) fn forget_up_to(&mut self, sequence: u64) {
        while let Some(oldest) = self.entries.pop_front_if(|oldest| oldest.entry.sequence <= sequence) {
            self.size_bytes -= oldest.cost_bytes;
        }
        self.after = self.after.max(sequence);
    }
}

/// The current state of the journal.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub segments: VecDeque<Segment>,
    pub recent: Recent,
    pub cursors: BTreeMap<String, Cursor>,
    /// Records that filters hold back.
    pub held: Held,
    /// The newest frame that readers may see, and the number of records up to it.
    pub visible: u64,
    pub visible_records: u64,
    /// The numbering must continue after this: a reader holds a position that the journal has not reached.
    pub not_before: u64,
    pub poisoned: Option<String>,
    pub closed: bool,
}

impl State {
    /// Makes a frame at the end of the last segment visible to readers.
    pub(crate) fn publish(&mut self, entry: RecentEntry, ledger: Ledger, frame_bytes: u64, recent_bytes: usize) {
        let Entry { sequence, records, .. } = entry.entry;
        if !ledger.is_empty() {
            self.held.apply(sequence, ledger);
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.push(sequence, records, frame_bytes);
        }
        self.visible = sequence;
        self.visible_records = entry.records_before + u64::from(records);
        self.recent.push(entry, recent_bytes);
    }

    /// The lowest position of all readers, open and closed; `None` without readers.
    pub(crate) fn slowest(&self) -> Option<(&str, &Cursor)> {
        let slowest = self.cursors.iter().min_by_key(|(_, cursor)| cursor.committed);
        slowest.map(|(name, cursor)| (name.as_str(), cursor))
    }

    /// The sequence just before the oldest frame that is kept.
    pub(crate) fn before_oldest(&self) -> u64 {
        match self.segments.iter().find(|segment| segment.frames > 0) {
            Some(segment) => segment.first - 1,
            None => self.visible,
        }
    }

    /// The number of records up to `sequence`, as precisely as the indexed places allow (never too large).
    pub(crate) fn records_up_to(&self, sequence: u64) -> u64 {
        if sequence >= self.visible {
            return self.visible_records;
        }
        let at = self.segments.partition_point(|segment| segment.last <= sequence);
        match self.segments.get(at) {
            Some(segment) => segment.place_after(sequence).records_before,
            None => self.visible_records,
        }
    }
}
