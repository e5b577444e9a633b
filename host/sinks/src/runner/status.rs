//! The health and metrics of a sink, for people (`Status`) and for `/metrics`.
//!
//! The runner writes, anyone may read. A reader never waits for a delivery.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use serde::Serialize;
use weir_journal::Journal;
use weir_record::time::{format_rfc3339, now_ns};

use crate::limits;
use crate::text::escaped;

/// The state of a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Not ready yet.
    Starting,
    /// Delivering, or waiting for records.
    Ok,
    /// A delivery failed and is being retried.
    Retrying {
        /// When the series of failures began, in nanoseconds since 1970 UTC.
        since_ns: i64,
        /// The last failure.
        error: String,
    },
    /// Nothing is retried until an operator has acted.
    Failed {
        /// The reason.
        error: String,
    },
    /// Stopped on request.
    Stopped,
}

/// What an error led to: a small set, suitable as a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// The delivery is retried.
    Retry,
    /// Nothing is retried until an operator has acted.
    Fatal,
    /// One record went to quarantine.
    Rejected,
}

impl ErrorKind {
    fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Retry => "retry",
            ErrorKind::Fatal => "fatal",
            ErrorKind::Rejected => "rejected",
        }
    }
}

/// A sink's health and numbers at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The sink's name in the configuration.
    pub name: String,
    /// Its state.
    #[serde(flatten)]
    pub state: State,
    /// Frames of the journal that are waiting for it.
    pub lag_frames: u64,
    /// Age of the records that it delivered last, while more are waiting.
    pub lag_seconds: f64,
    /// Records that it took since the start, including those of other sinks.
    pub records: u64,
    /// How many of them it took in place of failing sinks.
    pub for_others: u64,
    /// Records that went to quarantine since the start.
    pub rejected: u64,
    /// Failed attempts since the start.
    pub errors: u64,
    /// The last error of any kind, even if the failure is over.
    pub last_error: Option<String>,
    /// What it led to.
    pub last_error_kind: Option<ErrorKind>,
    /// When it happened, in RFC 3339.
    pub last_error_time: Option<String>,
    /// The same time in nanoseconds since 1970 UTC.
    pub last_error_ns: Option<i64>,
    /// The sink that takes its records while it fails, and how many records other sinks took since the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackStatus>,
}

/// Records that went to other sinks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FallbackStatus {
    /// The sink that took records last.
    pub to: String,
    /// Records since the start.
    pub records: u64,
}

struct Inner {
    state: State,
    delivered: u64,
    delivered_time_ns: i64,
    records: u64,
    for_others: u64,
    rejected: u64,
    errors: u64,
    last_error: Option<LastError>,
    failing_since_ns: Option<i64>,
    fallback: Option<FallbackStatus>,
    has_panicked: bool,
}

struct LastError {
    text: String,
    kind: ErrorKind,
    at_ns: i64,
}

/// The shared status that the runner updates.
#[derive(Clone)]
pub(crate) struct StatusTracker {
    name: Arc<str>,
    inner: Arc<Mutex<Inner>>,
    numbers: Arc<Metrics>,
}

struct Metrics {
    records: Counter,
    rejected: Counter,
    skipped: Counter,
    retry_errors: Counter,
    fatal_errors: Counter,
    lag_frames: Gauge,
    lag_seconds: Gauge,
    up: Gauge,
    seconds: Histogram,
}

/// Describes the sinks' metrics. The binary calls it once.
pub fn describe_metrics() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!("weir_sink_records_total", "Records that a sink has taken");
    describe_counter!(
        "weir_sink_rejected_records_total",
        "Records that a sink can never take; they went to quarantine"
    );
    describe_counter!(
        "weir_sink_skipped_records_total",
        "Records that the journal's disk limit removed before a sink delivered them"
    );
    describe_counter!("weir_sink_errors_total", "Failed attempts of a sink by kind: retry or fatal");
    describe_counter!(
        "weir_sink_fallback_records_total",
        "Records that went to another sink while their own was failing"
    );
    describe_gauge!("weir_sink_lag_frames", "Journal frames waiting for a sink");
    describe_gauge!(
        "weir_sink_lag_seconds",
        Unit::Seconds,
        "Age of the records that a sink delivered last, while more are waiting"
    );
    describe_gauge!("weir_sink_up", "1 while a sink works, 0 while it retries or has failed");
    describe_gauge!(
        "weir_sink_last_error_timestamp_seconds",
        Unit::Seconds,
        "Time of the last error of a sink by kind: retry, fatal or rejected (one record); absent if there was none"
    );
    describe_histogram!("weir_sink_delivery_seconds", Unit::Seconds, "Time of one delivery to a sink");
    crate::influxdb::describe_metrics();
    crate::prometheus::describe_metrics();
}

impl StatusTracker {
    pub fn new(name: &str, delivered: u64) -> StatusTracker {
        let sink = name.to_string();
        let numbers = Metrics {
            records: counter!("weir_sink_records_total", "sink" => sink.clone()),
            rejected: counter!("weir_sink_rejected_records_total", "sink" => sink.clone()),
            skipped: counter!("weir_sink_skipped_records_total", "sink" => sink.clone()),
            retry_errors: counter!("weir_sink_errors_total", "sink" => sink.clone(), "kind" => "retry"),
            fatal_errors: counter!("weir_sink_errors_total", "sink" => sink.clone(), "kind" => "fatal"),
            lag_frames: gauge!("weir_sink_lag_frames", "sink" => sink.clone()),
            lag_seconds: gauge!("weir_sink_lag_seconds", "sink" => sink.clone()),
            up: gauge!("weir_sink_up", "sink" => sink.clone()),
            seconds: histogram!("weir_sink_delivery_seconds", "sink" => sink),
        };
        let inner = Inner {
            state: State::Starting,
            delivered,
            delivered_time_ns: now_ns(),
            records: 0,
            for_others: 0,
            rejected: 0,
            errors: 0,
            last_error: None,
            failing_since_ns: None,
            fallback: None,
            has_panicked: false,
        };
        StatusTracker { name: name.into(), inner: Arc::new(Mutex::new(inner)), numbers: Arc::new(numbers) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change below is complete in itself, so a panic elsewhere leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ready_from(&self, delivered: u64) {
        self.inner().delivered = delivered;
    }

    pub fn working(&self) {
        let mut inner = self.inner();
        inner.state = State::Ok;
        inner.failing_since_ns = None;
        drop(inner);
        self.numbers.up.set(1.0);
    }

    pub fn delivered(&self, sequence: u64, time_ns: i64, records: u64, seconds: Option<f64>) {
        let mut inner = self.inner();
        inner.delivered = sequence;
        inner.delivered_time_ns = time_ns;
        inner.records += records;
        drop(inner);
        self.numbers.records.increment(records);
        if let Some(seconds) = seconds {
            self.numbers.seconds.record(seconds);
        }
    }

    /// Counts records taken in another sink's place.
    pub fn stood_in(&self, records: u64) {
        let mut inner = self.inner();
        inner.records += records;
        inner.for_others += records;
        drop(inner);
        self.numbers.records.increment(records);
    }

    pub fn rejected(&self, reason: &str) {
        let mut inner = self.inner();
        inner.rejected += 1;
        self.note(&mut inner, ErrorKind::Rejected, bounded(reason));
        drop(inner);
        self.numbers.rejected.increment(1);
    }

    fn note(&self, inner: &mut Inner, kind: ErrorKind, text: String) {
        let at_ns = now_ns();
        inner.last_error = Some(LastError { text, kind, at_ns });
        let (sink, kind) = (self.name.to_string(), kind.as_str());
        gauge!("weir_sink_last_error_timestamp_seconds", "sink" => sink, "kind" => kind).set(at_ns as f64 / 1e9);
    }

    pub fn skipped(&self, records: u64) {
        self.numbers.skipped.increment(records);
    }

    /// Returns true if this failure begins a series and should be logged.
    pub fn retrying(&self, error: &str) -> bool {
        let error = bounded(error);
        let mut inner = self.inner();
        inner.errors += 1;
        self.note(&mut inner, ErrorKind::Retry, error.clone());
        inner.failing_since_ns.get_or_insert_with(now_ns);
        let (since_ns, first) = match &inner.state {
            State::Retrying { since_ns, error: before } => (*since_ns, *before != error),
            _ => (now_ns(), true),
        };
        inner.state = State::Retrying { since_ns, error };
        drop(inner);
        self.numbers.retry_errors.increment(1);
        self.numbers.up.set(0.0);
        first
    }

    pub fn failed(&self, error: &str) {
        let error = bounded(error);
        let mut inner = self.inner();
        inner.errors += 1;
        self.note(&mut inner, ErrorKind::Fatal, error.clone());
        inner.failing_since_ns.get_or_insert_with(now_ns);
        inner.state = State::Failed { error };
        drop(inner);
        self.numbers.fatal_errors.increment(1);
        self.numbers.up.set(0.0);
    }

    /// Records that the sink's thread, or that of its fallback, panicked.
    pub fn panicked(&self, what: &str) {
        self.failed(&format!("one of its threads ended unexpectedly: {what}"));
        self.inner().has_panicked = true;
    }

    pub fn has_panicked(&self) -> bool {
        self.inner().has_panicked
    }

    /// How long it has been failing; `None` while it works.
    pub fn failing_for(&self) -> Option<Duration> {
        let since_ns = self.inner().failing_since_ns?;
        Some(Duration::from_nanos(u64::try_from(now_ns().saturating_sub(since_ns)).unwrap_or(0)))
    }

    /// Counts records that went to another sink in this one's place.
    pub fn fell_back(&self, to: &str, records: u64) {
        let mut inner = self.inner();
        let so_far = inner.fallback.as_ref().map_or(0, |fallback| fallback.records);
        inner.fallback = Some(FallbackStatus { to: to.into(), records: so_far + records });
        drop(inner);
        let (sink, to) = (self.name.to_string(), to.to_string());
        counter!("weir_sink_fallback_records_total", "sink" => sink, "to" => to).increment(records);
    }

    pub fn stopped(&self) {
        let mut inner = self.inner();
        if !matches!(inner.state, State::Failed { .. }) {
            inner.state = State::Stopped;
        }
    }

    /// The current status. Also updates the lag gauges.
    pub fn status(&self, journal: &Journal) -> Status {
        let last_sequence = journal.last_sequence();
        let inner = self.inner();
        let lag_frames = last_sequence.saturating_sub(inner.delivered);
        let lag_ns = if lag_frames == 0 { 0 } else { now_ns().saturating_sub(inner.delivered_time_ns).max(0) };
        self.numbers.lag_frames.set(lag_frames as f64);
        self.numbers.lag_seconds.set(lag_ns as f64 / 1e9);
        let last = inner.last_error.as_ref();
        Status {
            name: self.name.to_string(),
            state: inner.state.clone(),
            lag_frames,
            lag_seconds: lag_ns as f64 / 1e9,
            records: inner.records,
            for_others: inner.for_others,
            rejected: inner.rejected,
            errors: inner.errors,
            last_error: last.map(|error| error.text.clone()),
            last_error_kind: last.map(|error| error.kind),
            last_error_time: last.map(|error| rfc3339(error.at_ns)),
            last_error_ns: last.map(|error| error.at_ns),
            fallback: inner.fallback.clone(),
        }
    }
}

/// An error as one escaped line of limited length, since it may contain text from servers and records.
fn bounded(error: &str) -> String {
    let error = escaped(error);
    match error.floor_char_boundary(limits::ERROR_BYTES) {
        end if end < error.len() => format!("{}…", &error[..end]),
        _ => error.into_owned(),
    }
}

fn rfc3339(ns: i64) -> String {
    let mut text = Vec::new();
    format_rfc3339(ns, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
