//! The runner's loop. A session lasts from a sink's `start` to its next failure; between two sessions the runner
//! waits. So there is one way to begin, whether after a start, a crash, a lost connection or a full disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use weir_journal::{Entry, Journal, ReadError, Reader};
use weir_record::Batch;

use super::backoff::Backoff;
use super::fallback::Request;
use super::round::{Done, Round};
use super::status::Board;
use super::{RunnerOptions, Stop};
use crate::limits;
use crate::sink::{Batching, Indexes, Position, Quarantine, Selected, Sink, SinkError};

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
    batching: Batching,
    journal: Journal,
    /// Held between sessions too, so that the journal never forgets that this sink exists.
    reader: Option<Reader>,
    quarantine: Arc<dyn Quarantine>,
    board: Board,
    stop: watch::Receiver<Stop>,
    /// Where other sinks ask this one to stand in for them.
    door: mpsc::Receiver<Request>,
    backoff: Backoff,
    /// The journal's newest frame when this runner was made, or the newest that it has read.
    last_sequence: u64,
    /// The last frame handed to the sink, or of no interest to it.
    delivered: u64,
    /// The last frame that is durable; the journal's cursor.
    durable: u64,
    /// The last record that a sink without a position of its own has taken: beyond `durable` when a delivery failed
    /// within a frame.
    taken: Option<Position>,
    /// Where the delivery ended that failed.
    failed_end: Option<Position>,
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
        door: mpsc::Receiver<Request>,
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
            batching: sink.batching(),
            sink,
            journal,
            reader: Some(reader),
            quarantine,
            board,
            stop,
            door,
            backoff: Backoff::default(),
            last_sequence,
            delivered: cursor,
            durable: cursor,
            taken: None,
            failed_end: None,
            volatile_since: None,
            tend_at: Instant::now(),
            skipped: 0,
        })
    }

    /// Runs until asked to stop; returns what kept it from delivering everything.
    pub async fn run(mut self) -> Option<String> {
        let error = loop {
            let (error, asked) = match self.session().await {
                End::Stopped => break None,
                End::Error(SinkError::Retry(error)) => (error, Duration::ZERO),
                End::Error(SinkError::Later(error, wait)) => (error, wait.min(limits::LONGEST_WAIT)),
                End::Error(SinkError::Fatal(error) | SinkError::Reject(error)) => {
                    tracing::error!(sink = self.name, "stopped delivering: {error}");
                    self.board.failed(&error);
                    self.refuse_until_stopped(&error).await;
                    break Some(error);
                }
            };
            let wait = self.backoff.next_wait().max(asked);
            if self.board.retrying(&error) {
                tracing::warn!(sink = self.name, "retrying: {error}");
            }
            // Waiting for the stop in the backoff's place: either ends it.
            if timeout(wait, self.refuse_until_stopped(&error)).await.is_ok() {
                break Some(error);
            }
        };
        self.board.stopped();
        error
    }

    /// Waits for the stop, and answers whoever wants this sink to stand in for another.
    async fn refuse_until_stopped(&mut self, error: &str) {
        loop {
            tokio::select! {
                // An error means that the running sink is gone, which is a stop too.
                _ = self.stop.wait_for(|stop| *stop != Stop::No) => return,
                Some(request) = self.door.recv() => {
                    // Nobody listens any more when the other sink was stopped.
                    let _ = request.answer.send(Err(error.to_string()));
                }
            }
        }
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
            Some(held) => {
                self.taken = None;
                held
            }
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
        let Some(mut entries) = self.next(stop, None).await? else { return Ok(()) };
        self.gather(stop, &mut entries).await?;
        self.note_skipped();
        self.deliver(entries).await
    }

    /// Waits for more, when the sink asks for it and nobody for a stop.
    async fn gather(&mut self, stop: Stop, entries: &mut Vec<Entry>) -> Result<(), End> {
        let until = Instant::now() + self.batching.linger;
        loop {
            let records: u64 = entries.iter().map(|entry| u64::from(entry.records)).sum();
            let bytes: usize = entries.iter().map(|entry| entry.payload.len()).sum();
            let wait = until.saturating_duration_since(Instant::now());
            let enough = records >= self.batching.records as u64 || bytes >= limits::ROUND_BYTES;
            if enough || wait.is_zero() || stop != Stop::No {
                return Ok(());
            }
            match self.next(stop, Some(wait)).await? {
                Some(more) => entries.extend(more),
                None => return Ok(()),
            }
        }
    }

    fn flush_wait(&self) -> Option<Duration> {
        self.volatile_since.map(|since| limits::SYNC_EVERY.saturating_sub(since.elapsed()))
    }

    /// The next frames; none when something else is to be done first, or none came within `at_most`.
    async fn next(&mut self, stop: Stop, at_most: Option<Duration>) -> Result<Option<Vec<Entry>>, End> {
        let wait = match stop {
            _ if at_most.is_some() => at_most.unwrap_or_default(),
            Stop::Drain(deadline) => deadline.saturating_duration_since(Instant::now()),
            _ => self.flush_wait().unwrap_or(limits::TEND_EVERY).min(limits::TEND_EVERY),
        };
        let Some(reader) = self.reader.as_mut() else {
            return Err(End::Error(SinkError::Retry("the journal is not open for reading".into())));
        };
        let read = tokio::select! {
            biased;
            Some(request) = self.door.recv() => return self.stand_in(request).await.map(|()| None),
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

    /// Takes another sink's records. A failure here is a failure of this sink like any other.
    async fn stand_in(&mut self, request: Request) -> Result<(), End> {
        let mut round = Round {
            sink: &mut *self.sink,
            from: &self.from,
            quarantine: &*self.quarantine,
            board: &self.board,
            most: self.batching.records,
            stands_in: true,
            ends_at: None,
        };
        let mut done = Done::default();
        let outcome = tokio::select! {
            outcome = round.deliver(request.frames, &mut done) => outcome,
            () = drain_over(&mut self.stop, Duration::ZERO) => return Err(End::Stopped),
        };
        let answer = outcome.as_ref().map(|()| done.records).map_err(SinkError::to_string);
        // Nobody listens any more when it took too long.
        let _ = request.answer.send(answer);
        Ok(outcome?)
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
        // What the journal has given is in it, also when the sink takes it and can't say so any more.
        self.last_sequence = self.last_sequence.max(last);
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
        let mut round = Round {
            sink: &mut *self.sink,
            from: &self.from,
            quarantine: &*self.quarantine,
            board: &self.board,
            most: self.batching.records,
            stands_in: false,
            ends_at: self.failed_end,
        };
        let mut done = Done::default();
        // A stop that comes during a delivery bounds it; before that a delivery may take as long as its sink allows.
        let outcome = tokio::select! {
            outcome = round.deliver(frames, &mut done) => outcome,
            () = drain_over(&mut self.stop, limits::FLUSH_TIME / 2) => Err(SinkError::Retry("a delivery was under way when the time to stop had passed".into())),
        };
        self.failed_end = done.failed_end.filter(|_| outcome.is_err());
        if let Err(error) = outcome {
            self.keep(&done, time_ns);
            return Err(End::Error(error));
        }
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

    /// Notes what a delivery that failed had taken before: by a sink without a position of its own, which would
    /// otherwise be given it again.
    fn keep(&mut self, done: &Done, time_ns: i64) {
        let Some(taken) = done.taken.filter(|_| done.durable.is_none() && self.volatile_since.is_none()) else {
            return;
        };
        self.taken = Some(taken);
        self.delivered = self.delivered.max(taken.last_whole_frame());
        self.board.delivered(self.delivered, time_ns, done.records, None);
        self.commit(self.delivered);
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
            let mut indexes = self.options.selection.of(&batch);
            if let Some(taken) = self.taken.filter(|taken| taken.sequence == entry.sequence) {
                indexes = after(indexes, taken, batch.len());
            }
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

/// Without the records that were taken already.
fn after(indexes: Indexes, taken: Position, len: usize) -> Indexes {
    Indexes::These(match indexes {
        // A frame is bounded by the journal's payload bound, far below 2^32 records.
        Indexes::All => (0..len as u32).filter(|index| *index > taken.index).collect(),
        Indexes::These(indexes) => indexes.into_iter().filter(|index| *index > taken.index).collect(),
    })
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
