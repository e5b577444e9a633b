//! Who waits for which records of a batch, and what each of them is told.

use tokio::sync::oneshot;
use weir_ingest::{Receipt, RecordError, Refusal};
use weir_journal::AppendError;
use weir_record::Bad;

use crate::quarantine::{Quarantine, QuarantineError};

type Reply = oneshot::Sender<Result<Receipt, Refusal>>;

/// Everybody who waits for a batch, in the order of their records in it.
#[derive(Default)]
pub struct Answers {
    waiting: Vec<Waiting>,
    records: u32,
    failure: Option<String>,
}

struct Waiting {
    /// Where this sender's records begin in the batch.
    start: u32,
    bad: Vec<Bad>,
    receipt: Receipt,
    reply: Reply,
}

impl Answers {
    /// Adds a sender whose `records` come next in the batch.
    pub fn add(&mut self, records: u32, bad: Vec<Bad>, reply: Reply) {
        self.waiting.push(Waiting { start: self.records, bad, receipt: Receipt::default(), reply });
        self.records += records;
    }

    /// A filter rejected the record at `index` of the batch: its sender must be told.
    pub fn reject(&mut self, index: u32, error: String) {
        let (problem, waiting) = self.find(index, error);
        waiting.receipt.rejected.push(problem);
    }

    /// The record at `index` of the batch went to quarantine, or could not be kept even there.
    pub fn quarantine(&mut self, index: u32, error: String, kept: Result<(), QuarantineError>) {
        if let Err(error) = kept {
            self.fail(&error.to_string());
        }
        let (problem, waiting) = self.find(index, error);
        waiting.receipt.quarantined.push(problem);
    }

    /// Puts what could not be read as records into quarantine.
    pub fn keep_bad(&mut self, quarantine: &Quarantine) {
        for waiting in &mut self.waiting {
            for bad in std::mem::take(&mut waiting.bad) {
                if let Err(error) = quarantine.keep_raw("ingest", &bad.error, &bad.bytes) {
                    self.failure = Some(error.to_string());
                }
            }
        }
    }

    /// Something that the answers promise could not be done: nobody is told that all is well.
    pub fn fail(&mut self, reason: &str) {
        self.failure = Some(reason.to_string());
    }

    /// Tells everybody. A sender that has gone away is no error: its records are stored.
    pub fn send(self, appended: Result<(), AppendError>) {
        for waiting in self.waiting {
            let answer = match (&appended, &self.failure) {
                (Err(error), _) => Err(refusal(error)),
                (Ok(()), Some(reason)) => Err(Refusal::Failed(reason.clone())),
                (Ok(()), None) => Ok(waiting.receipt),
            };
            let _gone = waiting.reply.send(answer);
        }
    }

    fn find(&mut self, index: u32, error: String) -> (RecordError, &mut Waiting) {
        let after = self.waiting.partition_point(|w| w.start <= index);
        // A sender without records shares its start with the next one; the last that starts at or
        // before the index is the one that has it. The first starts at zero, so there is one.
        let waiting = &mut self.waiting[after - 1];
        let index = index - waiting.start;
        (RecordError { index, error }, waiting)
    }
}

fn refusal(error: &AppendError) -> Refusal {
    match error {
        AppendError::Full(_) => Refusal::Full(error.to_string()),
        AppendError::Busy | AppendError::Closed => Refusal::Busy(error.to_string()),
        _ => Refusal::Failed(error.to_string()),
    }
}
