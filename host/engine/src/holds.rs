//! Records that filters hold: what one batch holds and releases on its way through the chain, and everything that a
//! filter holds.
//!
//! The journal is the source of truth. Each slot has a copy for its filter, so that a new instance can be given what
//! the previous one held ([`crate::replay`]). The copy is ahead of the journal by the batches that are still being
//! written. If one of them is not written, the owner of the journal calls
//! [`Filter::restore_held`](crate::Filter::restore_held).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use weir_record::Batch;

use crate::limits::{MAX_HELD_AGE, MAX_HELD_BYTES, MAX_HELD_RECORDS};

/// Origin of records that no sender waits for, because they were acknowledged when they were held.
pub(crate) const NO_SENDER: u32 = u32::MAX;

/// A record that a filter holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRecord {
    /// The filter's name.
    pub filter: Arc<str>,
    /// The record, canonical.
    pub record: Bytes,
}

/// What a batch holds and releases. Stored atomically with its output records.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Newly held records by id. An id that is already held gets this record.
    pub held: BTreeMap<u64, HeldRecord>,
    /// Released ids, possibly of records that were never held.
    pub released: Vec<u64>,
}

impl Holding {
    /// True when nothing is held or released.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.released.is_empty()
    }

    /// Merges later changes.
    pub(crate) fn extend(&mut self, later: Holding) {
        for id in later.released {
            self.release(id);
        }
        self.held.extend(later.held);
    }

    fn release(&mut self, id: u64) {
        self.held.remove(&id);
        self.released.push(id);
    }
}

/// What one call holds and releases.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub held: Vec<(u64, Bytes)>,
    pub released: Vec<u64>,
}

impl Changes {
    pub fn clear(&mut self) {
        self.held.clear();
        self.released.clear();
    }
}

struct Kept {
    record: Bytes,
    since: Instant,
}

/// All records that a filter holds, by id.
#[derive(Default)]
pub(crate) struct Held {
    records: BTreeMap<u64, Kept>,
    size_bytes: usize,
}

impl Held {
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// All held records and their ids, in order.
    pub fn batch(&self) -> (Batch, Vec<u64>) {
        let mut batch = Batch::with_capacity(self.size_bytes, self.records.len());
        for kept in self.records.values() {
            batch.push(&kept.record);
        }
        (batch, self.records.keys().copied().collect())
    }

    /// Applies the changes of a call, and adds them to `holding` for the journal.
    pub fn apply(&mut self, filter: &Arc<str>, changes: &mut Changes, holding: &mut Holding) {
        for id in changes.released.drain(..) {
            if self.remove(id).is_some() {
                holding.release(id);
            }
        }
        for (id, record) in changes.held.drain(..) {
            // A record that is held again after a replay is already in the journal.
            if self.records.get(&id).is_none_or(|kept| kept.record != record) {
                self.insert(id, record.clone());
                holding.held.insert(id, HeldRecord { filter: filter.clone(), record });
            }
        }
    }

    pub fn insert(&mut self, id: u64, record: Bytes) {
        self.size_bytes += record.len();
        if let Some(before) = self.records.insert(id, Kept { record, since: Instant::now() }) {
            self.size_bytes -= before.record.len();
        }
    }

    pub fn remove(&mut self, id: u64) -> Option<Bytes> {
        let kept = self.records.remove(&id)?;
        self.size_bytes -= kept.record.len();
        Some(kept.record)
    }

    /// Releases everything; the records continue unchanged.
    pub fn take_all(&mut self, holding: &mut Holding) -> Batch {
        self.take_oldest(|_| true, holding)
    }

    /// If the limit is exceeded, releases the oldest half, so that this is rare; `None` otherwise.
    pub fn take_excess(&mut self, holding: &mut Holding) -> Option<Batch> {
        if self.records.len() <= MAX_HELD_RECORDS && self.size_bytes <= MAX_HELD_BYTES {
            return None;
        }
        let fits = |held: &Held| held.len() <= MAX_HELD_RECORDS / 2 && held.size_bytes <= MAX_HELD_BYTES / 2;
        Some(self.take_oldest(|held| !fits(held), holding))
    }

    /// Releases records that have been held for too long.
    pub fn take_overdue(&mut self, now: Instant, holding: &mut Holding) -> Option<Batch> {
        let is_overdue = |held: &Held| {
            let oldest = held.records.first_key_value();
            oldest.is_some_and(|(_, kept)| now.saturating_duration_since(kept.since) > MAX_HELD_AGE)
        };
        is_overdue(self).then(|| self.take_oldest(is_overdue, holding))
    }

    fn take_oldest(&mut self, more: impl Fn(&Held) -> bool, holding: &mut Holding) -> Batch {
        let mut taken = Batch::new();
        while more(self)
            && let Some(id) = self.records.first_key_value().map(|(id, _)| *id)
            && let Some(record) = self.remove(id)
        {
            taken.push(&record);
            holding.release(id);
        }
        taken
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        let mut copy = Held::default();
        for (id, kept) in &self.records {
            copy.insert(*id, kept.record.clone());
        }
        copy
    }
}

/// The ids of the records of a batch.
pub(crate) fn ids(first: u64, range: Range<usize>) -> Vec<u64> {
    range.map(|at| first + at as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(held: &[(u64, &'static str)], released: &[u64]) -> Changes {
        let held = held.iter().map(|(id, text)| (*id, Bytes::from_static(text.as_bytes()))).collect();
        Changes { held, released: released.to_vec() }
    }

    fn apply(held: &mut Held, mut said: Changes) -> Holding {
        let mut holding = Holding::default();
        held.apply(&"f".into(), &mut said, &mut holding);
        holding
    }

    #[test]
    fn holding_again_stores_nothing_and_unknown_releases_are_ignored() {
        let mut held = Held::default();
        let first = apply(&mut held, changes(&[(1, "a"), (2, "b")], &[9]));
        assert_eq!((first.held.len(), first.released), (2, vec![]));
        let again = apply(&mut held, changes(&[(1, "a"), (2, "other")], &[]));
        assert_eq!(again.held.into_keys().collect::<Vec<_>>(), [2]);
        let last = apply(&mut held, changes(&[], &[1, 2]));
        assert_eq!(last.released, [1, 2]);
        assert!(held.is_empty() && held.size_bytes == 0);
    }

    #[test]
    fn a_record_held_and_released_in_one_batch_is_not_stored_as_held() {
        let mut held = Held::default();
        let mut holding = apply(&mut held, changes(&[(1, "a"), (2, "b")], &[]));
        held.apply(&"f".into(), &mut changes(&[], &[1]), &mut holding);
        assert_eq!(holding.held.into_keys().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn beyond_the_bound_the_oldest_half_is_released() {
        let mut held = Held::default();
        for id in 0..=MAX_HELD_RECORDS as u64 {
            held.insert(id, Bytes::from_static(b"x"));
        }
        let mut holding = Holding::default();
        let taken = held.take_excess(&mut holding).expect("there is one too many");
        assert_eq!(held.len(), MAX_HELD_RECORDS / 2);
        assert_eq!(taken.len(), holding.released.len());
        assert_eq!(holding.released[0], 0);
        assert!(held.take_excess(&mut holding).is_none());
    }
}
