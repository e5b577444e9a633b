//! The [`Sink`] trait, its inputs, results and errors.
//!
//! The runner (`runner`) reads the journal and calls the sink; a sink never reads the journal and never knows another
//! sink. One runner calls one sink, one call at a time, on a dedicated thread, so a sink may block.
//!
//! The contract, in the order of the calls:
//! 1. [`Sink::start`] first, and again after every [`SinkError::Retry`]: connect, undo what a failed delivery left
//!    behind, and return the sink's position.
//! 2. [`Sink::deliver`] any number of times, in the journal's order. Between two deliveries, [`Sink::stand_in`] if a
//!    failing sink names this one as its fallback.
//! 3. [`Sink::flush`] about once a second while something delivered is not durable, and before the end.
//!
//! **No position passes a rejected record before it is in quarantine.** So a sink whose position moves in `deliver`
//! must reject the whole call with [`SinkError::Reject`] and change nothing; the runner then finds the record by
//! halving. Only a sink whose position moves in `flush` alone may name records in [`Delivered::rejected`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weir_record::{Batch, Record};

use crate::erasure::{Erased, Erasure};

/// A record's position in the journal, which is also its permanent id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Sequence of the frame.
    pub sequence: u64,
    /// Index of the record in the frame, from 0.
    pub index: u32,
}

impl Position {
    /// All records of a frame.
    pub fn whole(sequence: u64) -> Position {
        Position { sequence, index: u32::MAX }
    }

    /// True if it stands for the whole frame.
    pub fn is_whole(self) -> bool {
        self.index == u32::MAX
    }

    /// The last frame that ends at or before this position.
    pub fn last_whole_frame(self) -> u64 {
        if self.is_whole() { self.sequence } else { self.sequence.saturating_sub(1) }
    }
}

/// How many records a sink wants per delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Most records of one delivery.
    pub records: usize,
    /// How long records may wait for more, to amortise the fixed cost of a delivery.
    pub linger: Duration,
}

impl Default for Batching {
    /// All waiting records, without delay.
    fn default() -> Batching {
        Batching { records: usize::MAX, linger: Duration::ZERO }
    }
}

/// The records of a frame that a sink takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Indexes {
    /// All of them.
    All,
    /// These, ascending.
    These(Vec<u32>),
}

/// One frame of the journal, or a part of one, with the records that the sink takes.
#[derive(Clone, Debug)]
pub struct Selected {
    /// Sequence of the frame.
    pub sequence: u64,
    /// When the frame was written to the journal, in nanoseconds since 1970 UTC.
    pub time_ns: i64,
    /// All records of the frame.
    pub batch: Arc<Batch>,
    /// The records that this sink takes; possibly none.
    pub indexes: Indexes,
    /// False if later records of the same frame follow in another part: a position may pass this frame only if true.
    pub complete: bool,
}

impl Selected {
    /// The number of records that the sink takes.
    pub fn len(&self) -> usize {
        match &self.indexes {
            Indexes::All => self.batch.len(),
            Indexes::These(indexes) => indexes.len(),
        }
    }

    /// True if it takes none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The n-th selected record.
    pub fn nth(&self, n: usize) -> (Position, Record<'_>) {
        let index = match &self.indexes {
            Indexes::All => n,
            Indexes::These(indexes) => indexes[n] as usize,
        };
        // A frame is bounded by the journal's payload bound, far below 2^32 records.
        (Position { sequence: self.sequence, index: index as u32 }, self.batch.record(index))
    }

    /// The selected records, in order, with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (Position, Record<'_>)> {
        (0..self.len()).map(|n| self.nth(n))
    }

    /// The position once this is delivered: the whole frame, or the last record of a part.
    pub fn end(&self) -> Position {
        match self.len() {
            0 => Position::whole(self.sequence),
            _ if self.complete => Position::whole(self.sequence),
            len => self.nth(len - 1).0,
        }
    }

    /// The first `n` records and the rest, as two parts of the frame. The first is no longer complete.
    pub fn split(&self, n: usize) -> (Selected, Selected) {
        let all = |range: std::ops::Range<usize>| -> Vec<u32> {
            match &self.indexes {
                Indexes::All => range.map(|index| index as u32).collect(),
                Indexes::These(indexes) => indexes[range].to_vec(),
            }
        };
        let part = |indexes, complete| Selected { indexes: Indexes::These(indexes), complete, ..self.clone() };
        (part(all(0..n), false), part(all(n..self.len()), self.complete))
    }
}

/// The result of a successful delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Records that the sink can never take, with the reason; the runner puts them into quarantine.
    pub rejected: Vec<(Position, String)>,
    /// The last frame that is durable in the sink; `None` if everything delivered is.
    pub durable: Option<u64>,
}

/// Why a call failed. The text names the sink, the server or file, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// It may work later: the runner waits, calls `start`, and resumes at the returned position.
    #[error("{0}")]
    Retry(String),
    /// Like `Retry`, with the wait that the server requested.
    #[error("{0}")]
    Later(String, Duration),
    /// At least one of the records can never be taken, and none was: the runner halves the delivery until the bad
    /// record is alone, and moves it to quarantine.
    #[error("{0}")]
    Reject(String),
    /// Retrying is useless until the operator has acted.
    #[error("{0}")]
    Fatal(String),
}

impl SinkError {
    /// True if waiting may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, SinkError::Retry(_) | SinkError::Later(..))
    }
}

/// A destination for records.
#[async_trait]
pub trait Sink: Send {
    /// Connects, and returns the last complete frame that the sink holds, if it keeps its position with the data.
    ///
    /// `last_sequence` is the journal's newest frame when the sink was set up, or the newest offered since. A position
    /// beyond it comes from a journal that has lost its end since: the runner then resumes after `last_sequence`, and
    /// the sink must not mistake the records that follow for those that it has.
    async fn start(&mut self, last_sequence: u64) -> Result<Option<u64>, SinkError>;

    /// How many records it wants per delivery. Asked once, before the first start.
    fn batching(&self) -> Batching {
        Batching::default()
    }

    /// Takes between one and [`Batching::records`] records, in order. After a failure the same records are delivered
    /// again, and the first delivery ends where the failed one ended. After an error the sink has taken nothing, or
    /// only what the next `start` undoes or reports.
    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError>;

    /// Makes everything delivered durable.
    async fn flush(&mut self) -> Result<(), SinkError>;

    /// Takes marked copies of the records of another sink that is failing. They are not part of this sink's own stream,
    /// so its position must not move. They are durable once this returns.
    ///
    /// The default is for sinks that keep no position.
    async fn stand_in(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let delivered = self.deliver(batches).await?;
        self.flush().await?;
        Ok(delivered)
    }

    /// Maintains the stored data (retention, for example) between deliveries, about every ten seconds. Returns true if
    /// there is more to do, which is then done after the next delivery.
    async fn maintain(&mut self) -> Result<bool, SinkError> {
        Ok(false)
    }

    /// Erases what it has stored and the query selects, so that its bytes are gone. Called when nothing delivered is
    /// unsynced, before or between two calls of [`Sink::start`], which follows in any case. `last_sequence` is as for
    /// `start`. An error may leave some records erased and others not, but everything else as it was, so the next
    /// erasure finishes the work.
    async fn erase(&mut self, _erasure: &Erasure, _last_sequence: u64) -> Result<Erased, SinkError> {
        Ok(Erased::OutOfReach(None))
    }
}

/// The quarantine for rejected records. Implemented by the router.
pub trait Quarantine: Send + Sync {
    /// Stores one record durably, with its origin (`sink:archive`) and the reason. Blocks.
    fn put(&self, from: &str, reason: &str, record: &[u8]) -> Result<(), String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(indexes: Indexes) -> Selected {
        let mut batch = Batch::new();
        for _ in 0..5 {
            batch.push(&[0xde, 0, 0]);
        }
        Selected { sequence: 7, time_ns: 0, batch: Arc::new(batch), indexes, complete: true }
    }

    #[test]
    fn the_parts_of_a_frame_hold_every_record_once_and_only_the_last_completes_it() {
        for indexes in [Indexes::All, Indexes::These(vec![0, 2, 3])] {
            let whole = selected(indexes);
            for n in 0..=whole.len() {
                let (first, rest) = whole.split(n);
                let ids: Vec<_> = first.iter().chain(rest.iter()).map(|(id, _)| id).collect();
                assert_eq!(ids, whole.iter().map(|(id, _)| id).collect::<Vec<_>>());
                assert!(!first.complete && rest.complete);
            }
        }
    }
}
