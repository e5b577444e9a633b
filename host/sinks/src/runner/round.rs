//! One round: frames from the journal through a sink, so that one bad record never holds the rest.
//!
//! A refused delivery is halved until the record is alone. That record goes to quarantine, durably, before anything
//! after it is offered to the sink; so no position passes a record that is neither in the sink nor in quarantine.

use std::collections::VecDeque;

use crate::runner::status::Board;
use crate::sink::{Delivered, Position, Quarantine, Selected, Sink, SinkError};

/// What a round needs beside the frames.
pub(crate) struct Round<'a> {
    pub sink: &'a mut dyn Sink,
    pub from: &'a str,
    pub quarantine: &'a dyn Quarantine,
    pub board: &'a Board,
}

/// What a round has delivered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Records in the sink.
    pub records: u64,
    /// As in [`Delivered::durable`], of the last delivery.
    pub durable: Option<u64>,
}

impl Round<'_> {
    /// Delivers frames, in order.
    pub async fn deliver(&mut self, frames: Vec<Selected>) -> Result<Done, SinkError> {
        let mut done = Done::default();
        // Halving adds at most one part per bit of the number of records.
        let mut waiting = VecDeque::from([frames]);
        while let Some(frames) = waiting.pop_front() {
            let count: usize = frames.iter().map(Selected::len).sum();
            match self.sink.deliver(&frames).await {
                Ok(Delivered { rejected, durable }) => {
                    done.records += (count - rejected.len().min(count)) as u64;
                    done.durable = durable;
                    for (position, reason) in rejected {
                        self.quarantine(&frames, position, &reason)?;
                    }
                }
                Err(SinkError::Reject(reason)) if count == 1 => {
                    let only = frames.iter().find_map(|frame| frame.iter().next().map(|(position, _)| position));
                    if let Some(position) = only {
                        self.quarantine(&frames, position, &reason)?;
                    }
                }
                Err(SinkError::Reject(reason)) if count == 0 => {
                    return Err(SinkError::Fatal(format!("{reason} (of no record at all: a fault of the sink)")));
                }
                Err(SinkError::Reject(_)) => {
                    let (first, rest) = halve(frames, count / 2);
                    waiting.push_front(rest);
                    waiting.push_front(first);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn quarantine(&self, frames: &[Selected], position: Position, reason: &str) -> Result<(), SinkError> {
        let Some(frame) = frames.iter().find(|frame| frame.sequence == position.sequence) else {
            return Err(SinkError::Fatal(format!("a sink refused record {position:?} that it was not given")));
        };
        tracing::warn!(
            sink = self.from,
            sequence = position.sequence,
            index = position.index,
            reason,
            "record refused; it goes to quarantine"
        );
        self.board.rejected(reason);
        let bytes = frame.batch.get(position.index as usize);
        self.quarantine.put(self.from, reason, bytes).map_err(|error| {
            SinkError::Retry(format!("can't put a record that was refused ({reason}) into quarantine: {error}"))
        })
    }
}

/// The first `n` records and the rest.
fn halve(frames: Vec<Selected>, n: usize) -> (Vec<Selected>, Vec<Selected>) {
    let (mut first, mut rest, mut left) = (Vec::new(), Vec::new(), n);
    for frame in frames {
        let len = frame.len();
        if !rest.is_empty() || left == 0 {
            rest.push(frame);
        } else if len <= left {
            left -= len;
            first.push(frame);
        } else {
            let (head, tail) = frame.split(left);
            left = 0;
            first.push(head);
            rest.push(tail);
        }
    }
    (first, rest)
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::testing::{Cell, frame, numbered};

    /// Takes everything but the records it hates, and refuses whole calls because of them.
    struct Picky {
        hates: Vec<u64>,
        took: Vec<Position>,
        calls: usize,
    }

    #[async_trait]
    impl Sink for Picky {
        async fn start(&mut self, _: u64) -> Result<Option<u64>, SinkError> {
            Ok(None)
        }

        async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
            self.calls += 1;
            let said: Vec<_> = batches.iter().flat_map(|frame| frame.iter()).collect();
            if said.iter().any(|(_, record)| self.hates.iter().any(|n| record.message() == format!("n={n}"))) {
                return Err(SinkError::Reject("hated".into()));
            }
            self.took.extend(said.iter().map(|(position, _)| *position));
            Ok(Delivered::default())
        }

        async fn flush(&mut self) -> Result<(), SinkError> {
            Ok(())
        }
    }

    async fn run(hates: &[u64]) -> (Picky, Cell, Result<Done, SinkError>) {
        let mut sink = Picky { hates: hates.to_vec(), took: Vec::new(), calls: 0 };
        let (cell, board) = (Cell::default(), Board::new("picky", 0));
        let frames = vec![frame(1, numbered(0..10)), frame(2, numbered(10..11)), frame(3, numbered(11..100))];
        let mut round = Round { sink: &mut sink, from: "sink:picky", quarantine: &cell, board: &board };
        let done = round.deliver(frames).await;
        (sink, cell, done)
    }

    #[tokio::test]
    async fn bad_records_are_found_by_halving_and_all_others_arrive_once_in_order() {
        for hates in [&[][..], &[0], &[99], &[10], &[9, 10, 11], &[3, 50, 51, 98]] {
            let (sink, cell, done) = run(hates).await;
            assert_eq!(done, Ok(Done { records: 100 - hates.len() as u64, durable: None }));
            assert!(sink.took.is_sorted() && sink.took.windows(2).all(|two| two[0] != two[1]));
            assert_eq!(sink.took.len(), 100 - hates.len());
            let held = cell.held.into_inner().expect("not poisoned");
            let said: Vec<_> =
                held.iter().map(|(_, _, bytes)| weir_record::Record::new(bytes).message().to_string()).collect();
            assert_eq!(said, hates.iter().map(|n| format!("n={n}")).collect::<Vec<_>>());
            assert!(held.iter().all(|(from, reason, _)| from == "sink:picky" && reason == "hated"));
            assert!(sink.calls <= 1 + hates.len() * 2 * 8, "{} calls", sink.calls);
        }
    }

    #[tokio::test]
    async fn while_quarantine_refuses_nothing_after_the_bad_record_is_offered() {
        let mut sink = Picky { hates: vec![5], took: Vec::new(), calls: 0 };
        let (cell, board) = (Cell::default(), Board::new("picky", 0));
        *cell.failures.lock().expect("not poisoned") = 1;
        let mut round = Round { sink: &mut sink, from: "sink:picky", quarantine: &cell, board: &board };
        let done = round.deliver(vec![frame(1, numbered(0..10))]).await;
        assert!(matches!(done, Err(SinkError::Retry(_))), "{done:?}");
        assert!(sink.took.iter().all(|position| position.index < 5), "{:?}", sink.took);
    }
}
