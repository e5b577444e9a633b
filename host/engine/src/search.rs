//! Calls a filter with a batch. If the call fails, finds the records that it fails on: the batch is split into sixteen
//! parts, each part that fails is split again, and so on down to single records. All other records are processed as
//! usual.
//!
//! The search is bounded by the number of failed calls, the time they take, and the time for starting new instances
//! after them. When a bound is reached, the rest of the batch fails together. The deadline of a part is proportional to
//! its share of the batch, but at least a sixteenth of the whole deadline. Only failing calls are slow, and few are
//! needed to find one record: an endless loop on one record among a thousand costs 1.25 deadlines, on ten of them 3.5.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_record::Batch;

use crate::budget::Budget;
use crate::error::{CallError, FailureKind};
use crate::filter::Filter;
use crate::health::{Admission, BatchResult};
use crate::holds::{Holding, ids};
use crate::instance::Instance;
use crate::limits::{MAX_FAILED_CALLS, MAX_SEARCH_DEADLINES, MIN_DEADLINE_FRACTION, SEARCH_PARTS};
use crate::pieces::pieces;
use crate::replay::Replayed;
use crate::rewrite::{Applied, Counts, Part, Rewrite};
use crate::slot::Slot;

/// A range of records that a filter failed on, and the reason.
pub(crate) struct FailedRange {
    pub records: Range<usize>,
    pub reason: String,
}

/// Runs one filter on one batch.
pub(crate) struct Search<'a> {
    filter: &'a Filter,
    slot: &'a mut Slot,
    input: &'a Batch,
    part: &'a mut Part,
    budget: &'a mut Budget,
    /// Groups still to be processed, the next one last.
    groups: Vec<Group>,
    failed_calls: u32,
    /// Total time of failed calls, each counted as at most its deadline: on a busy machine a call may end late, which
    /// is not the filter's fault.
    failed_time: Duration,
    /// Total time for starting new instances.
    start_time: Duration,
    /// Time that the filter may still take for this batch.
    time: Duration,
    gave_up: bool,
    /// The ids of the records, if the filter can hold records.
    ids: Vec<u64>,
    pub counts: Counts,
    pub failed_ranges: Vec<FailedRange>,
    /// Records held and released.
    pub holding: Holding,
    /// Held records that the filter failed on during replay, and why.
    pub replay_failures: Vec<(Bytes, String)>,
}

struct Group {
    records: Range<usize>,
    /// Number of records in the piece that the group belongs to.
    of: usize,
}

impl<'a> Search<'a> {
    pub fn new(
        filter: &'a Filter,
        slot: &'a mut Slot,
        input: &'a Batch,
        part: &'a mut Part,
        budget: &'a mut Budget,
    ) -> Self {
        let time = budget.time().max(filter.spec().timeout);
        Self {
            filter,
            slot,
            input,
            part,
            budget,
            groups: Vec::new(),
            failed_calls: 0,
            failed_time: Duration::ZERO,
            start_time: Duration::ZERO,
            time,
            gave_up: false,
            ids: match filter.holds_records() {
                true => ids(filter.engine.new_numbers(input.len()), 0..input.len()),
                false => Vec::new(),
            },
            counts: Counts::default(),
            failed_ranges: Vec::new(),
            holding: Holding::default(),
            replay_failures: Vec::new(),
        }
    }

    /// Calls the filter until every record has an outcome. `keep_failed` decides whether failed records are kept.
    pub fn run(&mut self, rewrite: &mut Rewrite, keep_failed: bool) -> Option<BatchResult> {
        let is_attempt = match self.filter.failures.admit(Instant::now()) {
            Admission::Call => false,
            Admission::Attempt => true,
            Admission::Refuse(reason) => {
                self.failed_ranges.push(FailedRange { records: 0..self.input.len(), reason });
                self.settle(rewrite, 0..self.input.len(), keep_failed);
                return None;
            }
        };
        self.groups = pieces(self.input).map(|records| Group { of: records.len(), records }).collect();
        self.groups.reverse();
        while let Some(group) = self.groups.pop() {
            if self.time.is_zero() {
                self.out_of_time(group.records.start, rewrite, keep_failed);
                break;
            }
            match self.call(&group, rewrite) {
                Ok(Applied::Untouched) => rewrite.keep(self.input, group.records),
                Ok(Applied::Rewritten(counts)) => {
                    self.counts.dropped += counts.dropped;
                    self.counts.patched += counts.patched;
                    self.slot.held.apply(&self.filter.context.filter, &mut self.part.changes, &mut self.holding);
                    rewrite.replace(self.input, group.records, self.part);
                }
                Err(error) => self.failed(group, &error, is_attempt, rewrite, keep_failed),
            }
        }
        let reason = self.failed_ranges.last().map(|range| range.reason.clone());
        Some(match reason {
            None => BatchResult::Ok,
            Some(reason) if self.gave_up => BatchResult::GaveUp(reason),
            Some(reason) => BatchResult::SomeFailed(reason),
        })
    }

    fn call(&mut self, group: &Group, rewrite: &mut Rewrite) -> Result<Applied, CallError> {
        let deadline = deadline(self.filter.spec().timeout, group).min(self.time);
        let metrics = &self.filter.metrics;
        metrics.calls.increment(1);
        let start = Instant::now();
        let starts = self.slot.instance.is_none();
        let prepared = self.prepare(group.records.start, rewrite);
        if starts {
            self.start_time += start.elapsed();
        }
        // Set after the replay, which has a limit of its own.
        self.part.room = self.budget.room(self.input, group.records.clone());
        let result = prepared.and_then(|()| {
            let Instance { guest, exports, .. } = self.slot.instance(self.filter)?;
            exports.process(guest, self.input, group.records.clone(), &self.ids, deadline, self.part)
        });
        let elapsed = start.elapsed();
        self.time = self.time.saturating_sub(elapsed);
        self.budget.spend_time(elapsed);
        if let Ok(Applied::Rewritten(_)) = &result {
            self.budget.spend_output(&self.part.batch, self.input, group.records.clone());
        }
        metrics.seconds.record(elapsed);
        self.filter.template.usage.add_busy_time(elapsed);
        if let Err(error) = &result {
            metrics.error(error.kind);
            self.failed_calls += 1;
            self.failed_time += elapsed.min(deadline);
            self.slot.failed(self.filter, error);
        }
        result
    }

    /// Makes sure that there is an instance. A new one gets the held records first; what it makes of them is inserted
    /// before the current records.
    fn prepare(&mut self, at: usize, rewrite: &mut Rewrite) -> Result<(), CallError> {
        if !self.filter.holds_records() {
            return self.slot.instance(self.filter).map(|_| ());
        }
        let mut replayed = Replayed::default();
        let result = self.slot.replay_held(self.filter, self.part, self.budget, &mut self.holding, &mut replayed);
        if !replayed.made.is_empty() {
            rewrite.insert(self.input, at, &replayed.made);
        }
        self.replay_failures.extend(replayed.failed);
        result
    }

    fn failed(&mut self, group: Group, error: &CallError, is_attempt: bool, rewrite: &mut Rewrite, keep_failed: bool) {
        let Group { records, of } = group;
        let can_start = error.kind != FailureKind::Start;
        if records.len() == 1 && can_start && !is_attempt {
            self.failed_ranges.push(FailedRange { records: records.clone(), reason: error.reason.clone() });
            self.settle(rewrite, records, keep_failed);
        } else if can_start && !is_attempt && !self.is_spent() {
            self.groups.extend(parts(records).rev().map(|records| Group { records, of }));
        } else {
            let reason = match self.input.len() - records.start {
                1 => error.reason.clone(),
                count => format!(
                    "{} ({count} records failed together; the search for the offending ones was given up after {} \
                     failed calls)",
                    error.reason, self.failed_calls
                ),
            };
            self.give_up(records.start, reason, rewrite, keep_failed);
        }
    }

    fn out_of_time(&mut self, start: usize, rewrite: &mut Rewrite, keep_failed: bool) {
        self.filter.metrics.error(FailureKind::Budget);
        let count = self.input.len() - start;
        let reason = format!(
            "it used up its time for one batch before it had processed the last {count} of {} records",
            self.input.len()
        );
        self.give_up(start, reason, rewrite, keep_failed);
    }

    /// Fails all records from `start` on.
    fn give_up(&mut self, start: usize, reason: String, rewrite: &mut Rewrite, keep_failed: bool) {
        self.gave_up = true;
        self.groups.clear();
        let rest = start..self.input.len();
        self.failed_ranges.push(FailedRange { records: rest.clone(), reason });
        self.settle(rewrite, rest, keep_failed);
    }

    fn settle(&self, rewrite: &mut Rewrite, records: Range<usize>, keep: bool) {
        if keep {
            rewrite.keep(self.input, records);
        } else {
            rewrite.remove(self.input, records);
        }
    }

    fn is_spent(&self) -> bool {
        let time = self.filter.spec().timeout.saturating_mul(MAX_SEARCH_DEADLINES);
        self.failed_calls >= MAX_FAILED_CALLS || self.failed_time >= time || self.start_time >= time
    }
}

/// Splits a group into parts.
fn parts(records: Range<usize>) -> impl DoubleEndedIterator<Item = Range<usize>> {
    let count = records.len().min(SEARCH_PARTS);
    let edge = move |part: usize| records.start + records.len() * part / count;
    (0..count).map(move |part| edge(part)..edge(part + 1))
}

fn deadline(timeout: Duration, group: &Group) -> Duration {
    let share = 2.0 * group.records.len() as f64 / group.of as f64;
    timeout.mul_f64(share.clamp(1.0 / f64::from(MIN_DEADLINE_FRACTION), 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searching_for_ten_records_stays_within_the_time_bound() {
        let timeout = Duration::from_millis(250);
        let (mut sum, mut size) = (Duration::ZERO, 1000);
        while size > 1 {
            size = parts(0..size).map(|part| part.len()).max().unwrap();
            sum += 10 * deadline(timeout, &Group { records: 0..size, of: 1000 });
        }
        assert!(timeout + sum < timeout * MAX_SEARCH_DEADLINES, "{sum:?}");
    }

    #[test]
    fn the_parts_of_a_group_cover_it_in_order() {
        for count in [2, 3, 16, 17, 100, 4096] {
            let parts: Vec<Range<usize>> = parts(7..7 + count).collect();
            assert!(parts.len() == count.min(SEARCH_PARTS) && parts.iter().all(|part| !part.is_empty()));
            assert_eq!(parts.into_iter().flatten().collect::<Vec<_>>(), (7..7 + count).collect::<Vec<_>>());
        }
    }
}
