//! The `prometheus` sink: derives counters, gauges and histograms from logs by rules, and serves them on Weir's
//! `/metrics`.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options, the sink |
//! | `rule.rs` | which records a rule applies to; checks that its metric is valid for Prometheus |
//! | `family.rs` | the series of one metric: counted, limited, rendered |
//! | `counts_file.rs` | the file with the counts and their position in the journal |
//!
//! Guarantee: each record counts exactly once. The counts and their position are saved in one file, which is replaced
//! atomically once a second while something is counted. After a crash both are consistent, and the journal has the
//! rest. **Only saved counts are shown**, so a count that Prometheus has seen never decreases; Prometheus would treat
//! that as a counter reset and count twice. A changed rule starts at zero. Records that waited while Weir was down
//! count when it is back, not when they happened.
//!
//! Memory is limited: a rule has at most `max_series` series. Records that would need more count in one series whose
//! labels are all `other`, and in `weir_prometheus_other_records_total`.

mod counts_file;
mod family;
mod rule;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::counts_file::{CountsFile, CountsFileError};
pub(crate) use self::family::{Family, describe_metrics};
use self::rule::Rule;
use crate::condition::Condition;
use crate::exposition::Exposition;
use crate::limits;
use crate::registry::{BuildContext, Guarantee, Kind, options, schema_of};
use crate::sink::{Delivered, Selected, Sink, SinkError};

/// The kind's entry in the registry.
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
when = "level>=ERROR source:shop"      # a query, see `host/query/README.md`
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
    search: None,
};

/// Options of a `prometheus` sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrometheusOptions {
    /// The rules. Each one makes one metric.
    #[serde(default)]
    pub rule: Vec<RuleOptions>,
}

/// One metric.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct RuleOptions {
    /// The metric's name; a counter's name ends in `_total`.
    pub name: String,
    /// The type: `counter`, `gauge` or `histogram`.
    #[serde(rename = "type")]
    pub kind: MetricKind,
    /// The help text that Prometheus shows.
    #[serde(default)]
    pub help: Option<String>,
    /// The records it counts: a query such as `"source:shop context.kind:*"`, or a table of required values: `{ source =
    /// "shop", "context.kind" = ["a", "b"], "context.user" = { exists = true } }`.
    #[serde(default)]
    pub(crate) when: Condition,
    /// The minimum level.
    #[serde(default)]
    pub at_least: Option<String>,
    /// The path of a number: a histogram observes it, a gauge shows it, a counter adds it; without it, a counter adds
    /// 1.
    #[serde(default)]
    pub value: Option<String>,
    /// Factor for the number: 0.001 converts milliseconds to seconds.
    #[serde(default)]
    pub scale: Option<f64>,
    /// Labels, with the paths of their values.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The upper bounds of a histogram's buckets, ascending. Default: 0.005 to 10, as in Prometheus's own clients.
    #[serde(default)]
    pub buckets: Option<Vec<f64>>,
    /// Maximum number of series; further ones are counted as one whose labels are `other`.
    #[serde(default = "default_max_series")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_series: usize,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum MetricKind {
    /// Only increases.
    Counter,
    /// The latest value.
    Gauge,
    /// The distribution of values.
    Histogram,
}

fn default_max_series() -> usize {
    limits::SERIES
}

fn build(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let options: PrometheusOptions = options(name, given)?;
    if options.rule.is_empty() {
        return Err(format!("sink `{name}`: it has no rules; add at least one `[[sink.{name}.rule]]`"));
    }
    let refuse = |error: String| format!("sink `{name}`: {error}");
    let made = options.rule.into_iter().map(|options| rule::compile(name, options));
    let rules: Vec<Rule> = made.collect::<Result<_, _>>().map_err(refuse)?;
    for (at, rule) in rules.iter().enumerate() {
        let names = rule.family.line_names();
        let clash = rules[..at].iter().find(|other| other.family.line_names().iter().any(|name| names.contains(name)));
        if let Some(other) = clash {
            let (one, two) = (other.family.name(), rule.family.name());
            return Err(refuse(format!("metrics `{one}` and `{two}` have lines of the same name; rename one")));
        }
    }
    Ok(Box::new(PrometheusSink {
        name: name.into(),
        rules,
        exposition: context.exposition.clone(),
        counts_file: CountsFile::of_sink(name, context),
        counted: None,
        kept: None,
        scratch: Vec::new(),
    }))
}

struct PrometheusSink {
    name: String,
    rules: Vec<Rule>,
    exposition: Exposition,
    counts_file: CountsFile,
    /// The last counted frame; `None`: up to the journal's cursor.
    counted: Option<u64>,
    /// The same in the counts file.
    kept: Option<u64>,
    scratch: Vec<u8>,
}

impl PrometheusSink {
    fn take(&mut self, batches: &[Selected]) {
        for rule in &mut self.rules {
            rule.take(batches, &mut self.scratch);
        }
    }

    /// Saves the counts, and shows them.
    fn keep(&mut self) -> Result<(), SinkError> {
        let counts = self.rules.iter().map(|rule| (rule.family.definition(), &*rule.counts));
        self.counts_file.write(self.counted, counts).map_err(|error| self.failed(&error))?;
        self.kept = self.counted;
        self.show();
        Ok(())
    }

    fn show(&self) {
        for rule in &self.rules {
            rule.family.show(rule.counts.clone());
        }
    }

    fn failed(&self, error: &CountsFileError) -> SinkError {
        let text = format!("sink `{}`: {error}", self.name);
        match error {
            CountsFileError::Disk(_) => SinkError::Retry(text),
            CountsFileError::Unreadable { .. } => SinkError::Fatal(text),
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
        let mut saved = self.counts_file.read().map_err(|error| self.failed(&error))?;
        for rule in &mut self.rules {
            rule.counts = Arc::new(saved.take(rule.family.definition()).unwrap_or_default());
        }
        // Frames beyond the journal's end can't have been counted from this journal: see `Sink::start`.
        self.counted = saved.sequence.map(|sequence| sequence.min(last_sequence));
        self.kept = self.counted;
        self.show();
        Ok(saved.sequence)
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
