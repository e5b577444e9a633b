//! Rotation in all its forms, copies, compressed files, changed and reused inodes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use serde_json::json;

use super::tests::{Bench, gzip, numbered, text};
use super::tracked::Presence;

fn set_modified(bench: &Bench, name: &str, time: SystemTime) {
    let file = OpenOptions::new().append(true).open(bench.at(name)).expect("opened");
    file.set_modified(time).expect("set");
}

/// Deletes a file, and waits until it is forgotten that it was open.
fn delete(bench: &mut Bench, name: &str) {
    fs::remove_file(bench.at(name)).expect("deleted");
    bench.read();
    bench.read_after(Duration::from_secs(10));
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    // With the rotated file among the globs, and without.
    for globs in ["app.log*", "app.log"] {
        let mut bench = Bench::new(json!({"paths": [globs]}));
        bench.append("app.log", "1\n");
        bench.read();
        bench.append("app.log", "2\n");
        bench.rename("app.log", "app.log.1");
        bench.append("app.log", "4\n");
        bench.append("app.log.1", "3\n");
        bench.read();
        bench.read();
        assert_eq!(bench.messages(), ["1", "2", "3", "4"], "{globs}");
        bench.append("app.log.1", "late\n");
        bench.read();
        assert_eq!(bench.messages(), ["late"], "{globs}");
    }
}

#[test]
fn what_was_renamed_while_nobody_read_is_read_to_its_end() {
    for globs in ["app.log*", "app.log"] {
        let mut bench = Bench::new(json!({"paths": [globs]}));
        bench.append("app.log", "1\n");
        bench.read();
        bench.append("app.log", "2\n");
        bench.rename("app.log", "app.log.1");
        bench.append("app.log", "3\n");
        bench.restart();
        bench.read();
        bench.read();
        assert_eq!(bench.messages(), ["1", "2", "3"], "{globs}");
    }
}

#[test]
fn generations_are_read_from_the_oldest_on() {
    let mut bench = Bench::of_log();
    for (name, lines) in [("app.log.2", 0..3_000), ("app.log.1", 3_000..3_001), ("app.log", 3_001..6_000)] {
        bench.append(name, text(&numbered(lines)));
    }
    bench.read();
    bench.read();
    bench.read();
    assert_eq!(bench.messages(), numbered(0..6_000));
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_then_closed() {
    let mut bench = Bench::of_log();
    bench.append("app.log", "1\n");
    bench.read();
    let mut writer = OpenOptions::new().append(true).open(bench.at("app.log")).expect("opened");
    fs::remove_file(bench.at("app.log")).expect("deleted");
    writer.write_all(b"2\n").expect("written");
    bench.read();
    bench.read_after(Duration::from_secs(4));
    writer.write_all(b"3\n4 without an end").expect("written");
    bench.read();
    assert_eq!(bench.messages(), ["1", "2", "3"]);
    assert!(bench.files.tracked.values().any(|tracked| tracked.file.is_some()));
    bench.read_after(Duration::from_secs(6));
    assert_eq!(bench.messages(), ["4 without an end"]);
    assert!(bench.files.tracked.values().all(|tracked| tracked.file.is_none() && tracked.is_gone()));
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let mut bench = Bench::of_log();
    for round in 0..3 {
        // Shorter, as long and longer than before.
        let lines = numbered(100 * round..100 * round + 5 + round);
        fs::write(bench.at("app.log"), text(&lines)).expect("written");
        bench.read();
        bench.append("app.log", "more\n");
        bench.read();
        let messages = bench.messages();
        assert_eq!(messages[..messages.len() - 1], lines);
    }
}

#[test]
fn a_copy_is_not_read_again_and_has_what_was_not_read_before_the_truncation() {
    for is_known_before in [true, false] {
        let mut bench = Bench::of_log();
        bench.append("app.log", text(&numbered(0..50)));
        bench.read();
        bench.append("app.log", text(&numbered(50..60)));
        fs::copy(bench.at("app.log"), bench.at("app.log.1")).expect("copied");
        if is_known_before {
            bench.read();
            assert_eq!(bench.records.len(), 60);
        }
        fs::write(bench.at("app.log"), text(&numbered(60..63))).expect("written");
        for _ in 0..3 {
            bench.read();
        }
        bench.restart();
        bench.read();
        assert_eq!(bench.messages(), numbered(0..63));
    }
}

#[test]
fn a_copy_without_the_last_lines_that_were_read_is_not_read_again() {
    for (name, is_known_before) in [("app.log.1", false), ("app.log.1", true), ("app.log.1.gz", false)] {
        let mut bench = Bench::of_log();
        let content = text(&numbered(0..50));
        bench.append("app.log", &content);
        bench.read();
        let copied = fs::metadata(bench.at("app.log")).and_then(|metadata| metadata.modified()).expect("a time");
        if name == "app.log.1" {
            fs::copy(bench.at("app.log"), bench.at(name)).expect("copied");
        }
        // After the copy, but before the truncation; with the next poll or the next scan.
        bench.append("app.log", text(&numbered(50..60)));
        bench.read_after(Duration::from_millis(if is_known_before { 1_000 } else { 250 }));
        assert_eq!(bench.records.len(), 60);
        fs::write(bench.at("app.log"), text(&numbered(60..63))).expect("written");
        if name == "app.log.1.gz" {
            fs::write(bench.at(name), gzip(content.as_bytes())).expect("written");
            set_modified(&bench, name, copied);
        }
        for _ in 0..4 {
            bench.read();
        }
        assert!(bench.files.tracked.values().all(|tracked| !tracked.is_gone()), "{name} has the place of the original");
        bench.restart();
        bench.read();
        bench.read();
        assert_eq!(bench.messages(), numbered(0..63), "{name}");
    }
}

#[test]
fn a_newer_file_that_begins_like_one_that_is_gone_is_read() {
    // Shorter than that one, and longer.
    for count in [1, 100] {
        for name in ["app.log.1", "app.log.1.gz"] {
            let mut bench = Bench::of_log();
            bench.append("app.log", text(&numbered(0..60)));
            bench.read();
            delete(&mut bench, "app.log");
            let lines = [numbered(0..50), numbered(100..100 + count)].concat();
            let content = text(&lines).into_bytes();
            let content = if name == "app.log.1" { content } else { gzip(&content) };
            fs::write(bench.at(name), content).expect("written");
            set_modified(&bench, name, SystemTime::now() + Duration::from_secs(1));
            for _ in 0..4 {
                bench.read();
            }
            assert_eq!(bench.messages(), [numbered(0..60), lines].concat(), "{name}, {count}");
        }
    }
}

#[test]
fn a_compressed_file_continues_the_right_one_of_those_that_begin_alike() {
    let mut bench = Bench::of_log();
    let first = [numbered(0..50), numbered(100..200)].concat();
    let second = [numbered(0..50), numbered(200..210)].concat();
    for lines in [&first, &second] {
        bench.append("app.log", text(lines));
        bench.read();
        delete(&mut bench, "app.log");
    }
    let more = numbered(210..220);
    let content = text(&second) + &text(&more);
    fs::write(bench.at("app.log.1.gz"), gzip(content.as_bytes())).expect("written");
    set_modified(&bench, "app.log.1.gz", SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    for _ in 0..6 {
        bench.read();
    }
    assert_eq!(bench.messages(), [first, second, more].concat());
}

#[test]
fn a_copy_in_progress_is_recognised() {
    let mut bench = Bench::of_log();
    let whole = text(&numbered(0..100));
    bench.append("app.log", &whole);
    bench.read();
    for length in [10, 2_000, whole.len()] {
        fs::write(bench.at("app.log.1"), &whole[..length]).expect("written");
        bench.read();
    }
    fs::write(bench.at("app.log"), "").expect("truncated");
    bench.read();
    bench.append("app.log", text(&numbered(100..101)));
    bench.read();
    bench.read();
    assert_eq!(bench.messages(), numbered(0..101));
}

#[test]
fn a_copy_that_goes_on_differently_is_a_file_of_its_own() {
    let mut bench = Bench::new(json!({"paths": ["*.log"]}));
    bench.append("a.log", text(&numbered(0..50)));
    bench.read();
    bench.append("b.log", text(&numbered(0..50)));
    bench.read();
    assert_eq!(bench.messages(), numbered(0..50));
    bench.append("b.log", "other\n");
    bench.read();
    bench.read();
    assert_eq!(bench.messages(), ["other"]);
}

#[test]
fn short_files_with_the_same_content_are_two_files() {
    let mut bench = Bench::new(json!({"paths": ["*.log"]}));
    for name in ["run-1.log", "run-2.log"] {
        bench.append(name, "started\n");
        bench.read();
    }
    fs::remove_file(bench.at("run-1.log")).expect("deleted");
    bench.read_after(Duration::from_secs(10));
    bench.append("run-3.log", "started\n");
    bench.read();
    assert_eq!(bench.messages(), ["started"; 3]);
}

#[test]
fn a_compressed_file_is_read_once_and_not_at_all_if_it_was_read_before() {
    let mut bench = Bench::of_log();
    let old = numbered(0..3_000);
    fs::write(bench.at("app.log.2.gz"), gzip(text(&old).as_bytes())).expect("written");
    bench.read();
    bench.step(true);
    bench.now += Duration::from_secs(1);
    bench.step(true);
    assert_eq!(bench.records.len(), 1_000);
    bench.restart();
    bench.read();
    bench.read();
    assert_eq!(bench.messages(), old);

    // Compressed while it is read, with lines that were not; and while nobody reads.
    for round in 0..2 {
        bench.append("app.log", text(&numbered(round..round + 1)));
        bench.read();
        bench.append("app.log", text(&numbered(round + 1..round + 40)));
        let content = fs::read(bench.at("app.log")).expect("read");
        fs::write(bench.at(&format!("app.log.1{round}.gz")), gzip(&content)).expect("written");
        if round == 1 {
            bench.restart();
        }
        fs::remove_file(bench.at("app.log")).expect("deleted");
        for _ in 0..10 {
            bench.read_after(Duration::from_secs(2));
        }
        assert_eq!(bench.messages(), numbered(round..round + 40), "{round}");
    }
    bench.restart();
    bench.read();
    bench.read();
    assert_eq!(bench.messages(), [""; 0]);
}

#[test]
fn a_damaged_compressed_file_gives_what_can_be_read_and_waits_for_a_better_one() {
    let mut bench = Bench::of_log();
    let lines = numbered(0..20_000);
    let whole = gzip(text(&lines).as_bytes());
    fs::write(bench.at("app.log.gz"), &whole[..whole.len() / 2]).expect("written");
    for _ in 0..4 {
        bench.read();
    }
    let read = bench.records.len();
    assert!(read > 1_000 && read < 19_000, "{read}");
    fs::write(bench.at("app.log.gz"), &whole).expect("written");
    for _ in 0..4 {
        bench.read();
    }
    assert_eq!(bench.messages(), lines);
}

#[test]
fn a_changed_inode_is_the_same_file() {
    let mut bench = Bench::of_log();
    bench.append("app.log", text(&numbered(0..100)));
    bench.read();
    fs::copy(bench.at("app.log"), bench.at("new")).expect("copied");
    bench.rename("new", "app.log");
    bench.append("app.log", text(&numbered(100..101)));
    for _ in 0..3 {
        bench.read();
    }
    assert_eq!(bench.messages(), numbered(0..101));
}

#[test]
fn a_reused_inode_is_another_file() {
    let mut bench = Bench::of_log();
    bench.append("app.log", text(&numbered(0..3)));
    bench.read();
    bench.restart();
    // As if it were another file in the same place of the file system.
    fs::write(bench.at("app.log"), text(&numbered(10..14))).expect("written");
    bench.read();
    assert_eq!(bench.messages(), [numbered(0..3), numbered(10..14)].concat());
}

#[test]
fn a_position_is_deleted_long_after_its_file() {
    let mut bench = Bench::of_log();
    bench.append("app.log", text(&numbered(0..3)));
    bench.read();
    fs::remove_file(bench.at("app.log")).expect("deleted");
    bench.read_after(Duration::from_secs(2));
    bench.read_after(Duration::from_secs(10));
    assert_eq!(bench.positions.len(), 2);
    for tracked in bench.files.tracked.values_mut() {
        tracked.presence = Presence::Gone(1);
    }
    bench.read();
    assert_eq!(bench.positions.len(), 1, "only the globs are left");
}

/// A log that is written and rotated at random.
struct Log {
    random: Rng,
    /// The times of files: later ones are later, however coarse the clock of the file system is.
    clock: SystemTime,
    lines: u32,
    files: u32,
}

impl Log {
    fn write(&mut self, bench: &Bench) {
        for _ in 0..self.random.u32(1..30) {
            let padding = "x".repeat(self.random.usize(..120));
            bench.append("app.log", format!("{} {padding}\n", self.lines));
            self.lines += 1;
        }
        self.touch(bench, "app.log");
    }

    fn touch(&mut self, bench: &Bench, name: &str) {
        self.clock += Duration::from_millis(1);
        set_modified(bench, name, self.clock);
    }

    fn rotate(&mut self, bench: &Bench) {
        if !bench.at("app.log").exists() {
            return;
        }
        self.files += 1;
        let old = format!("app.log.{:04}", self.files);
        if self.random.bool() {
            bench.rename("app.log", &old);
        } else {
            fs::copy(bench.at("app.log"), bench.at(&old)).expect("copied");
            self.touch(bench, &old);
            fs::write(bench.at("app.log"), "").expect("truncated");
            self.touch(bench, "app.log");
        }
    }

    fn compress(&mut self, bench: &Bench) {
        let name = format!("app.log.{:04}", self.random.u32(..=self.files));
        let Ok(content) = fs::read(bench.at(&name)) else { return };
        let modified = fs::metadata(bench.at(&name)).and_then(|metadata| metadata.modified()).expect("a time");
        let compressed = format!("{name}.gz");
        fs::write(bench.at(&compressed), gzip(&content)).expect("written");
        set_modified(bench, &compressed, modified);
        fs::remove_file(bench.at(&name)).expect("deleted");
    }
}

#[test]
fn whatever_is_done_to_a_log_its_lines_are_stored_once_and_in_order() {
    let seeds = std::env::var("WEIR_ROTATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(50);
    let mut failed = Vec::new();
    for seed in 0..seeds {
        let mut bench = Bench::of_log();
        let mut log = Log { random: Rng::with_seed(seed), clock: SystemTime::now(), lines: 0, files: 0 };
        for _ in 0..150 {
            match log.random.u32(..12) {
                0..4 => log.write(&bench),
                4 => log.rotate(&bench),
                5 if seed % 2 == 0 => log.compress(&bench),
                5 | 6 => bench.restart(),
                7 => {
                    bench.step(false);
                    bench.restart();
                }
                _ => {
                    bench.now += Duration::from_millis(log.random.u64(..1_500));
                    bench.step(true);
                }
            }
        }
        for _ in 0..20 {
            bench.read_after(Duration::from_secs(2));
        }
        let number = |message: String| message.split(' ').next().and_then(|number| number.parse().ok());
        let stored: Vec<Option<u32>> = bench.messages().into_iter().map(number).collect();
        let due: Vec<Option<u32>> = (0..log.lines).map(Some).collect();
        if stored != due {
            let at = stored.iter().zip(&due).take_while(|(stored, due)| stored == due).count();
            let near = &stored[at.saturating_sub(3)..stored.len().min(at + 9)];
            failed.push(format!("seed {seed}: {} of {} lines, at {at} {near:?}", stored.len(), due.len()));
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}
