//! How much a filter may emit at its ticks: as much as it was given, whenever it gives it back, and a little of its own.
//! So what it holds back it can let go of, at once if need be, but it can't go on making records of nothing.
//!
//! The versions of a filter share it, as they share what is held.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use weir_record::Batch;

use crate::budget::Room;
use crate::limits::{MAX_OWN_TICK_BYTES, MAX_OWN_TICK_RECORDS};

/// What a filter was given and has not emitted at a tick yet.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Credit {
    /// The filter is given records, for the first time or as what it holds.
    pub fn given(&self, records: usize, bytes: usize) {
        self.records.fetch_add(records as u64, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Narrows the room for what a tick makes.
    pub fn narrow(&self, room: &mut Room) {
        let most = |credit: &AtomicU64, own: usize| {
            usize::try_from(credit.load(Relaxed)).unwrap_or(usize::MAX).saturating_add(own)
        };
        room.records = room.records.min(most(&self.records, MAX_OWN_TICK_RECORDS));
        room.bytes = room.bytes.min(most(&self.bytes, MAX_OWN_TICK_BYTES));
    }

    /// The filter emitted this at a tick.
    pub fn emitted(&self, made: &Batch) {
        let spend = |credit: &AtomicU64, made: usize, own: usize| {
            let spent = made.saturating_sub(own) as u64;
            // An error is never given: the closure always has a value.
            let _ = credit.fetch_update(Relaxed, Relaxed, |credit| Some(credit.saturating_sub(spent)));
        };
        spend(&self.records, made.len(), MAX_OWN_TICK_RECORDS);
        spend(&self.bytes, made.byte_len(), MAX_OWN_TICK_BYTES);
    }

    /// Takes over what another has.
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
