//! The metrics of ingest, through the `metrics` facade.
//!
//! Each server has one [`Meters`]. Handles are created once (per protocol and status when first seen), so counting a
//! request is a few atomic additions. The binary renders them. Invariant: label values come from fixed lists (protocol
//! names, statuses), never from senders.

use std::{sync::OnceLock, time::Duration};

use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};

use crate::{protocols::PROTOCOLS, reply::Taken};

const REQUESTS: &str = "weir_ingest_requests_total";
const RECORDS: &str = "weir_ingest_records_total";
const BYTES: &str = "weir_ingest_received_bytes_total";
const DURATION: &str = "weir_ingest_request_duration_seconds";
pub(crate) const CONNECTIONS: &str = "weir_ingest_open_connections";
pub(crate) const CONNECTIONS_TOTAL: &str = "weir_ingest_connections_total";
pub(crate) const TURNED_AWAY: &str = "weir_ingest_connections_turned_away_total";
const FAILED: &str = "weir_ingest_connections_failed_total";
pub(crate) const FAILED_HANDSHAKES: &str = "weir_ingest_tls_handshakes_failed_total";
pub(crate) const DROPPED_DATAGRAMS: &str = "weir_ingest_datagrams_dropped_total";
const IN_FLIGHT: &str = "weir_ingest_in_flight_bytes";

/// Describes this crate's metrics. The binary calls it once, after installing a recorder.
pub fn describe_metrics() {
    metrics::describe_counter!(REQUESTS, "Requests answered, by protocol and status.");
    metrics::describe_counter!(RECORDS, "Records received, by protocol and what became of them.");
    metrics::describe_counter!(BYTES, Unit::Bytes, "Bytes of bodies received, before decompression, by protocol.");
    metrics::describe_histogram!(DURATION, Unit::Seconds, "Time from a post's head to its answer, by protocol.");
    metrics::describe_gauge!(CONNECTIONS, "Connections open now.");
    metrics::describe_counter!(CONNECTIONS_TOTAL, "Connections accepted.");
    metrics::describe_counter!(TURNED_AWAY, "Connections closed because too many were open.");
    metrics::describe_counter!(
        FAILED,
        "Connections that ended with an error: malformed HTTP, a reset, silence in a request."
    );
    metrics::describe_counter!(
        FAILED_HANDSHAKES,
        "TLS handshakes that failed, by reason: plain_http, timeout, client_certificate or other."
    );
    metrics::describe_counter!(
        DROPPED_DATAGRAMS,
        "Datagrams that were dropped because too many waited, or that were no part of a message or too much at once, by \
         protocol."
    );
    metrics::describe_gauge!(IN_FLIGHT, Unit::Bytes, "Bytes held for requests that are not answered yet.");
}

/// The statuses that are sent; all others share the last element.
const STATUSES: [u16; 16] = [200, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503, 202, 204, 0];

/// The metrics of one server.
pub(crate) struct Meters {
    /// One per entry of `PROTOCOLS`, then one for all other requests.
    protocols: Vec<ProtocolMeters>,
    pub(crate) connections: Gauge,
    pub(crate) connections_total: Counter,
    pub(crate) turned_away: Counter,
    pub(crate) failed: Counter,
    pub(crate) in_flight_bytes: Gauge,
}

/// The metrics of one protocol.
pub(crate) struct ProtocolMeters {
    name: &'static str,
    requests: [OnceLock<Counter>; STATUSES.len()],
    accepted: Counter,
    quarantined: Counter,
    rejected: Counter,
    pub(crate) bytes: Counter,
    duration: Histogram,
}

impl Meters {
    pub(crate) fn new() -> Meters {
        let names = PROTOCOLS.iter().map(|protocol| protocol.name).chain(["none"]);
        Meters {
            protocols: names.map(ProtocolMeters::new).collect(),
            connections: gauge!(CONNECTIONS),
            connections_total: counter!(CONNECTIONS_TOTAL),
            turned_away: counter!(TURNED_AWAY),
            failed: counter!(FAILED),
            in_flight_bytes: gauge!(IN_FLIGHT),
        }
    }

    /// The metrics of entry `index` of `PROTOCOLS`.
    pub(crate) fn protocol(&self, index: usize) -> &ProtocolMeters {
        &self.protocols[index]
    }

    /// The metrics of requests outside of any protocol.
    pub(crate) fn other(&self) -> &ProtocolMeters {
        &self.protocols[PROTOCOLS.len()]
    }
}

impl ProtocolMeters {
    pub(crate) fn new(name: &'static str) -> ProtocolMeters {
        let records = |outcome: &'static str| counter!(RECORDS, "protocol" => name, "outcome" => outcome);
        ProtocolMeters {
            name,
            requests: [const { OnceLock::new() }; STATUSES.len()],
            accepted: records("accepted"),
            quarantined: records("quarantined"),
            rejected: records("rejected"),
            bytes: counter!(BYTES, "protocol" => name),
            duration: histogram!(DURATION, "protocol" => name),
        }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, status: u16) {
        let last = STATUSES.len() - 1;
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(last);
        let counter = self.requests[place].get_or_init(|| {
            let label = if place == last { "other".to_owned() } else { status.to_string() };
            counter!(REQUESTS, "protocol" => self.name, "status" => label)
        });
        counter.increment(1);
    }

    /// Counts the outcomes of a request's records.
    pub(crate) fn taken(&self, taken: &Taken) {
        self.accepted.increment(taken.accepted as u64);
        if taken.quarantined > 0 {
            self.quarantined.increment(taken.quarantined as u64);
        }
        if taken.rejected > 0 {
            self.rejected.increment(taken.rejected as u64);
        }
    }

    /// Records the duration of a post.
    pub(crate) fn took(&self, duration: Duration) {
        self.duration.record(duration.as_secs_f64());
    }
}
