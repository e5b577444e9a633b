//! Converts records to keys, and windows to count records.
//!
//! The key consists of the values of the key fields. A window also carries the
//! values that a count record needs but the key may lack: level, source, message,
//! and the route labels, without which no sink with `routes` would select the
//! count. Both are concatenated MessagePack values, with null for absent ones, so
//! equal bytes mean equal values and the count record can be built from them
//! alone.
//!
//! While a window is open, Weir holds a *summary* of it: a count record with one
//! extra key, [`BOOKKEEPING_KEY`], from which a new instance restores the window.
//! If Weir must send the summary on by itself, it is a valid count record.
//!
//! A sender may write that key, too. So a summary contains the id under which it
//! is held, and is accepted only among the first records that an instance is
//! given, up to the first record that is not a summary. A forged summary that is
//! accepted anyway has no more effect than ordinary records: it opens a window
//! for its key, and its count goes on like a record that looks like a count.

use weir_guest::encode::{self, Encode, Open};
use weir_guest::hash::hash;
use weir_guest::{Level, NewRecord, Path, Record, Value, time};

use crate::limits::{MAX_CARRIED_BYTES, MAX_KEY_BYTES, WINDOW_OVERHEAD_BYTES};
use crate::windows::Window;

/// The key of a summary that contains what is needed to restore its window.
pub const BOOKKEEPING_KEY: &str = "weir_dedup";

/// Keys of a count record that describe the record that opened the window.
const CARRIED: [&str; 4] = ["level", "source", "routes", "message"];

/// Keys of a count record that are computed from the window.
const TALLIED: [&str; 4] = ["timestamp", "repeated", "first_time", "last_time"];

/// Which fields form the key, and which are carried besides it.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    fields: Vec<Path>,
    carried: Vec<Path>,
    /// A hash of the field names.
    fields_hash: u64,
    /// Whether all fields are top-level keys, and none of them is a standard key
    /// of a count record: then a count record can be written in one pass.
    is_flat: bool,
}

/// The counters of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// The timestamp of the record that opened the window.
    pub first_ns: i64,
    /// The latest timestamp of a counted record.
    pub last_ns: i64,
    /// Number of counted records, without the first.
    pub repeated: u64,
}

/// The content of [`BOOKKEEPING_KEY`].
struct Bookkeeping {
    /// The id under which the summary is held.
    id: u64,
    opened_ns: i64,
    first_ns: i64,
    /// A hash of the field names and the key, to check that the summary still
    /// gives the same key.
    key_hash: u64,
}

/// The result of reading a summary that Weir gives again.
#[derive(Debug)]
pub enum RestoredSummary {
    /// The window is restored under this key.
    Window(Vec<u8>, Window),
    /// The key can no longer occur, so this count is emitted.
    Count(NewRecord),
}

impl Shape {
    pub fn new(fields: Vec<Path>) -> Self {
        let names: Vec<String> = fields.iter().map(Path::to_string).collect();
        let carried = CARRIED.map(Path::parse).into_iter();
        let carried = carried.filter(|path| !fields.contains(path)).collect();
        let fields_hash = hash(names.join("\n").as_bytes());
        let is_flat = fields.iter().all(|path| matches!(path.keys(), [key] if !TALLIED.contains(&key.as_str())));
        Shape { fields, carried, fields_hash, is_flat }
    }

    /// The encoded size of the field names.
    pub fn names_bytes(&self) -> usize {
        self.fields.iter().flat_map(|path| path.keys()).map(|key| key.len() + 2).sum()
    }

    pub fn fields(&self) -> &[Path] {
        &self.fields
    }

    /// Writes the key of a record into `key`. Returns false if it is too long.
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

    /// The values that a window carries from the record that opens it. The
    /// message comes last and is cut to the remaining room.
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

    /// Builds the count record of a window.
    pub fn count(&self, key: &[u8], window: &Window) -> Vec<u8> {
        self.write_count(key, window, None)
    }

    fn write_count(&self, key: &[u8], window: &Window, own: Option<Bookkeeping>) -> Vec<u8> {
        let mut out = Vec::with_capacity(key.len() + window.carried.len() + WINDOW_OVERHEAD_BYTES);
        match self.is_flat {
            true => self.write_flat(key, window, own, &mut out),
            false => self.make(key, window, own).write(&mut out),
        }
        out
    }

    fn write_flat(&self, key: &[u8], window: &Window, own: Option<Bookkeeping>, out: &mut Vec<u8>) {
        let map = Open::begin(out);
        let mut count = 0;
        let mut put = |key: &str, value: &dyn Encode| {
            encode::str(out, key);
            value.encode(out);
            count += 1;
        };
        for (path, value) in self.values(key, &window.carried) {
            let [name] = path.keys() else { continue };
            match (name.as_str(), value) {
                ("level", Value::Nil) => put(name, &Level::default()),
                ("source" | "message", Value::Nil) => put(name, &""),
                (_, Value::Nil) => {}
                (_, value) => put(name, &value),
            }
        }
        let tally = window.tally;
        put("timestamp", &tally.last_ns);
        put("repeated", &tally.repeated);
        put("first_time", &written(tally.first_ns));
        put("last_time", &written(tally.last_ns));
        own.iter().for_each(|own| put(BOOKKEEPING_KEY, own));
        map.end_map(out, count);
    }

    fn make(&self, key: &[u8], window: &Window, own: Option<Bookkeeping>) -> NewRecord {
        let tally = window.tally;
        let mut new = NewRecord::new(Level::default(), "", "");
        for (path, value) in self.values(key, &window.carried) {
            if !value.is_nil() {
                new = new.set_at(path, value);
            }
        }
        new = new
            .timestamp(tally.last_ns)
            .set("repeated", tally.repeated)
            .set("first_time", written(tally.first_ns))
            .set("last_time", written(tally.last_ns));
        match own {
            Some(own) => new.set(BOOKKEEPING_KEY, own),
            None => new,
        }
    }

    /// The values of a key and the carried values, with their paths.
    fn values<'a>(&'a self, key: &'a [u8], carried: &'a [u8]) -> impl Iterator<Item = (&'a Path, Value<'a>)> {
        [(&self.fields, key), (&self.carried, carried)].into_iter().flat_map(|(paths, bytes)| {
            let mut rest = bytes;
            paths.iter().map_while(move |path| {
                let (value, len) = Value::read(rest)?;
                rest = &rest[len..];
                Some((path, value))
            })
        })
    }

    /// Builds the summary that is held under `id` while a window with a count is
    /// open.
    pub fn summary(&self, id: u64, key: &[u8], window: &Window) -> Vec<u8> {
        let Window { opened_ns, tally, .. } = *window;
        let own = Bookkeeping { id, opened_ns, first_ns: tally.first_ns, key_hash: self.key_hash(key) };
        self.write_count(key, window, Some(own))
    }

    /// Reads the record held under `id`, if it is a summary.
    pub fn read_summary(&self, record: &Record<'_>, id: u64, now_ns: i64) -> Option<RestoredSummary> {
        let own = Bookkeeping::read(record.get(BOOKKEEPING_KEY)?).filter(|own| own.id == id)?;
        let repeated = record.get("repeated")?.as_u64().filter(|repeated| *repeated > 0)?;
        let mut key = Vec::new();
        if !self.key(record, &mut key) || self.key_hash(&key) != own.key_hash {
            return Some(RestoredSummary::Count(NewRecord::copy(record).remove(BOOKKEEPING_KEY)));
        }
        let tally = Tally { first_ns: own.first_ns, last_ns: record.timestamp(), repeated };
        // A window from the future would stay open.
        let opened_ns = own.opened_ns.min(now_ns);
        Some(RestoredSummary::Window(key, Window { carried: self.carried(record), ..Window::open(opened_ns, tally) }))
    }

    fn key_hash(&self, key: &[u8]) -> u64 {
        hash(key) ^ self.fields_hash
    }
}

impl Bookkeeping {
    fn read(value: Value<'_>) -> Option<Self> {
        let map = value.as_map()?;
        Some(Bookkeeping {
            id: map.get("id")?.as_u64()?,
            opened_ns: map.get("opened")?.as_i64()?,
            first_ns: map.get("first")?.as_i64()?,
            key_hash: map.get("key")?.as_u64()?,
        })
    }
}

impl Encode for Bookkeeping {
    fn encode(&self, out: &mut Vec<u8>) {
        encode::map_header(out, 4);
        encode::str(out, "id");
        self.id.encode(out);
        encode::str(out, "opened");
        self.opened_ns.encode(out);
        encode::str(out, "first");
        self.first_ns.encode(out);
        encode::str(out, "key");
        self.key_hash.encode(out);
    }
}

/// The maximum length of a MessagePack string header.
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
