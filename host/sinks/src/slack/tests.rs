//! The `slack` sink against an intake that refuses what Slack would: malformed blocks, texts that are too long,
//! mentions, and more than one message a second.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_record::{Batch, Record};

use super::*;
use crate::runner::{FallbackQueues, RunnerOptions, RunningSink, spawn};
use crate::servers::intake::{Intake, Kind as Intakes, Next};
use crate::testing::{MemoryQuarantine, append, eventually, frame, journal, numbered, numbers, record};

fn built(given: Value) -> Result<Box<dyn Sink>, String> {
    build("alerts", given, &BuildContext::default())
}

fn options_for(intake: &Intake, more: Value) -> Value {
    let mut all = json!({ "url": intake.url(), "linger": "0s", "timeout": "1s" });
    let (Some(map), Some(more)) = (all.as_object_mut(), more.as_object()) else { panic!("objects") };
    map.extend(more.clone());
    all
}

async fn sink(intake: &Intake, more: Value) -> Box<dyn Sink> {
    let mut sink = built(options_for(intake, more)).expect("builds");
    sink.start(0).await.expect("starts");
    sink
}

fn shown(intake: &Intake) -> Vec<u64> {
    let blocks =
        intake.records().into_iter().flat_map(|message| message["blocks"].as_array().cloned().expect("blocks"));
    blocks.flat_map(|block| numbers(&block["text"]["text"].to_string())).collect()
}

/// The number of records in the messages: the sum of their headings.
fn counted(intake: &Intake) -> u64 {
    let count = |message: &Value| {
        let blocks = message["blocks"].as_array().expect("blocks");
        let heading = blocks[0]["text"]["text"].as_str().expect("text");
        match heading.strip_prefix('*') {
            Some(heading) => heading
                .split(", ")
                .map(|part| part.split(' ').next().unwrap_or_default())
                .map(|n| n.parse::<u64>().expect("a number"))
                .sum(),
            None => 1,
        }
    };
    intake.records().iter().map(count).sum()
}

struct Stage {
    _folder: tempfile::TempDir,
    journal: weir_journal::Journal,
    cell: Arc<MemoryQuarantine>,
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let journal = journal(folder.path());
        Stage { _folder: folder, journal, cell: Arc::default() }
    }

    fn run(&self, given: Value) -> RunningSink {
        let runner = RunnerOptions { name: "alerts".into(), ..RunnerOptions::default() };
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
fn by_default_only_errors_and_above_are_posted() {
    assert_eq!(KIND.min_level, Some(Level::Error));
}

#[test]
fn invalid_options_are_refused_by_name_without_the_webhook() {
    let url = "https://hooks.slack.com/services/SECRET";
    for (bad, name) in [
        (json!({}), "SLACK_WEBHOOK_URL"),
        (json!({ "url": "hooks.slack.com/services/SECRET" }), "`url`"),
        (json!({ "url": url, "groups": 49 }), "`groups`"),
        (json!({ "url": url, "batch": 0 }), "`batch`"),
        (json!({ "url": url, "interval": "2h" }), "`interval`"),
        (json!({ "url": url, "timeout": "0s" }), "`timeout`"),
    ] {
        let error = built(bad).map(drop).expect_err(name);
        assert!(error.starts_with("sink `alerts`: ") && error.contains(name) && !error.contains("SECRET"), "{error}");
    }
}

#[tokio::test]
async fn records_of_every_shape_make_valid_messages() {
    let intake = Intake::start(Intakes::FastSlack);
    let mut out = sink(&intake, json!({ "interval": "0s", "groups": 48 })).await;
    let mut batch = Batch::new();
    for evil in ["", "<!channel> <@U1>", "```", "\0\u{202e}\n", &"\u{1f600}&".repeat(50_000)] {
        batch.push(&record(&[("source", evil), ("message", evil), ("k", evil), (evil, "<!here>")], &[]));
    }
    batch.push(&[0xde, 0, 0]);
    batch.extend(&numbered(0..100));
    out.deliver(&[frame(1, batch)]).await.expect("taken");
    assert_eq!(intake.refused(), []);
    assert_eq!((intake.taken().len(), counted(&intake)), (1, 106));
}

#[tokio::test]
async fn a_flood_becomes_at_most_one_message_a_second_covering_every_record() {
    // It answers 429 to a request less than a second after the last one.
    let intake = Intake::start(Intakes::Slack);
    let stage = Stage::new();
    let running = stage.run(options_for(&intake, json!({})));
    for n in 0..100 {
        append(&stage.journal, &numbered(n * 100..n * 100 + 100));
    }
    eventually("all are spoken for", || running.status().records == 10_000).await;
    assert_eq!(running.stop().await.error, None);
    assert_eq!(intake.refused(), [], "the pace was kept");
    assert_eq!(counted(&intake), 10_000);
    let taken = intake.taken();
    assert!(taken.windows(2).all(|two| two[1].at - two[0].at >= Duration::from_secs(1)));
    // The number depends on how fast they arrived, but each message took all waiting records.
    let most = 2 + taken.windows(2).map(|two| (two[1].at - two[0].at).as_secs() as usize).sum::<usize>();
    assert!(taken.len() <= most && taken.len() < 100, "{} messages", taken.len());
    assert!(intake.records().iter().all(|message| message["blocks"].as_array().is_some_and(|b| b.len() <= 22)));
}

#[tokio::test]
async fn a_429_is_waited_out_and_other_failures_are_retried_in_order() {
    for trouble in [
        Next::Later(429, 2),
        Next::Status(500),
        Next::Hang,
        Next::Reset,
        Next::TakeAndClose,
        Next::TakeAndCut,
        Next::Status(404),
    ] {
        let intake = Intake::start(Intakes::Slack);
        let stage = Stage::new();
        append(&stage.journal, &numbered(0..9));
        intake.script([Next::Take, trouble]);
        let running = stage.run(options_for(&intake, json!({ "batch": 3 })));
        eventually("all has arrived", || running.status().records == 9).await;
        assert_eq!(running.stop().await.error, None);
        let twice = matches!(trouble, Next::TakeAndClose | Next::TakeAndCut);
        let expected: Vec<u64> = if twice { (0..6).chain(3..9).collect() } else { (0..9).collect() };
        assert_eq!(shown(&intake), expected, "{trouble:?}");
        if let Next::Later(_, seconds) = trouble {
            let taken = intake.taken();
            assert!(taken[1].at - taken[0].at >= Duration::from_secs(seconds), "Retry-After is honoured");
        }
        assert!(stage.cell.held.lock().expect("not poisoned").is_empty());
    }
}

#[tokio::test]
async fn a_malformed_record_is_found_and_blocks_no_other() {
    let intake = Intake::start(Intakes::FastSlack);
    let stage = Stage::new();
    append(&stage.journal, &numbered(0..4));
    intake.script([Next::Status(400), Next::Status(400), Next::Status(400)]);
    let running = stage.run(options_for(&intake, json!({ "interval": "0s" })));
    eventually("the others have arrived", || running.status().records == 3).await;
    assert_eq!(running.stop().await.error, None);
    assert_eq!(shown(&intake), [1, 2, 3]);
    let held = stage.cell.held.lock().expect("not poisoned");
    assert_eq!(held.iter().map(|(_, _, bytes)| Record::new(bytes).message()).collect::<Vec<_>>(), ["n=0"]);
}

#[tokio::test]
async fn errors_name_sink_and_server_but_not_the_webhook() {
    let mut intake = Intake::start(Intakes::FastSlack);
    let mut out = sink(&intake, json!({ "interval": "0s" })).await;
    for next in [Next::Status(403), Next::Status(404), Next::Status(410), Next::Status(500), Next::Hang, Next::Reset] {
        intake.script([next]);
        let error = out.deliver(&[frame(1, numbered(0..1))]).await.expect_err("refused");
        let text = error.to_string();
        assert!(error.is_temporary() && text.starts_with("sink `alerts`: http://127.0.0.1:"), "{text}");
        assert!(!text.contains("SECRET") && !text.contains("/services"), "{text}");
        assert_eq!(text.contains("`url`"), matches!(next, Next::Status(403 | 404 | 410)), "{text}");
    }
    intake.stop();
    let text = out.deliver(&[frame(1, numbered(0..1))]).await.expect_err("nobody listens").to_string();
    assert!(text.contains("can't connect") && !text.contains("SECRET"), "{text}");
}
