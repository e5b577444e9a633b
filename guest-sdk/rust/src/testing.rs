//! Runs a filter natively, without WebAssembly.
//!
//! A [`Bench`] gives a filter records written as JSON and shows what happens to each.
//! It does what the host does: it encodes records as MessagePack, decodes the
//! filter's verdicts, and merges patches as RFC 7396 says. It fills in a missing
//! `timestamp`, `level`, `source` and `message`.
//!
//! Clock, counters, log and store are [`Fakes`], one set per thread. A new bench
//! resets them, so use one bench at a time.
//!
//! For a filter that holds records there is [`HoldingBench`], which can simulate a
//! crash.

mod holding;

use std::ops::Deref;
use std::time::Duration;

pub use holding::Holds;
pub use serde_json::{Value as Json, json};

use crate::encode::Encode;
use crate::fake;
use crate::filter::{BatchFilter, Filter, StatefulFilter};
use crate::level::Level;
use crate::output::Output;
use crate::record::Record;
use crate::value::Value;

pub use crate::fake::START_NS;

/// What happened to one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It went on unchanged.
    Kept(Json),
    /// It was dropped.
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
    /// It is held; these records went on in its place.
    Held(Vec<Json>),
    /// Another record is held instead; these records went on in its place.
    HeldAnother {
        /// The held record.
        held: Json,
        /// The records that went on.
        records: Vec<Json>,
    },
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

    /// All records that go on.
    pub fn into_records(self) -> Vec<Json> {
        match self {
            Outcome::Dropped => Vec::new(),
            Outcome::Kept(record) | Outcome::Replaced(record) | Outcome::Changed { record, .. } => vec![record],
            Outcome::Expanded(records) | Outcome::Held(records) | Outcome::HeldAnother { records, .. } => records,
        }
    }

    /// Whether it was dropped.
    pub fn is_dropped(&self) -> bool {
        *self == Outcome::Dropped
    }

    /// Whether it went on unchanged.
    pub fn is_kept(&self) -> bool {
        matches!(self, Outcome::Kept(_))
    }

    /// Whether it is held, and nothing went on in its place.
    pub fn is_held(&self) -> bool {
        matches!(self, Outcome::Held(records) if records.is_empty())
    }
}

/// Clock, counters, log and store for a filter under test.
#[derive(Debug)]
pub struct Fakes(());

impl Fakes {
    /// The current time of the clock.
    pub fn now_ns(&self) -> i64 {
        fake::now()
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by_ns = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        fake::with(|fake| fake.now_ns = fake.now_ns.saturating_add(by_ns));
    }

    /// The value of a counter; 0 if it does not exist.
    pub fn counter(&self, name: &str) -> u64 {
        fake::with(|fake| fake.counters.get(name).copied().unwrap_or_default())
    }

    /// A value in the store.
    pub fn stored(&self, key: &str) -> Option<Vec<u8>> {
        fake::kv_get(key)
    }

    /// The logged lines.
    pub fn log(&self) -> Vec<(Level, String)> {
        fake::with(|fake| fake.log.clone())
    }
}

/// A filter under test. `K` is the kind of filter: [`Plain`], or [`Holds`] for a
/// [`HoldingFilter`](crate::HoldingFilter).
#[derive(Debug)]
pub struct Bench<F, K = Plain> {
    filter: F,
    kind: K,
    options: Json,
    fakes: Fakes,
}

/// A bench for a filter that holds records.
pub type HoldingBench<F> = Bench<F, Holds>;

/// How to create a kind of filter and pass it a batch.
pub trait Kind<F>: Default {
    /// Creates the filter with these options.
    fn make(options: &Json) -> Result<F, String>;

    /// Passes records to the filter, each as MessagePack.
    fn give(&mut self, filter: &mut F, records: Vec<Vec<u8>>) -> Result<Vec<Outcome>, String>;
}

/// A filter that holds no records.
#[derive(Debug, Default)]
pub struct Plain;

impl<F: BatchFilter> Kind<F> for Plain {
    fn make(options: &Json) -> Result<F, String> {
        crate::options::build(&options.to_string(), F::new)
    }

    fn give(&mut self, filter: &mut F, records: Vec<Vec<u8>>) -> Result<Vec<Outcome>, String> {
        let mut output = Output::new();
        filter.process_batch(&records.concat(), &mut output)?;
        Ok(read_output(&records, output).0)
    }
}

impl<F, K> Deref for Bench<F, K> {
    type Target = Fakes;

    fn deref(&self) -> &Fakes {
        &self.fakes
    }
}

impl<F, K: Kind<F>> Bench<F, K> {
    /// Creates a filter with these options: the operator's TOML as JSON.
    pub fn new(options: Json) -> Result<Self, String> {
        fake::reset();
        let filter = K::make(&options)?;
        Ok(Bench { filter, kind: K::default(), options, fakes: Fakes(()) })
    }

    /// Like [`Bench::new`], for options that the filter must accept.
    ///
    /// # Panics
    /// If it refuses them.
    pub fn with_options(options: Json) -> Self {
        Self::new(options).unwrap_or_else(|error| panic!("the filter refused its options: {error}"))
    }

    /// Why the filter refuses these options.
    ///
    /// # Panics
    /// If it accepts them.
    pub fn refused(options: Json) -> String {
        match K::make(&options) {
            Ok(_) => panic!("the filter accepted the options {options}"),
            Err(error) => error,
        }
    }

    /// Runs one batch.
    ///
    /// # Panics
    /// If the filter fails the batch or breaks the contract.
    pub fn run(&mut self, records: impl IntoIterator<Item = Json>) -> Vec<Outcome> {
        self.try_run(records).unwrap_or_else(|error| panic!("the filter failed: {error}"))
    }

    /// Runs one record.
    ///
    /// # Panics
    /// Like [`Bench::run`].
    pub fn run_one(&mut self, record: Json) -> Outcome {
        let mut outcomes = self.run([record]);
        outcomes.remove(0)
    }

    /// Runs one batch and returns the filter's own error, if any. After an error,
    /// Weir starts a new instance of a holding filter, as [`HoldingBench::crash`]
    /// does.
    ///
    /// # Panics
    /// If the filter breaks the contract.
    pub fn try_run(&mut self, records: impl IntoIterator<Item = Json>) -> Result<Vec<Outcome>, String> {
        let encoded = |record: Json| {
            let mut bytes = Vec::new();
            complete(record).encode(&mut bytes);
            bytes
        };
        self.kind.give(&mut self.filter, records.into_iter().map(encoded).collect())
    }

    /// The filter itself.
    pub fn filter(&mut self) -> &mut F {
        &mut self.filter
    }
}

impl<F: StatefulFilter + Filter> Bench<F> {
    /// Calls `tick`; returns the records it emits.
    pub fn tick(&mut self, closing: bool) -> Vec<Json> {
        let mut bytes = Vec::new();
        self.filter.tick(closing).into_iter().for_each(|record| record.write(&mut bytes));
        Maps { bytes: &bytes, at: 0 }.rest()
    }

    /// The filter's state.
    pub fn save(&self) -> Vec<u8> {
        self.filter.save()
    }

    /// Restores the state of another filter.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        self.filter.restore(state)
    }
}

/// All records that go on, in order.
pub fn into_records(outcomes: Vec<Outcome>) -> Vec<Json> {
    outcomes.into_iter().flat_map(Outcome::into_records).collect()
}

/// The messages of records.
///
/// # Panics
/// If one has none.
pub fn messages(records: &[Json]) -> Vec<String> {
    let message = |record: &Json| record["message"].as_str().expect("a record has a message").to_owned();
    records.iter().map(message).collect()
}

/// Encodes a record as the host does.
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

/// An iterator over the maps of an output.
struct Maps<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Maps<'_> {
    fn next(&mut self) -> Json {
        let (record, len) = Record::read(&self.bytes[self.at..])
            .unwrap_or_else(|| panic!("no MessagePack map at byte {} of the output", self.at));
        self.at += len;
        to_json(Value::Map(record.map()))
    }

    fn take(&mut self, count: u32) -> Vec<Json> {
        (0..count).map(|_| self.next()).collect()
    }

    fn rest(&mut self) -> Vec<Json> {
        std::iter::from_fn(|| (self.at < self.bytes.len()).then(|| self.next())).collect()
    }
}

/// The outcome of each record, and the records to hold instead, as MessagePack,
/// in order.
fn read_output(records: &[Vec<u8>], output: Output) -> (Vec<Outcome>, Vec<Vec<u8>>) {
    let (verdicts, bytes) = output.into_parts();
    let mut verdicts = verdicts.into_iter();
    let mut maps = Maps { bytes: &bytes, at: 0 };
    let mut outcomes = Vec::with_capacity(records.len());
    let mut others = Vec::new();
    for record in records.iter().map(|record| read(record)) {
        let verdict = verdicts.next();
        let mut count = || verdicts.by_ref().take(4).enumerate().fold(0, |n, (i, b)| n | u32::from(b) << (8 * i));
        outcomes.push(match verdict {
            Some(0) => Outcome::Kept(record),
            Some(1) => Outcome::Dropped,
            Some(2) => {
                let patch = maps.next();
                let mut record = record;
                merge(&mut record, &patch);
                Outcome::Changed { record, patch }
            }
            Some(3) => Outcome::Replaced(maps.next()),
            Some(4) => Outcome::Expanded(maps.take(count())),
            Some(5) => Outcome::Held(maps.take(count())),
            Some(6) => {
                let start = maps.at;
                let held = maps.next();
                others.push(bytes[start..maps.at].to_vec());
                Outcome::HeldAnother { held, records: maps.take(count()) }
            }
            other => panic!("verdict {other:?} for record {}", outcomes.len()),
        });
    }
    assert_eq!(verdicts.next(), None, "more verdicts than records");
    assert_eq!(maps.at, bytes.len(), "more maps than the verdicts call for");
    (outcomes, others)
}

fn read(record: &[u8]) -> Json {
    Value::read(record).map(|(record, _)| to_json(record)).unwrap_or_default()
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
        Value::Array(list) => list.iter().map(to_json).collect(),
        Value::Map(map) => map.iter().map(|(k, v)| (k.to_owned(), to_json(v))).collect(),
    }
}
