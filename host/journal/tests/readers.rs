//! Readers: from memory and from files, waiting, lagging, skipping, and what they find after a restart.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;
use weir_journal::inspect;
use weir_journal::simulated::{Fault, Simulated};
use weir_journal::{AppendError, Disk, Entry, Hold, Journal, Keys, Ledger, Options, Reader, SyncMode, WhenFull};

/// Longer than anything here takes; only a failing test waits for it.
const LONG: Duration = Duration::from_secs(60);

fn small() -> Options {
    Options { segment_bytes: 4096, max_size_bytes: 1 << 20, recent_bytes: 4096, ..Options::default() }
}

fn open(disk: &Simulated, options: &Options) -> Journal {
    Journal::open(Arc::new(disk.clone()), options.clone()).expect("the journal opens").0
}

/// Appends and waits for the answer.
fn append(journal: &Journal, payload: Vec<u8>, records: u32) -> Result<u64, AppendError> {
    let (sender, receiver) = mpsc::channel();
    journal.append(payload, records, move |result| {
        sender.send(result).expect("the test waits");
    });
    receiver.recv_timeout(LONG).expect("every append is answered")
}

fn append_many(journal: &Journal, count: u64, size: usize) {
    for n in 0..count {
        append(journal, vec![n as u8; size], 2).expect("there is room");
    }
}

async fn read_until(reader: &mut Reader, last: u64, max_bytes: usize) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    while all.last().is_none_or(|entry| entry.sequence < last) {
        let next = tokio::time::timeout(LONG, reader.next(max_bytes)).await;
        all.extend(next.expect("entries are there").expect("they can be read"));
    }
    all
}

fn sequences(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.sequence).collect()
}

#[tokio::test]
async fn the_first_reader_of_an_empty_journal_waits_and_gets_the_first_entry() {
    let journal = open(&Simulated::new(), &small());
    let mut reader = journal.reader("archive", None).expect("the name is free");
    let waiting = tokio::spawn(async move { reader.next(1000).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "there is nothing to read");
    assert_eq!(append(&journal, b"hello".to_vec(), 1), Ok(1));
    let entries = waiting.await.expect("no panic").expect("it can be read");
    assert_eq!(sequences(&entries), [1]);
    assert_eq!(entries[0].payload, "hello");
}

#[tokio::test]
async fn a_lagging_reader_reads_files_then_memory_and_misses_nothing_at_any_read_size() {
    for max_bytes in [1, 700, 5000, 1 << 20] {
        for compress in [false, true] {
            let journal = open(&Simulated::new(), &Options { compress, ..small() });
            let mut reader = journal.reader("slow", None).expect("the name is free");
            append_many(&journal, 60, 600);
            // Larger than a segment and than the memory of recent entries.
            append(&journal, vec![7; 300_000], 1).expect("there is room");
            append_many(&journal, 3, 600);
            let first = read_until(&mut reader, 64, max_bytes).await;
            assert_eq!(sequences(&first), (1..=64).collect::<Vec<_>>());
            assert_eq!(first[60].payload, vec![7; 300_000]);
            for entry in &first[..60] {
                assert_eq!(entry.payload, vec![(entry.sequence - 1) as u8; 600]);
            }
            // Now it keeps up, from memory; then it lags again.
            append(&journal, b"recent".to_vec(), 1).expect("there is room");
            assert_eq!(sequences(&read_until(&mut reader, 65, max_bytes).await), [65]);
            append_many(&journal, 40, 600);
            let again = read_until(&mut reader, 105, max_bytes).await;
            assert_eq!(sequences(&again), (66..=105).collect::<Vec<_>>());
            assert_eq!(reader.skipped(), 0);
        }
    }
}

#[tokio::test]
async fn a_cancelled_next_loses_nothing() {
    let journal = open(&Simulated::new(), &small());
    let mut reader = journal.reader("select", None).expect("the name is free");
    append_many(&journal, 50, 600);
    let mut seen = Vec::new();
    while seen.last() != Some(&50) {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            entries = reader.next(900) => seen.extend(sequences(&entries.expect("it can be read"))),
        }
        tokio::select! {
            biased;
            entries = reader.next(900) => seen.extend(sequences(&entries.expect("it can be read"))),
            () = tokio::time::sleep(Duration::from_micros(50)) => {}
        }
    }
    assert_eq!(seen, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn after_a_restart_a_reader_continues_from_its_cursor_or_a_given_position() {
    let disk = Simulated::new();
    let journal = open(&disk, &small());
    let mut reader = journal.reader("archive", None).expect("the name is free");
    append_many(&journal, 10, 100);
    read_until(&mut reader, 10, 1 << 20).await;
    reader.commit(6);
    journal.close();
    drop((reader, journal));
    let journal = open(&disk, &small());
    let mut reader = journal.reader("archive", None).expect("the name is free");
    assert_eq!(sequences(&read_until(&mut reader, 10, 1 << 20).await), [7, 8, 9, 10]);
    assert!(journal.reader("archive", None).is_err(), "one reader for a name");
    drop(reader);
    let mut reader = journal.reader("archive", Some(3)).expect("the name is free again");
    assert_eq!(sequences(&read_until(&mut reader, 10, 1 << 20).await), (4..=10).collect::<Vec<_>>());
    assert_eq!(reader.skipped(), 0);
}

#[tokio::test]
async fn a_reader_that_commits_far_ahead_continues_after_that_position() {
    let journal = open(&Simulated::new(), &small());
    let mut reader = journal.reader("archive", None).expect("the name is free");
    append_many(&journal, 60, 600);
    reader.next(1).await.expect("it can be read");
    reader.commit(45);
    reader.commit(12);
    let rest = read_until(&mut reader, 60, 1 << 20).await;
    assert_eq!(sequences(&rest), (46..=60).collect::<Vec<_>>());
    reader.commit(u64::MAX);
    let status = &journal.readers()[0];
    assert_eq!((status.committed, status.lag_records, status.skipped_records), (60, 0, 0));
}

#[tokio::test]
async fn a_position_beyond_the_journal_moves_the_numbering_past_it() {
    let disk = Simulated::new();
    let journal = open(&disk, &small());
    let mut reader = journal.reader("database", Some(1000)).expect("the name is free");
    assert_eq!(append(&journal, b"new".to_vec(), 1), Ok(1001));
    assert_eq!(sequences(&read_until(&mut reader, 1001, 100).await), [1001]);
    assert_eq!(reader.skipped(), 0);
    journal.close();
    drop((reader, journal));
    let journal = open(&disk, &small());
    assert_eq!(append(&journal, b"newer".to_vec(), 1), Ok(1002));
}

#[tokio::test]
async fn drop_oldest_keeps_accepting_and_a_lagging_reader_counts_exactly_the_lost_records() {
    let options = Options { max_size_bytes: 32 << 10, when_full: WhenFull::DropOldest, ..small() };
    let journal = open(&Simulated::new(), &options);
    let mut reader = journal.reader("slow", None).expect("the name is free");
    append_many(&journal, 10, 600);
    let before = read_until(&mut reader, 10, 1 << 20).await;
    append_many(&journal, 200, 600);
    assert!(journal.stats().size_bytes <= options.max_size_bytes);
    let after = read_until(&mut reader, 210, 1 << 20).await;
    let lost = after[0].sequence - before.len() as u64 - 1;
    assert!(lost > 100, "the budget holds about 50 entries");
    assert_eq!(sequences(&after), (after[0].sequence..=210).collect::<Vec<_>>());
    assert_eq!(reader.skipped(), lost * 2, "two records an entry");
    assert_eq!(journal.readers()[0].skipped_records, lost * 2);
}

#[tokio::test]
async fn a_full_budget_refuses_until_the_slowest_reader_moves_on() {
    let options = Options { max_size_bytes: 32 << 10, ..small() };
    let journal = open(&Simulated::new(), &options);
    let mut fast = journal.reader("fast", None).expect("the name is free");
    let mut slow = journal.reader("slow", None).expect("the name is free");
    let mut taken = 0;
    let refusal = loop {
        match append(&journal, vec![1; 600], 1) {
            Ok(sequence) => taken = sequence,
            Err(error) => break error,
        }
        assert!(taken < 1000, "the budget is never used up");
    };
    assert!(refusal.is_temporary(), "{refusal}");
    fast.commit(taken);
    assert!(append(&journal, vec![1; 600], 1).is_err(), "`slow` still needs all of it");
    assert!(append(&journal, vec![1; 600], 1).expect_err("full").to_string().contains("`slow`"));
    slow.commit(taken);
    assert_eq!(append(&journal, vec![1; 600], 1), Ok(taken + 1));
    drop(slow);
    assert_eq!(sequences(&read_until(&mut fast, taken + 1, 1 << 20).await), [taken + 1]);
    assert!(journal.forget("slow"));
    assert!(!journal.forget("fast"), "it is open");
}

#[tokio::test]
async fn segments_that_all_readers_passed_are_kept_until_their_space_is_needed() {
    let options = Options { max_size_bytes: 64 << 10, keep: Duration::from_secs(3600), ..small() };
    let disk = Simulated::new();
    let journal = open(&disk, &options);
    let mut reader = journal.reader("all", None).expect("the name is free");
    append_many(&journal, 60, 600);
    reader.commit(60);
    let oldest = |disk: &Simulated| {
        let mut first = None;
        inspect::entries(disk, &Keys::default(), 0, |entry| {
            first = Some(entry.sequence);
            false
        })
        .expect("readable");
        first
    };
    // Closing saves the cursors, which is when segments are removed.
    drop(reader);
    journal.close();
    drop(journal);
    assert_eq!(oldest(&disk), Some(1));
    let journal = open(&disk, &options);
    let mut reader = journal.reader("all", None).expect("the name is free");
    for sequence in 61..=300 {
        assert_eq!(append(&journal, vec![1; 600], 1), Ok(sequence));
        reader.commit(sequence);
    }
    assert!(oldest(&disk).is_some_and(|first| first > 60), "nothing is refused for what is only kept");
    assert!(journal.stats().size_bytes <= options.max_size_bytes);
    drop(reader);
    journal.close();
    drop(journal);
    let journal = open(&disk, &Options { keep: Duration::ZERO, ..options });
    journal.close();
    assert!(oldest(&disk).is_none_or(|first| first > 250), "{:?}", oldest(&disk));
}

#[tokio::test]
async fn a_full_disk_refuses_appends_and_accepts_them_again_when_there_is_room() {
    let disk = Simulated::new();
    let journal = open(&disk, &small());
    let mut reader = journal.reader("archive", None).expect("the name is free");
    append_many(&journal, 3, 600);
    disk.set_capacity(Some(2500));
    for _ in 0..3 {
        let refusal = append(&journal, vec![9; 1000], 1).expect_err("the disk is full");
        assert!(matches!(refusal, AppendError::Full(_)), "{refusal}");
    }
    disk.set_capacity(None);
    assert_eq!(append(&journal, b"after".to_vec(), 1), Ok(4));
    assert_eq!(sequences(&read_until(&mut reader, 4, 100).await), [1, 2, 3, 4]);
    journal.close();
    drop((reader, journal));
    let (_, recovery) = Journal::open(Arc::new(disk), small()).expect("it opens");
    assert_eq!((recovery.frames, recovery.torn), (4, None));
}

#[tokio::test]
async fn a_failed_fsync_stops_the_journal_until_it_is_reopened() {
    let disk = Simulated::new();
    let journal = open(&disk, &small());
    append_many(&journal, 2, 100);
    // The next append writes, then syncs.
    disk.fail_at(disk.operations() + 2, Fault::Error(std::io::ErrorKind::Other));
    for _ in 0..3 {
        let refusal = append(&journal, vec![9; 100], 1).expect_err("the fsync failed");
        assert!(!refusal.is_temporary());
        assert!(refusal.to_string().contains("fsync failed"), "{refusal}");
    }
    assert!(journal.stats().poisoned.is_some());
    let mut reader = journal.reader("archive", None).expect("reading goes on");
    assert_eq!(sequences(&read_until(&mut reader, 2, 1000).await), [1, 2]);
    journal.close();
    drop((reader, journal));
    let journal = open(&disk, &small());
    assert_eq!(append(&journal, vec![9; 100], 1), Ok(3));
}

#[tokio::test]
async fn with_spaced_out_fsyncs_readers_see_an_entry_only_once_it_is_durable() {
    let disk = Simulated::new();
    let options = Options { sync: SyncMode::Every(Duration::from_millis(1)), ..small() };
    let journal = open(&disk, &options);
    let mut reader = journal.reader("archive", None).expect("the name is free");
    append(&journal, b"one".to_vec(), 1).expect("there is room");
    assert_eq!(sequences(&read_until(&mut reader, 1, 100).await), [1]);
    let found = disk.power_cut(weir_journal::simulated::Tear::Lost);
    assert_eq!(open(&found, &options).last_sequence(), 1);
}

#[tokio::test]
async fn many_threads_of_small_appends_are_all_answered_once_and_read_in_order() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = Options { recent_bytes: 64 << 10, segment_bytes: 64 << 10, ..Options::default() };
    let disk = Arc::new(Disk::new(folder.path().join("journal")));
    let (journal, _) = Journal::open(disk.clone(), options.clone()).expect("it opens");
    let mut reader = journal.reader("archive", None).expect("the name is free");
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            let (journal, sender) = (&journal, sender.clone());
            scope.spawn(move || {
                for n in 0..1000u32 {
                    let sender = sender.clone();
                    let payload = format!("{thread} {n}").into_bytes();
                    journal.append(payload, 1, move |result| {
                        sender.send((thread, n, result)).expect("the test waits");
                    });
                }
            });
        }
    });
    drop(sender);
    let mut answers: Vec<_> = receiver.iter().collect();
    assert_eq!(answers.len(), 8000);
    answers.sort_by_key(|(_, _, sequence)| sequence.clone().expect("there is room"));
    let entries = read_until(&mut reader, 8000, 10_000).await;
    for (entry, (thread, n, sequence)) in entries.iter().zip(&answers) {
        assert_eq!(Ok(entry.sequence), *sequence);
        assert_eq!(entry.payload, format!("{thread} {n}"));
    }
    let refused = Journal::open(disk, options).expect_err("it is open here");
    assert!(refused.to_string().contains("journal` is in use"), "{refused}");
    journal.close();
    assert_eq!(append(&journal, b"late".to_vec(), 1), Err(AppendError::Closed));
    assert!(reader.next(1).await.is_err(), "closed, and everything was read");
}

#[tokio::test]
async fn a_payload_that_can_never_fit_is_refused_for_good() {
    let journal = open(&Simulated::new(), &Options { max_size_bytes: 16 << 10, ..small() });
    let refusal = append(&journal, vec![0; 17 << 10], 1).expect_err("larger than the budget");
    assert!(matches!(refusal, AppendError::TooLarge { .. }));
    let largest = journal.max_payload_bytes() as usize;
    assert_eq!(append(&journal, vec![0; largest], 1), Ok(1));
}

/// Appends with a ledger, and waits for the answer.
fn append_with(journal: &Journal, payload: &str, ledger: Ledger) -> Result<u64, AppendError> {
    let reservation = journal.reserve(payload.len() as u64)?;
    let (done, answered) = mpsc::channel();
    let records = u32::from(!payload.is_empty());
    journal.append_reserved(payload.as_bytes().to_vec(), records, ledger, reservation, move |result| {
        done.send(result).expect("the test waits");
    });
    answered.recv().expect("every append is answered")
}

fn hold(token: u64) -> Ledger {
    Ledger { holds: vec![Hold { token, payload: format!("held {token}").into() }], releases: Vec::new() }
}

fn release(token: u64) -> Ledger {
    Ledger { holds: Vec::new(), releases: vec![token] }
}

#[tokio::test]
async fn held_records_are_hidden_from_readers_and_survive_restarts_until_released() {
    let disk = Simulated::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), Options::default()).expect("the folder is empty");
    let mut reader = journal.reader("sink", None).expect("the name is free");
    append_with(&journal, "", hold(4)).expect("there is room");
    append_with(&journal, "first", hold(5)).expect("there is room");
    append_with(&journal, "", release(4)).expect("there is room");
    let entries = reader.next(1 << 20).await.expect("there is one");
    assert_eq!(entries.iter().map(|entry| &entry.payload[..]).collect::<Vec<_>>(), [b"first"]);
    reader.commit(2);
    assert_eq!(journal.readers()[0].lag_frames, 0, "what only holds and releases is no lag");
    drop(reader);
    journal.close();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), Options::default()).expect("it was closed");
    assert_eq!(journal.held(), hold(5).holds);
    assert_eq!(journal.highest_token(), 5);
    append_with(&journal, "second", release(5)).expect("there is room");
    journal.close();
    let (journal, _) = Journal::open(Arc::new(disk), Options::default()).expect("it was closed");
    assert_eq!(journal.held(), []);
    let mut reader = journal.reader("sink", None).expect("the name is free");
    let entries = reader.next(1 << 20).await.expect("there is one");
    assert_eq!(entries.iter().map(|entry| &entry.payload[..]).collect::<Vec<_>>(), [b"second"]);
    journal.close();
}

#[tokio::test]
async fn segments_with_held_records_are_removed_too() {
    let options = Options { segment_bytes: 4096, max_size_bytes: 64 << 10, ..Options::default() };
    let disk = Simulated::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options.clone()).expect("the folder is empty");
    let mut reader = journal.reader("sink", None).expect("the name is free");
    append_with(&journal, "", hold(1)).expect("there is room");
    let batch = "x".repeat(3000);
    for _ in 0..100 {
        let sequence = append_with(&journal, &batch, Ledger::default()).expect("what was read makes room");
        while reader.position() < sequence {
            reader.next(1 << 20).await.expect("there is one");
        }
        reader.commit(sequence);
    }
    assert!(journal.stats().size_bytes < 64 << 10);
    assert_eq!(journal.held(), hold(1).holds);
    drop(reader);
    journal.close();
    let (journal, _) = Journal::open(Arc::new(disk), options).expect("it was closed");
    assert_eq!(journal.held(), hold(1).holds);
    journal.close();
}

#[test]
fn a_settled_journal_knows_what_is_held_however_rare_its_fsyncs_are() {
    let sync = SyncMode::Every(Duration::from_secs(3600));
    let journal = open(&Simulated::new(), &Options { sync, ..small() });
    for ledger in [hold(1), hold(2), release(1)] {
        append_with(&journal, "", ledger).expect("there is room");
    }
    journal.settle();
    assert_eq!(journal.held(), hold(2).holds);
    journal.close();
}

#[test]
fn a_reserved_append_is_accepted_when_the_budget_is_used_up_and_no_more_is_reserved() {
    let options = Options { segment_bytes: 4096, max_size_bytes: 16 << 10, ..Options::default() };
    let (journal, _) = Journal::open(Arc::new(Simulated::new()), options).expect("the folder is empty");
    let _reader = journal.reader("sink", None).expect("the name is free");
    let early = journal.reserve(100).expect("there is room");
    while append(&journal, vec![b'x'; 1000], 1).is_ok() {}
    assert!(matches!(journal.reserve(1000), Err(AppendError::Full(_))));
    let (done, answered) = mpsc::channel();
    journal.append_reserved(vec![b'y'; 2000], 1, Ledger::default(), early, move |result| {
        done.send(result).expect("the test waits");
    });
    assert!(answered.recv().expect("every append is answered").is_ok());
    journal.close();
}

#[tokio::test]
async fn a_follower_reads_everything_after_its_start_and_keeps_no_segment() {
    let journal = open(&Simulated::new(), &small());
    let mut reader = journal.reader("archive", None).expect("the name is free");
    append_many(&journal, 10, 600);
    let mut follower = journal.follow(4);
    assert_eq!(sequences(&read_until(&mut follower, 10, 1000).await), [5, 6, 7, 8, 9, 10]);
    assert_eq!(follower.skipped(), 0);
    let names: Vec<_> = journal.readers().into_iter().map(|reader| reader.name).collect();
    assert_eq!(names, ["archive"]);
    // What the only reader has is removed, whether the follower has read it or not.
    append_many(&journal, 60, 600);
    reader.commit(70);
    append_many(&journal, 30, 600);
    reader.commit(100);
    append(&journal, vec![1; 600], 2).expect("there is room");
    let rest = read_until(&mut follower, 101, 1 << 20).await;
    let read: u64 = rest.iter().map(|entry| u64::from(entry.records)).sum();
    assert_eq!(read + follower.skipped(), 2 * 91);
    assert!(journal.reader("(follower)", None).is_err(), "its name is taken");
}

#[tokio::test]
async fn what_a_reader_leaves_out_is_counted() {
    let journal = open(&Simulated::new(), &small());
    append_many(&journal, 10, 600);
    let mut follower = journal.follow(0);
    follower.next(1).await.expect("it can be read");
    follower.leave_out(7);
    assert_eq!(sequences(&read_until(&mut follower, 10, 1 << 20).await), [8, 9, 10]);
    assert_eq!(follower.skipped(), 2 * 6, "two records in each of 2 to 7");
    follower.leave_out(10);
    append_many(&journal, 1, 600);
    assert_eq!(sequences(&read_until(&mut follower, 11, 1000).await), [11]);
    assert_eq!(follower.skipped(), 2 * 6, "nothing was left out");
}
