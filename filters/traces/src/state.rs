//! The state as it goes from one version of the filter to the next.
//!
//! One MessagePack list: the version of this form, the traces that are not
//! decided (id, when it began, records, their ids), and those that were (hash, whether it
//! was kept). Reading checks everything and never panics.

use weir_guest::encode::{self, Encode};
use weir_guest::{Record, Value};

use crate::held::{Decided, Held, Trace};

const VERSION: i64 = 2;

/// State that was read.
#[derive(Debug)]
pub struct State {
    pub traces: Vec<(Vec<u8>, Trace)>,
    pub decided: Vec<(u64, bool)>,
}

/// Writes the state.
pub fn write(held: &Held, decided: &Decided) -> Vec<u8> {
    let mut out = Vec::new();
    encode::list_header(&mut out, 3);
    VERSION.encode(&mut out);
    encode::list_header(&mut out, held.len());
    for (id, trace) in held.iter() {
        encode::list_header(&mut out, 4);
        encode::bin(&mut out, id);
        trace.began_ns.encode(&mut out);
        encode::bin(&mut out, &trace.records);
        trace.ids.encode(&mut out);
    }
    let decided = decided.iter();
    encode::list_header(&mut out, decided.len());
    for (hash, kept) in decided {
        encode::list_header(&mut out, 2);
        hash.encode(&mut out);
        kept.encode(&mut out);
    }
    out
}

/// Reads what `write` wrote.
pub fn read(bytes: &[u8]) -> Result<State, String> {
    let list = Value::read(bytes, 0).and_then(|(value, _)| value.as_list());
    let mut parts = list.ok_or("the state is not a MessagePack list: it is not from this filter")?.iter();
    match parts.next().and_then(|version| version.as_i64()) {
        Some(VERSION) => {}
        Some(other) => return Err(format!("the state has version {other}, this filter knows version {VERSION}")),
        None => return Err("the state has no version: it is not from this filter".to_owned()),
    }
    let mut read = || {
        let traces = parts.next()?.as_list()?.iter().map(trace).collect::<Option<_>>()?;
        let decided = parts.next()?.as_list()?.iter().map(decision).collect::<Option<_>>()?;
        Some(State { traces, decided })
    };
    read().ok_or_else(|| "the state is damaged".to_owned())
}

fn trace(value: Value<'_>) -> Option<(Vec<u8>, Trace)> {
    let mut parts = value.as_list()?.iter();
    let id = bin(parts.next()?)?;
    let began_ns = parts.next()?.as_i64()?;
    let records = bin(parts.next()?)?;
    let ids: Vec<u64> = parts.next()?.as_list()?.iter().map(|id| id.as_u64()).collect::<Option<_>>()?;
    let (mut at, mut count) = (0, 0);
    while at < records.len() {
        at = Record::read(&records, at)?.1;
        count += 1;
    }
    (count == ids.len()).then_some((id, Trace { began_ns, records, ids }))
}

fn decision(value: Value<'_>) -> Option<(u64, bool)> {
    let mut parts = value.as_list()?.iter();
    let hash = parts.next()?.as_u64()?;
    Some((hash, parts.next()?.as_bool()?))
}

fn bin(value: Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Bin(bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}
