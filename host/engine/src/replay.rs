//! Replays the records that an instance held to the instance that replaces it, so that it can rebuild its state.
//!
//! The records are processed like a batch; usually the filter holds them again. Otherwise its output continues to the
//! next filters and the records are released. A record that the new instance fails on is set aside, and the others are
//! replayed to yet another instance; after a few such failures, or when it takes too long, all held records are set
//! aside. Records set aside are reported even if no further instance can be started.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use weir_record::Batch;

use crate::budget::Budget;
use crate::error::{CallError, FailureKind};
use crate::filter::Filter;
use crate::holds::{Changes, Held, Holding};
use crate::instance::Instance;
use crate::limits::{MAX_REPLAY_FAILURES, MAX_REPLAY_TIME};
use crate::lock::lock;
use crate::pieces::pieces;
use crate::rewrite::{Applied, Part};
use crate::slot::Slot;
use crate::spec::OnError;

/// The result of a replay.
#[derive(Default)]
pub(crate) struct Replayed {
    /// Output records, which continue down the chain.
    pub made: Batch,
    /// Records that the filter failed on, and why. They are no longer held.
    pub failed: Vec<(Bytes, String)>,
}

/// A failure, and the index of the record.
struct FailedAt {
    index: usize,
    error: CallError,
}

impl Slot {
    /// Makes sure that there is an instance and that it was given the held records. `replayed` has the results, whether
    /// this succeeds or not.
    pub fn replay_held(
        &mut self,
        filter: &Filter,
        part: &mut Part,
        budget: &mut Budget,
        holding: &mut Holding,
        replayed: &mut Replayed,
    ) -> Result<(), CallError> {
        if self.instance.is_some() || self.held.is_empty() {
            return self.instance(filter).map(|_| ());
        }
        let until = Instant::now() + MAX_REPLAY_TIME;
        let mut rounds = 0;
        // Each iteration replays at least one record less.
        while !self.held.is_empty() {
            let (batch, ids) = self.held.batch();
            let instance = self.instance(filter)?;
            // One call for many records; if it fails, one call for each finds the failing record.
            let mut given = Replay::new(filter, &batch, &ids, until);
            let mut outcome = given.to(instance, pieces(&batch), part, budget);
            if outcome.is_err() {
                self.instance = None;
                let instance = self.instance(filter)?;
                let singly = (0..batch.len()).map(|at| at..at + 1);
                given = Replay::new(filter, &batch, &ids, until);
                outcome = given.to(instance, singly, part, budget);
            }
            match outcome {
                Ok(()) => {
                    self.held.apply(&filter.context.filter, &mut given.changes, holding);
                    replayed.made.extend(&given.made);
                    return Ok(());
                }
                Err(FailedAt { index, error }) => {
                    self.instance = None;
                    filter.metrics.error(error.kind);
                    rounds += 1;
                    let gives_up = rounds > MAX_REPLAY_FAILURES || Instant::now() >= until;
                    let failed = if gives_up { 0..batch.len() } else { index..index + 1 };
                    for at in failed {
                        self.set_aside(filter, ids[at], &error.reason, replayed, holding);
                    }
                }
            }
        }
        self.instance(filter).map(|_| ())
    }

    fn set_aside(&mut self, filter: &Filter, id: u64, reason: &str, replayed: &mut Replayed, holding: &mut Holding) {
        let Some(record) = self.held.remove(id) else { return };
        holding.released.push(id);
        match filter.spec().on_error {
            OnError::Pass => replayed.made.push(&record),
            OnError::Quarantine | OnError::Reject => {
                replayed.failed.push((record, format!("replayed after a failure: {reason}")));
            }
        }
    }
}

/// Records being replayed, and the result.
struct Replay<'a> {
    filter: &'a Filter,
    batch: &'a Batch,
    ids: &'a [u64],
    until: Instant,
    made: Batch,
    changes: Changes,
}

impl<'a> Replay<'a> {
    fn new(filter: &'a Filter, batch: &'a Batch, ids: &'a [u64], until: Instant) -> Self {
        Self { filter, batch, ids, until, made: Batch::new(), changes: Changes::default() }
    }

    /// Calls an instance with the records, in groups.
    fn to(
        &mut self,
        instance: &mut Instance,
        groups: impl Iterator<Item = Range<usize>>,
        part: &mut Part,
        budget: &mut Budget,
    ) -> Result<(), FailedAt> {
        for group in groups {
            let index = group.start;
            self.call(instance, group, part, budget).map_err(|error| FailedAt { index, error })?;
        }
        // Records that one call held again may have been released by a later one.
        let released: HashSet<u64> = self.changes.released.iter().copied().collect();
        self.changes.held.retain(|(id, _)| !released.contains(id));
        Ok(())
    }

    fn call(
        &mut self,
        instance: &mut Instance,
        group: Range<usize>,
        part: &mut Part,
        budget: &mut Budget,
    ) -> Result<(), CallError> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let seconds = MAX_REPLAY_TIME.as_secs();
            let reason = format!("its held records could not be replayed within {seconds} s");
            return Err(CallError::new(FailureKind::Timeout, reason));
        }
        let Instance { guest, exports, .. } = instance;
        part.room = budget.room(self.batch, group.clone());
        let deadline = self.filter.spec().timeout.min(left);
        let held_again = match exports.process(guest, self.batch, group.clone(), self.ids, deadline, part)? {
            Applied::Untouched => {
                self.made.extend_range(self.batch, group.clone());
                Vec::new()
            }
            Applied::Rewritten(_) => {
                budget.spend_output(&part.batch, self.batch, group.clone());
                self.made.extend(&part.batch);
                self.changes.released.append(&mut part.changes.released);
                std::mem::take(&mut part.changes.held)
            }
        };
        let held_ids: HashSet<u64> = held_again.iter().map(|(id, _)| *id).collect();
        self.changes.released.extend(self.ids[group].iter().filter(|id| !held_ids.contains(id)));
        self.changes.held.extend(held_again);
        Ok(())
    }
}

impl Filter {
    /// Sets what the filter holds to exactly these records, with their ids from the journal. Its next call starts a new
    /// instance and replays them.
    pub fn restore_held(self: &Arc<Self>, records: Vec<(u64, Bytes)>) {
        let Some(slot) = &self.slot else { return };
        let mut slot = lock(slot);
        slot.instance = None;
        slot.held = Held::default();
        for (id, record) in records {
            self.context.credit.given(1, record.len());
            slot.held.insert(id, record);
        }
    }
}
