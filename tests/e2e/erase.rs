//! Erasing a person's records: gone from every file and database, everything else there exactly once, whatever happens
//! meanwhile.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::clients::{curl, post, sqlite};
use super::hostile::guests;
use super::router::{Home, Router, eventually, module, weir};
use super::servers::intake::{Intake, Kind};
use super::servers::postgres::Postgres;

/// In every record of the person who is erased, and in no other.
const PLANTED: &str = "planted-a2f81c";

/// Selects the person.
const WHERE: &str = "context.user_id=42";

/// A database, plain, rotated and compressed files, a filter that fails on some records.
const STORES: &str = r#"
[[filter]]
name = "trap"
module = "trap.wasm"
[sink.store]
type = "sqlite"
[sink.out]
type = "file"
path = "logs/out.jsonl"
rotate_size = "3KiB"
[sink.packed]
type = "file"
path = "packed/{source}.jsonl"
rotate_size = "2KiB"
compress = true
"#;

fn home_with(more: &str) -> Home {
    let home = Home::with(&format!("{STORES}{more}"));
    home.put_filter("trap", &guests::module(guests::TRAP));
    home
}

/// The number of a record belongs to one of three people. 421 and 4 begin like 42.
fn record(n: u32, text: &str) -> Value {
    let user = [7, 42, 421][n as usize % 3];
    let planted = if user == 42 { PLANTED } else { "of somebody else" };
    json!({ "id": n, "source": "shop", "message": format!("{planted} {text}"), "context": { "user_id": user } })
}

fn is_kept(n: &u32) -> bool {
    n % 3 != 1
}

fn send(router: &Router, numbers: std::ops::Range<u32>) {
    for first in numbers.clone().step_by(5) {
        let records: Vec<Value> =
            (first..(first + 5).min(numbers.end)).map(|n| record(n, "bought something")).collect();
        assert_eq!(post(router, &json!(records).to_string()).status, 200);
    }
}

fn address(router: &Router) -> String {
    router.url.trim_start_matches("http://").to_owned()
}

fn erase(home: &Home, arguments: &[&str]) -> Output {
    let mut command = weir();
    command.current_dir(home.path("")).args(["erase", "--config", "weir.toml", "--where", WHERE]).args(arguments);
    command.stdin(Stdio::null()).output().unwrap()
}

/// The lines that it prints, by place.
fn lines(output: &Output) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines.map(|(place, line)| (place.to_owned(), line.to_owned())).collect()
}

/// The content of the files below a folder, unpacked. A file that is renamed or removed meanwhile is left out.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let is_packed = path.extension().is_some_and(|end| end == "zst");
            found.insert(path, if is_packed { unpacked(bytes) } else { bytes });
        }
    }
    found
}

fn unpacked(bytes: Vec<u8>) -> Vec<u8> {
    let mut command = Command::new("zstd");
    let mut zstd = command.arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("zstd is installed");
    let mut input = zstd.stdin.take().expect("piped");
    let writing = std::thread::spawn(move || input.write_all(&bytes));
    let output = zstd.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// The files that contain what was planted, compressed ones included.
fn planted(home: &Home) -> Vec<String> {
    let has = |bytes: &[u8]| bytes.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes());
    let found = files(&home.path("")).into_iter().filter(|(_, bytes)| has(bytes));
    found.map(|(path, _)| path.display().to_string()).collect()
}

/// The numbers in all files of a folder, sorted.
fn in_files(home: &Home, folder: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    let files = files(&home.path(folder));
    for (path, bytes) in &files {
        // A kill while a file was compressed leaves both, and the next start removes one.
        if files.contains_key(&path.with_added_extension("zst")) {
            continue;
        }
        let text = std::str::from_utf8(bytes).expect("UTF-8");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("whole lines"));
        ids.extend(lines.filter_map(|line| line["id"].as_u64()).map(|id| id as u32));
    }
    ids.sort_unstable();
    ids
}

fn in_database(database: &Path) -> Vec<u32> {
    let sql = "select json_extract(fields, '$.id') from logs where source = 'shop' order by 1";
    sqlite(database, sql).lines().map(|id| id.parse().expect("a number")).collect()
}

fn kept(numbers: std::ops::Range<u32>) -> Vec<u32> {
    numbers.filter(is_kept).collect()
}

fn count_of_packed(home: &Home) -> usize {
    files(&home.path("packed")).keys().filter(|path| path.extension().is_some_and(|end| end == "zst")).count()
}

#[test]
fn a_person_is_erased_everywhere_while_the_router_runs_and_nobody_else() {
    let server = Postgres::start();
    let mut intake = Intake::start(Kind::Http);
    let home = home_with(&format!(
        "[sink.team]\ntype = \"postgres\"\nurl = \"{}\"\nlinger = \"0s\"\n[sink.away]\ntype = \"http\"\nurl = \"{}\"\nlinger = \"0s\"\n",
        server.url(),
        intake.url()
    ));
    intake.stop();
    let router = home.start();
    let trapped = [record(1, guests::MARKER), record(2, guests::MARKER)];
    assert_eq!(post(&router, &json!(trapped).to_string()).json()["quarantined"], 2);
    send(&router, 0..150);
    let database = home.path("weir-data/logs.db");
    let in_postgres = || {
        server
            .ask("SELECT extra_data->>'id' FROM weir_logs WHERE logger_name = 'shop' ORDER BY (extra_data->>'id')::int")
    };
    let numbers = |text: &str| text.lines().map(|id| id.parse().expect("a number")).collect::<Vec<u32>>();
    let all: Vec<u32> = (0..150).collect();
    let is_stored = || {
        in_database(&database) == all
            && in_files(&home, "logs") == all
            && in_files(&home, "packed") == all
            && numbers(&in_postgres()) == all
    };
    eventually("all are stored", || database.exists() && is_stored());
    eventually("files are compressed", || count_of_packed(&home) > 2);
    // Summaries for searches have its words.
    assert_eq!(
        curl(&router, "/api/logs?sink=packed&query=bought&limit=1000", &[], b"").json()["logs"]
            .as_array()
            .unwrap()
            .len(),
        150
    );

    let counted = erase(&home, &["--dry-run", "--address", &address(&router)]);
    assert!(counted.status.success(), "{counted:?}");
    let would = lines(&counted);
    for (place, line) in [
        ("sink `store`", "would erase 50 records"),
        ("sink `out`", "would erase 50 records"),
        ("sink `packed`", "would erase 50 records"),
        ("sink `team`", "would erase 50 records"),
        ("quarantine", "would erase 1 record"),
    ] {
        assert_eq!(would[place], line, "{would:?}");
    }
    assert!(would["journal"].starts_with("would erase 50 records in "), "{would:?}");
    assert!(would["sink `away`"].starts_with("out of reach: a sink of type http"), "{would:?}");
    assert!(is_stored(), "a dry run changes nothing");

    let erased = erase(&home, &["--yes", "--address", &address(&router)]);
    assert!(erased.status.success(), "{erased:?}");
    assert_eq!(lines(&erased)["sink `packed`"], "erased 50 records");
    assert_eq!(planted(&home), Vec::<String>::new());
    assert_eq!(in_database(&database), kept(0..150));
    assert_eq!(in_files(&home, "logs"), kept(0..150));
    eventually("compressed files, too", || in_files(&home, "packed") == kept(0..150));
    assert_eq!(numbers(&in_postgres()), kept(0..150));
    let live = curl(&router, "/api/tail?follow=false&backlog=1000", &[], b"").body;
    assert!(!live.contains(PLANTED) && live.contains("of somebody else"), "{live}");
    let search = |text: &str| {
        let path = format!("/api/logs?sink=packed&query={text}&limit=1000");
        curl(&router, &path, &[], b"").json()["logs"].as_array().map(Vec::len)
    };
    assert_eq!((search(PLANTED), search("bought")), (Some(0), Some(100)));

    // It goes on, and the sink that was down gets everything but what was erased.
    send(&router, 150..165);
    intake.again();
    let away = || {
        let mut ids: Vec<u32> = Vec::new();
        ids.extend(intake.records().iter().filter_map(|one| one["id"].as_u64()).map(|id| id as u32));
        ids.sort_unstable();
        ids
    };
    let expected = [kept(0..150), (150..165).collect()].concat();
    eventually("the sink that was down has the rest", || away().len() >= expected.len());
    assert_eq!(away(), expected);
    eventually("the others go on", || in_database(&database) == expected && in_files(&home, "packed") == expected);
    assert_eq!(in_files(&home, "logs"), expected);

    let sql = "select message from logs where source = 'weir.audit' order by id";
    eventually("both are recorded", || sqlite(&database, sql).lines().count() == 2);
    let audit = sqlite(
        &database,
        "select json_extract(fields, '$.details') from logs where source = 'weir.audit' order by id desc limit 1",
    );
    let audit: Value = serde_json::from_str(&audit).expect("JSON");
    assert_eq!((&audit["query"], &audit["dry_run"], &audit["complete"]), (&json!(WHERE), &json!(false), &json!(true)));
    assert!(
        audit["places"]
            .as_array()
            .unwrap()
            .iter()
            .any(|place| place["place"] == "sink `store`" && place["erased"] == 50)
    );

    // A restart resurrects nothing.
    router.stop();
    let router = home.start();
    assert_eq!(in_database(&database), expected);
    let again = erase(&home, &["--yes", "--address", &address(&router)]);
    assert!(again.status.success() && lines(&again)["sink `store`"] == "erased 5 records", "{again:?}");
    assert_eq!(planted(&home), Vec::<String>::new());
    router.stop();
}

#[test]
fn an_erasure_killed_anywhere_is_finished_by_the_next_and_loses_nothing() {
    let home = home_with("");
    let database = home.path("weir-data/logs.db");
    let mut sent = 0;
    for round in 0..8_u32 {
        let router = home.start();
        send(&router, sent..sent + 60);
        sent += 60;
        let mut command = weir();
        command.current_dir(home.path("")).args(["erase", "--config", "weir.toml", "--yes", "--where", WHERE]);
        command.args(["--address", &address(&router)]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut erasing = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(round * 7)));
        router.kill();
        erasing.wait().unwrap();
    }
    let router = home.start();
    let erased = erase(&home, &["--yes", "--address", &address(&router)]);
    assert!(erased.status.success(), "{erased:?}");
    let (_, said) = router.stop();
    assert!(said.contains("flushed and delivered"), "{said}");
    assert_eq!(planted(&home), Vec::<String>::new());
    for (place, found) in [
        ("the database", in_database(&database)),
        ("files", in_files(&home, "logs")),
        ("packed", in_files(&home, "packed")),
    ] {
        assert_eq!(found, kept(0..sent), "{place}");
    }
}

#[test]
fn a_person_is_erased_from_the_folder_of_a_stopped_router() {
    let home = home_with("");
    let router = home.start();
    let trapped = json!([record(1, guests::MARKER), record(2, guests::MARKER)]);
    assert_eq!(post(&router, &trapped.to_string()).json()["quarantined"], 2);
    send(&router, 0..90);
    let database = home.path("weir-data/logs.db");
    eventually("all are stored", || database.exists() && in_database(&database).len() == 90);
    // Killed, so files have lines beyond the last position.
    router.kill();

    let refused = erase(&home, &[]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--yes"), "{refused:?}");
    let mut command = weir();
    command.current_dir(home.path("")).args([
        "erase",
        "--config",
        "weir.toml",
        "--yes",
        "--where",
        "-context.user_id=42",
    ]);
    let refused = command.stdin(Stdio::null()).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--all"), "{refused:?}");
    assert_eq!(lines(&erase(&home, &["--dry-run"]))["sink `store`"], "would erase 30 records");
    assert_eq!(in_database(&database).len(), 90, "a dry run changes nothing");

    let erased = erase(&home, &["--yes"]);
    assert!(erased.status.success(), "{erased:?}");
    assert_eq!(planted(&home), Vec::<String>::new());
    assert_eq!(lines(&erased)["quarantine"], "erased 1 record");

    home.put_filter("trap", &std::fs::read(module("level")).unwrap());
    let router = home.start();
    eventually("it is recorded", || sqlite(&database, "select count(*) from logs where source = 'weir.audit'") == "1");
    send(&router, 90..99);
    let (_, said) = router.stop();
    assert!(said.contains("flushed and delivered"), "{said}");
    let expected = [kept(0..90), (90..99).collect()].concat();
    assert_eq!(in_database(&database), expected);
    assert_eq!(in_files(&home, "logs"), expected);
    assert_eq!(in_files(&home, "packed"), expected);
}
