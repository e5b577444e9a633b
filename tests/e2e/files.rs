//! Files have one sink, a data folder one place: sinks that meet, sinks with other names, copies of folders.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::clients::{Sender, curl, post, run, sqlite};
use super::router::{Home, Router, eventually, weir};

/// Kills in each run.
const ROUNDS: u32 = 5;

/// Records acknowledged in each round before the blow, at least.
const LOAD: usize = 40;

/// A file named by the source, and one that a sender so names.
const MEETING: &str = r#"
[sink.all]
type = "file"
path = "logs/{source}.jsonl"
[sink.audit]
type = "file"
path = "logs/sender.jsonl"
rotate_size = "64KiB"
[sink.one]
type = "sqlite"
[sink.two]
type = "sqlite"
min_level = "INFO"
"#;

fn ids(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let id = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["id"].as_str().map(String::from);
    text.lines().filter_map(id).collect()
}

/// The ids in a file and those rotated away from it.
fn ids_of(folder: &Path, name: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of =
        |path: &std::path::PathBuf| path.file_name().is_some_and(|found| found.to_string_lossy().starts_with(name));
    entries.filter(of).flat_map(|path| ids(&path)).collect()
}

#[test]
fn two_sinks_that_meet_in_one_place_have_everything_once_through_kills() {
    let home = Home::with(MEETING);
    let mut acknowledged = HashSet::new();
    for round in 0..ROUNDS {
        let router = home.start();
        let sender = Sender::start(&router.url, &format!("r{round}"), home.path("acknowledged"));
        let before = acknowledged.len();
        eventually("a round's load is acknowledged", || sender.acknowledged().len() > before + LOAD);
        std::thread::sleep(std::time::Duration::from_millis(u64::from(round * 137 % 400)));
        router.kill();
        acknowledged.extend(sender.stop());
    }
    let (_, said) = home.start().stop();
    assert!(said.contains("flushed and delivered"), "{said}");
    let logs = home.path("logs");
    let rows = sqlite(&home.path("weir-data/logs.db"), "select json_extract(fields, '$.id') from logs");
    for (place, held) in [
        ("its own", ids_of(&logs, "sender.jsonl")),
        ("the neighbour", ids_of(&logs, "sender.all.jsonl")),
        ("the database", rows.lines().map(String::from).collect()),
    ] {
        let distinct: HashSet<_> = held.iter().cloned().collect();
        assert_eq!(held.len(), distinct.len(), "{place} has something twice");
        let lost: Vec<_> = acknowledged.difference(&distinct).take(5).collect();
        assert!(lost.is_empty(), "{place} lost {lost:?} of {}", acknowledged.len());
    }
}

fn refused(home: &Home, arguments: &[&str]) -> String {
    let mut command = weir();
    command.current_dir(home.path("")).args(arguments);
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn sinks_that_meet_for_certain_are_refused_with_what_to_do() {
    let sink = |name: &str, path: &str| format!("[sink.{name}]\ntype = 'file'\npath = '{path}'\n");
    let home = Home::with(&[sink("a", "logs/out.log"), sink("b", "./logs/out.log")].concat());
    let said = refused(&home, &["validate", "--config", "weir.toml"]);
    assert!(said.contains("sinks `a` and `b` both write") && said.contains("weir.toml:6:8"), "{said}");
    // What only a look at the disk can tell is told at the start.
    std::fs::create_dir(home.path("logs")).unwrap();
    std::os::unix::fs::symlink("logs", home.path("link")).unwrap();
    home.configure(&[sink("a", "logs/out.log"), sink("b", "link/out.log")].concat());
    run(weir().current_dir(home.path("")).args(["validate", "--config", "weir.toml"]));
    let said = refused(&home, &["run", "--config", "weir.toml", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("both write") && said.contains("another `path`"), "{said}");
    home.configure(&sink("a", "/dev/stdout"));
    let said = refused(&home, &["validate", "--config", "weir.toml"]);
    assert!(said.contains("type = \"console\""), "{said}");
}

#[test]
fn a_renamed_sink_repeats_nothing_while_running_and_after_a_kill() {
    let configuration =
        |name: &str| format!("[sink.{name}]\ntype = 'file'\npath = 'out.jsonl'\n[sink.{name}-db]\ntype = 'sqlite'\n");
    let home = Home::with(&configuration("one"));
    let mut router = home.start();
    let mut sent = 0;
    let mut send = |router: &Router| {
        for _ in 0..50 {
            assert_eq!(post(router, &format!(r#"{{"id":"{sent}","message":"m"}}"#)).status, 200);
            sent += 1;
        }
        sent
    };
    let count = || sqlite(&home.path("weir-data/logs.db"), "select count(*) from logs");
    let all = send(&router);
    eventually("delivered", || ids(&home.path("out.jsonl")).len() == all);
    home.configure(&configuration("two"));
    router.wait_for_line("configuration reloaded");
    let all = send(&router);
    eventually("the new name goes on", || ids(&home.path("out.jsonl")).len() == all);
    router.kill();
    home.configure(&configuration("three"));
    let router = home.start();
    let all = send(&router);
    router.stop();
    let expected: Vec<String> = (0..all).map(|n| n.to_string()).collect();
    assert_eq!(ids(&home.path("out.jsonl")), expected);
    assert_eq!(count(), all.to_string());
}

#[test]
fn a_copy_of_a_data_folder_asks_and_never_touches_the_files_of_the_original() {
    let home = Home::with("[sink.out]\ntype = 'file'\npath = 'out.jsonl'\nrotate_size = '2KiB'\nrotate_keep = 3\n");
    let send = |router: &Router, range: std::ops::Range<u32>| {
        range.for_each(|n| assert_eq!(post(router, &format!(r#"{{"id":"{n}","message":"m"}}"#)).status, 200));
    };
    let names = || {
        let mut found: Vec<_> =
            home.files().into_iter().filter(|(path, _)| path.to_string_lossy().contains("out.jsonl")).collect();
        found.sort();
        found
    };
    let router = home.start();
    send(&router, 0..20);
    eventually("delivered", || ids_of(&home.path(""), "out.jsonl").len() == 20);
    let copied = Command::new("cp").args(["-r", "weir-data", "copy"]).current_dir(home.path("")).status().unwrap();
    assert!(copied.success());
    send(&router, 20..50);
    router.stop();
    let before = names();
    let elsewhere = home.path("elsewhere.toml");
    std::fs::write(
        &elsewhere,
        "[sink.out]\ntype = 'file'\npath = 'elsewhere/out.jsonl'\nrotate_keep = 1\ncompress = true\n",
    )
    .unwrap();
    let start = ["run", "--config", "elsewhere.toml", "--data", "copy", "--listen", "127.0.0.1:0"];
    let said = refused(&home, &start);
    assert!(said.contains("is a copy of") && said.contains("--adopt") && said.contains("still there"), "{said}");
    let replay = ["journal", "replay", "--config", "elsewhere.toml", "--data", "copy", "--sink", "out", "--from", "1"];
    assert!(refused(&home, &replay).contains("is a copy of"));
    assert!(names() == before, "nothing was touched");
    let adopted = |more: &[&str]| {
        let mut command = weir();
        command.current_dir(home.path("")).args(start).args(more);
        Router::start(command)
    };
    let router = adopted(&["--adopt"]);
    send(&router, 100..103);
    router.stop();
    // It has its place now.
    let router = adopted(&[]);
    send(&router, 103..105);
    router.stop();
    let there = ids_of(&home.path("elsewhere"), "out.jsonl");
    assert!((100..105).all(|n| there.contains(&n.to_string())), "{there:?}");
    let untouched = |files: Vec<(std::path::PathBuf, Vec<u8>)>| {
        files.into_iter().filter(|(path, _)| !path.starts_with(home.path("elsewhere"))).collect::<Vec<_>>()
    };
    assert!(untouched(names()) == before, "the original's files are as they were");
    let router = home.start();
    send(&router, 50..51);
    router.stop();
    let held = ids_of(&home.path(""), "out.jsonl");
    assert_eq!(held.iter().filter(|id| *id == "50").count(), 1, "{held:?}");
}

#[test]
fn a_pipe_in_a_files_place_is_an_error_that_is_seen_and_holds_up_nobody() {
    let home =
        Home::with("[sink.pipe]\ntype = 'file'\npath = 'pipe.log'\n[sink.out]\ntype = 'file'\npath = 'out.jsonl'\n");
    run(Command::new("mkfifo").arg(home.path("pipe.log")));
    let router = home.start();
    assert_eq!(post(&router, r#"{"id":"1","message":"m"}"#).status, 200);
    eventually("the other has it", || ids(&home.path("out.jsonl")) == ["1"]);
    let health = || curl(&router, "/health?verbose", &[], b"").json();
    let of = |health: &Value| {
        health["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == "pipe").unwrap().clone()
    };
    eventually("it is said", || of(&health())["state"] == "retrying");
    let error = of(&health())["last_error"].to_string();
    assert!(error.contains("a FIFO"), "{error}");
    router.stop();
}
