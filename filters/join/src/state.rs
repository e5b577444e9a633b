//! The state that one version of the filter hands to the next.
//!
//! It is one MessagePack array: the format version and the waiting records. Each
//! is a list of key, arrival time of the latest line, position in a trace,
//! record, ids and bytes of all lines, text, level. Reading validates everything
//! and never panics.

use weir_guest::encode::{self, Encode};
use weir_guest::state::{self, bytes};
use weir_guest::{Level, Record, Value};

use crate::limits::MAX_HELD_BYTES;
use crate::lines::Position;
use crate::streams::{Streams, Waiting};

const VERSION: i64 = 2;

/// Encodes the state, `left` first: each precedes the stream of the same key.
pub fn write(left: &[(Vec<u8>, Waiting)], streams: &Streams) -> Vec<u8> {
    let mut out = Vec::new();
    encode::array_header(&mut out, 2);
    VERSION.encode(&mut out);
    let streams = streams.iter();
    encode::array_header(&mut out, left.len() + streams.len());
    for (key, waiting) in left.iter().map(|(key, waiting)| (&**key, waiting)).chain(streams) {
        encode::array_header(&mut out, 8);
        encode::bin(&mut out, key);
        waiting.latest_ns.encode(&mut out);
        waiting.position.number().encode(&mut out);
        encode::bin(&mut out, &waiting.record);
        waiting.ids.encode(&mut out);
        waiting.record_bytes.encode(&mut out);
        waiting.text.encode(&mut out);
        waiting.level.encode(&mut out);
    }
    out
}

/// Decodes a state written by `write`: keys and waiting records.
pub fn read(saved: &[u8]) -> Result<Vec<(Vec<u8>, Waiting)>, String> {
    state::read(saved, VERSION, |parts| parts.next()?.as_array()?.iter().map(waiting).collect())
}

fn waiting(value: Value<'_>) -> Option<(Vec<u8>, Waiting)> {
    let mut parts = value.as_array()?.iter();
    let key = bytes(parts.next()?)?;
    let latest_ns = parts.next()?.as_i64()?;
    let position = Position::from_number(u8::try_from(parts.next()?.as_i64()?).ok()?)?;
    let record = bytes(parts.next()?)?;
    Record::read(&record)?;
    let ids: Vec<u64> = parts.next()?.as_array()?.iter().map(|id| id.as_u64()).collect::<Option<_>>()?;
    let record_bytes = usize::try_from(parts.next()?.as_u64()?).ok().filter(|bytes| *bytes <= MAX_HELD_BYTES)?;
    let text = parts.next()?.as_str()?.to_owned();
    let level = Level::parse(parts.next()?.as_str()?)?;
    let waiting = Waiting { latest_ns, position, record, ids, record_bytes, text, level };
    (!waiting.ids.is_empty()).then_some((key, waiting))
}
