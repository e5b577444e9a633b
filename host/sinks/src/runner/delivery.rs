//! One delivery: passes frames of the journal to a sink in parts of the size that it asks for, so that one bad record
//! never blocks the others.
//!
//! A rejected part is halved until the bad record is alone. That record goes to quarantine, durably, before anything
//! after it is offered to the sink. So no position passes a record that is neither in the sink nor in quarantine.

use std::collections::VecDeque;

use crate::runner::status::StatusTracker;
use crate::sink::{Delivered, Position, Quarantine, Selected, Sink, SinkError};

/// A delivery to a sink, without its frames.
pub(crate) struct Delivery<'a> {
    pub sink: &'a mut dyn Sink,
    pub from: &'a str,
    pub quarantine: &'a dyn Quarantine,
    pub tracker: &'a StatusTracker,
    /// Maximum number of records per call.
    pub most: usize,
    /// True if the records are another sink's: refused ones are not quarantined, because they are still in the journal.
    pub stands_in: bool,
    /// Where the last failed delivery ended. This one ends there too, so that a server that had accepted it after all
    /// can recognise it.
    pub ends_at: Option<Position>,
}

/// The progress of a delivery, even if it fails in the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Records in the sink.
    pub records: u64,
    /// As in [`Delivered::durable`], of the last delivery.
    pub durable: Option<u64>,
    /// The last record in the sink or in quarantine.
    pub taken: Option<Position>,
    /// Where the part that failed ended.
    pub failed_end: Option<Position>,
    /// Records of another sink that this one refused.
    pub refused: Vec<Position>,
}

impl Delivery<'_> {
    /// Delivers frames in order, and records the progress in `progress`.
    pub async fn run(&mut self, frames: Vec<Selected>, progress: &mut Progress) -> Result<(), SinkError> {
        // Halving adds at most one part per bit of the number of records.
        let mut waiting = cut(frames, self.most, self.ends_at);
        while let Some(frames) = waiting.pop_front() {
            let count: usize = frames.iter().map(Selected::len).sum();
            let end = frames.last().map(Selected::end);
            progress.failed_end = end;
            let outcome = match self.stands_in {
                true => self.sink.stand_in(&frames).await,
                false => self.sink.deliver(&frames).await,
            };
            match outcome {
                Ok(Delivered { rejected, durable }) => {
                    progress.records += (count - rejected.len().min(count)) as u64;
                    progress.durable = durable;
                    for (position, reason) in rejected {
                        self.quarantine(&frames, position, &reason, progress)?;
                    }
                    progress.taken = end;
                }
                Err(SinkError::Reject(reason)) if count == 1 => {
                    let only = frames.iter().find_map(|frame| frame.iter().next().map(|(position, _)| position));
                    if let Some(position) = only {
                        self.quarantine(&frames, position, &reason, progress)?;
                    }
                    progress.taken = end;
                }
                Err(SinkError::Reject(reason)) if count == 0 => {
                    return Err(SinkError::Fatal(format!(
                        "{reason} (the delivery held no record; this is a bug in the sink)"
                    )));
                }
                Err(SinkError::Reject(_)) => {
                    let (first, rest) = halve(frames, count / 2);
                    waiting.push_front(rest);
                    waiting.push_front(first);
                }
                Err(error) => return Err(error),
            }
        }
        progress.failed_end = None;
        Ok(())
    }

    fn quarantine(
        &self,
        frames: &[Selected],
        position: Position,
        reason: &str,
        progress: &mut Progress,
    ) -> Result<(), SinkError> {
        if self.stands_in {
            tracing::debug!(sink = self.from, ?position, reason, "record of another sink refused");
            progress.refused.push(position);
            return Ok(());
        }
        let Some(frame) = frames.iter().find(|frame| frame.sequence == position.sequence) else {
            return Err(SinkError::Fatal(format!(
                "the sink rejected record {position:?}, which it was not given; this is a bug in the sink"
            )));
        };
        tracing::warn!(
            sink = self.from,
            sequence = position.sequence,
            index = position.index,
            reason,
            "record rejected and moved to quarantine"
        );
        self.tracker.rejected(reason);
        let bytes = frame.batch.get(position.index as usize);
        self.quarantine.put(self.from, reason, bytes).map_err(|error| {
            SinkError::Retry(format!("can't move a rejected record ({reason}) to quarantine: {error}"))
        })
    }
}

/// Splits frames into parts of at most `most` records; the first one doesn't pass `ends_at`.
fn cut(frames: Vec<Selected>, most: usize, ends_at: Option<Position>) -> VecDeque<Vec<Selected>> {
    let mut parts = VecDeque::new();
    let before = ends_at.map_or(0, |end| {
        let positions = frames.iter().flat_map(Selected::iter).map(|(position, _)| position);
        positions.take_while(|position| *position <= end).count()
    });
    let mut rest = frames;
    for first in [before, usize::MAX] {
        let mut left = first;
        loop {
            let count: usize = rest.iter().map(Selected::len).sum();
            let take = most.min(left).min(count);
            if take == 0 || (take == count && first == usize::MAX) {
                break;
            }
            let (head, tail) = halve(rest, take);
            parts.push_back(head);
            rest = tail;
            left -= take;
        }
    }
    // Frames without a record for this sink join the part before them, so that its position passes them too.
    match parts.back_mut() {
        Some(last) if rest.iter().all(Selected::is_empty) => last.extend(rest),
        _ => parts.push_back(rest),
    }
    parts
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
    use crate::sink::Indexes;
    use crate::testing::{MemoryQuarantine, frame, numbered};

    /// Takes everything except the records in `hates`, and refuses whole calls because of them.
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

    fn delivery<'a>(sink: &'a mut Picky, cell: &'a MemoryQuarantine, tracker: &'a StatusTracker) -> Delivery<'a> {
        Delivery {
            sink,
            from: "sink:picky",
            quarantine: cell,
            tracker,
            most: usize::MAX,
            stands_in: false,
            ends_at: None,
        }
    }

    async fn run(hates: &[u64]) -> (Picky, MemoryQuarantine, Result<Progress, SinkError>) {
        let mut sink = Picky { hates: hates.to_vec(), took: Vec::new(), calls: 0 };
        let (cell, tracker) = (MemoryQuarantine::default(), StatusTracker::new("picky", 0));
        let frames = vec![frame(1, numbered(0..10)), frame(2, numbered(10..11)), frame(3, numbered(11..100))];
        let mut progress = Progress::default();
        let mut delivery = delivery(&mut sink, &cell, &tracker);
        let outcome = delivery.run(frames, &mut progress).await;
        (sink, cell, outcome.map(|()| progress))
    }

    #[tokio::test]
    async fn bad_records_are_found_by_halving_and_all_others_arrive_once_in_order() {
        for hates in [&[][..], &[0], &[99], &[10], &[9, 10, 11], &[3, 50, 51, 98]] {
            let (sink, cell, progress) = run(hates).await;
            let all =
                Progress { records: 100 - hates.len() as u64, taken: Some(Position::whole(3)), ..Progress::default() };
            assert_eq!(progress, Ok(all));
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
    async fn records_of_another_sink_that_are_refused_are_named_and_not_quarantined() {
        let mut sink = Picky { hates: vec![2, 7], took: Vec::new(), calls: 0 };
        let (cell, tracker) = (MemoryQuarantine::default(), StatusTracker::new("picky", 0));
        let mut progress = Progress::default();
        let mut delivery = Delivery { stands_in: true, ..delivery(&mut sink, &cell, &tracker) };
        let outcome = delivery.run(vec![frame(1, numbered(0..10))], &mut progress).await;
        assert_eq!(outcome, Ok(()));
        let refused: Vec<u32> = progress.refused.iter().map(|position| position.index).collect();
        assert_eq!((progress.records, refused), (8, vec![2, 7]));
        assert!(cell.held.into_inner().expect("not poisoned").is_empty());
    }

    #[test]
    fn deliveries_are_cut_to_size_hold_every_record_once_and_end_where_the_last_attempt_ended() {
        let frames = || {
            let mut none = frame(4, numbered(0..3));
            none.indexes = Indexes::These(vec![]);
            vec![frame(1, numbered(0..10)), frame(2, numbered(10..11)), frame(3, numbered(11..30)), none]
        };
        let all: Vec<_> = frames().iter().flat_map(Selected::iter).map(|(position, _)| position).collect();
        for most in [1, 3, 10, 11, 29, 30, usize::MAX] {
            for ends_at in [None, Some(all[4]), Some(all[9]), Some(Position::whole(1)), Some(all[29])] {
                let parts = cut(frames(), most, ends_at);
                let held: Vec<_> = parts.iter().flatten().flat_map(Selected::iter).map(|(at, _)| at).collect();
                assert_eq!(held, all, "{most} {ends_at:?}");
                for part in &parts {
                    let len: usize = part.iter().map(Selected::len).sum();
                    assert!((1..=most).contains(&len), "{most} {ends_at:?}: {len}");
                }
                let ends: Vec<_> =
                    parts.iter().map(|part| part.iter().rev().find(|f| !f.is_empty()).unwrap()).collect();
                assert!(
                    ends_at.is_none_or(|at| ends
                        .iter()
                        .any(|frame| { frame.nth(frame.len() - 1).0 == at || (at.is_whole() && frame.end() == at) })),
                    "{most} {ends_at:?}"
                );
                assert_eq!(parts.back().unwrap().last().unwrap().end(), Position::whole(4));
            }
        }
    }

    #[tokio::test]
    async fn while_quarantine_refuses_nothing_after_the_bad_record_is_offered() {
        let mut sink = Picky { hates: vec![5], took: Vec::new(), calls: 0 };
        let (cell, tracker) = (MemoryQuarantine::default(), StatusTracker::new("picky", 0));
        *cell.failures.lock().expect("not poisoned") = 1;
        let mut progress = Progress::default();
        let outcome = delivery(&mut sink, &cell, &tracker).run(vec![frame(1, numbered(0..10))], &mut progress).await;
        assert!(matches!(outcome, Err(SinkError::Retry(_))), "{outcome:?}");
        assert!(progress.taken.is_some_and(|taken| taken.index < 5), "{progress:?}");
        assert!(sink.took.iter().all(|position| position.index < 5), "{:?}", sink.took);
    }
}
