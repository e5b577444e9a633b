//! Datadog's logs intake: `POST /api/v2/logs` and `POST /v1/input`, as its agent, its clients and Weir's own `datadog`
//! sink use it.
//!
//! ```console
//! curl http://localhost:8080/api/v2/logs -H "DD-API-KEY: $TOKEN" --json \
//!   '[{"message":"hello","status":"warn","service":"shop","ddsource":"python","ddtags":"env:prod,team:web"}]'
//! ```
//!
//! | log | record |
//! |---|---|
//! | `message`, `timestamp` (milliseconds or ISO 8601) and all names that Weir knows | the head |
//! | `status`, if it is a level | the level; otherwise `status` |
//! | `service` | the source; without it `ddsource` |
//! | `hostname` | `host`, or `hostname` if the log has its own `host` |
//! | `ddtags` | unchanged, and the list `tags`, unless the log has its own `tags` |
//! | `dd.trace_id`, `dd.span_id`, dotted or nested | `context.trace_id`, `context.span_id`; they also stay |
//! | all others | unchanged |
//!
//! `service`, `ddsource`, `ddtags` and `hostname` in the query are for logs that lack them. A body is a list of logs, one
//! log or several one after another; as text, each line is a message. What is no log is set aside, an empty one (`{}`) is
//! a sign of life of the agent and is ignored, and a body that is no JSON is refused as a whole. The intake has no answer
//! for single logs: if a filter rejects some, the answer counts them in `rejected`.

use std::borrow::Cow;

use hyper::{HeaderMap, Method, StatusCode, header::HeaderName, http::request::Parts};
use serde_json::json;
use weir_access::Role;
use weir_record::{Batch, ComposeError, Composer, Level, SyntaxError};

use super::{
    Ask, Example, Posted, Protocol, Read,
    raw_json::{NoObject, entries, scalar, string, values},
    trace::Ids,
};
use crate::{
    context, limits,
    reply::{self, Answer, Refused, Taken},
    request::{self, Content},
};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "datadog",
    summary: "Datadog's logs intake: a list of logs, one log, or lines of text",
    paths: &["/api/v2/logs", "/v1/input"],
    methods: &[Method::POST],
    asks: &[Ask {
        methods: &[Method::GET],
        path: "/api/v1/validate",
        role: Some(Role::Ingest),
        answer: |_, _| Some(reply::json(StatusCode::OK, r#"{"valid":true}"#.to_owned())),
    }],
    example: Example {
        content_type: "application/json",
        body: r#"{"message":"hello","status":"info","service":"shop"}"#,
    },
    key_header: None,
    encoding: request::encoding,
    check,
    read,
    reply,
};

fn check(parts: &Parts) -> Result<(), Refused> {
    Labels::of_query(parts)?;
    match request::content(&parts.headers)? {
        Content::Json | Content::Text | Content::Undeclared => Ok(()),
        Content::MsgPack => {
            Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send logs as application/json or text/plain"))
        }
    }
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let labels = Labels::of_query(posted.parts)?;
    let content = match request::content(&posted.parts.headers)? {
        Content::Undeclared => request::sniff(posted.content),
        known => known,
    };
    let defaults = posted.defaults();
    let mut composer = Composer::new(&defaults, batch);
    if content == Content::Json {
        for value in values(posted.content) {
            let log =
                value.map_err(|at| Refused::syntax(at, format!("the body can't be read as JSON, at byte {at}")))?;
            read_log(&mut composer, log, &labels).map_err(unreadable)?;
        }
    } else {
        for line in posted.content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end) {
            if !line.is_empty() {
                composer.begin();
                composer.message(line);
                let composed = labels.add_to(&mut composer, &Own::default());
                composer.end(composed, || line.to_vec()).map_err(unreadable)?;
            }
        }
    }
    Ok(composer.finish().into())
}

fn unreadable(error: SyntaxError) -> Refused {
    Refused::unread(error, "JSON")
}

/// Reads an item of the body.
fn read_log(composer: &mut Composer<'_, '_>, log: &[u8], query: &Labels<'_>) -> Result<(), SyntaxError> {
    match log {
        [b'{', inner @ .., b'}'] if inner.trim_ascii().is_empty() => Ok(()),
        [b'{', ..] => {
            composer.begin();
            let composed = compose(composer, log, query);
            composer.end(composed, || log.to_vec())
        }
        [b'"', ..] => {
            composer.begin();
            let written = composer.entry(b"message", |value| value.json(log));
            let composed = written.and_then(|()| query.add_to(composer, &Own::default()));
            composer.end(composed, || log.to_vec())
        }
        _ => composer.reject("a log is an object".to_owned(), log.to_vec()),
    }
}

/// Adds a log to the record that has begun.
fn compose(composer: &mut Composer<'_, '_>, log: &[u8], query: &Labels<'_>) -> Result<(), ComposeError> {
    let own = Own::find(log);
    for entry in entries(log) {
        let (key, value) = entry.map_err(|NoObject| ComposeError::syntax("a log is not an object in JSON"))?;
        match &*key {
            "status" => {
                if let Some(level) = level(value) {
                    composer.level(level);
                    continue;
                }
            }
            "service" => {
                if let Some(service) = label(value) {
                    composer.source(service.as_bytes());
                    continue;
                }
            }
            "hostname" if own.host.is_none() => {
                composer.entry(b"host", |writer| writer.json(value))?;
                continue;
            }
            _ => {}
        }
        composer.entry(key.as_bytes(), |writer| writer.json(value))?;
    }
    query.add_to(composer, &own)?;
    own.ids.add_to(composer, own.context)
}

/// The level that a status is. Of numbers, only syslog's are levels: others may be of HTTP.
fn level(value: &[u8]) -> Option<Level> {
    let text = scalar(value);
    let is_other_number =
        text.parse::<f64>().is_ok() && !matches!(&*text, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7");
    if is_other_number { None } else { Level::parse(&text) }
}

fn label(value: &[u8]) -> Option<Cow<'_, str>> {
    string(value).filter(|text| !text.is_empty())
}

/// What has to be known of a log before its entries are added.
#[derive(Default)]
struct Own<'l> {
    ddsource: Option<&'l [u8]>,
    ddtags: Option<&'l [u8]>,
    host: Option<&'l [u8]>,
    hostname: Option<&'l [u8]>,
    tags: Option<&'l [u8]>,
    context: &'l [u8],
    ids: Ids<'l>,
}

impl<'l> Own<'l> {
    fn find(log: &'l [u8]) -> Own<'l> {
        let mut own = Own::default();
        for (key, value) in entries(log).filter_map(Result::ok) {
            match &*key {
                "ddsource" => own.ddsource = Some(value),
                "ddtags" => own.ddtags = Some(value),
                "host" => own.host = Some(value),
                "hostname" => own.hostname = Some(value),
                "tags" => own.tags = Some(value),
                "context" => own.context = value,
                "dd.trace_id" => own.ids.trace_id = Some(scalar(value)),
                "dd.span_id" => own.ids.span_id = Some(scalar(value)),
                "dd" => {
                    for (key, value) in entries(value).filter_map(Result::ok) {
                        match &*key {
                            "trace_id" => own.ids.trace_id = Some(scalar(value)),
                            "span_id" => own.ids.span_id = Some(scalar(value)),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        own
    }
}

/// The labels in the query, for logs that lack them.
#[derive(Default)]
struct Labels<'q> {
    service: Option<Cow<'q, str>>,
    ddsource: Option<Cow<'q, str>>,
    ddtags: Option<Cow<'q, str>>,
    hostname: Option<Cow<'q, str>>,
}

impl<'q> Labels<'q> {
    fn of_query(parts: &'q Parts) -> Result<Labels<'q>, Refused> {
        let mut labels = Labels::default();
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > limits::MAX_QUERY_BYTES {
            let error = format!("the query has {} bytes; the limit is {}", query.len(), limits::MAX_QUERY_BYTES);
            return Err(Refused::new(StatusCode::BAD_REQUEST, error));
        }
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let place = match name {
                "service" => &mut labels.service,
                "ddsource" => &mut labels.ddsource,
                "ddtags" => &mut labels.ddtags,
                "hostname" => &mut labels.hostname,
                _ => continue,
            };
            *place = Some(context::decoded(name, value)?).filter(|value| !value.is_empty());
        }
        Ok(labels)
    }

    fn add_to(&self, composer: &mut Composer<'_, '_>, own: &Own<'_>) -> Result<(), ComposeError> {
        let (ddsource, ddtags) = (own.ddsource.map(label), own.ddtags.map(label));
        let source = self.service.as_ref().or(ddsource.as_ref().unwrap_or(&self.ddsource).as_ref());
        if let Some(source) = source {
            composer.fallback_source(source.as_bytes());
        }
        for (key, value, own) in [
            ("ddsource", &self.ddsource, own.ddsource),
            ("ddtags", &self.ddtags, own.ddtags),
            ("host", &self.hostname, own.host.or(own.hostname)),
        ] {
            if let (Some(value), None) = (value, own) {
                composer.text(key, value.as_bytes())?;
            }
        }
        match (ddtags.as_ref().unwrap_or(&self.ddtags), own.tags) {
            (Some(tags), None) => composer.entry(b"tags", |value| {
                value.list(|list| {
                    for tag in tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                        list.item().text(tag.as_bytes());
                    }
                    Ok(())
                })
            }),
            _ => Ok(()),
        }
    }
}

/// `{}` with the status of the version of the API, or the errors.
fn reply(parts: &Parts, outcome: &Result<Taken, Refused>) -> Answer {
    let taken = match outcome {
        Ok(taken) => taken,
        Err(refused) => return refusal(&parts.headers, refused),
    };
    if taken.is_all_rejected() {
        let error = taken.errors.first().map_or("a filter rejected all logs", |error| &error.error);
        return refusal(&parts.headers, &Refused::new(StatusCode::BAD_REQUEST, error));
    }
    let status = if parts.uri.path() == "/v1/input" { StatusCode::OK } else { StatusCode::ACCEPTED };
    let body = if taken.rejected > 0 { json!({"rejected": taken.rejected}) } else { json!({}) };
    reply::json(status, body.to_string())
}

/// `{"errors":[{"status":"400","title":"Bad Request","detail":"…"}]}`. A key that is wrong is forbidden, one that is
/// missing is unauthorized.
fn refusal(headers: &HeaderMap, refused: &Refused) -> Answer {
    const DD_API_KEY: HeaderName = HeaderName::from_static("dd-api-key");
    let status = match refused.status {
        StatusCode::UNAUTHORIZED if headers.contains_key(DD_API_KEY) => StatusCode::FORBIDDEN,
        status => status,
    };
    let error = json!({
        "status": status.as_str(),
        "title": status.canonical_reason().unwrap_or("Error"),
        "detail": reply::shortened(&refused.error),
    });
    let mut answer = reply::json(status, json!({ "errors": [error] }).to_string());
    reply::add_headers(refused, &mut answer);
    answer
}

#[cfg(test)]
#[path = "datadog_tests.rs"]
mod tests;
