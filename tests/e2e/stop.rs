//! Stopping: everything that was promised is done first, however often a stop is requested and whoever is slow.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::clients::{curl, post, run};
use super::hostile::guests;
use super::router::{Home, Router, eventually};

const JOIN: &str = r#"
[[filter]]
name = "join"
module = "bundled:join"
options = { timeout = 60 }
[sink.out]
type = "file"
path = "out.jsonl"
"#;

fn stored(home: &Home, text: &str) -> bool {
    std::fs::read_to_string(home.path("out.jsonl")).is_ok_and(|all| all.contains(text))
}

/// A request that the router answers only after the whole body of `length` bytes.
fn begin(router: &Router, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(router.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let head = format!(
        "POST /ingest HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// The value of one of the router's metrics.
fn metric(router: &Router, name: &str) -> f64 {
    let all = curl(router, "/metrics", &[], b"").body;
    let line = all.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

#[test]
fn simultaneous_signals_count_as_one_and_held_records_are_written() {
    let home = Home::with(JOIN);
    let mut router = home.start();
    assert_eq!(post(&router, r#"{"message":"waits for its next line"}"#).body, r#"{"accepted":1}"#);
    // Two different signals: equal ones may be merged before they arrive.
    let pid = router.pid();
    run(std::process::Command::new("sh").args(["-c", &format!("kill -TERM {pid}; kill -INT {pid}; kill -TERM {pid}")]));
    let status = router.wait();
    assert_eq!(status.code(), Some(0), "{}", router.stderr());
    assert!(stored(&home, "waits for its next line"), "{}", router.stderr());
}

#[test]
fn a_request_with_a_slow_body_is_answered_before_the_stop() {
    let home = Home::with("[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n");
    let mut router = home.start();
    // An idle keep-alive connection is no reason to wait.
    let mut idle = TcpStream::connect(router.url.trim_start_matches("http://")).unwrap();
    idle.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 512]).unwrap() > 0);

    let record = br#"{"message":"slowly but surely, within the time that a body may take"}"#;
    let mut slow = begin(&router, record.len());
    let (first, rest) = record.split_at(record.len() - 18);
    slow.write_all(first).unwrap();
    eventually("the request is under way", || metric(&router, "weir_ingest_in_flight_bytes") > 0.0);
    router.signal("-TERM");
    router.wait_for_line("drains");
    // Much longer than stops used to wait.
    for byte in rest {
        std::thread::sleep(Duration::from_secs(1));
        slow.write_all(&[*byte]).unwrap();
    }
    let answered = Instant::now();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(r#"{"accepted":1}"#), "{answer}\n{}", router.stderr());
    assert_eq!(router.wait().code(), Some(0));
    // As long as the keep-alive of a connection would last.
    assert!(answered.elapsed() < Duration::from_secs(20), "{:?}", answered.elapsed());
    assert!(router.stderr().contains("flushed and delivered"), "{}", router.stderr());
    assert!(stored(&home, "slowly but surely"));
}

#[test]
fn a_second_signal_after_a_second_stops_at_once_and_reports_what_is_left() {
    // A slow filter delays the drain.
    let home = Home::with(
        "[[filter]]\nname = \"slow\"\nmodule = \"slow.wasm\"\ntimeout = \"60s\"\n\
         [sink.away]\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\n",
    );
    home.put_filter("slow", &guests::module(guests::LOOP));
    let mut router = home.start();
    assert_eq!(post(&router, r#"{"message":"for a sink that is away"}"#).body, r#"{"accepted":1}"#);
    let record = format!(r#"{{"message":"{}"}}"#, guests::MARKER);
    let mut waiting = begin(&router, record.len());
    waiting.write_all(record.as_bytes()).unwrap();
    eventually("the filter is at it", || metric(&router, "weir_ingest_in_flight_bytes") > 0.0);
    let asked = Instant::now();
    router.signal("-INT");
    router.wait_for_line("drains");
    while !router.stderr().contains("stops immediately; records") {
        assert!(asked.elapsed() < Duration::from_secs(50), "it does not stop at once:\n{}", router.stderr());
        router.signal("-INT");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(asked.elapsed() >= Duration::from_secs(1));
    assert_eq!(router.wait().code(), Some(130));
    let said = router.stderr();
    assert!(said.contains("1 request is not answered"), "{said}");
    assert!(said.contains("sink `away` has 1 record undelivered"), "{said}");
}
