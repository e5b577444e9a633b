//! Sends marked copies of a failing sink's records to another sink, or to the next if that fails too. As a last resort,
//! shows a few records per second on standard error.
//!
//! Runs beside the runner on a dedicated thread, so that a sink that hangs blocks nothing here. While the sink fails, a
//! second reader of the journal starts at the sink's position.
//!
//! Invariants
//! - **Nothing is removed from the journal because of it.** The cursor of the failing sink does not move: when it
//!   recovers, it receives everything.
//! - A copy names the sink that it was meant for ([`MARK`]) and does not move the position of the sink that takes it.
//!   It arrives at least once while any sink of the chain works; after a crash, some copies arrive again.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use weir_journal::{Entry, Journal, ReadError, Reader};
use weir_record::{Batch, Change, Record, Value, apply_changes, write_json};

use super::Stop;
use super::delivery::Progress;
use super::erase::EraseRequest;
use super::status::StatusTracker;
use crate::limits;
use crate::select::Selection;
use crate::sink::{Indexes, Selected};
use crate::text::push_escaped_json;

/// The key in a copy that names the sink that the record was meant for.
pub const MARK: &str = "fallback_from";

/// The suffix for the name of the sink's second reader.
const READER: &str = "~fallback";

/// A request to a sink that is not about the records next in the journal.
pub(crate) enum Request {
    /// To take records of another sink.
    StandIn(StandIn),
    /// To erase records.
    Erase(EraseRequest),
}

/// Records of another sink.
pub(crate) struct StandIn {
    pub frames: Vec<Selected>,
    /// What it took and refused, or why it could not take them all.
    pub answer: oneshot::Sender<Result<Progress, String>>,
}

/// The queues through which running sinks receive records that are not next in the journal for them, those of failing
/// sinks and replayed ones, and requests to erase. By sink name.
#[derive(Clone, Default)]
pub struct FallbackQueues(Arc<Mutex<HashMap<String, mpsc::Sender<Request>>>>);

impl FallbackQueues {
    /// Opens the queue of a sink, replacing that of an earlier run.
    pub(crate) fn open(&self, name: &str) -> mpsc::Receiver<Request> {
        let (sender, receiver) = mpsc::channel(1);
        self.map().insert(name.to_string(), sender);
        receiver
    }

    /// Gives records to one sink alone, without moving its position. Returns the indexes of those that it refuses: it has
    /// all others. After an error it may have some of them.
    pub async fn give(&self, sink: &str, records: Batch) -> Result<Vec<usize>, String> {
        let now_ns = weir_record::time::now_ns();
        // A number that no frame of the journal has, and no earlier call: some servers recognise records by it.
        let sequence = u64::try_from(now_ns).unwrap_or(u64::MAX);
        let frame =
            Selected { sequence, time_ns: now_ns, batch: Arc::new(records), indexes: Indexes::All, complete: true };
        let progress = self.ask(sink, vec![frame]).await?;
        Ok(progress.refused.iter().map(|position| position.index as usize).collect())
    }

    /// Asks a sink to take records.
    async fn ask(&self, sink: &str, frames: Vec<Selected>) -> Result<Progress, String> {
        let queue = self.to(sink).ok_or("it is not running")?;
        let (answer, answered) = oneshot::channel();
        let exchange = async {
            queue.send(Request::StandIn(StandIn { frames, answer })).await.map_err(|_| "it has stopped")?;
            answered.await.map_err(|_| "it stopped meanwhile")?
        };
        timeout(limits::FALLBACK_TIMEOUT, exchange).await.unwrap_or_else(|_| Err("no answer in time".into()))
    }

    pub(super) fn to(&self, name: &str) -> Option<mpsc::Sender<Request>> {
        self.map().get(name).cloned()
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::Sender<Request>>> {
        // A change is one insertion, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sink that the second reader of this name belongs to.
pub fn sink_of_fallback_reader(reader: &str) -> Option<&str> {
    reader.strip_suffix(READER)
}

/// The name of a sink's second reader.
pub fn fallback_reader(sink: &str) -> String {
    format!("{sink}{READER}")
}

/// Sends one sink's records to others while it fails.
pub(crate) struct Fallback {
    pub name: String,
    pub selection: Selection,
    /// The sinks to ask, in this order.
    pub chain: Vec<String>,
    /// How long the sink must have been failing.
    pub after: Duration,
    pub journal: Journal,
    pub queues: FallbackQueues,
    pub tracker: StatusTracker,
    pub stop: watch::Receiver<Stop>,
}

impl Fallback {
    /// Runs until the sink is stopped.
    pub async fn run(mut self) {
        let mut last_resort = StderrFallback::new(&self.name);
        while self.wait_for_failure().await {
            let to = self.chain.join("`, then `");
            tracing::warn!(sink = self.name, "still failing: until it recovers, its records also go to `{to}`");
            let outcome = self.carry(&mut last_resort).await;
            match outcome {
                Ok(records) => {
                    tracing::warn!(sink = self.name, records, "recovered; its records no longer go to its fallback");
                }
                Err(error) => {
                    tracing::error!(sink = self.name, "can't read the journal for its fallback: {error}");
                    self.pause(limits::BACKOFF_LAST).await;
                }
            }
        }
    }

    /// False when the sink was stopped.
    async fn wait_for_failure(&mut self) -> bool {
        loop {
            match self.tracker.failing_for() {
                Some(time) if time >= self.after => return *self.stop.borrow() == Stop::No,
                Some(_) => {}
                // Left over from a failure before this run.
                None => drop(self.journal.forget(&fallback_reader(&self.name))),
            }
            if !self.pause(limits::FALLBACK_POLL).await {
                return false;
            }
        }
    }

    /// Waits. Returns false if the sink was stopped meanwhile.
    async fn pause(&mut self, time: Duration) -> bool {
        timeout(time, self.stop.wait_for(|stop| *stop != Stop::No)).await.is_err()
    }

    /// Opens the second reader at the sink's position, or where it stopped last time.
    fn open(&self) -> Result<Reader, ReadError> {
        let name = fallback_reader(&self.name);
        let readers = self.journal.readers();
        let at = readers.iter().filter(|reader| reader.name == name || reader.name == self.name);
        self.journal.reader(&name, at.map(|reader| reader.committed).max())
    }

    /// Sends records until the sink works again or is stopped. Returns their number.
    async fn carry(&mut self, last_resort: &mut StderrFallback) -> Result<u64, ReadError> {
        let mut reader = self.open()?;
        let mut carried = 0;
        while self.tracker.failing_for().is_some() {
            if *self.stop.borrow() != Stop::No {
                // The reader keeps its position for the next run.
                return Ok(carried);
            }
            // A short wait, since the sink may work again or be stopped.
            let entries = match timeout(limits::FALLBACK_POLL, reader.next(limits::READ_BYTES)).await {
                Err(_) => continue,
                Ok(Err(ReadError::Closed)) => return Ok(carried),
                Ok(entries) => entries?,
            };
            let Some(last) = entries.last().map(|entry| entry.sequence) else { continue };
            let frames: Vec<Selected> = entries.iter().filter_map(|entry| self.marked(entry)).collect();
            if !frames.is_empty() {
                let taken = self.hand_over(&frames, last_resort).await;
                if taken == 0 && *self.stop.borrow() != Stop::No {
                    // A sink that was asked may have been about to take them. The next run asks again.
                    return Ok(carried);
                }
                carried += taken;
            }
            reader.commit(last);
        }
        drop(reader);
        self.journal.forget(&fallback_reader(&self.name));
        Ok(carried)
    }

    /// The records that the sink takes, marked; `None` if there are none or the frame can't be decoded, which the
    /// sink's own runner reports.
    fn marked(&self, entry: &Entry) -> Option<Selected> {
        let batch = Batch::decode(&entry.payload).ok()?;
        let indexes = self.selection.of(&batch);
        let mark = [Change::Set(MARK, Value::Str(&self.name))];
        let mut copies = Batch::with_capacity(batch.byte_len() + batch.len() * 32, batch.len());
        for record in batch.iter() {
            // A record without room for another key is sent unchanged.
            if copies.try_append(|out| apply_changes(record.as_bytes(), &mark, out)).is_err() {
                copies.push(record.as_bytes());
            }
        }
        let selected = Selected {
            sequence: entry.sequence,
            time_ns: entry.time_ns,
            batch: Arc::new(copies),
            indexes: match indexes {
                Indexes::These(these) if these.len() == batch.len() => Indexes::All,
                other => other,
            },
            complete: true,
        };
        (!selected.is_empty()).then_some(selected)
    }

    /// Asks one sink after the other. Returns how many records were taken.
    async fn hand_over(&mut self, frames: &[Selected], last_resort: &mut StderrFallback) -> u64 {
        let mut why = Vec::new();
        for name in self.chain.clone() {
            match self.ask(&name, frames.to_vec()).await {
                Ok(Progress { records, .. }) => {
                    self.tracker.fell_back(&name, records);
                    return records;
                }
                Err(error) => why.push(format!("`{name}`: {error}")),
            }
        }
        if *self.stop.borrow() == Stop::No {
            last_resort.show(frames, &why.join("; "));
        }
        0
    }

    async fn ask(&mut self, name: &str, frames: Vec<Selected>) -> Result<Progress, String> {
        tokio::select! {
            outcome = self.queues.ask(name, frames) => outcome,
            _ = self.stop.wait_for(|stop| *stop != Stop::No) => Err("stopping".into()),
        }
    }
}

/// Standard error, a few records per second: the last resort.
struct StderrFallback {
    sink: String,
    since: Instant,
    shown: u32,
    left_out: u64,
}

impl StderrFallback {
    fn new(sink: &str) -> StderrFallback {
        StderrFallback { sink: sink.into(), since: Instant::now(), shown: 0, left_out: 0 }
    }

    fn show(&mut self, frames: &[Selected], why: &str) {
        let mut stderr = std::io::stderr().lock();
        for (_, record) in frames.iter().flat_map(Selected::iter) {
            for line in self.lines(record, why, Instant::now()) {
                // If this fails, there is no other place to report it.
                let _ = writeln!(stderr, "{line}");
            }
        }
    }

    /// The lines to show for a record at that time; none if the limit is reached.
    fn lines(&mut self, record: Record<'_>, why: &str, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            if self.left_out > 0 {
                lines.push(format!(
                    "weir: sink `{}`: {} more records are not shown; all of them are still in the journal ({why})",
                    self.sink, self.left_out
                ));
            }
            (self.since, self.shown, self.left_out) = (now, 0, 0);
        }
        if self.shown >= limits::STDERR_RECORDS {
            self.left_out += 1;
            return lines;
        }
        self.shown += 1;
        let (mut plain, mut json) = (Vec::new(), Vec::new());
        write_json(record, &mut plain);
        push_escaped_json(&plain, &mut json);
        lines.push(format!("weir: sink `{}`: nobody takes {}", self.sink, String::from_utf8_lossy(&json)));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn standard_error_shows_a_few_records_a_second_and_counts_the_others() {
        let bytes = record(&[("message", "n=1")], &[]);
        let mut last = StderrFallback::new("archive");
        let begin = last.since;
        let mut shown = 0;
        for _ in 0..100 {
            shown += last.lines(Record::new(&bytes), "down", begin).len();
        }
        assert_eq!(shown, limits::STDERR_RECORDS as usize);
        let next = last.lines(Record::new(&bytes), "down", begin + Duration::from_secs(1));
        assert_eq!(next.len(), 2, "{next:?}");
        let left_out = 100 - limits::STDERR_RECORDS;
        assert!(next[0].contains(&format!("{left_out} more records")) && next[0].contains("archive"), "{next:?}");
        assert!(next[1].contains("n=1"), "{next:?}");
    }
}
