//! Kills and restarts under load at random moments, for the sinks whose servers are NATS, InfluxDB and VictoriaMetrics:
//! twenty times the server is stopped or killed and started again, twenty times Weir is killed. Afterwards, everything
//! that the journal acknowledged is there, as exactly one message each, in order, or as one point.
//!
//! Randomness decides when something is killed, never whether the test passes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use weir_journal::Journal;
use weir_record::{Batch, write};

use crate::registry::{BuildContext, kind};
use crate::runner::{FallbackQueues, RunnerOptions, RunningSink, spawn};
use crate::servers::influx::Influx;
use crate::servers::nats::Nats;
use crate::servers::victoria::Victoria;
use crate::testing::{
    ChildProcess, MemoryQuarantine, PATIENCE, append, eventually, eventually_blocking, journal, numbers, record,
};

const FOLDER: &str = "WEIR_SINKS_OUTAGE_TEST_FOLDER";
const KIND: &str = "WEIR_SINKS_OUTAGE_TEST_KIND";
const OPTIONS: &str = "WEIR_SINKS_OUTAGE_TEST_OPTIONS";
const ROUNDS: u64 = 20;
const FRAME: u64 = 50;

/// A server that can be stopped and killed.
trait Target {
    fn kind(&self) -> &'static str;
    fn options(&self) -> Value;
    fn stop(&mut self);
    fn kill(&mut self);
    fn restart(&mut self);
    /// The numbers of all records held: in the server's order, if it has one.
    fn held(&self) -> Vec<u64>;
}

impl Target for Nats {
    fn kind(&self) -> &'static str {
        "nats"
    }

    fn options(&self) -> Value {
        json!({ "url": self.url(), "stream": "LOGS", "create_stream": true, "timeout": "5s" })
    }

    fn stop(&mut self) {
        Nats::stop(self);
    }

    fn kill(&mut self) {
        Nats::kill(self);
    }

    fn restart(&mut self) {
        Nats::restart(self);
    }

    fn held(&self) -> Vec<u64> {
        numbers(&Nats::held(self, "LOGS").concat())
    }
}

impl Target for Influx {
    fn kind(&self) -> &'static str {
        "influxdb"
    }

    fn options(&self) -> Value {
        json!({ "url": self.url(), "database": "logs", "fields": ["message"], "timeout": "10s" })
    }

    fn stop(&mut self) {
        Influx::stop(self);
    }

    fn kill(&mut self) {
        Influx::kill(self);
    }

    fn restart(&mut self) {
        Influx::restart(self);
    }

    fn held(&self) -> Vec<u64> {
        let mut held = numbers(&Influx::held(self, "message").iter().map(Value::to_string).collect::<String>());
        held.sort_unstable();
        held
    }
}

impl Target for Victoria {
    fn kind(&self) -> &'static str {
        "influxdb"
    }

    fn options(&self) -> Value {
        json!({ "url": self.url(), "database": "logs", "fields": ["n"], "timeout": "10s" })
    }

    fn stop(&mut self) {
        Victoria::stop(self);
    }

    /// Stops it gracefully instead: it answers before anything is on its disk, so `kill -9` would lose what it had in
    /// memory.
    fn kill(&mut self) {
        Victoria::stop(self);
    }

    fn restart(&mut self) {
        Victoria::restart(self);
    }

    fn held(&self) -> Vec<u64> {
        let series = Victoria::held(self);
        let values = series.iter().flat_map(|series| series["values"].as_array().cloned().unwrap_or_default());
        let mut held: Vec<u64> = values.map(|value| value.as_f64().expect("a number") as u64).collect();
        held.sort_unstable();
        // It keeps both copies of a repeated point.
        held.dedup();
        held
    }
}

/// Records that contain their number in the message and as a value.
fn numbered(range: std::ops::Range<u64>) -> Batch {
    let mut batch = Batch::new();
    for n in range {
        let mut record = record(&[("message", &format!("n={n}"))], &[]);
        let entries = u16::from_be_bytes([record[1], record[2]]) + 1;
        record[1..3].copy_from_slice(&entries.to_be_bytes());
        write::str(&mut record, "n");
        write::uint(&mut record, n);
        batch.push(&record);
    }
    batch
}

fn running(name: &str, options: Value, journal: &Journal) -> RunningSink {
    let context = BuildContext { journal_id: "killed".into(), ..BuildContext::default() };
    let sink = (kind(name).expect("known").build)("sut", options, &context).expect("builds");
    let runner = RunnerOptions { name: "sut".into(), ..RunnerOptions::default() };
    spawn(runner, sink, journal.clone(), Arc::new(MemoryQuarantine::default()), &FallbackQueues::default())
        .expect("starts")
}

/// Delivers what is waiting, and compares.
fn assert_each_once(target: &dyn Target, journal: &Journal, acked: u64) {
    let total = journal.last_sequence() * FRAME;
    assert!(total >= acked, "{total} < {acked}: the journal lost what it acknowledged");
    assert!(total >= ROUNDS * FRAME, "{total} records are no load");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let sink = running(target.kind(), target.options(), journal);
    let stopped = runtime.block_on(sink.stop_within(PATIENCE));
    assert_eq!((stopped.pending_frames, stopped.error), (0, None), "{}", target.kind());
    let held = target.held();
    let differ = held.iter().zip(0..total).position(|(held, due)| *held != due);
    assert!(
        held.len() as u64 == total && differ.is_none(),
        "{}: {} of {total} records, different from {differ:?}",
        target.kind(),
        held.len()
    );
    println!("{}: {ROUNDS} blows, {total} records, {acked} acknowledged", target.kind());
}

/// The child: prints after each frame how many records are acknowledged, until it is killed.
#[test]
#[ignore = "the part of the child in the tests below"]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (kind, options) = (std::env::var(KIND).expect("set"), std::env::var(OPTIONS).expect("set"));
    let journal = journal(&Path::new(&folder).join("journal"));
    let _running = running(&kind, serde_json::from_str(&options).expect("JSON"), &journal);
    let mut next = journal.last_sequence() * FRAME;
    loop {
        append(&journal, &numbered(next..next + FRAME));
        next += FRAME;
        println!("acked {next}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill_weir_twenty_times(target: &dyn Target) {
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut acked = 0;
    for round in 0..ROUNDS {
        let kind = target.kind();
        let options = target.options().to_string();
        let child = ChildProcess::start(
            "outage::child",
            &[(FOLDER, place.path().as_os_str()), (KIND, kind.as_ref()), (OPTIONS, options.as_ref())],
        );
        // Some kills fall before the first delivery, most during deliveries, some certainly after one.
        if round % 5 == 4 {
            let before = target.held().len();
            eventually_blocking("something is delivered", || target.held().len() > before);
        }
        std::thread::sleep(Duration::from_millis(round * 37 % 400 + if round % 3 == 2 { 1000 } else { 0 }));
        acked = child.kill().max(acked);
    }
    assert_each_once(target, &journal(&place.path().join("journal")), acked);
}

fn restart_the_server_twenty_times(target: &mut dyn Target) {
    let place = tempfile::tempdir().expect("a temporary folder");
    let journal = journal(&place.path().join("journal"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sink = runtime.block_on(async { running(target.kind(), target.options(), &journal) });
    let stop = Arc::new(AtomicBool::new(false));
    let load = std::thread::spawn({
        let (journal, stop) = (journal.clone(), stop.clone());
        move || {
            let mut next = 0;
            while !stop.load(Ordering::Relaxed) {
                append(&journal, &numbered(next..next + FRAME));
                next += FRAME;
                std::thread::sleep(Duration::from_millis(5));
            }
            next
        }
    });
    for round in 0..ROUNDS {
        let before = sink.status().records;
        runtime.block_on(eventually("it goes on", || sink.status().records > before));
        std::thread::sleep(Duration::from_millis(round * 29 % 150));
        if round % 3 == 0 {
            target.stop();
        } else {
            target.kill();
        }
        // Sometimes it is back before any client has noticed.
        std::thread::sleep(Duration::from_millis(if round % 2 == 0 { 300 } else { 0 }));
        target.restart();
    }
    stop.store(true, Ordering::Relaxed);
    let acked = load.join().expect("no panic");
    runtime.block_on(sink.stop());
    assert_each_once(target, &journal, acked);
}

#[test]
fn nats_holds_each_record_once_and_in_order_after_twenty_kills_of_weir() {
    let folder = tempfile::tempdir().expect("a folder");
    kill_weir_twenty_times(&Nats::start(folder.path()));
}

#[test]
fn nats_holds_each_record_once_and_in_order_after_twenty_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    restart_the_server_twenty_times(&mut Nats::start(folder.path()));
}

#[test]
fn influxdb_holds_each_record_as_one_point_after_twenty_kills_of_weir() {
    let folder = tempfile::tempdir().expect("a folder");
    kill_weir_twenty_times(&Influx::start(folder.path()));
}

#[test]
fn influxdb_holds_each_record_as_one_point_after_twenty_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    restart_the_server_twenty_times(&mut Influx::start(folder.path()));
}

#[test]
fn victoria_metrics_holds_each_record_after_twenty_kills_of_weir() {
    let folder = tempfile::tempdir().expect("a folder");
    kill_weir_twenty_times(&Victoria::start(folder.path()));
}

#[test]
fn victoria_metrics_holds_each_record_after_twenty_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    restart_the_server_twenty_times(&mut Victoria::start(folder.path()));
}
