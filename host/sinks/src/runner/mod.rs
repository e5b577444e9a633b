//! Delivers records from the journal to one sink.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | starting and stopping a runner, its thread |
//! | `session.rs` | from a sink's `start` to its next failure: read, deliver, flush, commit |
//! | `reading.rs` | the journal's next frames, and which of their records are for the sink |
//! | `delivery.rs` | one delivery, halved around records that the sink refuses |
//! | `backoff.rs` | how long to wait after a failure |
//! | `fallback.rs` | which sink receives records while their own fails |
//! | `erase.rs` | holds a running sink, and erases from it |
//! | `replay.rs` | delivers records again when a user asks for it |
//! | `status.rs` | health and metrics |
//!
//! Invariants
//! - **The journal's cursor follows only what is durable in the sink or in quarantine.** Until then the journal keeps
//!   the frames, so whatever the sink loses in a crash is delivered again.
//! - A sink has its own thread. A slow or blocking sink delays its own cursor and nothing else.
//! - After a failure the sink reports its position and delivery resumes there; nothing is kept in memory for a second
//!   attempt.
//! - Stopping is bounded in time in every state.

mod backoff;
mod delivery;
mod erase;
mod fallback;
mod reading;
mod replay;
mod session;
mod status;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};
use weir_journal::Journal;

pub use self::erase::HeldSink;
pub use self::fallback::{FallbackQueues, MARK as FALLBACK_MARK, fallback_reader, sink_of_fallback_reader};
pub use self::replay::{Replay, Replayed};
pub use self::status::{ErrorKind, FallbackStatus, State, Status, describe_metrics};

use self::fallback::Fallback;
use self::session::Runner;
use self::status::StatusTracker;
use crate::limits;
use crate::select::Selection;
use crate::sink::{Quarantine, Sink};

/// Options of a runner.
#[derive(Clone, Debug, Default)]
pub struct RunnerOptions {
    /// The sink's name in the configuration; also the name of its cursor in the journal.
    pub name: String,
    /// The records that it takes.
    pub selection: Selection,
    /// The sinks that take its records once it has failed for `fallback_after`, in order of preference.
    pub fallback: Vec<String>,
    /// How long it must have been failing before its fallbacks are used.
    pub fallback_after: Duration,
}

/// The outcome of stopping a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The sink's name.
    pub name: String,
    /// Records it took in this run.
    pub delivered_records: u64,
    /// Frames that stay in the journal for the next run.
    pub pending_frames: u64,
    /// Records in them, of all routes and levels.
    pub pending_records: u64,
    /// The error that prevented a complete delivery.
    pub error: Option<String>,
}

/// The stop request of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Keep running.
    No,
    /// Deliver what is waiting until this time, flush, end.
    Drain(Instant),
    /// End now, without a flush.
    Now,
}

/// A running sink.
pub struct RunningSink {
    name: String,
    journal: Journal,
    tracker: StatusTracker,
    stop: watch::Sender<Stop>,
    ended: oneshot::Receiver<Option<String>>,
    /// Resolves when nothing more is sent to a fallback.
    fallback_ended: oneshot::Receiver<()>,
}

/// Starts a thread that delivers everything from the sink's cursor on.
///
/// Call it before anything new is appended to the journal in this process: the sink's own position is compared with the
/// journal's newest frame at that moment.
pub fn spawn(
    options: RunnerOptions,
    sink: Box<dyn Sink>,
    journal: Journal,
    quarantine: Arc<dyn Quarantine>,
    queues: &FallbackQueues,
) -> Result<RunningSink, String> {
    let name = options.name.clone();
    let tracker = StatusTracker::new(&name, 0);
    let (stop, stopping) = watch::channel(Stop::No);
    let (done, ended) = oneshot::channel();
    let fallback = Fallback {
        name: name.clone(),
        selection: options.selection.clone(),
        chain: options.fallback.clone(),
        after: options.fallback_after,
        journal: journal.clone(),
        queues: queues.clone(),
        tracker: tracker.clone(),
        stop: stopping.clone(),
    };
    // Opened before the thread starts: from now on the journal keeps everything this sink has not delivered.
    let runner = Runner::new(options, sink, journal.clone(), quarantine, tracker.clone(), stopping, queues.open(&name))
        .map_err(|error| format!("sink `{name}`: {error}"))?;
    on_a_thread(format!("sink-{name}"), tracker.clone(), async move {
        let error = runner.run().await;
        // Nobody receives if the running sink was dropped instead of stopped.
        let _ = done.send(error);
    })
    .map_err(|error| format!("sink `{name}`: can't start its thread: {error}"))?;
    let (fallback_done, fallback_ended) = oneshot::channel();
    if fallback.chain.is_empty() {
        // It may have had a fallback in an earlier run.
        journal.forget(&fallback_reader(&name));
    } else {
        on_a_thread(format!("fallback-{name}"), tracker.clone(), async move {
            fallback.run().await;
            drop(fallback_done);
        })
        .map_err(|error| format!("sink `{name}`: can't start the thread of its fallback: {error}"))?;
    }
    Ok(RunningSink { name, journal, tracker, stop, ended, fallback_ended })
}

/// Runs `work` on a dedicated thread, where it may block. A panic is recorded in the status.
fn on_a_thread(
    name: String,
    tracker: StatusTracker,
    work: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || {
        // The panic drops what `work` owned, and nothing uses it afterwards.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work))) {
            let what = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            tracker.panicked(what.unwrap_or("a panic without a message"));
        }
    };
    thread::Builder::new().name(name).spawn(run).map(drop)
}

impl RunningSink {
    /// The sink's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Stops both threads without a flush, so that another runner can take over.
    pub async fn end(&mut self) {
        self.stop.send_replace(Stop::Now);
        // Both check for the stop while they wait.
        if !self.ended.is_terminated() {
            let _ = tokio::time::timeout(limits::FLUSH_TIME, &mut self.ended).await;
        }
        if !self.fallback_ended.is_terminated() {
            let _ = tokio::time::timeout(limits::FLUSH_TIME, &mut self.fallback_ended).await;
        }
    }

    /// True if one of its threads has panicked: nothing is delivered until another runner takes over.
    pub fn has_panicked(&self) -> bool {
        self.tracker.has_panicked()
    }

    /// Its health and counters; also updates the lag on `/metrics`.
    pub fn status(&self) -> Status {
        self.tracker.status(&self.journal)
    }

    /// Delivers what the journal contains now, within [`limits::DRAIN_TIME`], flushes, and returns what is pending. A
    /// sink that is retrying or has failed stops at once.
    pub async fn stop(self) -> Stopped {
        self.stop_within(limits::DRAIN_TIME).await
    }

    /// Like [`stop`](Self::stop), with another time limit; zero stops after the current delivery.
    pub async fn stop_within(mut self, drain: Duration) -> Stopped {
        self.stop.send_replace(Stop::Drain(Instant::now() + drain));
        let patience = drain + limits::FLUSH_TIME + Duration::from_secs(1);
        let error = if self.has_panicked() {
            self.end().await;
            self.status().last_error
        } else {
            match tokio::time::timeout(patience, &mut self.ended).await {
                Ok(Ok(error)) => error,
                Ok(Err(_)) => Some("its thread ended unexpectedly".to_string()),
                Err(_) => Some(format!("did not stop within {} s", patience.as_secs())),
            }
        };
        // Takes only moments: it checks for the stop while it waits.
        if !self.fallback_ended.is_terminated() {
            let _ = tokio::time::timeout(limits::FLUSH_TIME, &mut self.fallback_ended).await;
        }
        let pending = self.journal.readers().into_iter().find(|reader| reader.name == self.name);
        Stopped {
            name: self.name.clone(),
            delivered_records: self.status().records,
            pending_frames: pending.as_ref().map_or(0, |reader| reader.lag_frames),
            pending_records: pending.as_ref().map_or(0, |reader| reader.lag_records),
            error,
        }
    }
}

impl Drop for RunningSink {
    /// Ends the runner without a flush, as a crash would. What was not flushed is delivered again.
    fn drop(&mut self) {
        self.stop.send_if_modified(|stop| {
            let running = *stop == Stop::No;
            if running {
                *stop = Stop::Now;
            }
            running
        });
    }
}
