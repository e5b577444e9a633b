//! Messages of Kafka topics are stored once, whoever is killed, and however many routers share a group.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::clients::curl;
use super::router::{Home, Router, eventually};
use super::servers::certificates::certificates;
use super::servers::free_port;
use super::servers::kafka::{Cluster, Kafka, Load};
use super::servers::postgres::Postgres;

/// Kills per run; `WEIR_KAFKA_ROUNDS=20` for a longer one.
const ROUNDS: u64 = 6;

/// Messages of a run; `WEIR_KAFKA_MESSAGES=1000000` for a longer one.
const MESSAGES: u64 = 20_000;

/// Messages per second, so that they last longer than the kills: after each, the broker lets a new member wait for some
/// seconds.
const RATE: u64 = 200;

const OUT: &str = "[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n";

fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Nobody waits long for a router that was killed.
const SESSION: &str = "session = \"2s\"";

fn source(brokers: &str, more: &str) -> String {
    let brokers: Vec<&str> = brokers.split(',').collect();
    format!("[source.events]\ntype = \"kafka\"\nbrokers = {brokers:?}\n{more}\n")
}

fn stored(home: &Home) -> Vec<Value> {
    let text = fs::read_to_string(home.path("out.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Checks that these numbers are stored, each once, and in each partition in their order.
fn check(records: &[Value], numbers: u64) {
    let mut counts = BTreeMap::<u64, usize>::new();
    let mut offsets = BTreeMap::<i64, i64>::new();
    for record in records {
        *counts.entry(record["number"].as_u64().expect("a number")).or_default() += 1;
        let place = &record["kafka"];
        let (partition, offset) = (place["partition"].as_i64().unwrap(), place["offset"].as_i64().unwrap());
        let before = offsets.insert(partition, offset);
        assert!(before.is_none_or(|before| before < offset), "{partition}: {before:?}, then {offset}");
        assert_eq!(place["id"], format!("log.events/{partition}/{offset}"));
        assert_eq!((&record["source"], &place["key"]), (&json!("shop"), &json!(record["number"].to_string())));
    }
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "stored more than once: {twice:?}");
    assert!(counts.keys().copied().eq(0..numbers), "{} of {numbers}", counts.len());
}

/// Kills the router while messages arrive, until all are there.
fn kill_under_load(home: &Home, mut load: Load, numbers: u64, rounds: u64) -> Router {
    let mut router = home.start();
    for _ in 0..rounds {
        let before = stored(home).len();
        assert!(!load.is_over(), "there were too few messages for the kills");
        eventually("messages arrive", || stored(home).len() > before);
        router.kill();
        router = home.start();
    }
    eventually("all are acknowledged", || load.is_over());
    eventually("all are stored", || stored(home).len() as u64 >= numbers);
    router
}

#[test]
fn each_message_is_stored_once_while_the_router_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = Kafka::start(folder.path());
    kafka.create("log.events", 4);
    let home = Home::with(&(source(&kafka.address(), &format!("topics = [\"log.*\"]\n{SESSION}")) + OUT));
    let messages = from_environment("WEIR_KAFKA_MESSAGES", MESSAGES);
    let rounds = from_environment("WEIR_KAFKA_ROUNDS", ROUNDS);
    let router = kill_under_load(&home, kafka.load("log.events", 4, messages, RATE), messages, rounds);
    eventually("all are committed", || kafka.committed("weir", "log.events", 4) == messages);
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    check(&stored(&home), messages);
}

#[test]
fn each_message_of_several_brokers_is_stored_once_while_a_named_member_is_killed() {
    let cluster = Cluster::start(3);
    // Its groups begin after 3 s, which a session must last.
    let more = "topics = [\"log.events\"]\ninstance = \"one\"\nsession = \"6s\"";
    let home = Home::with(&(source(cluster.addresses(), more) + OUT));
    let load = cluster.load("log.events", 4, MESSAGES, RATE);
    let router = kill_under_load(&home, load, MESSAGES, 3);
    eventually("all are committed", || cluster.committed("weir", "log.events", 4) == MESSAGES);
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    check(&stored(&home), MESSAGES);
}

#[test]
fn routers_in_a_group_store_each_message_once_in_one_database_while_some_join_and_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = Kafka::start(folder.path());
    kafka.create("log.events", 6);
    let postgres = Postgres::start();
    let homes = [Home::new(), Home::new(), Home::new()];
    for home in &homes {
        home.configure(&format!(
            "{}[sink.db]\ntype = \"postgres\"\nurl = \"{}\"\nunique = \"kafka.id\"\nlinger = \"10ms\"\n",
            source(&kafka.address(), &format!("topics = [\"log.events\"]\n{SESSION}")),
            postgres.url()
        ));
    }
    let count = || -> u64 { postgres.ask("SELECT count(*) FROM weir_logs").parse().unwrap_or(0) };
    let [steady, killed, late] = &homes;
    let mut routers = vec![steady.start()];
    eventually("the table is there", || {
        postgres.ask("SELECT to_regclass('weir_logs') IS NOT NULL AND to_regclass('weir_unique') IS NOT NULL") == "t"
    });
    let messages = from_environment("WEIR_KAFKA_MESSAGES", MESSAGES);
    let mut load = kafka.load("log.events", 6, messages, RATE);
    let mut more_arrive = || {
        let before = count();
        assert!(!load.is_over(), "there were too few messages for the kills");
        eventually("more are stored", || count() > before);
    };
    more_arrive();
    routers.push(killed.start());
    let mut third = None;
    for round in 0..3 {
        let mut router = routers.pop().unwrap();
        router.wait_for_line("source `events` reads");
        more_arrive();
        router.kill();
        routers.push(killed.start());
        if round == 1 {
            third = Some(late.start());
        }
    }
    // It leaves, and the others take over.
    let (status, said) = third.unwrap().stop();
    assert!(status.success(), "{said}");
    eventually("all are acknowledged", || load.is_over());
    eventually("all are stored", || count() >= messages);
    eventually("all are committed", || kafka.committed("weir", "log.events", 6) == messages);
    for router in routers {
        let (status, said) = router.stop();
        assert!(status.success(), "{said}");
    }
    let distinct = postgres.ask("SELECT count(*), count(DISTINCT extra_data->>'number') FROM weir_logs");
    assert_eq!(distinct, format!("{messages}|{messages}"));
}

#[test]
fn messages_are_records_whatever_they_hold_and_however_they_are_compressed() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = Kafka::start(folder.path());
    kafka.create("log.entry", 2);
    let event = json!({"level": "warn", "message": "slow", "source_module": "shop.db", "context": {"user_id": 7}});
    let messages = [
        json!({"value": event.to_string(), "key": "k", "headers": {"trace": "abc"}}),
        // {"message": "msgpack"}
        json!({"base64": "gadtZXNzYWdlp21zZ3BhY2s=", "partition": 1}),
        json!({"value": "plain text"}),
        json!({"value": "{broken"}),
        json!({"value": format!("long {}", "x".repeat(300_000))}),
    ];
    let compressions = ["none", "gzip", "snappy", "lz4", "zstd"];
    for compression in compressions {
        kafka.produce("log.entry", &messages, &[&format!("compression.type={compression}")]);
    }
    let home = Home::with(&(source(&kafka.address(), "topics = [\"log.entry\"]\nlevel = \"DEBUG\"") + OUT));
    let router = home.start();
    let due = messages.len() * compressions.len();
    eventually("all are stored", || stored(&home).len() >= due);
    let records = stored(&home);
    assert_eq!(records.len(), due);
    let with =
        |message: &str| records.iter().filter(move |record| record["message"] == message).cloned().collect::<Vec<_>>();
    for message in ["slow", "msgpack", "plain text", "{broken", messages[4]["value"].as_str().unwrap()] {
        assert_eq!(with(message).len(), compressions.len(), "{:.20}", message);
    }
    let mut first = with("slow")[0].clone();
    let time = first["timestamp"].take();
    assert!(time.as_str().is_some_and(|time| time.starts_with("20")), "the message's own: {time}");
    let place = json!({
        "topic": "log.entry", "partition": 0, "offset": 0, "id": "log.entry/0/0", "key": "k",
        "headers": {"trace": "abc"},
    });
    let due = json!({
        "timestamp": null, "level": "WARNING", "source": "shop.db", "message": "slow", "context": {"user_id": 7},
        "kafka": place,
    });
    assert_eq!(first, due);
    let text = &with("plain text")[0];
    assert_eq!((&text["source"], &text["level"]), (&json!("events"), &json!("DEBUG")));
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn messages_of_the_wrong_shape_are_quarantined_and_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = Kafka::start(folder.path());
    kafka.create("log.entry", 1);
    let messages = ["no record", "[1]", "", "{\"message\":\"good\"}"].map(|value| json!({"value": value}));
    kafka.produce("log.entry", &messages, &[]);
    let home = Home::with(&(source(&kafka.address(), "topics = [\"log.entry\"]\nformat = \"json\"") + OUT));
    let router = home.start();
    eventually("the good one is stored", || !stored(&home).is_empty());
    assert_eq!(stored(&home)[0]["kafka"]["offset"], 3);
    let metrics = curl(&router, "/metrics", &[], b"").body;
    assert!(metrics.contains("weir_source_quarantined_total{source=\"events\"} 3"), "{metrics}");
    let quarantined = || fs::read_dir(home.path("weir-data/quarantine")).map_or(0, Iterator::count);
    eventually("the others are in quarantine", || quarantined() > 0);
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Value> {
    range.map(|number| json!({"value": json!({"message": "m", "number": number}).to_string()})).collect()
}

fn stored_numbers(home: &Home) -> Vec<u64> {
    stored(home).iter().map(|record| record["number"].as_u64().unwrap()).collect()
}

fn reasons(router: &Router) -> String {
    curl(router, "/health", &[], b"").json()["reasons"].to_string()
}

#[test]
fn a_broker_that_hangs_or_is_gone_is_reported_and_read_again_and_a_topic_made_again_is_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut kafka = Kafka::start(folder.path());
    kafka.create("log.events", 1);
    kafka.produce("log.events", &numbers(0..100), &[]);
    let home = Home::with(&(source(&kafka.address(), "topics = [\"log.events\"]\ntimeout = \"1s\"") + OUT));
    let router = home.start();
    eventually("the first are stored", || stored(&home).len() == 100);
    kafka.signal("STOP");
    eventually("a broker that hangs is reported", || reasons(&router).contains("no answer within 1s"));
    kafka.signal("CONT");
    kafka.produce("log.events", &numbers(100..200), &[]);
    eventually("the next are stored", || stored(&home).len() >= 200);
    kafka.kill();
    eventually("a broker that is gone is reported", || reasons(&router).contains("Connection refused"));
    // In memory, so all is new.
    kafka.restart();
    eventually("a topic that is gone is reported", || reasons(&router).contains("no topic has a name of `topics`"));
    kafka.create("log.events", 1);
    kafka.produce("log.events", &numbers(200..500), &[]);
    eventually("all of the new topic are stored", || stored(&home).len() >= 500);
    eventually("all is well", || reasons(&router) == "[]");
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    assert_eq!(stored_numbers(&home), (0..500).collect::<Vec<_>>());
}

#[test]
fn a_reload_adds_and_removes_a_source_that_starts_at_the_end_and_then_misses_nothing() {
    let cluster = Cluster::start(1);
    cluster.produce("log.events", &numbers(0..10), &[]);
    let home = Home::with(OUT);
    let mut router = home.start();
    home.configure(&(source(cluster.addresses(), "topics = [\"log.events\"]\nstart = \"end\"") + OUT));
    router.wait_for_line("source `events` reads 4 partitions: log.events/0");
    // Nothing arrives: the end is remembered all the same.
    eventually("the end is committed", || cluster.committed("weir", "log.events", 1) == 10);
    router.kill();
    cluster.produce("log.events", &numbers(10..20), &[]);
    router = home.start();
    eventually("what arrived meanwhile is stored", || stored(&home).len() >= 10);
    home.configure(OUT);
    router.wait_for_line("source `events` removed");
    // The group has its own offset.
    cluster.produce("log.events", &numbers(20..30), &[]);
    home.configure(&(source(cluster.addresses(), "topics = [\"log.events\"]\nstart = \"end\"") + OUT));
    eventually("the rest is stored", || stored(&home).len() >= 20);
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    assert_eq!(stored_numbers(&home), (10..30).collect::<Vec<_>>());
}

#[test]
fn connections_have_tls_and_sasl_and_a_wrong_password_is_reported_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let (kafka, _port) = Kafka::start_secure(folder.path(), "weir", "sesame-street");
    kafka.create("log.events", 1);
    let ca = folder.path().join("ca.pem");
    let with = |group: &str, sasl: &str, password: &str| {
        let more = format!(
            "topics = [\"log.events\"]\ngroup = \"{group}\"\nsasl = \"{sasl}\"\nuser = \"weir\"\n\
             password = \"{password}\"\ntls = {{ ca = \"{}\" }}",
            ca.display()
        );
        source(&kafka.address(), &more) + OUT
    };
    let home = Home::new();
    for (round, sasl) in (0..).zip(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]) {
        home.configure(&with(sasl, sasl, "wrong-sesame"));
        let router = home.start();
        eventually("a wrong password is reported", || reasons(&router).contains("check `user` and `password`"));
        let said = reasons(&router);
        assert!(said.contains("can't connect to 127.0.0.1"), "{said}");
        home.configure(&with(sasl, sasl, "sesame-street"));
        kafka.produce("log.events", &numbers(round..round + 1), &[]);
        let due = (1..=round + 1).sum::<u64>() as usize;
        eventually("all are stored", || stored(&home).len() >= due);
        let (status, log) = router.stop();
        assert!(status.success(), "{log}");
        assert!(![said, log].iter().any(|said| said.contains("sesame")), "a password is shown");
    }
    let plain = source(&kafka.address(), "topics = [\"log.events\"]\ntls = {}") + OUT;
    home.configure(&plain);
    let router = home.start();
    eventually("an unknown authority is reported", || reasons(&router).contains("TLS: invalid peer certificate"));
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn a_wrong_address_is_reported_with_the_broker() {
    let unused = free_port();
    let home = Home::with(&(source(&format!("127.0.0.1:{unused}"), "topics = [\"log.events\"]") + OUT));
    let mut router = home.start();
    router.wait_for_line("source `events` failed");
    let said = reasons(&router);
    assert!(
        said.contains(&format!("source `events`: can't connect to 127.0.0.1:{unused}: Connection refused")),
        "{said}"
    );
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}
