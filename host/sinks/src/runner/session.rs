//! The runner's loop. A session lasts from a sink's `start` to its next failure; between two sessions the runner
//! waits. So there is one way to begin, whether after a start, a crash, a lost connection or a full disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;
use weir_journal::{Entry, Journal, ReadError, Reader};
use weir_record::Batch;

use super::backoff::Backoff;
use super::round::Round;
use super::status::Board;
use super::{RunnerOptions, Stop};
use crate::limits;
use crate::sink::{Quarantine, Selected, Sink, SinkError};

/// Why a session ended.
enum End {
    /// It was asked to.
    Stopped,
    /// The sink failed.
    Error(SinkError),
}

impl From<SinkError> for End {
    fn from(error: SinkError) -> End {
        End::Error(error)
    }
}

/// Everything that carries records to one sink.
pub(crate) struct Runner {
    name: String,
    from: String,
    options: RunnerOptions,
    sink: Box<dyn Sink>,
    journal: Journal,
    /// Held between sessions too, so that the journal never forgets that this sink exists.
    reader: Option<Reader>,
    quarantine: Arc<dyn Quarantine>,
    board: Board,
    stop: watch::Receiver<Stop>,
    backoff: Backoff,
    /// The journal's newest frame when this runner was made.
    last_sequence: u64,
    /// The last frame handed to the sink, or of no interest to it.
    delivered: u64,
    /// The last frame that is durable; the journal's cursor.
    durable: u64,
    /// Since when something delivered is not durable.
    volatile_since: Option<Instant>,
    tend_at: Instant,
    skipped: u64,
}

impl Runner {
    pub fn new(
        options: RunnerOptions,
        sink: Box<dyn Sink>,
        journal: Journal,
        quarantine: Arc<dyn Quarantine>,
        board: Board,
        stop: watch::Receiver<Stop>,
    ) -> Result<Runner, ReadError> {
        let name = options.name.clone();
        let last_sequence = journal.last_sequence();
        let reader = journal.reader(&name, None)?;
        let cursor = reader.position();
        board.ready_from(cursor);
        Ok(Runner {
            from: format!("sink:{name}"),
            name,
            options,
            sink,
            journal,
            reader: Some(reader),
            quarantine,
            board,
            stop,
            backoff: Backoff::default(),
            last_sequence,
            delivered: cursor,
            durable: cursor,
            volatile_since: None,
            tend_at: Instant::now(),
            skipped: 0,
        })
    }

    /// Runs until asked to stop; returns what kept it from delivering everything.
    pub async fn run(mut self) -> Option<String> {
        let error = loop {
            let error = match self.session().await {
                End::Stopped => break None,
                End::Error(SinkError::Retry(error)) => error,
                End::Error(SinkError::Fatal(error) | SinkError::Reject(error)) => {
                    tracing::error!(sink = self.name, "stopped delivering: {error}");
                    self.board.failed(&error);
                    // An error means that the running sink is gone, which is a stop too.
                    let _ = self.stop.wait_for(|stop| *stop != Stop::No).await;
                    break Some(error);
                }
            };
            let wait = self.backoff.next_wait();
            if self.board.retrying(&error) {
                tracing::warn!(sink = self.name, "retrying: {error}");
            }
            // Waiting for the stop in the backoff's place: either ends it.
            if timeout(wait, self.stop.wait_for(|stop| *stop != Stop::No)).await.is_ok() {
                break Some(error);
            }
        };
        self.board.stopped();
        error
    }

    async fn session(&mut self) -> End {
        if let Err(end) = self.begin().await {
            return end;
        }
        loop {
            match self.step().await {
                Ok(()) => {}
                Err(End::Stopped) => return self.finish().await,
                Err(error) => return error,
            }
        }
    }

    /// Starts the sink and opens the journal where the sink stands.
    async fn begin(&mut self) -> Result<(), End> {
        // What this runner has delivered itself is no longer news from a lost journal.
        self.last_sequence = self.last_sequence.max(self.delivered);
        let started = tokio::select! {
            started = self.sink.start(self.last_sequence) => started?,
            () = drain_over(&mut self.stop, Duration::ZERO) => return Err(End::Stopped),
        };
        let after = match started {
            Some(held) if held > self.last_sequence => {
                tracing::warn!(
                    sink = self.name,
                    held,
                    last = self.last_sequence,
                    "the sink holds frames that the journal has lost; going on with the journal's newest"
                );
                self.last_sequence
            }
            Some(held) => held,
            None => self.durable,
        };
        drop(self.reader.take());
        let reader = self.journal.reader(&self.name, Some(after)).map_err(|error| self.unreadable(&error))?;
        self.reader = Some(reader);
        (self.delivered, self.durable, self.volatile_since, self.skipped) = (after, after, None, 0);
        self.board.ready_from(after);
        if self.backoff_is_over() {
            self.board.working();
        }
        Ok(())
    }

    /// A sink that starts again and again but never delivers is still retrying.
    fn backoff_is_over(&self) -> bool {
        self.delivered >= self.journal.last_sequence() || !self.backoff.is_running()
    }

    /// Delivers what waits, or flushes when that is due, or waits.
    async fn step(&mut self) -> Result<(), End> {
        let stop = *self.stop.borrow();
        match stop {
            Stop::Now => return Err(End::Stopped),
            Stop::Drain(deadline) if Instant::now() >= deadline => return Err(End::Stopped),
            Stop::Drain(_) if self.delivered >= self.journal.last_sequence() => return Err(End::Stopped),
            _ => {}
        }
        if self.flush_wait().is_some_and(|wait| wait.is_zero()) {
            self.flush().await?;
        }
        if stop == Stop::No && Instant::now() >= self.tend_at {
            let more = self.sink.tend().await?;
            self.tend_at = Instant::now() + if more { Duration::ZERO } else { limits::TEND_EVERY };
        }
        let Some(entries) = self.next(stop).await? else { return Ok(()) };
        self.note_skipped();
        self.deliver(entries).await
    }

    fn flush_wait(&self) -> Option<Duration> {
        self.volatile_since.map(|since| limits::SYNC_EVERY.saturating_sub(since.elapsed()))
    }

    /// The next frames; none when something else is to be done first.
    async fn next(&mut self, stop: Stop) -> Result<Option<Vec<Entry>>, End> {
        let wait = match stop {
            Stop::Drain(deadline) => deadline.saturating_duration_since(Instant::now()),
            _ => self.flush_wait().unwrap_or(limits::TEND_EVERY).min(limits::TEND_EVERY),
        };
        let Some(reader) = self.reader.as_mut() else {
            return Err(End::Error(SinkError::Retry("the journal is not open for reading".into())));
        };
        let read = tokio::select! {
            biased;
            read = timeout(wait, reader.next(limits::ROUND_BYTES)) => read,
            changed = self.stop.changed() => {
                // The running sink was dropped: no flush, as in a crash.
                return if changed.is_err() { Err(End::Stopped) } else { Ok(None) };
            }
        };
        match read {
            Err(_elapsed) => Ok(None),
            Ok(Ok(entries)) => Ok(Some(entries)),
            Ok(Err(ReadError::Closed)) => Err(End::Stopped),
            Ok(Err(error)) => Err(self.unreadable(&error)),
        }
    }

    fn unreadable(&self, error: &ReadError) -> End {
        let text = format!("sink `{}`: {error}", self.name);
        End::Error(match error {
            ReadError::Storage { .. } | ReadError::InUse(_) => SinkError::Retry(text),
            _ => SinkError::Fatal(text),
        })
    }

    fn note_skipped(&mut self) {
        let skipped = self.reader.as_ref().map_or(0, Reader::skipped);
        if skipped > self.skipped {
            let records = skipped - self.skipped;
            tracing::warn!(
                sink = self.name,
                records,
                "the journal's disk budget took records before they were delivered"
            );
            self.board.skipped(records);
            self.skipped = skipped;
        }
    }

    async fn deliver(&mut self, entries: Vec<Entry>) -> Result<(), End> {
        let Some((last, time_ns)) = entries.last().map(|entry| (entry.sequence, entry.time_ns)) else {
            return Ok(());
        };
        let frames = self.select(entries)?;
        if frames.iter().all(Selected::is_empty) {
            self.delivered = last;
            self.board.delivered(last, time_ns, 0, None);
            if self.volatile_since.is_none() {
                self.commit(last);
            }
            return Ok(());
        }
        let begun = Instant::now();
        let mut round =
            Round { sink: &mut *self.sink, from: &self.from, quarantine: &*self.quarantine, board: &self.board };
        // A stop that comes during a delivery bounds it; before that a delivery may take as long as its sink allows.
        let done = tokio::select! {
            done = round.deliver(frames) => done?,
            () = drain_over(&mut self.stop, limits::FLUSH_TIME / 2) => return Err(End::Error(SinkError::Retry("a delivery was under way when the time to stop had passed".into()))),
        };
        self.backoff.reset();
        self.board.working();
        self.delivered = last;
        self.board.delivered(last, time_ns, done.records, Some(begun.elapsed().as_secs_f64()));
        match done.durable {
            None => {
                self.volatile_since = None;
                self.commit(last);
            }
            Some(durable) => {
                self.volatile_since.get_or_insert(begun);
                if durable > self.durable {
                    self.commit(durable.min(last));
                }
            }
        }
        Ok(())
    }

    /// Decodes frames and chooses their records. A frame that can't be decoded goes to quarantine as it is.
    fn select(&self, entries: Vec<Entry>) -> Result<Vec<Selected>, End> {
        let mut frames = Vec::with_capacity(entries.len());
        for entry in entries {
            let batch = match Batch::decode(&entry.payload) {
                Ok(batch) => batch,
                Err(error) => {
                    let reason = format!("journal frame {} can't be decoded: {error}", entry.sequence);
                    self.board.rejected(&reason);
                    self.quarantine.put(&self.from, &reason, &entry.payload).map_err(|error| {
                        SinkError::Retry(format!("{reason}, and quarantine doesn't take it: {error}"))
                    })?;
                    Batch::new()
                }
            };
            let indexes = self.options.selection.of(&batch);
            frames.push(Selected {
                sequence: entry.sequence,
                time_ns: entry.time_ns,
                batch: Arc::new(batch),
                indexes,
                complete: true,
            });
        }
        Ok(frames)
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.sink.flush().await?;
        self.volatile_since = None;
        self.commit(self.delivered);
        Ok(())
    }

    fn commit(&mut self, sequence: u64) {
        self.durable = sequence;
        if let Some(reader) = self.reader.as_mut() {
            reader.commit(sequence);
        }
    }

    /// The last flush, within its bound.
    async fn finish(&mut self) -> End {
        if self.volatile_since.is_none() || !matches!(*self.stop.borrow(), Stop::Drain(_)) {
            return End::Stopped;
        }
        match timeout(limits::FLUSH_TIME / 2, self.flush()).await {
            Ok(Ok(())) => End::Stopped,
            Ok(Err(end)) => end,
            Err(_) => End::Error(SinkError::Retry(format!("sink `{}`: the last flush took too long", self.name))),
        }
    }
}

/// Resolves when a stop is asked for, or the running sink is dropped.
async fn stopped(stop: &mut watch::Receiver<Stop>) {
    let _ = stop.wait_for(|stop| *stop != Stop::No).await;
}

/// Resolves when a stop was asked for and its time for deliveries, and `grace`, have passed.
async fn drain_over(stop: &mut watch::Receiver<Stop>, grace: Duration) {
    stopped(stop).await;
    let asked = *stop.borrow();
    if let Stop::Drain(deadline) = asked {
        tokio::time::sleep_until((deadline + grace).into()).await;
    }
}
