//! Real `kill -9` for the sinks that post: a child process appends and delivers to intakes of this process. Twenty
//! times, each intake is stopped while it receives requests and started again, and the child is killed: while the
//! intakes are down, right after they are back, or after the first retries. Afterwards, everything that the journal
//! acknowledged has arrived, in order, and repeated records have the same ids.
//!
//! Randomness decides when the process is killed, never whether the test passes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::registry::{BuildContext, kind};
use crate::runner::{FallbackQueues, RunnerOptions, RunningSink, spawn};
use crate::servers::intake::{Intake, Kind};
use crate::servers::vendors::API_KEY;
use crate::testing::{
    ChildProcess, MemoryQuarantine, PATIENCE, append, eventually_blocking, journal, numbered, numbers,
};

const FOLDER: &str = "WEIR_SINKS_POSTING_TEST_FOLDER";
const SINKS: &str = "WEIR_SINKS_POSTING_TEST_SINKS";
const UNTIL: &str = "WEIR_SINKS_POSTING_TEST_UNTIL";
const ROUNDS: u64 = 20;
const FRAME: u64 = 15;
/// Maximum number of records per round: 20 rounds stay below 10,000, numbers that Slack's digest keeps apart.
const ROUND: u64 = 450;

fn start_all(folder: &Path, sinks: &Value, journal: &weir_journal::Journal) -> Vec<RunningSink> {
    let context =
        BuildContext { data: folder.into(), base: folder.into(), journal_id: "j1".into(), ..Default::default() };
    let start = |(name, options): (&String, &Value)| {
        let sink = (kind(name).expect("known").build)(name, options.clone(), &context).expect("builds");
        let runner = RunnerOptions { name: name.into(), ..RunnerOptions::default() };
        spawn(runner, sink, journal.clone(), Arc::new(MemoryQuarantine::default()), &FallbackQueues::default())
            .expect("starts")
    };
    sinks.as_object().expect("options by kind").iter().map(start).collect()
}

/// The child: prints after each frame how many records are acknowledged, until it is killed.
#[test]
#[ignore = "the part of the child in the test below"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (sinks, until) = (std::env::var(SINKS).expect("set"), std::env::var(UNTIL).expect("set"));
    let until: u64 = until.parse().expect("a number");
    let folder = Path::new(&folder);
    let journal = journal(&folder.join("journal"));
    let running = start_all(folder, &serde_json::from_str(&sinks).expect("JSON"), &journal);
    let mut next = journal.last_sequence() * FRAME;
    println!("acked {next}");
    while next + FRAME <= until {
        append(&journal, &numbered(next..next + FRAME));
        next += FRAME;
        println!("acked {next}");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(running.len(), 3);
    loop {
        std::thread::park();
    }
}

/// Runs a child until it is killed. Returns the number of records that it reported as acknowledged.
fn round(n: u64, folder: &Path, sinks: &Value, intakes: &mut [Intake; 3]) -> u64 {
    let sinks = sinks.to_string();
    let until = (ROUND * (n + 1)).to_string();
    let before = intakes.each_ref().map(Intake::requests);
    let child = ChildProcess::start(
        "kill_posting::child",
        &[(FOLDER, folder.as_os_str()), (SINKS, sinks.as_ref()), (UNTIL, until.as_ref())],
    );
    std::thread::scope(|scope| {
        for (k, (intake, before)) in (0..).zip(intakes.iter_mut().zip(before)) {
            scope.spawn(move || {
                eventually_blocking("the sink posts", || intake.requests() > before);
                std::thread::sleep(Duration::from_millis((n * 37 + k * 11) % 25));
                intake.stop();
            });
        }
    });
    let moment = Duration::from_millis(3 + n * 37 % 60);
    match n % 3 {
        0 => {
            std::thread::sleep(moment);
            let acked = child.kill();
            intakes.iter_mut().for_each(Intake::again);
            acked
        }
        after => {
            std::thread::sleep(moment);
            intakes.iter_mut().for_each(Intake::again);
            std::thread::sleep(if after == 1 { moment } else { Duration::from_millis(1200) });
            child.kill()
        }
    }
}

/// Checks that every number has arrived, the first arrivals are in order, and repetitions have the same id.
fn check(name: &str, held: &[(u64, Option<String>)], total: u64) -> usize {
    let mut known: HashMap<u64, &Option<String>> = HashMap::new();
    let mut first = Vec::new();
    for (number, id) in held {
        match known.get(number) {
            Some(before) => assert_eq!(*before, id, "{name}: {number} came again under another id"),
            None => {
                known.insert(*number, id);
                first.push(*number);
            }
        }
    }
    assert!(first.is_sorted(), "{name}: what was new overtook what was before it");
    assert_eq!(first.len() as u64, total, "{name}: some never arrived");
    held.len() - first.len()
}

fn identified(intake: &Intake, field: &str) -> Vec<(u64, Option<String>)> {
    let one = |record: &Value| (numbers(&record["message"].to_string())[0], record[field].as_str().map(str::to_string));
    intake.records().iter().map(one).collect()
}

fn check_all(http: &Intake, datadog: &Intake, slack: &Intake, total: u64) {
    let posted = identified(http, "id");
    assert!(posted.iter().all(|(n, id)| *id == Some(format!("j1-{}-{}", n / FRAME + 1, n % FRAME))));
    let twice = check("http", &posted, total);
    let mut bodies: HashMap<String, Vec<u8>> = HashMap::new();
    for request in http.taken() {
        let key = request.header("idempotency-key").expect("a key").to_string();
        let body = request.body.clone();
        assert_eq!(*bodies.entry(key).or_insert_with(|| body.clone()), body, "one key, one body");
    }
    let entries = identified(datadog, "weir_id");
    assert!(entries.iter().all(|(_, id)| id.is_some()));
    let entries_twice = check("datadog", &entries, total);
    let blocks = slack.records().into_iter().flat_map(|message| message["blocks"].as_array().cloned().expect("blocks"));
    let shown: Vec<_> =
        blocks.flat_map(|block| numbers(&block["text"]["text"].to_string())).map(|number| (number, None)).collect();
    let shown_twice = check("slack", &shown, total);
    println!("again: http {twice}, datadog {entries_twice}, slack {shown_twice}");
}

#[test]
fn twenty_kills_and_twenty_restarts_of_each_server_lose_nothing_and_repeats_are_recognisable() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut intakes = [Kind::Http, Kind::Datadog, Kind::FastSlack].map(Intake::start);
    let [http, datadog, slack] = intakes.each_ref().map(Intake::url);
    let sinks = json!({
        "http": { "url": http, "linger": "0s", "batch": 50, "record_id": "id", "compression": "zstd" },
        "datadog": { "url": datadog, "linger": "0s", "batch": 50, "api_key": API_KEY },
        "slack": { "url": slack, "linger": "0s", "batch": 40, "groups": 40, "interval": "0s" },
    });
    let mut acked = 0;
    for n in 0..ROUNDS {
        acked = round(n, place.path(), &sinks, &mut intakes).max(acked);
    }
    let journal = journal(&place.path().join("journal"));
    // The records that the kills kept the children from appending.
    for next in journal.last_sequence()..ROUNDS * ROUND / FRAME {
        append(&journal, &numbered(next * FRAME..(next + 1) * FRAME));
    }
    let total = journal.last_sequence() * FRAME;
    assert!(total >= acked, "{total} < {acked}: the journal lost what it acknowledged");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for running in start_all(place.path(), &sinks, &journal) {
        let stopped = runtime.block_on(running.stop_within(PATIENCE));
        assert_eq!((stopped.pending_frames, stopped.error), (0, None), "{}", stopped.name);
    }
    intakes.iter().for_each(|intake| assert_eq!(intake.refused(), []));
    let [http, datadog, slack] = &intakes;
    check_all(http, datadog, slack, total);
    println!("{ROUNDS} kills and restarts of each server, {total} records, {acked} acknowledged");
}
