//! For the tests of protocols: posts bodies to them without a server, also bodies that are broken at random.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use http_body_util::BodyExt;
use hyper::Request;
use weir_record::{Aliases, Batch, ComposeError, Composer, Defaults, Level, RejectedRecord, write_json};

use super::{Posted, Protocol};
use crate::reply::{Answer, Refused};

/// What every record has.
const HEAD: [&str; 4] = ["timestamp", "level", "source", "message"];

pub(crate) const RECEIVED_NS: i64 = 1_700_000_000_000_000_000;

/// When everything is received.
pub(super) const RECEIVED: &str = "2023-11-14T22:13:20.000000000Z";

/// Random bodies per test, unless [`MUTATE_FOR`] is set.
const MUTATIONS: u32 = 4_000;

/// How many seconds to try random bodies, for a longer search than in every run of the tests.
const MUTATE_FOR: &str = "WEIR_MUTATE_SECONDS";

/// Posts a body: the records as JSON, and those set aside.
pub(super) fn post(
    protocol: &Protocol,
    target: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Result<(Vec<serde_json::Value>, Vec<RejectedRecord>), Refused> {
    let (batch, bad) = read(protocol, target, headers, body.as_ref())?;
    Ok((records_of(&batch), bad))
}

/// The records of a batch as JSON.
pub(super) fn records_of(batch: &Batch) -> Vec<serde_json::Value> {
    let json = |record| {
        let mut json = Vec::new();
        write_json(record, &mut json);
        serde_json::from_slice(&json).expect("JSON")
    };
    batch.iter().map(json).collect()
}

/// What records get that they lack.
pub(super) fn defaults(aliases: &Aliases) -> Defaults<'_> {
    Defaults {
        received_ns: RECEIVED_NS,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases,
        keeps_routes: false,
    }
}

/// What frames of a protocol of sockets become: the records as JSON, and those set aside.
pub(super) fn composed(
    compose: fn(&[u8], i64, &mut Composer<'_, '_>) -> Result<(), ComposeError>,
    frames: &[&[u8]],
) -> (Vec<serde_json::Value>, Vec<RejectedRecord>) {
    let aliases = Aliases::default();
    let defaults = defaults(&aliases);
    let mut batch = Batch::new();
    let mut composer = Composer::new(&defaults, &mut batch);
    for frame in frames {
        composer.begin();
        let composed = compose(frame, RECEIVED_NS, &mut composer);
        composer.end(composed, || frame.to_vec()).expect("the body is not refused");
    }
    let bad = composer.finish();
    (records_of(&batch), bad)
}

/// The body of an answer.
pub(super) fn said(answer: &Answer) -> serde_json::Value {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let body = runtime.block_on(answer.clone().into_body().collect()).expect("a body").to_bytes();
    serde_json::from_slice(&body).expect("JSON")
}

/// Posts a body: the batch, and the records set aside.
pub(super) fn read(
    protocol: &Protocol,
    target: &str,
    headers: &[(&str, &str)],
    content: &[u8],
) -> Result<(Batch, Vec<RejectedRecord>), Refused> {
    let mut request = Request::post(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, ()) = request.body(()).expect("a request").into_parts();
    (protocol.check)(&parts)?;
    let aliases = Aliases::default();
    let posted = Posted {
        parts: &parts,
        content,
        received_ns: RECEIVED_NS,
        is_replay: false,
        source: "http",
        level: Level::Info,
        aliases: &aliases,
    };
    let mut batch = Batch::new();
    let read = (protocol.read)(&posted, &mut batch)?;
    Ok((batch, read.bad))
}

/// Posts random mutations of bodies. Nothing may panic, and every record must be canonical.
pub(super) fn mutated(protocol: &Protocol, target: &str, headers: &[(&str, &str)], seeds: &[&[u8]]) {
    let count = mutations(seeds, |_, body| {
        if let Ok((batch, bad)) = read(protocol, target, headers, body) {
            for record in batch.iter() {
                let names: HashSet<&str> = record.entries().map(|(name, _)| name).collect();
                let said = String::from_utf8_lossy(body);
                assert_eq!(names.len(), record.map().len(), "every entry can be read, and each once: {said:?}");
                assert!(HEAD.iter().all(|name| names.contains(name)), "a record without a head: {said:?}");
            }
            assert!(bad.is_sorted_by_key(|bad| bad.index), "{:?}", String::from_utf8_lossy(body));
        }
    });
    eprintln!("{}: {count} bodies", protocol.name);
}

/// Calls `check` with random mutations of bodies and with which one each was, and returns how many there were.
pub(super) fn mutations(seeds: &[&[u8]], mut check: impl FnMut(usize, &[u8])) -> u32 {
    let seconds = std::env::var(MUTATE_FOR).ok().and_then(|text| text.parse().ok());
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut count = 0;
    while end.map_or(count < MUTATIONS, |end| Instant::now() < end) {
        let seed = count as usize % seeds.len();
        check(seed, &random.mutation(seeds[seed], seeds));
        count += 1;
    }
    count
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).expect("below a usize")
    }

    /// A seed with up to eight changes: a bit, a byte, a part removed, repeated or taken from another seed.
    fn mutation(&mut self, seed: &[u8], seeds: &[&[u8]]) -> Vec<u8> {
        let mut body = seed.to_vec();
        for _ in 0..=self.below(8) {
            let at = self.below(body.len() + 1);
            let end = (at + self.below(16)).min(body.len());
            match self.below(6) {
                0 if at < body.len() => body[at] ^= 1 << self.below(8),
                1 if at < body.len() => body[at] = u8::try_from(self.below(256)).expect("a byte"),
                2 => drop(body.drain(at..end)),
                3 => {
                    let part = body[at..end].to_vec();
                    body.splice(at..at, part);
                }
                4 => {
                    let other = seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    let to = (from + self.below(32)).min(other.len());
                    body.splice(at..at, other[from..to].iter().copied());
                }
                _ => body.truncate(at),
            }
        }
        body
    }
}
