//! The overall health of the router, for `GET /health` and `/ready`.
//!
//! The state is *failing* if the router can't accept records or a stage isn't running (then it isn't ready either), and
//! *degraded* if it accepts records but something doesn't work: a filter fails, a sink's server is unreachable, a
//! configuration is refused. The reasons are listed with the state.

use serde_json::{Value, json};
use weir_engine::{Filter, Health};
use weir_sinks::{State, Status};

use crate::pipeline::PipelineState;
use crate::sink_set::SinkSet;
use crate::source_set::SourceSet;
use crate::versions;

/// The current problems.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// Why the router isn't ready.
    pub unready: Vec<String>,
    /// Problems that don't affect readiness.
    pub degraded: Vec<String>,
}

impl HealthReport {
    /// Checks every part, except sinks and sources while they are being replaced.
    pub fn collect(shared: &PipelineState, sink_set: Option<&SinkSet>, source_set: Option<&SourceSet>) -> Self {
        let mut unready = shared.stages.down();
        let stats = shared.journal.stats();
        unready.extend(stats.poisoned.map(|reason| format!("the journal is stopped: {reason}")));
        unready.extend(sink_set.into_iter().flat_map(SinkSet::panicked));
        let mut degraded: Vec<String> =
            shared.chain.load().0.iter().filter_map(|filter| of_filter(filter.name(), &filter.health())).collect();
        degraded.extend(sink_set.into_iter().flat_map(SinkSet::statuses).filter_map(|(_, status)| of_sink(&status)));
        degraded.extend(source_set.into_iter().flat_map(SourceSet::failed));
        degraded.extend(shared.refused.reasons());
        Self { unready, degraded }
    }

    /// The state and its reasons.
    pub fn to_json(&self) -> (Value, Value) {
        let status = match (self.unready.is_empty(), self.degraded.is_empty()) {
            (false, _) => "failing",
            (true, false) => "degraded",
            (true, true) => "ok",
        };
        let reasons: Vec<&String> = self.unready.iter().chain(&self.degraded).collect();
        (json!(status), json!(reasons))
    }
}

/// A filter's health as text.
pub fn state(health: &Health) -> String {
    match health {
        Health::Ok => "ok".into(),
        Health::Failing { batches, reason } => format!("failing, {batches} batches in a row: {reason}"),
        Health::Unsaved { failures, reason } => format!("failing, {failures} times in a row: {reason}"),
        Health::Suspended { retry_in, reason } => {
            format!("suspended, retrying in {} s: {reason}", retry_in.as_secs())
        }
    }
}

fn of_filter(name: &str, health: &Health) -> Option<String> {
    (*health != Health::Ok).then(|| format!("filter `{name}` is {}", state(health)))
}

fn of_sink(status: &Status) -> Option<String> {
    let name = &status.name;
    match &status.state {
        State::Starting | State::Ok | State::Stopped => None,
        State::Retrying { since_ns, error } => {
            Some(format!("sink `{name}` has been failing since {} and is retrying: {error}", versions::at(*since_ns)))
        }
        State::Failed { error } => Some(format!("sink `{name}` has stopped delivering: {error}")),
    }
}

/// A filter's entry in `/health`.
pub fn filter(filter: &Filter) -> Value {
    let taken = filter.usage();
    json!({
        "name": filter.spec().name,
        "version": filter.description().version,
        "digest": filter.digest(),
        "state": state(&filter.health()),
        "instances": taken.instances,
        "memory_bytes": taken.memory_bytes,
        "busy_seconds": taken.busy.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(unready: &[&str], degraded: &[&str]) -> HealthReport {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        HealthReport { unready: owned(unready), degraded: owned(degraded) }
    }

    #[test]
    fn the_worst_problem_determines_the_state() {
        assert_eq!(report(&[], &[]).to_json(), (json!("ok"), json!([])));
        assert_eq!(report(&[], &["b"]).to_json(), (json!("degraded"), json!(["b"])));
        assert_eq!(report(&["a"], &["b"]).to_json(), (json!("failing"), json!(["a", "b"])));
    }

    #[test]
    fn failing_filters_are_named_with_the_reason() {
        assert_eq!(of_filter("mask", &Health::Ok), None);
        let failing = of_filter("mask", &Health::Failing { batches: 7, reason: "it trapped".into() });
        assert_eq!(failing.as_deref(), Some("filter `mask` is failing, 7 batches in a row: it trapped"));
        let retry_in = Duration::from_secs(3);
        let suspended = of_filter("mask", &Health::Suspended { retry_in, reason: "it loops".into() });
        assert!(suspended.is_some_and(|line| line.contains("suspended, retrying in 3 s: it loops")));
    }
}
