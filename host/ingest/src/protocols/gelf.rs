//! GELF, the format of Graylog, over HTTP: `POST /gelf` with one message, or one per line.
//!
//! ```console
//! curl http://localhost:8080/gelf --json \
//!   '{"version":"1.1","host":"web-1","short_message":"disk is full","level":3,"_disk":"sda1"}'
//! ```
//!
//! | field | in the record |
//! |---|---|
//! | `short_message`, or `message` if that is blank | the message; if both are blank, `full_message` is |
//! | `full_message` | `full_message` |
//! | `timestamp`, seconds with a fraction | the time, with every digit down to nanoseconds |
//! | `level`, a syslog severity | the level |
//! | `host` | `host` |
//! | `_name` | `name`, unless the message also has `name`, or GELF itself means something by it |
//! | `facility`, `line`, `file`, of GELF 1.0 | the same names |
//! | `version`: `1.0` or `1.1` | nothing |
//!
//! The source is what a name such as `_service` or `_logger` gives (see `aliases` of `weir-record`), otherwise the first
//! text of [`SOURCES`], otherwise the host. As in Graylog, `host`, `timestamp`, `level` and `version` may be missing; a
//! message without any text is set aside. What has the wrong type is kept as `<key>_original`.
//!
//! The answer is 202 without a body, sent when the message is durable. Invariant: [`compose`] takes each byte of a
//! message a bounded number of times.

use std::collections::HashSet;

use hyper::{
    HeaderMap, Method, StatusCode,
    header::{CONTENT_ENCODING, HeaderValue},
};
use weir_record::{Batch, ComposeError, Composer, SyntaxError, Value, json_to_msgpack, time, write, write_json_value};

use super::{Example, Posted, Protocol, Read};
use crate::{
    reply::{self, Refused},
    request::{self, Encoding},
    sockets::{Framing, Kind, OneWay, SocketProtocol, Transport},
};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "gelf",
    summary: "GELF, the format of Graylog: one message as JSON, or one per line",
    paths: &["/gelf"],
    methods: &[Method::POST],
    asks: &[],
    example: Example {
        content_type: "application/json",
        body: r#"{"version":"1.1","host":"web-1","short_message":"hello","level":6}"#,
    },
    key_header: None,
    encoding,
    check: |_| Ok(()),
    read,
    reply: |_, outcome| reply::confirmed_by(StatusCode::ACCEPTED, outcome),
};

/// Fields that name a program, in the order in which they are tried as the source.
const SOURCES: [&str; 5] = ["_application", "_app", "_facility", "facility", "_container_name"];

/// The fields that GELF itself means something by. An additional field with such a name keeps its underscore.
const OWN: [&str; 7] = ["version", "host", "short_message", "full_message", "message", "timestamp", "level"];

/// graypy declares `gzip,deflate` and sends zlib.
fn encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    let is_graypy = |declared: &HeaderValue| declared.as_bytes() == b"gzip,deflate";
    if headers.get(CONTENT_ENCODING).is_some_and(is_graypy) {
        return Ok(Encoding::Deflate);
    }
    request::encoding(headers)
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let defaults = posted.defaults();
    let mut composer = Composer::new(&defaults, batch);
    let content = posted.content.trim_ascii();
    let mut values = Vec::with_capacity(content.len());
    match json_to_msgpack(content, &mut values) {
        Ok(()) => {
            composer.begin();
            let composed = compose_read(content, &values, &mut composer);
            composer.end(composed, || content.to_vec()).map_err(broken)?;
        }
        // Not one message: one per line, of which the first must be readable.
        Err(error) => {
            let mut lines =
                content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
            let is_one = json_to_msgpack(lines.clone().next().unwrap_or_default(), &mut values).is_err();
            if is_one {
                return Err(broken(error));
            }
            lines
                .try_for_each(|line| {
                    composer.begin();
                    let composed = compose(line, &mut composer);
                    composer.end(composed, || line.to_vec())
                })
                .map_err(broken)?;
        }
    }
    Ok(composer.finish().into())
}

fn broken(error: SyntaxError) -> Refused {
    Refused::unread(error, "GELF")
}

/// GELF over UDP, where messages can be compressed and in parts, and over TCP, where a null byte ends them.
pub(crate) const SOCKET: SocketProtocol = SocketProtocol {
    name: "gelf",
    summary: "GELF: UDP with chunks and compression, or messages with a null byte between them over TCP",
    transports: &[Transport::Udp, Transport::Tcp, Transport::Tls],
    has_key: false,
    kind: Kind::OneWay(OneWay {
        framing: Framing::Nulls,
        has_chunks: true,
        compose: |message, _, composer| compose(message, composer),
    }),
};

/// Adds one message to the record that `composer` has begun.
///
/// # Errors
/// The message can't be kept. That concerns only this message, whatever is wrong with it.
pub(crate) fn compose(object: &[u8], composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let mut values = Vec::with_capacity(object.len());
    json_to_msgpack(object, &mut values).map_err(|_| ComposeError::record("the message can't be read as JSON"))?;
    compose_read(object, &values, composer)
}

/// The same for a message that has been converted to MessagePack.
fn compose_read(object: &[u8], values: &[u8], composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let Some(Value::Map(message)) = Value::peek(values) else {
        return Err(ComposeError::record("the message is not a JSON object"));
    };
    let texts = ["short_message", "message", "full_message"];
    let texts = texts.into_iter().filter_map(|name| Some((name, text_of(message.get(name)?)?)));
    let Some((said_by, text)) = texts.into_iter().find(|(_, text)| !text.trim_ascii().is_empty()) else {
        return Err(ComposeError::record("the message has no text in `short_message`"));
    };
    composer.message(&text);
    let moment = message.get("timestamp").and_then(|value| moment(object, value));
    if let Some(ns) = moment {
        composer.time(ns);
    }
    let named = SOURCES.iter().chain(&["host"]).filter_map(|name| text_of(message.get(name)?));
    if let Some(source) = named.into_iter().find(|text| !text.trim_ascii().is_empty()) {
        composer.fallback_source(&source);
    }
    let names: HashSet<&str> = message.iter().map(|(name, _)| name).collect();
    let mut encoded = Vec::new();
    for (name, value) in message.iter() {
        match name {
            "version" if matches!(value, Value::Str("1.0" | "1.1")) => continue,
            "timestamp" if moment.is_some() => continue,
            // What is blank was not chosen, and has no information.
            "short_message" | "message" if name == said_by || is_blank(value) => continue,
            _ => {}
        }
        let bare = name.strip_prefix('_').filter(|bare| !bare.is_empty());
        let name = bare.filter(|bare| !names.contains(bare) && !OWN.contains(bare)).unwrap_or(name);
        encoded.clear();
        write::value(&mut encoded, value);
        composer.entry(name.as_bytes(), |out| out.msgpack(&encoded).map(drop))?;
    }
    Ok(())
}

fn is_blank(value: Value<'_>) -> bool {
    matches!(value, Value::Nil) || matches!(value, Value::Str(text) if text.trim_ascii().is_empty())
}

/// Text, or the text of a number or a truth value.
fn text_of(value: Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Str(text) => Some(text.as_bytes().to_vec()),
        Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::Bool(_) => {
            let mut text = Vec::new();
            write_json_value(value, &mut text);
            Some(text)
        }
        _ => None,
    }
}

/// A time. Of a float, the digits count, because a float has only those down to about a microsecond.
fn moment(object: &[u8], value: Value<'_>) -> Option<i64> {
    let exact = || time::parse(std::str::from_utf8(timestamp_digits(object)?).ok()?);
    match value {
        Value::Float(_) => exact().or_else(|| time::from_value(value)),
        value => time::from_value(value),
    }
}

/// The digits of the last `timestamp` of an object, which is known to be valid JSON.
fn timestamp_digits(object: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"\"timestamp\"";
    let (mut depth, mut at, mut found) = (0, 0, None);
    while let Some(byte) = object.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let begin = at;
                at += 1;
                while *object.get(at)? != b'"' {
                    at += if object[at] == b'\\' { 2 } else { 1 };
                }
                let after = object[at + 1..].trim_ascii_start();
                if depth == 1
                    && object[begin..=at] == *KEY
                    && let Some(value) = after.strip_prefix(b":")
                {
                    let value = value.trim_ascii_start();
                    let end = value.iter().position(|byte| matches!(byte, b',' | b'}') || byte.is_ascii_whitespace());
                    found = Some(&value[..end.unwrap_or(value.len())]);
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::test_bodies::{self, RECEIVED};
    use super::*;

    fn one(body: &str) -> serde_json::Value {
        let (mut records, bad) = test_bodies::post(&PROTOCOL, "/gelf", &[], body).expect(body);
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(records.len(), 1);
        records.remove(0)
    }

    #[test]
    fn a_message_becomes_a_record() {
        let body = r#"{"version":"1.1","host":"web-1","short_message":"disk is full","full_message":"disk is full\nat sda1",
            "timestamp":1385053862.307212345,"level":1,"_user_id":9001,"_some_info":"foo","_tags":["a",{"b":null}]}"#;
        let due = json!({"timestamp": "2013-11-21T17:11:02.307212345Z", "level": "CRITICAL", "source": "web-1",
            "message": "disk is full", "host": "web-1", "full_message": "disk is full\nat sda1", "user_id": 9001,
            "some_info": "foo", "tags": ["a", {"b": null}]});
        assert_eq!(one(body), due);
    }

    #[test]
    fn the_smallest_message_is_one_text() {
        let record = one(r#"{"short_message":"hi"}"#);
        assert_eq!(record, json!({"timestamp": RECEIVED, "level": "INFO", "source": "http", "message": "hi"}));
    }

    #[test]
    fn the_message_is_the_first_text() {
        for (body, message, rest) in [
            (r#"{"short_message":"a","message":"b"}"#, "a", json!({"message_original": "b"})),
            (r#"{"short_message":" ","message":"b"}"#, "b", json!({})),
            (r#"{"short_message":null,"full_message":"c"}"#, "c", json!({"full_message": "c"})),
            (r#"{"short_message":5}"#, "5", json!({})),
        ] {
            let record = one(body);
            assert_eq!(record["message"], message, "{body}");
            for (name, value) in rest.as_object().expect("an object") {
                assert_eq!(record[name], *value, "{body}");
            }
            assert_eq!(record.as_object().expect("an object").len(), 4 + rest.as_object().map_or(0, |rest| rest.len()));
        }
    }

    #[test]
    fn times_are_exact() {
        for (text, due) in [
            ("1385053862.307", "2013-11-21T17:11:02.307000000Z"),
            ("1385053862.3072", "2013-11-21T17:11:02.307200000Z"),
            ("1700000000.1", "2023-11-14T22:13:20.100000000Z"),
            ("1700000000.999999999", "2023-11-14T22:13:20.999999999Z"),
            ("1700000000", "2023-11-14T22:13:20.000000000Z"),
            ("1700000000123", "2023-11-14T22:13:20.123000000Z"),
            ("1.7e9", "2023-11-14T22:13:20.000000000Z"),
            ("1.5e0", "1970-01-01T00:00:01.500000000Z"),
            (r#""1700000000.25""#, "2023-11-14T22:13:20.250000000Z"),
            (r#""2023-11-14T22:13:20Z""#, "2023-11-14T22:13:20.000000000Z"),
        ] {
            let body =
                format!(r#"{{"a":{{"timestamp":1.5}},"timestamp" : {text} , "short_message":"\"timestamp\":2.5"}}"#);
            assert_eq!(one(&body)["timestamp"], due, "{text}");
        }
        let record = one(r#"{"short_message":"x","timestamp":"soon","level":"loud"}"#);
        assert_eq!(record["timestamp_original"], "soon");
        assert_eq!(record["level_original"], "loud");
    }

    #[test]
    fn the_underscore_goes_unless_the_name_is_taken() {
        let record = one(
            r#"{"short_message":"x","_id":"7","_message":"m","_host":"h","_a":1,"a":2,"__b":3,"_":4,"_file":"f","line":5}"#,
        );
        for (name, value) in [
            ("id", json!("7")),
            ("_message", json!("m")),
            ("_host", json!("h")),
            ("_a", json!(1)),
            ("a", json!(2)),
            ("_b", json!(3)),
            ("_", json!(4)),
            ("file", json!("f")),
            ("line", json!(5)),
        ] {
            assert_eq!(record[name], value, "{name}");
        }
    }

    #[test]
    fn the_source_is_the_program_if_one_is_named() {
        for (more, source) in [
            (r#""_service":"shop","_facility":"f""#, "shop"),
            (r#""_facility":"f","_app":"a""#, "a"),
            (r#""facility":"f""#, "f"),
            (r#""facility":"""#, "web-1"),
        ] {
            let record = one(&format!(r#"{{"short_message":"x","host":"web-1",{more}}}"#));
            assert_eq!(record["source"], source, "{more}");
        }
    }

    #[test]
    fn lines_are_messages_and_a_bad_one_is_set_aside() {
        let body = "{\"short_message\":\"a\"}\n\n{\"short_message\":\"\"}\n{]\n{\"short_message\":\"b\"}\n";
        let (records, bad) = test_bodies::post(&PROTOCOL, "/gelf", &[], body).expect("taken");
        let said: Vec<_> = records.iter().map(|record| record["message"].as_str().expect("text")).collect();
        assert_eq!(said, ["a", "b"]);
        let bad: Vec<_> = bad.iter().map(|bad| (bad.index, &bad.bytes[..])).collect();
        assert_eq!(bad, [(1, &br#"{"short_message":""}"#[..]), (2, &b"{]"[..])]);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for body in ["", "{", "hello\nyou", "{]\n{\"short_message\":\"a\"}"] {
            let refused = test_bodies::post(&PROTOCOL, "/gelf", &[], body).expect_err(body);
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
        }
        for body in ["[]", "5", "{}", r#"{"host":"a"}"#] {
            let (records, bad) = test_bodies::post(&PROTOCOL, "/gelf", &[], body).expect(body);
            assert_eq!((records.len(), bad.len()), (0, 1), "{body}");
        }
    }

    #[test]
    fn mutated_messages_never_panic() {
        let seeds = [
            r#"{"version":"1.1","host":"h","short_message":"s","timestamp":1385053862.307,"level":1,"_a":{"b":[1,null]}}"#,
            "{\"short_message\":\"a\",\"_x\":\"\\u00e9\"}\n{\"message\":\"b\",\"__\":1}\n",
        ];
        test_bodies::mutated(&PROTOCOL, "/gelf", &[], &seeds.map(str::as_bytes));
    }
}
