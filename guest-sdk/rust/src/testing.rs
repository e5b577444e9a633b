//! Running a filter natively, with no WebAssembly at all.
//!
//! A [`Bench`] gives a filter records written as JSON and shows what becomes of
//! each. It goes the way that the host goes: records are written as MessagePack,
//! the filter's verdicts are read as bytes, and patches are merged as RFC 7396
//! says. Missing `timestamp`, `level`, `source` and `message` are filled in.
//!
//! Clock, counters, log and store are fakes, one set for each thread; a new
//! bench begins with empty ones, so a test has one bench at a time.

use std::time::Duration;

pub use serde_json::{Value as Json, json};

use crate::encode::Encode;
use crate::fake;
use crate::filter::{BatchFilter, Filter, StatefulFilter};
use crate::level::Level;
use crate::output::Output;
use crate::record::Record;
use crate::value::Value;

pub use crate::fake::START_NS;

/// What became of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It went on as it was.
    Kept(Json),
    /// It ended.
    Dropped,
    /// It went on changed: the record afterwards.
    Changed {
        /// The record afterwards.
        record: Json,
        /// The merge patch that the filter wrote.
        patch: Json,
    },
    /// Another record went on in its place.
    Replaced(Json),
    /// These records went on in its place.
    Expanded(Vec<Json>),
}

impl Outcome {
    /// The one record that goes on.
    ///
    /// # Panics
    /// If none goes on, or several do: the test expected something else.
    pub fn record(&self) -> &Json {
        match self {
            Outcome::Kept(record) | Outcome::Replaced(record) => record,
            Outcome::Changed { record, .. } => record,
            other => panic!("not one record goes on, but {other:?}"),
        }
    }

    /// Whether it ended.
    pub fn is_dropped(&self) -> bool {
        *self == Outcome::Dropped
    }

    /// Whether it went on as it was.
    pub fn is_kept(&self) -> bool {
        matches!(self, Outcome::Kept(_))
    }
}

/// A filter under test.
pub struct Bench<F> {
    filter: F,
}

impl<F: BatchFilter> Bench<F> {
    /// Makes a filter with these options, written as the operator's TOML would
    /// be in JSON.
    pub fn new(options: Json) -> Result<Self, String> {
        fake::reset();
        Ok(Bench { filter: crate::options::build(&options.to_string(), F::new)? })
    }

    /// Gives it one batch.
    ///
    /// # Panics
    /// If the filter fails the batch or breaks the contract.
    pub fn run(&mut self, records: impl IntoIterator<Item = Json>) -> Vec<Outcome> {
        self.try_run(records).unwrap_or_else(|error| panic!("the filter failed: {error}"))
    }

    /// Gives it one record.
    ///
    /// # Panics
    /// As [`Bench::run`].
    pub fn run_one(&mut self, record: Json) -> Outcome {
        let mut outcomes = self.run([record]);
        outcomes.remove(0)
    }

    /// Gives it one batch; an error is the filter's own.
    ///
    /// # Panics
    /// If the filter breaks the contract.
    pub fn try_run(&mut self, records: impl IntoIterator<Item = Json>) -> Result<Vec<Outcome>, String> {
        let records: Vec<Json> = records.into_iter().map(complete).collect();
        let mut batch = Vec::new();
        for record in &records {
            record.encode(&mut batch);
        }
        let mut output = Output::new();
        self.filter.process_batch(&batch, &mut output)?;
        Ok(read_output(records, output))
    }

    /// Where the clock stands.
    pub fn now_ns(&self) -> i64 {
        fake::now()
    }

    /// Moves the clock on.
    pub fn advance(&mut self, by: Duration) {
        let by_ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        fake::with(|fake| fake.now_ns = fake.now_ns.saturating_add(by_ns));
    }

    /// A counter, 0 if it was never added to.
    pub fn counter(&self, name: &str) -> u64 {
        fake::with(|fake| fake.counters.get(name).copied().unwrap_or_default())
    }

    /// What stands in the store.
    pub fn stored(&self, key: &str) -> Option<Vec<u8>> {
        fake::kv_get(key)
    }

    /// The lines it wrote to Weir's log.
    pub fn log(&self) -> Vec<(Level, String)> {
        fake::with(|fake| fake.log.clone())
    }

    /// The filter itself.
    pub fn filter(&mut self) -> &mut F {
        &mut self.filter
    }
}

impl<F: StatefulFilter> Bench<F>
where
    F: Filter,
{
    /// Calls `tick`; returns the records it emits.
    pub fn tick(&mut self, closing: bool) -> Vec<Json> {
        let records = self.filter.tick(closing);
        let mut bytes = Vec::new();
        let count = records.len();
        records.into_iter().for_each(|record| record.write(&mut bytes));
        let mut maps = Maps { bytes: &bytes, at: 0 };
        (0..count).map(|_| maps.next()).collect()
    }

    /// The filter's state.
    pub fn save(&self) -> Vec<u8> {
        self.filter.save()
    }

    /// Gives the filter the state of another.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        self.filter.restore(state)
    }
}

/// A record as the host would hand it over.
fn complete(record: Json) -> Json {
    let Json::Object(mut record) = record else {
        panic!("a record is a JSON object, not {record}");
    };
    for (key, value) in
        [("timestamp", json!(START_NS)), ("level", json!("INFO")), ("source", json!("test")), ("message", json!(""))]
    {
        record.entry(key).or_insert(value);
    }
    Json::Object(record)
}

/// The maps of an output, one after the other.
struct Maps<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Maps<'_> {
    fn next(&mut self) -> Json {
        let (record, end) = Record::read(self.bytes, self.at)
            .unwrap_or_else(|| panic!("no MessagePack map at byte {} of the output", self.at));
        self.at = end;
        to_json(Value::Map(record.map()))
    }
}

fn read_output(records: Vec<Json>, output: Output) -> Vec<Outcome> {
    let (verdicts, bytes) = output.into_parts();
    let mut verdicts = verdicts.into_iter();
    let mut maps = Maps { bytes: &bytes, at: 0 };
    let mut outcomes = Vec::with_capacity(records.len());
    for record in records {
        outcomes.push(match verdicts.next() {
            Some(0) => Outcome::Kept(record),
            Some(1) => Outcome::Dropped,
            Some(2) => {
                let patch = maps.next();
                let mut record = record;
                merge(&mut record, &patch);
                Outcome::Changed { record, patch }
            }
            Some(3) => Outcome::Replaced(maps.next()),
            Some(4) => {
                let count: Vec<u8> = verdicts.by_ref().take(4).collect();
                let count = count.iter().rev().fold(0_u32, |n, b| n << 8 | u32::from(*b));
                Outcome::Expanded((0..count).map(|_| maps.next()).collect())
            }
            other => panic!("verdict {other:?} for record {}", outcomes.len()),
        });
    }
    assert_eq!(verdicts.next(), None, "more verdicts than records");
    assert_eq!(maps.at, bytes.len(), "more maps than the verdicts call for");
    outcomes
}

/// RFC 7396.
fn merge(target: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Json::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Json::Null), value);
        }
    }
}

/// A value as JSON. Bytes and extensions, which JSON lacks, become a list of
/// numbers; numbers that JSON lacks become null.
pub fn to_json(value: Value<'_>) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(b) => json!(b),
        Value::Int(n) => json!(n),
        Value::UInt(n) => json!(n),
        Value::Float(n) => json!(n),
        Value::Str(text) => json!(text),
        Value::Bin(data) | Value::Ext(_, data) => json!(data),
        Value::List(list) => list.iter().map(to_json).collect(),
        Value::Map(map) => map.iter().map(|(k, v)| (k.to_owned(), to_json(v))).collect(),
    }
}
