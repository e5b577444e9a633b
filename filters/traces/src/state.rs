//! The state that one version of the filter hands to the next.
//!
//! It is one MessagePack array: the format version, the undecided traces (id,
//! start, records, their ids), and the decisions (hash, whether it was kept).
//! Reading validates everything and never panics.

use weir_guest::encode::{self, Encode};
use weir_guest::state::{self, bytes};
use weir_guest::{Record, Value};

use crate::held::{HeldTraces, RecentDecisions, Trace};

const VERSION: i64 = 2;

/// The decoded state.
#[derive(Debug)]
pub struct State {
    pub traces: Vec<(Vec<u8>, Trace)>,
    pub decided: Vec<(u64, bool)>,
}

/// Encodes the state.
pub fn write(held: &HeldTraces, decided: &RecentDecisions) -> Vec<u8> {
    let mut out = Vec::new();
    encode::array_header(&mut out, 3);
    VERSION.encode(&mut out);
    encode::array_header(&mut out, held.len());
    for (id, trace) in held.iter() {
        encode::array_header(&mut out, 4);
        encode::bin(&mut out, id);
        trace.began_ns.encode(&mut out);
        encode::bin(&mut out, &trace.records);
        trace.ids.encode(&mut out);
    }
    let decided = decided.iter();
    encode::array_header(&mut out, decided.len());
    for (hash, kept) in decided {
        encode::array_header(&mut out, 2);
        hash.encode(&mut out);
        kept.encode(&mut out);
    }
    out
}

/// Decodes a state written by `write`.
pub fn read(saved: &[u8]) -> Result<State, String> {
    state::read(saved, VERSION, |parts| {
        let traces = parts.next()?.as_array()?.iter().map(trace).collect::<Option<_>>()?;
        let decided = parts.next()?.as_array()?.iter().map(decision).collect::<Option<_>>()?;
        Some(State { traces, decided })
    })
}

fn trace(value: Value<'_>) -> Option<(Vec<u8>, Trace)> {
    let mut parts = value.as_array()?.iter();
    let id = bytes(parts.next()?)?;
    let began_ns = parts.next()?.as_i64()?;
    let records = bytes(parts.next()?)?;
    let ids: Vec<u64> = parts.next()?.as_array()?.iter().map(|id| id.as_u64()).collect::<Option<_>>()?;
    let (mut rest, mut count) = (&records[..], 0);
    while !rest.is_empty() {
        rest = &rest[Record::read(rest)?.1..];
        count += 1;
    }
    (count == ids.len()).then_some((id, Trace { began_ns, records, ids }))
}

fn decision(value: Value<'_>) -> Option<(u64, bool)> {
    let mut parts = value.as_array()?.iter();
    let hash = parts.next()?.as_u64()?;
    Some((hash, parts.next()?.as_bool()?))
}
