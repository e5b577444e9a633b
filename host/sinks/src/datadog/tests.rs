//! The `datadog` sink against an intake that refuses the same requests as Datadog.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_record::{Batch, Record, write};

use super::*;
use crate::runner::{FallbackQueues, RunnerOptions, spawn};
use crate::servers::intake::{Intake, Kind as Intakes, Next};
use crate::servers::vendors::API_KEY;
use crate::testing::{MemoryQuarantine, append, eventually, frame, journal, numbered, numbers, record, record_at};

fn built(given: Value) -> Result<Box<dyn Sink>, String> {
    build("dd", given, &BuildContext { journal_id: "j1".into(), ..BuildContext::default() })
}

fn options_for(intake: &Intake, more: Value) -> Value {
    let mut all = json!({ "url": intake.url(), "api_key": API_KEY, "linger": "0s", "timeout": "1s" });
    let (Some(map), Some(more)) = (all.as_object_mut(), more.as_object()) else { panic!("objects") };
    map.extend(more.clone());
    all
}

async fn sink(intake: &Intake, more: Value) -> Box<dyn Sink> {
    let mut sink = built(options_for(intake, more)).expect("builds");
    sink.start(0).await.expect("starts");
    sink
}

fn batch(records: &[Vec<u8>]) -> Batch {
    let mut batch = Batch::new();
    records.iter().for_each(|record| batch.push(record));
    batch
}

/// The entries that the intake accepted for these records.
async fn entries(more: Value, records: &[Vec<u8>]) -> Vec<Value> {
    let intake = Intake::start(Intakes::Datadog);
    sink(&intake, more).await.deliver(&[frame(7, batch(records))]).await.expect("delivers");
    assert_eq!(intake.refused(), []);
    intake.records()
}

#[test]
fn invalid_options_are_refused_by_name_without_the_key() {
    for (bad, name) in [
        (json!({}), "DD_API_KEY"),
        (json!({ "api_key": " " }), "`api_key`"),
        (json!({ "api_key": "SECRET\nX" }), "`api_key`"),
        (json!({ "api_key": "SECRET", "site": "https://datadoghq.eu" }), "`site`"),
        (json!({ "api_key": "SECRET", "url": "localhost" }), "`url`"),
        (json!({ "api_key": "SECRET", "batch": 1001 }), "`batch`"),
        (json!({ "api_key": "SECRET", "timeout": "0s" }), "`timeout`"),
    ] {
        let error = built(bad).map(drop).expect_err(name);
        assert!(error.starts_with("sink `dd`: ") && error.contains(name) && !error.contains("SECRET"), "{error}");
    }
}

#[tokio::test]
async fn a_record_is_an_entry_with_datadogs_names_and_everything_else_as_attributes() {
    let head =
        [("level", "WARNING"), ("source", "api"), ("message", "slow"), ("context.user", "u1"), ("host", "web-1")];
    let entries =
        entries(json!({ "env": "prod", "version": "1.2", "tags": "team:a, region:eu" }), &[record(&head, &["audit"])])
            .await;
    let expected = json!({
        "message": "slow", "status": "warning", "service": "api", "ddsource": "weir", "timestamp": 1_700_000_000_123_u64,
        "ddtags": "team:a,region:eu,env:prod,version:1.2", "host": "web-1", "context": { "user": "u1" },
        "routes": ["audit"], "weir_id": "j1-7-0"
    });
    assert_eq!(entries, [expected]);
}

#[tokio::test]
async fn options_and_records_share_service_source_host_and_tags_as_documented() {
    let said = [("ddsource", "nginx"), ("ddtags", "a:b"), ("hostname", "web-2"), ("service", "own"), ("status", "200")];
    let both = [record(&said, &[]), record(&[], &[])];
    let own = entries(json!({ "hostname": "router", "tags": "x:y" }), &both).await;
    let expected = json!({
        "message": "hello", "status": "info", "service": "own", "logger.name": "app", "ddsource": "nginx",
        "ddtags": "x:y,a:b", "hostname": "web-2", "status_original": "200", "timestamp": 1_700_000_000_123_u64,
        "weir_id": "j1-7-0"
    });
    assert_eq!(own[0], expected);
    assert_eq!((&own[1]["hostname"], &own[1]["service"]), (&json!("router"), &json!("app")));
    let fixed = entries(json!({ "service": "shop", "ddsource": "python", "record_id": "" }), &both).await;
    assert_eq!(fixed[0]["service"], "shop");
    assert_eq!(fixed[0]["service_original"], "own");
    assert_eq!((&fixed[1]["ddsource"], &fixed[1]["logger.name"]), (&json!("python"), &json!("app")));
    assert!(fixed[1].get("weir_id").is_none() && fixed[1].get("ddtags").is_none());
}

#[tokio::test]
async fn every_level_maps_to_a_datadog_status() {
    let levels = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
    let records: Vec<_> = levels.iter().map(|level| record(&[("level", level)], &[])).collect();
    let said: Vec<_> = entries(json!({}), &records).await.iter().map(|entry| entry["status"].clone()).collect();
    assert_eq!(said, ["debug", "debug", "info", "warning", "error", "critical"]);
    let before = entries(json!({}), &[record_at(-1, &[], &[])]).await;
    assert_eq!(before[0]["timestamp"], -1);
}

#[tokio::test]
async fn a_delivery_beyond_datadogs_limits_is_split_into_requests() {
    let intake = Intake::start(Intakes::Datadog);
    let mut out = sink(&intake, json!({})).await;
    assert_eq!(out.batching().records, 1000);
    // 20 MB that gzip would make small; the limit is before compression.
    let records: Vec<_> =
        (0..100).map(|n| record(&[("message", &format!("n={n} {}", "x".repeat(200_000)))], &[])).collect();
    out.deliver(&[frame(1, batch(&records))]).await.expect("delivers");
    assert_eq!(intake.refused(), []);
    assert!(intake.taken().len() >= 4 && intake.taken().len() <= 6, "{}", intake.taken().len());
    assert!(intake.taken().iter().all(|request| request.header("content-encoding") == Some("gzip")));
    let held: Vec<_> = intake.records().iter().flat_map(|entry| numbers(&entry["message"].to_string())).collect();
    assert_eq!(held, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_too_long_entry_is_cut_with_a_mark_and_stays_within_the_limit() {
    for c in ["x", "\"", "\u{1}", "é", "\u{1f600}"] {
        let long = c.repeat(1_040_000 / c.len());
        let half = c.repeat(500_000 / c.len());
        let message = record(&[("message", &long), ("k", "v")], &[]);
        let field = record(&[("message", "short"), ("big", &long), ("k", "v")], &[]);
        let both = record(&[("message", &half), ("big", &half), ("k", "v")], &[]);
        let source = record(&[("source", &long)], &[]);
        let entries = entries(json!({}), &[message, field, both, source]).await;
        for (n, entry) in entries.iter().enumerate() {
            let length = entry.to_string().len();
            assert!(length <= limits::DATADOG_ENTRY_BYTES, "{c:?} {n}: {length}");
            assert_eq!(entry["weir_id"], format!("j1-7-{n}"));
        }
        let said = entries[0]["message"].as_str().expect("text");
        assert!(said.starts_with(c) && said.ends_with(" more bytes cut by weir]"), "{c:?}");
        assert!(entries[0].to_string().len() > limits::DATADOG_ENTRY_BYTES - 10_000, "{c:?}: as much as fits");
        assert_eq!((&entries[0]["k"], &entries[1]["k"]), (&json!("v"), &json!("v")));
        assert_eq!(entries[1]["message"], "short");
        assert_eq!(entries[1]["weir_left_out"], json!(["big"]));
        assert!(entries[3]["service"].as_str().is_some_and(
            |service| service.len() <= limits::DATADOG_LABEL_BYTES || long.len() < limits::DATADOG_ENTRY_BYTES
        ));
    }
}

#[tokio::test]
async fn of_too_many_attributes_the_smallest_are_kept() {
    let mut bytes = Vec::new();
    write::map16_header(&mut bytes, 4001);
    write::str(&mut bytes, "message");
    write::str(&mut bytes, "said");
    for n in 0..4000 {
        write::str(&mut bytes, &format!("key-{n:04}-{}", "\u{1}".repeat(20)));
        write::str(&mut bytes, &"\u{1}".repeat(n / 40));
    }
    let entries = entries(json!({}), &[bytes]).await;
    assert!(entries[0].to_string().len() <= limits::DATADOG_ENTRY_BYTES);
    assert_eq!(entries[0]["message"], "said");
    assert_eq!(entries[0]["weir_left_out"].as_array().map(Vec::len), Some(limits::DATADOG_NAMES_LEFT_OUT));
    assert_eq!(entries[0][format!("key-0001-{}", "\u{1}".repeat(20))], "");
}

#[tokio::test]
async fn every_status_has_its_outcome_and_a_wrong_key_is_reported_without_the_key() {
    let intake = Intake::start(Intakes::Datadog);
    for status in [400, 413, 422] {
        intake.script([Next::Status(status)]);
        let error = sink(&intake, json!({})).await.deliver(&[frame(1, numbered(0..2))]).await.expect_err("refused");
        assert!(matches!(error, SinkError::Reject(_)), "{status}: {error:?}");
    }
    for status in [401, 403, 404, 408, 429, 500, 502, 503, 504] {
        intake.script([Next::Status(status)]);
        let error = sink(&intake, json!({})).await.deliver(&[frame(1, numbered(0..2))]).await.expect_err("refused");
        assert!(matches!(error, SinkError::Retry(_)), "{status}: {error:?}");
    }
    intake.script([Next::Later(429, 3)]);
    let error = sink(&intake, json!({})).await.deliver(&[frame(1, numbered(0..2))]).await.expect_err("refused");
    assert!(matches!(error, SinkError::Later(_, wait) if wait == Duration::from_secs(3)), "{error:?}");
    let mut wrong = sink(&intake, json!({ "api_key": "SECRET" })).await;
    let error = wrong.deliver(&[frame(1, numbered(0..2))]).await.expect_err("refused");
    assert!(matches!(error, SinkError::Retry(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("status 403") && text.contains("`api_key`") && text.contains("DD_SITE"), "{text}");
    assert!(!text.contains("SECRET"), "{text}");
    assert_eq!(intake.records(), [] as [Value; 0]);
}

#[tokio::test]
async fn every_kind_of_failure_loses_nothing_and_keeps_the_order() {
    for trouble in [
        Next::Status(500),
        Next::Later(429, 1),
        Next::Hang,
        Next::Reset,
        Next::TakeAndClose,
        Next::TakeAndCut,
        Next::Status(413),
    ] {
        let intake = Intake::start(Intakes::Datadog);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (journal, cell) = (journal(folder.path()), Arc::new(MemoryQuarantine::default()));
        append(&journal, &numbered(0..50));
        intake.script([Next::Take, trouble]);
        let out = built(options_for(&intake, json!({ "batch": 7 }))).expect("builds");
        let runner = RunnerOptions { name: "dd".into(), ..RunnerOptions::default() };
        let running = spawn(runner, out, journal.clone(), cell.clone(), &FallbackQueues::default()).expect("starts");
        eventually("all has arrived", || running.status().records == 50).await;
        assert_eq!(running.stop().await.error, None);
        let mut entries = intake.records();
        let twice = matches!(trouble, Next::TakeAndClose | Next::TakeAndCut);
        assert_eq!(entries.len(), if twice { 57 } else { 50 }, "{trouble:?}");
        // Repeated records have their original ids.
        entries.dedup_by_key(|entry| entry["weir_id"].to_string());
        if twice {
            assert_eq!(entries[7..14], entries[14..21]);
            entries.drain(14..21);
        }
        let held: Vec<_> = entries.iter().flat_map(|entry| numbers(&entry["message"].to_string())).collect();
        assert_eq!(held, (0..50).collect::<Vec<_>>(), "{trouble:?}");
        assert!(cell.held.lock().expect("not poisoned").is_empty());
    }
}

#[tokio::test]
async fn a_refused_record_is_found_and_blocks_no_other() {
    let intake = Intake::start(Intakes::Datadog);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (journal, cell) = (journal(folder.path()), Arc::new(MemoryQuarantine::default()));
    append(&journal, &numbered(0..4));
    // All four, the first two, the first.
    intake.script([Next::Status(400), Next::Status(400), Next::Status(400)]);
    let runner = RunnerOptions { name: "dd".into(), ..RunnerOptions::default() };
    let out = built(options_for(&intake, json!({}))).expect("builds");
    let running = spawn(runner, out, journal.clone(), cell.clone(), &FallbackQueues::default()).expect("starts");
    eventually("the others have arrived", || running.status().records == 3).await;
    assert_eq!(running.stop().await.error, None);
    let held = cell.held.lock().expect("not poisoned");
    assert_eq!(held.iter().map(|(_, _, bytes)| Record::new(bytes).message()).collect::<Vec<_>>(), ["n=0"]);
    assert_eq!(intake.records().len(), 3);
}
