//! The next records to deliver: frames of the journal, as many as the sink wants at a time, with the records that are
//! for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use weir_journal::{Entry, ReadError, Reader};
use weir_record::Batch;

use super::Stop;
use super::session::{Runner, SessionEnd};
use crate::limits;
use crate::sink::{Indexes, Position, Selected, SinkError};

impl Runner {
    /// The next frames; `None` if something else has to be done first, or none arrived within `at_most`.
    pub(super) async fn next(
        &mut self,
        stop: Stop,
        at_most: Option<Duration>,
    ) -> Result<Option<Vec<Entry>>, SessionEnd> {
        let wait = match stop {
            _ if at_most.is_some() => at_most.unwrap_or_default(),
            Stop::Drain(deadline) => deadline.saturating_duration_since(Instant::now()),
            _ => self.flush_wait().unwrap_or(limits::MAINTENANCE_INTERVAL).min(limits::MAINTENANCE_INTERVAL),
        };
        let Some(reader) = self.reader.as_mut() else {
            return Err(SessionEnd::Error(SinkError::Retry("the journal is not open for reading".into())));
        };
        let read = tokio::select! {
            biased;
            Some(request) = self.inbox.recv() => return self.serve(request).await.map(|()| None),
            read = timeout(wait, reader.next(limits::READ_BYTES)) => read,
            changed = self.stop.changed() => {
                // The running sink was dropped: no flush, as in a crash.
                return if changed.is_err() { Err(SessionEnd::Stopped) } else { Ok(None) };
            }
        };
        match read {
            Err(_elapsed) => Ok(None),
            Ok(Ok(entries)) => Ok(Some(entries)),
            Ok(Err(ReadError::Closed)) => Err(SessionEnd::Stopped),
            Ok(Err(error)) => Err(self.unreadable(&error)),
        }
    }

    /// Waits for more records if the sink asks for it and no stop is requested.
    pub(super) async fn gather(&mut self, stop: Stop, entries: &mut Vec<Entry>) -> Result<(), SessionEnd> {
        let until = Instant::now() + self.batching.linger;
        loop {
            let records: u64 = entries.iter().map(|entry| u64::from(entry.records)).sum();
            let bytes: usize = entries.iter().map(|entry| entry.payload.len()).sum();
            let wait = until.saturating_duration_since(Instant::now());
            let enough = records >= self.batching.records as u64 || bytes >= limits::READ_BYTES;
            if enough || wait.is_zero() || stop != Stop::No {
                return Ok(());
            }
            match self.next(stop, Some(wait)).await? {
                Some(more) => entries.extend(more),
                None => return Ok(()),
            }
        }
    }

    pub(super) fn note_skipped(&mut self) {
        let skipped = self.reader.as_ref().map_or(0, Reader::skipped);
        if skipped > self.skipped {
            let records = skipped - self.skipped;
            tracing::warn!(
                sink = self.name,
                records,
                "the journal's disk limit removed records before they were delivered"
            );
            self.tracker.skipped(records);
            self.skipped = skipped;
        }
    }

    /// Decodes frames and selects their records. A frame that can't be decoded goes to quarantine as a whole.
    pub(super) fn select(&self, entries: Vec<Entry>) -> Result<Vec<Selected>, SessionEnd> {
        let mut frames = Vec::with_capacity(entries.len());
        for entry in entries {
            let batch = match Batch::decode(&entry.payload) {
                Ok(batch) => batch,
                Err(error) => {
                    let reason = format!("journal frame {} can't be decoded: {error}", entry.sequence);
                    self.tracker.rejected(&reason);
                    self.quarantine
                        .put(&self.from, &reason, &entry.payload)
                        .map_err(|error| SinkError::Retry(format!("{reason}, and quarantine refuses it: {error}")))?;
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

    pub(super) fn unreadable(&self, error: &ReadError) -> SessionEnd {
        let text = format!("sink `{}`: {error}", self.name);
        SessionEnd::Error(match error {
            ReadError::Storage { .. } | ReadError::InUse(_) => SinkError::Retry(text),
            _ => SinkError::Fatal(text),
        })
    }
}

/// The indexes without the records that were already taken.
fn after(indexes: Indexes, taken: Position, len: usize) -> Indexes {
    Indexes::These(match indexes {
        // A frame is bounded by the journal's payload bound, far below 2^32 records.
        Indexes::All => (0..len as u32).filter(|index| *index > taken.index).collect(),
        Indexes::These(indexes) => indexes.into_iter().filter(|index| *index > taken.index).collect(),
    })
}
