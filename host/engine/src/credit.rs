//! Limits what a filter may emit at its ticks: as much as it was given, at any time, plus a small allowance. So a
//! filter can emit everything it holds back at once, but can't create records without end.
//!
//! All versions of a filter share it, like the held records.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use weir_record::Batch;

use crate::budget::Room;
use crate::limits::{MAX_OWN_TICK_BYTES, MAX_OWN_TICK_RECORDS};

/// What a filter was given and has not yet emitted at a tick.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Credit {
    /// Adds records given to the filter, for the first time or as a replay.
    pub fn given(&self, records: usize, bytes: usize) {
        self.records.fetch_add(records as u64, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Limits the output of a tick.
    pub fn narrow(&self, room: &mut Room) {
        let most = |credit: &AtomicU64, own: usize| {
            usize::try_from(credit.load(Relaxed)).unwrap_or(usize::MAX).saturating_add(own)
        };
        room.records = room.records.min(most(&self.records, MAX_OWN_TICK_RECORDS));
        room.bytes = room.bytes.min(most(&self.bytes, MAX_OWN_TICK_BYTES));
    }

    /// Subtracts what the filter emitted at a tick.
    pub fn emitted(&self, made: &Batch) {
        let spend = |credit: &AtomicU64, made: usize, own: usize| {
            let spent = made.saturating_sub(own) as u64;
            // Can't fail: the closure always returns a value.
            let _ = credit.fetch_update(Relaxed, Relaxed, |credit| Some(credit.saturating_sub(spent)));
        };
        spend(&self.records, made.len(), MAX_OWN_TICK_RECORDS);
        spend(&self.bytes, made.byte_len(), MAX_OWN_TICK_BYTES);
    }

    /// Copies the credit of another filter.
    pub fn copy(&self, other: &Credit) {
        self.records.store(other.records.load(Relaxed), Relaxed);
        self.bytes.store(other.bytes.load(Relaxed), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: usize) -> Batch {
        let mut batch = Batch::new();
        (0..records).for_each(|_| batch.push(&[0; 100]));
        batch
    }

    fn room(credit: &Credit) -> usize {
        let mut room = Room::default();
        credit.narrow(&mut room);
        room.records
    }

    #[test]
    fn a_filter_may_emit_what_it_was_given_and_a_little_more_at_each_tick() {
        let credit = Credit::default();
        assert_eq!(room(&credit), MAX_OWN_TICK_RECORDS);
        credit.emitted(&batch(MAX_OWN_TICK_RECORDS));
        assert_eq!(room(&credit), MAX_OWN_TICK_RECORDS);
        credit.given(5000, 500_000);
        assert_eq!(room(&credit), MAX_OWN_TICK_RECORDS + 5000);
        credit.emitted(&batch(MAX_OWN_TICK_RECORDS + 3000));
        let next = Credit::default();
        next.copy(&credit);
        assert_eq!(room(&next), MAX_OWN_TICK_RECORDS + 2000);
        next.emitted(&batch(MAX_OWN_TICK_RECORDS + 3000));
        assert_eq!(room(&next), MAX_OWN_TICK_RECORDS);
    }
}
