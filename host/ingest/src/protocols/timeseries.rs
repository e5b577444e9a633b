//! Measurements: `POST /v1/timeseries` with `{"measurement":…,"tags":{…},"fields":{…},"timestamp":…}`, one or an array.
//!
//! ```console
//! curl http://localhost:8080/v1/timeseries --json \
//!   '{"measurement":"cpu","tags":{"host":"a"},"fields":{"usage":0.5,"cores":4}}'
//! ```
//!
//! A measurement becomes a record with `measurement`, `tags` and `fields` unchanged. A sink for time series stores it
//! as a point, and every other sink like any record: its `source` is the measurement's name (or `?source=`), its level
//! INFO (or `?level=`), its message a summary, `cpu usage=0.5 cores=4`. `timestamp` is a time in any form that records
//! can have; if absent or null, it is the time of receipt.
//!
//! Measurements are sent by programs, so a mistake is usually in all of them. A wrong one therefore refuses the whole
//! request, with its position and the reason, and nothing is stored. Which values a field may have depends on the sink:
//! all store numbers, booleans and texts, and each documents what it does with the rest.

use hyper::{Method, StatusCode, http::request::Parts};
use weir_record::{
    Batch, Level, Map, Value,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_RECORD_BYTES},
    time, write, write_json_value,
};

use super::{Example, Posted, Protocol, Read};
use crate::{
    context::Context,
    limits,
    reply::{self, Refused},
    request::{self, Content},
};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "timeseries",
    summary: "measurements as JSON, one or an array, each with measurement, fields, tags and timestamp",
    paths: &["/v1/timeseries"],
    methods: &[Method::POST],
    asks: &[],
    example: Example {
        content_type: "application/json",
        body: r#"{"measurement":"cpu","tags":{"host":"a"},"fields":{"usage":0.5}}"#,
    },
    key_header: None,
    encoding: request::encoding,
    check,
    read,
    reply: |_, outcome| reply::answer(outcome),
};

fn check(parts: &Parts) -> Result<(), Refused> {
    Context::read(parts)?;
    match request::content(&parts.headers)? {
        Content::Json | Content::Undeclared => Ok(()),
        Content::MsgPack | Content::Text => {
            Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send measurements as application/json"))
        }
    }
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let context = Context::read(posted.parts)?;
    let values = posted.json()?;
    let wanted = "send a measurement as an object, or several in an array";
    let refuse = |error: String| Refused::new(StatusCode::BAD_REQUEST, error);
    let mut take = |place: &str, value: Value<'_>| {
        let measurement = Value::as_map(&value).ok_or_else(|| format!("is not an object: {wanted}"));
        let point = measurement.and_then(Point::read).map_err(|wrong| refuse(format!("{place} {wrong}")))?;
        let source = context.source.as_deref().unwrap_or(point.measurement);
        let level = context.level.unwrap_or(posted.level);
        batch
            .try_append(|out| point.write(source, level, posted.received_ns, &[], out))
            .map_err(|wrong| refuse(format!("{place} {wrong}")))?;
        if batch.byte_len() > MAX_BATCH_BYTES || batch.len() > MAX_BATCH_RECORDS {
            let error = format!("{place} exceeds the limit on records per request; send smaller batches");
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        Ok(())
    };
    match Value::read(&values) {
        Some((Value::Array(list), _)) => {
            for (at, value) in list.iter().enumerate() {
                take(&format!("measurement {at}"), value)?;
            }
        }
        Some((value @ Value::Map(_), _)) => take("the measurement", value)?,
        _ => return Err(refuse(format!("the body is neither an object nor an array: {wanted}"))),
    }
    Ok(Read::default())
}

/// A complete and valid measurement.
pub(super) struct Point<'a> {
    measurement: &'a str,
    tags: Option<Map<'a>>,
    fields: Map<'a>,
    timestamp: Option<i64>,
}

impl<'a> Point<'a> {
    /// Reads a measurement. The error text follows the position of the measurement.
    fn read(given: Map<'a>) -> Result<Point<'a>, String> {
        let known = ["measurement", "tags", "fields", "timestamp"];
        if let Some((key, _)) = given.iter().find(|(key, _)| !known.contains(key)) {
            return Err(format!("has an unknown key `{key}`: the keys are measurement, tags, fields and timestamp"));
        }
        let measurement = match given.get("measurement") {
            None | Some(Value::Nil) => return Err("lacks `measurement`, its name".into()),
            Some(Value::Str(name)) => name,
            Some(other) => return Err(format!("has a `measurement` that is {}, not a text", kind_of(other))),
        };
        if !is_name(measurement) {
            let most = limits::MAX_LABEL_BYTES;
            return Err(format!("has a `measurement` that is not 1 to {most} bytes without control characters"));
        }
        let tags = match given.get("tags") {
            None | Some(Value::Nil) => None,
            Some(Value::Map(tags)) => Some(tags),
            Some(other) => return Err(format!("has `tags` that are {}, not an object", kind_of(other))),
        };
        for (name, value) in tags.iter().flat_map(Map::iter) {
            if matches!(value, Value::Array(_) | Value::Map(_)) {
                return Err(format!("has a tag `{name}` that is {}, not a text", kind_of(value)));
            }
        }
        let fields = match given.get("fields") {
            None | Some(Value::Nil) => return Err("lacks `fields`, its values by name".into()),
            Some(Value::Map(fields)) if !fields.is_empty() => fields,
            Some(Value::Map(_)) => return Err("has no field in `fields`".into()),
            Some(other) => return Err(format!("has `fields` that are {}, not an object", kind_of(other))),
        };
        let timestamp = match given.get("timestamp") {
            None | Some(Value::Nil) => None,
            Some(moment) => Some(time::from_value(moment).ok_or(
                "has a `timestamp` that is not a time: use RFC 3339, or seconds, milliseconds, microseconds or \
                 nanoseconds since 1970",
            )?),
        };
        Ok(Point { measurement, tags, fields, timestamp })
    }

    /// A measurement whose fields and tags are known to be valid; at least one field.
    pub(super) fn new(
        measurement: &'a str,
        tags: Option<Map<'a>>,
        fields: Map<'a>,
        timestamp: Option<i64>,
    ) -> Result<Point<'a>, &'static str> {
        if !is_name(measurement) {
            return Err("the measurement is longer than 256 bytes, or has control characters");
        }
        Ok(Point { measurement, tags, fields, timestamp })
    }

    /// Appends the record, with more entries at its end.
    pub(super) fn write(
        &self,
        source: &str,
        level: Level,
        received_ns: i64,
        more: &[(&str, &str)],
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let begin = out.len();
        // A protocol has a few of them.
        let more_entries = u16::try_from(more.len()).unwrap_or_default();
        write::map16_header(out, 6 + u16::from(self.tags.is_some()) + more_entries);
        write::str(out, "timestamp");
        write::int64(out, self.timestamp.unwrap_or(received_ns));
        let message = self.message();
        let texts =
            [("level", level.as_str()), ("source", source), ("message", &message), ("measurement", self.measurement)];
        for (key, text) in texts {
            write::str(out, key);
            write::str(out, text);
        }
        let maps = [("tags", self.tags), ("fields", Some(self.fields))];
        for (key, map) in maps {
            if let Some(map) = map {
                write::str(out, key);
                write::value(out, Value::Map(map));
            }
        }
        for (key, text) in more {
            write::str(out, key);
            write::str(out, text);
        }
        match out.len() - begin {
            0..=MAX_RECORD_BYTES => Ok(()),
            _ => Err("becomes a record of more than 1 MiB; send less in one".into()),
        }
    }

    /// `cpu usage=0.5 cores=4`.
    fn message(&self) -> String {
        let mut message = self.measurement.as_bytes().to_vec();
        for (name, value) in self.fields.iter() {
            if message.len() > limits::MAX_MEASURED_BYTES {
                break;
            }
            message.push(b' ');
            message.extend_from_slice(name.as_bytes());
            message.push(b'=');
            write_json_value(value, &mut message);
        }
        let mut message = String::from_utf8_lossy(&message).into_owned();
        if message.len() > limits::MAX_MEASURED_BYTES {
            message.truncate(message.floor_char_boundary(limits::MAX_MEASURED_BYTES));
            message.push('…');
        }
        message
    }
}

/// Whether a text can name a measurement, and so be a source.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= limits::MAX_LABEL_BYTES && !text.chars().any(char::is_control)
}

fn kind_of(value: Value<'_>) -> &'static str {
    match value {
        Value::Nil => "null",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => "a number",
        Value::Str(_) => "a text",
        Value::Array(_) => "a list",
        Value::Map(_) => "an object",
        Value::Bin(_) | Value::Ext(..) => "bytes",
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::protocols::test_bodies;

    fn taken(target: &str, body: &str) -> Result<Vec<serde_json::Value>, Refused> {
        let (records, bad) = test_bodies::post(&PROTOCOL, target, &[], body)?;
        assert!(bad.is_empty());
        Ok(records)
    }

    fn refused(body: &str) -> String {
        let refused = taken("/v1/timeseries", body).expect_err(body);
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
        refused.error
    }

    #[test]
    fn a_measurement_becomes_a_record_with_a_summary() {
        let body = r#"{"measurement":"cpu","tags":{"host":"a","core":1},
            "fields":{"usage":0.5,"cores":4,"big":18446744073709551615,"up":true,"state":"on"},"timestamp":1700000001}"#;
        let records = taken("/v1/timeseries", body).expect("taken");
        let due = serde_json::json!({
            "timestamp": "2023-11-14T22:13:21.000000000Z",
            "level": "INFO",
            "source": "cpu",
            "message": "cpu usage=0.5 cores=4 big=18446744073709551615 up=true state=\"on\"",
            "measurement": "cpu",
            "tags": { "host": "a", "core": 1 },
            "fields": { "usage": 0.5, "cores": 4, "big": 18446744073709551615u64, "up": true, "state": "on" },
        });
        assert_eq!(records, [due]);
    }

    #[test]
    fn arrays_are_accepted_and_the_query_fills_missing_values() {
        let body = r#"[{"measurement":"a","fields":{"x":1}},{"measurement":"b","tags":null,"fields":{"x":2},"timestamp":null},
            {"measurement":"c","fields":{"x":3},"timestamp":"2026-11-20T10:00:00Z"}]"#;
        let records = taken("/v1/timeseries?source=agent&level=debug", body).expect("taken");
        let said: Vec<_> = records.iter().map(|record| record["message"].as_str().expect("text")).collect();
        assert_eq!(said, ["a x=1", "b x=2", "c x=3"]);
        assert!(records.iter().all(|record| record["source"] == "agent" && record["level"] == "DEBUG"));
        assert_eq!(records[1]["timestamp"], "2023-11-14T22:13:20.000000000Z");
        assert_eq!(records[2]["timestamp"], "2026-11-20T10:00:00.000000000Z");
        assert!(records[1]["tags"].is_null());
        assert_eq!(taken("/v1/timeseries", "[]").expect("nothing is fine").len(), 0);
    }

    #[test]
    fn errors_name_the_measurement_and_nothing_is_stored() {
        for (body, hint) in [
            ("", "JSON"),
            (r#"{"measurement":"#, "at byte 15"),
            ("5", "neither an object nor an array"),
            ("[5]", "measurement 0 is not an object"),
            (r#"{"fields":{"a":1}}"#, "the measurement lacks `measurement`"),
            (r#"{"measurement":5,"fields":{"a":1}}"#, "is a number, not a text"),
            (r#"{"measurement":"","fields":{"a":1}}"#, "1 to 256 bytes"),
            (r#"{"measurement":"a\nb","fields":{"a":1}}"#, "control characters"),
            (r#"[{"measurement":"m","fields":{"a":1}},{"measurement":"m"}]"#, "measurement 1 lacks `fields`"),
            (r#"{"measurement":"m","fields":{}}"#, "no field"),
            (r#"{"measurement":"m","fields":[1]}"#, "a list, not an object"),
            (r#"{"measurement":"m","fields":{"a":1},"tags":"x"}"#, "a text, not an object"),
            (r#"{"measurement":"m","fields":{"a":1},"tags":{"t":[1]}}"#, "tag `t` that is a list"),
            (r#"{"measurement":"m","fields":{"a":1},"timestamp":"soon"}"#, "`timestamp` that is not a time"),
            (r#"{"measurement":"m","fields":{"a":1},"tag":{}}"#, "unknown key `tag`"),
            (r#"{"measurement":"m","fields":{"a":1}}{"#, "JSON"),
        ] {
            let error = refused(body);
            assert!(error.contains(hint), "{body}: {error}");
        }
        let long = format!(r#"{{"measurement":"m","fields":{{"a":"{}"}}}}"#, "x".repeat(MAX_RECORD_BYTES));
        assert!(refused(&long).contains("1 MiB"));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let body = format!(r#"{{"measurement":"m","fields":{{"a":"{}","b":1}}}}"#, "é".repeat(5000));
        let records = taken("/v1/timeseries", &body).expect("taken");
        let message = records[0]["message"].as_str().expect("text");
        assert!(message.ends_with("é…") && message.len() <= limits::MAX_MEASURED_BYTES + 3, "{}", message.len());
        assert_eq!(records[0]["fields"]["b"], 1);
    }

    #[test]
    fn only_json_is_accepted() {
        let with = |kind: &str| {
            let request = Request::post("/v1/timeseries").header("content-type", kind).body(()).expect("a request");
            check(&request.into_parts().0).map_err(|refused| refused.status)
        };
        assert_eq!(with("application/json"), Ok(()));
        for other in ["text/plain", "application/msgpack", "application/xml"] {
            assert_eq!(with(other), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE), "{other}");
        }
    }
}
