//! The pipeline: deliveries from ingest, through the chain of filters, into the journal, and the
//! answer back.
//!
//! It runs on threads of its own, one a core, each with its own instances of the filters. A thread
//! takes every delivery that waits (up to a bound) as one batch, so that senders of single records
//! get the efficiency of batches with no timer and no added delay.
//!
//! **A delivery is answered only after its records are durable**: in the journal, or in quarantine.
//! **A batch is seen by one version of the chain**: it is read once, before the first filter.

mod answer;
mod gather;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use weir_engine::{Action, Chain, Engine, Outcome, Worker};
use weir_ingest::{Delivery, Refusal};
use weir_journal::Journal;

use crate::canary::Standing;
use crate::limits;
use crate::quarantine::Quarantine;
use crate::refused::Refused;
use crate::sample::Sample;
use crate::stages::Stages;
use answer::Answers;
use gather::gather;

/// What the threads of the pipeline share.
pub struct Shared {
    pub engine: Arc<Engine>,
    pub chain: ArcSwap<Chain>,
    /// How the trials of new versions stand, by the filter's name.
    pub trials: ArcSwap<HashMap<String, Arc<Standing>>>,
    pub journal: Journal,
    pub quarantine: Arc<Quarantine>,
    pub sample: Sample,
    pub stages: Stages,
    pub refused: Refused,
}

/// The running threads, and the way in.
pub struct Pipeline {
    shared: Arc<Shared>,
    waiting: Sender<Delivery>,
    closing: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts `workers` threads and the one that ticks stateful filters.
    pub fn start(shared: Arc<Shared>, workers: usize) -> std::io::Result<Self> {
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

    /// A way in for ingest.
    pub fn entrance(&self) -> Entrance {
        Entrance { waiting: self.waiting.clone() }
    }

    /// Ends the threads after what waits is done and lets stateful filters say their last. What an
    /// [`Entrance`] takes after that is not answered.
    pub fn stop(self) {
        self.closing.store(true, Ordering::Release);
        drop(self.waiting);
        for thread in self.threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a pipeline thread had panicked");
            }
        }
        let mut worker = Worker::new(self.shared.engine.clone());
        let outcome = worker.tick(&self.shared.chain.load(), true);
        append_unasked(&self.shared, outcome);
    }
}

/// Where ingest hands deliveries over.
#[derive(Clone)]
pub struct Entrance {
    waiting: Sender<Delivery>,
}

impl Entrance {
    /// Queues a delivery, or says at once that there is no room.
    pub fn submit(&self, delivery: Delivery) -> Result<(), Refusal> {
        self.waiting.try_send(delivery).map_err(|e| match e {
            TrySendError::Full(_) => Refusal::Busy(format!(
                "{} requests wait for the pipeline already; try again shortly",
                limits::WAITING_DELIVERIES
            )),
            TrySendError::Disconnected(_) => Refusal::Busy("weir is stopping".into()),
        })
    }
}

/// One pipeline thread, until the last entrance is gone, or nothing comes while it is told to stop.
fn work(shared: &Shared, deliveries: &Receiver<Delivery>, closing: &AtomicBool) {
    let mut worker = Worker::new(shared.engine.clone());
    loop {
        let first = match deliveries.recv_timeout(limits::TICK) {
            Ok(first) => first,
            // A request that was cut off may hold its entrance for a while yet.
            Err(RecvTimeoutError::Timeout) if closing.load(Ordering::Acquire) => return,
            Err(RecvTimeoutError::Timeout) => {
                // Nothing to do: let go of instances that a swap left behind.
                worker.settle(&shared.chain.load());
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        #[cfg(test)]
        shared.stages.may_panic();
        let (batch, answers) = gather(first, deliveries);
        let chain = shared.chain.load_full();
        shared.sample.offer(&batch);
        let outcome = worker.run(&chain, batch);
        finish(shared, outcome, answers);
    }
}

/// Makes an outcome durable, then answers.
fn finish(shared: &Shared, outcome: Outcome, mut answers: Answers) {
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
    if let Err(error) = shared.quarantine.sync() {
        answers.fail(&error.to_string());
    }
    if outcome.batch.is_empty() {
        answers.send(Ok(()));
        return;
    }
    let records = outcome.batch.len() as u32;
    shared.journal.append(outcome.batch.encode(), records, move |result| {
        answers.send(result.map(|_| ()));
    });
}

/// Ticks stateful filters until told to stop.
fn tick(shared: &Shared, closing: &AtomicBool) {
    let mut worker = Worker::new(shared.engine.clone());
    while !closing.load(Ordering::Acquire) {
        std::thread::park_timeout(limits::TICK);
        #[cfg(test)]
        shared.stages.may_panic();
        let outcome = worker.tick(&shared.chain.load(), false);
        append_unasked(shared, outcome);
    }
}

/// Stores what filters said of their own accord, and waits until it is durable: nobody else does.
pub fn append_unasked(shared: &Shared, outcome: Outcome) {
    for failed in outcome.failed {
        let from = format!("filter:{}", failed.filter);
        if let Err(error) = shared.quarantine.keep(&from, &failed.reason, &failed.record) {
            tracing::error!("{error}");
        }
    }
    if let Err(error) = shared.quarantine.sync() {
        tracing::error!("{error}");
    }
    if outcome.batch.is_empty() {
        return;
    }
    let records = outcome.batch.len() as u32;
    let (done, stored) = crossbeam_channel::bounded(1);
    shared.journal.append(outcome.batch.encode(), records, move |result| {
        // The other end waits until this is sent.
        let _ = done.send(result);
    });
    match stored.recv() {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!("{records} records that filters made are lost: {error}"),
        Err(_) => tracing::error!("{records} records that filters made are lost: the journal has ended"),
    }
}
