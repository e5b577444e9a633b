//! The interface for ingest: accepts deliveries, and reports health and metrics.

use std::sync::Arc;
use std::time::Instant;

use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use weir_ingest::{Delivery, Intake, Refusal};
use weir_sinks::{Exposition, Status};

use crate::health::{self, HealthReport};
use crate::pipeline::{PipelineSender, PipelineState};
use crate::sink_set::SinkSet;
use crate::source_set::SourceSet;

/// The router's implementation of [`Intake`].
pub struct RouterIntake {
    pub sender: PipelineSender,
    pub shared: Arc<PipelineState>,
    pub sink_set: Arc<Mutex<SinkSet>>,
    pub source_set: Arc<Mutex<SourceSet>>,
    pub prometheus: PrometheusHandle,
    /// Metrics rendered by sinks.
    pub exposition: Exposition,
    pub since: Instant,
}

fn of_sink(kind: &str, status: &Status) -> Value {
    let mut shown = json!(status);
    shown["type"] = kind.into();
    shown
}

impl Intake for RouterIntake {
    fn submit(&self, delivery: Delivery) -> Result<(), Refusal> {
        self.sender.submit(delivery)
    }

    fn ready(&self) -> Result<(), String> {
        let (sink_set, source_set) = (self.sink_set.try_lock(), self.source_set.try_lock());
        let report = HealthReport::collect(&self.shared, sink_set.as_deref().ok(), source_set.as_deref().ok());
        match report.unready.is_empty() {
            true => Ok(()),
            false => Err(report.unready.join("; ")),
        }
    }

    fn health(&self) -> Value {
        let trials = self.shared.trials.load();
        let chain = self.shared.chain.load();
        let filters: Vec<Value> = chain
            .0
            .iter()
            .map(|filter| {
                let mut shown = health::filter(filter);
                if let Some(trial) = trials.get(&filter.spec().name) {
                    shown["trial"] = trial.to_json();
                }
                shown
            })
            .collect();
        // Locked only while sinks are being replaced.
        let sink_set = self.sink_set.try_lock();
        let sinks = match &sink_set {
            Ok(sink_set) => sink_set.statuses().iter().map(|(kind, status)| of_sink(kind, status)).collect(),
            Err(_) => json!("being exchanged"),
        };
        let source_set = self.source_set.try_lock();
        let sources = match &source_set {
            Ok(source_set) => source_set.statuses().into(),
            Err(_) => json!("being exchanged"),
        };
        let report = HealthReport::collect(&self.shared, sink_set.as_deref().ok(), source_set.as_deref().ok());
        let (status, reasons) = report.to_json();
        json!({
            "status": status,
            "reasons": reasons,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.since.elapsed().as_secs(),
            "journal": self.shared.journal.stats(),
            "levels": self.shared.levels.to_json()["levels"],
            "filters": filters,
            "sources": sources,
            "sinks": sinks,
        })
    }

    fn metrics(&self) -> String {
        // Reading the stats updates the lag metrics.
        if let Ok(sink_set) = self.sink_set.try_lock() {
            sink_set.statuses();
        }
        self.prometheus.run_upkeep();
        self.prometheus.render() + &self.exposition.render()
    }
}
