//! Points from records. A record with `measurement` (text) and `fields` (a map) is a measurement, as made by the
//! `timeseries` filter and accepted by `POST /v1/timeseries`. Every other record is an ordinary log, which the mapping
//! in the options converts.
//!
//! A record without any writable field makes no point. That is counted but is no error: ordinary logs may contain no
//! numbers.

use std::collections::HashSet;

use metrics::{Counter, counter};
use weir_record::{Map, Record, Value};

use super::line::{Word, Written, push_field, push_word};
use super::{InfluxOptions, KeepApart, Named};
use crate::limits;
use crate::sink::Position;
use crate::text::push_value;

/// Describes this sink's metrics.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        "weir_influxdb_skipped_records_total",
        "Records without any field that a point can hold"
    );
    metrics::describe_counter!("weir_influxdb_fields_as_text_total", "Lists, maps and bytes that were written as text");
}

/// Makes points, and counts what it can't write.
pub(super) struct Points {
    sink: String,
    measurement: String,
    tags: Vec<(String, String)>,
    fields: Option<Vec<(String, String)>>,
    count: Option<String>,
    integers_as_floats: bool,
    keep_apart: KeepApart,
    tick_ns: i64,
    /// The unit of the times sent, in nanoseconds.
    sent_ns: i64,
    skipped: Counter,
    as_text: Counter,
    /// Fields that a warning was logged for.
    warned: HashSet<String>,
    scratch: Vec<u8>,
}

impl Points {
    pub fn new(sink: &str, options: &InfluxOptions) -> Result<Points, String> {
        let sent_ns = match options.keep_apart {
            KeepApart::None => options.precision.tick_ns(),
            _ => 1,
        };
        if options.measurement.is_empty() || options.count.as_deref() == Some("") {
            return Err("`measurement` and `count` must not be empty".into());
        }
        Ok(Points {
            sink: sink.into(),
            measurement: options.measurement.clone(),
            tags: named("tags", &options.tags)?,
            fields: options.fields.as_ref().map(|fields| named("fields", fields)).transpose()?,
            count: options.count.clone(),
            integers_as_floats: options.integers_as_floats,
            keep_apart: options.keep_apart,
            tick_ns: options.precision.tick_ns(),
            sent_ns,
            skipped: counter!("weir_influxdb_skipped_records_total", "sink" => sink.to_string()),
            as_text: counter!("weir_influxdb_fields_as_text_total", "sink" => sink.to_string()),
            warned: HashSet::new(),
            scratch: Vec::new(),
        })
    }

    /// Appends the record's line; nothing if it makes no point. False, and nothing, if the line would be too long.
    pub fn push(&mut self, at: Position, record: Record<'_>, out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        let measured = match (record.get("measurement"), record.get("fields")) {
            (Some(Value::Str(name)), Some(Value::Map(fields))) if !name.is_empty() => Some((name, fields)),
            _ => None,
        };
        let some = match measured {
            Some((name, fields)) => self.push_measured(name, record, fields, out),
            None => self.push_mapped(record, out),
        };
        if !some {
            out.truncate(begin);
            self.skipped.increment(1);
            return true;
        }
        if out.len() - begin > limits::INFLUX_LINE_BYTES {
            out.truncate(begin);
            return false;
        }
        let apart = match self.keep_apart {
            KeepApart::All => true,
            KeepApart::Logs => measured.is_none(),
            KeepApart::None => false,
        };
        out.push(b' ');
        let time = self.time(at, record.timestamp(), apart);
        weir_record::write_json_value(Value::Int(time), out);
        out.push(b'\n');
        true
    }

    /// The time to send.
    fn time(&self, at: Position, timestamp_ns: i64, apart: bool) -> i64 {
        let tick = timestamp_ns.div_euclid(self.tick_ns);
        // The very first tick would begin before the first nanosecond.
        let begin_ns = tick.saturating_mul(self.tick_ns);
        if !apart {
            return begin_ns / self.sent_ns;
        }
        // Neighbours in a frame get consecutive numbers; neighbouring frames get numbers that are far apart.
        let place = at.sequence.wrapping_mul(limits::INFLUX_FRAME_STEP).wrapping_add(u64::from(at.index));
        begin_ns.saturating_add((place % self.tick_ns.unsigned_abs()).cast_signed())
    }

    fn push_measured(&mut self, name: &str, record: Record<'_>, fields: Map<'_>, out: &mut Vec<u8>) -> bool {
        push_word(Word::Measurement, name, out);
        if let Some(Value::Map(tags)) = record.get("tags") {
            for (key, value) in tags.iter() {
                push_tag(key, value, &mut self.scratch, out);
            }
        }
        let mut first = true;
        for (key, value) in fields.iter() {
            self.push_field(key, value, &mut first, out);
        }
        !first
    }

    fn push_mapped(&mut self, record: Record<'_>, out: &mut Vec<u8>) -> bool {
        let most = out.len() + limits::INFLUX_LINE_BYTES;
        self.scratch.clear();
        match record.get(&self.measurement) {
            Some(Value::Nil | Value::Map(_) | Value::Array(_)) | None => {}
            Some(value) => push_value(value, &mut self.scratch),
        }
        let name = String::from_utf8_lossy(&self.scratch);
        push_word(Word::Measurement, if name.is_empty() { limits::INFLUX_MEASUREMENT } else { &name }, out);
        let (tags, fields) = (std::mem::take(&mut self.tags), std::mem::take(&mut self.fields));
        for (name, path) in &tags {
            if let Some(value) = record.get(path) {
                push_tag(name, value, &mut self.scratch, out);
            }
        }
        let mut first = true;
        match &fields {
            Some(fields) => {
                for (name, path) in fields {
                    if let Some(value) = record.get(path) {
                        self.push_field(name, value, &mut first, out);
                    }
                }
            }
            None => self.push_numbers(&mut String::new(), record.map(), limits::INFLUX_DEPTH, most, &mut first, out),
        }
        if let Some(count) = self.count.take() {
            self.push_field(&count, Value::Int(1), &mut first, out);
            self.count = Some(count);
        }
        (self.tags, self.fields) = (tags, fields);
        !first
    }

    /// Appends every number of a map and its nested maps, named by its path, until `out` has more than `most` bytes: each
    /// name repeats the names of the maps around it.
    fn push_numbers(
        &mut self,
        path: &mut String,
        map: Map<'_>,
        depth: usize,
        most: usize,
        first: &mut bool,
        out: &mut Vec<u8>,
    ) {
        let before = path.len();
        for (key, value) in map.iter() {
            match value {
                _ if out.len() > most => return,
                // The record's own time is the point's time.
                _ if before == 0 && key == "timestamp" => {}
                Value::Int(_) | Value::UInt(_) | Value::Float(_) => {
                    path.push_str(key);
                    self.push_field(path, value, first, out);
                }
                // Below a longer path, all names would be cut to the same one.
                Value::Map(inner) if depth > 0 && before + key.len() < limits::INFLUX_NAME_BYTES => {
                    path.push_str(key);
                    path.push('.');
                    self.push_numbers(path, inner, depth - 1, most, first, out);
                }
                _ => {}
            }
            path.truncate(before);
        }
    }

    fn push_field(&mut self, name: &str, value: Value<'_>, first: &mut bool, out: &mut Vec<u8>) {
        if name.is_empty() {
            return;
        }
        let begin = out.len();
        out.push(if *first { b' ' } else { b',' });
        push_word(Word::Key, name, out);
        out.push(b'=');
        match push_field(value, self.integers_as_floats, out) {
            None => out.truncate(begin),
            Some(written) => {
                *first = false;
                if written == Written::AsText {
                    self.note_text(name);
                }
            }
        }
    }

    fn note_text(&mut self, name: &str) {
        self.as_text.increment(1);
        if self.warned.len() < limits::INFLUX_WARNED_FIELDS && !self.warned.contains(name) {
            self.warned.insert(name.to_string());
            tracing::warn!(sink = self.sink, field = name, "a field is a list, a map or bytes; it is written as text");
        }
    }
}

/// Appends a tag, unless its name or value is empty.
fn push_tag(name: &str, value: Value<'_>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    scratch.clear();
    if value != Value::Nil {
        push_value(value, scratch);
    }
    if name.is_empty() || scratch.is_empty() {
        return;
    }
    out.push(b',');
    push_word(Word::Key, name, out);
    out.push(b'=');
    push_word(Word::TagValue, &String::from_utf8_lossy(scratch), out);
}

/// Names with their paths.
fn named(option: &str, given: &Named) -> Result<Vec<(String, String)>, String> {
    let pairs: Vec<(String, String)> = match given {
        Named::Names(names) => names.iter().map(|(name, path)| (name.clone(), path.clone())).collect(),
        Named::Paths(paths) => {
            let last = |path: &str| path.rsplit_once('.').map_or(path, |(_, key)| key).to_string();
            paths.iter().map(|path| (last(path), path.clone())).collect()
        }
    };
    for (at, (name, path)) in pairs.iter().enumerate() {
        if name.is_empty() || path.is_empty() {
            return Err(format!("`{option}`: a name or a path is empty"));
        }
        if pairs[..at].iter().any(|(other, _)| other == name) {
            return Err(format!("`{option}`: two of them are named `{name}`; name them: {{ name = \"{path}\" }}"));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_record::{Aliases, Batch, Defaults, Level, read_json};

    use super::*;

    const TIME_NS: i64 = 1_700_000_000_123_456_789;

    fn points(options: serde_json::Value) -> Points {
        let mut options = options;
        options["database"] = "logs".into();
        Points::new("sut", &serde_json::from_value(options).expect("options")).expect("fine")
    }

    fn lines(points: &mut Points, records: &str) -> String {
        let aliases = Aliases::default();
        let defaults = Defaults {
            received_ns: TIME_NS,
            source: "app",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: true,
        };
        let mut batch = Batch::new();
        read_json(records.as_bytes(), &defaults, &mut batch).expect("JSON");
        let mut out = Vec::new();
        for (index, record) in batch.iter().enumerate() {
            points.push(Position { sequence: 0, index: index as u32 }, record, &mut out);
        }
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_measurement_becomes_a_point_unchanged() {
        let record = r#"{"measurement":"cpu load","tags":{"host":"a,b","core":3,"none":null,"empty":""},
            "fields":{"usage":0.5,"count":7,"up":true,"state":"on","nothing":null,"many":[1,2]},"message":"x"}"#;
        let line = lines(&mut points(json!({})), record);
        let due =
            "cpu\\ load,host=a\\,b,core=3 usage=0.5,count=7i,up=true,state=\"on\",many=\"[1,2]\" 1700000000123000000\n";
        assert_eq!(line, due);
        let line = lines(&mut points(json!({ "keep_apart": "none", "precision": "s" })), record);
        assert!(line.ends_with(" 1700000000\n"), "{line}");
    }

    #[test]
    fn a_log_is_mapped_by_its_numbers_or_by_the_options() {
        let record = r#"{"message":"m","attempt":2,"context":{"ms":1.5,"user":"u","deep":{"n":1}},"list":[1]}"#;
        let line = lines(&mut points(json!({ "keep_apart": "none" })), record);
        assert_eq!(line, "app,level=INFO attempt=2i,context.ms=1.5,context.deep.n=1i 1700000000123\n");
        let options = json!({
            "keep_apart": "none", "precision": "us", "measurement": "context.user", "count": "n",
            "tags": { "who": "context.user", "not": "there" }, "fields": ["context.ms", "message", "no.such"],
        });
        assert_eq!(lines(&mut points(options), record), "u,who=u ms=1.5,message=\"m\",n=1i 1700000000123456\n");
        let nowhere = json!({ "keep_apart": "none", "measurement": "no.such", "tags": [] });
        assert_eq!(lines(&mut points(nowhere), r#"{"message":"m","n":1}"#), "logs n=1i 1700000000123\n");
    }

    #[test]
    fn a_record_without_fields_makes_no_point() {
        let records = r#"[{"message":"no numbers"},{"measurement":"m","fields":{}},{"measurement":"m","fields":{"a":null}},
            {"measurement":"m","fields":{"":1}},{"message":"a","n":1}]"#;
        let lines = lines(&mut points(json!({})), records);
        assert_eq!(lines.lines().count(), 1, "{lines}");
    }

    #[test]
    fn numbers_below_a_path_longer_than_any_name_are_left_out() {
        let record = |bytes| format!(r#"{{"message":"m","{}":{{"b":2}},"n":1}}"#, "k".repeat(bytes));
        let fields = |bytes| {
            let line = lines(&mut points(json!({})), &record(bytes));
            line.split(' ').nth(1).map(str::to_owned).expect("fields")
        };
        assert_eq!(fields(3), "kkk.b=2i,n=1i");
        assert_eq!(fields(limits::INFLUX_NAME_BYTES), "n=1i");
    }

    #[test]
    fn logs_of_one_tick_get_distinct_times_that_repeat_exactly() {
        let records = format!("[{}]", vec![r#"{"message":"m","n":1}"#; 500].join(","));
        let (mut first, mut again) = (points(json!({})), points(json!({})));
        let sent = lines(&mut first, &records);
        assert_eq!(sent, lines(&mut again, &records));
        let times: HashSet<&str> = sent.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(times.len(), 500);
        assert!(times.iter().all(|time| time.starts_with("1700000000123")), "within the millisecond");
        let at = |sequence, index| first.time(Position { sequence, index }, TIME_NS, true);
        let times: HashSet<i64> = (1..=20).flat_map(|frame| (0..5000).map(move |n| at(frame, n))).collect();
        assert_eq!(times.len(), 100_000);
        let time = |points: &Points, ns| points.time(Position { sequence: 9, index: 9 }, ns, false);
        assert_eq!(time(&first, -1), -1_000_000, "before 1970 time runs forward too");
        for least in [i64::MIN, i64::MAX] {
            time(&first, least);
        }
    }

    #[test]
    fn two_tags_with_the_same_name_are_refused() {
        let options = json!({ "database": "d", "tags": ["a.id", "b.id"] });
        let error =
            Points::new("sut", &serde_json::from_value(options).expect("options")).map(drop).expect_err("twice");
        assert!(error.contains("`id`") && error.contains("`tags`"), "{error}");
    }
}
