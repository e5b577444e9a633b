//! Messages of a bus are stored once, whoever is killed, and however many routers share them.

mod mqtt;
mod redis;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::clients::run;
use super::router::{Home, Router, eventually, repository};
use super::servers::free_port;
use super::servers::nats::Nats;
use super::servers::postgres::Postgres;

/// Kills per run; `WEIR_BUS_ROUNDS=20` for a longer one.
const ROUNDS: u64 = 8;

/// Messages that routers share; `WEIR_BUS_MESSAGES=1000000` for a longer run.
const MESSAGES: u64 = 5_000;

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn create_stream(nats: &Nats) {
    let made = nats.ask("STREAM.CREATE.LOGS", &json!({"name": "LOGS", "subjects": ["log.>"], "storage": "file"}));
    assert!(made["error"].is_null(), "{made}");
}

fn configuration(nats: &Nats, more: &str) -> String {
    format!(
        "[source.bus]\ntype = \"nats\"\nurl = \"{}\"\nstream = \"LOGS\"\nack_wait = \"1s\"\n{more}\n\
         [sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n",
        nats.url()
    )
}

fn stored(home: &Home) -> Vec<Value> {
    let text = fs::read_to_string(home.path("out.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// How often each number is stored.
fn counts(records: &[Value]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record["number"].as_u64().expect("a number")).or_default() += 1;
    }
    counts
}

#[test]
fn each_message_of_a_stream_is_stored_once_while_the_router_and_the_server_are_killed() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let nats = Arc::new(Mutex::new(Nats::start_newest(folder.path())));
    create_stream(&nats.lock().unwrap());
    home.configure(&configuration(&nats.lock().unwrap(), ""));
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let acknowledged: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
    let publisher = {
        let (nats, stop, next, acknowledged) = (nats.clone(), stop.clone(), next.clone(), acknowledged.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                let number = next.fetch_add(1, Ordering::AcqRel);
                let event = json!({"level": "info", "message": "m", "source_module": "shop", "number": number});
                let is_stored = nats.lock().unwrap().publish("log.entry", &event.to_string());
                if is_stored {
                    acknowledged.lock().unwrap().insert(number);
                }
            }
        })
    };
    let mut router = home.start();
    for round in 0..from_environment("WEIR_BUS_ROUNDS", ROUNDS) {
        let (before, published) = (stored(&home).len(), acknowledged.lock().unwrap().len());
        eventually("messages arrive", || {
            stored(&home).len() > before && acknowledged.lock().unwrap().len() > published + 50
        });
        if round % 2 == 0 {
            router.kill();
            router = home.start();
        } else {
            let mut nats = nats.lock().unwrap();
            nats.kill();
            nats.restart();
        }
    }
    stop.store(true, Ordering::Release);
    publisher.join().unwrap();
    let due = acknowledged.lock().unwrap().clone();
    eventually("every acknowledged message is stored", || {
        let counts = counts(&stored(&home));
        due.iter().all(|number| counts.contains_key(number))
    });
    // What the server delivers again, it does within this time.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    let records = stored(&home);
    let twice: Vec<_> = counts(&records).into_iter().filter(|(_, count)| *count > 1).collect();
    assert!(twice.is_empty(), "stored more than once: {twice:?}");
    let first = &records[0];
    assert_eq!((&first["source"], &first["nats"]["subject"]), (&json!("shop"), &json!("log.entry")));
    assert_eq!(first["nats"]["id"], format!("LOGS:{}", first["nats"]["sequence"]));
    println!("{} messages, each once", records.len());
}

#[test]
fn routers_that_share_a_consumer_store_each_message_once_in_one_database_while_one_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let nats = Nats::start_newest(folder.path());
    let postgres = Postgres::start();
    create_stream(&nats);
    let homes = [Home::new(), Home::new()];
    for home in &homes {
        home.configure(&format!(
            "[source.bus]\ntype = \"nats\"\nurl = \"{}\"\nstream = \"LOGS\"\nack_wait = \"1s\"\n\
             [sink.db]\ntype = \"postgres\"\nurl = \"{}\"\nunique = \"nats.id\"\nlinger = \"10ms\"\n",
            nats.url(),
            postgres.url()
        ));
    }
    let [_steady, killed] = &homes;
    let mut routers: Vec<Router> = homes.iter().map(Home::start).collect();
    let count = || -> u64 { postgres.ask("SELECT count(*) FROM weir_logs").parse().unwrap_or(0) };
    eventually("the table is there", || {
        postgres.ask("SELECT to_regclass('weir_logs') IS NOT NULL AND to_regclass('weir_unique') IS NOT NULL") == "t"
    });
    let messages = from_environment("WEIR_BUS_MESSAGES", MESSAGES);
    let mut publisher = nats.bulk();
    for round in 0..4 {
        let (first, last) = (round * messages / 4, (round + 1) * messages / 4);
        let before = count();
        publisher
            .publish("log.entry", (first..last).map(|number| format!("{{\"message\":\"m\",\"number\":{number}}}")));
        if round < 3 {
            eventually("some are stored", || count() > before);
            routers.pop().unwrap().kill();
            routers.push(killed.start());
        }
    }
    publisher.flush();
    eventually("all are stored", || count() >= messages);
    eventually("all are acknowledged", || {
        let info = nats.ask("CONSUMER.INFO.LOGS.weir", &Value::Null);
        info["num_pending"] == 0 && info["num_ack_pending"] == 0
    });
    for router in routers {
        let (status, said) = router.stop();
        assert!(status.success(), "{said}");
    }
    let distinct = postgres.ask("SELECT count(*), count(DISTINCT extra_data->>'number') FROM weir_logs");
    assert_eq!(distinct, format!("{messages}|{messages}"));
}

#[test]
fn plain_subjects_are_received_and_what_is_no_record_is_quarantined() {
    let folder = tempfile::tempdir().unwrap();
    let nats = Nats::start_newest(folder.path());
    let home = Home::with(&format!(
        "[source.events]\ntype = \"nats\"\nurl = \"{}\"\nsubject = \"events.*\"\nformat = \"json\"\nlevel = \"DEBUG\"\n\
         [sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n",
        nats.url()
    ));
    let router = home.start();
    eventually("a record arrives", || {
        nats.publish_only("events.a", "{\"message\":\"hello\"}");
        !stored(&home).is_empty()
    });
    nats.publish_only("events.b", "no record");
    let quarantined = || fs::read_dir(home.path("weir-data/quarantine")).map_or(0, Iterator::count);
    eventually("the other is quarantined", || quarantined() > 0);
    let first = &stored(&home)[0];
    assert_eq!((&first["source"], &first["level"]), (&json!("events"), &json!("DEBUG")));
    assert_eq!(first["nats"], json!({"subject": "events.a"}));
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn the_example_of_several_routers_stores_each_record_once_while_one_is_killed() {
    let postgres = Postgres::start();
    let mut command = Command::new(repository().join("examples/scale-out/run.sh"));
    command.env("WEIR", env!("CARGO_BIN_EXE_weir")).env("NATS_SERVER", "nats-server-newest");
    command.env("NATS_PORT", free_port().to_string()).env("POSTGRES_URL", postgres.url());
    command.env("RECORDS", from_environment("WEIR_BUS_MESSAGES", MESSAGES).to_string()).env("KILLS", "1");
    let said = String::from_utf8(run(&mut command).stdout).unwrap();
    assert!(said.contains("records is stored once; workers were killed 1 times"), "{said}");
}
