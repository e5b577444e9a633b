//! Splunk's HTTP Event Collector, as its clients use it: events as JSON, or lines of text.
//!
//! ```console
//! curl http://localhost:8080/services/collector/event -H "Authorization: Splunk $TOKEN" \
//!   -d '{"time":1763632800.25,"host":"web-1","sourcetype":"shop","event":{"severity":"warn","message":"hello"}}'
//! ```
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | paths, bodies, answers with Splunk's codes |
//! | `event.rs` | an event as a record |
//! | `questions.rs` | health, acknowledgements |
//!
//! | event | record |
//! |---|---|
//! | `time`: seconds with a fraction, a number or text | the time, exact to the nanosecond |
//! | `event`, text or a number | the message |
//! | `event`, an object | its entries; those that Weir knows become the head |
//! | `event` of Docker: `line`, `source`, `tag` | `line` is the message |
//! | `event`, a list | `event` |
//! | `source` | the source; without it the event's own, then `sourcetype`, then `host` |
//! | `host`, `sourcetype`, `index` | unchanged |
//! | `fields` | its entries, also for the head, such as `severity` |
//! | all others of the envelope | unchanged |
//!
//! An entry of the envelope or of `fields` whose name the event uses itself gets `envelope_` in front, at most four
//! times; of entries whose names are the same even then, the last stays. A line sent to `raw` is a message; time,
//! `host`, `source`, `sourcetype` and `index` are in the query.
//!
//! An event of the wrong form refuses the whole body, with `invalid-event-number`: Splunk stores the ones before it, but
//! then a client that sends all of them again would double these. An event that is too large or too deep is set aside.
//! The collector has no answer for single events: if a filter rejects some, the answer counts them in `rejected`; if it
//! rejects all, it is code 6.
//!
//! With a channel, an answer has an `ackId`. Every answer follows the fsync of its events, so every id that was given out
//! is confirmed, whenever it is asked for, and nothing has to be remembered: an id that was never given out is, too.

mod event;
mod questions;
#[cfg(test)]
mod tests;

use hyper::{
    Method, StatusCode,
    header::{AUTHORIZATION, HeaderName},
    http::request::Parts,
};
use serde_json::json;
use weir_record::{Batch, Composer, SyntaxError, time};

use super::{Example, Posted, Protocol, Read, raw_json::values};
use crate::{
    context, limits,
    reply::{self, Answer, Refused, Taken},
    request,
};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "splunk",
    summary: "Splunk's HTTP Event Collector: events as JSON, or lines of text",
    paths: &[
        "/services/collector/event",
        "/services/collector",
        "/services/collector/event/1.0",
        "/services/collector/raw",
        "/services/collector/raw/1.0",
    ],
    methods: &[Method::POST],
    asks: questions::ASKS,
    example: Example { content_type: "application/json", body: r#"{"sourcetype":"shop","event":"hello"}"# },
    key_header: None,
    encoding: request::encoding,
    check,
    read,
    reply,
};

/// A code of the collector and its text.
type Code = (u16, &'static str);

const SUCCESS: Code = (0, "Success");
const TOKEN_REQUIRED: Code = (2, "Token is required");
const INVALID_AUTHORIZATION: Code = (3, "Invalid authorization");
const INVALID_TOKEN: Code = (4, "Invalid token");
const NO_DATA: Code = (5, "No data");
const INVALID_FORMAT: Code = (6, "Invalid data format");
const INTERNAL: Code = (8, "Internal server error");
const BUSY: Code = (9, "Server is busy");
const NO_CHANNEL: Code = (10, "Data channel is missing");
const NO_EVENT: Code = (12, "Event field is required");
const BLANK_EVENT: Code = (13, "Event field cannot be blank");

fn check(parts: &Parts) -> Result<(), Refused> {
    Metadata::read(parts).map(drop)
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    if posted.content.trim_ascii().is_empty() {
        return Err(refused(NO_DATA, None, "the body is empty"));
    }
    let defaults = posted.defaults();
    let mut composer = Composer::new(&defaults, batch);
    let metadata = Metadata::read(posted.parts)?;
    if posted.parts.uri.path().contains("/raw") {
        for line in posted.content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end) {
            if !line.is_empty() {
                composer.begin();
                let composed = metadata.compose(&mut composer, line);
                composer.end(composed, || line.to_vec()).map_err(too_much)?;
            }
        }
    } else {
        let mut count = 0;
        for value in values(posted.content) {
            let event = value.map_err(|at| refused(INVALID_FORMAT, Some(count), &format!("no JSON at byte {at}")))?;
            composer.begin();
            match event::compose(&mut composer, event) {
                Ok(composed) => composer.end(composed, || event.to_vec()).map_err(|error| match error.too_much {
                    true => too_much(error),
                    false => refused(INVALID_FORMAT, Some(count), &error.reason),
                })?,
                Err((code, reason)) => return Err(refused(code, Some(count), reason)),
            }
            count += 1;
        }
        if count == 0 {
            return Err(refused(NO_DATA, None, "the body has no events"));
        }
    }
    let notes = if has_channel(posted.parts) { ack_id(posted.received_ns) } else { Vec::new() };
    Ok(Read { bad: composer.finish(), notes })
}

/// Something that grows and that a client can read as a float without loss: the time in microseconds.
fn ack_id(received_ns: i64) -> Vec<u8> {
    (received_ns / 1_000).to_string().into_bytes()
}

fn too_much(error: SyntaxError) -> Refused {
    Refused { code: Some(INVALID_FORMAT.0), ..Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error.reason) }
}

fn refused((code, _): Code, event: Option<usize>, detail: &str) -> Refused {
    Refused { code: Some(code), item: event, ..Refused::new(StatusCode::BAD_REQUEST, detail) }
}

/// Whether the sender acknowledges by channel.
fn has_channel(parts: &Parts) -> bool {
    const CHANNEL: HeaderName = HeaderName::from_static("x-splunk-request-channel");
    let query = parts.uri.query().unwrap_or_default();
    parts.headers.contains_key(CHANNEL) || query.split('&').any(|pair| pair.starts_with("channel="))
}

/// What the query of `raw` says about all lines.
#[derive(Default)]
struct Metadata {
    time_ns: Option<i64>,
    host: Option<String>,
    source: Option<String>,
    sourcetype: Option<String>,
    index: Option<String>,
}

impl Metadata {
    fn read(parts: &Parts) -> Result<Metadata, Refused> {
        let mut metadata = Metadata::default();
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > limits::MAX_QUERY_BYTES {
            let error = format!("the query has {} bytes; the limit is {}", query.len(), limits::MAX_QUERY_BYTES);
            return Err(refused(INVALID_FORMAT, None, &error));
        }
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let place = match name {
                "time" => {
                    metadata.time_ns = time::parse(&context::decoded(name, value)?);
                    continue;
                }
                "host" => &mut metadata.host,
                "source" => &mut metadata.source,
                "sourcetype" => &mut metadata.sourcetype,
                "index" => &mut metadata.index,
                _ => continue,
            };
            let value = context::decoded(name, value)?;
            *place = (!value.is_empty()).then(|| value.into_owned());
        }
        Ok(metadata)
    }

    fn compose(&self, composer: &mut Composer<'_, '_>, line: &[u8]) -> Result<(), weir_record::ComposeError> {
        composer.message(line);
        if let Some(ns) = self.time_ns {
            composer.time(ns);
        }
        if let Some(source) = self.source.as_ref().or(self.sourcetype.as_ref()).or(self.host.as_ref()) {
            composer.source(source.as_bytes());
        }
        for (key, value) in [("host", &self.host), ("sourcetype", &self.sourcetype), ("index", &self.index)] {
            if let Some(value) = value {
                composer.text(key, value.as_bytes())?;
            }
        }
        Ok(())
    }
}

fn reply(parts: &Parts, outcome: &Result<Taken, Refused>) -> Answer {
    let taken = match outcome {
        Ok(taken) => taken,
        Err(refused) => return refusal(parts, refused),
    };
    if taken.is_all_rejected() {
        let error = taken.errors.first().map_or("a filter rejected all events", |error| &error.error);
        return refusal(parts, &refused(INVALID_FORMAT, Some(0), error));
    }
    let mut body = json!({"text": SUCCESS.1, "code": SUCCESS.0});
    if let Some(id) = std::str::from_utf8(&taken.notes).ok().and_then(|id| id.parse::<i64>().ok()) {
        body["ackId"] = id.into();
    }
    if taken.rejected > 0 {
        body["rejected"] = taken.rejected.into();
    }
    reply::json(StatusCode::OK, body.to_string())
}

/// A refusal with the code of the collector, and what Weir says in `detail`.
fn refusal(parts: &Parts, refused: &Refused) -> Answer {
    let shows = parts.headers.get(AUTHORIZATION).map(|shown| shown.to_str().unwrap_or_default());
    let is_token = |shown: &str| shown.split_once(' ').is_some_and(|(_, token)| !token.trim().is_empty());
    let (status, (code, text)) = match (refused.status, shows) {
        (StatusCode::UNAUTHORIZED, None) => (refused.status, TOKEN_REQUIRED),
        (StatusCode::UNAUTHORIZED, Some(shown)) if !is_token(shown) => (refused.status, INVALID_AUTHORIZATION),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => (StatusCode::FORBIDDEN, INVALID_TOKEN),
        (StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS, _) => (refused.status, BUSY),
        (status, _) if status.is_server_error() => (status, INTERNAL),
        (status, _) => {
            let known = [NO_DATA, NO_CHANNEL, NO_EVENT, BLANK_EVENT];
            (status, *known.iter().find(|known| Some(known.0) == refused.code).unwrap_or(&INVALID_FORMAT))
        }
    };
    let mut body = json!({"text": text, "code": code, "detail": reply::shortened(&refused.error)});
    if let Some(event) = refused.item {
        body["invalid-event-number"] = event.into();
    }
    let mut answer = reply::json(status, body.to_string());
    reply::add_headers(refused, &mut answer);
    answer
}
