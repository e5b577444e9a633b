//! Makes the output of the chain durable: the quarantine first, then the journal. Held and released records are in the
//! same frame.

use std::collections::VecDeque;
use std::sync::Arc;

use weir_engine::Failed;
use weir_journal::{AppendError, Journal, Ledger, Reservation};
use weir_record::Batch;
use weir_record::time::now_ns;

use super::PipelineState;
use crate::quarantine::QuarantineError;

/// Called with the result of an append.
type Done = Box<dyn FnOnce(Result<(), AppendError>) + Send>;

/// Quarantines records for which no sender waits. They must be durable there before they are released in the journal.
pub fn set_aside(shared: &PipelineState, failed: &[Failed]) -> Result<(), QuarantineError> {
    failed.iter().try_for_each(|failed| {
        let from = format!("filter:{}", failed.filter);
        shared.quarantine.keep(&from, &failed.reason, &failed.record)
    })
}

/// Appends the output of a chain, except for records below the minimum level, and what is held and released with it. If
/// that fails, a restore of the filters is requested before `done` is called, so it happens before their next batch.
pub fn append(
    shared: &Arc<PipelineState>,
    batch: &Batch,
    mut ledger: Ledger,
    room: Reservation,
    done: impl FnOnce(Result<(), AppendError>) + Send + 'static,
) {
    let batch = &*shared.levels.above_minimum(batch);
    if batch.is_empty() && ledger.is_empty() {
        return done(Ok(()));
    }
    ledger.releases.extend(shared.repeats.expired(now_ns()));
    let max_bytes = shared.journal.max_payload_bytes().saturating_sub(ledger.size_bytes() as u64);
    let parts = split(batch, usize::try_from(max_bytes).unwrap_or(usize::MAX));
    let state = shared.clone();
    let done = Box::new(move |result: Result<(), AppendError>| {
        if result.is_err() {
            state.request_restore();
        }
        done(result);
    });
    append_parts(shared.journal.clone(), parts, ledger, room, done);
}

/// Splits a batch into journal frames. Usually there is one part; an empty batch has an empty part.
fn split(batch: &Batch, max_bytes: usize) -> VecDeque<(Vec<u8>, u32)> {
    if batch.is_empty() {
        return VecDeque::from([(Vec::new(), 0)]);
    }
    let whole = batch.encode();
    if whole.len() <= max_bytes || batch.len() == 1 {
        return VecDeque::from([(whole, batch.len() as u32)]);
    }
    drop(whole);
    let (mut first, mut second) = (Batch::new(), Batch::new());
    let middle = batch.len() / 2;
    first.extend_range(batch, 0..middle);
    second.extend_range(batch, middle..batch.len());
    let mut parts = split(&first, max_bytes);
    parts.append(&mut split(&second, max_bytes));
    parts
}

/// Appends the parts in order, each after the previous one is durable. The ledger goes with the last part, so that
/// records are released only after everything made from them is stored.
fn append_parts(journal: Journal, mut parts: VecDeque<(Vec<u8>, u32)>, ledger: Ledger, room: Reservation, done: Done) {
    let Some((payload, records)) = parts.pop_front() else { return done(Ok(())) };
    if parts.is_empty() {
        return journal.append_reserved(payload, records, ledger, room, move |result| done(result.map(|_| ())));
    }
    let next = journal.clone();
    journal.append(payload, records, move |result| match result {
        Ok(_) => append_parts(next, parts, ledger, room, done),
        Err(error) => done(Err(error)),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(records: usize) -> Batch {
        let records: Vec<String> = (0..records).map(|at| format!(r#"{{"message":"{at:0100}"}}"#)).collect();
        let (aliases, level) = (weir_record::Aliases::default(), weir_record::Level::Info);
        let defaults = weir_record::Defaults {
            received_ns: 1,
            source: "test",
            level,
            context: &[],
            aliases: &aliases,
            keeps_routes: true,
        };
        let mut batch = Batch::new();
        let bad = weir_record::read_json(format!("[{}]", records.join(",")).as_bytes(), &defaults, &mut batch).unwrap();
        assert!(bad.is_empty());
        batch
    }

    #[test]
    fn a_batch_larger_than_a_frame_is_split_in_order() {
        let whole = batch(100);
        let parts = split(&whole, 1000);
        assert!(parts.len() > 10 && parts.iter().all(|(payload, _)| payload.len() <= 1000));
        let mut joined = Batch::new();
        for (payload, records) in &parts {
            let part = Batch::decode(payload).unwrap();
            assert_eq!(part.len() as u32, *records);
            joined.extend(&part);
        }
        assert_eq!(joined, whole);
        assert_eq!(split(&whole, 1 << 20).len(), 1);
        assert_eq!(split(&Batch::new(), 1000), [(Vec::new(), 0)]);
        assert_eq!(split(&batch(1), 10).len(), 1, "one record is for the journal to refuse");
    }
}
