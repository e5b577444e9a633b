//! One frame of the journal in memory: its records, and what was found out about them for some client, so that a
//! thousand clients with the same query cost one evaluation.
//!
//! Nothing is decoded while nobody asks.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use weir_query::EntryId;
use weir_record::{Batch, Record};

use crate::live::Edit;
use crate::query::SharedQuery;
use crate::totals::Counts;

/// A frame of the journal.
pub struct Frame {
    pub sequence: u64,
    pub records: u32,
    /// Records that could not be read. Such a frame has no others.
    pub skipped: u64,
    payload: Bytes,
    batch: OnceLock<Batch>,
    /// The indexes of matching records, by the query's number.
    matches: Mutex<Vec<(u64, Arc<[u32]>)>>,
    counts: OnceLock<Counts>,
}

/// Length of a record that was erased: an empty map is left in its place.
const ERASED_BYTES: usize = 3;

fn is_there(record: Record<'_>) -> bool {
    record.as_bytes().len() > ERASED_BYTES
}

/// Results kept per frame: more different queries than people watch at a time.
const MAX_KEPT_QUERIES: usize = 32;

impl Frame {
    pub fn new(sequence: u64, records: u32, payload: Bytes) -> Frame {
        Frame {
            sequence,
            records,
            skipped: 0,
            payload,
            batch: OnceLock::new(),
            matches: Mutex::default(),
            counts: OnceLock::new(),
        }
    }

    /// Stands for frames that could not be read, the last of which has this sequence.
    pub fn skipped(sequence: u64, records: u64) -> Frame {
        Frame { skipped: records, batch: OnceLock::from(Batch::new()), ..Frame::new(sequence, 0, Bytes::new()) }
    }

    /// The same frame without some of its records, if it has them.
    pub fn without(&self, edit: &Edit) -> Option<Frame> {
        edit(&self.payload).map(|rest| Frame::new(self.sequence, self.records, rest.into()))
    }

    pub fn size_bytes(&self) -> usize {
        self.payload.len()
    }

    /// The id of one of its records.
    pub fn id(&self, index: u32) -> EntryId {
        EntryId { sequence: self.sequence, index }
    }

    /// The place behind its last record.
    pub fn end(&self) -> EntryId {
        EntryId { sequence: self.sequence.saturating_add(1), index: 0 }
    }

    /// One of its records. Panics if the index is out of range.
    pub fn record(&self, index: u32) -> Record<'_> {
        self.batch().record(index as usize)
    }

    fn batch(&self) -> &Batch {
        self.batch.get_or_init(|| {
            Batch::decode(&self.payload).unwrap_or_else(|error| {
                tracing::error!(sequence = self.sequence, "the live stream lacks a batch: {error}");
                Batch::new()
            })
        })
    }

    /// The indexes of the records that a query selects, ascending.
    pub fn matching(&self, query: &SharedQuery) -> Arc<[u32]> {
        let mut kept = self.matches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, matches)) = kept.iter().find(|(number, _)| *number == query.number) {
            return matches.clone();
        }
        let matching =
            self.batch().iter().enumerate().filter(|(_, record)| is_there(*record) && query.query.matches(*record));
        let matches: Arc<[u32]> = matching.map(|(index, _)| index as u32).collect();
        if kept.len() >= MAX_KEPT_QUERIES {
            kept.remove(0);
        }
        kept.push((query.number, matches.clone()));
        matches
    }

    /// All its records, counted.
    pub fn counts(&self) -> &Counts {
        self.counts.get_or_init(|| Counts::of(self.batch().iter().filter(|record| is_there(*record))))
    }

    /// Some of its records, counted.
    pub fn counts_of(&self, indexes: Range<u32>) -> Counts {
        Counts::of(indexes.map(|index| self.record(index)).filter(|record| is_there(*record)))
    }
}
