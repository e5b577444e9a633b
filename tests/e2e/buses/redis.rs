//! Entries of Redis streams: each is stored once, whoever is killed and whatever the server gives again.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::clients::curl;
use super::super::router::{Home, Router, eventually};
use super::super::servers::certificates::certificates;
use super::super::servers::free_port;
use super::super::servers::postgres::Postgres;
use super::super::servers::redis::Redis;
use super::{MESSAGES, ROUNDS, counts, from_environment, stored};

const SINK: &str = "[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n";

fn source(url: &str, more: &str) -> String {
    format!("[source.bus]\ntype = \"redis\"\nurl = \"{url}\"\nstreams = [\"events\"]\n{more}\n")
}

fn configuration(redis: &Redis, more: &str) -> String {
    source(&redis.url(), more) + SINK
}

fn event(number: u64) -> String {
    json!({"level": "info", "message": "m", "source_module": "shop", "number": number}).to_string()
}

/// Adds an entry for each of these numbers.
fn add(redis: &Redis, numbers: std::ops::Range<u64>) {
    let events: Vec<String> = numbers.map(event).collect();
    let commands: Vec<_> = events.iter().map(|event| vec!["XADD", "events", "*", "event", event]).collect();
    let mut client = redis.client();
    commands.chunks(500).for_each(|commands| client.ask_all(commands));
}

/// Entries that were given to a consumer and not acknowledged.
fn pending(redis: &Redis) -> Value {
    redis.ask(&["XPENDING", "events", "weir"])[0].clone()
}

/// Stops a router that must have stored each of these numbers once.
fn each_once(home: &Home, router: Router, numbers: std::ops::Range<u64>) {
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    let due = numbers.map(|number| (number, 1)).collect();
    assert_eq!(counts(&stored(home)), due);
}

fn health(router: &Router) -> Value {
    curl(router, "/health", &[], b"").json()
}

#[test]
fn each_entry_is_stored_once_while_the_router_and_the_server_are_killed() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let redis = Arc::new(Mutex::new(Redis::start(folder.path())));
    home.configure(&configuration(&redis.lock().unwrap(), ""));
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let acknowledged: Arc<Mutex<Vec<u64>>> = Arc::default();
    let publisher = {
        let (redis, stop, next, acknowledged) = (redis.clone(), stop.clone(), next.clone(), acknowledged.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                let number = next.fetch_add(1, Ordering::AcqRel);
                if redis.lock().unwrap().add("events", "event", &event(number)) {
                    acknowledged.lock().unwrap().push(number);
                }
            }
        })
    };
    let mut router = home.start();
    for round in 0..from_environment("WEIR_BUS_ROUNDS", ROUNDS) {
        let (before, published) = (stored(&home).len(), acknowledged.lock().unwrap().len());
        eventually("entries arrive", || {
            stored(&home).len() > before && acknowledged.lock().unwrap().len() > published + 50
        });
        if round % 2 == 0 {
            router.kill();
            router = home.start();
        } else {
            let mut redis = redis.lock().unwrap();
            redis.kill();
            redis.restart();
        }
    }
    stop.store(true, Ordering::Release);
    publisher.join().unwrap();
    let due = acknowledged.lock().unwrap().clone();
    eventually("every acknowledged entry is stored", || {
        let counts = counts(&stored(&home));
        due.iter().all(|number| counts.contains_key(number))
    });
    eventually("all are acknowledged", || pending(&redis.lock().unwrap()) == 0);
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    let records = stored(&home);
    let twice: Vec<_> = counts(&records).into_iter().filter(|(_, count)| *count > 1).collect();
    assert!(twice.is_empty(), "stored more than once: {twice:?}");
    let first = &records[0];
    assert_eq!((&first["source"], &first["redis"]["stream"]), (&json!("shop"), &json!("events")));
    assert_eq!(first["redis"]["id"], format!("events:{}", first["redis"]["entry"].as_str().unwrap()));
    println!("{} entries, each once", records.len());
}

#[test]
fn what_the_server_gives_again_is_not_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(folder.path());
    let home = Home::with(&configuration(&redis, ""));
    add(&redis, 0..2_500);
    let router = home.start();
    eventually("all are stored", || stored(&home).len() == 2_500);
    eventually("all are acknowledged", || pending(&redis) == 0);
    // As after a crash that lost what the group knew.
    redis.ask(&["XGROUP", "SETID", "events", "weir", "0"]);
    add(&redis, 2_500..2_510);
    eventually("the new ones are stored", || stored(&home).len() >= 2_510);
    router.kill();
    // The same while the router is away, and then the group itself.
    redis.ask(&["XGROUP", "SETID", "events", "weir", "0"]);
    add(&redis, 2_510..2_520);
    let mut router = home.start();
    eventually("the new ones are stored", || stored(&home).len() >= 2_520);
    redis.ask(&["XGROUP", "DESTROY", "events", "weir"]);
    let said = router.wait_for_line("source `bus` failed");
    assert!(said.contains("NOGROUP"), "{said}");
    add(&redis, 2_520..2_530);
    eventually("the new ones are stored", || stored(&home).len() >= 2_530);
    eventually("all are acknowledged", || pending(&redis) == 0);
    each_once(&home, router, 0..2_530);
}

#[test]
fn a_stream_that_is_deleted_and_created_again_is_taken_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(folder.path());
    let home = Home::with(&configuration(&redis, "start = \"new\""));
    let add = |id: &str, number: u64| redis.ask(&["XADD", "events", id, "event", &event(number)]);
    add("1-1", 100);
    let router = home.start();
    eventually("the group is there", || redis.ask(&["XINFO", "GROUPS", "events"])[0].is_array());
    add("2-1", 0);
    add("3-1", 1);
    eventually("new ones are stored", || stored(&home).len() == 2);
    router.kill();
    redis.ask(&["DEL", "events"]);
    add("1-1", 2);
    add("2-1", 3);
    let router = home.start();
    eventually("those of the new stream are stored", || stored(&home).len() >= 4);
    each_once(&home, router, 0..4);
}

#[test]
fn routers_that_share_a_group_store_each_entry_once_in_one_database_while_one_dies() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(folder.path());
    let postgres = Postgres::start();
    let homes = [Home::new(), Home::new()];
    for home in &homes {
        home.configure(&format!(
            "{}[sink.db]\ntype = \"postgres\"\nurl = \"{}\"\nunique = \"redis.id\"\nlinger = \"10ms\"\n",
            source(&redis.url(), "take_over = \"1s\""),
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
    for round in 0..4 {
        let before = count();
        add(&redis, round * messages / 4..(round + 1) * messages / 4);
        if round < 3 {
            eventually("some are stored", || count() > before);
            routers.pop().unwrap().kill();
            if round < 2 {
                routers.push(killed.start());
            }
        }
    }
    // The other takes over what that one was given, and what a consumer was given that never came back. What is in the
    // journal of the one that was killed, that has to store itself.
    redis.ask(&["XREADGROUP", "GROUP", "weir", "dead", "COUNT", "7", "STREAMS", "events", ">"]);
    eventually("all are acknowledged", || {
        let group = redis.ask(&["XINFO", "GROUPS", "events"])[0].clone();
        let stream = redis.ask(&["XREVRANGE", "events", "+", "-", "COUNT", "1"]);
        pending(&redis) == 0 && group[7] == stream[0][0]
    });
    routers.push(killed.start());
    eventually("all are stored", || count() >= messages);
    for router in routers {
        let (status, said) = router.stop();
        assert!(status.success(), "{said}");
    }
    let distinct = postgres.ask("SELECT count(*), count(DISTINCT extra_data->>'number') FROM weir_logs");
    assert_eq!(distinct, format!("{messages}|{messages}"));
}

#[test]
fn entries_of_dead_consumers_are_taken_over_and_large_ones_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(folder.path());
    add(&redis, 0..30);
    redis.ask(&["XGROUP", "CREATE", "events", "weir", "0"]);
    let given = redis.ask(&["XREADGROUP", "GROUP", "weir", "dead", "COUNT", "20", "STREAMS", "events", ">"]);
    assert_eq!(given[0][1].as_array().unwrap().len(), 20);
    let deleted = given[0][1][19][0].as_str().unwrap();
    redis.ask(&["XDEL", "events", deleted]);
    // More than a reply may hold, and each more than a record.
    let large = "x".repeat(3 << 20);
    (0..30).for_each(|_| _ = redis.ask(&["XADD", "events", "*", "message", &large]));
    add(&redis, 30..40);
    let home = Home::with(&configuration(&redis, "take_over = \"1s\""));
    let router = home.start();
    eventually("all but the one that was deleted are stored", || stored(&home).len() == 39);
    eventually("all are acknowledged", || pending(&redis) == 0);
    let sources = health(&router)["sources"].clone();
    assert_eq!((&sources[0]["name"], &sources[0]["state"]), (&json!("bus"), &json!("running")));
    let metrics = curl(&router, "/metrics", &[], b"").body;
    assert!(metrics.contains("weir_source_quarantined_total{source=\"bus\"} 30"), "{metrics}");
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    let counts = counts(&stored(&home));
    assert_eq!(counts, (0..40).filter(|number| *number != 19).map(|number| (number, 1)).collect());
}

#[test]
fn what_is_no_record_is_quarantined_and_a_reload_adds_and_removes_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(folder.path());
    let home = Home::with(SINK);
    let mut router = home.start();
    home.configure(&configuration(&redis, "field = \"event\"\nformat = \"json\"\nlevel = \"DEBUG\""));
    redis.ask(&["XADD", "events", "*", "event", "{\"message\":\"hello\",\"context\":{\"user_id\":7}}"]);
    redis.ask(&["XADD", "events", "*", "event", "no record"]);
    redis.ask(&["XADD", "events", "*", "other", "{}"]);
    redis.ask(&["XADD", "events", "*", "event", "{\"message\":\"again\"}"]);
    eventually("records arrive", || stored(&home).len() == 2);
    let first = &stored(&home)[0];
    assert_eq!((&first["source"], &first["level"]), (&json!("bus"), &json!("DEBUG")));
    assert_eq!(first["context"], json!({"user_id": 7}));
    let quarantined = || fs::read_dir(home.path("weir-data/quarantine")).map_or(0, Iterator::count);
    eventually("the others are quarantined", || quarantined() > 0);
    let metrics = curl(&router, "/metrics", &[], b"").body;
    assert!(metrics.contains("weir_source_quarantined_total{source=\"bus\"} 2"), "{metrics}");
    home.configure(SINK);
    router.wait_for_line("source `bus` removed");
    assert_eq!(health(&router)["sources"], json!([]));
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn health_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start_with(folder.path(), &["--requirepass", "sesame"]);
    let unused = free_port();
    let with = |name: &str, url: &str, more: &str| {
        format!("[source.{name}]\ntype = \"redis\"\nurl = \"{url}\"\nstreams = [\"events\"]\n{more}\n")
    };
    let home = Home::with(
        &(SINK.to_owned()
            + &with("gone", &format!("redis://127.0.0.1:{unused}"), "")
            + &with("wrong", &redis.url(), "password = \"open\"")
            + &with("without", &redis.url(), "")
            + &with("plain", &redis.url().replace("redis:", "rediss:"), "")),
    );
    let router = home.start();
    let wrong = [
        ("gone", "can't connect"),
        ("wrong", "can't log in: WRONGPASS"),
        ("wrong", "check `user` and `password`"),
        ("without", "set `password`"),
        ("plain", "TLS"),
    ];
    eventually("it is said", || {
        let reasons = health(&router)["reasons"].to_string();
        let of = |name: &str| reasons.split("source `").find(|reason| reason.starts_with(&format!("{name}`")));
        wrong.iter().all(|(name, part)| of(name).is_some_and(|reason| reason.contains(part)))
    });
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn a_user_logs_in_over_tls_to_another_database() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let port = free_port().to_string();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let tls = ["--tls-port", &port, "--tls-cert-file", &path("server.pem"), "--tls-key-file", &path("server.key")];
    let authority = path("ca.pem");
    let redis = Redis::start_with(folder.path(), &[&tls[..], &["--tls-ca-cert-file", &authority]].concat());
    let commands = ["+xreadgroup", "+xack", "+xautoclaim", "+xrange", "+xinfo", "+xgroup", "+select"];
    redis.ask(&[&["ACL", "SETUSER", "weir", "on", ">p@ss", "~events"][..], &commands].concat());
    let mut client = redis.client();
    client.ask(&["SELECT", "3"]);
    client.ask(&["XADD", "events", "*", "message", "hello"]);
    let tls = format!(
        "tls = {{ ca = \"{authority}\", certificate = \"{}\", key = \"{}\" }}",
        path("client.pem"),
        path("client.key")
    );
    let home = Home::with(&(source(&format!("rediss://weir:p%40ss@127.0.0.1:{port}/3"), &tls) + SINK));
    let router = home.start();
    eventually("the record arrives", || stored(&home).len() == 1);
    assert_eq!(stored(&home)[0]["message"], "hello");
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}
