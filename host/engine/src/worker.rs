//! Runs batches through the chain. Each pipeline thread has a worker with its own instances of stateless filters. A
//! stateful filter has one instance, which all workers share.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use weir_record::{Batch, Level};

use crate::budget::Budget;
use crate::engine::Engine;
use crate::filter::Filter;
use crate::health::{BatchResult, Health};
use crate::holds::{Changes, Holding, NO_SENDER};
use crate::instance::Instance;
use crate::lock::lock;
use crate::replay::Replayed;
use crate::rewrite::{Part, Rewrite, spare};
use crate::search::{FailedRange, Search};
use crate::slot::Slot;
use crate::spec::OnError;

/// The filters, in the order in which records pass through them.
#[derive(Debug, Clone, Default)]
pub struct Chain(pub Vec<Arc<Filter>>);

/// The result of running a batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The output records, canonical and in order.
    pub batch: Batch,
    /// Records that a filter failed on, unless its policy is to pass them.
    pub failed: Vec<Failed>,
    /// Failed records without a sender in this batch, because they were acknowledged earlier: they can't be rejected
    /// any more. Their index is meaningless.
    pub without_sender: Vec<Failed>,
    /// Records held from this batch, and releases of earlier ones.
    pub holding: Holding,
    /// The last error of a tick.
    pub tick_failed: Option<String>,
}

/// A record that a filter failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its index in the input batch. For a record that was made by expanding another, the index of that one.
    pub index: u32,
    /// The filter's name.
    pub filter: String,
    /// The reason, in one line.
    pub reason: String,
    /// What to do with it.
    pub action: Action,
    /// The record as that filter received it, without what earlier filters removed.
    pub record: Vec<u8>,
}

/// What to do with a failed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Put it in quarantine.
    Quarantine,
    /// Return an error to its sender.
    Reject,
}

/// The filters of one pipeline thread. The thread needs a stack of 2 MiB.
pub struct Worker {
    /// Keeps the runtime alive while there are instances.
    _engine: Arc<Engine>,
    slots: Vec<(u64, Slot)>,
    part: Part,
    spare: Batch,
    spare_origins: Vec<u32>,
}

/// A batch on its way through the chain.
struct Flow {
    batch: Batch,
    /// The index of each record in the input batch, or [`NO_SENDER`]; `None` while they are all at their original index.
    origins: Option<Vec<u32>>,
    failed: Vec<Failed>,
    without_sender: Vec<Failed>,
    holding: Holding,
}

impl Flow {
    fn new(batch: Batch) -> Flow {
        Flow { batch, origins: None, failed: Vec::new(), without_sender: Vec::new(), holding: Holding::default() }
    }
}

impl Worker {
    /// Creates a worker without instances. It takes or starts them on demand.
    pub fn new(engine: Arc<Engine>) -> Worker {
        Worker {
            _engine: engine,
            slots: Vec::new(),
            part: Part::default(),
            spare: Batch::new(),
            spare_origins: Vec::new(),
        }
    }

    /// Memory of this worker's own instances in bytes.
    pub fn memory_bytes(&self) -> usize {
        let instances = self.slots.iter().filter_map(|(_, slot)| slot.instance.as_ref());
        instances.map(|instance| instance.guest.memory_bytes()).sum()
    }

    /// Runs a batch through the chain.
    pub fn run(&mut self, chain: &Chain, batch: Batch) -> Outcome {
        self.drop_unused_instances(chain);
        self.run_through(&chain.0, batch, &mut Budget::default())
    }

    /// Ticks the stateful filters of the chain and runs the records that they emit through the filters after them.
    /// `closing` is set when Weir stops, or for filters that are being removed. [`Failed::index`] counts the records
    /// that each filter emitted.
    pub fn tick(&mut self, chain: &Chain, closing: bool) -> Outcome {
        self.drop_unused_instances(chain);
        let mut all = Outcome::default();
        let mut budget = Budget::default();
        for (place, filter) in chain.0.iter().enumerate() {
            let said = self.tick_one(filter, closing, &mut budget);
            self.run_remaining(&chain.0[place + 1..], said, &mut all, &mut budget);
        }
        all
    }

    /// Retires a filter that is no longer in any chain: ticks it one last time, and runs what it emits and still holds
    /// through the filters of `rest`. The filter refuses every later call.
    pub fn retire(&mut self, filter: &Arc<Filter>, rest: &Chain) -> Outcome {
        self.drop_unused_instances(rest);
        let mut budget = Budget::default();
        let mut said = self.tick_one(filter, true, &mut budget);
        if let Some(slot) = &filter.slot {
            let mut slot = lock(slot);
            said.made.extend(&slot.held.take_all(&mut said.holding));
            slot.instance = None;
            slot.is_retired = true;
        }
        let mut all = Outcome::default();
        self.run_remaining(&rest.0, said, &mut all, &mut budget);
        all
    }

    /// Runs the output of a tick through the later filters.
    fn run_remaining(&mut self, filters: &[Arc<Filter>], said: TickOutput, all: &mut Outcome, budget: &mut Budget) {
        all.tick_failed = said.failed.or(all.tick_failed.take());
        all.without_sender.extend(said.without_sender);
        all.holding.extend(said.holding);
        if !said.made.is_empty() {
            let outcome = self.run_through(filters, said.made, budget);
            all.batch.extend(&outcome.batch);
            all.failed.extend(outcome.failed);
            all.without_sender.extend(outcome.without_sender);
            all.holding.extend(outcome.holding);
        }
    }

    /// Drops instances of filters that are not in the chain. Every batch does this; an idle worker calls it when the
    /// chain has changed.
    pub fn drop_unused_instances(&mut self, chain: &Chain) {
        self.slots.retain(|(id, _)| chain.0.iter().any(|filter| filter.id == *id));
    }

    #[cfg(test)]
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    fn run_through(&mut self, filters: &[Arc<Filter>], batch: Batch, budget: &mut Budget) -> Outcome {
        let mut flow = Flow::new(batch);
        for filter in filters {
            if flow.batch.is_empty() {
                break;
            }
            self.pass(filter, &mut flow, budget);
        }
        let Flow { batch, failed, without_sender, holding, .. } = flow;
        Outcome { batch, failed, without_sender, holding, tick_failed: None }
    }

    fn pass(&mut self, filter: &Arc<Filter>, flow: &mut Flow, budget: &mut Budget) {
        if let Some(slot) = &filter.slot {
            let mut slot = lock(slot);
            filter.context.credit.given(flow.batch.len(), flow.batch.byte_len());
            self.pass_with(filter, &mut slot, flow, budget);
            return slot.exchange_if_grown(filter);
        }
        let (id, mut slot) = match self.slots.iter().position(|(id, _)| *id == filter.id) {
            Some(place) => self.slots.swap_remove(place),
            None => (filter.id, Slot::default()),
        };
        self.pass_with(filter, &mut slot, flow, budget);
        slot.exchange_if_grown(filter);
        self.slots.push((id, slot));
    }

    fn pass_with(&mut self, filter: &Filter, slot: &mut Slot, flow: &mut Flow, budget: &mut Budget) {
        let input = std::mem::take(&mut flow.batch);
        filter.tap.offer(&input);
        let mut rewrite = Rewrite::new(std::mem::take(&mut self.spare), std::mem::take(&mut self.spare_origins));
        let mut search = Search::new(filter, slot, &input, &mut self.part, budget);
        let result = search.run(&mut rewrite, filter.spec().on_error == OnError::Pass);
        let (counts, failed_ranges) = (search.counts, std::mem::take(&mut search.failed_ranges));
        let (holding, replay_failures) =
            (std::mem::take(&mut search.holding), std::mem::take(&mut search.replay_failures));
        let failed: usize = failed_ranges.iter().map(|range| range.records.len()).sum();
        flow.note(filter, &input, &failed_ranges);
        let records_in = input.len();
        let finished = rewrite.finish(input);
        let metrics = &filter.metrics;
        metrics.records_in.increment(records_in as u64);
        metrics.records_out.increment(finished.batch.len() as u64);
        metrics.dropped.increment(counts.dropped);
        metrics.patched.increment(counts.patched);
        if failed > 0 {
            metrics.failed.increment(failed as u64);
        }
        report(filter, result, failed, records_in);
        flow.batch = finished.batch;
        if let Some(origins) = finished.origins {
            flow.origins = Some(flow.translate(origins));
        }
        if filter.holds_records() {
            flow.holding.extend(holding);
            flow.without_sender.extend(replay_failures.into_iter().map(|failed| failed_earlier(filter, failed)));
            if let Some(excess) = slot.held.take_excess(&mut flow.holding) {
                flow.add_excess(filter, &excess);
                slot.instance = None;
            }
        }
        self.spare = spare(finished.spare);
        self.spare_origins = finished.spare_origins;
    }
}

impl Flow {
    /// Records failures for their policy.
    fn note(&mut self, filter: &Filter, input: &Batch, failed_ranges: &[FailedRange]) {
        let action = match filter.spec().on_error {
            OnError::Pass => return,
            OnError::Quarantine => Action::Quarantine,
            OnError::Reject => Action::Reject,
        };
        for range in failed_ranges {
            for at in range.records.clone() {
                let index = self.origins.as_ref().map_or(at as u32, |origins| origins[at]);
                let failed = Failed {
                    index,
                    filter: filter.name().to_owned(),
                    reason: range.reason.clone(),
                    action,
                    record: input.get(at).to_vec(),
                };
                match index {
                    NO_SENDER => self.without_sender.push(Failed { action: Action::Quarantine, ..failed }),
                    _ => self.failed.push(failed),
                }
            }
        }
    }

    /// Converts indexes in a filter's input to indexes in the original batch.
    fn translate(&self, mut places: Vec<u32>) -> Vec<u32> {
        if let Some(origins) = &self.origins {
            for place in places.iter_mut().filter(|place| **place != NO_SENDER) {
                *place = origins[*place as usize];
            }
        }
        places
    }

    /// Appends records that a filter held beyond its limits to the batch.
    fn add_excess(&mut self, filter: &Filter, excess: &Batch) {
        let count = excess.len();
        let line = format!("it exceeded the limit on held records: the {count} oldest continue unchanged");
        filter.context.log(Level::Warning, &line);
        let places = 0..self.batch.len() as u32;
        let mut origins = self.origins.take().unwrap_or_else(|| places.collect());
        origins.resize(origins.len() + count, NO_SENDER);
        self.origins = Some(origins);
        self.batch.extend(excess);
    }
}

/// Logs failures and updates the filter's health.
fn report(filter: &Filter, result: Option<BatchResult>, failed: usize, of: usize) {
    let Some(result) = result else { return };
    if let BatchResult::SomeFailed(reason) | BatchResult::GaveUp(reason) = &result {
        let fate = match filter.spec().on_error {
            OnError::Quarantine => "quarantined",
            OnError::Pass => "passed on unchanged",
            OnError::Reject => "rejected",
        };
        filter.context.log(Level::Warning, &format!("{failed} of {of} records failed and are {fate}: {reason}"));
    }
    note(filter, result);
}

fn note(filter: &Filter, result: BatchResult) {
    let Some(health) = filter.failures.note(result, Instant::now()) else { return };
    match &health {
        Health::Ok => tracing::info!(filter = filter.name(), "the filter works again"),
        Health::Failing { batches, reason } => {
            tracing::error!(filter = filter.name(), "the filter failed on {batches} batches in a row: {reason}");
        }
        // The tick reports it when the state is saved.
        Health::Unsaved { .. } => {}
        Health::Suspended { retry_in, reason } => {
            let seconds = retry_in.as_secs_f64().ceil();
            tracing::error!(filter = filter.name(), "the filter is suspended for {seconds} s: {reason}");
        }
    }
    filter.metrics.failing.set(if health == Health::Ok { 0.0 } else { 1.0 });
}

/// A record that a filter failed on during replay.
fn failed_earlier(filter: &Filter, (record, reason): (Bytes, String)) -> Failed {
    let (filter, record) = (filter.name().to_owned(), record.to_vec());
    Failed { index: NO_SENDER, filter, reason, action: Action::Quarantine, record }
}

/// The result of a tick.
#[derive(Default)]
struct TickOutput {
    made: Batch,
    without_sender: Vec<Failed>,
    holding: Holding,
    /// Why it failed.
    failed: Option<String>,
}

impl Worker {
    /// Ticks a stateful filter; does nothing for others.
    fn tick_one(&mut self, filter: &Arc<Filter>, closing: bool, budget: &mut Budget) -> TickOutput {
        let mut said = TickOutput::default();
        let Some(slot) = &filter.slot else { return said };
        let mut slot = lock(slot);
        if let Some(overdue) = slot.held.take_overdue(Instant::now(), &mut said.holding) {
            filter.context.log(Level::Warning, "records that it held beyond the time limit continue unchanged");
            said.made.extend(&overdue);
            slot.instance = None;
        }
        let mut changes = Changes::default();
        let start = Instant::now();
        let mut replayed = Replayed::default();
        let prepared = match filter.holds_records() {
            true => slot.replay_held(filter, &mut self.part, budget, &mut said.holding, &mut replayed),
            false => Ok(()),
        };
        said.made.extend(&replayed.made);
        said.without_sender.extend(replayed.failed.into_iter().map(|failed| failed_earlier(filter, failed)));
        let made = prepared.and_then(|()| {
            let Instance { guest, exports, .. } = slot.instance(filter)?;
            let mut room = budget.room(&Batch::new(), 0..0);
            filter.context.credit.narrow(&mut room);
            exports.tick(guest, closing, filter.spec().timeout, &mut changes, &mut room)
        });
        budget.spend_time(start.elapsed());
        match made {
            Ok(made) => {
                filter.context.credit.emitted(&made);
                budget.spend_output(&made, &Batch::new(), 0..0);
                said.made.extend(&made);
                slot.held.apply(&filter.context.filter, &mut changes, &mut said.holding);
                if !closing && !filter.holds_records() {
                    filter.save_if_due(&mut slot);
                }
            }
            Err(error) => {
                slot.failed(filter, &error);
                filter.metrics.error(error.kind);
                let reason = format!("`tick` failed: {error}");
                filter.context.log(Level::Warning, &reason);
                note(filter, BatchResult::TickFailed(reason.clone()));
                said.failed = Some(reason);
            }
        }
        said
    }
}
