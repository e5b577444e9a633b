//! Tests of the quarantine: durability, privacy, limits, replay and deletion.

use std::os::unix::fs::PermissionsExt;

use weir_journal::cipher::{KEY_BYTES, Key};

use super::*;

fn options(keep: Keep) -> QuarantineOptions {
    QuarantineOptions { keep, max_size_bytes: 64 * 1024 * 1024, max_age: Duration::from_secs(3600) }
}

fn plain(path: &Path) -> QuarantineFolder {
    QuarantineFolder { path: path.to_owned(), keys: Keys::default() }
}

fn entries(file: &Path) -> Vec<read::Found> {
    read::entries(file, &Keys::default()).unwrap()
}

fn all(folder: &Path) -> Vec<QuarantineEntry> {
    all_of(&plain(folder))
}

fn all_of(folder: &QuarantineFolder) -> Vec<QuarantineEntry> {
    let files = read::files(&folder.path).unwrap();
    let found = files.iter().flat_map(|file| read::entries(&file.path, &folder.keys).unwrap());
    found.map(|found| found.entry).collect()
}

#[test]
fn entries_survive_reopening_and_only_the_owner_can_read_them() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("quarantine");
    let quarantine = Quarantine::open(plain(&folder), options(Keep::Record)).unwrap();
    quarantine.keep("filter:x", "trapped", b"\xde\0\0").unwrap();
    quarantine.keep_raw("ingest", "not an object", b"17").unwrap();
    quarantine.sync().unwrap();
    drop(quarantine);
    let entries = all(&folder);
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].reason, "trapped");
    assert_eq!(entries[1].record.as_ref().unwrap().as_slice(), b"17");
    assert!(entries[1].raw);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&read::files(&folder).unwrap()[0].path), 0o600);
}

#[test]
fn records_that_are_not_to_be_kept_are_not_on_disk() {
    for keep in [Keep::Reason, Keep::Nothing] {
        let temp = tempfile::tempdir().unwrap();
        let quarantine = Quarantine::open(plain(temp.path()), options(keep)).unwrap();
        quarantine.keep("filter:x", "trapped", b"hunter2").unwrap();
        quarantine.sync().unwrap();
        let entries = all(temp.path());
        assert_eq!(entries.len(), usize::from(keep == Keep::Reason));
        assert!(entries.iter().all(|e| e.record.is_none()));
        for file in read::files(temp.path()).unwrap() {
            let bytes = std::fs::read(file.path).unwrap();
            assert!(!bytes.windows(7).any(|w| w == b"hunter2"));
        }
    }
}

#[test]
fn a_torn_tail_hides_nothing_before_it() {
    let temp = tempfile::tempdir().unwrap();
    let quarantine = Quarantine::open(plain(temp.path()), options(Keep::Record)).unwrap();
    for _ in 0..3 {
        quarantine.keep("filter:x", "trapped", b"abc").unwrap();
    }
    quarantine.sync().unwrap();
    let file = &read::files(temp.path()).unwrap()[0];
    let whole = std::fs::read(&file.path).unwrap();
    for cut in 0..whole.len() {
        std::fs::write(&file.path, &whole[..cut]).unwrap();
        let expected = cut / (whole.len() / 3);
        assert_eq!(entries(&file.path).len(), expected);
    }
}

/// A record of this source with about this many bytes.
fn record(source: &str, bytes: usize) -> Vec<u8> {
    let json = format!(r#"[{{"source":"{source}","message":"{}"}}]"#, "x".repeat(bytes));
    let aliases = weir_record::Aliases::default();
    let level = weir_record::Level::Info;
    let defaults = weir_record::Defaults {
        received_ns: 0,
        source: "http",
        level,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = weir_record::Batch::default();
    let bad = weir_record::read_json(json.as_bytes(), &defaults, &mut batch).unwrap();
    assert!(bad.is_empty() && batch.len() == 1);
    batch.get(0).to_vec()
}

#[test]
fn over_the_size_limit_only_the_largest_origin_loses_its_oldest_entries() {
    let temp = tempfile::tempdir().unwrap();
    let max_size_bytes = 32 * 1024 * 1024;
    let quarantine =
        Quarantine::open(plain(temp.path()), QuarantineOptions { max_size_bytes, ..options(Keep::Record) }).unwrap();
    for number in 0..20 {
        quarantine.keep("filter:x", &format!("quiet {number}"), &record("quiet", 1000)).unwrap();
        quarantine.keep_raw("ingest", &format!("unread {number}"), &[b'['; 1000]).unwrap();
    }
    for number in 0..60 {
        quarantine.keep("filter:x", &format!("loud {number}"), &record("loud", 900 * 1024)).unwrap();
    }
    quarantine.sync().unwrap();
    let total: u64 = read::files(temp.path()).unwrap().iter().map(|f| f.size_bytes).sum();
    assert!(total <= max_size_bytes);
    let reasons: Vec<_> = all(temp.path()).into_iter().map(|entry| entry.reason).collect();
    let count = |start: &str| reasons.iter().filter(|reason| reason.starts_with(start)).count();
    assert_eq!((count("quiet"), count("unread")), (20, 20));
    assert!((25..60).contains(&count("loud")), "{}", count("loud"));
    assert!(reasons.contains(&"loud 59".to_string()));
}

#[test]
fn many_sources_share_few_files_within_the_size_limit() {
    let temp = tempfile::tempdir().unwrap();
    let max_size_bytes = 1024 * 1024;
    let quarantine =
        Quarantine::open(plain(temp.path()), QuarantineOptions { max_size_bytes, ..options(Keep::Record) }).unwrap();
    for number in 0..600 {
        quarantine.keep("filter:x", "trapped", &record(&format!("source {number}"), 4000)).unwrap();
    }
    quarantine.sync().unwrap();
    let files = read::files(temp.path()).unwrap();
    assert!(files.iter().map(|file| file.size_bytes).sum::<u64>() <= max_size_bytes);
    assert!(files.len() <= limits::QUARANTINE_ORIGINS + 64, "{}", files.len());
}

/// Replaces the open file with one that can't be synced.
fn unsyncable(quarantine: &Quarantine) {
    let mut state = quarantine.lock();
    let file = OpenOptions::new().append(true).open("/dev/null").unwrap();
    assert!(file.sync_data().is_err(), "a device has no fsync");
    state.open[0].file = file;
}

#[test]
fn after_a_failed_fsync_entries_are_durable_only_in_another_file() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("quarantine");
    let quarantine = Quarantine::open(plain(&folder), options(Keep::Record)).unwrap();
    quarantine.keep_raw("ingest", "before", b"abc").unwrap();
    quarantine.sync().unwrap();
    unsyncable(&quarantine);
    for reason in ["of one thread", "of another"] {
        quarantine.keep_raw("ingest", reason, b"abc").unwrap();
    }
    let away = temp.path().join("away");
    std::fs::rename(&folder, &away).unwrap();
    assert!(quarantine.sync().is_err(), "one thread is told");
    assert!(quarantine.sync().is_err(), "and so is the other");
    assert!(quarantine.keep_raw("ingest", "meanwhile", b"abc").is_err());
    std::fs::rename(&away, &folder).unwrap();
    quarantine.sync().unwrap();
    let reasons: Vec<_> = all(&folder).into_iter().map(|entry| entry.reason).collect();
    assert_eq!(reasons, ["before", "of one thread", "of another"]);
}

#[test]
fn replayed_entries_are_not_returned_again_but_those_that_cannot_be_replayed_are() {
    let temp = tempfile::tempdir().unwrap();
    let quarantine = Quarantine::open(plain(temp.path()), options(Keep::Record)).unwrap();
    quarantine.keep_raw("filter:x", "raw", b"abc").unwrap();
    for reason in ["one", "two", "three"] {
        quarantine.keep("filter:x", reason, b"abc").unwrap();
    }
    quarantine.sync().unwrap();
    let file = &read::files(temp.path()).unwrap()[0].path;
    let second = entries(file)[2].end;
    read::mark_replayed(file, second).unwrap();
    let left: Vec<_> = entries(file).into_iter().map(|found| found.entry.reason).collect();
    assert_eq!(left, ["raw", "three"]);
}

#[test]
fn deleted_entries_are_erased_and_the_others_stay_readable() {
    let temp = tempfile::tempdir().unwrap();
    let quarantine = Quarantine::open(plain(temp.path()), options(Keep::Record)).unwrap();
    for (from, reason) in [("filter:x", "one"), ("ingest", "two"), ("filter:x", "three"), ("filter:y", "four")] {
        quarantine.keep(from, reason, format!("hunter2 of {reason}").as_bytes()).unwrap();
    }
    quarantine.sync().unwrap();
    let file = read::files(temp.path()).unwrap()[0].path.clone();
    read::mark_replayed(&file, entries(&file)[0].end).unwrap();

    let chosen = |_: &browse::Place, entry: &QuarantineEntry| entry.from == "filter:x";
    let counted = delete::delete(&plain(temp.path()), chosen, true).unwrap();
    assert_eq!((counted.entries, all(temp.path()).len()), (2, 3), "a dry run deletes nothing");
    assert_eq!(delete::delete(&plain(temp.path()), chosen, false).unwrap(), counted);
    // The router still has the file open and continues.
    quarantine.keep_raw("ingest", "five", b"more").unwrap();
    quarantine.sync().unwrap();

    let mut reasons: Vec<String> = all(temp.path()).into_iter().map(|entry| entry.reason).collect();
    reasons.sort();
    assert_eq!(reasons, ["five", "four", "two"]);
    let files = read::files(temp.path()).unwrap();
    let bytes: Vec<u8> = files.iter().flat_map(|file| std::fs::read(&file.path).unwrap()).collect();
    for (text, is_there) in [("of one", false), ("of three", false), ("of two", true), ("of four", true)] {
        assert_eq!(bytes.windows(text.len()).any(|window| window == text.as_bytes()), is_there, "{text}");
    }
    assert_eq!(delete::delete(&plain(temp.path()), chosen, false).unwrap(), delete::Deleted::default());
}

#[test]
fn empty_files_are_removed_except_the_newest_and_damaged_ones() {
    let temp = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let quarantine = Quarantine::open(plain(temp.path()), options(Keep::Record)).unwrap();
        quarantine.keep("filter:x", "trapped", b"abc").unwrap();
        quarantine.sync().unwrap();
    }
    let files = read::files(temp.path()).unwrap();
    assert_eq!(files.len(), 3);
    let mut torn = std::fs::read(&files[1].path).unwrap();
    torn.extend_from_slice(b"\xff\0\0\0 and less than that");
    std::fs::write(&files[1].path, torn).unwrap();
    assert_eq!(delete::delete(&plain(temp.path()), |_, _| true, false).unwrap().entries, 3);
    let left: Vec<_> = read::files(temp.path()).unwrap().into_iter().map(|file| file.path).collect();
    assert_eq!(left, [files[1].path.clone(), files[2].path.clone()]);
    assert_eq!(all(temp.path()), []);
}

#[test]
fn an_interrupted_deletion_leaves_an_entry_that_is_skipped() {
    let temp = tempfile::tempdir().unwrap();
    let quarantine = Quarantine::open(plain(temp.path()), options(Keep::Record)).unwrap();
    for reason in ["one", "two"] {
        quarantine.keep("filter:x", reason, b"abc").unwrap();
    }
    quarantine.sync().unwrap();
    let file = &read::files(temp.path()).unwrap()[0].path;
    let whole = std::fs::read(file).unwrap();
    let first = u32::from_le_bytes(whole[..4].try_into().unwrap()) as usize;
    for zeroed in 0..first {
        let mut cut = whole.clone();
        cut[4] = entry::DELETED;
        cut[5..5 + zeroed.min(first - 1)].fill(0);
        std::fs::write(file, cut).unwrap();
        assert_eq!(entries(file).len(), 1, "{zeroed}");
    }
}

fn keys(text: &str, previous: &[&str]) -> Keys {
    let key = |text: &str| Key::parse(&text.repeat(KEY_BYTES)).unwrap();
    Keys::new(Some(key(text)), previous.iter().map(|text| key(text)).collect())
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn encrypted_entries_are_read_with_their_key_and_deleted_without_a_trace() {
    let temp = tempfile::tempdir().unwrap();
    let folder = QuarantineFolder { path: temp.path().to_owned(), keys: keys("01", &[]) };
    let quarantine = Quarantine::open(folder.clone(), options(Keep::Record)).unwrap();
    for reason in ["one", "two", "three"] {
        quarantine.keep_raw("ingest", reason, b"hunter2").unwrap();
    }
    quarantine.sync().unwrap();
    let file = read::files(temp.path()).unwrap()[0].path.clone();
    let whole = std::fs::read(&file).unwrap();
    assert!(["hunter2", "ingest", "two"].iter().all(|text| !has(&whole, text)));
    let second = |_: &browse::Place, entry: &QuarantineEntry| entry.reason == "two";
    assert_eq!(delete::delete(&folder, second, false).unwrap().entries, 1);
    quarantine.keep_raw("ingest", "four", b"hunter2").unwrap();
    quarantine.sync().unwrap();
    let reasons = |folder| all_of(folder).into_iter().map(|entry| entry.reason).collect::<Vec<_>>();
    assert_eq!(reasons(&folder), ["one", "three", "four"]);

    let rotated = QuarantineFolder { keys: keys("02", &["01"]), ..folder.clone() };
    let next = Quarantine::open(rotated.clone(), options(Keep::Record)).unwrap();
    next.keep_raw("ingest", "five", b"hunter2").unwrap();
    next.sync().unwrap();
    assert_eq!(reasons(&rotated), ["one", "three", "four", "five"]);
    check_keys(temp.path(), &rotated.keys).unwrap();
    for (keys, missing) in [(keys("02", &[]), "01"), (Keys::default(), "01")] {
        let id = Key::parse(&missing.repeat(KEY_BYTES)).unwrap().id();
        let error = format!("{:#}", check_keys(temp.path(), &keys).unwrap_err());
        assert!(error.contains(&id.to_string()) && error.contains(".quarantine"), "{error}");
        assert!(read::entries(&file, &keys).unwrap_err().to_string().contains(&id.to_string()));
    }
}

#[test]
fn no_changed_bit_of_an_encrypted_file_becomes_an_entry_that_was_not_kept() {
    let temp = tempfile::tempdir().unwrap();
    let folder = QuarantineFolder { path: temp.path().to_owned(), keys: keys("01", &[]) };
    let quarantine = Quarantine::open(folder.clone(), options(Keep::Record)).unwrap();
    for reason in ["one", "two"] {
        quarantine.keep_raw("ingest", reason, b"what was sent").unwrap();
    }
    quarantine.sync().unwrap();
    let kept = all_of(&folder);
    let file = read::files(temp.path()).unwrap()[0].path.clone();
    let whole = std::fs::read(&file).unwrap();
    for bit in 0..8 * whole.len() {
        let mut changed = whole.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&file, changed).unwrap();
        // With another key id in the header, the key is missing.
        let found = read::entries(&file, &folder.keys).unwrap_or_default();
        assert!(found.iter().all(|found| kept.contains(&found.entry)), "bit {bit}");
        assert!(found.len() < 2, "bit {bit}");
    }
    let (first, second) = whole[HEADER_BYTES..].split_at((whole.len() - HEADER_BYTES) / 2);
    std::fs::write(&file, [&whole[..HEADER_BYTES], second, first].concat()).unwrap();
    assert_eq!(all_of(&folder), [], "entries can't be exchanged");
    for cut in 0..whole.len() {
        std::fs::write(&file, &whole[..cut]).unwrap();
        assert_eq!(all_of(&folder)[..], kept[..cut.saturating_sub(HEADER_BYTES) / first.len()], "cut at {cut}");
    }
}

#[test]
fn after_a_failed_write_encrypted_entries_continue_in_another_file() {
    let temp = tempfile::tempdir().unwrap();
    let folder = QuarantineFolder { path: temp.path().to_owned(), keys: keys("01", &[]) };
    let quarantine = Quarantine::open(folder.clone(), options(Keep::Record)).unwrap();
    quarantine.keep_raw("ingest", "before", b"abc").unwrap();
    let file = quarantine.lock().open[0].path.clone();
    // Every write fails.
    quarantine.lock().open[0].file = File::open(&file).unwrap();
    assert!(quarantine.keep_raw("ingest", "refused", b"abc").is_err());
    quarantine.keep_raw("ingest", "after", b"abc").unwrap();
    quarantine.sync().unwrap();
    let files = read::files(temp.path()).unwrap();
    assert_eq!(files.len(), 2);
    let later: Vec<_> = read::entries(&files[1].path, &folder.keys).unwrap();
    let reasons: Vec<_> = later.iter().map(|found| found.entry.reason.as_str()).collect();
    assert_eq!(reasons, ["before", "after"]);
}
