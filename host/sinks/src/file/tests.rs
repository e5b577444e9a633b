//! The file sink: its files, and the sweep that crashes it at every single operation.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use serde_json::json;
use weir_record::Batch;

use super::file_list::FileEntry;
use super::*;
use crate::disk::{FileSystem, Storage};
use crate::testing::{frame, numbered, numbers, record};

pub(super) struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn sink(&self, given: serde_json::Value, disk: Disk) -> FileSink {
        FileSink::new("sut", options("sut", given).expect("options"), &self.context(), disk).expect("builds")
    }

    /// The context of a new process.
    pub fn context(&self) -> BuildContext {
        BuildContext { data: self.folder.path().join("data"), base: self.folder.path().into(), ..Default::default() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Names below the folder, except the data folder.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("readable").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path.strip_prefix(self.folder.path()).expect("below").display().to_string());
                }
            }
        }
        found.retain(|name| !name.starts_with("data/"));
        found.sort();
        found
    }

    /// Everything written under one live name: rotated files by age, then the live file.
    pub fn content(&self, live: &str) -> String {
        let mut names: Vec<_> =
            self.files().into_iter().filter(|name| name.starts_with(live) && name != live).collect();
        names.push(live.into());
        names.iter().map(|name| fs::read_to_string(self.path(name)).unwrap_or_default()).collect()
    }
}

/// Delivers frames `from..=to`, flushing after each one whose number is in `flushes`.
pub(super) async fn deliver(
    sink: &mut FileSink,
    from: u64,
    to: u64,
    make: &dyn Fn(u64) -> Batch,
    flushes: &[u64],
) -> Result<(), SinkError> {
    for sequence in from..=to {
        sink.deliver(&[frame(sequence, make(sequence))]).await?;
        if flushes.contains(&sequence) {
            sink.flush().await?;
        }
    }
    Ok(())
}

pub(super) fn ten(sequence: u64) -> Batch {
    numbered((sequence - 1) * 10..sequence * 10)
}

/// Records that go to four files in turn.
fn to_four_files(sequence: u64) -> Batch {
    let mut batch = Batch::new();
    for n in (sequence - 1) * 8..sequence * 8 {
        let source = ["a", "b", "c", "d"][(n % 4) as usize];
        batch.push(&record(&[("source", source), ("message", &format!("n={n}"))], &[]));
    }
    batch
}

const FRAMES: u64 = 9;
const FLUSHES: [u64; 3] = [2, 5, 9];

/// The file system of a process that dies after a number of operations, possibly in the middle of a write. The machine
/// keeps running, so nothing needs a sync, and thousands of syncs would take minutes.
#[derive(Debug)]
struct DyingProcess {
    operations_left: AtomicI64,
}

impl DyingProcess {
    fn step(&self) -> io::Result<()> {
        match self.operations_left.fetch_sub(1, Ordering::Relaxed) {
            ..=0 => Err(io::Error::other("the process is dead")),
            _ => Ok(()),
        }
    }
}

impl Storage for DyingProcess {
    fn open(&self, path: &Path, mode: u32) -> io::Result<File> {
        self.step()?;
        FileSystem.open(path, mode)
    }

    fn create_folder(&self, path: &Path, _mode: u32) -> io::Result<()> {
        self.step()?;
        fs::create_dir_all(path)
    }

    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        for half in [first, rest] {
            self.step()?;
            file.write_all(half)?;
        }
        Ok(())
    }

    fn sync(&self, _: &File) -> io::Result<()> {
        self.step()
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.step()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        FileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        FileSystem.remove(path)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.step()?;
        File::options().write(true).open(path)?.set_len(length)
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let temporary = rotate::with_ending(path, ".new");
        for written in [&content[..content.len() / 2], content] {
            self.step()?;
            fs::write(&temporary, written)?;
        }
        self.step()?;
        fs::rename(&temporary, path)?;
        self.step()
    }
}

/// Runs the workload until the process dies at operation `n`. Returns the number of operations if the workload
/// completes.
async fn crash_at(n: i64, place: &Place, given: &serde_json::Value, make: &dyn Fn(u64) -> Batch) -> Option<i64> {
    let storage = Arc::new(DyingProcess { operations_left: AtomicI64::new(n) });
    let run = async || -> Result<(), SinkError> {
        let mut sink = place.sink(given.clone(), Disk::new(storage.clone()));
        let held = sink.start(FRAMES).await?.unwrap_or(0);
        deliver(&mut sink, held + 1, FRAMES, make, &FLUSHES).await?;
        sink.flush().await
    };
    match run().await {
        Ok(()) => Some(n - storage.operations_left.load(Ordering::Relaxed)),
        Err(_) => None,
    }
}

async fn sweep(given: serde_json::Value, make: &dyn Fn(u64) -> Batch, lives: &[&str], records: u64) -> i64 {
    let operations = crash_at(i64::MAX, &Place::new(), &given, make).await.expect("goes through");
    assert!(operations > 30, "{operations} operations are no workload");
    for first in 0..operations {
        // A second crash hits the undoing, or what follows it.
        let seconds: &[Option<i64>] =
            if first % 5 == 0 { &[None, Some(first % 7), Some(7 + first % 11)] } else { &[None] };
        for second in seconds.iter().copied() {
            let place = Place::new();
            assert!(crash_at(first, &place, &given, make).await.is_none());
            if let Some(second) = second {
                crash_at(second, &place, &given, make).await;
            }
            crash_at(i64::MAX, &place, &given, make).await.expect("the last run goes through");
            let mut all = Vec::new();
            for live in lives {
                let held = numbers(&place.content(live));
                assert!(held.is_sorted(), "{first} {second:?} {live}: {held:?}");
                all.extend(held);
            }
            all.sort_unstable();
            assert_eq!(all, (0..records).collect::<Vec<_>>(), "crash at {first}, then {second:?}: {:?}", place.files());
        }
    }
    operations
}

#[tokio::test]
async fn a_crash_at_any_operation_loses_and_repeats_nothing_in_one_file() {
    sweep(json!({ "path": "out.log" }), &ten, &["out.log"], FRAMES * 10).await;
}

#[tokio::test]
async fn a_crash_at_any_operation_loses_and_repeats_nothing_through_rotations() {
    let points = sweep(json!({ "path": "out.log", "rotate_size": 400 }), &ten, &["out.log"], FRAMES * 10).await;
    assert!(points > 100, "{points}");
}

#[tokio::test]
async fn a_crash_at_any_operation_loses_and_repeats_nothing_in_many_files_with_few_open() {
    let given = json!({ "path": "x/{source}/out.log", "open_files": 2, "rotate_size": 600 });
    let lives = ["x/a/out.log", "x/b/out.log", "x/c/out.log", "x/d/out.log"];
    sweep(given, &to_four_files, &lives, FRAMES * 8).await;
}

#[tokio::test]
async fn an_existing_file_keeps_its_content() {
    let place = Place::new();
    fs::write(place.path("out.log"), "before\n").expect("writable");
    for _ in 0..2 {
        let mut sink = place.sink(json!({ "path": "out.log" }), Disk::default());
        sink.start(0).await.expect("starts");
        deliver(&mut sink, 1, 2, &ten, &[]).await.expect("delivers");
    }
    assert!(place.content("out.log").starts_with("before\n"));
    assert_eq!(numbers(&place.content("out.log")), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn no_file_exceeds_its_size_and_a_longer_record_gets_its_own_file() {
    let place = Place::new();
    let mut sink = place.sink(json!({ "path": "out.log", "rotate_size": 1000 }), Disk::default());
    sink.start(0).await.expect("starts");
    let mut batch = numbered(0..30);
    batch.push(&record(&[("message", &format!("n=30 {}", "x".repeat(3000)))], &[]));
    batch.extend(&numbered(31..40));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    sink.flush().await.expect("flushes");
    let lengths: Vec<_> =
        place.files().iter().map(|name| fs::metadata(place.path(name)).expect("there").len()).collect();
    assert!(lengths.len() > 4);
    assert_eq!(lengths.iter().filter(|length| **length > 1000).count(), 1, "{lengths:?}");
    assert_eq!(numbers(&place.content("out.log")), (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn text_lines_follow_the_template() {
    let place = Place::new();
    let given = json!({ "path": "{level}/out.log", "format": "text", "template": "{level:8}|{message}" });
    let mut sink = place.sink(given, Disk::default());
    sink.start(0).await.expect("starts");
    sink.deliver(&[frame(1, numbered(0..2))]).await.expect("delivers");
    assert_eq!(place.content("INFO/out.log"), "INFO    |n=0\nINFO    |n=1\n");
}

#[tokio::test]
async fn a_record_whose_path_can_never_be_a_file_is_refused_and_the_others_arrive() {
    let place = Place::new();
    fs::create_dir_all(place.path("logs/bad.log")).expect("writable");
    let mut sink = place.sink(json!({ "path": "logs/{source}.log" }), Disk::default());
    sink.start(0).await.expect("starts");
    let mut batch = Batch::new();
    for source in ["good", "bad", "good"] {
        batch.push(&record(&[("source", source), ("message", "n=1")], &[]));
    }
    let delivered = sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    assert_eq!(delivered.rejected.len(), 1);
    assert_eq!(delivered.rejected[0].0, Position { sequence: 1, index: 1 });
    assert!(delivered.rejected[0].1.contains("bad.log"), "{delivered:?}");
    assert_eq!(numbers(&place.content("logs/good.log")), [1, 1]);
}

#[tokio::test]
async fn a_file_moved_away_by_another_program_is_created_again() {
    let place = Place::new();
    let mut sink = place.sink(json!({ "path": "out.log" }), Disk::default());
    sink.start(0).await.expect("starts");
    deliver(&mut sink, 1, 1, &ten, &[1]).await.expect("delivers");
    fs::rename(place.path("out.log"), place.path("moved")).expect("movable");
    deliver(&mut sink, 2, 3, &ten, &[2, 3]).await.expect("delivers");
    let all = [numbers(&place.content("moved")), numbers(&place.content("out.log"))].concat();
    assert_eq!(all, (0..30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_position_of_a_lost_journal_does_not_hide_new_records() {
    let place = Place::new();
    let given = json!({ "path": "out.log" });
    let mut sink = place.sink(given.clone(), Disk::default());
    sink.start(0).await.expect("starts");
    deliver(&mut sink, 1, 5, &ten, &[5]).await.expect("delivers");
    // The journal starts over: its newest frame is 1, and the runner continues after that.
    let mut sink = place.sink(given.clone(), Disk::default());
    assert_eq!(sink.start(1).await, Ok(Some(5)));
    deliver(&mut sink, 2, 2, &|_| numbered(100..101), &[]).await.expect("delivers");
    // A crash before the next position must not restore the old position.
    let mut sink = place.sink(given, Disk::default());
    let held = sink.start(9).await.expect("starts");
    assert!(held.is_none_or(|held| held <= 5));
    assert_eq!(numbers(&place.content("out.log")).len(), 50, "what was not flushed is cut");
}

#[tokio::test]
async fn a_broken_position_record_stops_the_sink_with_advice() {
    let place = Place::new();
    fs::create_dir_all(place.path("data/sinks")).expect("writable");
    fs::write(place.path("data/sinks/sut.position"), "{").expect("writable");
    let mut sink = place.sink(json!({ "path": "out.log" }), Disk::default());
    let error = sink.start(0).await.expect_err("refuses");
    assert!(
        matches!(&error, SinkError::Fatal(text) if text.contains("sut.position") && text.contains("move it away")),
        "{error:?}"
    );
}

#[tokio::test]
async fn log_files_are_readable_by_owner_and_group_only() {
    let place = Place::new();
    let mut sink = place.sink(json!({ "path": "logs/out.log" }), Disk::default());
    sink.start(0).await.expect("starts");
    deliver(&mut sink, 1, 1, &ten, &[1]).await.expect("delivers");
    let mode = |name| fs::metadata(place.path(name)).expect("there").permissions().mode() & 0o007;
    assert_eq!((mode("logs/out.log"), mode("logs"), mode("data/sinks/sut.position")), (0, 0, 0));
}

#[tokio::test]
async fn an_invalid_fixed_path_rejects_no_record() {
    let place = Place::new();
    fs::create_dir_all(place.path("out.log")).expect("writable");
    let mut sink = place.sink(json!({ "path": "out.log" }), Disk::default());
    sink.start(0).await.expect("starts");
    let delivered = sink.deliver(&[frame(1, numbered(0..2))]).await;
    assert!(matches!(delivered, Err(SinkError::Retry(_))), "{delivered:?}");
}

fn tidy(place: &Place) -> TidyJob {
    TidyJob {
        sink: "sut".into(),
        file_list: FileList::new(place.path("data/sinks/sut.files"), Disk::default()),
        claimant: crate::owners::Owners::default().register("sut", &place.path("data"), Reserves::Nothing).claimant(),
        compress: false,
        keep: None,
        max_age: None,
        unsettled: store::Unsettled::default(),
        ending: Arc::default(),
    }
}

const ROTATED: [&str; 3] =
    ["a.log.20260101T000000.000000Z.log", "a.log.20260102T000000.000000Z.log", "a.log.20260103T000000.000000Z.log"];

fn with_rotated(place: &Place) {
    fs::create_dir_all(place.path("logs/sub")).expect("writable");
    for name in
        ROTATED.iter().chain(&["a.log", "b.log", "foreign.txt", "sub/a.log", "b.log.20260101T000000.000000Z.log"])
    {
        fs::write(place.path("logs").join(name), name).expect("writable");
    }
    let at = |name: &str| place.path("logs").join(name);
    let mut made = vec![FileEntry::live(&at("a.log"), false), FileEntry::live(&at("b.log"), false)];
    made.extend(ROTATED.map(|name| FileEntry::rotated(&at(name), &at("a.log"))));
    made.push(FileEntry::rotated(&at("b.log.20260101T000000.000000Z.log"), &at("b.log")));
    tidy(place).file_list.add(&made).expect("writable");
}

#[test]
fn surplus_rotated_files_are_removed_oldest_first_per_file() {
    let place = Place::new();
    with_rotated(&place);
    TidyJob { keep: Some(1), ..tidy(&place) }.once(SystemTime::now());
    let left = place.files();
    assert!(!left.iter().any(|name| name.ends_with(ROTATED[0]) || name.ends_with(ROTATED[1])), "{left:?}");
    assert_eq!(left.len(), 6, "{left:?}");
}

#[test]
fn compression_keeps_content_and_time_and_skips_unsettled_rotations() {
    let place = Place::new();
    with_rotated(&place);
    let [spared, packed] = [0, 1].map(|at| place.path("logs").join(ROTATED[at]));
    let changed = fs::metadata(&packed).and_then(|found| found.modified()).expect("there");
    let job = TidyJob { compress: true, ..tidy(&place) };
    job.unsettled.lock().expect("not poisoned").insert(spared.clone());
    job.once(SystemTime::now());
    assert!(spared.exists() && !packed.exists());
    let zst = rotate::with_ending(&packed, ".zst");
    let content = zstd::decode_all(File::open(&zst).expect("there")).expect("zstd");
    assert_eq!(content, ROTATED[1].as_bytes());
    assert_eq!(fs::metadata(&zst).and_then(|found| found.modified()).expect("there"), changed);
    assert!(place.path("logs/a.log").exists() && place.path("logs/foreign.txt").exists());
}

#[test]
fn a_stopped_sink_leaves_no_thread_and_no_partial_rotated_file() {
    let place = Place::new();
    with_rotated(&place);
    let content = "a line\n".repeat(1 << 20);
    let rotated = place.path("logs").join(ROTATED[0]);
    fs::write(&rotated, &content).expect("writable");
    let job = TidyJob { compress: true, ..tidy(&place) };
    let ending = job.ending.clone();
    drop(TidyThread::start(job).expect("a thread"));
    assert_eq!(Arc::strong_count(&ending), 1, "the thread still holds what it was given");
    let left = fs::read(&rotated).unwrap_or_else(|_| {
        zstd::decode_all(File::open(rotate::with_ending(&rotated, ".zst")).expect("packed")).expect("zstd")
    });
    assert!(left == content.as_bytes());
}

#[test]
fn retention_removes_only_the_sinks_own_files() {
    let place = Place::new();
    with_rotated(&place);
    let job = TidyJob { max_age: Some(std::time::Duration::from_secs(3600)), ..tidy(&place) };
    job.once(SystemTime::now());
    assert_eq!(place.files().len(), 8, "nothing is old yet");
    job.once(SystemTime::now() + std::time::Duration::from_secs(7200));
    assert_eq!(place.files(), ["logs/foreign.txt", "logs/sub/a.log"]);
}

#[tokio::test]
async fn retention_removes_a_file_only_after_the_sink_has_released_it_and_no_line_is_lost() {
    const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);
    let place = Place::new();
    let mut sink = place.sink(json!({ "path": "out.log", "retention": "1h" }), Disk::default());
    sink.start(0).await.expect("starts");
    deliver(&mut sink, 1, 1, &ten, &[1]).await.expect("delivers");
    let job = TidyJob { max_age: Some(HOUR), claimant: sink.store.claimant(), ..tidy(&place) };
    job.once(SystemTime::now() + 2 * HOUR);
    deliver(&mut sink, 2, 2, &ten, &[2]).await.expect("delivers");
    assert_eq!(numbers(&place.content("out.log")), (0..20).collect::<Vec<_>>(), "it is open");
    let file = File::options().write(true).open(place.path("out.log")).expect("there");
    file.set_modified(SystemTime::now() - 2 * HOUR).expect("writable");
    assert_eq!(sink.maintain().await, Ok(false));
    job.once(SystemTime::now());
    assert_eq!(place.files(), Vec::<String>::new(), "nothing has arrived for long");
    deliver(&mut sink, 3, 3, &ten, &[3]).await.expect("delivers");
    assert_eq!(numbers(&place.content("out.log")), (20..30).collect::<Vec<_>>());
}
