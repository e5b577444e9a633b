//! The state that one version of the filter hands to the next.
//!
//! It is one MessagePack array: the format version, the paths of the key fields,
//! the buckets, and the summaries that no tick has emitted yet. A bucket is a
//! list of its key, the time at which it is full, and the dropped records
//! (nothing, or a list). Reading validates everything and never panics.

use weir_guest::encode::{self, Encode};
use weir_guest::state::{self, bytes};
use weir_guest::{Level, Path, Value};

use crate::bucket::{Bucket, DroppedRecords};
use crate::table::Table;

const VERSION: i64 = 1;

/// The decoded state.
#[derive(Debug)]
pub struct State {
    pub fields: Vec<Path>,
    pub buckets: Vec<(Vec<u8>, Bucket)>,
    pub left: Vec<Vec<u8>>,
}

/// Encodes the state.
pub fn write(fields: &[Path], table: &Table, left: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::array_header(&mut out, 4);
    VERSION.encode(&mut out);
    fields.iter().map(Path::to_string).collect::<Vec<_>>().encode(&mut out);
    encode::array_header(&mut out, table.iter().count());
    for (key, bucket) in table.iter() {
        encode::array_header(&mut out, 3);
        encode::bin(&mut out, key);
        bucket.full_ns.encode(&mut out);
        match &bucket.held {
            None => encode::nil(&mut out),
            Some(held) => {
                encode::array_header(&mut out, 7);
                held.count.encode(&mut out);
                held.since_ns.encode(&mut out);
                held.first_ns.encode(&mut out);
                held.last_ns.encode(&mut out);
                held.level.encode(&mut out);
                held.source.encode(&mut out);
                encode::bin(&mut out, &held.routes);
            }
        }
    }
    encode::array_header(&mut out, left.len());
    for summary in left {
        encode::bin(&mut out, summary);
    }
    out
}

/// Decodes a state written by `write`.
pub fn read(saved: &[u8]) -> Result<State, String> {
    state::read(saved, VERSION, |parts| {
        let fields = parts.next()?.as_array()?;
        let buckets = parts.next()?.as_array()?;
        let left = parts.next()?.as_array()?;
        Some(State {
            fields: fields.iter().map(|path| path.as_str().map(Path::parse)).collect::<Option<_>>()?,
            buckets: buckets.iter().map(bucket).collect::<Option<_>>()?,
            left: left.iter().map(bytes).collect::<Option<_>>()?,
        })
    })
}

fn bucket(value: Value<'_>) -> Option<(Vec<u8>, Bucket)> {
    let mut parts = value.as_array()?.iter();
    let key = bytes(parts.next()?)?;
    let full_ns = parts.next()?.as_i64()?;
    let held = match parts.next()? {
        Value::Nil => None,
        held => Some(Box::new(self::held(held)?)),
    };
    Some((key, Bucket { full_ns, held }))
}

fn held(value: Value<'_>) -> Option<DroppedRecords> {
    let mut parts = value.as_array()?.iter();
    Some(DroppedRecords {
        count: u64::try_from(parts.next()?.as_i64()?).ok()?,
        since_ns: parts.next()?.as_i64()?,
        first_ns: parts.next()?.as_i64()?,
        last_ns: parts.next()?.as_i64()?,
        level: Level::parse(parts.next()?.as_str()?)?,
        source: parts.next()?.as_str()?.to_owned(),
        routes: bytes(parts.next()?)?,
    })
}
