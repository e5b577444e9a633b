//! Trials of new filter versions. A new version runs on copies of a share of the live batches next to the version that
//! it is to replace; its output is discarded.
//!
//! The new version is compared with a second instance of the running version. One thread gives both the same batches in
//! turn, so that other load on the machine doesn't affect the result. If the filter is stateful, both start with a copy
//! of the running version's state and receive the same ticks. Their stores, logs and counters are separate and
//! discarded. `/metrics` shows both instances as `NAME.canary` and `NAME.before`, and `/health` shows the state of the
//! trial.
//!
//! A trial ends when its time is over, or early if the new version fails the comparison ([`Tally::judge`]).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_engine::{Chain, Engine, Filter, FilterSpec, OnError, Outcome, Subscription, Worker};
use weir_record::Batch;

use crate::config::CanarySettings;
use crate::wiring::lock;
use crate::{limits, versions};

/// A running trial. Dropping it ends the trial without a verdict.
pub struct Canary {
    pub status: Arc<TrialStatus>,
}

/// The current state of a trial.
pub struct TrialStatus {
    digest: String,
    version: String,
    /// In RFC 3339.
    until: String,
    over: AtomicBool,
    tally: Mutex<Tally>,
}

/// The result of a trial.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Promote(String),
    Reject(String),
}

/// The two versions, loaded for the trial.
pub struct Pair {
    pub before: Arc<Filter>,
    pub canary: Arc<Filter>,
}

impl Pair {
    /// Loads both and copies the running version's state, if it has any.
    pub fn load(
        engine: &Arc<Engine>,
        running: &Filter,
        running_module: &[u8],
        spec: &FilterSpec,
        module: &[u8],
    ) -> Result<Self, String> {
        let shadow = |spec: &FilterSpec, kind, module| {
            let name = format!("{}.{kind}", spec.name);
            // So that failures are reported; nothing is written to the quarantine.
            let spec = FilterSpec { name, on_error: OnError::Quarantine, ..spec.clone() };
            engine.load_shadow(&spec, module).map_err(|error| error.to_string())
        };
        let pair =
            Self { before: shadow(running.spec(), "before", running_module)?, canary: shadow(spec, "canary", module)? };
        for version in [&pair.before, &pair.canary] {
            running.copy_state(version).map_err(|error| error.to_string())?;
        }
        Ok(pair)
    }

    /// The initial status of a trial of this pair.
    pub fn status(&self, settings: &CanarySettings) -> Arc<TrialStatus> {
        let time_ns = i64::try_from(settings.time.as_nanos()).unwrap_or(i64::MAX);
        Arc::new(TrialStatus {
            digest: self.canary.digest().to_owned(),
            version: self.canary.description().version.clone(),
            until: versions::at(weir_record::time::now_ns().saturating_add(time_ns)),
            over: AtomicBool::new(false),
            tally: Mutex::default(),
        })
    }
}

impl TrialStatus {
    /// The status for `/health`.
    pub fn to_json(&self) -> Value {
        let tally = lock(&self.tally).clone();
        let side = |side: &Side| {
            json!({
                "failed": side.failed,
                "came_out": side.out,
                "us_per_record": tally.ns_per_record(side) / 1e3,
            })
        };
        json!({
            "digest": self.digest,
            "version": self.version,
            "until": self.until,
            "records": tally.records,
            "came_out_otherwise": tally.differ,
            "canary": side(&tally.new),
            "before": side(&tally.old),
            "so_far": tally.to_string(),
        })
    }
}

impl Canary {
    /// Starts a trial on its own thread, which calls `decided` with the verdict.
    pub fn start(
        running: &Arc<Filter>,
        pair: Pair,
        status: Arc<TrialStatus>,
        settings: CanarySettings,
        engine: Arc<Engine>,
        decided: impl FnOnce(Verdict) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (running, stands) = (running.clone(), status.clone());
        std::thread::Builder::new().name("weir-canary".into()).spawn(move || {
            let subscription = running.subscribe(settings.share_ppm);
            let compared = catch_unwind(AssertUnwindSafe(|| compare(&subscription, &pair, &settings, engine, &stands)));
            let verdict = compared.unwrap_or_else(|_| Some(Verdict::Reject("the trial ended unexpectedly".to_owned())));
            drop((subscription, pair));
            if let Some(verdict) = verdict {
                decided(verdict);
            }
        })?;
        Ok(Self { status })
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.status.over.store(true, Ordering::Relaxed);
    }
}

/// Runs both versions until there is a verdict; `None` if the trial was cancelled.
fn compare(
    subscription: &Subscription,
    pair: &Pair,
    settings: &CanarySettings,
    engine: Arc<Engine>,
    status: &TrialStatus,
) -> Option<Verdict> {
    let until = Instant::now() + settings.time;
    let mut next_tick = Instant::now() + limits::TICK;
    let mut worker = Worker::new(engine);
    let (before, canary) = (Chain(vec![pair.before.clone()]), Chain(vec![pair.canary.clone()]));
    // The versions alternate in running first, because the second finds the batch in the CPU cache.
    let mut canary_first = false;
    loop {
        if status.over.load(Ordering::Relaxed) {
            return None;
        }
        if Instant::now() >= next_tick {
            next_tick = Instant::now() + limits::TICK;
            let [old, new] = [&before, &canary].map(|chain| worker.tick(chain, false));
            lock(&status.tally).add_tick(old, new);
        }
        let left = until.saturating_duration_since(Instant::now());
        match subscription.batches.recv_timeout(left.min(limits::CANARY_LOOK)) {
            Ok(batch) => {
                let mut run = |chain: &Chain| timed(&mut worker, chain, &batch);
                let (old, new) = match canary_first {
                    true => {
                        let new = run(&canary);
                        (run(&before), new)
                    }
                    false => (run(&before), run(&canary)),
                };
                canary_first = !canary_first;
                lock(&status.tally).add(&batch, &old, &new);
            }
            Err(RecvTimeoutError::Timeout) => {}
            // Another trial has replaced this one.
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        let is_over = Instant::now() >= until;
        let tally = lock(&status.tally);
        if is_over || tally.records >= limits::CANARY_EARLY_RECORDS {
            match tally.judge(settings) {
                Some(reason) => return Some(Verdict::Reject(format!("{reason}; {tally}"))),
                None if is_over => return Some(Verdict::Promote(tally.to_string())),
                None => {}
            }
        }
    }
}

fn timed(worker: &mut Worker, chain: &Chain, batch: &Batch) -> (Outcome, Duration) {
    let copy = batch.clone();
    let start = Instant::now();
    (worker.run(chain, copy), start.elapsed())
}

/// Results of both versions so far.
#[derive(Debug, Default, Clone)]
struct Tally {
    records: u64,
    /// Records with different output.
    differ: u64,
    old: Side,
    new: Side,
}

#[derive(Debug, Default, Clone)]
struct Side {
    failed: u64,
    out: u64,
    time: Duration,
    /// Reason of the last failure.
    reason: String,
}

impl Tally {
    fn add(&mut self, batch: &Batch, old: &(Outcome, Duration), new: &(Outcome, Duration)) {
        self.records += batch.len() as u64;
        for (side, (outcome, time)) in [(&mut self.old, old), (&mut self.new, new)] {
            side.failed += outcome.failed.len() as u64;
            side.out += outcome.batch.len() as u64;
            side.time += *time;
            if let Some(failed) = outcome.failed.last() {
                side.reason.clone_from(&failed.reason);
            }
        }
        let (old, new) = (&old.0.batch, &new.0.batch);
        if old != new {
            let pairs = old.iter().zip(new.iter()).filter(|(old, new)| old != new).count();
            self.differ += (pairs + old.len().abs_diff(new.len())) as u64;
        }
    }

    /// Adds a tick of both: the records that it emitted; a failed tick counts as one failed record. The records contain
    /// the time of their creation, so they are not compared.
    fn add_tick(&mut self, old: Outcome, new: Outcome) {
        for (side, outcome) in [(&mut self.old, old), (&mut self.new, new)] {
            side.out += outcome.batch.len() as u64;
            if let Some(reason) = outcome.tick_failed {
                side.failed += 1;
                side.reason = reason;
            }
        }
    }

    /// Why the new version must be rejected, if it must.
    fn judge(&self, settings: &CanarySettings) -> Option<String> {
        if self.records == 0 {
            return None;
        }
        let share = |count: u64| count as f64 / self.records as f64;
        let (old, new) = (&self.old, &self.new);
        if share(new.failed) > share(old.failed) + settings.errors {
            return Some(format!(
                "it failed on {} of the records, the running version on {}: {}",
                percent(share(new.failed)),
                percent(share(old.failed)),
                new.reason
            ));
        }
        if share(new.out) + settings.drops < share(old.out) {
            return Some(format!(
                "it emitted {:.1} records per 100, the running version {:.1}",
                100.0 * share(new.out),
                100.0 * share(old.out)
            ));
        }
        let (old_ns, new_ns) = (self.ns_per_record(old), self.ns_per_record(new));
        if new_ns > old_ns * settings.slowdown && new_ns - old_ns > limits::CANARY_SLOWER_NS {
            return Some(format!("it took {:.0} µs per record, the running version {:.0}", new_ns / 1e3, old_ns / 1e3));
        }
        None
    }

    fn ns_per_record(&self, side: &Side) -> f64 {
        side.time.as_nanos() as f64 / self.records.max(1) as f64
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.records == 0 {
            return f.write_str("there was no record to compare");
        }
        write!(
            f,
            "{} records compared, {} with different output, {:.1} µs per record instead of {:.1}",
            self.records,
            self.differ,
            self.ns_per_record(&self.new) / 1e3,
            self.ns_per_record(&self.old) / 1e3
        )
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: CanarySettings =
        CanarySettings { share_ppm: 1_000_000, time: Duration::from_secs(1), errors: 0.01, drops: 0.05, slowdown: 3.0 };

    fn side(failed: u64, out: u64, time_us: u64) -> Side {
        Side { failed, out, time: Duration::from_micros(time_us), reason: "it trapped".into() }
    }

    fn judged(old: Side, new: Side) -> String {
        Tally { records: 1000, differ: 0, old, new }.judge(&SETTINGS).unwrap_or_default()
    }

    #[test]
    fn a_version_is_rejected_when_it_exceeds_a_threshold() {
        assert_eq!(judged(side(0, 1000, 1000), side(0, 1000, 1000)), "");
        assert_eq!(judged(side(0, 1000, 1000), side(10, 990, 1000)), "");
        assert!(judged(side(0, 1000, 1000), side(11, 989, 1000)).contains("failed on 1.1 %"));
        assert_eq!(judged(side(200, 800, 1000), side(205, 795, 1000)), "", "the running one fails as well");
        assert_eq!(judged(side(0, 1000, 1000), side(0, 950, 1000)), "");
        assert!(judged(side(0, 1000, 1000), side(0, 949, 1000)).contains("94.9 records per 100"));
        assert_eq!(judged(side(0, 500, 1000), side(0, 1000, 1000)), "", "more may come out");
        assert_eq!(judged(side(0, 1000, 1000), side(0, 1000, 20_000)), "", "20 µs a record is nothing");
        assert!(judged(side(0, 1000, 1000), side(0, 1000, 22_000)).contains("it took 22 µs"));
        assert_eq!(judged(side(0, 1000, 50_000), side(0, 1000, 150_000)), "", "three times");
        assert_eq!(Tally::default().judge(&SETTINGS), None);
    }
}
