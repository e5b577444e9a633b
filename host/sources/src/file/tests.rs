//! All of a source but the waiting: files on a real disk, a clock that the test moves, and a router that remembers the
//! positions of what it has stored. `tests_of_rotation` are about what becomes of files.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use weir_record::{Aliases, Defaults, Level, write_json};

use super::files::Files;
use super::options::{Options, Settings};
use crate::destination::{Delivery, Position};
use crate::registry::BuildContext;

/// A source, a clock and what was stored.
pub(super) struct Bench {
    folder: tempfile::TempDir,
    options: Value,
    pub(super) files: Files,
    pub(super) now: Instant,
    pub(super) positions: HashMap<Vec<u8>, Vec<u8>>,
    pub(super) records: Vec<Value>,
    bad: Vec<Vec<u8>>,
}

fn settings(folder: &tempfile::TempDir, options: &Value) -> Arc<Settings> {
    let context = BuildContext { base: folder.path().into() };
    let options: Options = serde_json::from_value(options.clone()).expect("options");
    Arc::new(Settings::new(&options, &context).expect("settings"))
}

impl Bench {
    pub(super) fn new(options: Value) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let now = Instant::now();
        let files = Files::new("test", settings(&folder, &options), &[], now);
        let (positions, records, bad) = Default::default();
        Bench { folder, options, files, now, positions, records, bad }
    }

    /// A source for `app.log` and what rotation makes of it.
    pub(super) fn of_log() -> Bench {
        Bench::new(json!({"paths": ["app.log*"]}))
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.at(name)).expect("opened");
        file.write_all(bytes.as_ref()).expect("written");
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.at(from), self.at(to)).expect("renamed");
    }

    /// One delivery. Returns whether there is nothing more to do.
    pub(super) fn step(&mut self, is_stored: bool) -> bool {
        let aliases = Aliases::default();
        let defaults = Defaults {
            received_ns: 0,
            source: "test",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: false,
        };
        let step = self.files.step(self.now, &defaults).expect("composed");
        if is_stored {
            self.store(step.delivery);
        }
        step.is_idle
    }

    fn store(&mut self, Delivery { batch, bad, positions, .. }: Delivery) {
        for record in batch.iter() {
            let mut json = Vec::new();
            write_json(record, &mut json);
            self.records.push(serde_json::from_slice(&json).expect("JSON"));
        }
        self.bad.extend(bad.into_iter().map(|bad| bad.bytes));
        for Position { key, value } in positions {
            match value {
                Some(value) => _ = self.positions.insert(key, value),
                None => _ = self.positions.remove(&key),
            }
        }
    }

    /// Time passes, and all is read that is due.
    pub(super) fn read_after(&mut self, time: Duration) {
        self.now += time;
        let mut steps = 0;
        while !self.step(true) {
            steps += 1;
            assert!(steps < 1_000, "it never becomes idle");
        }
    }

    /// A scan and a poll.
    pub(super) fn read(&mut self) {
        self.read_after(Duration::from_secs(1));
    }

    /// Starts again from what was stored.
    pub(super) fn restart(&mut self) {
        self.restart_with(self.options.clone());
    }

    fn restart_with(&mut self, options: Value) {
        let stored =
            self.positions.iter().map(|(key, value)| Position { key: key.clone(), value: Some(value.clone()) });
        self.files = Files::new("test", settings(&self.folder, &options), &stored.collect::<Vec<_>>(), self.now);
        self.options = options;
    }

    /// The messages since the last call.
    pub(super) fn messages(&mut self) -> Vec<String> {
        let text = |record: Value| record["message"].as_str().expect("a message").to_owned();
        std::mem::take(&mut self.records).into_iter().map(text).collect()
    }

    fn behind(&self) -> u64 {
        self.files.tracked.values().map(|tracked| tracked.behind()).sum()
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

pub(super) fn numbered(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("2026-01-31T10:22:07Z line number {number}")).collect()
}

pub(super) fn text(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn lines_are_read_as_they_come_and_not_again_after_a_restart() {
    let mut bench = Bench::of_log();
    bench.append("app.log", "one\ntw");
    bench.read();
    assert_eq!(bench.messages(), ["one"]);
    bench.append("app.log", "o\n\n{\"message\":\"three\",\"n\":3}\n");
    bench.restart();
    bench.read();
    assert_eq!(bench.records[1]["n"], 3);
    assert_eq!(bench.records[0]["file"], bench.at("app.log").to_str().expect("text"));
    assert_eq!(bench.messages(), ["two", "three"]);
    bench.restart();
    bench.read();
    assert_eq!(bench.messages(), [""; 0]);
}

#[test]
fn what_was_not_stored_is_read_again() {
    let mut bench = Bench::of_log();
    let lines = numbered(0..5_000);
    bench.append("app.log", text(&lines));
    for stored in 1..4 {
        bench.step(true);
        bench.step(false);
        bench.restart();
        assert_eq!(bench.records.len(), stored * 1_000);
    }
    bench.read();
    assert_eq!(bench.messages(), lines);
}

#[test]
fn a_file_with_several_names_is_read_once() {
    let mut bench = Bench::new(json!({"paths": ["*.log", "a*", "d/**"]}));
    bench.append("a.log", "1\n");
    fs::create_dir(bench.at("d")).expect("created");
    fs::hard_link(bench.at("a.log"), bench.at("d/b.log")).expect("linked");
    symlink(bench.at("a.log"), bench.at("c.log")).expect("linked");
    bench.read();
    bench.append("a.log", "2\n");
    bench.read();
    assert_eq!(bench.messages(), ["1", "2"]);
}

#[test]
fn a_source_may_begin_at_the_end_of_what_is_there() {
    let end = |paths: &[&str]| json!({"paths": paths, "start": "end"});
    let mut bench = Bench::new(end(&["a*"]));
    bench.append("a.log", "old\n");
    fs::write(bench.at("a.log.gz"), gzip(b"older\n")).expect("written");
    bench.append("b.log", "old\n");
    bench.read();
    bench.append("a.log", "1\n");
    bench.append("a.2.log", "2\n");
    bench.read();
    bench.read();
    let mut messages = bench.messages();
    messages.sort();
    assert_eq!(messages, ["1", "2"]);
    // A file that is new to the old globs is read, one that was there before the new glob is not.
    bench.append("a.3.log", "3\n");
    bench.restart_with(end(&["a*", "b*"]));
    bench.read();
    bench.append("b.log", "4\n");
    bench.read();
    assert_eq!(bench.messages(), ["3", "4"]);
    bench.restart();
    bench.append("b.2.log", "5\n");
    bench.read();
    assert_eq!(bench.messages(), ["5"]);
}

#[test]
fn lines_are_joined_and_a_restart_splits_and_repeats_none() {
    let mut bench = Bench::new(
        json!({"paths": ["app.log"], "multiline": {"start": "^[0-9]", "timeout": "2s"}, "partial_line": "1m"}),
    );
    bench.append("app.log", "1 boom\n  at a\n");
    bench.read();
    bench.restart();
    bench.append("app.log", "  at b\n2 fine\n  at");
    bench.read();
    assert_eq!(bench.messages(), ["1 boom\n  at a\n  at b"]);
    bench.read();
    assert_eq!(bench.messages(), [""; 0]);
    bench.read();
    assert_eq!(bench.messages(), ["2 fine"]);
    bench.read_after(Duration::from_secs(60));
    assert_eq!(bench.messages(), ["  at"]);
}

#[test]
fn what_an_engine_keeps_of_a_container_is_put_together_through_a_restart() {
    let entry = |second: u8, stream: &str, log: &str| {
        json!({"log": log, "stream": stream, "time": format!("2026-11-24T10:00:{second:02}.5Z")}).to_string() + "\n"
    };
    let mut bench = Bench::new(json!({"paths": ["*-json.log"], "format": "docker", "max_line": "1KiB"}));
    bench.append("c-json.log", entry(1, "stdout", "plain\r\n") + &entry(2, "stdout", "one, "));
    bench.read_after(Duration::ZERO);
    assert_eq!(bench.messages(), ["plain"]);
    bench.restart();
    bench.append(
        "c-json.log",
        entry(3, "stderr", "{\"level\":\"warn\",\"msg\":\"m\"}\n") + &entry(4, "stdout", "two\n"),
    );
    bench.append("c-json.log", entry(5, "stdout", "\n") + "nonsense\n" + &entry(6, "stdout", &"x".repeat(2000)));
    bench.append("c-json.log", entry(7, "stderr", "never ends"));
    bench.read_after(Duration::ZERO);
    let shown = |record: &Value| json!([record["message"], record["level"], record["stream"], record["timestamp"]]);
    let at = |second: u8| format!("2026-11-24T10:00:{second:02}.500000000Z");
    let due = [json!(["m", "WARNING", "stderr", at(3)]), json!(["one, two", "INFO", "stdout", at(2)])];
    assert_eq!(bench.records.iter().map(shown).collect::<Vec<_>>(), due);
    assert_eq!(bench.bad.len(), 4, "one is no entry, and three are pieces of one that is too long");
    bench.read_after(Duration::from_secs(2));
    assert_eq!(bench.records[2]["partial"], true);
    assert_eq!(bench.messages(), ["m", "one, two", "never ends"]);
}

#[test]
fn a_long_line_becomes_numbered_pieces_through_a_restart() {
    let mut bench = Bench::new(json!({"paths": ["app.log"], "max_line": "100KiB"}));
    let line: String = (0..60_000).map(|n| format!("{n},")).collect();
    bench.append("app.log", &line);
    bench.read();
    assert_eq!(bench.records.len(), line.len() / (100 << 10));
    bench.restart();
    bench.append("app.log", "\nnext\n");
    bench.read();
    let pieces: Vec<Value> = bench.records.iter().map(|record| record["piece"].clone()).collect();
    assert_eq!(pieces, [json!(1), json!(2), json!(3), json!(4), Value::Null]);
    assert_eq!(bench.messages().concat(), line + "next");
}

#[test]
fn zeros_are_passed_over_once_something_follows() {
    let mut bench = Bench::of_log();
    bench.append("app.log", "1\n");
    bench.read();
    // As a writer without O_APPEND leaves it after a truncation.
    let hole = [vec![0; 300_000], b"2\n\0\0\0".to_vec()].concat();
    fs::write(bench.at("app.log"), &hole).expect("written");
    bench.read();
    assert_eq!(bench.messages(), ["1", "2"]);
    // As a writer that reserves space.
    let mut reserved = hole;
    reserved.truncate(300_002);
    reserved.extend_from_slice(b"3\n");
    reserved.resize(700_000, 0);
    fs::write(bench.at("app.log"), &reserved).expect("written");
    bench.read();
    reserved[300_004..300_006].copy_from_slice(b"4\n");
    fs::write(bench.at("app.log"), &reserved).expect("written");
    // The clock of a file system is coarse.
    let log = File::options().append(true).open(bench.at("app.log")).expect("opened");
    log.set_modified(SystemTime::now() + Duration::from_secs(1)).expect("set");
    bench.read();
    assert_eq!(bench.messages(), ["3", "4"]);
}

#[test]
fn encodings_are_those_that_are_named() {
    let mut bench = Bench::new(json!({"paths": ["app.log"], "encoding": "utf-16le"}));
    let bytes: Vec<u8> = "\u{feff}grüße\r\n𝄞\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for part in bytes.chunks(7) {
        bench.append("app.log", part);
        bench.read();
        bench.restart();
    }
    bench.read();
    assert_eq!(bench.messages(), ["grüße", "𝄞"]);
    let mut bench = Bench::new(json!({"paths": ["app.log"]}));
    bench.append("app.log", b"\xef\xbb\xbfa\0b\xff\n");
    bench.read();
    assert_eq!(bench.messages(), ["a\0b\u{fffd}"]);
}

#[test]
fn only_objects_are_records_if_json_is_said() {
    let mut bench = Bench::new(json!({"paths": ["app.log"], "format": "json"}));
    bench.append("app.log", "{\"message\":\"1\"}\nplain\n{\"message\":\"2\"}\n");
    bench.read();
    assert_eq!(bench.messages(), ["1", "2"]);
    assert_eq!(bench.bad, [b"plain"]);
}

#[test]
fn what_cannot_be_read_does_not_keep_others_from_being_read() {
    let mut bench = Bench::new(json!({"paths": ["*"]}));
    fs::create_dir(bench.at("folder")).expect("created");
    bench.append("locked.log", "secret\n");
    bench.append("locked.log.1", "old\n");
    symlink(bench.at("nowhere"), bench.at("dangling")).expect("linked");
    symlink(bench.at("circle"), bench.at("circle")).expect("linked");
    rustix::fs::mkfifoat(rustix::fs::CWD, bench.at("pipe"), rustix::fs::Mode::RWXU).expect("a pipe");
    fs::set_permissions(bench.at("locked.log"), PermissionsExt::from_mode(0o000)).expect("set");
    let can_read_all = fs::read(bench.at("locked.log")).is_ok();
    bench.append("a.log", "1\n");
    bench.read();
    bench.read();
    let mut messages = bench.messages();
    messages.sort();
    // Who is root can read everything.
    assert_eq!(messages, if can_read_all { vec!["1", "old", "secret"] } else { vec!["1", "old"] });
    fs::set_permissions(bench.at("locked.log"), PermissionsExt::from_mode(0o600)).expect("set");
    bench.read();
    bench.read();
    assert_eq!(bench.messages(), if can_read_all { vec![] } else { vec!["secret"] });
}

#[test]
fn many_files_take_turns_and_few_are_open() {
    let mut bench = Bench::new(json!({"paths": ["*.log"]}));
    let busy = numbered(0..30_000);
    bench.append("busy.log", text(&busy));
    for number in 0..1_500 {
        bench.append(&format!("app{number}.log"), format!("of {number}\n"));
    }
    // The busy file was written first, but the others have their turns, too.
    for _ in 0..8 {
        bench.now += Duration::from_millis(1);
        bench.step(true);
    }
    let others = bench.records.iter().filter(|record| record["message"].as_str().is_some_and(|m| m.starts_with("of")));
    assert!(others.count() > 1_000);
    let open = bench.files.tracked.values().filter(|tracked| tracked.file.is_some()).count();
    assert!(open > 100 && open <= crate::limits::OPEN_FILES, "{open}");
    assert!(bench.behind() > 0);
    bench.read();
    assert_eq!(bench.records.len(), 31_500);
    assert_eq!(bench.behind(), 0);
    bench.messages();
    for number in 0..1_500 {
        bench.append(&format!("app{number}.log"), "again\n");
    }
    bench.read();
    assert_eq!(bench.messages(), ["again"; 1_500].map(String::from).to_vec());
}

#[test]
fn files_of_one_log_are_read_in_an_order_that_all_of_them_share() {
    let mut bench = Bench::new(json!({"paths": ["job-*.log"]}));
    let start = SystemTime::now();
    for number in 0..200 {
        // Their names say the opposite.
        let name = format!("job-20260101-{:06}.log", 200 - number);
        bench.append(&name, format!("of {number}\n"));
        let file = File::options().append(true).open(bench.at(&name)).expect("opened");
        file.set_modified(start + Duration::from_millis(number)).expect("set");
    }
    bench.read();
    assert_eq!(bench.messages(), (0..200).map(|number| format!("of {number}")).collect::<Vec<_>>());
    let orders: Vec<_> = bench.files.tracked.values().filter_map(|tracked| tracked.after.as_ref()).collect();
    assert_eq!(orders.len(), 200);
    assert!(orders.iter().all(|(order, left)| Arc::ptr_eq(order, &orders[0].0) && *left == 0));
}
