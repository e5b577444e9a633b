//! The state as it goes from one version of the filter to the next.
//!
//! One MessagePack list: the version of this form, the paths of the key's fields,
//! the buckets, each a list of key, when it is full, and what was held back
//! (nothing, or a list), and the summaries that no tick has emitted yet. Reading
//! checks everything and never panics.

use weir_guest::encode::{self, Encode};
use weir_guest::{Level, Path, Value};

use crate::bucket::{Bucket, Held};
use crate::table::Table;

const VERSION: i64 = 1;

/// State that was read.
#[derive(Debug)]
pub struct State {
    pub fields: Vec<Path>,
    pub buckets: Vec<(Vec<u8>, Bucket)>,
    pub left: Vec<Vec<u8>>,
}

/// Writes the state.
pub fn write(fields: &[Path], table: &Table, left: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::list_header(&mut out, 4);
    VERSION.encode(&mut out);
    fields.iter().map(Path::to_string).collect::<Vec<_>>().encode(&mut out);
    encode::list_header(&mut out, table.iter().count());
    for (key, bucket) in table.iter() {
        encode::list_header(&mut out, 3);
        encode::bin(&mut out, key);
        bucket.full_ns.encode(&mut out);
        match &bucket.held {
            None => encode::nil(&mut out),
            Some(held) => {
                encode::list_header(&mut out, 7);
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
    encode::list_header(&mut out, left.len());
    for summary in left {
        encode::bin(&mut out, summary);
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
    let damaged = || "the state is damaged".to_owned();
    let fields = parts.next().and_then(|fields| fields.as_list()).ok_or_else(damaged)?;
    let buckets = parts.next().and_then(|buckets| buckets.as_list()).ok_or_else(damaged)?;
    let left = parts.next().and_then(|left| left.as_list()).ok_or_else(damaged)?;
    Ok(State {
        fields: fields.iter().map(|path| path.as_str().map(Path::parse)).collect::<Option<_>>().ok_or_else(damaged)?,
        buckets: buckets.iter().map(bucket).collect::<Option<_>>().ok_or_else(damaged)?,
        left: left.iter().map(bin).collect::<Option<_>>().ok_or_else(damaged)?,
    })
}

fn bucket(value: Value<'_>) -> Option<(Vec<u8>, Bucket)> {
    let mut parts = value.as_list()?.iter();
    let key = bin(parts.next()?)?;
    let full_ns = parts.next()?.as_i64()?;
    let held = match parts.next()? {
        Value::Nil => None,
        held => Some(Box::new(self::held(held)?)),
    };
    Some((key, Bucket { full_ns, held }))
}

fn held(value: Value<'_>) -> Option<Held> {
    let mut parts = value.as_list()?.iter();
    Some(Held {
        count: u64::try_from(parts.next()?.as_i64()?).ok()?,
        since_ns: parts.next()?.as_i64()?,
        first_ns: parts.next()?.as_i64()?,
        last_ns: parts.next()?.as_i64()?,
        level: Level::parse(parts.next()?.as_str()?)?,
        source: parts.next()?.as_str()?.to_owned(),
        routes: bin(parts.next()?)?,
    })
}

fn bin(value: Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Bin(bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}
