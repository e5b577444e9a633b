//! The senders that wait for a batch, and their answers.

use tokio::sync::oneshot;
use weir_engine::Engine;
use weir_ingest::{Receipt, RecordError, Refusal};
use weir_journal::{AppendError, Ledger};
use weir_record::RejectedRecord;

use super::Mark;
use crate::quarantine::{Quarantine, QuarantineError};
use crate::repeats::KeyHold;

type Reply = oneshot::Sender<Result<Receipt, Refusal>>;

/// The waiting senders, in the order of their records in the batch.
#[derive(Default)]
pub struct Answers {
    waiting: Vec<Waiting>,
    records: u32,
    failure: Option<String>,
}

struct Waiting {
    /// Index of the sender's first record in the batch.
    start: u32,
    bad: Vec<RejectedRecord>,
    mark: Option<Mark>,
    /// What the journal holds for its key.
    key_hold: Option<KeyHold>,
    receipt: Receipt,
    reply: Reply,
}

impl Answers {
    /// Adds a sender with the next `records` of the batch.
    pub fn add(&mut self, records: u32, bad: Vec<RejectedRecord>, mark: Option<Mark>, reply: Reply) {
        let receipt = Receipt::default();
        self.waiting.push(Waiting { start: self.records, bad, mark, key_hold: None, receipt, reply });
        self.records += records;
    }

    /// Reports to its sender that a filter rejected the record at `index`.
    pub fn reject(&mut self, index: u32, error: String) {
        let (problem, waiting) = self.find(index, error);
        waiting.receipt.rejected.push(problem);
    }

    /// Reports to its sender that the record at `index` was quarantined, or that this failed.
    pub fn quarantine(&mut self, index: u32, error: String, kept: Result<(), QuarantineError>) {
        if let Err(error) = kept {
            self.fail(&error.to_string());
        }
        let (problem, waiting) = self.find(index, error);
        waiting.receipt.quarantined.push(problem);
    }

    /// Quarantines the input that could not be parsed as records.
    pub fn keep_bad(&mut self, quarantine: &Quarantine) {
        for waiting in &mut self.waiting {
            for bad in std::mem::take(&mut waiting.bad) {
                if let Err(error) = quarantine.keep_raw("ingest", &bad.error, &bad.bytes) {
                    self.failure = Some(error.to_string());
                }
            }
        }
    }

    /// Adds what the journal shall hold for these deliveries.
    pub fn mark(&mut self, ledger: &mut Ledger, engine: &Engine) {
        for waiting in &mut self.waiting {
            match &waiting.mark {
                Some(Mark::Key(key)) => {
                    let held = waiting.key_hold.insert(key.hold(engine.new_record_id(), &waiting.receipt));
                    ledger.holds.push(held.hold.clone());
                }
                Some(Mark::Positions(positions)) => positions.add_to(ledger, || engine.new_record_id()),
                None => {}
            }
        }
    }

    /// Makes all answers report this failure.
    pub fn fail(&mut self, reason: &str) {
        self.failure = Some(reason.to_string());
    }

    /// Whether all answers report a failure.
    pub fn have_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Sends the answers. A disconnected sender is not an error: its records are stored.
    pub fn send(self, appended: Result<(), AppendError>) {
        for waiting in self.waiting {
            let answer = match (&appended, &self.failure) {
                (Err(error), _) => Err(refusal(error)),
                (Ok(()), Some(reason)) => Err(Refusal::Failed(reason.clone())),
                (Ok(()), None) => {
                    match (waiting.mark, waiting.key_hold) {
                        (Some(Mark::Key(key)), Some(held)) => key.stored(held),
                        (Some(Mark::Positions(positions)), _) => positions.stored(),
                        _ => {}
                    }
                    Ok(waiting.receipt)
                }
            };
            let _gone = waiting.reply.send(answer);
        }
    }

    fn find(&mut self, index: u32, error: String) -> (RecordError, &mut Waiting) {
        let after = self.waiting.partition_point(|w| w.start <= index);
        // A sender without records has the same start as the next one, so the last sender that starts at or before the
        // index owns it. The first starts at zero, so there is always one.
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
