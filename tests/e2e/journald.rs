//! The journal of systemd, through the real `journalctl`. `systemd-journal-remote` writes the journal, as it does for
//! entries of other machines.

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::clients::{curl, sqlite};
use super::router::{Home, eventually};

const JOURNAL_REMOTE: &str = "/lib/systemd/systemd-journal-remote";

/// Entries in the export format.
struct Writer<'h> {
    home: &'h Home,
    next_us: u64,
}

impl Writer<'_> {
    fn new(home: &Home) -> Writer<'_> {
        std::fs::create_dir_all(home.path("journal")).unwrap();
        // Before now, so that no entry is of the future.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - Duration::from_secs(3600);
        Writer { home, next_us: u64::try_from(now.as_micros()).unwrap() }
    }

    fn entry(&mut self, fields: &[(&str, &[u8])]) -> Vec<u8> {
        self.next_us += 1_000;
        let boot = "0123456789abcdef".repeat(2);
        // Without the time since the boot, journalctl takes entries of different files for the same.
        let times = format!("__REALTIME_TIMESTAMP={0}\n__MONOTONIC_TIMESTAMP={0}\n", self.next_us);
        let mut entry = format!("{times}_BOOT_ID={boot}\n").into_bytes();
        for (name, value) in fields {
            entry.extend_from_slice(name.as_bytes());
            entry.push(b'\n');
            entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
            entry.extend_from_slice(value);
            entry.push(b'\n');
        }
        entry.push(b'\n');
        entry
    }

    /// Appends entries to a file of the journal.
    fn append(&self, file: &str, entries: &[Vec<u8>]) {
        let path = self.home.path(&format!("journal/{file}.journal"));
        let mut remote = Command::new(JOURNAL_REMOTE)
            .arg(format!("--output={}", path.display()))
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("systemd-journal-remote is installed by tests/run");
        remote.stdin.take().unwrap().write_all(&entries.concat()).unwrap();
        let output = remote.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn append_messages(&mut self, file: &str, unit: &str, messages: impl IntoIterator<Item = String>) {
        let entry = |message: String| {
            self.entry(&[("MESSAGE", message.as_bytes()), ("PRIORITY", b"6"), ("_SYSTEMD_UNIT", unit.as_bytes())])
        };
        let entries: Vec<_> = messages.into_iter().map(entry).collect();
        self.append(file, &entries);
    }
}

fn configuration(home: &Home, more: &str) -> String {
    // Whole, so that the processes that read it are known by it.
    let folder = home.path("journal").display().to_string();
    format!("[sink.db]\ntype = \"sqlite\"\n[source.system]\ntype = \"journald\"\ndirectory = \"{folder}\"\n{more}\n")
}

fn rows(home: &Home, columns: &str) -> Vec<String> {
    let database = home.path("weir-data/logs.db");
    if !database.exists() {
        return Vec::new();
    }
    // The file is there before its table.
    if sqlite(&database, "select count(*) from sqlite_master where name = 'logs'") == "0" {
        return Vec::new();
    }
    sqlite(&database, &format!("select {columns} from logs order by rowid")).lines().map(str::to_owned).collect()
}

#[test]
fn entries_become_records_with_their_time_level_source_and_fields() {
    let home = Home::new();
    home.configure(&configuration(&home, "since = \"2000-01-01\""));
    let mut writer = Writer::new(&home);
    let first = writer.entry(&[
        ("MESSAGE", b"failed: \xff\nsecond line"),
        ("PRIORITY", b"3"),
        ("_SYSTEMD_UNIT", b"nginx.service"),
        ("SYSLOG_IDENTIFIER", b"nginx"),
        ("_PID", b"4711"),
        ("_HOSTNAME", b"web1"),
        ("_CAP_EFFECTIVE", b"0"),
        ("CODE_FILE", b"main.c"),
        ("REQUEST", b"a\xfe"),
    ]);
    let at_us = writer.next_us;
    let json = writer.entry(&[
        ("MESSAGE", br#"{"level":"debug","msg":"from json","n":1}"#),
        ("PRIORITY", b"6"),
        ("SYSLOG_IDENTIFIER", b"tool"),
    ]);
    writer.append("one", &[first, json]);
    let router = home.start();
    eventually("both are stored", || rows(&home, "1").len() == 2);
    let path = "/api/tail?follow=false&backlog=10";
    let text = curl(&router, path, &[], b"").body;
    let records: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let find = |message: &str| records.iter().find(|r| r["message"].as_str().unwrap().contains(message)).unwrap();
    let nginx = find("failed");
    assert_eq!((&nginx["level"], &nginx["source"]), (&json!("ERROR"), &json!("nginx")));
    assert_eq!(nginx["message"], "failed: \u{fffd}\nsecond line");
    assert_eq!(
        (&nginx["unit"], &nginx["pid"], &nginx["host"]),
        (&json!("nginx.service"), &json!(4711), &json!("web1"))
    );
    assert_eq!(nginx["fields"]["code_file"], "main.c");
    assert!(nginx["fields"].get("request").is_some() && nginx["fields"].get("_cap_effective").is_none(), "{nginx}");
    let second = seconds_of(nginx["timestamp"].as_str().unwrap());
    assert_eq!(second, at_us / 1_000_000);
    let tool = find("from json");
    assert_eq!((&tool["level"], &tool["source"], &tool["n"]), (&json!("DEBUG"), &json!("tool"), &json!(1)));
    assert!(router.stop().0.success());
}

/// The seconds since 1970 of a time in a record.
fn seconds_of(time: &str) -> u64 {
    let output = Command::new("date").args(["-u", "-d", time, "+%s"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn every_entry_arrives_once_over_kills_and_new_files_and_only_new_ones_without_since() {
    const ROUNDS: usize = 20;
    let home = Home::new();
    home.configure(&configuration(&home, ""));
    let mut writer = Writer::new(&home);
    writer.append_messages("old", "app.service", (0..50).map(|number| format!("old {number}")));
    let router = home.start();
    // Nothing is stored for what was there; its end is known once this source runs.
    eventually("journalctl follows", || followers(&home) == 1);
    let mut router = Some(router);
    let mut due = Vec::new();
    for round in 0..ROUNDS {
        let messages: Vec<_> = (0..40).map(|number| format!("{round} {number}")).collect();
        due.extend(messages.clone());
        // A file is rotated now and then; entries are written with and without a router.
        let file = format!("file{}", round / 7);
        let (now, later) = messages.split_at(20);
        writer.append_messages(&file, "app.service", now.to_vec());
        std::thread::sleep(Duration::from_millis((round * 37 % 150) as u64));
        router.take().expect("one runs").kill();
        writer.append_messages(&file, "app.service", later.to_vec());
        router = Some(home.start());
    }
    eventually("everything is stored", || rows(&home, "1").len() >= due.len());
    let (status, said) = router.expect("one runs").stop();
    assert!(status.success(), "{said}");
    let stored = rows(&home, "message");
    let mut times = HashMap::<&str, usize>::new();
    stored.iter().for_each(|message| *times.entry(message).or_default() += 1);
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(stored, due);
    // Those of killed routers end at their next write.
    eventually("no journalctl is left", || followers(&home) == 0);
}

/// How many `journalctl` follow this journal.
fn followers(home: &Home) -> usize {
    let folder = home.path("journal").display().to_string();
    let mut found = 0;
    for entry in std::fs::read_dir("/proc").unwrap() {
        let line = std::fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        found += usize::from(line.starts_with("journalctl") && line.contains("--follow") && line.contains(&folder));
    }
    found
}

#[test]
fn units_are_selected_and_an_error_of_journalctl_is_reported() {
    let home = Home::new();
    home.configure(&configuration(&home, "since = \"2000-01-01\"\nunits = [\"web.service\", \"db*\"]"));
    let mut writer = Writer::new(&home);
    for unit in ["web.service", "mail.service", "db1.service"] {
        writer.append_messages("all", unit, [unit.to_owned()]);
    }
    let router = home.start();
    eventually("two are stored", || rows(&home, "1").len() == 2);
    assert_eq!(rows(&home, "source"), ["web", "db1"]);
    home.configure(&configuration(&home, "since = \"2000-01-01\"").replace("journal\"\nsince", "absent\"\nsince"));
    eventually("the error is in /health", || {
        let health = curl(&router, "/health", &[], b"").body;
        health.contains("source `system`: `journalctl` ended with exit code 1")
    });
    assert!(router.stop().0.success());
}
