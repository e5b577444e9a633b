//! A sample of recent records in memory, on which new filters are tested before they are published.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, TryLockError};

use weir_record::Batch;

use crate::limits;
use crate::wiring::lock;

/// One batch in this many is sampled, once there were so many.
const EVERY: u64 = 16;

/// The sample. It is never written to disk, because its records are unfiltered.
#[derive(Default)]
pub struct Sample {
    batches: AtomicU64,
    records: Mutex<Batch>,
}

impl Sample {
    /// Offers a batch to the sample, which takes records from some batches.
    pub fn offer(&self, batch: &Batch) {
        // A source may deliver nothing but positions.
        if batch.is_empty() {
            return;
        }
        let number = self.batches.fetch_add(1, Ordering::Relaxed);
        if number >= EVERY && !number.is_multiple_of(EVERY) {
            return;
        }
        // Another thread is updating the sample; skip this batch.
        let mut records = match self.records.try_lock() {
            Ok(records) => records,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if records.len() >= limits::SAMPLE_RECORDS || records.byte_len() >= limits::SAMPLE_BYTES {
            *records = Batch::new();
        }
        for record in batch.iter().take(limits::SAMPLE_RECORDS / 4) {
            if records.byte_len() + record.as_bytes().len() > limits::SAMPLE_BYTES {
                break;
            }
            records.push(record.as_bytes());
        }
    }

    /// Forgets all of them.
    pub fn clear(&self) {
        *lock(&self.records) = Batch::new();
    }

    /// A copy of the sampled records.
    pub fn take(&self) -> Batch {
        match self.records.lock() {
            Ok(records) => records.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_batches_are_taken_and_later_one_of_sixteen() {
        let sample = Sample::default();
        let mut one = Batch::new();
        one.push(&[0xde, 0, 0]);
        for records in 1..=16 {
            sample.offer(&Batch::new());
            sample.offer(&one);
            assert_eq!(sample.take().len(), records);
        }
        (16..16 + 2 * EVERY).for_each(|_| sample.offer(&one));
        assert_eq!(sample.take().len(), 18);
    }
}
