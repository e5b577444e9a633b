//! What a batch may take on its way through a chain: time, the host's own work included, and what filters may add to it.
//!
//! A [`Budget`] is of one batch, or of one tick, and all its filters. One filter may take half of the time that is left,
//! and one call may add half of the records and bytes that are left: so nothing takes everything, and what comes after
//! something greedy still has room. What a call makes is held to its [`Room`] while it is made, not afterwards. A call
//! that exceeds it fails, and the search finds the records that are to blame.
//!
//! Invariant: a batch never comes to more than it was given and [`MAX_ADDED_BYTES`], which is far below the four
//! gigabytes that a batch's offsets reach.

use std::ops::Range;
use std::time::{Duration, Instant};

use weir_record::Batch;

use crate::error::{CallError, FailureKind};
use crate::limits::{
    CLOCK_UNITS, MAX_ADDED_BYTES, MAX_ADDED_RECORDS, MAX_BATCH_TIME, MAX_RESULT_BYTES, MAX_RESULT_RECORDS,
};

/// What is left for one batch, or one tick.
#[derive(Debug)]
pub(crate) struct Budget {
    time: Duration,
    records: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { time: MAX_BATCH_TIME, records: MAX_ADDED_RECORDS, bytes: MAX_ADDED_BYTES }
    }
}

impl Budget {
    /// The time for one filter.
    pub fn time(&self) -> Duration {
        self.time / 2
    }

    /// A filter took some of the time.
    pub fn took(&mut self, time: Duration) {
        self.time = self.time.saturating_sub(time);
    }

    /// The room for what a call makes of some records; none of them when it makes records by itself.
    pub fn room(&self, input: &Batch, records: Range<usize>) -> Room {
        let (count, bytes) = (records.len(), input.slice(records).len());
        Room {
            records: count + MAX_RESULT_RECORDS.min(self.records / 2),
            bytes: bytes + MAX_RESULT_BYTES.min(self.bytes / 2),
            ..Room::default()
        }
    }

    /// A call made `made` of some records.
    pub fn made(&mut self, made: &Batch, input: &Batch, records: Range<usize>) {
        let (count, bytes) = (records.len(), input.slice(records).len());
        self.records = self.records.saturating_sub(made.len().saturating_sub(count));
        self.bytes = self.bytes.saturating_sub(made.byte_len().saturating_sub(bytes));
    }
}

/// What one call's records may become, and until when.
#[derive(Debug)]
pub(crate) struct Room {
    pub records: usize,
    pub bytes: usize,
    until: Option<Instant>,
    time: Duration,
    /// Work since the clock was last looked at.
    units: usize,
    exceeded: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            records: MAX_RESULT_RECORDS,
            bytes: MAX_RESULT_BYTES,
            until: None,
            time: Duration::ZERO,
            units: 0,
            exceeded: false,
        }
    }
}

impl Room {
    /// The filter has answered: what it says has to be done in as long as it had for answering.
    pub fn begin(&mut self, time: Duration) {
        (self.time, self.until) = (time, Instant::now().checked_add(time));
        (self.units, self.exceeded) = (0, false);
    }

    /// Fails when more has been made than may be. Called after each record that a filter made or changed.
    #[inline]
    pub fn check(&mut self, made: &Batch) -> Result<(), String> {
        if made.len() > self.records || made.byte_len() > self.bytes {
            let reason = format!("it made more than {} records or {} bytes at once", self.records, self.bytes);
            return self.exceed(reason);
        }
        self.spend(CLOCK_UNITS / 256)
    }

    /// Notes work, about a nanosecond for each unit, and fails when the time is over.
    #[inline]
    pub fn spend(&mut self, units: usize) -> Result<(), String> {
        self.units = self.units.saturating_add(units);
        if self.units < CLOCK_UNITS {
            return Ok(());
        }
        self.units = 0;
        if self.until.is_some_and(|until| Instant::now() > until) {
            let reason = format!("to do what it says takes longer than {} ms", self.time.as_millis());
            return self.exceed(reason);
        }
        Ok(())
    }

    /// Fails for a reason that is about the budget.
    pub fn exceed<T>(&mut self, reason: String) -> Result<T, String> {
        self.exceeded = true;
        Err(reason)
    }

    /// What kind of failure a reason is for which an answer can't be used.
    pub fn blame(&self, otherwise: FailureKind, reason: impl AsRef<str>) -> CallError {
        CallError::new(if self.exceeded { FailureKind::Budget } else { otherwise }, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: usize, bytes: usize) -> Batch {
        let mut batch = Batch::new();
        (0..records).for_each(|_| batch.push(&vec![0; bytes / records]));
        batch
    }

    #[test]
    fn however_much_is_added_there_is_room_for_a_little_more_and_it_never_comes_to_the_bound() {
        let mut budget = Budget::default();
        let (input, mut added) = (batch(10, 100), 0);
        for _ in 0..9 {
            let room = budget.room(&input, 0..10);
            budget.made(&batch(1, room.bytes), &input, 0..10);
            added += room.bytes - 100;
        }
        assert!(added < MAX_ADDED_BYTES, "{added}");
        assert!(budget.room(&input, 0..10).bytes > 100 + (64 << 10));
        let before = budget.bytes;
        budget.made(&batch(10, 100), &input, 0..10);
        assert_eq!(budget.bytes, before, "what is kept costs nothing");
    }

    #[test]
    fn work_beyond_its_time_fails_as_a_budget_failure() {
        let mut room = Room::default();
        room.begin(Duration::ZERO);
        let failed = (0..1000).find_map(|_| room.check(&batch(1, 1)).err());
        let error = room.blame(FailureKind::Nonsense, failed.unwrap());
        assert_eq!(error.kind, FailureKind::Budget);
        room.begin(Duration::from_secs(3600));
        assert_eq!((0..1000).find_map(|_| room.spend(1 << 20).err()), None);
        assert_eq!(room.blame(FailureKind::Nonsense, "x").kind, FailureKind::Nonsense);
    }
}
