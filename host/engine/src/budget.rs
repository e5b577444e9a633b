//! Limits what one batch may use on its way through the chain: time, including the host's own work, and the records and
//! bytes that filters add.
//!
//! A [`Budget`] belongs to one batch or one tick and is shared by all its filters. One filter may use half of the
//! remaining time, and one call may add half of the remaining records and bytes, so a greedy filter always leaves room
//! for the next. The output of a call is checked against its [`Room`] while it is built. A call that exceeds it fails,
//! and the search finds the records that cause it.
//!
//! Invariant: a batch never exceeds its original size plus [`MAX_ADDED_BYTES`], far below the 4 GiB that a batch's
//! offsets can address.

use std::ops::Range;
use std::time::{Duration, Instant};

use weir_record::Batch;

use crate::error::{CallError, FailureKind};
use crate::limits::{
    CLOCK_UNITS, MAX_ADDED_BYTES, MAX_ADDED_RECORDS, MAX_BATCH_TIME, MAX_RESULT_BYTES, MAX_RESULT_RECORDS,
};

/// What remains for one batch or one tick.
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
    /// The time that one filter may use.
    pub fn time(&self) -> Duration {
        self.time / 2
    }

    /// Subtracts time that a filter used.
    pub fn spend_time(&mut self, time: Duration) {
        self.time = self.time.saturating_sub(time);
    }

    /// The limits on the output of a call for a range of records; an empty range for records that the filter creates
    /// itself.
    pub fn room(&self, input: &Batch, records: Range<usize>) -> Room {
        let (count, bytes) = (records.len(), input.slice(records).len());
        Room {
            records: count + MAX_RESULT_RECORDS.min(self.records / 2),
            bytes: bytes + MAX_RESULT_BYTES.min(self.bytes / 2),
            ..Room::default()
        }
    }

    /// Subtracts what a call added to a range of records.
    pub fn spend_output(&mut self, made: &Batch, input: &Batch, records: Range<usize>) {
        let (count, bytes) = (records.len(), input.slice(records).len());
        self.records = self.records.saturating_sub(made.len().saturating_sub(count));
        self.bytes = self.bytes.saturating_sub(made.byte_len().saturating_sub(bytes));
    }
}

/// Limits on the size of one call's output and on the time to apply it.
#[derive(Debug)]
pub(crate) struct Room {
    pub records: usize,
    pub bytes: usize,
    until: Option<Instant>,
    time: Duration,
    /// Work since the last look at the clock.
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
    /// Starts the clock: applying an answer may take as long as the filter had to give it.
    pub fn begin(&mut self, time: Duration) {
        (self.time, self.until) = (time, Instant::now().checked_add(time));
        (self.units, self.exceeded) = (0, false);
    }

    /// Fails if the output is too large. Called after each record that a filter made or changed.
    #[inline]
    pub fn check(&mut self, made: &Batch) -> Result<(), String> {
        if made.len() > self.records || made.byte_len() > self.bytes {
            let reason = format!("it made more than {} records or {} bytes at once", self.records, self.bytes);
            return self.exceed(reason);
        }
        self.spend(CLOCK_UNITS / 256)
    }

    /// Counts work, about a nanosecond per unit, and fails when the time is used up.
    #[inline]
    pub fn spend(&mut self, units: usize) -> Result<(), String> {
        self.units = self.units.saturating_add(units);
        if self.units < CLOCK_UNITS {
            return Ok(());
        }
        self.units = 0;
        if self.until.is_some_and(|until| Instant::now() > until) {
            let reason = format!("applying its verdicts took longer than {} ms", self.time.as_millis());
            return self.exceed(reason);
        }
        Ok(())
    }

    /// Fails with a reason that counts as [`FailureKind::Budget`].
    pub fn exceed<T>(&mut self, reason: String) -> Result<T, String> {
        self.exceeded = true;
        Err(reason)
    }

    /// The error for an unusable answer: [`FailureKind::Budget`] if a limit was exceeded, `otherwise` if not.
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
    fn repeated_additions_never_reach_the_bound() {
        let mut budget = Budget::default();
        let (input, mut added) = (batch(10, 100), 0);
        for _ in 0..9 {
            let room = budget.room(&input, 0..10);
            budget.spend_output(&batch(1, room.bytes), &input, 0..10);
            added += room.bytes - 100;
        }
        assert!(added < MAX_ADDED_BYTES, "{added}");
        assert!(budget.room(&input, 0..10).bytes > 100 + (64 << 10));
        let before = budget.bytes;
        budget.spend_output(&batch(10, 100), &input, 0..10);
        assert_eq!(budget.bytes, before, "what is kept costs nothing");
    }

    #[test]
    fn exceeding_the_time_is_a_budget_failure() {
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
