//! Gives a new instance what the one before it held, so that it comes to remember what was remembered.
//!
//! The records go through the filter as in a batch: usually it holds them again. What it makes of them otherwise goes on
//! to the filters after it, and they are released with that. A record that a new instance fails on is set aside, and the
//! others are given to another instance; after a few such everything that is held is set aside.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use weir_record::Batch;

use crate::error::CallError;
use crate::filter::{Filter, OnError};
use crate::holds::{Changes, Held, Holding};
use crate::instance::{Instance, Seat};
use crate::limits::MAX_REPLAY_FAILURES;
use crate::rewrite::{Applied, Part};
use crate::search::pieces;
use crate::shared::lock;

/// What came of records that were given again.
#[derive(Default)]
pub(crate) struct Replayed {
    /// Records that go on.
    pub made: Batch,
    /// Records that the filter failed on, and why. They are not held any more.
    pub failed: Vec<(Bytes, String)>,
}

/// A failure, and at which of the records.
struct FailedAt {
    index: usize,
    error: CallError,
}

impl Seat {
    /// Makes sure that there is an instance and that it was given what is held.
    pub fn give_again(
        &mut self,
        filter: &Filter,
        part: &mut Part,
        holding: &mut Holding,
    ) -> Result<Replayed, CallError> {
        let mut replayed = Replayed::default();
        if self.instance.is_some() || self.held.is_empty() {
            self.instance(filter)?;
            return Ok(replayed);
        }
        // With another record fewer in each round.
        while !self.held.is_empty() {
            let (batch, ids) = self.held.batch();
            let instance = self.instance(filter)?;
            let mut made = Batch::new();
            let mut changes = Changes::default();
            // One call for many; when it fails, one call for each finds the record that it fails on.
            let mut outcome = give(filter, instance, &batch, &ids, pieces(&batch), part, (&mut made, &mut changes));
            if outcome.is_err() {
                self.instance = None;
                let instance = self.instance(filter)?;
                (made, changes) = (Batch::new(), Changes::default());
                let singly = (0..batch.len()).map(|at| at..at + 1);
                outcome = give(filter, instance, &batch, &ids, singly, part, (&mut made, &mut changes));
            }
            match outcome {
                Ok(()) => {
                    self.held.take_up(&filter.shared.filter, &mut changes, holding);
                    replayed.made.extend(&made);
                    return Ok(replayed);
                }
                Err(FailedAt { index, error }) => {
                    self.instance = None;
                    filter.metrics.error(error.kind);
                    let gives_up = replayed.failed.len() >= MAX_REPLAY_FAILURES;
                    let failed = if gives_up { 0..batch.len() } else { index..index + 1 };
                    for at in failed {
                        self.set_aside(filter, ids[at], &error.reason, &mut replayed, holding);
                    }
                }
            }
        }
        self.instance(filter)?;
        Ok(replayed)
    }

    fn set_aside(&mut self, filter: &Filter, id: u64, reason: &str, replayed: &mut Replayed, holding: &mut Holding) {
        let Some(record) = self.held.remove(id) else { return };
        holding.released.push(id);
        match filter.spec().on_error {
            OnError::Pass => replayed.made.push(&record),
            OnError::Quarantine | OnError::Reject => {
                replayed.failed.push((record, format!("given again after a failure: {reason}")));
            }
        }
    }
}

/// Calls an instance with the records, in groups, and collects what comes of them.
fn give(
    filter: &Filter,
    instance: &mut Instance,
    batch: &Batch,
    ids: &[u64],
    groups: impl Iterator<Item = std::ops::Range<usize>>,
    part: &mut Part,
    (made, changes): (&mut Batch, &mut Changes),
) -> Result<(), FailedAt> {
    for group in groups {
        let Instance { guest, exports, .. } = &mut *instance;
        let index = group.start;
        let applied = exports.process(guest, batch, group.clone(), ids, filter.spec().timeout, part);
        let held_again = match applied.map_err(|error| FailedAt { index, error })? {
            Applied::Untouched => {
                made.extend_range(batch, group.clone());
                Vec::new()
            }
            Applied::Rewritten(_) => {
                made.extend(&part.batch);
                changes.released.append(&mut part.changes.released);
                std::mem::take(&mut part.changes.held)
            }
        };
        let held_ids: HashSet<u64> = held_again.iter().map(|(id, _)| *id).collect();
        changes.released.extend(ids[group].iter().filter(|id| !held_ids.contains(id)));
        changes.held.extend(held_again);
    }
    // What was held again by one call may have been released by a later one.
    let released: HashSet<u64> = changes.released.iter().copied().collect();
    changes.held.retain(|(id, _)| !released.contains(id));
    Ok(())
}

impl Filter {
    /// Tells a filter what it holds: nothing else but these records, which the journal has under these numbers. Its
    /// next call meets a new instance that was given them.
    pub fn give_back(self: &Arc<Self>, records: Vec<(u64, Bytes)>) {
        let Some(seat) = &self.seat else { return };
        let mut seat = lock(seat);
        seat.instance = None;
        seat.held = Held::default();
        for (id, record) in records {
            seat.held.insert(id, record);
        }
    }

    /// Whether it can hold records back.
    pub fn holds_records(&self) -> bool {
        self.world().holds_records()
    }
}
