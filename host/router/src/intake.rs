//! What ingest asks of the router: to take deliveries, and to say how it is.

use std::sync::Arc;
use std::time::Instant;

use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use weir_engine::Health;
use weir_ingest::{Delivery, Intake, Refusal};
use weir_sinks::{Exposition, Status};

use crate::outlets::Outlets;
use crate::pipeline::{Entrance, Shared};

/// The router, as ingest sees it.
pub struct Front {
    pub entrance: Entrance,
    pub shared: Arc<Shared>,
    pub outlets: Arc<Mutex<Outlets>>,
    pub numbers: PrometheusHandle,
    /// What sinks make of records.
    pub exposition: Exposition,
    pub since: Instant,
}

/// A filter's health in words.
fn state(health: &Health) -> String {
    match health {
        Health::Ok => "ok".into(),
        Health::Failing { batches, reason } => format!("failing, {batches} batches in a row: {reason}"),
        Health::Unsaved { failures, reason } => format!("failing, {failures} times in a row: {reason}"),
        Health::Suspended { retry_in, reason } => {
            format!("suspended, tried again in {} s: {reason}", retry_in.as_secs())
        }
    }
}

fn of_sink(kind: &str, status: &Status) -> Value {
    let mut shown = json!(status);
    shown["type"] = kind.into();
    shown
}

impl Intake for Front {
    fn submit(&self, delivery: Delivery) -> Result<(), Refusal> {
        self.entrance.submit(delivery)
    }

    fn ready(&self) -> Result<(), String> {
        match self.shared.journal.stats().poisoned {
            Some(reason) => Err(format!("the journal is stopped: {reason}")),
            None => Ok(()),
        }
    }

    fn health(&self) -> Value {
        let trials = self.shared.trials.load();
        let filters: Vec<Value> = self
            .shared
            .chain
            .load()
            .0
            .iter()
            .map(|filter| {
                let taken = filter.taken();
                let mut shown = json!({
                    "name": filter.spec().name,
                    "version": filter.description().version,
                    "digest": filter.digest(),
                    "state": state(&filter.health()),
                    "instances": taken.instances,
                    "memory_bytes": taken.memory_bytes,
                    "busy_seconds": taken.busy.as_secs_f64(),
                });
                if let Some(trial) = trials.get(&filter.spec().name) {
                    shown["trial"] = trial.to_json();
                }
                shown
            })
            .collect();
        // Held only while sinks are exchanged.
        let sinks = match self.outlets.try_lock() {
            Ok(outlets) => outlets.statuses().iter().map(|(kind, status)| of_sink(kind, status)).collect(),
            Err(_) => json!("being exchanged"),
        };
        json!({
            "status": match self.ready() { Ok(()) => "ok", Err(_) => "failing" },
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.since.elapsed().as_secs(),
            "journal": self.shared.journal.stats(),
            "filters": filters,
            "sinks": sinks,
        })
    }

    fn metrics(&self) -> String {
        // Asking brings the lags up to date.
        if let Ok(outlets) = self.outlets.try_lock() {
            outlets.statuses();
        }
        self.numbers.run_upkeep();
        self.numbers.render() + &self.exposition.render()
    }
}
