//! The metrics of each filter.

use metrics::{Counter, Gauge, Histogram, Unit};

use crate::error::FailureKind;

/// Describes this crate's metrics. Call it once, after installing the recorder and before loading filters.
pub fn describe_metrics() {
    use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    counter!("weir_filter_calls_total", Unit::Count, "Batches, or parts of one, given to a filter.");
    counter!("weir_filter_records_in_total", Unit::Count, "Records given to a filter.");
    counter!("weir_filter_records_out_total", Unit::Count, "Records that came out of a filter.");
    counter!("weir_filter_records_dropped_total", Unit::Count, "Records that a filter dropped.");
    counter!("weir_filter_records_patched_total", Unit::Count, "Records that a filter changed or replaced.");
    counter!("weir_filter_records_failed_total", Unit::Count, "Records that a filter failed on.");
    counter!("weir_filter_errors_total", Unit::Count, "Failed calls of a filter, by the kind of failure.");
    counter!("weir_filter_custom_total", Unit::Count, "Counters of the filters' own.");
    gauge!("weir_filter_failing", Unit::Count, "1 while a filter fails again and again, 0 otherwise.");
    gauge!("weir_filter_memory_bytes", Unit::Bytes, "Memory of a filter's instances together.");
    histogram!("weir_filter_process_seconds", Unit::Seconds, "Time that a filter took for one call.");
}

/// The metrics of one filter. The failure counters are in the order of [`FailureKind::ALL`].
pub(crate) struct FilterMetrics {
    pub calls: Counter,
    pub records_in: Counter,
    pub records_out: Counter,
    pub dropped: Counter,
    pub patched: Counter,
    pub failed: Counter,
    pub failing: Gauge,
    pub seconds: Histogram,
    errors: [Counter; FailureKind::ALL.len()],
}

impl FilterMetrics {
    pub fn new(filter: &str) -> Self {
        let counter = |name: &'static str| metrics::counter!(name, "filter" => filter.to_owned());
        let error = |kind: FailureKind| metrics::counter!("weir_filter_errors_total", "filter" => filter.to_owned(), "kind" => kind.as_str());
        Self {
            calls: counter("weir_filter_calls_total"),
            records_in: counter("weir_filter_records_in_total"),
            records_out: counter("weir_filter_records_out_total"),
            dropped: counter("weir_filter_records_dropped_total"),
            patched: counter("weir_filter_records_patched_total"),
            failed: counter("weir_filter_records_failed_total"),
            failing: metrics::gauge!("weir_filter_failing", "filter" => filter.to_owned()),
            seconds: metrics::histogram!("weir_filter_process_seconds", "filter" => filter.to_owned()),
            errors: FailureKind::ALL.map(error),
        }
    }

    pub fn error(&self, kind: FailureKind) {
        self.errors[kind as usize].increment(1);
    }
}
