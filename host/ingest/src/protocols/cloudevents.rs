//! CloudEvents over HTTP: `POST /cloudevents`, in each of the three modes.
//!
//! ```console
//! curl http://localhost:8080/cloudevents -H 'ce-specversion: 1.0' -H 'ce-id: 1' -H 'ce-source: /shop' \
//!   -H 'ce-type: order.created' --json '{"order":7}'
//! ```
//!
//! | mode | told by | an event is |
//! |---|---|---|
//! | structured | `application/cloudevents+json` | an object |
//! | batched | `application/cloudevents-batch+json` | an item of an array |
//! | binary | the header `ce-specversion` | the body; its attributes are headers |
//!
//! | attribute | in the record |
//! |---|---|
//! | `time` | the time |
//! | `source` | the source |
//! | `id`, `type`, `subject`, `datacontenttype`, `dataschema`, extensions | the same names |
//! | `specversion` | nothing if it is 1.0 |
//! | `data`, `data_base64` or the body | `data`: as JSON, text or bytes, whatever it is |
//!
//! If `data` is a text, it is the message, and not kept twice. Otherwise the message is a text in `data` (`message`, `msg`,
//! `text` or `log`), or else the type and the subject. The level is that of the extension Severity (`severitytext`,
//! `severitynumber`), otherwise `level` or `severity` in `data`. What is in `data` stays there, too.
//!
//! As the specification says, `specversion`, `id`, `source` and `type` are required. An event without them, or of a batch
//! that can't be read as JSON, is set aside if there is a good one in the same request. Otherwise, and if the events of a
//! batch can't be told apart, the answer is 400. After success, it is 204. A service that asks whether it may send
//! (`OPTIONS` with `WebHook-Request-Origin`) gets leave to.

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
    http::request::Parts,
};
use weir_record::{Batch, ComposeError, Composer, Level, Map, Scale, SyntaxError, Value, json_to_msgpack, time, write};

use super::{Ask, Example, Posted, Protocol, Read, raw_json};
use crate::{
    context,
    reply::{self, Answer, Refused, Taken},
    request,
};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "cloudevents",
    summary: "CloudEvents: structured, batched, or binary with their attributes in headers",
    paths: &["/cloudevents"],
    methods: &[Method::POST],
    asks: &[Ask { methods: &[Method::OPTIONS], path: "/cloudevents", role: None, answer: may_send }],
    example: Example {
        content_type: "application/cloudevents+json",
        body: r#"{"specversion":"1.0","id":"1","source":"/shop","type":"order.created","data":{"order":7}}"#,
    },
    key_header: None,
    encoding: request::encoding,
    check: |parts| mode(parts).map(drop),
    read,
    reply: |_, outcome| reply::confirmed_by(StatusCode::NO_CONTENT, outcome),
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Structured,
    Batched,
    Binary,
}

/// The mode of a request. An array of events and one event have different types; JSON is the only format of either.
fn mode(parts: &Parts) -> Result<Mode, Refused> {
    let declared = content_type(parts).unwrap_or_default();
    match essence(&declared) {
        "application/cloudevents+json" => Ok(Mode::Structured),
        "application/cloudevents-batch+json" => Ok(Mode::Batched),
        other if other.starts_with("application/cloudevents") => {
            let error = format!("`{other}` isn't supported; send CloudEvents as JSON or in binary mode");
            Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error))
        }
        _ if parts.headers.contains_key("ce-specversion") => Ok(Mode::Binary),
        _ => {
            let error = "this is not a CloudEvent: it has no header `ce-specversion`, and its content type is neither \
                         application/cloudevents+json nor application/cloudevents-batch+json";
            Err(Refused::new(StatusCode::BAD_REQUEST, error))
        }
    }
}

fn content_type(parts: &Parts) -> Option<String> {
    Some(parts.headers.get(CONTENT_TYPE)?.to_str().ok()?.to_owned())
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let defaults = posted.defaults();
    let mut composer = Composer::new(&defaults, batch);
    let mut values = Vec::with_capacity(posted.content.len());
    match mode(posted.parts)? {
        Mode::Structured => {
            json_to_msgpack(posted.content, &mut values).map_err(broken)?;
            add(&values, posted.content, &mut composer)?;
        }
        Mode::Binary => {
            encode(posted.parts, posted.content, &mut values);
            add(&values, posted.content, &mut composer)?;
        }
        Mode::Batched => {
            let no_array = |at| Refused::syntax(at, format!("the body can't be read as a JSON array, at byte {at}"));
            if !posted.content.trim_ascii_start().starts_with(b"[") {
                return Err(no_array(0));
            }
            for item in raw_json::values(posted.content) {
                let item = item.map_err(no_array)?;
                values.clear();
                match json_to_msgpack(item, &mut values) {
                    Ok(()) => add(&values, item, &mut composer)?,
                    Err(error) => {
                        let reason = format!("the event can't be read as JSON: {}", error.reason);
                        composer.reject(reason, item.to_vec()).map_err(broken)?;
                    }
                }
            }
        }
    }
    let bad = composer.finish();
    match bad.first() {
        Some(first) if batch.is_empty() => Err(Refused::new(StatusCode::BAD_REQUEST, first.error.clone())),
        _ => Ok(bad.into()),
    }
}

fn broken(error: SyntaxError) -> Refused {
    Refused::unread(error, "JSON")
}

/// Adds the event that is encoded in `values` as a record.
fn add(values: &[u8], sent: &[u8], composer: &mut Composer<'_, '_>) -> Result<(), Refused> {
    composer.begin();
    let composed = match Value::peek(values) {
        Some(Value::Map(event)) => compose(event, composer),
        _ => Err(ComposeError::record("the event is not a JSON object")),
    };
    composer.end(composed, || sent.to_vec()).map_err(broken)
}

/// Writes an event in binary mode as the same map that one in structured mode is.
fn encode(parts: &Parts, body: &[u8], out: &mut Vec<u8>) {
    let names = || parts.headers.keys().filter_map(|name| Some((name.as_str().strip_prefix("ce-")?, name)));
    let declared = content_type(parts);
    let more = u32::from(declared.is_some()) + u32::from(!body.is_empty());
    write::map_header(out, u32::try_from(names().count()).unwrap_or(u32::MAX) + more);
    for (bare, name) in names() {
        write::str(out, bare);
        let value = parts.headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
        write::str(out, &String::from_utf8_lossy(&context::percent_decoded(value)));
    }
    if let Some(declared) = &declared {
        write::str(out, "datacontenttype");
        write::str(out, declared);
    }
    if !body.is_empty() {
        write::str(out, "data");
        write_data(declared.as_deref().unwrap_or_default(), body, out);
    }
}

/// Writes data: JSON if it is valid and nothing else is declared, otherwise text if it is UTF-8 that can be read.
fn write_data(content_type: &str, data: &[u8], out: &mut Vec<u8>) {
    let declared = essence(content_type).to_ascii_lowercase();
    let is_json = declared.is_empty() || declared.ends_with("/json") || declared.ends_with("+json");
    if is_json && json_to_msgpack(data, out).is_ok() {
        return;
    }
    let is_shown = |char: char| !char.is_control() || matches!(char, '\t' | '\n' | '\r');
    match std::str::from_utf8(data) {
        Ok(text) if text.chars().all(is_shown) => write::str(out, text),
        _ => write::bin(out, data),
    }
}

fn compose(event: Map<'_>, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let text = |name: &str| event.get(name)?.as_str().filter(|text| !text.is_empty());
    let (Some(_), Some(_), Some(source), Some(kind)) = (text("specversion"), text("id"), text("source"), text("type"))
    else {
        return Err(ComposeError::record("the event lacks one of `specversion`, `id`, `source` and `type`"));
    };
    composer.source(source.as_bytes());
    let moment = text("time").and_then(time::parse);
    if let Some(ns) = moment {
        composer.time(ns);
    }
    let decoded = match (event.get("data"), text("data_base64")) {
        (None, Some(encoded)) => STANDARD.decode(encoded).ok(),
        _ => None,
    };
    let mut written = Vec::new();
    if let Some(data) = &decoded {
        write_data(text("datacontenttype").unwrap_or_default(), data, &mut written);
    }
    let data = if decoded.is_some() { Value::peek(&written) } else { event.get("data") };
    let is_message = add_head(event, data, kind, composer);
    for (name, value) in event.iter() {
        let is_taken = match name {
            "source" => true,
            "specversion" => value == Value::Str("1.0"),
            "time" => moment.is_some(),
            "data" => true,
            "data_base64" => decoded.is_some(),
            _ => false,
        };
        if !is_taken {
            entry(name, value, composer)?;
        }
    }
    data.filter(|_| !is_message).map_or(Ok(()), |data| entry("data", data, composer))
}

/// Gives the message and the level. Returns true if the whole data is the message.
fn add_head(event: Map<'_>, data: Option<Value<'_>>, kind: &str, composer: &mut Composer<'_, '_>) -> bool {
    let text_in = |names: &[&str]| {
        let map = data?.as_map()?;
        names.iter().find_map(|name| map.get(name)?.as_str().filter(|text| !text.trim().is_empty()))
    };
    let whole = data.and_then(|data| data.as_str()).filter(|text| !text.trim().is_empty());
    match whole.or_else(|| text_in(&["message", "msg", "text", "log"])) {
        Some(message) => composer.message(message.as_bytes()),
        None => {
            let subject = event.get("subject").and_then(|subject| subject.as_str()).unwrap_or_default();
            composer.message(format!("{kind} {subject}").trim_end().as_bytes());
        }
    }
    let of_event = |name: &str| event.get(name);
    let number = of_event("severitynumber").and_then(|number| match number {
        Value::Int(number) => Some(number),
        other => other.as_str()?.parse().ok(),
    });
    let severity = of_event("severitytext").and_then(|text| Level::parse(text.as_str()?));
    if let Some(level) = severity.or_else(|| Level::from_number_in(number?, Scale::Otlp)) {
        composer.level(level);
    } else if let Some(level) = text_in(&["level", "severity"]).and_then(Level::parse) {
        composer.fallback_level(level);
    }
    whole.is_some()
}

fn entry(name: &str, value: Value<'_>, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let mut encoded = Vec::new();
    write::value(&mut encoded, value);
    composer.entry(name.as_bytes(), |out| out.msgpack(&encoded).map(drop))
}

/// Answers the question whether a service may send, as CloudEvents' specification of web hooks has it.
fn may_send(parts: &Parts, _: &[u8]) -> Option<Answer> {
    parts.headers.contains_key("webhook-request-origin").then(|| {
        let mut answer = reply::confirmed_by(StatusCode::NO_CONTENT, &Ok(Taken::default()));
        for name in ["webhook-allowed-origin", "webhook-allowed-rate"] {
            answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static("*"));
        }
        answer
    })
}

#[cfg(test)]
#[path = "cloudevents_tests.rs"]
mod tests;
