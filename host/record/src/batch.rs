//! A batch: concatenated canonical records and their end offsets. This is the only form of records in memory, in the
//! journal and as input of filters.
//!
//! The encoded form (the journal's payload) has little-endian integers:
//!
//! ```text
//! u32 count | count × u32 end offset | the records
//! ```
//!
//! Invariants: end offsets never decrease, the last one is the length of the bytes, and every record is one MessagePack
//! map with a 16-bit header.

use std::ops::Range;

use crate::record::Record;

/// Canonical records, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

/// Why bytes are not an encoded batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// There are fewer bytes than the header requires.
    #[error("batch is cut short: {expected} bytes announced, {found} there")]
    Truncated {
        /// The minimum number of bytes required.
        expected: u64,
        /// The number of bytes present.
        found: usize,
    },
    /// The bytes between two offsets are not a canonical record.
    #[error("record {index} of the batch is not a canonical record at bytes {start} to {end}")]
    Record {
        /// The index of the record.
        index: usize,
        /// Where it starts.
        start: usize,
        /// Where it ends.
        end: usize,
    },
    /// There are bytes after the last record.
    #[error("batch has {0} bytes after its last record")]
    Trailing(usize),
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// An empty batch with room for this many bytes and records.
    pub fn with_capacity(bytes: usize, records: usize) -> Batch {
        Batch { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(records) }
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The total length of all records in bytes.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// All records, concatenated.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of one record. Panics if the index is out of range.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.start(index)..self.ends[index] as usize]
    }

    /// The bytes of a range of records. Panics if it is out of range.
    pub fn slice(&self, records: Range<usize>) -> &[u8] {
        &self.bytes[self.start(records.start)..self.start(records.end)]
    }

    /// The start offset of a record, or the end of the last one.
    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    /// One record. Panics if the index is out of range.
    pub fn record(&self, index: usize) -> Record<'_> {
        Record::new(self.get(index))
    }

    /// The records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> + DoubleEndedIterator {
        (0..self.len()).map(|index| self.record(index))
    }

    /// Appends a record, which must be canonical.
    pub fn push(&mut self, record: &[u8]) {
        self.append(|bytes| bytes.extend_from_slice(record));
    }

    /// Appends the canonical record that `write` writes to the bytes, without an intermediate copy.
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(end_offset(self.bytes.len()));
    }

    /// Appends the canonical record that `write` writes to the bytes. If it fails, the batch is unchanged.
    pub fn try_append<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let before = self.bytes.len();
        match write(&mut self.bytes) {
            Ok(()) => self.ends.push(end_offset(self.bytes.len())),
            Err(error) => {
                self.bytes.truncate(before);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Appends all records of another batch.
    pub fn extend(&mut self, other: &Batch) {
        self.extend_range(other, 0..other.len());
    }

    /// Appends a range of records of another batch. Panics if it is out of range.
    pub fn extend_range(&mut self, other: &Batch, records: Range<usize>) {
        let from = other.start(records.start);
        let base = self.bytes.len();
        self.bytes.extend_from_slice(other.slice(records.clone()));
        end_offset(self.bytes.len());
        self.ends.extend(other.ends[records].iter().map(|end| (*end as usize - from + base) as u32));
    }

    /// Removes all records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Keeps the first `records` records.
    pub fn truncate(&mut self, records: usize) {
        if records < self.len() {
            self.ends.truncate(records);
            self.bytes.truncate(self.ends.last().map_or(0, |&end| end as usize));
        }
    }

    /// Encodes the batch.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + 4 * self.ends.len() + self.bytes.len());
        out.extend_from_slice(&(self.ends.len() as u32).to_le_bytes());
        for end in &self.ends {
            out.extend_from_slice(&end.to_le_bytes());
        }
        out.extend_from_slice(&self.bytes);
        out
    }

    /// Decodes a batch. Checks the offsets and the header of each record, but not the contents of records.
    pub fn decode(encoded: &[u8]) -> Result<Batch, DecodeError> {
        let truncated = |expected: u64| DecodeError::Truncated { expected, found: encoded.len() };
        let (count, rest) = encoded.split_first_chunk::<4>().ok_or(truncated(4))?;
        let count = u32::from_le_bytes(*count) as usize;
        let table = count.checked_mul(4).and_then(|len| rest.get(..len)).ok_or(truncated(4 + 4 * count as u64))?;
        let body = &rest[table.len()..];
        let (entries, _) = table.as_chunks::<4>();
        let mut ends = Vec::with_capacity(count);
        let mut start = 0;
        for (index, entry) in entries.iter().enumerate() {
            let end = u32::from_le_bytes(*entry) as usize;
            if end > body.len() {
                return Err(truncated((4 + table.len() + end) as u64));
            }
            if !body.get(start..end).is_some_and(|record| record.len() >= 3 && record[0] == 0xde) {
                return Err(DecodeError::Record { index, start, end });
            }
            ends.push(end as u32);
            start = end;
        }
        if start != body.len() {
            return Err(DecodeError::Trailing(body.len() - start));
        }
        Ok(Batch { bytes: body.to_vec(), ends })
    }
}

/// Batches are limited to tens of megabytes long before this. A batch of four gigabytes would be a bug in this program.
fn end_offset(len: usize) -> u32 {
    u32::try_from(len).expect("a batch stays below four gigabytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Batch {
        let mut batch = Batch::new();
        batch.push(&[0xde, 0, 1, 0xa1, b'a', 1]);
        batch.push(&[0xde, 0, 0]);
        batch
    }

    #[test]
    fn an_encoded_batch_decodes_to_itself() {
        for batch in [Batch::new(), sample()] {
            assert_eq!(Batch::decode(&batch.encode()), Ok(batch));
        }
    }

    #[test]
    fn a_batch_cut_anywhere_is_refused() {
        let encoded = sample().encode();
        for len in 0..encoded.len() {
            assert!(Batch::decode(&encoded[..len]).is_err(), "{len} bytes");
        }
        let longer = [encoded, vec![0]].concat();
        assert_eq!(Batch::decode(&longer), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn a_huge_count_costs_no_memory() {
        assert!(matches!(Batch::decode(&[255; 64]), Err(DecodeError::Truncated { .. })));
    }

    #[test]
    fn decreasing_offsets_are_refused() {
        let mut encoded = sample().encode();
        encoded[8..12].copy_from_slice(&2u32.to_le_bytes());
        assert!(matches!(Batch::decode(&encoded), Err(DecodeError::Record { index: 1, .. })));
    }

    #[test]
    fn extending_and_truncating_keep_records_whole() {
        let mut batch = sample();
        batch.extend(&sample());
        assert_eq!(batch.len(), 4);
        assert_eq!(batch.get(2), sample().get(0));
        assert_eq!(batch.slice(1..3), [sample().get(1), sample().get(0)].concat());
        let mut middle = sample();
        middle.extend_range(&batch, 1..3);
        assert_eq!((middle.len(), middle.get(2), middle.get(3)), (4, batch.get(1), batch.get(2)));
        middle.extend_range(&batch, 2..2);
        assert_eq!(middle.len(), 4);
        batch.truncate(2);
        assert_eq!(batch, sample());
    }

    #[test]
    fn a_failed_append_leaves_the_batch_unchanged() {
        let mut batch = sample();
        let failed = batch.try_append(|bytes| {
            bytes.push(0xde);
            Err("nothing came")
        });
        assert_eq!((failed, &batch), (Err("nothing came"), &sample()));
        let added = batch.try_append(|bytes| {
            bytes.extend_from_slice(&[0xde, 0, 0]);
            Ok::<(), ()>(())
        });
        assert_eq!((added, batch.len(), batch.get(2)), (Ok(()), 3, &[0xde, 0, 0][..]));
    }
}
