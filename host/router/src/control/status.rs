//! Reports on the pipeline, the quarantine and the levels.

use hyper::StatusCode;
use serde_json::{Map, Value, json};
use weir_api::{ApiError, QuarantinePage, Status};
use weir_engine::Filter;
use weir_record::time::now_ns;

use super::Control;
use super::totals::Totals;
use crate::filters::paths;
use crate::health::{self, HealthReport};
use crate::quarantine::browse::{self, Place};

impl Status for Control {
    fn pipeline(&self) -> Value {
        self.prometheus.run_upkeep();
        let totals = Totals::of(&self.prometheus.render());
        // Locked only while sinks or sources are being replaced.
        let (sink_set, source_set) = (self.sink_set.try_lock(), self.source_set.try_lock());
        let report = HealthReport::collect(&self.shared, sink_set.as_deref().ok(), source_set.as_deref().ok());
        let (status, reasons) = report.to_json();
        let mut sources = received(&totals);
        sources.extend(source_set.iter().flat_map(|set| set.statuses()).map(|shown| fetched(shown, &totals)));
        let sinks = sink_set.iter().flat_map(|sinks| sinks.statuses());
        let sinks: Vec<Value> = sinks.map(|(kind, status)| self.sink(kind, &status)).collect();
        let filters: Vec<Value> =
            self.shared.chain.load().0.iter().map(|filter| self.filter(filter, &totals)).collect();
        json!({
            "time_ns": now_ns(),
            "status": status,
            "reasons": reasons,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.since.elapsed().as_secs(),
            "sources": sources,
            "journal": self.shared.journal.stats(),
            "below_level": self.shared.levels.below(),
            "filters": filters,
            "sinks": sinks,
        })
    }

    fn quarantine(&self, page: &QuarantinePage) -> Result<Value, ApiError> {
        let after = page.cursor.as_deref().map(|cursor| Place::parse(cursor).ok_or_else(|| wrong_cursor(cursor)));
        let found = browse::page(self.shared.quarantine.folder(), page.from.as_deref(), page.limit, after.transpose()?);
        let found = found.map_err(|error| {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, format!("the quarantine can't be read: {error}"))
        })?;
        Ok(found.to_json())
    }

    fn levels(&self) -> Value {
        self.shared.levels.to_json()
    }

    fn erasure(&self) -> Value {
        self.erasure_status()
    }
}

fn wrong_cursor(cursor: &str) -> ApiError {
    ApiError::bad(format!("`cursor` must be `next` of an earlier answer, not `{cursor}`"))
}

/// The protocols in which something arrived, and Weir's own in any case.
fn received(totals: &Totals) -> Vec<Value> {
    let protocols = weir_ingest::protocol_names().map(|name| {
        let [accepted, rejected, quarantined] =
            ["accepted", "rejected", "quarantined"].map(|outcome| totals.received(name, outcome));
        json!({
            "name": name, "records": accepted, "rejected": rejected, "quarantined": quarantined,
            "bytes": totals.received_bytes(name),
        })
    });
    protocols.filter(|shown| shown["name"] == "weir" || shown["bytes"] != 0).collect()
}

/// A source that Weir fetches from, with its counts.
fn fetched(mut shown: Value, totals: &Totals) -> Value {
    let name = shown["name"].as_str().unwrap_or_default().to_owned();
    shown["records"] = totals.fetched("records", &name).into();
    shown["bytes"] = totals.fetched("bytes", &name).into();
    // What could not be read is kept in quarantine.
    shown["rejected"] = 0.into();
    shown["quarantined"] = totals.fetched("quarantined", &name).into();
    shown
}

impl Control {
    fn filter(&self, filter: &Filter, totals: &Totals) -> Value {
        let name = filter.name();
        let mut shown = health::filter(filter);
        let count = |metric| json!(totals.of_filter(metric, name));
        let rights = filter.rights();
        // Locked while modules are compiled, for which nobody should wait here.
        let origin = self.filters.try_lock().ok().and_then(|set| set.origin(name));
        let pin = self.versions.pin(name).filter(|pin| pin.run == filter.digest());
        let trial = self.shared.trials.load().get(name).map(|trial| trial.to_json());
        let more: Map<String, Value> = [
            ("description", json!(filter.description().description)),
            ("origin", json!(origin)),
            ("records_in", count("records_in")),
            ("records_out", count("records_out")),
            ("dropped", count("records_dropped")),
            ("changed", count("records_patched")),
            ("failed", count("records_failed")),
            ("reads", paths(&rights.reads)),
            ("writes", paths(&rights.writes)),
            ("imports", json!(filter.imports())),
            ("pin", json!(pin)),
            ("versions", json!(self.versions.history(name).versions)),
            ("trial", json!(trial)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect();
        if let Value::Object(shown) = &mut shown {
            shown.extend(more);
        }
        shown
    }

    fn sink(&self, kind: &str, status: &weir_sinks::Status) -> Value {
        let readers = self.shared.journal.readers();
        let mut shown = json!(status);
        shown["type"] = kind.into();
        shown["lag_records"] = readers
            .iter()
            .find(|reader| reader.name == status.name)
            .map_or(Value::Null, |reader| json!(reader.lag_records));
        shown
    }
}
