//! The `http` sink against a real server on a real port that misbehaves on request.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_journal::Journal;
use weir_record::{Aliases, Batch, Defaults, Level};

use super::*;
use crate::runner::{FallbackQueues, RunnerOptions, RunningSink, State, spawn};
use crate::servers::intake::{Intake, Kind as Intakes, Next, SMALL_BODY};
use crate::sink::Delivered;
use crate::testing::{MemoryQuarantine, append, eventually, frame, journal, numbered, numbers, record};

fn built(given: Value) -> Result<Box<dyn Sink>, String> {
    let context = BuildContext { journal_id: "j1".into(), ..BuildContext::default() };
    build("out", given, &context)
}

/// Options for an intake, overridden by `more`.
fn options_for(intake: &Intake, more: Value) -> Value {
    let mut all = json!({ "url": intake.url(), "linger": "0s", "timeout": "1s", "connect_timeout": "1s" });
    let (Some(all_map), Some(more)) = (all.as_object_mut(), more.as_object()) else { panic!("objects") };
    all_map.extend(more.clone());
    all
}

/// A sink that delivers directly to an intake.
async fn sink(intake: &Intake, more: Value) -> Box<dyn Sink> {
    let mut sink = built(options_for(intake, more)).expect("builds");
    sink.start(0).await.expect("starts");
    sink
}

fn held(intake: &Intake) -> Vec<u64> {
    intake.records().iter().flat_map(|record| numbers(record["message"].as_str().expect("text"))).collect()
}

fn keys(intake: &Intake) -> Vec<String> {
    intake.taken().iter().map(|request| request.header("idempotency-key").expect("a key").to_string()).collect()
}

struct Stage {
    _folder: tempfile::TempDir,
    journal: Journal,
    cell: Arc<MemoryQuarantine>,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let journal = journal(&folder.path().join("journal"));
        Stage { _folder: folder, journal, cell: Arc::default() }
    }

    fn run(&self, given: Value) -> RunningSink {
        let runner = RunnerOptions { name: "out".into(), ..RunnerOptions::default() };
        spawn(
            runner,
            built(given).expect("builds"),
            self.journal.clone(),
            self.cell.clone(),
            &FallbackQueues::default(),
        )
        .expect("starts")
    }
}

#[test]
fn invalid_options_are_refused_by_name_without_secrets() {
    let url = "http://127.0.0.1:1/";
    for (bad, name) in [
        (json!({}), "WEIR_HTTP_URL"),
        (json!({ "url": "" }), "`url`"),
        (json!({ "url": "logs.example.com" }), "`url`"),
        (json!({ "url": url, "token": "SECRET", "user": "me" }), "`token`"),
        (json!({ "url": url, "password": "SECRET" }), "`user`"),
        (json!({ "url": url, "token": "SECRET\n" }), "`token`"),
        (json!({ "url": url, "user": "a:b", "password": "SECRET" }), "`user`"),
        (json!({ "url": url, "batch": 0 }), "`batch`"),
        (json!({ "url": url, "max_body": "1B" }), "`max_body`"),
        (json!({ "url": url, "timeout": "0s" }), "`timeout`"),
        (json!({ "url": url, "linger": "2h" }), "`linger`"),
        (json!({ "url": url, "retry_statuses": [200] }), "`retry_statuses`"),
        (json!({ "url": url, "headers": { "X": "{what}" } }), "{what}"),
        (json!({ "url": url, "idempotency_header": "a b" }), "`idempotency_header`"),
        (json!({ "url": url, "tls": { "key": "k.pem" } }), "`tls`"),
        (json!({ "url": url, "compression": "brotli" }), "brotli"),
    ] {
        let error = built(bad).map(drop).expect_err(name);
        assert!(error.starts_with("sink `out`: ") && error.contains(name), "{error}");
        assert!(!error.contains("SECRET"), "{error}");
    }
}

#[tokio::test]
async fn every_format_and_compression_carries_the_same_records() {
    let records = numbered(0..100);
    for compression in ["none", "gzip", "zstd"] {
        for (format, content_type) in
            [("json", "application/json"), ("ndjson", "application/x-ndjson"), ("msgpack", "application/msgpack")]
        {
            let intake = Intake::start(Intakes::Http);
            let more = json!({ "format": format, "compression": compression, "record_id": "id" });
            let mut sink = sink(&intake, more).await;
            assert_eq!(sink.deliver(&[frame(7, records.clone())]).await, Ok(Delivered::default()));
            let taken = intake.taken();
            assert_eq!(taken.len(), 1, "one request");
            assert_eq!(taken[0].header("content-type"), Some(content_type));
            assert_eq!(taken[0].header("content-encoding"), Some(compression).filter(|name| *name != "none"));
            assert_eq!(compression != "none", taken[0].sent_bytes < taken[0].body.len() / 3);
            let got: Vec<(String, String)> = if format == "msgpack" {
                let aliases = Aliases::default();
                let defaults = Defaults {
                    received_ns: 0,
                    source: "none",
                    level: Level::Trace,
                    context: &[],
                    aliases: &aliases,
                    keeps_routes: true,
                };
                let mut batch = Batch::new();
                weir_record::read_msgpack(&taken[0].body, &defaults, &mut batch).expect("MessagePack");
                assert!(batch.iter().all(|record| record.timestamp() == 1_700_000_000_123_456_789));
                let id = |record: Record<'_>| record.get("id").and_then(|id| id.as_str()).expect("an id").to_string();
                batch.iter().map(|record| (record.message().to_string(), id(record))).collect()
            } else {
                let records = taken[0].records();
                assert!(records.iter().all(|record| record["timestamp"] == "2023-11-14T22:13:20.123456789Z"));
                let text = |value: &Value| value.as_str().expect("text").to_string();
                records.iter().map(|record| (text(&record["message"]), text(&record["id"]))).collect()
            };
            let expected: Vec<_> = (0..100).map(|n| (format!("n={n}"), format!("j1-7-{n}"))).collect();
            assert_eq!(got, expected, "{format} {compression}");
        }
    }
}

#[tokio::test]
async fn headers_are_filled_in_and_the_key_names_first_and_last_record() {
    let intake = Intake::start(Intakes::Http);
    let more = json!({
        "token": "t0k", "headers": { "X-From": "weir {sink}", "X-Range": "{first_id} {last_id} {count}", "Content-Type": "text/x-own" }
    });
    let mut out = sink(&intake, more).await;
    out.deliver(&[frame(3, numbered(0..2)), frame(5, numbered(2..5))]).await.expect("delivers");
    let request = &intake.taken()[0];
    assert_eq!(request.header("authorization"), Some("Bearer t0k"));
    assert_eq!(request.header("x-from"), Some("weir out"));
    assert_eq!(request.header("x-range"), Some("j1-3-0 j1-5-2 5"));
    assert_eq!(request.header("content-type"), Some("text/x-own"));
    assert_eq!(request.header("idempotency-key"), Some("j1-out-3.0-5.2"));
    assert!(request.header("user-agent").is_some_and(|agent| agent.starts_with("weir/")));
    let more = json!({ "user": "me", "password": "pässwörd", "idempotency_header": "" });
    let mut out = sink(&intake, more).await;
    out.deliver(&[frame(6, numbered(0..1))]).await.expect("delivers");
    let request = &intake.taken()[1];
    assert_eq!(request.header("authorization"), Some("Basic bWU6cMOkc3N3w7ZyZA=="));
    assert_eq!(request.header("idempotency-key"), None);
}

#[tokio::test]
async fn a_record_that_has_an_id_already_keeps_it() {
    let intake = Intake::start(Intakes::Http);
    let mut batch = Batch::new();
    batch.push(&record(&[("id", "its own")], &[]));
    for format in ["json", "msgpack"] {
        let mut out = sink(&intake, json!({ "record_id": "id", "format": format })).await;
        out.deliver(&[frame(1, batch.clone())]).await.expect("delivers");
    }
    assert_eq!(intake.records()[0]["id"], "its own");
    assert_eq!(intake.taken()[1].body[5..], record(&[("id", "its own")], &[])[..], "as it was");
}

#[tokio::test]
async fn a_long_delivery_is_split_and_only_a_too_long_record_is_refused() {
    let intake = Intake::start(Intakes::Http);
    let mut out = sink(&intake, json!({ "max_body": "1KiB" })).await;
    let mut batch = numbered(0..20);
    batch.push(&record(&[("message", &"x".repeat(2000))], &[]));
    batch.extend(&numbered(20..40));
    let delivered = out.deliver(&[frame(1, batch)]).await.expect("delivers");
    let [(position, reason)] = &delivered.rejected[..] else { panic!("{delivered:?}") };
    assert_eq!(*position, Position { sequence: 1, index: 20 });
    assert!(reason.contains("`max_body`") && reason.contains("1KiB"), "{reason}");
    assert_eq!(held(&intake), (0..40).collect::<Vec<_>>());
    assert!(intake.taken().len() > 1 && intake.taken().iter().all(|request| request.body.len() <= 1024));
    assert_eq!(keys(&intake).iter().collect::<HashSet<_>>().len(), intake.taken().len(), "a key each");
}

#[tokio::test]
async fn accepted_parts_of_a_failed_delivery_are_not_sent_again() {
    let intake = Intake::start(Intakes::Http);
    let mut out = sink(&intake, json!({ "max_body": "1KiB" })).await;
    let mut batch = numbered(0..20);
    batch.push(&record(&[("message", &"x".repeat(2000))], &[]));
    batch.extend(&numbered(20..40));
    let frames = [frame(1, batch)];
    for trouble in [Next::Status(500), Next::Reset, Next::Status(400)] {
        intake.script([Next::Take, trouble]);
        let error = out.deliver(&frames).await.expect_err("the second request fails");
        assert_eq!(matches!(error, SinkError::Reject(_)), trouble == Next::Status(400), "{error}");
    }
    assert_eq!(out.deliver(&frames).await.expect("delivers").rejected.len(), 1, "named again: it was not kept before");
    assert_eq!(held(&intake), (0..40).collect::<Vec<_>>());
    out.deliver(&frames).await.expect("delivers");
    assert_eq!(held(&intake).len(), 80, "what is asked for anew is sent anew");
}

#[tokio::test]
async fn standing_in_moves_no_position_and_uses_separate_keys() {
    let intake = Intake::start(Intakes::Http);
    let mut out = sink(&intake, json!({ "max_body": "1KiB" })).await;
    let frames = [frame(1, numbered(0..30))];
    intake.script([Next::Take, Next::Status(500)]);
    out.deliver(&frames).await.expect_err("the second request fails");
    let own = held(&intake).len();
    intake.script([Next::Take, Next::Status(500)]);
    out.stand_in(&frames).await.expect_err("the second request fails");
    out.stand_in(&frames).await.expect("takes another's");
    let copies = keys(&intake).iter().filter(|key| key.ends_with("+copy")).count();
    assert_eq!(copies, keys(&intake).len() - 1);
    assert_eq!(held(&intake).len(), own * 2 + 30);
    out.deliver(&frames).await.expect("goes on");
    assert_eq!(held(&intake)[own * 2 + 30..], (own as u64..30).collect::<Vec<_>>()[..], "and only what was missing");
}

#[tokio::test]
async fn every_status_is_handled_as_configured() {
    let intake = Intake::start(Intakes::Http);
    let outcome = async |more: Value, next: Next| {
        intake.script([next]);
        sink(&intake, more).await.deliver(&[frame(1, numbered(0..2))]).await.expect_err("refused")
    };
    for status in [400, 413, 422] {
        let error = outcome(json!({}), Next::Status(status)).await;
        assert!(matches!(error, SinkError::Reject(_)), "{status}: {error:?}");
    }
    for status in [301, 307, 401, 403, 404, 405, 408, 409, 410, 425, 429, 500, 501, 502, 503, 504, 507, 599] {
        let error = outcome(json!({}), Next::Status(status)).await;
        assert!(matches!(error, SinkError::Retry(_)), "{status}: {error:?}");
        assert!(error.to_string().contains(&format!("status {status}: scripted")), "{error}");
    }
    for status in [429, 503] {
        let error = outcome(json!({}), Next::Later(status, 7)).await;
        assert!(matches!(error, SinkError::Later(_, wait) if wait == Duration::from_secs(7)), "{error:?}");
    }
    let error = outcome(json!({}), Next::Status(301)).await.to_string();
    assert!(error.contains("`url`"), "{error}");
    let own = json!({ "reject_statuses": [409] });
    assert!(matches!(outcome(own.clone(), Next::Status(409)).await, SinkError::Reject(_)));
    assert!(matches!(outcome(own.clone(), Next::Status(413)).await, SinkError::Reject(_)), "always");
    assert!(matches!(outcome(own, Next::Status(400)).await, SinkError::Retry(_)));
    let few = json!({ "retry_statuses": [503] });
    assert!(matches!(outcome(few.clone(), Next::Status(503)).await, SinkError::Retry(_)));
    assert!(matches!(outcome(few, Next::Status(500)).await, SinkError::Reject(_)));
    assert_eq!(held(&intake), [] as [u64; 0]);
}

#[tokio::test]
async fn after_any_failure_requests_are_repeated_in_order_with_the_same_key() {
    for trouble in [
        Next::Status(500),
        Next::Later(429, 1),
        Next::Hang,
        Next::Reset,
        Next::TakeAndClose,
        Next::TakeAndCut,
        Next::Status(403),
    ] {
        let intake = Intake::start(Intakes::Http);
        let stage = Stage::new();
        for n in 0..5 {
            append(&stage.journal, &numbered(n * 10..n * 10 + 10));
        }
        intake.script([Next::Take, trouble]);
        let running = stage.run(options_for(&intake, json!({ "batch": 7 })));
        eventually("all has arrived", || running.status().records == 50).await;
        // More records arrive while the failed delivery is retried.
        append(&stage.journal, &numbered(50..60));
        assert_eq!(running.stop().await.error, None);
        let (mut sent, keys) = (held(&intake), keys(&intake));
        let twice = matches!(trouble, Next::TakeAndClose | Next::TakeAndCut);
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len() - usize::from(twice), "{trouble:?} {keys:?}");
        if twice {
            assert_eq!(keys[1], keys[2], "the repetition has the key of the first attempt");
            assert_eq!(sent[7..14], sent[14..21]);
            sent.drain(14..21);
        }
        assert_eq!(sent, (0..60).collect::<Vec<_>>(), "{trouble:?}");
        assert!(stage.cell.held.lock().expect("not poisoned").is_empty());
    }
}

#[tokio::test]
async fn a_server_that_was_down_gets_everything_once_it_is_back() {
    let mut intake = Intake::start(Intakes::Http);
    let stage = Stage::new();
    let running = stage.run(options_for(&intake, json!({})));
    append(&stage.journal, &numbered(0..5));
    eventually("the first has arrived", || running.status().records == 5).await;
    intake.stop();
    append(&stage.journal, &numbered(5..10));
    eventually("it is missed", || matches!(running.status().state, State::Retrying { .. })).await;
    let state = running.status().state;
    assert!(
        matches!(&state, State::Retrying { error, .. } if error.contains("sink `out`: http://127.0.0.1:")),
        "{state:?}"
    );
    intake.again();
    eventually("it is back", || running.status().records == 10).await;
    assert_eq!(held(&intake), (0..10).collect::<Vec<_>>());
    assert_eq!(running.stop().await.error, None);
}

#[tokio::test]
async fn connecting_times_out() {
    // Nobody accepts connections; once the backlog is full, new ones get no answer.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut waiting = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
        waiting.push(stream);
        assert!(waiting.len() < 10_000, "the system lets everybody wait");
    }
    let options = json!({ "url": format!("http://{address}/"), "connect_timeout": "500ms", "timeout": "1h" });
    let mut out = built(options).expect("builds");
    let error = out.deliver(&[frame(1, numbered(0..2))]).await.expect_err("no connection");
    assert!(error.is_temporary() && error.to_string().contains("can't connect"), "{error}");
}

#[tokio::test]
async fn a_413_halves_the_delivery_and_one_bad_record_blocks_no_other() {
    let intake = Intake::start(Intakes::Http);
    let stage = Stage::new();
    append(&stage.journal, &numbered(0..16));
    // All 16 are too many, and so are the next bodies, at most half as long. Then they are half as long again, the
    // first four are accepted in two requests, and the fifth is found by halving.
    let (large, bad) = (Next::Status(413), Next::Status(422));
    intake.script([large, large, Next::Take, Next::Take, bad, bad, bad]);
    let running = stage.run(options_for(&intake, json!({})));
    eventually("all else has arrived", || running.status().records == 15).await;
    assert_eq!(running.stop().await.error, None);
    assert_eq!(held(&intake), (0..16).filter(|n| *n != 4).collect::<Vec<_>>());
    let cell = stage.cell.held.lock().expect("not poisoned");
    let [(from, reason, bytes)] = &cell[..] else { panic!("{cell:?}") };
    assert_eq!((from.as_str(), Record::new(bytes).message()), ("sink:out", "n=4"));
    assert!(reason.contains("status 422"), "{reason}");
}

#[tokio::test]
async fn a_servers_body_limit_is_learned_from_its_refusals() {
    let intake = Intake::start(Intakes::SmallHttp);
    let stage = Stage::new();
    let running = stage.run(options_for(&intake, json!({ "linger": "0s" })));
    for n in 0..20 {
        append(&stage.journal, &numbered(n * 100..n * 100 + 100));
        eventually("it has arrived", || running.status().records == n * 100 + 100).await;
    }
    assert_eq!(running.stop().await.error, None);
    assert_eq!(held(&intake), (0..2000).collect::<Vec<_>>());
    let refused = intake.refused().len();
    assert!((1..5).contains(&refused), "{refused} refusals for {} bodies", intake.taken().len());
    assert!(intake.taken().iter().skip(10).all(|request| request.body.len() <= SMALL_BODY));
    assert!(intake.taken().iter().any(|request| request.body.len() > SMALL_BODY / 3), "not needlessly small");
}
