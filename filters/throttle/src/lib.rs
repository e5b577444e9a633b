//! `throttle`: limits the rate of records per key and summarises what it dropped.
//!
//! Each key has a token bucket: a record takes a token and goes on, or is dropped if
//! there is none. Tokens are refilled at `rate` per second, up to `burst`.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `rate` | required | records per second and key; may be below 1: 0.1 is one every ten seconds |
//! | `burst` | one second's worth | how many records may go on at once after a pause |
//! | `key` | `["source"]` | the paths whose values form the key; absent and null are equal; `[]`: one bucket for all records |
//! | `keep_level` | none | records of this level or higher always go on and take no token |
//! | `summary` | `10` | seconds from the first dropped record to the summary, 1 to 86400 |
//! | `max_keys` | `10000` | how many keys have a bucket of their own, 1 to 50000; further keys share one |
//!
//! # The summary
//!
//! | field | content |
//! |---|---|
//! | `message` | `1234 records were held back` |
//! | `level` | the highest of the dropped records |
//! | `source`, `routes` | those of the first dropped record |
//! | the key fields | their values |
//! | `held_back` | the number of dropped records |
//! | `first_time`, `last_time` | `timestamp` of the first and of the last dropped record, as RFC 3339 |
//!
//! It is emitted within about a second once `summary` seconds have passed, and when
//! Weir stops or the filter is removed. A new version takes over buckets and counts.
//! If Weir is killed, the counts since the last summary are lost.
//!
//! # Limits
//!
//! **More than `max_keys` keys**, 8 MiB of keys, or a key longer than 4 KiB: new keys
//! share one bucket until others are idle, and the counter `shared` goes up. Their
//! summary has no key fields.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "throttle"
//! module = "bundled:throttle"
//! options = { rate = 100, burst = 500, key = ["source", "context.tenant"], keep_level = "ERROR" }
//! ```
//!
//! # How it works
//!
//! | module | purpose |
//! |---|---|
//! | `options` | the options and their validation |
//! | `bucket` | one token bucket |
//! | `table` | the buckets of all keys |
//! | `state` | the state for the next version of the filter |
//! | `limits` | all limits |

mod bucket;
mod limits;
mod options;
mod state;
mod table;
#[cfg(test)]
mod tests;

use weir_guest::{
    Description, Edit, Encode, Filter, Level, NewRecord, Path, Record, StatefulFilter, Value, Verdict, host, time,
};

use bucket::{Bucket, DroppedRecords, RateLimit};
use limits::MAX_CARRIED_BYTES;
use table::Table;

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Throttle {
    pace: RateLimit,
    fields: Vec<Path>,
    keep_level: Option<Level>,
    summary_ns: i64,
    table: Table,
    /// Summaries from a version with other key fields, as MessagePack. The next
    /// tick emits them.
    left: Vec<Vec<u8>>,
    /// The key of the current record, kept to reuse its memory.
    key: Vec<u8>,
}

impl Filter for Throttle {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "throttle",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &["held_back", "first_time", "last_time"],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        let (rate, burst) = options.check().map_err(|error| error.to_string())?;
        Ok(Throttle {
            pace: RateLimit::new(rate, burst),
            fields: options.key,
            keep_level: options.keep_level,
            // At most a day, so it fits.
            summary_ns: options.summary as i64 * 1_000_000_000,
            table: Table::new(options.max_keys, host::now() as u64),
            left: Vec::new(),
            key: Vec::new(),
        })
    }

    fn process(&mut self, record: &Record<'_>, _edit: &mut Edit) -> Verdict {
        if self.keep_level.is_some_and(|least| record.level() >= least) {
            return Verdict::Keep;
        }
        let now_ns = host::now();
        table::write_key(&self.fields, record, &mut self.key);
        let room = self.table.room_to_carry();
        let (bucket, own) = self.table.bucket(&self.key);
        if !own {
            host::counter("shared", 1);
        }
        if bucket.take(now_ns, self.pace) {
            return Verdict::Keep;
        }
        let carried_bytes = hold(bucket, record, now_ns, room);
        self.table.carry(carried_bytes);
        Verdict::Drop
    }
}

impl StatefulFilter for Throttle {
    fn tick(&mut self, closing: bool) -> Vec<NewRecord> {
        let now_ns = host::now();
        let left = std::mem::take(&mut self.left);
        let left = left.iter().filter_map(|bytes| Record::read(bytes));
        let mut summaries: Vec<NewRecord> = left.map(|(record, _)| NewRecord::copy(&record)).collect();
        let due = |held: &DroppedRecords| {
            let waited_ns = now_ns.saturating_sub(held.since_ns);
            // Negative if the clock was set back: then the age is unknown.
            closing || waited_ns >= self.summary_ns || waited_ns < 0
        };
        for (key, bucket) in self.table.iter_mut() {
            if let Some(held) = bucket.held.take_if(|held| due(held)) {
                summaries.push(summary(&self.fields, key, &held));
            }
        }
        self.table.forget_idle(now_ns);
        summaries
    }

    fn save(&self) -> Vec<u8> {
        state::write(&self.fields, &self.table, &self.left)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        let state = state::read(state)?;
        self.left = state.left;
        for (key, bucket) in state.buckets {
            if state.fields == self.fields {
                let (place, own) = self.table.bucket(&key);
                if own {
                    *place = bucket;
                    continue;
                }
            }
            if let Some(held) = &bucket.held {
                let mut bytes = Vec::new();
                summary(&state.fields, &key, held).write(&mut bytes);
                self.left.push(bytes);
            }
        }
        Ok(())
    }
}

/// Counts a dropped record. Returns the bytes that are stored for the summary because of it, at most `room`.
fn hold(bucket: &mut Bucket, record: &Record<'_>, now_ns: i64, room: usize) -> usize {
    let time_ns = record.timestamp();
    let mut carried_bytes = 0;
    let held = bucket.held.get_or_insert_with(|| {
        let mut first = DroppedRecords {
            count: 0,
            since_ns: now_ns,
            first_ns: time_ns,
            last_ns: time_ns,
            level: record.level(),
            source: String::new(),
            routes: Vec::new(),
        };
        if room >= 2 * MAX_CARRIED_BYTES {
            let source = record.source();
            source[..source.floor_char_boundary(MAX_CARRIED_BYTES)].clone_into(&mut first.source);
            if let Some(labels) = record.get("routes") {
                labels.encode(&mut first.routes);
            }
            if first.routes.len() > MAX_CARRIED_BYTES {
                first.routes.clear();
            }
        }
        carried_bytes = first.carried_bytes();
        Box::new(first)
    });
    held.count = held.count.saturating_add(1);
    held.last_ns = held.last_ns.max(time_ns);
    held.level = held.level.max(record.level());
    carried_bytes
}

/// The summary of a key.
fn summary(fields: &[Path], key: &[u8], held: &DroppedRecords) -> NewRecord {
    let records = if held.count == 1 { "record was" } else { "records were" };
    let message = format!("{} {records} held back", held.count);
    let mut new = NewRecord::new(held.level, &held.source, &message).timestamp(held.last_ns);
    if let Some((routes, _)) = Value::read(&held.routes) {
        new = new.set("routes", routes);
    }
    let mut rest = key;
    for field in fields {
        let Some((value, len)) = Value::read(rest) else {
            break;
        };
        if !value.is_nil() && *field != Path::parse("message") {
            new = new.set_at(field, value);
        }
        rest = &rest[len..];
    }
    new.set("held_back", held.count).set("first_time", written(held.first_ns)).set("last_time", written(held.last_ns))
}

fn written(ns: i64) -> String {
    let mut text = String::new();
    time::rfc3339(ns, &mut text);
    text
}

weir_guest::export!(stateful Throttle);
