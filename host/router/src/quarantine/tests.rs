//! What the quarantine keeps, hides, bounds and gives back.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn options(keep: Keep) -> QuarantineOptions {
    QuarantineOptions { keep, max_size_bytes: 64 * 1024 * 1024, max_age: Duration::from_secs(3600) }
}

fn all(folder: &Path) -> Vec<Entry> {
    read::files(folder).unwrap().iter().flat_map(|f| read::entries(&f.path).unwrap()).map(|found| found.entry).collect()
}

#[test]
fn an_entry_is_there_after_reopening_and_only_its_owner_can_read_it() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("quarantine");
    let quarantine = Quarantine::open(&folder, options(Keep::Record)).unwrap();
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
fn what_the_operator_does_not_want_kept_is_nowhere_on_disk() {
    for keep in [Keep::Reason, Keep::Nothing] {
        let temp = tempfile::tempdir().unwrap();
        let quarantine = Quarantine::open(temp.path(), options(keep)).unwrap();
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
    let quarantine = Quarantine::open(temp.path(), options(Keep::Record)).unwrap();
    for _ in 0..3 {
        quarantine.keep("filter:x", "trapped", b"abc").unwrap();
    }
    quarantine.sync().unwrap();
    let file = &read::files(temp.path()).unwrap()[0];
    let whole = std::fs::read(&file.path).unwrap();
    for cut in 0..whole.len() {
        std::fs::write(&file.path, &whole[..cut]).unwrap();
        let expected = cut / (whole.len() / 3);
        assert_eq!(read::entries(&file.path).unwrap().len(), expected);
    }
}

#[test]
fn over_the_size_bound_the_oldest_files_go() {
    let temp = tempfile::tempdir().unwrap();
    let mut bounded = options(Keep::Record);
    bounded.max_size_bytes = 3 * limits::QUARANTINE_FILE_BYTES;
    let quarantine = Quarantine::open(temp.path(), bounded).unwrap();
    let record = vec![7; 1024 * 1024];
    for number in 0..64 {
        quarantine.keep("filter:x", &number.to_string(), &record).unwrap();
    }
    quarantine.sync().unwrap();
    let total: u64 = read::files(temp.path()).unwrap().iter().map(|f| f.size_bytes).sum();
    assert!(total <= 3 * limits::QUARANTINE_FILE_BYTES + 2 * 1024 * 1024);
    assert_eq!(all(temp.path()).last().unwrap().reason, "63");
}

#[test]
fn what_was_replayed_is_not_given_again() {
    let temp = tempfile::tempdir().unwrap();
    let quarantine = Quarantine::open(temp.path(), options(Keep::Record)).unwrap();
    for reason in ["one", "two", "three"] {
        quarantine.keep("filter:x", reason, b"abc").unwrap();
    }
    quarantine.sync().unwrap();
    let file = &read::files(temp.path()).unwrap()[0].path;
    let second = read::entries(file).unwrap()[1].end;
    read::mark_replayed(file, second).unwrap();
    let left = read::entries(file).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].entry.reason, "three");
}
