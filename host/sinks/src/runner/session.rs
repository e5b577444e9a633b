//! The runner's loop. A session lasts from a sink's `start` to its next failure; between two sessions the runner waits.
//! So there is only one way to begin, after a start, a crash, a lost connection or a full disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use weir_journal::{Entry, Journal, ReadError, Reader};

use super::backoff::Backoff;
use super::delivery::{Delivery, Progress};
use super::erase::{EraseRequest, Remembered};
use super::fallback::{Request, StandIn};
use super::status::StatusTracker;
use super::{RunnerOptions, Stop};
use crate::limits;
use crate::sink::{Batching, Position, Quarantine, Selected, Sink, SinkError};
use crate::text::escaped;

/// Why a session ended.
pub(super) enum SessionEnd {
    /// A stop was requested.
    Stopped,
    /// The sink failed.
    Error(SinkError),
    /// Records are to be erased. What was read before must not be delivered any more.
    Erase(Box<EraseRequest>),
}

impl From<SinkError> for SessionEnd {
    fn from(error: SinkError) -> SessionEnd {
        SessionEnd::Error(error)
    }
}

/// Delivers the journal's records to one sink.
pub(crate) struct Runner {
    pub(super) name: String,
    pub(super) from: String,
    pub(super) options: RunnerOptions,
    pub(super) sink: Box<dyn Sink>,
    pub(super) batching: Batching,
    journal: Journal,
    /// Held between sessions too, so that the journal always knows this sink's reader.
    pub(super) reader: Option<Reader>,
    pub(super) quarantine: Arc<dyn Quarantine>,
    pub(super) tracker: StatusTracker,
    pub(super) stop: watch::Receiver<Stop>,
    /// Receives the requests of other sinks to stand in for them.
    pub(super) inbox: mpsc::Receiver<Request>,
    backoff: Backoff,
    /// The journal's newest frame when this runner was created, or the newest that it has read.
    pub(super) last_sequence: u64,
    /// The last frame that was passed to the sink, or that has nothing for it.
    delivered: u64,
    /// The last durable frame; the journal's cursor.
    durable: u64,
    /// The last record that a sink without its own position has taken: beyond `durable` if a delivery failed within a
    /// frame.
    pub(super) taken: Option<Position>,
    /// Where the failed delivery ended.
    failed_end: Option<Position>,
    /// Since when something delivered has not been durable.
    pub(super) undurable_since: Option<Instant>,
    tend_at: Instant,
    pub(super) skipped: u64,
    pub(super) erased: Remembered,
}

impl Runner {
    pub fn new(
        options: RunnerOptions,
        sink: Box<dyn Sink>,
        journal: Journal,
        quarantine: Arc<dyn Quarantine>,
        tracker: StatusTracker,
        stop: watch::Receiver<Stop>,
        inbox: mpsc::Receiver<Request>,
    ) -> Result<Runner, ReadError> {
        let name = options.name.clone();
        let last_sequence = journal.last_sequence();
        let reader = journal.reader(&name, None)?;
        let cursor = reader.position();
        tracker.ready_from(cursor);
        Ok(Runner {
            from: format!("sink:{name}"),
            name,
            options,
            batching: sink.batching(),
            sink,
            journal,
            reader: Some(reader),
            quarantine,
            tracker,
            stop,
            inbox,
            backoff: Backoff::default(),
            last_sequence,
            delivered: cursor,
            durable: cursor,
            taken: None,
            failed_end: None,
            undurable_since: None,
            tend_at: Instant::now(),
            skipped: 0,
            erased: Remembered::default(),
        })
    }

    /// Runs until stopped. Returns the error that prevented a complete delivery.
    pub async fn run(mut self) -> Option<String> {
        let error = loop {
            let end = self.session().await;
            if matches!(end, SessionEnd::Error(_)) {
                // A flush would make half a delivery durable. The next start undoes it and reports what the sink has.
                self.undurable_since = None;
            }
            let (error, asked) = match end {
                SessionEnd::Stopped => break None,
                SessionEnd::Erase(request) => {
                    self.erase(*request).await;
                    continue;
                }
                SessionEnd::Error(SinkError::Retry(error)) => (error, Duration::ZERO),
                SessionEnd::Error(SinkError::Later(error, wait)) => (error, wait.min(limits::LONGEST_WAIT)),
                SessionEnd::Error(SinkError::Fatal(error) | SinkError::Reject(error)) => {
                    tracing::error!(sink = self.name, "stopped delivering: {}", escaped(&error));
                    self.tracker.failed(&error);
                    while let Some(request) = self.refuse_until_stopped(&error).await {
                        self.erase(request).await;
                    }
                    break Some(error);
                }
            };
            let wait = self.backoff.next_wait().max(asked);
            if self.tracker.retrying(&error) {
                tracing::warn!(sink = self.name, "retrying: {}", escaped(&error));
            }
            // The end of the backoff, a stop or an erasure ends the wait.
            match timeout(wait, self.refuse_until_stopped(&error)).await {
                Err(_) => {}
                Ok(Some(request)) => self.erase(request).await,
                Ok(None) => break Some(error),
            }
        };
        self.tracker.stopped();
        error
    }

    /// Waits for the stop or a request to erase, and meanwhile refuses to stand in for other sinks.
    async fn refuse_until_stopped(&mut self, error: &str) -> Option<EraseRequest> {
        loop {
            tokio::select! {
                // An error means that the running sink was dropped, which is a stop too.
                _ = self.stop.wait_for(|stop| *stop != Stop::No) => return None,
                Some(request) = self.inbox.recv() => match request {
                    Request::Erase(request) => return Some(request),
                    // Nobody receives if the other sink was stopped.
                    Request::StandIn(request) => drop(request.answer.send(Err(error.to_string()))),
                }
            }
        }
    }

    async fn session(&mut self) -> SessionEnd {
        if let Err(end) = self.begin().await {
            return end;
        }
        loop {
            match self.step().await {
                Ok(()) => {}
                Err(SessionEnd::Stopped) => return self.finish().await,
                Err(error) => return error,
            }
        }
    }

    /// Starts the sink and opens the journal at its position.
    async fn begin(&mut self) -> Result<(), SessionEnd> {
        // What this runner has delivered itself can't come from a lost journal.
        self.last_sequence = self.last_sequence.max(self.delivered);
        let started = tokio::select! {
            started = self.sink.start(self.last_sequence) => started?,
            () = drain_over(&mut self.stop, Duration::ZERO) => return Err(SessionEnd::Stopped),
        };
        let after = match started {
            Some(held) if held > self.last_sequence => {
                tracing::warn!(
                    sink = self.name,
                    held,
                    last = self.last_sequence,
                    "the sink holds frames that the journal has lost; continuing with the journal's newest"
                );
                self.last_sequence
            }
            Some(held) => {
                self.taken = None;
                held
            }
            None => self.durable,
        };
        drop(self.reader.take());
        let reader = self.journal.reader(&self.name, Some(after)).map_err(|error| self.unreadable(&error))?;
        self.reader = Some(reader);
        (self.delivered, self.durable, self.undurable_since, self.skipped) = (after, after, None, 0);
        self.tracker.ready_from(after);
        if self.backoff_is_over() {
            self.tracker.working();
        }
        Ok(())
    }

    /// A sink that starts again and again but never delivers is still retrying.
    fn backoff_is_over(&self) -> bool {
        self.delivered >= self.journal.last_sequence() || !self.backoff.is_running()
    }

    /// Delivers what is waiting, flushes if that is due, or waits.
    async fn step(&mut self) -> Result<(), SessionEnd> {
        let stop = *self.stop.borrow();
        match stop {
            Stop::Now => return Err(SessionEnd::Stopped),
            Stop::Drain(deadline) if Instant::now() >= deadline => return Err(SessionEnd::Stopped),
            Stop::Drain(_) if self.delivered >= self.journal.last_sequence() => return Err(SessionEnd::Stopped),
            _ => {}
        }
        if self.flush_wait().is_some_and(|wait| wait.is_zero()) {
            self.flush().await?;
        }
        if stop == Stop::No && Instant::now() >= self.tend_at {
            let more = self.sink.maintain().await?;
            self.tend_at = Instant::now() + if more { Duration::ZERO } else { limits::MAINTENANCE_INTERVAL };
        }
        let Some(mut entries) = self.next(stop, None).await? else { return Ok(()) };
        self.gather(stop, &mut entries).await?;
        self.note_skipped();
        self.deliver(entries).await
    }

    pub(super) fn flush_wait(&self) -> Option<Duration> {
        self.undurable_since.map(|since| limits::SYNC_INTERVAL.saturating_sub(since.elapsed()))
    }

    /// Takes another sink's records. A failure here counts like any other failure of this sink.
    pub(super) async fn stand_in(&mut self, request: StandIn) -> Result<(), SessionEnd> {
        let frames = self.erased.left_out_of(request.frames);
        let mut delivery = Delivery {
            sink: &mut *self.sink,
            from: &self.from,
            quarantine: &*self.quarantine,
            tracker: &self.tracker,
            most: self.batching.records,
            stands_in: true,
            ends_at: None,
        };
        let mut progress = Progress::default();
        let outcome = tokio::select! {
            outcome = delivery.run(frames, &mut progress) => outcome,
            () = drain_over(&mut self.stop, Duration::ZERO) => return Err(SessionEnd::Stopped),
        };
        self.tracker.stood_in(progress.records);
        let answer = outcome.as_ref().map(|()| progress).map_err(SinkError::to_string);
        // Nobody receives if it took too long.
        let _ = request.answer.send(answer);
        Ok(outcome?)
    }

    async fn deliver(&mut self, entries: Vec<Entry>) -> Result<(), SessionEnd> {
        let Some((last, time_ns)) = entries.last().map(|entry| (entry.sequence, entry.time_ns)) else {
            return Ok(());
        };
        // The journal had these frames, even if the sink takes them and then fails to report it.
        self.last_sequence = self.last_sequence.max(last);
        let frames = self.select(entries)?;
        if frames.iter().all(Selected::is_empty) {
            self.delivered = last;
            self.tracker.delivered(last, time_ns, 0, None);
            if self.undurable_since.is_none() {
                self.commit(last);
            }
            return Ok(());
        }
        let begun = Instant::now();
        let mut delivery = Delivery {
            sink: &mut *self.sink,
            from: &self.from,
            quarantine: &*self.quarantine,
            tracker: &self.tracker,
            most: self.batching.records,
            stands_in: false,
            ends_at: self.failed_end,
        };
        let mut progress = Progress::default();
        // A stop during a delivery limits its time; otherwise a delivery may take as long as its sink allows.
        let outcome = tokio::select! {
            outcome = delivery.run(frames, &mut progress) => outcome,
            () = drain_over(&mut self.stop, limits::FLUSH_TIME / 2) => Err(SinkError::Retry("a delivery was in progress when the time limit for stopping was reached".into())),
        };
        self.failed_end = progress.failed_end.filter(|_| outcome.is_err());
        if let Err(error) = outcome {
            self.keep(&progress, time_ns);
            return Err(SessionEnd::Error(error));
        }
        self.backoff.reset();
        self.tracker.working();
        self.delivered = last;
        self.tracker.delivered(last, time_ns, progress.records, Some(begun.elapsed().as_secs_f64()));
        match progress.durable {
            None => {
                self.undurable_since = None;
                self.commit(last);
            }
            Some(durable) => {
                self.undurable_since.get_or_insert(begun);
                if durable > self.durable {
                    self.commit(durable.min(last));
                }
            }
        }
        Ok(())
    }

    /// Records what a failed delivery had taken before it failed. A sink without its own position would otherwise
    /// receive it again.
    fn keep(&mut self, progress: &Progress, time_ns: i64) {
        let Some(taken) = progress.taken.filter(|_| progress.durable.is_none() && self.undurable_since.is_none())
        else {
            return;
        };
        self.taken = Some(taken);
        self.delivered = self.delivered.max(taken.last_whole_frame());
        self.tracker.delivered(self.delivered, time_ns, progress.records, None);
        self.commit(self.delivered);
    }

    pub(super) async fn flush(&mut self) -> Result<(), SessionEnd> {
        self.sink.flush().await?;
        self.undurable_since = None;
        self.commit(self.delivered);
        Ok(())
    }

    fn commit(&mut self, sequence: u64) {
        self.durable = sequence;
        if let Some(reader) = self.reader.as_mut() {
            reader.commit(sequence);
        }
    }

    /// The last flush, within its time limit.
    async fn finish(&mut self) -> SessionEnd {
        if self.undurable_since.is_none() || !matches!(*self.stop.borrow(), Stop::Drain(_)) {
            return SessionEnd::Stopped;
        }
        match timeout(limits::FLUSH_TIME / 2, self.flush()).await {
            Ok(Ok(())) => SessionEnd::Stopped,
            Ok(Err(end)) => end,
            Err(_) => {
                SessionEnd::Error(SinkError::Retry(format!("sink `{}`: the last flush took too long", self.name)))
            }
        }
    }
}

/// Resolves when a stop is requested or the running sink is dropped.
async fn stopped(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(|stop| *stop != Stop::No).await;
}

/// Resolves once a stop was requested and its time for deliveries plus `grace` has passed.
pub(super) async fn drain_over(stop: &mut watch::Receiver<Stop>, grace: Duration) {
    stopped(stop).await;
    let asked = *stop.borrow();
    if let Stop::Drain(deadline) = asked {
        tokio::time::sleep_until((deadline + grace).into()).await;
    }
}
