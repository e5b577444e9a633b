//! Assignment of records to senders when several deliveries form one batch.

use std::time::Duration;

use tokio::sync::oneshot;
use weir_ingest::{Receipt, Refusal};
use weir_journal::{AppendError, Keys};

use super::answer::Answers;
use crate::quarantine::{Keep, Quarantine, QuarantineFolder, QuarantineOptions};

type Heard = oneshot::Receiver<Result<Receipt, Refusal>>;

/// Senders with these numbers of records.
fn senders(records: &[u32]) -> (Answers, Vec<Heard>) {
    let mut answers = Answers::default();
    let heard = records
        .iter()
        .map(|records| {
            let (reply, heard) = oneshot::channel();
            answers.add(*records, Vec::new(), None, reply);
            heard
        })
        .collect();
    (answers, heard)
}

fn indexes(problems: &[weir_ingest::RecordError]) -> Vec<u32> {
    problems.iter().map(|problem| problem.index).collect()
}

#[test]
fn a_failed_record_is_reported_to_its_sender_with_the_index_in_the_request() {
    let (mut answers, mut heard) = senders(&[3, 0, 2, 1]);
    for (index, reason) in [(0, "a"), (2, "b"), (3, "c"), (5, "d")] {
        answers.reject(index, reason.into());
    }
    answers.quarantine(4, "e".into(), Ok(()));
    answers.send(Ok(()));
    let receipts: Vec<Receipt> = heard.iter_mut().map(|h| h.try_recv().unwrap().unwrap()).collect();
    let rejected: Vec<Vec<u32>> = receipts.iter().map(|r| indexes(&r.rejected)).collect();
    assert_eq!(rejected, [vec![0, 2], vec![], vec![0], vec![0]]);
    assert_eq!(indexes(&receipts[2].quarantined), [1]);
}

#[test]
fn a_journal_failure_is_reported_to_all_senders() {
    for (error, full) in [(AppendError::Full("no room".into()), true), (AppendError::Busy, false)] {
        let (answers, mut heard) = senders(&[1, 1]);
        answers.send(Err(error));
        for heard in &mut heard {
            let refusal = heard.try_recv().unwrap().unwrap_err();
            assert_eq!(matches!(refusal, Refusal::Full(_)), full);
            assert_eq!(matches!(refusal, Refusal::Busy(_)), !full);
        }
    }
}

#[test]
fn a_quarantine_failure_is_reported_to_the_senders() {
    let folder = tempfile::tempdir().unwrap();
    let options = QuarantineOptions { keep: Keep::Record, max_size_bytes: 1 << 30, max_age: Duration::from_secs(3600) };
    let in_folder = QuarantineFolder { path: folder.path().join("q"), keys: Keys::default() };
    let quarantine = Quarantine::open(in_folder, options).unwrap();
    std::fs::remove_dir(folder.path().join("q")).unwrap();
    let (mut answers, mut heard) = senders(&[1]);
    answers.quarantine(0, "trapped".into(), quarantine.keep("filter:x", "trapped", b"record"));
    answers.send(Ok(()));
    let refusal = heard[0].try_recv().unwrap().unwrap_err();
    assert!(matches!(&refusal, Refusal::Failed(why) if why.contains("quarantine")), "{refusal:?}");
}

#[test]
fn the_largest_batch_fits_a_frame_of_the_journal_with_half_as_much_again_for_what_filters_add() {
    use weir_record::limits::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_RECORD_BYTES};
    // The batch before the last delivery, that delivery, and the record that exceeded its limit.
    let bytes = crate::limits::BATCH_BYTES + MAX_BATCH_BYTES + MAX_RECORD_BYTES;
    let records = crate::limits::BATCH_RECORDS + MAX_BATCH_RECORDS + 1;
    let encoded = bytes + (records + 1) * size_of::<u32>();
    assert!(encoded + encoded / 2 <= weir_journal::limits::MAX_PAYLOAD_BYTES, "{encoded} bytes");
}
