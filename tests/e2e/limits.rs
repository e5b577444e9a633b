//! Limits of addresses and tokens: what exceeds them is refused with 429 and nothing of it is stored, and others don't
//! notice. 127.0.0.2 is another address of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::clients::{Answer, curl, post, run, sqlite};
use super::router::{Home, Router, eventually};

const JSON: [&str; 4] = ["-H", "Content-Type: application/json", "--data-binary", "@-"];

/// Arguments for curl to come from the other address.
const OTHER: [&str; 2] = ["--interface", "127.0.0.2"];

fn post_from_other(router: &Router, body: &str) -> Answer {
    curl(router, "/ingest", &[&OTHER[..], &JSON[..]].concat(), body.as_bytes())
}

/// The `Retry-After` of a refusal, in seconds. It must be one, in JSON.
#[track_caller]
fn retry_after(refused: &Answer) -> u64 {
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.json()["error"].as_str().is_some_and(|error| error.contains("wait ")), "{refused:?}");
    let head = refused.head.to_lowercase();
    let seconds = head.lines().find_map(|line| line.strip_prefix("retry-after: ")).and_then(|text| text.parse().ok());
    seconds.unwrap_or_else(|| panic!("no Retry-After: {refused:?}"))
}

/// A batch of 20 records with messages of their own.
fn batch(name: &str) -> (String, Vec<String>) {
    let messages: Vec<String> = (0..20).map(|n| format!("{name}-{n}")).collect();
    let records: Vec<String> = messages.iter().map(|message| format!(r#"{{"message":"{message}"}}"#)).collect();
    (format!("[{}]", records.join(",")), messages)
}

#[test]
fn of_a_flood_exactly_what_is_acknowledged_is_stored_and_others_do_not_notice() {
    let home = Home::with("[limits]\nrecords_per_second = 200\n");
    let router = home.start();
    let started = Instant::now();
    let flood = |thread: usize| {
        let (mut acknowledged, mut refused) = (Vec::new(), 0);
        for n in 0..30 {
            let (body, messages) = batch(&format!("flood-{thread}-{n}"));
            let answer = post(&router, &body);
            if answer.status == 200 {
                assert_eq!(answer.json()["accepted"], 20, "{answer:?}");
                acknowledged.extend(messages);
            } else {
                assert!(retry_after(&answer) >= 1);
                refused += 1;
            }
        }
        (acknowledged, refused)
    };
    let (flooded, mut acknowledged) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || flood(thread))).collect();
        let mut of_other = Vec::new();
        for n in 0..8 {
            let (body, messages) = batch(&format!("other-{n}"));
            let answer = post_from_other(&router, &body);
            assert_eq!(answer.status, 200, "another address: {answer:?}");
            of_other.extend(messages);
        }
        (threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>(), of_other)
    });
    let took = started.elapsed().as_secs_f64();
    let refused: u64 = flooded.iter().map(|(_, refused)| refused).sum();
    let of_flood: usize = flooded.iter().map(|(acknowledged, _)| acknowledged.len()).sum();
    assert!(refused > 0 && of_flood >= 200, "{refused} refused, {of_flood} accepted");
    assert!(of_flood as f64 <= 200.0 * (took + 1.0) + 20.0, "{of_flood} in {took} s");
    acknowledged.extend(flooded.into_iter().flat_map(|(acknowledged, _)| acknowledged));
    // Every format is refused in JSON, like every other error; then the sender comes back when it was told to.
    let many: Vec<String> = (0..1000).map(|n| format!("many-{n}")).collect();
    let records = format!(
        "[{}]",
        many.iter().map(|message| format!(r#"{{"message":"{message}"}}"#)).collect::<Vec<_>>().join(",")
    );
    eventually("a batch for five seconds is accepted", || post(&router, &records).status == 200);
    acknowledged.extend(many);
    let msgpack = ["-H", "Content-Type: application/msgpack", "--data-binary", "@-"];
    retry_after(&curl(&router, "/ingest", &msgpack, b"\x81\xa7message\xa2hi"));
    retry_after(&curl(&router, "/v1/timeseries", &JSON, br#"{"measurement":"cpu","fields":{"n":1}}"#));
    let wait = retry_after(&post(&router, &batch("too early").0));
    std::thread::sleep(Duration::from_secs(wait));
    assert_eq!(post(&router, &batch("later").0).status, 200, "it has waited for {wait} s");
    acknowledged.extend(batch("later").1);
    let database = home.path("weir-data/logs.db");
    let count = acknowledged.len().to_string();
    eventually("all are stored", || sqlite(&database, "SELECT count(*) FROM logs") == count);
    let stored = sqlite(&database, "SELECT message FROM logs");
    let mut stored: Vec<&str> = stored.lines().collect();
    stored.sort_unstable();
    acknowledged.sort_unstable();
    assert_eq!(stored, acknowledged);
    let metrics = curl(&router, "/metrics", &[], b"").body;
    let counted = metrics.lines().find(|line| line.starts_with("weir_limited_total{") && line.contains("records"));
    let counted = counted.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default();
    assert!(refused + 3 <= counted, "{refused} and three more were refused, {counted} counted");
    assert!(router.stderr().contains("refused: 127.0.0.1 may send 200 records per second"), "{}", router.stderr());
}

/// A connection that is kept open after a request was answered on it. Without a token for an empty one.
fn connection(router: &Router, token: &str) -> (TcpStream, String) {
    let address = router.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    write!(stream, "GET /api/sinks HTTP/1.1\r\nHost: {address}\r\n{authorization}\r\n").unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    (stream, first)
}

#[test]
fn an_address_has_only_so_many_connections() {
    let home = Home::with("[limits]\nconnections = 3\n");
    let router = home.start();
    let mut held = Vec::new();
    for _ in 0..3 {
        let (stream, answer) = connection(&router, "");
        assert!(answer.contains(" 200 "), "{answer}");
        held.push(stream);
    }
    let refused = curl(&router, "/ready", &[], b"");
    assert!(retry_after(&refused) >= 1);
    assert!(refused.body.contains("127.0.0.1 may have 3 connections at a time"), "{refused:?}");
    assert_eq!(curl(&router, "/ready", &OTHER, b"").status, 200, "another address");
    drop(held.pop());
    eventually("there is room again", || curl(&router, "/ready", &[], b"").status == 200);
}

/// A live stream that has begun.
struct Stream(Child);

impl Stream {
    fn open(url: &str, arguments: &[&str]) -> Stream {
        let mut curl = Command::new("curl");
        let mut curl = curl.args(["-sSN", "-i"]).args(arguments).arg(url).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 12];
        curl.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        assert_eq!(String::from_utf8_lossy(&first), "HTTP/1.1 200");
        Stream(curl)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A router with tokens: one for each kind of limit, and `free`. Returns their headers.
fn guarded(home: &Home) -> (Router, BTreeMap<&'static str, String>) {
    let limits =
        [("streaming", "streams = 1"), ("searching", "searches = 1"), ("single", "connections = 1"), ("free", "")];
    let mut text = String::from("[live]\nlisten = \"127.0.0.1:0\"\n");
    let mut headers = BTreeMap::new();
    for (name, limit) in limits {
        std::fs::write(home.path(name), format!("the-token-that-is-called-{name}")).unwrap();
        text += &format!("[token.{name}]\nrole = \"admin\"\nfile = \"{name}\"\nlimits = {{ {limit} }}\n");
        headers.insert(name, format!("Authorization: Bearer the-token-that-is-called-{name}"));
    }
    home.configure(&text);
    (home.start(), headers)
}

#[test]
fn a_token_has_only_so_many_streams_wherever_they_are_opened() {
    let home = Home::new();
    let (mut router, headers) = guarded(&home);
    let line = router.wait_for_line("stream   ws://");
    let second_address = line.split("ws://").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let second_address = format!("http://{}/", second_address.trim_end_matches('/'));
    let tail = |name: &str, arguments: &[&str]| {
        curl(&router, "/api/tail?follow=false", &[&["-H", &headers[name]], arguments].concat(), b"")
    };
    let events = ["-H", "Accept: text/event-stream"];
    let first = Stream::open(&second_address, &[&["-H", &headers["streaming"]], &events[..]].concat());
    let refused = tail("streaming", &[]);
    assert!(retry_after(&refused) >= 1);
    assert!(refused.body.contains("the token streaming may have 1 live streams at a time"), "{refused:?}");
    let websocket = [
        "-H",
        "Connection: Upgrade",
        "-H",
        "Upgrade: websocket",
        "-H",
        "Sec-WebSocket-Version: 13",
        "-H",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    retry_after(&tail("streaming", &websocket));
    assert_eq!(tail("free", &[]).status, 200, "another token");
    drop(first);
    eventually("there is room again", || tail("streaming", &[]).status == 200);
}

#[test]
fn a_token_has_only_so_many_connections() {
    let home = Home::new();
    let (router, headers) = guarded(&home);
    let token = |name: &str| headers[name].rsplit(' ').next().unwrap().to_owned();
    let (held, answer) = connection(&router, &token("single"));
    assert!(answer.contains(" 200 "), "{answer}");
    let ask = |name: &str| curl(&router, "/api/sinks", &["-H", &headers[name]], b"");
    assert!(retry_after(&ask("single")) >= 1);
    assert_eq!(ask("free").status, 200, "another token");
    drop(held);
    eventually("there is room again", || ask("single").status == 200);
}

#[test]
fn a_token_has_only_so_many_searches() {
    let home = Home::new();
    let (router, headers) = guarded(&home);
    let records: Vec<String> = (0..10_000).map(|n| format!(r#"{{"message":"record {n}","n":{n}}}"#)).collect();
    let send = [&["-H", &headers["free"]][..], &JSON[..]].concat();
    assert_eq!(curl(&router, "/ingest", &send, format!("[{}]", records.join(",")).as_bytes()).status, 200);
    let database = home.path("weir-data/logs.db");
    eventually("all are stored", || sqlite(&database, "SELECT count(*) FROM logs") == "10000");
    // One runs, 16 wait; the others are refused, and so is one that has waited for ten seconds.
    let mut searches = Command::new("curl");
    searches.args(["-sS", "--parallel", "--parallel-immediate", "--parallel-max", "60", "-H", &headers["searching"]]);
    searches.args(["-w", "%{http_code}\\n"]);
    for _ in 0..60 {
        searches.args(["-o", "/dev/null"]).arg(format!("{}/api/fields", router.url));
    }
    let told = std::thread::scope(|scope| {
        let searching = scope.spawn(|| String::from_utf8(run(&mut searches).stdout).unwrap());
        let other = curl(&router, "/api/fields", &["-H", &headers["free"]], b"");
        assert_eq!(other.status, 200, "another token: {other:?}");
        searching.join().unwrap()
    });
    let of = |status: &str| told.lines().filter(|line| *line == status).count();
    assert_eq!(of("200") + of("429"), 60, "{told}");
    assert!(of("200") > 1 && of("429") > 0, "{told}");
    assert_eq!(curl(&router, "/api/fields", &["-H", &headers["searching"]], b"").status, 200);
}

#[test]
fn a_reload_changes_limits() {
    let home = Home::with("[limits]\nbytes_per_second = 1\n");
    let router = home.start();
    assert_eq!(post(&router, r#"{"message":"the first"}"#).status, 200);
    retry_after(&post(&router, r#"{"message":"refused"}"#));
    home.configure("[limits]\nrequests_per_second = 1000000\n");
    eventually("there is another limit", || post(&router, r#"{"message":"accepted"}"#).status == 200);
    for _ in 0..5 {
        assert_eq!(post(&router, r#"{"message":"accepted"}"#).status, 200);
    }
    std::fs::write(home.path("token"), "the-token-of-a-sender").unwrap();
    let with_token = |limits: &str| {
        home.configure(&format!("[token.sender]\nrole = \"ingest\"\nfile = \"token\"\nlimits = {{ {limits} }}\n"));
    };
    let send = || {
        let arguments = [&["-H", "Authorization: Bearer the-token-of-a-sender"][..], &JSON[..]].concat();
        curl(&router, "/ingest", &arguments, br#"{"message":"with a token"}"#).status
    };
    with_token("requests_per_second = 1");
    eventually("the token is known", || post(&router, "{}").status == 401);
    let seen: BTreeSet<u16> = (0..20).map(|_| send()).collect();
    assert!(seen.contains(&429), "{seen:?}");
    with_token("");
    eventually("its limit is gone", || (0..5).all(|_| send() == 200));
}
