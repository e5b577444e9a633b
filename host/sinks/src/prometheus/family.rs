//! The series of one metric: counted by a sink, rendered for scrapes.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{Counter, counter};
use serde::{Deserialize, Serialize};

use super::MetricKind;
use crate::exposition::escaped_label;

/// Describes what every `prometheus` sink counts about itself.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        "weir_prometheus_other_records_total",
        "Records counted as `other` because their metric has as many series as its rule allows"
    );
    metrics::describe_counter!(
        "weir_prometheus_ignored_records_total",
        "Records whose value a metric can't use: not a number, or negative for a counter"
    );
}

/// The definition of a metric. Counts of an equal definition can continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Definition {
    pub name: String,
    pub kind: MetricKind,
    pub labels: Vec<String>,
    pub buckets: Vec<f64>,
    pub max_series: usize,
    /// The rest of the rule, as text: what is counted is part of the definition.
    pub source: String,
}

impl Definition {
    /// A histogram has one bucket more than bounds, for values above all of them.
    fn buckets_of_a_series(&self) -> usize {
        if self.kind == MetricKind::Histogram { self.buckets.len() + 1 } else { 0 }
    }

    /// True if the series have this metric's shape.
    pub fn fits(&self, counts: &Counts) -> bool {
        counts.values().all(|series| series.buckets.len() == self.buckets_of_a_series())
    }
}

/// A metric, with the series that scrapes see.
pub(crate) struct Family {
    definition: Definition,
    help: String,
    shown: Mutex<Arc<Counts>>,
    other: Counter,
    ignored: Counter,
}

/// The series of a metric by their label values, each terminated by [`Family::LABEL_END`].
pub(super) type Counts = HashMap<Vec<u8>, Series>;

/// One series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Series {
    /// A counter's or gauge's value, or the sum of a histogram.
    value: f64,
    /// A histogram's observations per bucket, the last one above all bounds; not yet cumulative.
    buckets: Vec<u64>,
}

impl Family {
    /// Terminates each label value in a series' key.
    pub(super) const LABEL_END: u8 = 0xff;

    pub(super) fn new(sink: &str, definition: Definition, help: String) -> Family {
        let labels = [("sink", sink.to_string()), ("metric", definition.name.clone())];
        Family {
            other: counter!("weir_prometheus_other_records_total", &labels),
            ignored: counter!("weir_prometheus_ignored_records_total", &labels),
            definition,
            help,
            shown: Mutex::default(),
        }
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.definition
    }

    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// The names of its lines, which no other family may use.
    pub fn line_names(&self) -> Vec<String> {
        let name = self.name();
        match self.definition.kind {
            MetricKind::Histogram => ["", "_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec(),
            MetricKind::Counter | MetricKind::Gauge => vec![name.to_string()],
        }
    }

    /// True if the metric accepts this number.
    pub(super) fn takes(&self, number: f64) -> bool {
        number.is_finite() && (number >= 0.0 || self.definition.kind != MetricKind::Counter)
    }

    pub(super) fn ignored(&self) {
        self.ignored.increment(1);
    }

    /// Counts a value in the series with these label values, or in the overflow series if there are too many.
    pub(super) fn count(&self, counts: &mut Counts, key: &[u8], value: f64) {
        if let Some(series) = counts.get_mut(key) {
            return self.add(series, value);
        }
        let mut key = key.to_vec();
        if counts.len() >= self.definition.max_series {
            self.other.increment(1);
            key.clear();
            for _ in &self.definition.labels {
                key.extend_from_slice(b"other");
                key.push(Family::LABEL_END);
            }
        }
        let fresh = Series { value: 0.0, buckets: vec![0; self.definition.buckets_of_a_series()] };
        self.add(counts.entry(key).or_insert(fresh), value);
    }

    fn add(&self, series: &mut Series, value: f64) {
        match self.definition.kind {
            MetricKind::Gauge => series.value = value,
            MetricKind::Counter => series.value += value,
            MetricKind::Histogram => {
                series.value += value;
                // The first bound that is not below the value; the index after the last is +Inf.
                let bucket = self.definition.buckets.partition_point(|bound| *bound < value);
                series.buckets[bucket] += 1;
            }
        }
    }

    /// Makes these counts visible.
    pub(super) fn show(&self, counts: Arc<Counts>) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// Appends the family's text; nothing while it has no series.
    pub fn render(&self, out: &mut String) {
        // Cloned, so that no sink waits for a slow HTTP client.
        let counts = self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if counts.is_empty() {
            return;
        }
        let Definition { name, kind, .. } = &self.definition;
        let kind_name = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let help = self.help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String can't fail.
        _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind_name}");
        for (key, series) in counts.iter() {
            let labels = self.labels(key);
            match kind {
                MetricKind::Counter | MetricKind::Gauge => push_line(out, name, "", &labels, None, series.value),
                MetricKind::Histogram => self.render_histogram(out, &labels, series),
            }
        }
    }

    fn render_histogram(&self, out: &mut String, labels: &str, series: &Series) {
        let Definition { name, buckets, .. } = &self.definition;
        let mut count = 0;
        for (at, held) in series.buckets.iter().enumerate() {
            count += held;
            let bound = buckets.get(at).map_or_else(|| "+Inf".to_string(), f64::to_string);
            push_line(out, name, "_bucket", labels, Some(&bound), count as f64);
        }
        push_line(out, name, "_sum", labels, None, series.value);
        push_line(out, name, "_count", labels, None, count as f64);
    }

    /// `a="x",b="y"`.
    fn labels(&self, key: &[u8]) -> String {
        let mut text = String::new();
        for (label, value) in self.definition.labels.iter().zip(key.split(|byte| *byte == Family::LABEL_END)) {
            let comma = if text.is_empty() { "" } else { "," };
            let value = escaped_label(&String::from_utf8_lossy(value));
            _ = write!(text, "{comma}{label}=\"{value}\"");
        }
        text
    }
}

fn push_line(out: &mut String, name: &str, ending: &str, labels: &str, bound: Option<&str>, value: f64) {
    _ = write!(out, "{name}{ending}");
    let comma = if labels.is_empty() { "" } else { "," };
    match bound {
        Some(bound) => _ = write!(out, "{{{labels}{comma}le=\"{bound}\"}}"),
        None if !labels.is_empty() => _ = write!(out, "{{{labels}}}"),
        None => {}
    }
    _ = writeln!(out, " {value}");
}
