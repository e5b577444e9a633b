//! The protocols that records can come in: one file each, and one line in [`PROTOCOLS`].
//!
//! `routes` looks paths up here; `post` does what all of them share (bounds, decompression, the pipeline, metrics) and
//! calls a protocol for what is its own: which heads it takes, how bytes become records, how the answer is worded.
//! Invariant: a protocol is pure (no I/O, no clock, no state), so `read` may run on any thread.

mod timeseries;
mod weir;

use hyper::http::request::Parts;
use weir_record::{Aliases, Bad, Batch, Level};

use crate::reply::{Answer, Refused, Taken};

/// Every protocol, in the order their paths are tried.
pub(crate) static PROTOCOLS: &[Protocol] = &[weir::PROTOCOL, timeseries::PROTOCOL];

/// One way of sending records over HTTP.
pub(crate) struct Protocol {
    /// Its name in metrics and documentation.
    pub(crate) name: &'static str,
    /// What it is, in one sentence.
    pub(crate) summary: &'static str,
    /// The paths it is posted to; a `*` stands for any one segment.
    pub(crate) paths: &'static [&'static str],
    /// A body that it takes, for the help text and the tests over all protocols.
    pub(crate) example: Example,
    /// Refuses by the head alone, before the body is read.
    pub(crate) check: fn(&Parts) -> Result<(), Refused>,
    /// Turns a body into records.
    pub(crate) read: fn(&Posted<'_>, &mut Batch) -> Result<Vec<Bad>, Refused>,
    /// Words the answer.
    pub(crate) reply: fn(&Parts, &Result<Taken, Refused>) -> Answer,
}

/// A body that makes exactly one record.
pub(crate) struct Example {
    pub(crate) content_type: &'static str,
    pub(crate) body: &'static str,
}

/// A body that is ready to be read: complete, decompressed.
pub(crate) struct Posted<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) content: &'a [u8],
    pub(crate) received_ns: i64,
    /// Whether it was received before: then the `routes` of its records are those that filters gave them.
    pub(crate) is_replay: bool,
    /// The server's own defaults, for what neither record nor request says.
    pub(crate) source: &'a str,
    pub(crate) level: Level,
    pub(crate) aliases: &'a Aliases,
}

/// The protocol posted to at `path`, with its place in [`PROTOCOLS`].
pub(crate) fn find(path: &str) -> Option<(usize, &'static Protocol)> {
    PROTOCOLS.iter().enumerate().find(|(_, protocol)| protocol.paths.iter().any(|pattern| fits(pattern, path)))
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
        assert!(!fits("/ingest", "/ingest/"));
    }
}
