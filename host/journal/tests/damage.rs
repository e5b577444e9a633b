//! The format on disk, damage and its repair, and inspecting a folder.

use proptest::prelude::*;
use std::sync::{Arc, mpsc};
use weir_journal::inspect::{entries, inspect, newest};
use weir_journal::simulated::Simulated;
use weir_journal::{Entry, Journal, Keys, OnDamage, OpenError, Options};

fn options(on_damage: OnDamage) -> Options {
    Options { segment_bytes: 4096, max_size_bytes: 1 << 20, on_damage, ..Options::default() }
}

/// A journal of 30 entries of 600 bytes in segments of 6 entries.
fn filled() -> Simulated {
    let disk = Simulated::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options(OnDamage::Refuse)).expect("it opens");
    drop(journal.reader("archive", None).expect("the name is free"));
    let (sender, receiver) = mpsc::channel();
    for n in 1..=30u8 {
        let sender = sender.clone();
        journal.append(vec![n; 600], 1, move |result| {
            sender.send(result).expect("the test waits");
        });
        // One by one, so that each frame knows that the one before it is durable.
        receiver.recv().expect("an answer").expect("there is room");
    }
    journal.close();
    disk
}

fn all(disk: &Simulated) -> Vec<Entry> {
    let mut found = Vec::new();
    let read = entries(disk, &Keys::default(), 0, |entry| {
        found.push(entry);
        true
    });
    read.expect("the folder can be read");
    found
}

const FIRST: &str = "00000000000000000001.seg";
const SECOND: &str = "00000000000000000007.seg";
const LAST: &str = "00000000000000000025.seg";
const FRAME: usize = 52 + 600;

/// One segment of two frames, the second compressed, written by hand from the table in `format.rs`. If this fails,
/// existing journals can no longer be read, and the version must be increased.
#[rustfmt::skip]
const VERSION_1: [u8; 183] = [
    0x57, 0x45, 0x49, 0x52, 0x4a, 0x52, 0x4e, 0x4c, 0x01, 0x00, 0x00, 0x00, 0xfe, 0xca, 0xad, 0x0b,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2a, 0x36, 0xfe, 0x9c, 0x97, 0x17,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xae, 0x89, 0xa1, 0xde,
    0xfe, 0xca, 0xad, 0x0b, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x2a, 0x36, 0xfe, 0x9c, 0x97, 0x17, 0x03, 0x00, 0x00, 0x00, 0xc6, 0x1e, 0xb7, 0x47,
    0xda, 0x14, 0x0d, 0x3a, 0x77, 0x65, 0x69, 0x72, 0xfe, 0xca, 0xad, 0x0b, 0x01, 0x00, 0x00, 0x00,
    0x0b, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x2a, 0x36, 0xfe, 0x9c, 0x97, 0x17,
    0x01, 0x00, 0x00, 0x00, 0x7c, 0xbd, 0x95, 0x75, 0x1a, 0xe7, 0xde, 0xe7, 0x1f, 0x61, 0x01, 0x00,
    0x27, 0x50, 0x61, 0x61, 0x61, 0x61, 0x61,
];

#[test]
fn a_segment_of_version_1_can_be_read() {
    let disk = Simulated::new();
    disk.put(FIRST, VERSION_1.to_vec());
    let report = inspect(&disk, &Keys::default()).expect("the folder can be read");
    assert!(report.is_sound(), "{report:?}");
    let found = all(&disk);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].sequence, found[0].records, found[0].time_ns), (1, 3, 1_700_000_000_000_000_001));
    assert_eq!(found[0].payload, "weir");
    assert_eq!((found[1].sequence, found[1].records), (2, 1));
    assert_eq!(found[1].payload, vec![b'a'; 64], "compressed");
    let (_, recovery) = Journal::open(Arc::new(disk), options(OnDamage::Refuse)).expect("it opens");
    assert_eq!((recovery.frames, recovery.records, recovery.last_sequence), (2, 4, 2));
}

#[test]
fn damage_before_the_last_frame_is_refused_with_its_place_and_changes_nothing() {
    let places = [
        (FIRST, 20, 1, 0),
        (FIRST, 64 + 3, 1, 64),
        (FIRST, 64 + 52 + 5, 1, 64),
        (SECOND, 64 + 2 * FRAME + 100, 9, 64 + 2 * FRAME),
        (LAST, 64 + FRAME + 100, 26, 64 + FRAME),
    ];
    for (name, flipped, sequence, offset) in places {
        let disk = filled();
        disk.flip_byte(name, flipped);
        let before = disk.bytes(name);
        let refused = Journal::open(Arc::new(disk.clone()), options(OnDamage::Refuse));
        let Err(OpenError::Damaged(damage)) = refused else {
            panic!("{name} {flipped}: {refused:?}");
        };
        assert_eq!((damage.segment.as_str(), damage.first_lost, damage.offset), (name, sequence, offset as u64));
        assert_eq!(disk.bytes(name), before);
        assert!(!inspect(&disk, &Keys::default()).expect("it can be read").is_sound());
    }
}

#[test]
fn setting_damage_aside_keeps_every_undamaged_frame_and_the_damaged_file() {
    let places =
        [(FIRST, 20, None), (FIRST, 64 + 55, Some(1)), (SECOND, 64 + 2 * FRAME, Some(9)), (LAST, 64 + 60, Some(25))];
    for (name, flipped, lost) in places {
        let disk = filled();
        disk.flip_byte(name, flipped);
        let damaged = disk.bytes(name);
        let (journal, recovery) = Journal::open(Arc::new(disk.clone()), options(OnDamage::SetAside)).expect("it opens");
        assert_eq!(recovery.set_aside.len(), 1);
        assert_eq!(disk.bytes(&recovery.set_aside[0].kept_as), damaged);
        let expected: Vec<u64> = (1..=30).filter(|sequence| Some(*sequence) != lost).collect();
        assert_eq!(all(&disk).iter().map(|entry| entry.sequence).collect::<Vec<_>>(), expected);
        let (sender, receiver) = mpsc::channel();
        journal.append(b"on".to_vec(), 1, move |result| {
            sender.send(result).expect("the test waits");
        });
        assert!(receiver.recv().expect("an answer").expect("there is room") > 30);
        journal.close();
        drop(journal);
        // The journal is sound now: nothing has to be set aside twice.
        let (_, recovery) = Journal::open(Arc::new(disk.clone()), options(OnDamage::Refuse)).expect("it opens");
        assert_eq!(recovery.frames, expected.len() as u64 + 1);
    }
}

/// Refused without a change; sound after salvage, with the remaining frames; new frames get new numbers.
fn assert_lost_and_salvaged(disk: &Simulated, left: u64, what: &str) {
    let refused = Journal::open(Arc::new(disk.clone()), options(OnDamage::Refuse)).expect_err(what);
    assert!(refused.is_damage() && refused.to_string().contains("weir journal salvage"), "{what}: {refused}");
    assert!(!inspect(disk, &Keys::default()).expect("it can be read").is_sound(), "{what}");
    let (journal, recovery) = Journal::open(Arc::new(disk.clone()), options(OnDamage::SetAside)).expect(what);
    assert_eq!(recovery.frames, left, "{what}");
    assert!(recovery.summary().expect("it says so").contains("acknowledged"), "{what}");
    // As if killed before anything is appended.
    let disk = disk.power_cut(weir_journal::simulated::Tear::Lost);
    drop(journal);
    assert!(inspect(&disk, &Keys::default()).expect("it can be read").is_sound(), "{what}");
    let (journal, _) = Journal::open(Arc::new(disk), options(OnDamage::Refuse)).expect(what);
    let (sender, receiver) = mpsc::channel();
    journal.append(b"on".to_vec(), 1, move |result| {
        sender.send(result).expect("the test waits");
    });
    assert!(receiver.recv().expect("an answer").expect("there is room") > 30, "{what}");
}

#[test]
fn a_truncated_or_removed_end_is_refused_until_salvage() {
    let whole = filled().bytes(LAST).expect("it is there");
    for length in [0, 1, 63, 64, 65, 64 + FRAME - 1, 64 + FRAME, 64 + 5 * FRAME + 51, whole.len() - 1] {
        let disk = filled();
        disk.put(LAST, whole[..length].to_vec());
        let left = 24 + length.saturating_sub(64) / FRAME;
        assert_lost_and_salvaged(&disk, left as u64, &format!("cut to {length} bytes"));
    }
    let all = ["00000000000000000019.seg", "00000000000000000013.seg", SECOND, FIRST];
    let disk = filled();
    weir_journal::storage::Storage::remove(&disk, LAST).expect("it is there");
    for (removed, name) in all.iter().enumerate() {
        assert_lost_and_salvaged(&copy(&disk), 24 - 6 * removed as u64, name);
        weir_journal::storage::Storage::remove(&disk, name).expect("it is there");
    }
    assert_lost_and_salvaged(&disk, 0, "no segment is left");
}

/// Another disk with the same files.
fn copy(disk: &Simulated) -> Simulated {
    disk.power_cut(weir_journal::simulated::Tear::Kept)
}

#[test]
fn any_changed_byte_of_the_last_frame_is_damage_not_a_torn_end() {
    let start = 64 + 5 * FRAME;
    for at in (start..start + FRAME).step_by(7).chain([start + FRAME - 1]) {
        let disk = filled();
        disk.flip_byte(LAST, at);
        assert_lost_and_salvaged(&disk, 29, &format!("byte {at}"));
    }
}

#[test]
fn the_durable_sequence_is_saved_without_commits_or_a_clean_stop() {
    let disk = Simulated::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options(OnDamage::Refuse)).expect("it opens");
    let (sender, receiver) = mpsc::channel();
    journal.append(vec![7; 600], 1, move |result| {
        sender.send(result).expect("the test waits");
    });
    receiver.recv().expect("an answer").expect("there is room");
    let noted = || disk.bytes("cursors").is_some_and(|text| text.windows(10).any(|part| part == b"durable 1 "));
    while !noted() {
        std::thread::yield_now();
    }
    let killed = copy(&disk);
    killed.flip_byte(FIRST, 64 + 100);
    let refused = Journal::open(Arc::new(killed), options(OnDamage::Refuse)).expect_err("it was acknowledged");
    assert!(refused.is_damage(), "{refused}");
    journal.close();
}

#[test]
fn a_missing_segment_is_detected_and_can_be_skipped() {
    let disk = filled();
    weir_journal::storage::Storage::remove(&disk, SECOND).expect("it is there");
    let refused = Journal::open(Arc::new(disk.clone()), options(OnDamage::Refuse));
    let refused = refused.expect_err("frames 7 to 12 are missing");
    assert!(refused.is_damage());
    assert!(refused.to_string().contains("frames 7 to 12 are lost"), "{refused}");
    let (_, recovery) = Journal::open(Arc::new(disk), options(OnDamage::SetAside)).expect("it opens");
    assert_eq!(recovery.frames, 24);
}

#[tokio::test]
async fn a_reader_counts_records_lost_to_damage() {
    let disk = filled();
    disk.flip_byte(SECOND, 64 + 2 * FRAME);
    let (journal, _) = Journal::open(Arc::new(disk), options(OnDamage::SetAside)).expect("it opens");
    let mut reader = journal.reader("archive", None).expect("the name is free");
    let mut sequences = Vec::new();
    while sequences.last() != Some(&30) {
        let entries = reader.next(1000).await.expect("what is left can be read");
        sequences.extend(entries.iter().map(|entry| entry.sequence));
    }
    assert_eq!(sequences.len(), 29);
    assert_eq!(reader.skipped(), 1);
}

#[tokio::test]
async fn a_byte_that_changes_while_the_journal_is_open_is_an_error_not_an_entry() {
    let disk = filled();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options(OnDamage::Refuse)).expect("it opens");
    disk.flip_byte(FIRST, 64 + FRAME + 100);
    let mut reader = journal.reader("archive", None).expect("the name is free");
    let error = loop {
        match reader.next(1).await {
            Ok(entries) => assert_eq!(entries[0].sequence, 1),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains(FIRST), "{error}");
}

#[test]
fn damaged_cursors_are_refused_and_can_be_set_aside() {
    let disk = filled();
    disk.flip_byte("cursors", 30);
    let refused = Journal::open(Arc::new(disk.clone()), options(OnDamage::Refuse));
    assert!(refused.expect_err("the checksum is wrong").to_string().contains("`cursors`"));
    let (_, recovery) = Journal::open(Arc::new(disk.clone()), options(OnDamage::SetAside)).expect("it opens");
    assert_eq!(recovery.set_aside[0].kept_as, "cursors.damaged");
}

#[test]
fn a_running_journal_can_be_inspected() {
    let disk = filled();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options(OnDamage::Refuse)).expect("it opens");
    let report = inspect(&disk, &Keys::default()).expect("the folder can be read");
    assert!(report.is_sound());
    assert_eq!(report.segments.len(), 5);
    assert_eq!(report.segments[1].sequences, Some((7, 12)));
    assert_eq!(report.segments.iter().map(|segment| segment.records).sum::<u64>(), 30);
    assert_eq!((report.cursors[0].name.as_str(), report.cursors[0].lag_frames), ("archive", 30));
    journal.close();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn arbitrary_bytes_in_a_segment_never_panic_or_become_entries(
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        at in 0usize..4000,
    ) {
        let disk = filled();
        let mut segment = disk.bytes(SECOND).expect("it is there");
        let at = at.min(segment.len());
        let end = (at + bytes.len()).min(segment.len());
        segment.splice(at..end, bytes);
        disk.put(SECOND, segment);
        for entry in all(&disk) {
            prop_assert_eq!(&entry.payload[..], &vec![entry.sequence as u8; 600][..]);
        }
        let _ = inspect(&disk, &Keys::default());
        if let Ok((journal, _)) = Journal::open(Arc::new(disk.clone()), options(OnDamage::SetAside)) {
            journal.close();
        }
        prop_assert!(inspect(&disk, &Keys::default()).expect("it can be read").is_sound());
    }
}

#[test]
fn newest_reads_backwards_across_segments_and_past_damage() {
    let disk = filled();
    let sequences = |records| -> Vec<u64> {
        newest(&disk, &Keys::default(), records)
            .expect("the folder can be read")
            .iter()
            .map(|entry| entry.sequence)
            .collect()
    };
    assert_eq!(sequences(0), [0; 0]);
    assert_eq!(sequences(1), [30]);
    assert_eq!(sequences(8), (23..=30).collect::<Vec<u64>>());
    assert_eq!(sequences(1000), (1..=30).collect::<Vec<u64>>());
}
