//! A few recent records in memory, which a new filter is tried on before it is published.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, TryLockError};

use weir_record::Batch;

use crate::limits;

/// Batches between two that a record is taken from.
const EVERY: u64 = 16;

/// The sample. Never leaves memory: its records have not been through the filters.
#[derive(Default)]
pub struct Sample {
    batches: AtomicU64,
    records: Mutex<Batch>,
}

impl Sample {
    /// Shows the sample a batch; now and then it takes some of its records.
    pub fn offer(&self, batch: &Batch) {
        if !self.batches.fetch_add(1, Ordering::Relaxed).is_multiple_of(EVERY) {
            return;
        }
        // Somebody else is at it: the next batch will do.
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

    /// The records taken so far.
    pub fn take(&self) -> Batch {
        match self.records.lock() {
            Ok(records) => records.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }
}
