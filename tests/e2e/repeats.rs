//! Requests with a key arrive once, however often they are sent: repeated, with another body, under kills.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::clients::{Answer, curl};
use super::router::{Home, Router, eventually};
use super::shippers::{all, arrived, home};

fn post(router: &Router, key: Option<&str>, body: &str) -> Answer {
    let header = key.map(|key| format!("idempotency-key: {key}"));
    let mut arguments = vec!["-H", "content-type: application/json", "--data-binary", "@-"];
    arguments.extend(header.iter().flat_map(|header| ["-H", header]));
    curl(router, "/ingest", &arguments, body.as_bytes())
}

#[test]
fn a_repeated_request_arrives_once_with_the_same_answer_also_after_a_restart() {
    let home = home("");
    let router = home.start();
    let body = r#"[{"message":"a"},{"message":"b"},7]"#;
    let first = post(&router, Some("k1"), body);
    assert_eq!((first.status, first.json()["accepted"].clone()), (200, json!(2)), "{first:?}");
    let counts = |answer: &Answer| (answer.status, answer.json()["accepted"].clone());
    assert_eq!(counts(&post(&router, Some("k1"), r#"[{"message":"a"},{"message":"b"}]"#)), (422, json!(null)));
    router.kill();
    let router = home.start();
    let again = post(&router, Some("k1"), body);
    assert_eq!(counts(&again), counts(&first));
    let other = post(&router, Some("k1"), r#"{"message":"other"}"#);
    assert!(other.status == 422 && other.body.contains("another body"), "{other:?}");
    // Another key is another request, and without one, the same body is no repetition.
    for key in [Some("k2"), None, None] {
        assert_eq!(counts(&post(&router, key, body)), counts(&first));
    }
    let empty = post(&router, Some(&"x".repeat(300)), body);
    assert!(empty.status == 400 && empty.body.contains("UUID"), "{empty:?}");
    let records = all(&home, router);
    assert_eq!(records.len(), 4 * 2, "{records:?}");
}

#[test]
fn a_key_is_forgotten_when_its_time_is_over() {
    let home = home("[ingest]\nrepeat_window = \"1s\"\n");
    let router = home.start();
    let body = r#"{"message":"a"}"#;
    eventually("the key is forgotten", || {
        assert_eq!(post(&router, Some("k"), body).status, 200);
        // Whatever is stored later lets the journal forget it.
        assert_eq!(post(&router, None, r#"{"message":"b"}"#).status, 200);
        arrived(&home, 1).iter().filter(|record| record["message"] == "a").count() == 2
    });
    assert!(router.stop().0.success());
}

/// A small journal that drops its oldest segments, because one of two sinks takes nothing.
const DROPPING: &str = "[journal]\nmax_size = \"1MiB\"\nsegment_size = \"64KiB\"\nwhen_full = \"drop_oldest\"\n\
    [http]\nmax_body = \"64KiB\"\nmax_decompressed = \"64KiB\"\nmax_in_flight = \"128KiB\"\n\
    [sink.stuck]\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\n";

#[test]
fn a_key_outlives_the_segment_with_its_records() {
    let home = home(DROPPING);
    let segments = || -> BTreeSet<PathBuf> {
        let in_journal = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "seg");
        home.files().into_iter().map(|(path, _)| path).filter(in_journal).collect()
    };
    let router = home.start();
    let body = r#"{"message":"a"}"#;
    assert_eq!(post(&router, Some("k"), body).status, 200);
    arrived(&home, 1);
    let before = segments();
    let large = json!({"message": "x".repeat(40_000)}).to_string();
    let mut sent = 1;
    while before.iter().any(|segment| segments().contains(segment)) || sent < 60 {
        assert_eq!(post(&router, None, &large).status, 200);
        sent += 1;
        assert!(sent < 1000, "the first segments stay: {before:?}");
    }
    assert_eq!(post(&router, Some("k"), body).json()["accepted"], json!(1));
    router.kill();
    let router = home.start();
    assert_eq!(post(&router, Some("k"), body).json()["accepted"], json!(1));
    assert_eq!(post(&router, Some("k"), &large).status, 422);
    assert_eq!(post(&router, None, r#"{"message":"last"}"#).status, 200);
    // Others may be missing: if the sink that takes records is slow, they are dropped for it, too.
    let stored = || std::fs::read_to_string(home.path("out.jsonl")).unwrap();
    eventually("the last arrives", || stored().contains(r#""message":"last""#));
    // None if the sink had not fsynced it before the kill: it is among those that were dropped then.
    assert!(stored().matches(r#""message":"a""#).count() <= 1);
}

/// Sends a request on a connection of its own. Returns whether it was acknowledged.
fn is_acknowledged(router: &str, id: &str) -> bool {
    let send = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(router)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let body = format!(r#"{{"message":"record","id":"{id}"}}"#);
        write!(
            stream,
            "POST /ingest HTTP/1.1\r\nhost: {router}\r\nconnection: close\r\nidempotency-key: {id}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    // A router that was killed is no error.
    send().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
}

#[test]
fn requests_that_are_repeated_until_they_are_acknowledged_arrive_exactly_once_under_kills() {
    const SENDERS: usize = 4;
    let home: Home = home("");
    let acknowledged = AtomicU64::new(0);
    // The number of each sender's request that is next, or was not acknowledged.
    let mut next = [0_u64; SENDERS];
    for round in 0..12 {
        let router = home.start();
        let address = router.url.trim_start_matches("http://").to_owned();
        let before = acknowledged.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            for (sender, number) in next.iter_mut().enumerate() {
                let (address, acknowledged) = (&address, &acknowledged);
                scope.spawn(move || {
                    while is_acknowledged(address, &format!("{sender}-{number}")) {
                        *number += 1;
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            eventually("a round's load is acknowledged", || acknowledged.load(Ordering::Relaxed) >= before + 40);
            // A stop, too, may leave a request without an answer.
            if round % 3 == 2 {
                assert!(router.stop().0.success());
            } else {
                router.kill();
            }
        });
    }
    let router = home.start();
    let address = router.url.trim_start_matches("http://").to_owned();
    for (sender, number) in next.iter_mut().enumerate() {
        assert!(is_acknowledged(&address, &format!("{sender}-{number}")));
        *number += 1;
    }
    let mut times: HashMap<String, u32> = HashMap::new();
    for record in all(&home, router) {
        *times.entry(record["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    for (sender, count) in next.iter().enumerate() {
        for number in 0..*count {
            assert_eq!(times.remove(&format!("{sender}-{number}")), Some(1), "{sender}-{number}");
        }
    }
    assert!(times.is_empty(), "{times:?}");
}
