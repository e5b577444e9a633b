//! One rule: which records it applies to, what it takes from them, and whether its metric is valid for Prometheus and
//! its linter (`promtool check metrics`).

use std::fmt::Debug;
use std::sync::Arc;

use weir_query::Query;
use weir_record::{Level, Value};

use super::family::{Counts, Definition, Family};
use super::{MetricKind, RuleOptions};
use crate::condition::Condition;
use crate::limits;
use crate::sink::Selected;
use crate::text::push_value;

/// A rule and its metric.
pub(super) struct Rule {
    query: Query,
    value: Option<String>,
    scale: f64,
    /// The paths of the label values, in the order of the family's labels.
    label_paths: Vec<String>,
    pub family: Arc<Family>,
    /// The counts so far; shared with the family once it may show them.
    pub counts: Arc<Counts>,
}

impl Rule {
    /// Counts the records that the rule applies to.
    pub fn take(&mut self, batches: &[Selected], scratch: &mut Vec<u8>) {
        for (_, record) in batches.iter().flat_map(Selected::iter) {
            if !self.query.matches(record) {
                continue;
            }
            let value = match &self.value {
                None => 1.0,
                Some(path) => match record.get(path) {
                    // Without its number, the rule doesn't apply to the record.
                    None | Some(Value::Nil) => continue,
                    Some(value) => match value.as_f64().map(|number| number * self.scale) {
                        Some(number) if self.family.takes(number) => number,
                        _ => {
                            self.family.ignored();
                            continue;
                        }
                    },
                },
            };
            scratch.clear();
            for path in &self.label_paths {
                push_label_value(record.get(path), scratch);
            }
            self.family.count(Arc::make_mut(&mut self.counts), scratch, value);
        }
    }
}

/// Appends a label value with a terminator that can't occur in it, because it is not UTF-8.
fn push_label_value(value: Option<Value<'_>>, out: &mut Vec<u8>) {
    let begin = out.len();
    match value {
        None | Some(Value::Nil) => {}
        Some(Value::Str(text)) => {
            out.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(limits::LABEL_VALUE_BYTES)]);
        }
        Some(other) => {
            push_value(other, out);
            let text = String::from_utf8_lossy(&out[begin..]).into_owned();
            out.truncate(begin);
            out.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(limits::LABEL_VALUE_BYTES)]);
        }
    }
    out.push(Family::LABEL_END);
}

/// Checks a rule.
pub(super) fn compile(sink: &str, options: RuleOptions) -> Result<Rule, String> {
    let name = options.name.clone();
    let refuse = |what: &str| format!("rule `{name}`: {what}");
    judge_name(&options).map_err(|what| refuse(&what))?;
    for label in options.labels.keys() {
        judge_label(label).map_err(|what| refuse(&what))?;
    }
    if options.labels.len() > limits::LABELS {
        return Err(refuse(&format!("it has more than {} labels", limits::LABELS)));
    }
    if options.value.is_none() && options.kind != MetricKind::Counter {
        return Err(refuse("it needs `value`, the path of the number"));
    }
    if !options.scale.is_none_or(|scale| scale.is_finite() && scale != 0.0) {
        return Err(refuse("`scale` must be a number and not 0"));
    }
    if options.scale.is_some() && options.value.is_none() {
        return Err(refuse("`scale` needs a `value`"));
    }
    if options.max_series == 0 || options.max_series > limits::MAX_SERIES {
        return Err(refuse(&format!("`max_series` must be 1 to {}", limits::MAX_SERIES)));
    }
    let buckets = buckets(&options).map_err(|what| refuse(&what))?;
    let at_least = match &options.at_least {
        None => None,
        Some(text) => Some(Level::parse(text).ok_or_else(|| {
            refuse(&format!("`at_least` is `{text}`; use TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL"))
        })?),
    };
    let query = options.when.query(at_least).map_err(|what| refuse(&what))?;
    // Part of what saved counts are recognised by, so the form of a table must not change.
    let source = |when: &dyn Debug| {
        format!("{when:?} {at_least:?} {:?} {:?} {:?}", options.value, options.scale, options.labels)
    };
    let help = options.help.unwrap_or_else(|| format!("Derived from log records by sink {sink}"));
    let definition = Definition {
        name: options.name,
        kind: options.kind,
        labels: options.labels.keys().cloned().collect(),
        buckets,
        max_series: options.max_series,
        source: match &options.when {
            Condition::Query(when) => source(when),
            Condition::Values(when) => source(when),
        },
    };
    Ok(Rule {
        query,
        value: options.value,
        scale: options.scale.unwrap_or(1.0),
        label_paths: options.labels.into_values().collect(),
        family: Arc::new(Family::new(sink, definition, help)),
        counts: Arc::default(),
    })
}

fn judge_name(options: &RuleOptions) -> Result<(), String> {
    let name = &options.name;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || !name.chars().all(is_word) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("a metric's name must have only letters, digits, `_` and `:`, and not begin with a digit".into());
    }
    if name.starts_with("weir_") {
        return Err("names that begin with `weir_` are reserved for Weir's own metrics".into());
    }
    let ending = ["_total", "_bucket", "_count", "_sum", "_info", "_created"].into_iter().find(|e| name.ends_with(e));
    match (options.kind, ending) {
        (MetricKind::Counter, Some("_total")) | (MetricKind::Gauge | MetricKind::Histogram, None) => Ok(()),
        (MetricKind::Counter, _) => Err(format!("a counter's name must end in `_total`: `{name}_total`")),
        (_, Some(ending)) => {
            Err(format!("the suffix `{ending}` is reserved for counters or for Prometheus's own metrics"))
        }
    }
}

fn judge_label(label: &str) -> Result<(), String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if label.is_empty() || !label.chars().all(is_word) || label.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("label `{label}` must have only letters, digits and `_`, and not begin with a digit"));
    }
    if label.starts_with("__") || matches!(label, "le" | "quantile" | "job" | "instance") {
        return Err(format!("label `{label}` is reserved by Prometheus; choose another name"));
    }
    Ok(())
}

fn buckets(options: &RuleOptions) -> Result<Vec<f64>, String> {
    match (&options.buckets, options.kind) {
        (None, MetricKind::Histogram) => Ok(limits::BUCKETS.to_vec()),
        (None, _) => Ok(Vec::new()),
        (Some(_), MetricKind::Counter | MetricKind::Gauge) => Err("only a histogram has `buckets`".into()),
        (Some(bounds), MetricKind::Histogram) => {
            let ascending = bounds.windows(2).all(|two| two[0] < two[1]);
            if bounds.is_empty()
                || bounds.len() > limits::MAX_BUCKETS
                || !ascending
                || bounds.iter().any(|b| !b.is_finite())
            {
                let most = limits::MAX_BUCKETS;
                return Err(format!("`buckets` must be 1 to {most} numbers, ascending; the last, +Inf, is added"));
            }
            Ok(bounds.clone())
        }
    }
}
