//! Counts from the router's metrics, which have them already.

use std::collections::BTreeMap;

/// The value of each metric, by its name and labels as `/metrics` shows them.
pub struct Totals(BTreeMap<String, f64>);

impl Totals {
    /// Reads the text of `/metrics`.
    pub fn of(metrics: &str) -> Totals {
        let values = metrics.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (key, value) = line.rsplit_once(' ')?;
            Some((key.to_owned(), value.parse().ok()?))
        });
        Totals(values.collect())
    }

    /// A count of a filter.
    pub fn of_filter(&self, metric: &str, filter: &str) -> u64 {
        self.get(&format!("weir_filter_{metric}_total{{filter=\"{filter}\"}}"))
    }

    /// A count of a protocol.
    pub fn received(&self, protocol: &str, outcome: &str) -> u64 {
        let metric = "weir_ingest_records_total";
        self.get(&format!("{metric}{{protocol=\"{protocol}\",outcome=\"{outcome}\"}}"))
    }

    /// Bytes received in a protocol.
    pub fn received_bytes(&self, protocol: &str) -> u64 {
        self.get(&format!("weir_ingest_received_bytes_total{{protocol=\"{protocol}\"}}"))
    }

    /// A count of a source.
    pub fn fetched(&self, what: &str, source: &str) -> u64 {
        self.get(&format!("weir_source_{what}_total{{source=\"{source}\"}}"))
    }

    fn get(&self, key: &str) -> u64 {
        // Counts are exact below 2^53.
        self.0.get(key).map_or(0, |value| *value as u64)
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn counts_are_found_in_the_text_of_the_metrics() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("weir_filter_records_in_total", "filter" => "redact").increment(7);
            let labels = [("protocol", "json"), ("outcome", "accepted")];
            metrics::counter!("weir_ingest_records_total", &labels).increment(9);
            metrics::counter!("weir_ingest_received_bytes_total", "protocol" => "json").increment(1 << 40);
            metrics::counter!("weir_source_records_total", "source" => "app").increment(5);
        });
        let totals = Totals::of(&recorder.handle().render());
        assert_eq!(totals.of_filter("records_in", "redact"), 7);
        assert_eq!(totals.of_filter("records_in", "other"), 0);
        assert_eq!(totals.received("json", "accepted"), 9);
        assert_eq!(totals.received_bytes("json"), 1 << 40);
        assert_eq!(totals.fetched("records", "app"), 5);
    }
}
