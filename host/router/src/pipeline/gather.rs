//! Joins waiting deliveries into one batch.

use crossbeam_channel::Receiver;
use weir_record::Batch;

use super::Admitted;
use super::answer::Answers;
use crate::limits;

/// Joins `first` and other waiting deliveries, up to a limit, and records which sender owns which records.
///
/// A single delivery is not copied.
pub fn gather(first: Admitted, waiting: &Receiver<Admitted>) -> (Batch, Answers) {
    let mut answers = Answers::default();
    let Admitted { delivery: first, mark } = first;
    let mut batch = first.batch;
    answers.add(batch.len() as u32, first.bad, mark, first.reply);
    while batch.len() < limits::BATCH_RECORDS && batch.byte_len() < limits::BATCH_BYTES {
        let Ok(Admitted { delivery: next, mark }) = waiting.try_recv() else { break };
        batch.extend(&next.batch);
        answers.add(next.batch.len() as u32, next.bad, mark, next.reply);
    }
    (batch, answers)
}
