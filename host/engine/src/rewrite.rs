//! Builds the output of a filter. Kept records are copied as late and in as large runs as possible, and not at all if
//! every record is kept.
//!
//! Each record has an *origin*: the index of the input record that it comes from. It lets a failure later in the chain
//! be reported to the right sender.

use std::ops::Range;

use weir_record::Batch;

use crate::budget::Room;
use crate::holds::{Changes, NO_SENDER};
use crate::limits::MAX_SPARE_BYTES;

/// The result of a call for a range of records.
pub(crate) enum Applied {
    /// All records are kept unchanged.
    Untouched,
    /// The result is in the [`Part`].
    Rewritten(Counts),
}

/// How many records were dropped, and how many were changed or replaced.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Counts {
    pub dropped: u64,
    pub patched: u64,
}

/// The result of one call. The memory is reused for the next one.
#[derive(Default)]
pub(crate) struct Part {
    pub batch: Batch,
    pub origins: Vec<u32>,
    /// Records that the call holds and releases.
    pub changes: Changes,
    /// Scratch memory.
    pub scratch: Vec<u8>,
    /// Set for tests and trials: output made from records held earlier gets the current record as its origin.
    pub on_trial: bool,
    /// Limits on the size of the output and the time to apply it.
    pub room: Room,
}

/// Returns the memory of a batch for reuse, unless it is unusually large.
pub(crate) fn spare(batch: Batch) -> Batch {
    if batch.byte_len() > MAX_SPARE_BYTES { Batch::new() } else { batch }
}

impl Part {
    pub fn clear(&mut self) {
        self.batch = spare(std::mem::take(&mut self.batch));
        self.batch.clear();
        self.origins.clear();
        self.changes.clear();
    }

    /// Fails if the output exceeds its limits.
    pub fn check(&mut self) -> Result<(), String> {
        self.room.check(&self.batch)
    }

    /// Copies a range of input records.
    pub fn keep(&mut self, input: &Batch, range: Range<usize>) {
        self.batch.extend_range(input, range.clone());
        self.origins.extend(range.start as u32..range.end as u32);
    }
}

/// The output of a filter, built piece by piece in input order.
pub(crate) struct Rewrite {
    batch: Batch,
    origins: Vec<u32>,
    /// Nothing is copied until the output differs from the input.
    differs: bool,
    /// The number of input records processed so far.
    done: usize,
}

impl Rewrite {
    /// Reuses the memory of earlier batches.
    pub fn new(mut batch: Batch, mut origins: Vec<u32>) -> Self {
        batch.clear();
        origins.clear();
        Self { batch, origins, differs: false, done: 0 }
    }

    /// Keeps the next records unchanged.
    pub fn keep(&mut self, input: &Batch, range: Range<usize>) {
        self.done = range.end;
        if self.differs {
            self.batch.extend_range(input, range.clone());
            self.origins.extend(range.start as u32..range.end as u32);
        }
    }

    /// Replaces the next records with a part.
    pub fn replace(&mut self, input: &Batch, range: Range<usize>, part: &mut Part) {
        self.begin(input, range.start);
        self.done = range.end;
        if self.batch.is_empty() {
            std::mem::swap(&mut self.batch, &mut part.batch);
            std::mem::swap(&mut self.origins, &mut part.origins);
        } else {
            self.batch.extend(&part.batch);
            self.origins.extend_from_slice(&part.origins);
        }
    }

    /// Inserts records that no sender waits for before the next one.
    pub fn insert(&mut self, input: &Batch, at: usize, made: &Batch) {
        self.begin(input, at);
        self.batch.extend(made);
        self.origins.resize(self.batch.len(), NO_SENDER);
    }

    /// Removes the next records.
    pub fn remove(&mut self, input: &Batch, range: Range<usize>) {
        self.begin(input, range.start);
        self.done = range.end;
    }

    fn begin(&mut self, input: &Batch, start: usize) {
        debug_assert_eq!(start, self.done, "pieces come in the order of the input");
        if !self.differs {
            self.differs = true;
            self.keep(input, 0..start);
        }
    }

    /// The output. The origins are `None` if every record is at its input index.
    pub fn finish(self, input: Batch) -> Finished {
        debug_assert_eq!(self.done, input.len(), "every record has an outcome");
        if self.differs {
            Finished { batch: self.batch, origins: Some(self.origins), spare: input, spare_origins: Vec::new() }
        } else {
            Finished { batch: input, origins: None, spare: self.batch, spare_origins: self.origins }
        }
    }
}

/// The output of a filter, and memory for reuse.
pub(crate) struct Finished {
    pub batch: Batch,
    pub origins: Option<Vec<u32>>,
    pub spare: Batch,
    pub spare_origins: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: &[&str]) -> Batch {
        let mut batch = Batch::new();
        for record in records {
            batch.push(record.as_bytes());
        }
        batch
    }

    fn texts(batch: &Batch) -> Vec<&str> {
        (0..batch.len()).map(|i| std::str::from_utf8(batch.get(i)).unwrap()).collect()
    }

    #[test]
    fn an_unchanged_batch_is_moved_and_not_copied() {
        let input = batch(&["a", "b"]);
        let address = input.bytes().as_ptr();
        let mut rewrite = Rewrite::new(Batch::new(), Vec::new());
        rewrite.keep(&input, 0..1);
        rewrite.keep(&input, 1..2);
        let finished = rewrite.finish(input);
        assert_eq!(finished.batch.bytes().as_ptr(), address);
        assert!(finished.origins.is_none());
    }

    #[test]
    fn pieces_come_out_in_order_with_their_origins() {
        let input = batch(&["a", "b", "c", "d"]);
        let mut rewrite = Rewrite::new(batch(&["old"]), vec![9]);
        rewrite.keep(&input, 0..1);
        let mut part = Part { batch: batch(&["b1", "b2"]), origins: vec![1, 1], ..Part::default() };
        rewrite.replace(&input, 1..2, &mut part);
        rewrite.remove(&input, 2..3);
        rewrite.keep(&input, 3..4);
        let finished = rewrite.finish(input);
        assert_eq!(texts(&finished.batch), ["a", "b1", "b2", "d"]);
        assert_eq!(finished.origins, Some(vec![0, 1, 1, 3]));
    }

    #[test]
    fn a_part_for_the_whole_batch_is_taken_without_a_copy() {
        let input = batch(&["a", "b"]);
        let mut part = Part { batch: batch(&["x"]), origins: vec![0], ..Part::default() };
        let address = part.batch.bytes().as_ptr();
        let mut rewrite = Rewrite::new(Batch::new(), Vec::new());
        rewrite.replace(&input, 0..2, &mut part);
        assert_eq!(rewrite.finish(input).batch.bytes().as_ptr(), address);
    }
}
