//! A named reader: returns entries in order, from memory while it keeps up and from segment files when it lags, and
//! remembers what was delivered.
//!
//! - [`Reader::next`] is cancel-safe: the position advances in the same step in which it returns, so a call dropped by
//!   `select!` loses nothing.
//! - Waiting costs nothing: the writer wakes readers when new frames are visible.
//! - Files are read on tokio's blocking threads, about 1 MiB at a time, so async threads never wait for a disk.

use crate::error::ReadError;
use crate::limits::MAX_HANDED_OUT;
use crate::read::{Piece, Place, Plan, ReadFailure};
use crate::report::Damage;
use crate::state::{Shared, State};
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use tokio::sync::watch;

/// One appended batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its sequence number, from 1.
    pub sequence: u64,
    /// When it was written, in nanoseconds since 1970 UTC.
    pub time_ns: i64,
    /// The number of records in it, as given by the appender.
    pub records: u32,
    /// What was appended.
    pub payload: Bytes,
}

impl Entry {
    /// True for a frame that only holds or releases records: there is nothing in it for readers.
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0 && self.payload.is_empty()
    }
}

/// The entries that readers see; `None` if there are none.
fn without_empty(mut entries: Vec<Entry>) -> Option<Vec<Entry>> {
    entries.retain(|entry| !entry.is_empty());
    (!entries.is_empty()).then_some(entries)
}

/// A position, with the number of records in the journal up to there.
#[derive(Debug, Clone, Copy)]
struct Position {
    sequence: u64,
    records: u64,
    /// The last of the following frames that have nothing for readers. They count as delivered with this one.
    covers: u64,
}

/// A named reader with its own cursor. Dropping it keeps the cursor.
pub struct Reader {
    shared: Arc<Shared>,
    news: watch::Receiver<u64>,
    name: String,
    at: Position,
    /// True if the number of records up to `at` is approximate, because the position was not reached by reading.
    is_count_approximate: bool,
    /// Handed out and not yet committed, oldest first.
    handed_out: VecDeque<Position>,
    place: Option<Place>,
    skipped: u64,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("name", &self.name).field("at", &self.at).finish_non_exhaustive()
    }
}

enum Lookup {
    Entries(Vec<Entry>),
    File(Plan),
    Nothing,
    Closed,
}

impl Reader {
    /// The caller has added the cursor to the state and marked it open.
    pub(crate) fn new(shared: Arc<Shared>, name: String, sequence: u64, records: u64) -> Reader {
        Reader {
            news: shared.news.subscribe(),
            shared,
            name,
            at: Position { sequence, records, covers: sequence },
            is_count_approximate: true,
            handed_out: VecDeque::new(),
            place: None,
            skipped: 0,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last sequence handed out or committed.
    pub fn position(&self) -> u64 {
        self.at.sequence
    }

    /// Records that this reader did not get since it was opened: they were removed before it had read them (disk budget,
    /// damage set aside), or left out.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The next entries in order: at most `max_bytes`, but at least one entry. Waits until there is one. Must be called
    /// within a tokio runtime. Cancel-safe.
    pub async fn next(&mut self, max_bytes: usize) -> Result<Vec<Entry>, ReadError> {
        loop {
            if let Some(entries) = self.next_there(max_bytes).await? {
                return Ok(entries);
            }
            if self.news.changed().await.is_err() {
                return Err(ReadError::Closed);
            }
        }
    }

    /// Like [`next`](Self::next), but doesn't wait for more: `None` once everything that is there was read.
    pub async fn next_there(&mut self, max_bytes: usize) -> Result<Option<Vec<Entry>>, ReadError> {
        loop {
            // Marked as seen before looking, so that a change during the look wakes whoever waits after it.
            self.news.borrow_and_update();
            match self.look(max_bytes) {
                Lookup::Entries(entries) => {
                    if let Some(entries) = without_empty(entries) {
                        return Ok(Some(entries));
                    }
                }
                Lookup::File(plan) => {
                    let (name, segment) = (plan.name.clone(), (plan.segment, plan.mark));
                    let read = tokio::task::spawn_blocking(move || plan.read()).await;
                    let read = read.unwrap_or_else(|error| Err(ReadFailure::Disk(std::io::Error::other(error))));
                    if let Some(entries) = self.accept(read, &name, segment)?.and_then(without_empty) {
                        return Ok(Some(entries));
                    }
                }
                Lookup::Closed => return Err(ReadError::Closed),
                Lookup::Nothing => return Ok(None),
            }
        }
    }

    /// Marks everything up to and including `sequence` as delivered. It is stored within half a second and on
    /// [`close`](crate::Journal::close). A position before an earlier one is ignored; one beyond the newest entry
    /// counts as the newest.
    pub fn commit(&mut self, sequence: u64) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let sequence = sequence.min(state.visible.max(self.at.sequence));
        let mut records = None;
        let mut delivered = sequence;
        while let Some(handed) = self.handed_out.front()
            && handed.sequence <= sequence
        {
            records = Some(handed.records);
            delivered = delivered.max(handed.covers);
            self.handed_out.pop_front();
        }
        if sequence > self.at.sequence {
            self.at = Position { sequence, records: state.records_up_to(sequence), covers: sequence };
            self.is_count_approximate = true;
            self.place = None;
            records = Some(self.at.records);
        }
        let Some(cursor) = state.cursors.get_mut(&self.name) else {
            return;
        };
        if delivered > cursor.committed {
            cursor.committed = delivered;
            cursor.records = records.unwrap_or(cursor.records).max(cursor.records);
            drop(state);
            shared.queue.mark_cursors_dirty();
        }
    }

    /// Leaves out what it has not read yet up to and including `sequence`, because it can't be read. The records are
    /// counted in [`Reader::skipped`] with the next entries.
    pub fn leave_out(&mut self, sequence: u64) {
        if sequence > self.at.sequence {
            self.at = Position { sequence, covers: sequence, ..self.at };
            self.is_count_approximate = false;
            self.place = None;
        }
    }

    /// Takes entries from memory, or returns what to do instead.
    fn look(&mut self, max_bytes: usize) -> Lookup {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        if self.at.sequence >= state.visible {
            return if state.closed { Lookup::Closed } else { Lookup::Nothing };
        }
        if self.at.sequence >= state.recent.after {
            return Lookup::Entries(self.take_recent(&mut state, max_bytes));
        }
        let at = state.segments.partition_point(|segment| segment.last <= self.at.sequence);
        let Some(segment) = state.segments.get(at) else {
            return if state.closed { Lookup::Closed } else { Lookup::Nothing };
        };
        let plan = Plan {
            storage: Arc::clone(&shared.storage),
            name: segment.name.clone(),
            segment: segment.first,
            mark: segment.mark,
            key: segment.key.clone(),
            end: segment.size_bytes,
            place: self.place.clone(),
            start: segment.place_after(self.at.sequence),
            position: self.at.sequence,
            max_bytes,
        };
        Lookup::File(plan)
    }

    fn take_recent(&mut self, state: &mut State, max_bytes: usize) -> Vec<Entry> {
        let recent = &state.recent.entries;
        let start = recent.partition_point(|recent| recent.entry.sequence <= self.at.sequence);
        let records_before = recent.get(start).map_or(self.at.records, |recent| recent.records_before);
        let mut entries = Vec::new();
        let mut taken_bytes = 0;
        for recent in recent.range(start..) {
            taken_bytes += recent.entry.payload.len();
            if !entries.is_empty() && taken_bytes > max_bytes {
                break;
            }
            entries.push(recent.entry.clone());
        }
        self.place = None;
        self.hand_out(state, records_before, &entries);
        entries
    }

    /// Takes entries that were read from a file; `None` if the state must be looked at again.
    fn accept(
        &mut self,
        read: Result<Piece, ReadFailure>,
        name: &str,
        (segment, mark): (u64, u32),
    ) -> Result<Option<Vec<Entry>>, ReadError> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let is_rewritten = state.segments.iter().any(|known| known.first == segment && known.mark != mark);
        if is_rewritten {
            // Something was erased from it since.
            self.place = None;
            return Ok(None);
        }
        match read {
            Ok(piece) if piece.entries.is_empty() => {
                Err(self.damaged(name, piece.place.at.offset, "a frame that was written is missing"))
            }
            Ok(piece) => {
                self.place = Some(piece.place);
                self.hand_out(&mut state, piece.records_before, &piece.entries);
                Ok(Some(piece.entries))
            }
            Err(ReadFailure::Gone) => {
                if state.segments.iter().any(|known| known.first == segment) {
                    drop(state);
                    return Err(self.damaged(name, 0, "the file is missing"));
                }
                Ok(None)
            }
            Err(ReadFailure::Damaged { offset, reason }) => Err(self.damaged(name, offset, reason)),
            Err(ReadFailure::Disk(source)) => {
                Err(ReadError::Storage { place: shared.storage.place(), segment: name.to_string(), source })
            }
        }
    }

    /// Moves the position past the entries, and counts the records missing before them.
    fn hand_out(&mut self, state: &mut State, records_before: u64, entries: &[Entry]) {
        let is_next = entries.first().is_some_and(|entry| entry.sequence == self.at.sequence + 1);
        let nothing_missing = self.is_count_approximate && is_next;
        let lost = if nothing_missing { 0 } else { records_before.saturating_sub(self.at.records) };
        self.is_count_approximate = false;
        if lost > 0 {
            self.skipped += lost;
            self.shared.meters.skipped(&self.name, lost);
            if let Some(cursor) = state.cursors.get_mut(&self.name) {
                cursor.skipped += lost;
            }
            tracing::warn!(reader = %self.name, records = lost, "records were removed before this reader had read them");
        }
        let mut records = records_before;
        for entry in entries {
            records += u64::from(entry.records);
            self.at = Position { sequence: entry.sequence, records, covers: entry.sequence };
            if entry.is_empty() {
                self.skip_empty(state, entry.sequence);
                continue;
            }
            if self.handed_out.len() >= MAX_HANDED_OUT {
                self.handed_out.pop_back();
            }
            self.handed_out.push_back(self.at);
        }
    }

    /// A frame without anything for readers counts as delivered with the entries handed out before it.
    fn skip_empty(&mut self, state: &mut State, sequence: u64) {
        if let Some(handed) = self.handed_out.back_mut() {
            handed.covers = sequence;
        } else if let Some(cursor) = state.cursors.get_mut(&self.name) {
            cursor.committed = cursor.committed.max(sequence);
            self.shared.queue.mark_cursors_dirty();
        }
    }

    fn damaged(&self, segment: &str, offset: u64, reason: &str) -> ReadError {
        ReadError::Damaged(Box::new(Damage {
            place: self.shared.storage.place(),
            segment: segment.to_string(),
            offset,
            first_lost: self.at.sequence + 1,
            last_lost: None,
            reason: reason.to_string(),
        }))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(cursor) = self.shared.state().cursors.get_mut(&self.name) {
            cursor.open = false;
        }
    }
}
