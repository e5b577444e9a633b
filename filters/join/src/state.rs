//! The state as it goes from one version of the filter to the next.
//!
//! One MessagePack list: the version of this form, and the records that wait,
//! each a list of key, when its latest line came, where in a trace it is, record,
//! ids and bytes of all lines, text, level. Reading checks everything and never
//! panics.

use weir_guest::encode::{self, Encode};
use weir_guest::{Level, Record, Value};

use crate::limits::MAX_HELD_BYTES;
use crate::lines::Within;
use crate::streams::{Streams, Waiting};

const VERSION: i64 = 2;

/// Writes the state.
pub fn write(streams: &Streams) -> Vec<u8> {
    let mut out = Vec::new();
    encode::list_header(&mut out, 2);
    VERSION.encode(&mut out);
    let streams = streams.iter();
    encode::list_header(&mut out, streams.len());
    for (key, waiting) in streams {
        encode::list_header(&mut out, 8);
        encode::bin(&mut out, key);
        waiting.latest_ns.encode(&mut out);
        waiting.within.number().encode(&mut out);
        encode::bin(&mut out, &waiting.record);
        waiting.ids.encode(&mut out);
        waiting.record_bytes.encode(&mut out);
        waiting.text.encode(&mut out);
        waiting.level.encode(&mut out);
    }
    out
}

/// Reads what `write` wrote: keys and what waits.
pub fn read(bytes: &[u8]) -> Result<Vec<(Vec<u8>, Waiting)>, String> {
    let list = Value::read(bytes, 0).and_then(|(value, _)| value.as_list());
    let mut parts = list.ok_or("the state is not a MessagePack list: it is not from this filter")?.iter();
    match parts.next().and_then(|version| version.as_i64()) {
        Some(VERSION) => {}
        Some(other) => return Err(format!("the state has version {other}, this filter knows version {VERSION}")),
        None => return Err("the state has no version: it is not from this filter".to_owned()),
    }
    let streams = parts.next().and_then(|streams| streams.as_list());
    let read = streams.and_then(|streams| streams.iter().map(waiting).collect::<Option<_>>());
    read.ok_or_else(|| "the state is damaged".to_owned())
}

fn waiting(value: Value<'_>) -> Option<(Vec<u8>, Waiting)> {
    let mut parts = value.as_list()?.iter();
    let key = bin(parts.next()?)?;
    let latest_ns = parts.next()?.as_i64()?;
    let within = Within::from_number(u8::try_from(parts.next()?.as_i64()?).ok()?)?;
    let record = bin(parts.next()?)?;
    Record::read(&record, 0)?;
    let ids: Vec<u64> = parts.next()?.as_list()?.iter().map(|id| id.as_u64()).collect::<Option<_>>()?;
    let record_bytes = usize::try_from(parts.next()?.as_u64()?).ok().filter(|bytes| *bytes <= MAX_HELD_BYTES)?;
    let text = parts.next()?.as_str()?.to_owned();
    let level = Level::parse(parts.next()?.as_str()?)?;
    let waiting = Waiting { latest_ns, within, record, ids, record_bytes, text, level };
    (!waiting.ids.is_empty()).then_some((key, waiting))
}

fn bin(value: Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Bin(bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}
