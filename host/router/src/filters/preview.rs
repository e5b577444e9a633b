//! Compares a module with the running version of a filter on recent records, one record at a time, so that people see
//! what would change before anything does.
//!
//! Both run in instances of their own, with a copy of the running version's state, after the filters that precede them
//! in the chain; what they put out is shown and discarded. The records themselves are not shown: they are as they came,
//! before any filter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_engine::{Chain, Engine, Filter, Outcome, Right, Worker};
use weir_record::{Batch, Record, write_json};

use super::{DesiredFilter, FilterSet, SwapError};
use crate::canary::Pair;
use crate::limits;
use crate::versions::{Versions, sha256};
use weir_filter_kit::limits::MODULE_BYTES;

/// What a comparison needs, so that it doesn't hold up the running filters.
pub struct Preview {
    engine: Arc<Engine>,
    versions: Versions,
    sample: Batch,
    wanted: DesiredFilter,
    running: Arc<Filter>,
    /// The filters before it in the chain.
    before: Vec<Arc<Filter>>,
}

impl FilterSet {
    /// Prepares the comparison of a module with the running version.
    pub fn preview(&self, name: &str) -> Result<Preview, SwapError> {
        let at = self.running.iter().position(|running| running.wanted.spec.name == name);
        let at = at.ok_or_else(|| SwapError::NoFilter(name.to_owned()))?;
        Ok(Preview {
            engine: self.shared.engine.clone(),
            versions: self.versions.clone(),
            sample: self.shared.sample.take(),
            wanted: self.running[at].wanted.clone(),
            running: self.running[at].filter.clone(),
            before: self.running[..at].iter().map(|running| running.filter.clone()).collect(),
        })
    }
}

impl Preview {
    /// Loads the module, compares, and keeps the module for a swap.
    pub fn run(&self, module: &[u8]) -> Result<Value, SwapError> {
        if module.len() as u64 > MODULE_BYTES {
            return Err(SwapError::Refused(format!("the module is longer than {MODULE_BYTES} bytes")));
        }
        let name = &self.wanted.spec.name;
        let digest = sha256(module);
        let running_module = self.versions.module(name, self.running.digest()).map_err(SwapError::Refused)?;
        let pair = Pair::load(&self.engine, &self.running, &running_module, &self.wanted.spec, module)
            .map_err(SwapError::Refused)?;
        let before = self.load_before()?;
        let compared = self.compare(&before, &pair);
        self.versions.store_candidate(name, &digest, module).map_err(SwapError::Refused)?;
        let new = &pair.canary;
        let rights = new.rights();
        let mut answer = compared.to_json();
        let described = json!({
            "name": name,
            "digest": digest,
            "version": new.description().version,
            "description": new.description().description,
            "running": { "digest": self.running.digest(), "version": self.running.description().version },
            "reads": paths(&rights.reads),
            "writes": paths(&rights.writes),
            "imports": new.imports(),
        });
        if let (Value::Object(answer), Value::Object(described)) = (&mut answer, described) {
            answer.extend(described);
        }
        Ok(answer)
    }

    /// The preceding filters in instances of their own.
    fn load_before(&self) -> Result<Chain, SwapError> {
        let shadow = |filter: &Arc<Filter>| {
            let module = self.versions.module(filter.name(), filter.digest())?;
            let spec = filter.spec().clone();
            let spec = weir_engine::FilterSpec { name: format!("{}.before", spec.name), ..spec };
            self.engine.load_shadow(&spec, &module).map_err(|error| error.to_string())
        };
        let loaded: Result<Vec<_>, String> = self.before.iter().map(shadow).collect();
        loaded.map(Chain).map_err(SwapError::Refused)
    }

    fn compare(&self, before: &Chain, pair: &Pair) -> Comparison {
        let mut worker = Worker::new(self.engine.clone());
        let (running, new) = (Chain(vec![pair.before.clone()]), Chain(vec![pair.canary.clone()]));
        let mut comparison = Comparison::default();
        let until = Instant::now() + limits::PREVIEW_TIME;
        for record in self.sample.iter() {
            let arrived = worker.run(before, one(record)).batch;
            for record in arrived.iter() {
                if Instant::now() > until {
                    comparison.is_complete = false;
                    return comparison;
                }
                let [old, new] = [&running, &new].map(|chain| {
                    let begun = Instant::now();
                    (worker.run(chain, one(record)), begun.elapsed())
                });
                comparison.add(&old, &new);
            }
        }
        comparison.is_complete = true;
        comparison
    }
}

fn one(record: Record<'_>) -> Batch {
    let mut batch = Batch::new();
    batch.push(record.as_bytes());
    batch
}

/// The paths of a right; null is everything.
pub fn paths(right: &Right) -> Value {
    json!(right.paths)
}

/// The result so far.
#[derive(Default)]
struct Comparison {
    /// Whether there was time for all records.
    is_complete: bool,
    records: u64,
    same: u64,
    failed: u64,
    running_failed: u64,
    time: Duration,
    running_time: Duration,
    differences: Vec<Value>,
}

impl Comparison {
    fn add(&mut self, (running, running_time): &(Outcome, Duration), (new, time): &(Outcome, Duration)) {
        self.records += 1;
        self.time += *time;
        self.running_time += *running_time;
        self.failed += u64::from(!new.failed.is_empty());
        self.running_failed += u64::from(!running.failed.is_empty());
        if running.batch == new.batch && running.failed.is_empty() == new.failed.is_empty() {
            self.same += 1;
        } else if self.differences.len() < limits::SHOWN_DIFFERENCES {
            self.differences.push(json!({ "running": shown(running), "new": shown(new) }));
        }
    }

    fn to_json(&self) -> Value {
        let us_per_record = |time: Duration| time.as_secs_f64() * 1e6 / self.records.max(1) as f64;
        json!({
            "complete": self.is_complete,
            "records": self.records,
            "same": self.same,
            "failed": self.failed,
            "running_failed": self.running_failed,
            "us_per_record": us_per_record(self.time),
            "running_us_per_record": us_per_record(self.running_time),
            "differences": self.differences,
        })
    }
}

/// What came out for one record.
fn shown(outcome: &Outcome) -> Value {
    let records: Vec<Value> = outcome.batch.iter().map(record_json).collect();
    json!({ "records": records, "failed": outcome.failed.first().map(|failed| &failed.reason) })
}

fn record_json(record: Record<'_>) -> Value {
    let mut text = Vec::new();
    write_json(record, &mut text);
    serde_json::from_slice(&text).unwrap_or_else(|_| String::from_utf8_lossy(&text).into())
}
