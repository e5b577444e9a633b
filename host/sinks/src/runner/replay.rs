//! Delivers records of the journal to one sink again, on request, outside its normal sequence.
//!
//! Used by a command, not by the router. No position moves, so the sink's normal deliveries are unaffected.

use super::delivery::{Delivery, Progress};
use super::status::StatusTracker;
use crate::select::Selection;
use crate::sink::{Quarantine, Selected, Sink, SinkError};

/// A sink to replay records to.
pub struct Replay {
    name: String,
    sink: Box<dyn Sink>,
    selection: Selection,
    tracker: StatusTracker,
}

/// The outcome of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Records that the sink took.
    pub taken: u64,
    /// Records that it refused for good.
    pub refused: u64,
}

/// A replayed record that is refused stays in the journal.
struct NoQuarantine;

impl Quarantine for NoQuarantine {
    fn put(&self, _: &str, _: &str, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

impl Replay {
    /// Takes a sink that was just built.
    pub fn new(name: &str, selection: Selection, sink: Box<dyn Sink>) -> Replay {
        Replay { name: name.into(), sink, selection, tracker: StatusTracker::new(name, 0) }
    }

    /// The records that the sink normally takes.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Makes the sink ready. Call it again after a failure.
    pub async fn start(&mut self) -> Result<(), SinkError> {
        // No position is beyond this, so the sink never assumes that the journal has lost its end.
        self.sink.start(u64::MAX).await.map(drop)
    }

    /// Delivers frames durably.
    pub async fn deliver(&mut self, frames: Vec<Selected>) -> Result<Replayed, SinkError> {
        let given: usize = frames.iter().map(Selected::len).sum();
        let mut delivery = Delivery {
            most: self.sink.batching().records,
            sink: &mut *self.sink,
            from: &self.name,
            quarantine: &NoQuarantine,
            tracker: &self.tracker,
            stands_in: true,
            ends_at: None,
        };
        let mut progress = Progress::default();
        delivery.run(frames, &mut progress).await?;
        Ok(Replayed { taken: progress.records, refused: (given as u64).saturating_sub(progress.records) })
    }
}
