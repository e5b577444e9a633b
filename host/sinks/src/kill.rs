//! Real `kill -9`: a child process appends, delivers and rotates, and is killed fifty times at random moments.
//! Afterwards, everything that the journal acknowledged is in each sink, or counted, exactly once.
//!
//! Randomness decides when the process is killed, never whether the test passes.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_record::Batch;

use crate::compliance::sqlite3;
use crate::prometheus::tests::kept;
use crate::registry::{BuildContext, kind};
use crate::runner::{FallbackQueues, RunnerOptions, RunningSink, spawn};
use crate::testing::{ChildProcess, MemoryQuarantine, PATIENCE, append, journal, numbers, record};

const FOLDER: &str = "WEIR_SINKS_KILL_TEST_FOLDER";
const ROUNDS: u64 = 50;
const FRAME: u64 = 20;
/// Number of series that are counted.
const RESTS: u64 = 97;

fn context(folder: &Path) -> BuildContext {
    BuildContext { data: folder.join("data"), base: folder.into(), ..BuildContext::default() }
}

/// A counter with one series for each remainder of the records' numbers.
fn rules() -> Value {
    json!({ "rule": [{ "name": "seen_total", "type": "counter", "labels": { "n": "rest" } }] })
}

fn sinks(folder: &Path, journal: &weir_journal::Journal) -> Vec<RunningSink> {
    let context = context(folder);
    let options = [
        ("file", json!({ "path": "out.log", "rotate_size": "64KiB", "compress": true })),
        ("sqlite", json!({ "search": true })),
        ("prometheus", rules()),
    ];
    let start = |(name, options)| {
        let sink = (kind(name).expect("known").build)(name, options, &context).expect("builds");
        let runner = RunnerOptions { name: name.into(), ..RunnerOptions::default() };
        spawn(runner, sink, journal.clone(), Arc::new(MemoryQuarantine::default()), &FallbackQueues::default())
            .expect("starts")
    };
    options.into_iter().map(start).collect()
}

/// Records that contain their number and its remainder.
fn counted(range: std::ops::Range<u64>) -> Batch {
    let mut batch = Batch::new();
    for n in range {
        batch.push(&record(&[("message", &format!("n={n}")), ("rest", &(n % RESTS).to_string())], &[]));
    }
    batch
}

/// The child: prints after each frame how many records are acknowledged, until it is killed.
#[test]
#[ignore = "the part of the child in the test below"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let journal = journal(&folder.join("journal"));
    let running = sinks(folder, &journal);
    let mut next = journal.last_sequence() * FRAME;
    loop {
        append(&journal, &counted(next..next + FRAME));
        next += FRAME;
        println!("acked {next}");
        assert_eq!(running.len(), 3);
    }
}

fn all_lines(folder: &Path) -> Vec<u64> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("readable")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("out.log.")))
        // If compression was interrupted, both files exist, or part of the second.
        .filter(|path| path.extension().is_some_and(|ending| ending != "new"))
        .collect();
    files.sort();
    let packed: HashSet<_> = files
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "zst"))
        .map(|p| p.with_extension(""))
        .collect();
    files.retain(|path| !packed.contains(path));
    files.push(folder.join("out.log"));
    let mut text = String::new();
    for path in &files {
        let bytes = fs::read(path).expect("nothing moves any more: a stopped sink leaves no thread behind");
        let is_packed = path.extension().is_some_and(|ending| ending == "zst");
        let bytes = if is_packed { zstd::decode_all(&bytes[..]).expect("zstd") } else { bytes };
        text.push_str(&String::from_utf8(bytes).expect("text"));
    }
    numbers(&text)
}

#[test]
fn fifty_kills_lose_nothing_and_repeat_nothing_in_file_database_and_counters() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut acked = 0;
    for round in 0..ROUNDS {
        let child = ChildProcess::start("kill::child", &[(FOLDER, place.path().as_os_str())]);
        // Most kills fall within a second of deliveries; some after a position or two.
        std::thread::sleep(Duration::from_millis(3 + round * 37 % 160 + if round % 10 == 9 { 1200 } else { 0 }));
        acked = child.kill().max(acked);
    }
    let journal = journal(&place.path().join("journal"));
    let total = journal.last_sequence() * FRAME;
    assert!(total >= acked, "{total} < {acked}: the journal lost what it acknowledged");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for running in sinks(place.path(), &journal) {
        // A child that was killed early may leave much to do.
        let stopped = runtime.block_on(running.stop_within(PATIENCE));
        assert_eq!((stopped.pending_frames, stopped.error), (0, None), "{}", stopped.name);
    }
    let expected: Vec<u64> = (0..total).collect();
    assert!(total >= ROUNDS * FRAME, "{total} records are no load");
    let lines = all_lines(place.path());
    let differ = lines.iter().zip(&expected).position(|(held, due)| held != due);
    assert!(
        lines == expected,
        "the files hold {} of {} records, different from {differ:?}",
        lines.len(),
        expected.len()
    );
    let rows =
        numbers(&sqlite3(&place.path().join("data/logs.db"), "SELECT message FROM logs ORDER BY sequence, position"));
    assert!(rows == expected, "the database doesn't hold each record once");
    let kept = kept("prometheus", rules(), &context(place.path()));
    for rest in 0..RESTS {
        let due = format!("seen_total{{n=\"{rest}\"}} {}\n", (total - rest).div_ceil(RESTS));
        assert!(kept.contains(&due), "not counted once each, {due} is missing:\n{kept}");
    }
    println!("{ROUNDS} kills, {total} records, {acked} acknowledged");
}
