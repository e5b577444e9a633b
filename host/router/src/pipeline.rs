//! The pipeline: takes deliveries from ingest, runs them through the filters, appends them to the journal, and answers
//! the senders.
//!
//! It has one thread per core, each with its own filter instances. A thread takes all waiting deliveries, up to a
//! limit, as one batch, so that senders of single records get the efficiency of batches without a timer or added delay.
//!
//! **A delivery is answered only after its records are durable**: in the journal, or in quarantine. **A batch passes
//! through one version of the chain** (`chains.rs`). **Room in the journal is reserved before filters run**, so that a
//! 503 leaves no trace in their state.

mod answer;
mod gather;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLockReadGuard};
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use weir_engine::{Action, Chain, Engine, Filter, Outcome, Worker};
use weir_ingest::{Delivery, Refusal};
use weir_journal::{AppendError, Journal, Reservation};

use crate::canary::TrialStatus;
use crate::chains::Chains;
use crate::held;
use crate::levels::Levels;
use crate::limits;
use crate::positions::{Advance, Positions};
use crate::quarantine::Quarantine;
use crate::refused::Refused;
use crate::repeats::{Admission, NewKey, Repeats};
use crate::sample::Sample;
use crate::stages::Stages;
use crate::wiring::lock;
use answer::Answers;
use gather::gather;

/// State shared by the pipeline threads.
pub struct PipelineState {
    pub engine: Arc<Engine>,
    pub chain: Chains,
    /// Status of canary trials, by filter name.
    pub trials: ArcSwap<HashMap<String, Arc<TrialStatus>>>,
    pub journal: Journal,
    pub quarantine: Arc<Quarantine>,
    pub sample: Sample,
    pub levels: Levels,
    pub stages: Stages,
    pub refused: Refused,
    /// Removed filters whose last records wait for room in the journal.
    pub retiring: Mutex<Vec<Arc<Filter>>>,
    pub repeats: Arc<Repeats>,
    pub positions: Arc<Positions>,
    /// See [`PipelineState::in_order`].
    pub order: Mutex<()>,
    /// Set after a failed append: the state of filters may differ from the journal.
    pub restore_requested: AtomicBool,
}

impl PipelineState {
    /// Requests that the state of filters is restored from the journal.
    fn request_restore(&self) {
        self.restore_requested.store(true, Ordering::Release);
    }

    /// If a filter holds records, batches pass through the chain and enter the journal's queue one at a time: a release
    /// must not precede the frame that contains the held record.
    pub fn in_order(&self, chain: &Chain) -> Option<MutexGuard<'_, ()>> {
        chain.0.iter().any(|filter| filter.holds_records()).then(|| lock(&self.order))
    }

    /// See [`held::restore_after_failure`].
    pub fn needs_restore(&self) -> bool {
        self.restore_requested.load(Ordering::Acquire)
    }

    /// Marks the state of filters as restored.
    pub fn mark_restored(&self) {
        self.restore_requested.store(false, Ordering::Release);
    }
}

/// The running pipeline threads and their queue.
pub struct Pipeline {
    shared: Arc<PipelineState>,
    waiting: Sender<Admitted>,
    closing: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts `workers` threads, and one that ticks stateful filters.
    pub fn start(shared: Arc<PipelineState>, workers: usize) -> std::io::Result<Self> {
        let (waiting, deliveries) = crossbeam_channel::bounded(limits::WAITING_DELIVERIES);
        let closing = Arc::new(AtomicBool::new(false));
        let stages = &shared.stages;
        let mut threads = Vec::with_capacity(workers + 1);
        for number in 0..workers {
            let (shared, deliveries, stop) = (shared.clone(), deliveries.clone(), closing.clone());
            let body = move || work(&shared, &deliveries, &stop);
            threads.push(stages.spawn(format!("weir-pipeline-{number}"), closing.clone(), body)?);
        }
        let (ticking, stop) = (shared.clone(), closing.clone());
        threads.push(stages.spawn("weir-tick".into(), closing.clone(), move || tick(&ticking, &stop))?);
        Ok(Self { shared, waiting, closing, threads })
    }

    /// A sender for deliveries. The threads run as long as a sender exists.
    pub fn sender(&self) -> PipelineSender {
        PipelineSender { waiting: self.waiting.clone(), repeats: self.shared.repeats.clone() }
    }

    /// Processes queued deliveries, stops the threads and gives stateful filters a final tick. Later deliveries are not
    /// answered.
    pub fn stop(self) {
        self.closing.store(true, Ordering::Release);
        drop(self.waiting);
        for thread in self.threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a pipeline thread panicked");
            }
        }
        let mut worker = Worker::new(self.shared.engine.clone());
        last_tick(&self.shared, &mut worker);
    }
}

/// Sends deliveries from ingest to the pipeline.
#[derive(Clone)]
pub struct PipelineSender {
    waiting: Sender<Admitted>,
    repeats: Arc<Repeats>,
}

/// A delivery that is no repetition, and what the journal shall hold for it.
pub struct Admitted {
    pub delivery: Delivery,
    pub mark: Option<Mark>,
}

/// What becomes durable in the same frame as the records of a delivery.
pub enum Mark {
    Key(NewKey),
    Positions(Advance),
}

impl PipelineSender {
    /// Queues a delivery, or fails immediately if the queue is full. A repetition is answered at once.
    pub fn submit(&self, delivery: Delivery) -> Result<(), Refusal> {
        let mark = match delivery.key.map(|key| self.repeats.admit(key)).transpose()? {
            None => None,
            Some(Admission::New(key)) => Some(Mark::Key(key)),
            Some(Admission::Repeated(receipt)) => {
                // The sender may be gone.
                _ = delivery.reply.send(Ok(receipt));
                return Ok(());
            }
        };
        self.queue(Admitted { delivery, mark })
    }

    /// Queues what a source has read, or fails immediately if the queue is full.
    pub fn submit_from_source(&self, delivery: Delivery, positions: Advance) -> Result<(), Refusal> {
        self.queue(Admitted { delivery, mark: Some(Mark::Positions(positions)) })
    }

    fn queue(&self, admitted: Admitted) -> Result<(), Refusal> {
        self.waiting.try_send(admitted).map_err(|e| match e {
            TrySendError::Full(_) => Refusal::Busy(format!(
                "{} requests are already queued for the pipeline; retry shortly",
                limits::WAITING_DELIVERIES
            )),
            TrySendError::Disconnected(_) => Refusal::Busy("weir is stopping".into()),
        })
    }
}

/// Requests a restore if the thread panics, since filters may then have state that the journal doesn't know.
struct RestoreOnPanic<'a>(&'a PipelineState);

impl Drop for RestoreOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.request_restore();
        }
    }
}

/// Runs a pipeline thread until the last sender is dropped, or until the queue is empty during a stop.
fn work(shared: &Arc<PipelineState>, deliveries: &Receiver<Admitted>, closing: &AtomicBool) {
    let _restore_on_panic = RestoreOnPanic(shared);
    let mut worker = Worker::new(shared.engine.clone());
    loop {
        let first = match deliveries.recv_timeout(limits::TICK) {
            Ok(first) => first,
            // A request that was cut off may still hold a sender.
            Err(RecvTimeoutError::Timeout) if closing.load(Ordering::Acquire) => return,
            Err(RecvTimeoutError::Timeout) => {
                // Idle: drop instances of replaced filters.
                worker.drop_unused_instances(&shared.chain.load());
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        #[cfg(test)]
        shared.stages.may_panic();
        let (batch, answers) = gather(first, deliveries);
        let room = match shared.journal.reserve(batch.byte_len() as u64) {
            Ok(room) => room,
            Err(error) => {
                answers.send(Err(error));
                continue;
            }
        };
        shared.sample.offer(&batch);
        match enter(shared) {
            Ok((chain, _in_order)) => {
                let outcome = worker.run(&chain, batch);
                finish(shared, outcome, answers, room);
            }
            Err(error) => answers.send(Err(error)),
        }
    }
}

/// The chain, and the turn of a batch in it (see [`PipelineState::in_order`]).
type Entered<'s> = (RwLockReadGuard<'s, Arc<Chain>>, Option<MutexGuard<'s, ()>>);

/// Enters the chain after its filters are restored, if necessary, and removed filters have emitted their last records,
/// which precede this batch.
fn enter(shared: &Arc<PipelineState>) -> Result<Entered<'_>, AppendError> {
    loop {
        if shared.needs_restore() {
            held::restore_after_failure(shared);
        }
        retire_waiting(shared)?;
        let chain = shared.chain.enter();
        // Filters are removed only while no thread has the chain.
        if lock(&shared.retiring).is_empty() {
            let in_order = shared.in_order(&chain);
            // The batch before may have failed while this one waited for its turn.
            if in_order.is_none() || !shared.needs_restore() {
                return Ok((chain, in_order));
            }
        }
    }
}

/// Gives waiting removed filters their final tick.
fn retire_waiting(shared: &Arc<PipelineState>) -> Result<(), AppendError> {
    if lock(&shared.retiring).is_empty() {
        return Ok(());
    }
    let emitted: Vec<_> = shared.chain.exclusive(|chain| {
        let retiring = std::mem::take(&mut *lock(&shared.retiring));
        retiring.iter().map(|filter| retire(shared, filter, chain)).collect()
    });
    let mut all_gone = Ok(());
    for emitted in emitted {
        all_gone = all_gone.and(emitted.map(EmittedRecords::wait));
    }
    all_gone
}

/// Makes an outcome durable, then answers the senders.
fn finish(shared: &Arc<PipelineState>, outcome: Outcome, mut answers: Answers, room: Reservation) {
    for failed in outcome.failed {
        match failed.action {
            Action::Reject => answers.reject(failed.index, failed.reason),
            Action::Quarantine => {
                let from = format!("filter:{}", failed.filter);
                let kept = shared.quarantine.keep(&from, &failed.reason, &failed.record);
                answers.quarantine(failed.index, failed.reason, kept);
            }
        }
    }
    answers.keep_bad(&shared.quarantine);
    let set_aside = store::set_aside(shared, &outcome.without_sender);
    if let Err(error) = set_aside.and_then(|()| shared.quarantine.sync()) {
        answers.fail(&error.to_string());
    }
    if answers.have_failed() {
        // The senders repeat everything, so nothing is stored, and what filters held before stays held.
        shared.request_restore();
        answers.send(Ok(()));
        return;
    }
    let mut ledger = held::ledger(outcome.holding);
    answers.mark(&mut ledger, &shared.engine);
    store::append(shared, &outcome.batch, ledger, room, move |result| answers.send(result));
}

/// Ticks stateful filters until the pipeline stops.
fn tick(shared: &Arc<PipelineState>, closing: &AtomicBool) {
    let _restore_on_panic = RestoreOnPanic(shared);
    let mut worker = Worker::new(shared.engine.clone());
    while !closing.load(Ordering::Acquire) {
        std::thread::park_timeout(limits::TICK);
        #[cfg(test)]
        shared.stages.may_panic();
        // No tick without room in the journal: the output could not be stored.
        let Ok(room) = shared.journal.reserve(limits::TICK_BYTES) else { continue };
        if let Err(error) = tick_once(shared, &mut worker, room, false) {
            tracing::debug!(%error, "a removed filter waits for room in the journal");
        }
    }
}

fn tick_once(
    shared: &Arc<PipelineState>,
    worker: &mut Worker,
    room: Reservation,
    closing: bool,
) -> Result<(), AppendError> {
    let emitted = {
        let (chain, _in_order) = enter(shared)?;
        let outcome = worker.tick(&chain, closing);
        store_emitted(shared, outcome, room)
    };
    emitted.wait();
    Ok(())
}

/// Gives a removed filter its final tick, and passes the records that it emits and holds through the remaining filters,
/// while no batch is in the chain. Without room in the journal, it waits in `retiring`.
pub fn retire(shared: &Arc<PipelineState>, filter: &Arc<Filter>, chain: &Chain) -> Result<EmittedRecords, AppendError> {
    let room =
        shared.journal.reserve(limits::TICK_BYTES).inspect_err(|_| lock(&shared.retiring).push(filter.clone()))?;
    let mut worker = Worker::new(shared.engine.clone());
    let outcome = worker.retire(filter, chain);
    Ok(store_emitted(shared, outcome, room))
}

/// Gives all filters their final tick before Weir stops. Held records are in the journal in any case.
fn last_tick(shared: &Arc<PipelineState>, worker: &mut Worker) {
    let until = Instant::now() + limits::LAST_TICK_WAIT;
    let room = loop {
        match shared.journal.reserve(limits::TICK_BYTES) {
            Ok(room) => break room,
            Err(error) if error.is_temporary() && Instant::now() < until => std::thread::sleep(limits::LAST_TICK_LOOK),
            Err(error) => {
                tracing::error!(
                    "stateful filters get no final tick, since the journal can't store the output: {error}"
                );
                return;
            }
        }
    };
    if let Err(error) = tick_once(shared, worker, room, true) {
        tracing::error!("stateful filters get no final tick: {error}");
    }
}

/// Records that filters emitted on their own, being appended to the journal.
pub struct EmittedRecords {
    records: usize,
    stored: Receiver<Result<(), AppendError>>,
}

impl EmittedRecords {
    /// Waits until they are durable.
    pub fn wait(self) {
        let records = self.records;
        if let Err(error) = self.stored.recv().unwrap_or(Err(AppendError::Closed)) {
            tracing::error!(
                "can't store {records} records emitted by filters; records that they hold are restored: {error}"
            );
        }
    }
}

/// Appends records that filters emitted on their own. The caller must wait until they are durable.
pub fn store_emitted(shared: &Arc<PipelineState>, mut outcome: Outcome, room: Reservation) -> EmittedRecords {
    let (done, stored) = crossbeam_channel::bounded(1);
    let emitted = EmittedRecords { records: outcome.batch.len(), stored };
    outcome.without_sender.append(&mut outcome.failed);
    let set_aside = store::set_aside(shared, &outcome.without_sender);
    if let Err(error) = set_aside.and_then(|()| shared.quarantine.sync()) {
        tracing::error!("{error}");
        if !outcome.without_sender.is_empty() && !outcome.holding.is_empty() {
            // Held records stay held, since they are stored nowhere else.
            shared.request_restore();
            return emitted;
        }
    }
    store::append(shared, &outcome.batch, held::ledger(outcome.holding), room, move |result| {
        // The receiver may be gone.
        let _ = done.send(result);
    });
    emitted
}
