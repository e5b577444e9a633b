//! Encrypted segments: keys, rotation, tampering, salvage, and that no record is readable on the disk.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use weir_journal::cipher::{KEY_BYTES, Key, KeyId, Keys};
use weir_journal::inspect::{entries, inspect, newest};
use weir_journal::simulated::Simulated;
use weir_journal::storage::Storage;
use weir_journal::{AppendError, Entry, Hold, Journal, Ledger, OnDamage, OpenError, Options};

const FIRST: &str = "00000000000000000001.seg";
const SECOND: &str = "00000000000000000007.seg";
const LAST: &str = "00000000000000000025.seg";
/// A frame of 600 bytes with its header and tag.
const FRAME: usize = 52 + 600 + 16;
const MARKER: &[u8] = b"hunter2 was here";

fn key(digits: &str) -> Key {
    Key::parse(&digits.repeat(KEY_BYTES)).expect("a key")
}

fn keys(current: &str, previous: &[&str]) -> Keys {
    let current = Some(current).filter(|digits| !digits.is_empty()).map(key);
    Keys::new(current, previous.iter().map(|digits| key(digits)).collect())
}

fn options(keys: &Keys) -> Options {
    Options { segment_bytes: 4096, max_size_bytes: 1 << 20, keys: keys.clone(), ..Options::default() }
}

fn open(disk: &Simulated, keys: &Keys) -> Result<Journal, OpenError> {
    Journal::open(Arc::new(disk.clone()), options(keys)).map(|(journal, _)| journal)
}

fn set_aside(disk: &Simulated, keys: &Keys) -> Journal {
    let options = Options { on_damage: OnDamage::SetAside, ..options(keys) };
    Journal::open(Arc::new(disk.clone()), options).expect("it opens").0
}

fn append(journal: &Journal, payload: Vec<u8>) -> Result<u64, AppendError> {
    let (sender, receiver) = mpsc::channel();
    journal.append(payload, 1, move |result| sender.send(result).expect("the test waits"));
    receiver.recv().expect("an answer")
}

/// The payload of frame number `n`.
fn payload(n: u64) -> Vec<u8> {
    let mut bytes = vec![n as u8; 600];
    bytes[..MARKER.len()].copy_from_slice(MARKER);
    bytes
}

/// A journal of 30 frames in segments of 6 frames.
fn filled(keys: &Keys) -> Simulated {
    let disk = Simulated::new();
    let journal = open(&disk, keys).expect("it opens");
    drop(journal.reader("archive", None).expect("the name is free"));
    for n in 1..=30 {
        assert_eq!(append(&journal, payload(n)), Ok(n));
    }
    journal.close();
    disk
}

fn all(disk: &Simulated, keys: &Keys) -> Vec<Entry> {
    let mut found = Vec::new();
    let read = entries(disk, keys, 0, |entry| {
        found.push(entry);
        true
    });
    read.expect("the folder can be read");
    found
}

fn sequences(disk: &Simulated, keys: &Keys) -> Vec<u64> {
    let found = all(disk, keys);
    assert!(found.iter().all(|entry| entry.payload == payload(entry.sequence)), "a wrong record");
    found.iter().map(|entry| entry.sequence).collect()
}

/// Every file with its bytes.
fn files(disk: &Simulated) -> BTreeMap<String, Vec<u8>> {
    let names = disk.list().expect("it can be listed").into_iter().map(|file| file.name);
    names.map(|name| (name.clone(), disk.bytes(&name).expect("it is there"))).collect()
}

fn has_marker(disk: &Simulated) -> bool {
    files(disk).values().any(|bytes| bytes.windows(MARKER.len()).any(|window| window == MARKER))
}

/// Makes all checksums right, as somebody would who changes a file on purpose.
fn with_right_sums(mut segment: Vec<u8>) -> Vec<u8> {
    let sum = |bytes: &[u8]| crc32c::crc32c(bytes).to_le_bytes();
    let header = sum(&segment[..60]);
    segment[60..64].copy_from_slice(&header);
    for frame in segment[64..].chunks_mut(FRAME).filter(|frame| frame.len() == FRAME) {
        let payload = sum(&frame[52..]);
        frame[44..48].copy_from_slice(&payload);
        let header = sum(&frame[..48]);
        frame[48..52].copy_from_slice(&header);
    }
    segment
}

#[test]
fn records_can_be_read_with_the_key_and_no_file_contains_any_of_them() {
    for compress in [false, true] {
        let keys = keys("01", &[]);
        let disk = Simulated::new();
        let options = Options { compress, ..options(&keys) };
        let (journal, _) = Journal::open(Arc::new(disk.clone()), options.clone()).expect("it opens");
        let ledger = Ledger { holds: vec![Hold { token: 1, payload: MARKER.into() }], releases: Vec::new() };
        let room = journal.reserve(600).expect("there is room");
        let (sender, receiver) = mpsc::channel();
        journal.append_reserved(payload(1), 1, ledger, room, move |result| {
            sender.send(result).expect("the test waits");
        });
        receiver.recv().expect("an answer").expect("there is room");
        for n in 2..=30 {
            append(&journal, payload(n)).expect("there is room");
        }
        journal.close();
        drop(journal);
        assert!(!has_marker(&disk), "compress {compress}");
        assert_eq!(sequences(&disk, &keys), (1..=30).collect::<Vec<u64>>());
        assert_eq!(newest(&disk, &keys, 1).expect("it can be read")[0].payload, payload(30));
        let (journal, recovery) = Journal::open(Arc::new(disk.clone()), options).expect("it opens");
        assert_eq!((recovery.frames, recovery.torn), (30, None));
        assert_eq!(journal.held(), [Hold { token: 1, payload: MARKER.into() }]);
    }
    assert!(has_marker(&filled(&Keys::default())), "the marker can be found without encryption");
}

#[tokio::test]
async fn a_reader_that_lags_reads_encrypted_segments() {
    let keys = keys("01", &[]);
    let disk = filled(&keys);
    let journal = open(&disk, &keys).expect("it opens");
    let mut reader = journal.reader("archive", None).expect("the name is free");
    let mut found = 0;
    while found < 30 {
        for entry in reader.next(1000).await.expect("it can be read") {
            found += 1;
            assert_eq!((entry.sequence, entry.payload.to_vec()), (found, payload(found)));
        }
    }
    let changed = disk.bytes(FIRST).expect("it is there");
    disk.put(FIRST, with_right_sums([&changed[..200], &[changed[200] ^ 1], &changed[201..]].concat()));
    drop(reader);
    let mut again = journal.reader("again", None).expect("the name is free");
    let error = again.next(1000).await.expect_err("it was changed").to_string();
    assert!(error.contains(FIRST) && error.contains("can't be decrypted"), "{error}");
}

#[test]
fn a_wrong_or_missing_key_is_named_and_nothing_is_changed() {
    let right = keys("01", &[]);
    let disk = filled(&right);
    // A torn end and the remains of a salvage, which a start with the right key repairs.
    let last = disk.bytes(LAST).expect("it is there");
    disk.put(LAST, [&last[..], b"torn"].concat());
    disk.put("00000000000000000013.seg.salvaged", b"half".to_vec());
    let before = files(&disk);
    let id = key("01").id().to_string();
    for (wrong, given) in [(keys("02", &["03"]), Some(key("03").id())), (Keys::default(), None)] {
        for on_damage in [OnDamage::Refuse, OnDamage::SetAside] {
            let options = Options { on_damage, ..options(&wrong) };
            let error = Journal::open(Arc::new(disk.clone()), options).expect_err("the key is missing");
            assert!(matches!(error, OpenError::Key { .. }) && !error.is_damage(), "{error}");
            let text = error.to_string();
            assert!(text.contains(&id) && text.contains(FIRST) && text.contains("previous_keys"), "{text}");
            assert!(given.is_none_or(|given: KeyId| text.contains(&given.to_string())), "{text}");
        }
        assert!(matches!(inspect(&disk, &wrong), Err(OpenError::Key { .. })));
        assert!(matches!(entries(&disk, &wrong, 0, |_| true), Err(OpenError::Key { .. })));
        assert!(matches!(newest(&disk, &wrong, 1), Err(OpenError::Key { .. })));
    }
    assert_eq!(files(&disk), before);
    open(&disk, &right).expect("the right key opens it").close();
    assert_eq!(sequences(&disk, &right), (1..=30).collect::<Vec<u64>>());
}

#[test]
fn keys_can_be_changed_and_encryption_turned_on_and_off_without_rewriting_anything() {
    let steps = [
        (Keys::default(), None),
        (keys("01", &[]), Some("01")),
        (keys("02", &["01"]), Some("02")),
        (keys("02", &["01"]), Some("02")),
        (keys("", &["01", "02"]), None),
        (keys("03", &["02", "01"]), Some("03")),
    ];
    let disk = Simulated::new();
    let mut expected = Vec::new();
    let mut n = 0;
    for (keys, used) in steps {
        let before = files(&disk);
        let journal = open(&disk, &keys).expect("all keys are there");
        if n == 0 {
            drop(journal.reader("archive", None).expect("the name is free"));
        }
        for _ in 0..8 {
            n += 1;
            assert_eq!(append(&journal, payload(n)), Ok(n));
        }
        journal.close();
        let used = used.map(|digits| key(digits).id().to_string());
        for (name, bytes) in before.iter().filter(|(name, _)| name.ends_with(".seg")) {
            let now = disk.bytes(name).expect("it is there");
            assert!(now.starts_with(bytes), "{name} is as it was");
            // Only a segment without encryption is continued.
            assert!(now == *bytes || used.is_none(), "{name} gets no further frames");
        }
        let new = files(&disk).into_keys().filter(|name| name.ends_with(".seg") && !before.contains_key(name));
        expected.extend(new.map(|name| (name, used.clone())));
        assert_eq!(sequences(&disk, &keys), (1..=n).collect::<Vec<u64>>());
        let report = inspect(&disk, &keys).expect("it can be read");
        assert!(report.is_sound(), "{report:?}");
        let found: Vec<_> = report.segments.into_iter().map(|segment| (segment.name, segment.key)).collect();
        assert_eq!(found, expected);
    }
    let error = open(&disk, &keys("03", &["02"])).expect_err("a key is missing").to_string();
    assert!(error.contains(&key("01").id().to_string()), "{error}");
}

#[test]
fn every_start_begins_a_new_encrypted_segment() {
    let keys = keys("01", &[]);
    let disk = Simulated::new();
    let mut headers = std::collections::HashSet::new();
    for n in 1..=5 {
        let journal = open(&disk, &keys).expect("it opens");
        append(&journal, payload(n)).expect("there is room");
        journal.close();
        let name = format!("{n:020}.seg");
        let bytes = disk.bytes(&name).expect("a segment of its own");
        assert!(headers.insert(bytes[52..60].to_vec()), "its random bytes are its own");
        // As after a crash during the write: the same number is used again, in another file.
        disk.put(&name, bytes[..bytes.len() - 1].to_vec());
        let cursors = disk.bytes("cursors").expect("it is there");
        disk.remove("cursors").expect("it is there");
        let journal = open(&disk, &keys).expect("the end is torn");
        assert_eq!(append(&journal, payload(n)), Ok(n));
        journal.close();
        let again = disk.bytes(&name).expect("a segment of its own");
        assert!(headers.insert(again[52..60].to_vec()), "its random bytes are its own");
        assert_ne!(again[64 + 52..], bytes[64 + 52..], "the same record looks different");
        disk.put("cursors", cursors);
    }
    assert_eq!(sequences(&disk, &keys), (1..=5).collect::<Vec<u64>>());
}

#[test]
fn after_a_failed_write_the_next_frame_is_in_another_segment() {
    let keys = keys("01", &[]);
    let disk = Simulated::new();
    let journal = open(&disk, &keys).expect("it opens");
    append(&journal, payload(1)).expect("there is room");
    let used: usize = files(&disk).values().map(Vec::len).sum();
    for refused in 0..3 {
        // There is room for the header of a segment, but not for a frame.
        disk.set_capacity(Some((used + 200) as u64));
        let error = append(&journal, payload(2)).expect_err("the disk is full");
        assert!(error.is_temporary(), "{refused}: {error}");
    }
    let tried = disk.bytes(&format!("{:020}.seg", 2)).map(|bytes| bytes[52..60].to_vec());
    disk.set_capacity(None);
    assert_eq!(append(&journal, payload(2)), Ok(2));
    journal.close();
    let second = disk.bytes(&format!("{:020}.seg", 2)).expect("a segment of its own");
    assert_eq!(disk.bytes(FIRST).expect("it is there").len(), 64 + FRAME);
    assert_ne!(tried, Some(second[52..60].to_vec()));
    assert_eq!(sequences(&disk, &keys), [1, 2]);
    assert!(inspect(&disk, &keys).expect("it can be read").is_sound());
    open(&disk, &keys).expect("it opens");
}

#[test]
fn any_changed_bit_is_damage_even_with_right_checksums() {
    let keys = keys("01", &[]);
    let whole = filled(&keys);
    for name in [FIRST, SECOND, LAST] {
        let segment = whole.bytes(name).expect("it is there");
        let middle = 64 + 2 * FRAME;
        let places = (0..64).chain(middle..middle + 60).chain((middle + 60..segment.len()).step_by(53));
        for (n, at) in places.enumerate().filter(|(_, at)| !(60..64).contains(at)) {
            for right_sums in [false, true] {
                let mut changed = segment.clone();
                changed[at] ^= 1 << (n % 8);
                if right_sums {
                    changed = with_right_sums(changed);
                }
                if changed == segment {
                    continue;
                }
                let disk = whole.power_cut(weir_journal::simulated::Tear::Kept);
                disk.put(name, changed.clone());
                let what = format!("{name}, byte {at}, right sums {right_sums}");
                match open(&disk, &keys) {
                    Ok(_) => panic!("{what}: not noticed"),
                    Err(error) => assert!(
                        error.is_damage() || matches!(error, OpenError::Key { .. } | OpenError::Newer { .. }),
                        "{what}: {error}"
                    ),
                }
                assert_eq!(disk.bytes(name), Some(changed), "{what}");
                let mut found = Vec::new();
                let _ = entries(&disk, &keys, 0, |entry| {
                    found.push(entry);
                    true
                });
                assert!(found.iter().all(|entry| entry.payload == payload(entry.sequence)), "{what}");
                assert!(found.len() < 30, "{what}");
            }
        }
    }
}

#[test]
fn a_last_frame_with_right_checksums_that_cannot_be_decrypted_is_no_torn_end() {
    let keys = keys("01", &[]);
    let disk = filled(&keys);
    // Nothing says that the last frame was durable.
    disk.remove("cursors").expect("it is there");
    let mut last = disk.bytes(LAST).expect("it is there");
    let end = last.len() - 1;
    last[end] ^= 1;
    let torn = disk.power_cut(weir_journal::simulated::Tear::Kept);
    torn.put(LAST, last.clone());
    let (_, recovery) = Journal::open(Arc::new(torn), options(&keys)).expect("a torn end");
    assert_eq!(recovery.torn.map(|torn| torn.size_bytes), Some(FRAME as u64));
    disk.put(LAST, with_right_sums(last));
    let error = open(&disk, &keys).expect_err("it was changed on purpose");
    assert!(error.is_damage() && error.to_string().contains("can't be decrypted"), "{error}");
}

#[test]
fn wherever_the_last_segment_is_cut_all_frames_before_the_cut_are_kept() {
    let keys = keys("01", &[]);
    let disk = filled(&keys);
    disk.remove("cursors").expect("it is there");
    let last = disk.bytes(LAST).expect("it is there");
    for length in 64..last.len() {
        let cut = disk.power_cut(weir_journal::simulated::Tear::Kept);
        cut.put(LAST, last[..length].to_vec());
        let journal = open(&cut, &keys).expect("a torn end");
        let kept = 24 + ((length - 64) / FRAME) as u64;
        assert_eq!(append(&journal, payload(kept + 1)), Ok(kept + 1), "{length} bytes");
        journal.close();
        assert_eq!(sequences(&cut, &keys), (1..=kept + 1).collect::<Vec<u64>>(), "{length} bytes");
    }
}

#[test]
fn frames_cannot_be_exchanged_repeated_left_out_or_put_into_another_segment() {
    let keys = keys("01", &[]);
    let whole = filled(&keys);
    let [first, second] = [FIRST, SECOND].map(|name| whole.bytes(name).expect("it is there"));
    let frame = |segment: &[u8], n: usize| segment[64 + n * FRAME..64 + (n + 1) * FRAME].to_vec();
    let segment = |frames: &[Vec<u8>]| with_right_sums([second[..64].to_vec(), frames.concat()].concat());
    let mut frames: Vec<Vec<u8>> = (0..6).map(|n| frame(&second, n)).collect();
    let mut forged = Vec::new();
    frames.swap(1, 2);
    forged.push(frames.clone());
    // With each other's numbers, too.
    let numbers = [1, 2].map(|n| frames[n][16..24].to_vec());
    frames[1][16..24].copy_from_slice(&numbers[1]);
    frames[2][16..24].copy_from_slice(&numbers[0]);
    forged.push(frames.clone());
    let original: Vec<Vec<u8>> = (0..6).map(|n| frame(&second, n)).collect();
    forged.push([&original[..3], &original[2..]].concat());
    forged.push([&original[..2], &original[3..]].concat());
    let mut moved = frame(&first, 1);
    moved[..4].copy_from_slice(&second[12..16]);
    moved[16..24].copy_from_slice(&original[1][16..24]);
    forged.push([&original[..1], &[moved], &original[2..]].concat());
    // A frame without encryption.
    let mut plain = original[1].clone();
    plain[4..8].fill(0);
    plain[8..12].copy_from_slice(&600u32.to_le_bytes());
    plain.truncate(52 + 600);
    let sum = crc32c::crc32c(&plain[52..]).to_le_bytes();
    plain[44..48].copy_from_slice(&sum);
    let sum = crc32c::crc32c(&plain[..48]).to_le_bytes();
    plain[48..52].copy_from_slice(&sum);
    let with_plain = [second[..64].to_vec(), original[0].clone(), plain, original[2..].concat()].concat();
    for (n, bytes) in forged.iter().map(|frames| segment(frames)).chain([with_plain]).enumerate() {
        let disk = whole.power_cut(weir_journal::simulated::Tear::Kept);
        disk.put(SECOND, bytes);
        let error = open(&disk, &keys).expect_err("it was changed");
        assert!(error.is_damage() && error.to_string().contains(SECOND), "{n}: {error}");
        let found = all(&disk, &keys);
        assert!(found.iter().all(|entry| entry.payload == payload(entry.sequence)), "{n}");
    }
}

#[test]
fn salvage_keeps_every_undamaged_frame_encrypted() {
    let first_key = keys("01", &[]);
    for keys in [first_key.clone(), keys("02", &["01"]), keys("", &["01"])] {
        for (name, at, lost) in [(FIRST, 64 + 55, 1), (SECOND, 64 + 2 * FRAME, 9), (LAST, 64 + 60, 25)] {
            let disk = filled(&first_key);
            disk.flip_byte(name, at);
            let damaged = disk.bytes(name);
            assert!(open(&disk, &keys).expect_err("it is damaged").is_damage());
            set_aside(&disk, &keys).close();
            assert_eq!(disk.bytes(&format!("{name}.damaged")), damaged);
            assert!(!has_marker(&disk));
            let expected: Vec<u64> = (1..=30).filter(|sequence| *sequence != lost).collect();
            assert_eq!(sequences(&disk, &keys), expected);
            assert_ne!(disk.bytes(name).expect("a copy")[52..60], damaged.expect("it is there")[52..60]);
            assert!(inspect(&disk, &keys).expect("it can be read").is_sound());
            open(&disk, &keys).expect("it is sound now").close();
        }
    }
}

#[test]
fn a_segment_with_a_damaged_header_is_kept_as_a_whole() {
    let keys = keys("01", &[]);
    let disk = filled(&keys);
    let whole = disk.bytes(SECOND).expect("it is there");
    disk.flip_byte(SECOND, 20);
    set_aside(&disk, &keys).close();
    let expected: Vec<u64> = (1..=6).chain(13..=30).collect();
    assert_eq!(sequences(&disk, &keys), expected);
    let kept = disk.bytes(&format!("{SECOND}.damaged")).expect("it is kept");
    assert_eq!(kept[64..], whole[64..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn arbitrary_bytes_in_an_encrypted_segment_never_panic_or_become_entries(
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        at in 0usize..4000,
        right_sums in any::<bool>(),
    ) {
        let keys = keys("01", &[]);
        let disk = filled(&keys);
        let mut segment = disk.bytes(SECOND).expect("it is there");
        let at = at.min(segment.len());
        let end = (at + bytes.len()).min(segment.len());
        segment.splice(at..end, bytes);
        if right_sums {
            segment = with_right_sums(segment);
        }
        disk.put(SECOND, segment);
        let mut found = Vec::new();
        let _ = entries(&disk, &keys, 0, |entry| {
            found.push(entry);
            true
        });
        for entry in found {
            prop_assert_eq!(&entry.payload[..], &payload(entry.sequence)[..]);
        }
        let _ = inspect(&disk, &keys);
        let options = Options { on_damage: OnDamage::SetAside, ..options(&keys) };
        match Journal::open(Arc::new(disk.clone()), options) {
            Ok((journal, _)) => journal.close(),
            // A header with right checksums can name any key or version.
            Err(error) => prop_assert!(right_sums, "{error}"),
        }
    }
}
