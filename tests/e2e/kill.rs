//! Repeated kill -9 under load: every acknowledged record is there, exactly once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::clients::{Sender, sqlite};
use super::router::{Home, eventually};

/// Number of kills per run.
const ROUNDS: u32 = 50;

/// Minimum number of acknowledged records per round before the kill.
const LOAD: usize = 40;

/// Keys for the journal, in the order in which they are used.
const KEYS: [&str; 2] = ["1f", "2e"];

const CONFIGURATION: &str = r#"
[[filter]]
name = "redact"
module = "bundled:redact"
[sink.db]
type = "sqlite"
[sink.out]
type = "file"
path = "out.jsonl"
rotate_size = "256KiB"
"#;

#[test]
fn after_fifty_kills_every_acknowledged_record_is_in_sqlite_and_in_the_file_exactly_once() {
    let home = Home::with(CONFIGURATION).with_own_cache();
    after_kills(&home, ROUNDS, |_| {});
}

#[test]
fn after_kills_every_acknowledged_record_of_an_encrypted_journal_is_stored_once_while_keys_change() {
    let home = Home::new().with_own_cache();
    for digits in KEYS {
        std::fs::write(home.path(&format!("{digits}.key")), digits.repeat(32)).unwrap();
    }
    // Without encryption first, then with each key.
    let configure = |round: u32| {
        let section = match round / 5 {
            0 => String::new(),
            1 => format!("[encryption]\nkey = {{ file = \"{}.key\" }}\n", KEYS[0]),
            _ => format!(
                "[encryption]\nkey = {{ file = \"{}.key\" }}\nprevious_keys = [{{ file = \"{}.key\" }}]\n",
                KEYS[1], KEYS[0]
            ),
        };
        home.configure(&format!("{section}{CONFIGURATION}"));
    };
    after_kills(&home, 20, configure);
}

/// Kills a router in each round, and checks what its sinks have in the end.
fn after_kills(home: &Home, rounds: u32, before_round: impl Fn(u32)) {
    let mut acknowledged = HashSet::new();
    for round in 0..rounds {
        before_round(round);
        let router = home.start();
        let sender = Sender::start(&router.url, &format!("r{round}"), home.path("acknowledged"));
        // After the client has started, and at a different moment in each round.
        let before = acknowledged.len();
        eventually("a round's load is acknowledged", || sender.acknowledged().len() > before + LOAD);
        std::thread::sleep(Duration::from_millis(u64::from(round * 37 % 200)));
        router.kill();
        acknowledged.extend(sender.stop());
    }
    let router = home.start();
    let database = home.path("weir-data/logs.db");
    let (_, said) = {
        // A stop drains: afterwards both sinks have everything.
        std::thread::sleep(Duration::from_millis(500));
        router.stop()
    };
    assert!(said.contains("flushed and delivered"), "{said}");

    let rows = sqlite(&database, "select json_extract(fields, '$.id') from logs");
    let in_sqlite = times(rows.lines().map(String::from));
    let in_file = times(lines(home));
    eprintln!(
        "{rounds} kills: {} acknowledged, {} in sqlite, {} in the file",
        acknowledged.len(),
        in_sqlite.len(),
        in_file.len()
    );
    for (place, found) in [("sqlite", &in_sqlite), ("the file", &in_file)] {
        let lost: Vec<_> = acknowledged.iter().filter(|id| !found.contains_key(*id)).collect();
        assert!(lost.is_empty(), "{} lost in {place}: {:?}", lost.len(), &lost[..lost.len().min(5)]);
        let twice: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "{} more than once in {place}: {:?}", twice.len(), &twice[..twice.len().min(5)]);
    }
}

fn times(ids: impl Iterator<Item = String>) -> HashMap<String, u32> {
    let mut times = HashMap::new();
    for id in ids {
        *times.entry(id).or_default() += 1;
    }
    times
}

/// The ids in the file and in its rotated files.
fn lines(home: &Home) -> impl Iterator<Item = String> {
    let mut ids = Vec::new();
    for (path, bytes) in home.files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("out.jsonl") {
            continue;
        }
        for line in String::from_utf8(bytes).unwrap().lines() {
            let record: serde_json::Value = serde_json::from_str(line).expect("whole lines");
            ids.push(record["id"].as_str().expect("an id").to_string());
        }
    }
    ids.into_iter()
}
