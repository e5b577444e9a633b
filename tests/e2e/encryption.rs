//! Encryption on disk: no record is readable in the data folder, commands need the key, and without it nothing changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::clients::{post, run};
use super::router::{Home, Router, eventually, weir};

const MARKER: &str = "hunter2 was here";

/// A filter that holds records back, and a sink outside the data folder.
const PLAIN: &str = r#"
[journal]
keep = "1h"
[[filter]]
name = "join"
module = "bundled:join"
options = { timeout = 60 }
[sink.out]
type = "file"
path = "out.jsonl"
[sink.again]
type = "file"
path = "again.jsonl"
standby = true
"#;

fn with_key(name: &str, previous: &str) -> String {
    format!("[encryption]\nkey = {{ file = \"{name}\" }}\nprevious_keys = [{previous}]\n{PLAIN}")
}

/// A home with two keys, and their ids.
fn home() -> (Home, [String; 2]) {
    let home = Home::with(&with_key("one.key", ""));
    let ids = ["one.key", "two.key"].map(|name| {
        let made = run(weir().args(["journal", "new-key"]).arg(home.path(name)));
        let said = String::from_utf8(made.stdout).unwrap();
        let (_, after) = said.split_once("a new key, ").expect("its id");
        after.split(';').next().unwrap().to_owned()
    });
    (home, ids)
}

fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = weir();
    command.current_dir(home.path("")).args(arguments).args(["--config", "weir.toml"]);
    command
}

fn stdout(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap()
}

/// Sends one record that is stored, one that is held back, and one that can't be read, each with the marker.
fn send(home: &Home, router: &Router) {
    let stored = format!(r#"{{"message":"{MARKER}, stored","source":"shop"}}"#);
    let held = format!(r#"{{"message":"Traceback (most recent call last):\n  {MARKER}, held","source":"app"}}"#);
    assert_eq!(post(router, &format!(r#"[{stored}, "{MARKER}, unreadable"]"#)).json()["quarantined"], 1);
    assert_eq!(post(router, &held).status, 200);
    eventually("it is stored", || {
        std::fs::read_to_string(home.path("out.jsonl")).is_ok_and(|all| all.contains("stored"))
    });
}

fn data(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let data = home.path("weir-data");
    home.files().into_iter().filter(|(path, _)| path.starts_with(&data)).collect()
}

/// The files of the data folder that contain the marker.
fn with_marker(home: &Home) -> Vec<PathBuf> {
    let has = |bytes: &[u8]| bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes());
    data(home).into_iter().filter(|(_, bytes)| has(bytes)).map(|(path, _)| path).collect()
}

#[test]
fn no_file_of_journal_or_quarantine_contains_a_record_and_all_commands_read_them_with_the_key() {
    let (home, [one, two]) = home();
    let router = home.start();
    send(&home, &router);
    assert_eq!(with_marker(&home), Vec::<PathBuf>::new());
    router.kill();
    assert_eq!(with_marker(&home), Vec::<PathBuf>::new(), "killed");

    // The held record is there after a start with another key.
    home.configure(&with_key("two.key", "{ file = \"one.key\" }"));
    let router = home.start();
    assert_eq!(post(&router, r#"{"message":"later","source":"shop"}"#).status, 200);
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    let out = std::fs::read_to_string(home.path("out.jsonl")).unwrap();
    assert_eq!(out.matches("stored").count(), 1, "{out}");
    assert_eq!(out.matches("held").count(), 1, "{out}");
    assert_eq!(with_marker(&home), Vec::<PathBuf>::new(), "stopped");

    let shown = stdout(run(&mut command(&home, &["journal", "inspect"])));
    assert!(shown.contains(&one) && shown.contains(&two) && !shown.contains("damaged"), "{shown}");
    let listed = stdout(run(&mut command(&home, &["quarantine", "list", "--records"])));
    assert!(listed.contains(&format!("{MARKER}, unreadable")), "{listed}");
    run(&mut command(&home, &["journal", "replay", "--sink", "again", "--from", "1h"]));
    let salvaged = stdout(run(&mut command(&home, &["journal", "salvage"])));
    assert!(salvaged.contains("nothing to do"), "{salvaged}");
    let deleted = stdout(run(&mut command(&home, &["quarantine", "delete", "--all"])));
    assert!(deleted.starts_with("1 entry deleted"), "{deleted}");
}

#[test]
fn with_a_wrong_or_missing_key_weir_says_which_it_needs_and_changes_nothing() {
    let (home, [one, two]) = home();
    let router = home.start();
    send(&home, &router);
    router.kill();
    let before = data(&home);
    for (configuration, given) in [(with_key("two.key", ""), two.as_str()), (PLAIN.to_owned(), "no key is configured")]
    {
        home.configure(&configuration);
        let all: [&[&str]; 6] = [
            &["run", "--listen", "127.0.0.1:0"],
            &["journal", "inspect"],
            &["journal", "salvage"],
            &["journal", "replay", "--sink", "again", "--from", "1h"],
            &["quarantine", "list"],
            &["quarantine", "delete", "--all"],
        ];
        for arguments in all {
            let ran = command(&home, arguments).output().unwrap();
            let said = String::from_utf8(ran.stderr).unwrap();
            assert!(!ran.status.success(), "{arguments:?}");
            assert!(said.contains(&format!("key {one}")) && said.contains(given), "{arguments:?}: {said}");
            assert!(data(&home) == before, "{arguments:?} changed something");
        }
    }
    home.configure(&with_key("one.key", ""));
    std::fs::rename(home.path("one.key"), home.path("moved.key")).unwrap();
    let ran = command(&home, &["run", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert!(String::from_utf8(ran.stderr).unwrap().contains("one.key"));
    assert!(data(&home) == before, "nothing was changed");
    std::fs::rename(home.path("moved.key"), home.path("one.key")).unwrap();
    let (status, said) = home.start().stop();
    assert!(status.success(), "{said}");
}

#[test]
fn a_journal_without_encryption_stays_readable_when_a_key_is_given() {
    let (home, [one, _]) = home();
    home.configure(PLAIN);
    let router = home.start();
    send(&home, &router);
    router.kill();
    assert!(!with_marker(&home).is_empty(), "the marker can be found without encryption");
    home.configure(&with_key("one.key", ""));
    let router = home.start();
    assert_eq!(post(&router, r#"{"message":"new secret","source":"shop"}"#).status, 200);
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    let out = std::fs::read_to_string(home.path("out.jsonl")).unwrap();
    assert!(out.contains("held") && out.contains("new secret"), "{out}");
    let shown = stdout(run(&mut command(&home, &["journal", "inspect"])));
    assert!(shown.contains("  none ") && shown.contains(&one), "{shown}");
    let is_new = |bytes: &[u8]| bytes.windows(10).any(|window| window == b"new secret");
    assert!(!data(&home).values().any(|bytes| is_new(bytes)));
}
