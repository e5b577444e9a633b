//! The `prometheus` sink: counters, gauges and histograms out of logs, by rules, on Weir's own `/metrics`.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options, the sink |
//! | `rule.rs` | what a rule applies to, and whether it makes a metric that Prometheus reads |
//! | `family.rs` | the series of one metric: counted, bounded, written |
//! | `ledger.rs` | the file that keeps the counts, and how far the journal is counted in them |
//!
//! Guarantee: each record counts exactly once. The counts and the position that they are of are one file, replaced as a
//! whole once a second while something is counted; after a crash both are where they were, and the journal has the rest.
//! **What is shown is what is in the file**: so no count that Prometheus has seen is ever taken back, which it would
//! take for a counter that began anew, and add once more. A rule that is changed begins at zero; records that waited
//! while Weir was down count when it is back, not when they happened.
//!
//! Bounded: a rule makes at most `max_series` series; records that would make more count in one whose labels are all
//! `other`, and `weir_prometheus_other_records_total` says how many did. So no sender fills the memory.

mod family;
mod ledger;
mod rule;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::family::{Family, describe_metrics};
use self::ledger::{Ledger, LedgerError};
use self::rule::Rule;
use crate::condition::Wanted;
use crate::exposition::Exposition;
use crate::limits;
use crate::registry::{BuildContext, Guarantee, Kind, options, schema_of};
use crate::sink::{Delivered, Selected, Sink, SinkError};

/// The kind's line in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "prometheus",
    summary: "counts records, and the numbers in them, as metrics on Weir's own /metrics for Prometheus",
    guarantee: Guarantee::ExactlyOnce,
    reach: crate::registry::Reach::Router,
    example: r#"[sink.numbers]
type = "prometheus"

[[sink.numbers.rule]]
name = "shop_errors_total"
type = "counter"
at_least = "ERROR"
when = { source = "shop" }
labels = { region = "context.region" }

[[sink.numbers.rule]]
name = "shop_request_seconds"
type = "histogram"
value = "context.duration_ms"
scale = 0.001                          # Prometheus counts in seconds
buckets = [0.01, 0.1, 1, 10]
labels = { path = "context.path" }
max_series = 200                       # more paths are counted as `other`
"#,
    schema: schema_of::<PrometheusOptions>,
    variables: &[],
    min_level: None,
    build,
};

/// Options of a `prometheus` sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusOptions {
    /// One metric each.
    #[serde(default)]
    pub rule: Vec<RuleOptions>,
}

/// One metric.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct RuleOptions {
    /// The metric's name; that of a counter ends in `_total`.
    pub name: String,
    /// What it is: `counter`, `gauge` or `histogram`.
    #[serde(rename = "type")]
    pub kind: MetricKind,
    /// What Prometheus shows beside it.
    #[serde(default)]
    pub help: Option<String>,
    /// What must stand where: `{ source = "shop", "context.kind" = ["a", "b"], "context.user" = { exists = true } }`.
    #[serde(default)]
    pub(crate) when: BTreeMap<String, Wanted>,
    /// From which level on.
    #[serde(default)]
    pub at_least: Option<String>,
    /// The path of a number: what a histogram observes, a gauge shows, a counter adds; a counter without it adds 1.
    #[serde(default)]
    pub value: Option<String>,
    /// What the number is multiplied with: 0.001 makes seconds of milliseconds.
    #[serde(default)]
    pub scale: Option<f64>,
    /// Labels, and the paths of their values.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The upper bounds of a histogram's buckets, ascending. Without it: 0.005 to 10, as Prometheus's own clients have.
    #[serde(default)]
    pub buckets: Option<Vec<f64>>,
    /// Most series; more are counted as one whose labels are `other`.
    #[serde(default = "default_max_series")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_series: usize,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// The newest value.
    Gauge,
    /// How often which values come.
    Histogram,
}

fn default_max_series() -> usize {
    limits::SERIES
}

fn build(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let options: PrometheusOptions = options(name, given)?;
    if options.rule.is_empty() {
        return Err(format!("sink `{name}`: it has no rule; give at least one `[[sink.{name}.rule]]`"));
    }
    let refuse = |error: String| format!("sink `{name}`: {error}");
    let made = options.rule.into_iter().map(|options| rule::compile(name, options));
    let rules: Vec<Rule> = made.collect::<Result<_, _>>().map_err(refuse)?;
    for (at, rule) in rules.iter().enumerate() {
        let names = rule.family.line_names();
        let clash = rules[..at].iter().find(|other| other.family.line_names().iter().any(|name| names.contains(name)));
        if let Some(other) = clash {
            let (one, two) = (other.family.name(), rule.family.name());
            return Err(refuse(format!("metrics `{one}` and `{two}` have lines of one name; rename one")));
        }
    }
    Ok(Box::new(PrometheusSink {
        name: name.into(),
        rules,
        exposition: context.exposition.clone(),
        ledger: Ledger::of_sink(name, context),
        counted: None,
        kept: None,
        scratch: Vec::new(),
    }))
}

struct PrometheusSink {
    name: String,
    rules: Vec<Rule>,
    exposition: Exposition,
    ledger: Ledger,
    /// The last frame that is counted; none yet: up to the journal's cursor.
    counted: Option<u64>,
    /// The same in the ledger.
    kept: Option<u64>,
    scratch: Vec<u8>,
}

impl PrometheusSink {
    fn take(&mut self, batches: &[Selected]) {
        for rule in &mut self.rules {
            rule.take(batches, &mut self.scratch);
        }
    }

    /// Keeps what is counted, and shows it.
    fn keep(&mut self) -> Result<(), SinkError> {
        let counts = self.rules.iter().map(|rule| (rule.family.definition(), &*rule.counts));
        self.ledger.write(self.counted, counts).map_err(|error| self.failed(&error))?;
        self.kept = self.counted;
        self.show();
        Ok(())
    }

    fn show(&self) {
        for rule in &self.rules {
            rule.family.show(rule.counts.clone());
        }
    }

    fn failed(&self, error: &LedgerError) -> SinkError {
        let text = format!("sink `{}`: {error}", self.name);
        match error {
            LedgerError::Disk(_) => SinkError::Retry(text),
            LedgerError::Unreadable { .. } => SinkError::Fatal(text),
        }
    }
}

#[async_trait]
impl Sink for PrometheusSink {
    async fn start(&mut self, last_sequence: u64) -> Result<Option<u64>, SinkError> {
        for rule in &self.rules {
            let claimed = self.exposition.claim(&self.name, rule.family.clone());
            claimed.map_err(|error| SinkError::Fatal(format!("sink `{}`: {error}", self.name)))?;
        }
        let mut page = self.ledger.read().map_err(|error| self.failed(&error))?;
        for rule in &mut self.rules {
            rule.counts = Arc::new(page.take(rule.family.definition()).unwrap_or_default());
        }
        // Beyond the journal's end there is nothing that could be counted of this journal: see `Sink::start`.
        self.counted = page.sequence.map(|sequence| sequence.min(last_sequence));
        self.kept = self.counted;
        self.show();
        Ok(page.sequence)
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        self.take(batches);
        self.counted = batches.last().map(|frame| frame.sequence).max(self.counted);
        Ok(Delivered { rejected: Vec::new(), durable: Some(self.kept.unwrap_or(0)) })
    }

    async fn stand_in(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        self.take(batches);
        self.keep()?;
        Ok(Delivered::default())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.keep()
    }
}

impl Drop for PrometheusSink {
    fn drop(&mut self) {
        for rule in &self.rules {
            self.exposition.release(&rule.family);
        }
    }
}
