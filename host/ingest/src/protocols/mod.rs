//! The protocols that records can be sent in: one file each, and one line in [`PROTOCOLS`].
//!
//! `routes` looks up paths here. `post` does what all protocols share (limits, decompression, the pipeline, metrics)
//! and calls the protocol for what differs: which heads it accepts, how bytes become records, and the form of the
//! answer. Invariant: a protocol is pure (no I/O, no clock, no state), so `read` may run on any thread.

mod alertmanager;
mod cloudevents;
mod datadog;
mod elasticsearch;
mod entries;
pub(crate) mod forward;
pub(crate) mod gelf;
mod influx;
pub(crate) mod lines;
mod logplex;
mod loki;
mod otlp;
mod protobuf;
mod raw_json;
mod splunk;
pub(crate) mod syslog;
#[cfg(test)]
mod test_answers;
#[cfg(test)]
pub(crate) mod test_bodies;
mod timeseries;
mod trace;
mod weir;

use hyper::{HeaderMap, Method, http::request::Parts};
use weir_access::Role;
use weir_record::{Aliases, Batch, Defaults, Level, RejectedRecord, json_to_msgpack};

use crate::{
    SOCKET_PROTOCOLS,
    reply::{Answer, Refused, Taken},
    request::Encoding,
};

pub(crate) use otlp::{is_grpc, unknown_method};

/// All protocols, in the order in which their paths are tried.
pub(crate) static PROTOCOLS: &[Protocol] = &[
    weir::PROTOCOL,
    timeseries::PROTOCOL,
    otlp::PROTOCOL,
    loki::PROTOCOL,
    elasticsearch::PROTOCOL,
    splunk::PROTOCOL,
    datadog::PROTOCOL,
    influx::PROTOCOL,
    gelf::PROTOCOL,
    logplex::PROTOCOL,
    cloudevents::PROTOCOL,
    alertmanager::PROTOCOL,
];

/// A way of sending records over HTTP.
pub(crate) struct Protocol {
    /// Its name in metrics and documentation.
    pub(crate) name: &'static str,
    /// A description in one sentence.
    pub(crate) summary: &'static str,
    /// The paths that records are sent to. A `*` matches any one segment, `_*` any that starts with `_`.
    pub(crate) paths: &'static [&'static str],
    /// The methods that send them.
    pub(crate) methods: &'static [Method],
    /// What its clients ask for besides sending records.
    pub(crate) asks: &'static [Ask],
    /// An example body, for the help text and for the tests of all protocols.
    pub(crate) example: Example,
    /// The header that has, in place of `Idempotency-Key`, what a sender repeats if it sends the same again.
    pub(crate) key_header: Option<&'static str>,
    /// How the body is compressed.
    pub(crate) encoding: fn(&HeaderMap) -> Result<Encoding, Refused>,
    /// Refuses a request by its head, before the body is read.
    pub(crate) check: fn(&Parts) -> Result<(), Refused>,
    /// Converts a body to records.
    pub(crate) read: fn(&Posted<'_>, &mut Batch) -> Result<Read, Refused>,
    /// Builds the answer.
    pub(crate) reply: fn(&Parts, &Result<Taken, Refused>) -> Answer,
}

/// A question that clients of a protocol ask, such as which version the server has.
pub(crate) struct Ask {
    pub(crate) methods: &'static [Method],
    /// As in [`Protocol::paths`].
    pub(crate) path: &'static str,
    /// Who may ask; `None`: everybody.
    pub(crate) role: Option<Role>,
    /// The answer to a head and a body of at most [`limits::MAX_ASK_BYTES`](crate::limits::MAX_ASK_BYTES); `None` if the
    /// request means something else.
    pub(crate) answer: fn(&Parts, &[u8]) -> Option<Answer>,
}

/// What was read from a body, besides its good records.
#[derive(Default)]
pub(crate) struct Read {
    /// Records that could not be made canonical.
    pub(crate) bad: Vec<RejectedRecord>,
    /// What the protocol's `reply` needs to know of the body; it finds this in [`Taken::notes`].
    pub(crate) notes: Vec<u8>,
}

impl From<Vec<RejectedRecord>> for Read {
    fn from(bad: Vec<RejectedRecord>) -> Read {
        Read { bad, notes: Vec::new() }
    }
}

/// A body of exactly one record.
pub(crate) struct Example {
    pub(crate) content_type: &'static str,
    pub(crate) body: &'static str,
}

/// A body that can be read: complete and decompressed.
pub(crate) struct Posted<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) content: &'a [u8],
    pub(crate) received_ns: i64,
    /// Whether this is a replay. The `routes` of its records were then set by filters.
    pub(crate) is_replay: bool,
    /// The server's defaults, for what neither the record nor the request has.
    pub(crate) source: &'a str,
    pub(crate) level: Level,
    pub(crate) aliases: &'a Aliases,
}

impl Posted<'_> {
    /// The value of a body of JSON, as MessagePack.
    pub(crate) fn json(&self) -> Result<Vec<u8>, Refused> {
        let mut values = Vec::with_capacity(self.content.len());
        json_to_msgpack(self.content, &mut values).map_err(|error| Refused::unread(error, "JSON"))?;
        Ok(values)
    }

    /// What records get that they lack.
    pub(crate) fn defaults(&self) -> Defaults<'_> {
        Defaults {
            received_ns: self.received_ns,
            source: self.source,
            level: self.level,
            context: &[],
            aliases: self.aliases,
            keeps_routes: self.is_replay,
        }
    }
}

/// The names of all protocols, as metrics have them. One that is spoken over HTTP and over sockets has one name.
pub fn protocol_names() -> impl Iterator<Item = &'static str> {
    let over_http = || PROTOCOLS.iter().map(|protocol| protocol.name);
    let sockets = SOCKET_PROTOCOLS.iter().map(|protocol| protocol.name);
    over_http().chain(sockets.filter(move |name| !over_http().any(|known| known == *name)))
}

/// The protocol for `path`, with its index in [`PROTOCOLS`].
pub(crate) fn find(path: &str) -> Option<(usize, &'static Protocol)> {
    PROTOCOLS.iter().enumerate().find(|(_, protocol)| protocol.paths.iter().any(|pattern| fits(pattern, path)))
}

/// The question that is asked with `method` at `path`, with the protocol.
pub(crate) fn find_ask<'p>(
    method: &'p Method,
    path: &'p str,
) -> impl Iterator<Item = (&'static Protocol, &'static Ask)> + use<'p> {
    let asks = PROTOCOLS.iter().flat_map(|protocol| protocol.asks.iter().map(move |ask| (protocol, ask)));
    asks.filter(move |(_, ask)| ask.methods.contains(method) && fits(ask.path, path))
}

fn fits(pattern: &str, path: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == path;
    }
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some("_*"), Some(segment)) if segment.len() > 1 && segment.starts_with('_') => {}
            (Some(expected), Some(segment)) if expected == segment => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_protocol_is_named_once_described_and_reachable_at_its_own_paths() {
        let (mut names, mut paths) = (HashSet::new(), HashSet::new());
        for (index, protocol) in PROTOCOLS.iter().enumerate() {
            assert!(names.insert(protocol.name), "two protocols are named {}", protocol.name);
            assert!(protocol.summary.len() > 20, "{} says too little", protocol.name);
            assert!(!protocol.paths.is_empty(), "{} can't be reached", protocol.name);
            for path in protocol.paths {
                assert!(path.starts_with('/') && paths.insert(*path), "{path} is taken or no path");
                let (found, _) = find(&path.replace('*', "something")).expect("its own path finds a protocol");
                assert_eq!(found, index, "{path} leads to another protocol");
            }
        }
    }

    #[test]
    fn a_star_stands_for_exactly_one_segment() {
        assert!(fits("/*/_bulk", "/logs/_bulk"));
        assert!(!fits("/*/_bulk", "//_bulk"));
        assert!(!fits("/*/_bulk", "/a/b/_bulk"));
        assert!(!fits("/*/_bulk", "/_bulk"));
        assert!(fits("/_*/x", "/_a/x") && !fits("/_*/x", "/_/x") && !fits("/_*/x", "/a/x"));
        assert!(!fits("/ingest", "/ingest/"));
    }
}
