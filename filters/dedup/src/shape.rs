//! What is read of a record, and written into the count of its window.
//!
//! The key is the values of the key fields; beside it a window carries what a
//! count record must have and the key does not: level, source, message, and the
//! route labels, without which no sink with `routes` would take the count. Both
//! are MessagePack values one after the other, absent ones as null, so that
//! equal bytes mean equal values and the count is made from them alone.

use weir_guest::encode::{self, Encode};
use weir_guest::{Level, NewRecord, Path, Record, Value, time};

use crate::limits::{MAX_CARRIED_BYTES, MAX_KEY_BYTES};

/// What a count record has apart from its `repeated`, `first_time`, `last_time`.
const CARRIED: [&str; 4] = ["level", "source", "routes", "message"];

/// Which fields make the key, and which are carried beside it.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    fields: Vec<Path>,
    carried: Vec<Path>,
}

/// What happened in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// The time of the record that opened it.
    pub first_ns: i64,
    /// The latest time of a record that was counted.
    pub last_ns: i64,
    /// How many records were counted; the first is not among them.
    pub repeated: u64,
}

impl Shape {
    pub fn new(fields: Vec<Path>) -> Self {
        let carried = CARRIED.map(Path::parse).into_iter();
        let carried = carried.filter(|path| !fields.contains(path)).collect();
        Shape { fields, carried }
    }

    pub fn fields(&self) -> &[Path] {
        &self.fields
    }

    /// Writes the key of a record into `key`. False if it would be too long.
    pub fn key(&self, record: &Record<'_>, key: &mut Vec<u8>) -> bool {
        key.clear();
        for field in &self.fields {
            write(record.at(field), key);
            if key.len() > MAX_KEY_BYTES {
                return false;
            }
        }
        true
    }

    /// What a window keeps of the record that opens it. The message comes last
    /// and is cut to the room that is left.
    pub fn carried(&self, record: &Record<'_>) -> Box<[u8]> {
        let mut out = Vec::new();
        for path in &self.carried {
            let start = out.len();
            match record.at(path) {
                Some(Value::Str(text)) => {
                    let room = MAX_CARRIED_BYTES.saturating_sub(start);
                    encode::str(&mut out, &text[..text.floor_char_boundary(room)]);
                }
                value => write(value, &mut out),
            }
            if out.len() > MAX_CARRIED_BYTES + LONGEST_HEADER_BYTES {
                out.truncate(start);
                encode::nil(&mut out);
            }
        }
        out.into_boxed_slice()
    }

    /// The record that says how often a window's record came again.
    pub fn count(&self, key: &[u8], carried: &[u8], tally: Tally) -> NewRecord {
        let mut new = NewRecord::new(Level::default(), "", "").timestamp(tally.last_ns);
        for (paths, bytes) in [(&self.fields, key), (&self.carried, carried)] {
            let mut at = 0;
            for path in paths {
                let Some((value, end)) = Value::read(bytes, at) else {
                    break;
                };
                if !value.is_nil() {
                    new = new.set_at(path, value);
                }
                at = end;
            }
        }
        new.set("repeated", tally.repeated)
            .set("first_time", written(tally.first_ns))
            .set("last_time", written(tally.last_ns))
    }
}

/// Before a text in MessagePack stand at most this many bytes.
const LONGEST_HEADER_BYTES: usize = 5;

fn write(value: Option<Value<'_>>, out: &mut Vec<u8>) {
    match value {
        Some(value) => value.encode(out),
        None => encode::nil(out),
    }
}

fn written(ns: i64) -> String {
    let mut text = String::new();
    time::rfc3339(ns, &mut text);
    text
}
