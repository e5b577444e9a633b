//! The `file` source: rotation, truncation and compression while the router is killed; reloads; files that are hard to read.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use super::clients::curl;
use super::router::{Home, eventually};

const SINK: &str = "filter = []\n[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n";

/// How long a writer writes. `WEIR_ROTATION_SECONDS=120` for a long run, with as many kills as that has time for.
fn duration() -> Duration {
    let seconds = std::env::var("WEIR_ROTATION_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(12))
}

/// The records in the sink, and the end of a line that is being written.
fn records(home: &Home) -> Vec<Value> {
    let text = fs::read_to_string(home.path("out.jsonl")).unwrap_or_default();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    text[..whole].lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn messages(home: &Home) -> Vec<String> {
    let text = |record: &Value| record["message"].as_str().expect("a message").to_owned();
    records(home).iter().map(text).collect()
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// How a writer rotates its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rotation {
    Rename,
    CopyAndTruncate,
    /// Renames, and compresses the renamed file.
    Compress,
    /// One of them, at random.
    Any,
}

/// An application that writes and rotates its log.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, u32)>,
}

impl Writer {
    fn start(folder: PathBuf, rotation: Rotation, seed: u64) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let thread = std::thread::spawn(move || write(&folder, rotation, &mut Rng::with_seed(seed), &until));
        Writer { stop, thread }
    }

    /// Returns how many lines were written, in how many files.
    fn stop(self) -> (u64, u32) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("it writes")
    }
}

fn write(folder: &Path, rotation: Rotation, random: &mut Rng, stop: &AtomicBool) -> (u64, u32) {
    let log = folder.join("app.log");
    let open = || OpenOptions::new().append(true).create(true).open(&log).unwrap();
    let (mut file, mut lines, mut files) = (open(), 0, 1);
    let mut compressing: Option<JoinHandle<()>> = None;
    while !stop.load(Ordering::SeqCst) {
        for _ in 0..random.u32(1..40) {
            let line = format!("{lines} {}\n", "x".repeat(random.usize(1..300)));
            // Some lines in two parts.
            let middle = if random.u32(..20) == 0 { random.usize(..line.len()) } else { line.len() };
            file.write_all(&line.as_bytes()[..middle]).unwrap();
            if middle < line.len() {
                std::thread::sleep(Duration::from_millis(random.u64(..20)));
                file.write_all(&line.as_bytes()[middle..]).unwrap();
            }
            lines += 1;
        }
        std::thread::sleep(Duration::from_millis(random.u64(1..20)));
        if random.u32(..30) > 0 {
            continue;
        }
        let old = folder.join(format!("app.log.{files}"));
        files += 1;
        let all = [Rotation::Rename, Rotation::CopyAndTruncate, Rotation::Compress];
        match if rotation == Rotation::Any { all[random.usize(..3)] } else { rotation } {
            Rotation::CopyAndTruncate => {
                fs::copy(&log, &old).unwrap();
                file.set_len(0).unwrap();
            }
            rotation => {
                fs::rename(&log, &old).unwrap();
                // Programs open the new file a little later.
                for _ in 0..random.u32(..3) {
                    writeln!(file, "{lines} late").unwrap();
                    lines += 1;
                    std::thread::sleep(Duration::from_millis(random.u64(..30)));
                }
                file = open();
                if rotation == Rotation::Compress {
                    if let Some(thread) = compressing.take() {
                        thread.join().expect("compressed");
                    }
                    let wait = Duration::from_millis(random.u64(..400));
                    compressing = Some(std::thread::spawn(move || compress(&old, wait)));
                }
            }
        }
    }
    if let Some(thread) = compressing {
        thread.join().expect("compressed");
    }
    (lines, files)
}

/// As `gzip` does.
fn compress(path: &Path, wait: Duration) {
    std::thread::sleep(wait);
    let compressed = File::create(path.with_extension(format!("{}.gz", path.extension().unwrap().display()))).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(compressed, flate2::Compression::fast());
    encoder.write_all(&fs::read(path).unwrap()).unwrap();
    let compressed = encoder.finish().unwrap();
    compressed.set_modified(fs::metadata(path).unwrap().modified().unwrap()).unwrap();
    fs::remove_file(path).unwrap();
}

/// Kills the router at random while a log is written and rotated, and compares what arrived with what was written.
fn survives(rotation: Rotation, seed: u64) {
    let home =
        Home::with(&format!("{SINK}[source.app]\ntype = \"file\"\npaths = [\"logs/app.log*\"]\nscan = \"200ms\"\n"));
    fs::create_dir(home.path("logs")).unwrap();
    let mut random = Rng::with_seed(seed);
    let writer = Writer::start(home.path("logs"), rotation, seed);
    let until = Instant::now() + duration();
    let mut kills = 0;
    while Instant::now() < until {
        let router = home.start();
        std::thread::sleep(Duration::from_millis(random.u64(200..2_000)) * duration().as_secs().div_ceil(60) as u32);
        router.kill();
        kills += 1;
        std::thread::sleep(Duration::from_millis(random.u64(..500)));
    }
    let (lines, files) = writer.stop();
    let router = home.start();
    eventually("every line arrives", || messages(&home).len() as u64 >= lines);
    // Whatever would come twice comes by now: all files are found, and nothing is behind.
    eventually("nothing is behind", || {
        let metrics = curl(&router, "/metrics", &[], b"").body;
        metrics.lines().any(|line| line == "weir_source_behind_bytes{source=\"app\"} 0")
    });
    std::thread::sleep(Duration::from_secs(2));
    router.stop();
    let numbers: Vec<u64> = messages(&home)
        .iter()
        .map(|message| message.split(' ').next().expect("a number").parse().expect("a number"))
        .collect();
    let mut distinct = numbers.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let late = numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
    eprintln!(
        "{rotation:?}: {kills} kills, {files} files, {lines} lines written, {} stored, {} distinct, {late} out of order",
        numbers.len(),
        distinct.len()
    );
    assert_eq!((numbers.len() as u64, distinct.len() as u64), (lines, lines));
    match rotation {
        Rotation::Rename | Rotation::Compress => assert_eq!(late, 0),
        // If Weir is killed or looks while a copy is made, its lines may come after newer ones.
        Rotation::CopyAndTruncate | Rotation::Any => assert!(late as u32 <= files / 20, "{late} of {files}"),
    }
}

#[test]
fn a_log_rotated_by_renaming_arrives_once_and_in_order_through_kills() {
    survives(Rotation::Rename, 1);
}

#[test]
fn a_log_that_is_copied_and_truncated_arrives_once_through_kills() {
    survives(Rotation::CopyAndTruncate, 2);
}

#[test]
fn a_log_whose_old_files_are_compressed_arrives_once_and_in_order_through_kills() {
    survives(Rotation::Compress, 3);
}

#[test]
fn a_log_that_is_rotated_in_every_way_arrives_once_through_kills() {
    survives(Rotation::Any, 4);
}

#[test]
fn a_source_is_added_changed_and_removed_by_a_reload() {
    let home = Home::with(SINK);
    for (name, line) in [("a.log", "of a\n"), ("b.log", "of b\n")] {
        append(&home.path(name), line);
    }
    let mut router = home.start();
    let source = |paths: &str, more: &str| {
        home.configure(&format!("{SINK}[source.app]\ntype = \"file\"\npaths = {paths}\nsource = \"shop\"\n{more}"));
    };
    source("[\"a.log\"]", "");
    eventually("the source is added", || messages(&home) == ["of a"]);
    let record = &records(&home)[0];
    assert_eq!((&record["source"], &record["level"]), (&"shop".into(), &"INFO".into()));
    assert!(record["file"].as_str().is_some_and(|path| path.ends_with("/a.log")), "{record}");

    source("[\"a.log\", \"b.log\"]", "level = \"WARNING\"\nfile_key = \"\"\n");
    eventually("the source is changed", || messages(&home) == ["of a", "of b"]);
    append(&home.path("a.log"), "more of a\n");
    eventually("it continues where it was", || messages(&home) == ["of a", "of b", "more of a"]);
    let record = &records(&home)[2];
    assert_eq!((&record["level"], &record["file"]), (&"WARNING".into(), &Value::Null));

    home.configure(SINK);
    router.wait_for_line("source `app` removed");
    append(&home.path("a.log"), "unread\n");
    // It is new again then.
    source("[\"a.log\"]", "start = \"end\"\n");
    eventually("the source is added again", || router.stderr().matches("configuration reloaded").count() == 4);
    eventually("it has found its file", || {
        curl(&router, "/metrics", &[], b"").body.contains("weir_source_files{source=\"app\"} 1")
    });
    append(&home.path("a.log"), "read\n");
    eventually("it reads what is new", || messages(&home) == ["of a", "of b", "more of a", "read"]);
    let (_, said) = router.stop();
    assert!(!said.contains("ERROR"), "{said}");
}

#[test]
fn what_is_hard_to_read_is_read_as_far_as_possible_and_said_once() {
    let home =
        Home::with(&format!("{SINK}[source.app]\ntype = \"file\"\npaths = [\"logs/*\"]\nmax_line = \"64KiB\"\n"));
    let logs = home.path("logs");
    fs::create_dir_all(logs.join("folder.log")).unwrap();
    symlink("circle.log", logs.join("circle.log")).unwrap();
    let mut random = Rng::with_seed(5);
    let junk: Vec<u8> = (0..300_000).map(|_| random.u8(..)).collect();
    fs::write(logs.join("junk.log"), &junk).unwrap();
    let long: String = (0..400_000).map(|number| format!("{number},")).collect();
    fs::write(logs.join("long.log"), &long).unwrap();
    append(&logs.join("plain.log"), "plain\n");
    let mut router = home.start();
    let of = |name: &str| -> Vec<String> {
        let is_of = |record: &Value| record["file"].as_str().is_some_and(|path| path.ends_with(name));
        let text = |record: &Value| record["message"].as_str().expect("a message").to_owned();
        records(&home).iter().filter(|record| is_of(record)).map(text).collect()
    };
    let whole = long.len() / (64 << 10);
    eventually("all are read", || of("plain.log").len() == 1 && of("long.log").len() == whole);
    append(&logs.join("long.log"), "end\n");
    eventually("the line is read to its end", || of("long.log").concat() == format!("{long}end"));
    let ends = junk.iter().filter(|byte| **byte == b'\n').count();
    eventually("the lines of junk are read", || of("junk.log").len() > ends / 2);
    router.wait_for_line("can't read `");
    append(&logs.join("plain.log"), "more\n");
    eventually("the source goes on", || of("plain.log").len() == 2);
    let (_, said) = router.stop();
    assert_eq!(said.matches("can't read `").count(), 1, "{said}");
    assert!(said.contains("circle.log"), "{said}");
}
