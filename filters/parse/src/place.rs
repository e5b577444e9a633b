//! Puts the fields of a text into the record.
//!
//! Time, level, message and source are set from the fields with the usual names,
//! if their values can be parsed. All other fields are put under `into` or at the
//! top level, where keys with a meaning in Weir are never written: a text must
//! not choose the sinks of its record with a field `routes`. What is no map is put
//! under `context_original` instead of `context`, as Weir does with what it gets.

use weir_guest::{Edit, Level, Path, Record, Value};

use crate::fields::Fields;
use crate::options::RecordPart;
use crate::time::Times;

/// The usual names of times. The first field that exists and can be parsed is
/// used. The other lists work in the same way.
const TIMES: [&str; 8] = ["timestamp", "time", "ts", "@timestamp", "datetime", "date", "eventTime", "t"];
const LEVELS: [&str; 8] = ["level", "severity", "levelname", "log_level", "loglevel", "log.level", "lvl", "@level"];
const MESSAGES: [&str; 6] = ["message", "msg", "log", "@message", "short_message", "event"];
const SOURCES: [&str; 8] =
    ["source", "service", "service_name", "service.name", "app", "component", "logger", "logger_name"];

/// Whether a top-level key has a meaning in Weir.
pub fn is_own(key: &str) -> bool {
    matches!(key, "timestamp" | "level" | "source" | "message" | "routes")
}

/// Where fields are put.
#[derive(Debug)]
pub struct Place {
    /// The path of the text, if it is to be removed.
    pub text_at: Option<Path>,
    pub into: Option<Path>,
    pub prefix: String,
    pub overwrite: bool,
    pub set: Vec<RecordPart>,
    pub times: Times,
}

impl Place {
    /// Puts the fields into the record. Returns false if a value other than a map
    /// is in the way.
    pub fn put(&self, fields: &mut Fields, record: &Record<'_>, edit: &mut Edit) -> bool {
        if !self.has_room(record) {
            return false;
        }
        for own in &self.set {
            self.set_own(*own, fields, record, edit);
        }
        if let Some(path) = &self.text_at {
            edit.remove_at(path);
        }
        match &self.into {
            Some(into) if self.prefix.is_empty() && record.at(into).is_none() => {
                if !fields.is_empty() {
                    edit.set_at(into, &*fields);
                }
            }
            into => self.put_each(into.as_ref(), fields, record, edit),
        }
        true
    }

    fn put_each(&self, into: Option<&Path>, fields: &Fields, record: &Record<'_>, edit: &mut Edit) {
        let way = into.map_or(&[][..], Path::keys);
        for (name, value) in fields.iter() {
            let mut name = format!("{}{name}", self.prefix);
            if way.is_empty() && matches!(&*name, "context" | "metadata") && value.as_map().is_none() {
                name.push_str("_original");
            }
            if value.is_nil() || way.is_empty() && is_own(&name) {
                continue;
            }
            let path = Path::of(way.iter().cloned().chain([name]));
            let free = || record.at(&path).is_none_or(|there| there.is_nil());
            // The text itself may be replaced by its fields.
            if self.overwrite || free() || self.text_at.as_ref() == Some(&path) {
                edit.set_at(&path, value);
            }
        }
    }

    /// Whether there are only maps on the way to `into`.
    fn has_room(&self, record: &Record<'_>) -> bool {
        let Some(into) = &self.into else {
            return true;
        };
        if self.overwrite || self.text_at.as_ref() == Some(into) {
            return true;
        }
        let mut there = Value::Map(record.map());
        for key in into.keys() {
            match there.step(key) {
                Some(Value::Nil) => return true,
                Some(value @ Value::Map(_)) => there = value,
                Some(_) => return false,
                None => return true,
            }
        }
        true
    }

    fn set_own(&self, own: RecordPart, fields: &mut Fields, record: &Record<'_>, edit: &mut Edit) {
        let names: &[&str] = match own {
            RecordPart::Time => &TIMES,
            RecordPart::Level => &LEVELS,
            RecordPart::Message => &MESSAGES,
            RecordPart::Source => &SOURCES,
        };
        for name in names {
            let Some(index) = fields.find(name) else {
                continue;
            };
            let Some(value) = fields.value(index) else {
                continue;
            };
            let taken = match (own, value) {
                (RecordPart::Time, value) => {
                    self.times.read(value, record.timestamp()).map(|ns| edit.timestamp(ns)).is_some()
                }
                (RecordPart::Level, value) => level(value).map(|level| edit.level(level)).is_some(),
                (RecordPart::Message, Value::Str(text)) => {
                    edit.message(text);
                    true
                }
                (RecordPart::Source, Value::Str(text)) if !text.is_empty() => {
                    edit.source(text);
                    true
                }
                _ => false,
            };
            if taken {
                fields.remove(index);
                return;
            }
        }
    }
}

/// Parses a level: words in the spellings of syslog, nginx and Apache, and the
/// numbers of syslog (0 to 7) and of bunyan and pino (tens).
fn level(value: Value<'_>) -> Option<Level> {
    let word = match value {
        Value::Str(word) => word.trim(),
        Value::Int(number) => return numbered(number),
        _ => return None,
    };
    if let Some(level) = Level::parse(word) {
        return Some(level);
    }
    let among = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    if among(&["emerg", "emergency", "alert", "crit", "panic", "dpanic", "f", "c"]) {
        Some(Level::Critical)
    } else if among(&["err", "severe", "e"]) {
        Some(Level::Error)
    } else if among(&["warn", "wrn", "w"]) {
        Some(Level::Warning)
    } else if among(&["notice", "information", "informational", "inf", "i"]) {
        Some(Level::Info)
    } else if among(&["dbg", "d", "fine", "config"]) {
        Some(Level::Debug)
    } else if among(&["trc", "t", "verbose", "v", "finer", "finest", "trace1", "trace2", "trace8"]) {
        Some(Level::Trace)
    } else {
        word.parse().ok().and_then(numbered)
    }
}

fn numbered(number: i64) -> Option<Level> {
    Some(match number {
        0..=2 | 60..=100 => Level::Critical,
        3 | 50..=59 => Level::Error,
        4 | 40..=49 => Level::Warning,
        5 | 6 | 30..=39 => Level::Info,
        7 | 20..=29 => Level::Debug,
        10..=19 => Level::Trace,
        _ => return None,
    })
}
