//! Elasticsearch's bulk API: `POST /_bulk` and `POST /INDEX/_bulk`, as its clients and shippers use it.
//!
//! ```console
//! curl http://localhost:8080/logs/_bulk -H 'Content-Type: application/x-ndjson' \
//!   --data-binary $'{"create":{}}\n{"@timestamp":"2026-11-20T10:00:00Z","log.level":"warn","message":"hello"}\n'
//! ```
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | the body, heads, errors in Elasticsearch's form |
//! | `bulk.rs` | the lines of a body: actions and documents |
//! | `items.rs` | the answer for each item, `filter_path` |
//! | `questions.rs` | what clients ask before they send: the version, the licence, the health |
//!
//! | document | record |
//! |---|---|
//! | `@timestamp`, `message`, `log.level`, `service.name` and all names that Weir knows | the head |
//! | `log: {level}`, `service: {name}` | the level and the source, if nothing else gives them; they also stay |
//! | `trace.id`, `span.id`, dotted or nested | `context.trace_id`, `context.span_id`; they also stay |
//! | the index | `index`, or `_index` if the document has its own `index`; the source, if nothing else gives one |
//! | `_id`, if sent | `_id` |
//! | all other fields | unchanged |
//!
//! Only `index` and `create` are supported, and both add a record: Weir has nothing to update or delete, so `update` and
//! `delete` fail, each with its own error, and the other items are stored. A document that can't be a record is set
//! aside and fails with 400, one that a filter rejects fails with 422. A line that is no action refuses the whole body,
//! because what follows can't be told apart.
//!
//! An item without an `_id` is answered with one made from the time of receipt, the body and its position. It is not
//! stored. A record is not replaced by another one with the same `_id`.

mod bulk;
mod items;
mod questions;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::{
    HeaderMap, Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
    http::request::Parts,
};
use memchr::memchr;
use serde_json::json;
use weir_record::{Batch, Composer};

use self::{
    bulk::{Action, Operation, compose},
    items::{Failure, Shown},
};
use super::{Example, Posted, Protocol, Read};
use crate::{
    context, limits,
    reply::{self, Answer, Refused, Taken},
    request,
};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "elasticsearch",
    summary: "Elasticsearch's bulk API, as its clients and shippers use it",
    // Some shippers add a slash.
    paths: &["/_bulk", "/_bulk/", "/*/_bulk", "/*/_bulk/"],
    methods: &[Method::POST, Method::PUT],
    asks: questions::ASKS,
    example: Example {
        content_type: "application/x-ndjson",
        body: "{\"create\":{\"_index\":\"logs\"}}\n{\"message\":\"hello\"}\n",
    },
    key_header: None,
    encoding: request::encoding,
    check,
    read,
    reply,
};

const TYPES: [&str; 5] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/json",
    "application/vnd.elasticsearch+x-ndjson",
    "application/vnd.elasticsearch+json",
];

fn check(parts: &Parts) -> Result<(), Refused> {
    index_of(parts)?;
    shown(parts)?;
    let Some(value) = parts.headers.get(CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or("?");
    let essence = text.split(';').next().unwrap_or(text).trim();
    if TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    let error = format!("Content-Type header [{text}] is not supported; send application/x-ndjson");
    Err(Refused::new(StatusCode::NOT_ACCEPTABLE, error))
}

/// The index in the path.
fn index_of(parts: &Parts) -> Result<Option<Cow<'_, str>>, Refused> {
    let path = parts.uri.path().trim_end_matches('/');
    let Some(segment) = path.strip_suffix("/_bulk").filter(|rest| !rest.is_empty()) else { return Ok(None) };
    let index = context::decoded("index", segment.trim_start_matches('/'))?;
    check_index(&index).map_err(|error| Refused::new(StatusCode::BAD_REQUEST, error))?;
    Ok(Some(index))
}

fn check_index(index: &str) -> Result<(), String> {
    if index.is_empty() || index.len() > limits::MAX_INDEX_BYTES || index.chars().any(char::is_control) {
        let most = limits::MAX_INDEX_BYTES;
        return Err(format!("an index name must have 1 to {most} bytes and no control characters"));
    }
    Ok(())
}

fn shown(parts: &Parts) -> Result<Shown, Refused> {
    let query = parts.uri.query().unwrap_or_default();
    if query.len() > limits::MAX_QUERY_BYTES {
        let error = format!("the query has {} bytes; the limit is {}", query.len(), limits::MAX_QUERY_BYTES);
        return Err(Refused::new(StatusCode::BAD_REQUEST, error));
    }
    let path = query.split('&').find_map(|pair| pair.strip_prefix("filter_path=")).unwrap_or_default();
    Ok(Shown::read(&context::decoded("filter_path", path)?))
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let (shown, default_index) = (shown(posted.parts)?, index_of(posted.parts)?);
    let defaults = posted.defaults();
    let mut composer = Composer::new(&defaults, batch);
    let mut ids = Ids::new(posted);
    let mut notes = items::begin();
    let mut lines = Lines { rest: posted.content, number: 0 };
    // Most shippers send the same action for each document.
    let mut last: (&[u8], Option<Action<'_>>) = (b"", None);
    while let Some(line) = lines.next_action() {
        if line != last.0 || last.1.is_none() {
            last = (line, Some(Action::read(line).map_err(|error| malformed(lines.number, &error))?));
        }
        let Some(action) = &last.1 else { continue };
        let index = action.index.as_ref().or(default_index.as_ref());
        let index =
            index.ok_or_else(|| malformed(lines.number, "the index is missing: send _index, or put it in the path"))?;
        check_index(index).map_err(|error| malformed(lines.number, &error))?;
        let id = action.id.as_deref().map_or_else(|| ids.next().into(), Cow::Borrowed);
        if id.len() > limits::MAX_ID_BYTES {
            let error = format!("an _id must have at most {} bytes", limits::MAX_ID_BYTES);
            return Err(malformed(lines.number, &error));
        }
        let operation = action.operation;
        let document = match operation {
            Operation::Delete => &b""[..],
            _ => lines.next().ok_or_else(|| malformed(lines.number, "its document is missing"))?,
        };
        match operation {
            Operation::Index | Operation::Create => {
                items::push(&mut notes, &shown, operation.name(), index, &id);
                composer.begin();
                let ended = match compose(&mut composer, document, index, action.id.as_deref()) {
                    Ok(()) => composer.end(Ok(()), || document.to_vec()),
                    Err(error) => composer.reject(error.reason().to_owned(), document.to_vec()),
                };
                ended.map_err(|error| Refused::unread(error, "documents"))?;
            }
            Operation::Update | Operation::Delete => {
                items::push_failed(&mut notes, &shown, (operation.name(), index, &id), &UNSUPPORTED);
            }
        }
        if notes.len() > limits::MAX_BULK_ANSWER_BYTES {
            let error = "the answer would be too long; send smaller batches";
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
    }
    if notes.len() == items::begin().len() {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "request body is required"));
    }
    let bad = composer.finish();
    if !bad.is_empty() {
        let mut rest = bad.iter().peekable();
        notes = items::fail(&notes, &shown, |record| {
            let reason = &rest.next_if(|bad| bad.index == record)?.error;
            Some(Failure { status: 400, kind: "document_parsing_exception", reason })
        });
    }
    Ok(Read { bad, notes })
}

const UNSUPPORTED: Failure<'_> =
    Failure { status: 400, kind: "illegal_argument_exception", reason: "weir only adds records: use create or index" };

fn malformed(line: usize, error: &str) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, format!("malformed action line [{line}]: {error}"))
}

/// The lines of a body.
struct Lines<'b> {
    rest: &'b [u8],
    /// The number of the last line.
    number: usize,
}

impl<'b> Lines<'b> {
    /// The next line that is not blank.
    fn next_action(&mut self) -> Option<&'b [u8]> {
        self.find(|line| !line.is_empty())
    }
}

impl<'b> Iterator for Lines<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let (line, rest) = match memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &b""[..]),
        };
        self.rest = rest;
        Some(line.trim_ascii())
    }
}

/// Makes ids up, in the form that Elasticsearch gives them.
struct Ids {
    bytes: [u8; 15],
    count: u32,
}

impl Ids {
    fn new(posted: &Posted<'_>) -> Ids {
        let mut bytes = [0; 15];
        bytes[..8].copy_from_slice(&posted.received_ns.to_be_bytes());
        // Tells requests apart that are received within one tick of the clock.
        let mut body = DefaultHasher::new();
        body.write(&posted.content[..posted.content.len().min(limits::HASHED_BYTES)]);
        bytes[8..12].copy_from_slice(&body.finish().to_be_bytes()[..4]);
        Ids { bytes, count: 0 }
    }

    fn next(&mut self) -> String {
        self.bytes[12..].copy_from_slice(&self.count.to_be_bytes()[1..]);
        self.count += 1;
        URL_SAFE_NO_PAD.encode(self.bytes)
    }
}

fn reply(parts: &Parts, outcome: &Result<Taken, Refused>) -> Answer {
    let taken = match outcome {
        Ok(taken) => taken,
        Err(refused) => return refusal(parts, refused),
    };
    // It could be read before.
    let Ok(shown) = shown(parts) else { return answer(parts, StatusCode::OK, "{}".to_owned()) };
    if taken.rejected_at.is_empty() {
        return answer(parts, StatusCode::OK, items::answer(&taken.notes, &shown));
    }
    let (mut rejected, mut errors) = (taken.rejected_at.iter().peekable(), taken.errors.iter().peekable());
    let notes = items::fail(&taken.notes, &shown, |record| {
        rejected.next_if(|at| **at == record)?;
        while errors.next_if(|error| error.index < record).is_some() {}
        let known = errors.next_if(|error| error.index == record);
        let reason = known.map_or("a filter rejected the document", |error| error.error.as_str());
        Some(Failure { status: 422, kind: "rejected_by_filter_exception", reason })
    });
    answer(parts, StatusCode::OK, items::answer(&notes, &shown))
}

/// A refusal as Elasticsearch words it. When it has to wait, it says 429, which its clients take as a reason to try again.
fn refusal(parts: &Parts, refused: &Refused) -> Answer {
    let (status, kind) = match refused.status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            (StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception")
        }
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => (status, "security_exception"),
        status @ StatusCode::PAYLOAD_TOO_LARGE => (status, "content_too_long_exception"),
        status @ StatusCode::NOT_FOUND => (status, "resource_not_found_exception"),
        status if status.is_client_error() => (status, "illegal_argument_exception"),
        status => (status, "exception"),
    };
    let reason = reply::shortened(&refused.error);
    let cause = json!({"type": kind, "reason": reason});
    let text = json!({"error": {"root_cause": [cause], "type": kind, "reason": reason}, "status": status.as_u16()});
    let mut worded = answer(parts, status, text.to_string());
    reply::add_headers(refused, &mut worded);
    worded
}

/// An answer in the type that the client accepts, with the header that proves to clients what they talk to.
fn answer(parts: &Parts, status: StatusCode, text: String) -> Answer {
    const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");
    let content_type = match compatible_with(&parts.headers) {
        Some(9) => "application/vnd.elasticsearch+json;compatible-with=9",
        Some(_) => "application/vnd.elasticsearch+json;compatible-with=8",
        None => "application/json",
    };
    let mut answer = reply::with_type(status, HeaderValue::from_static(content_type), text);
    answer.headers_mut().insert(PRODUCT, HeaderValue::from_static("Elasticsearch"));
    answer
}

/// The major version whose answers a client accepts, if it asks for one.
fn compatible_with(headers: &HeaderMap) -> Option<u8> {
    let accepted = headers.get(ACCEPT).or_else(|| headers.get(CONTENT_TYPE))?.to_str().ok()?;
    let (_, parameters) = accepted.split_once("application/vnd.elasticsearch+")?;
    let (_, version) = parameters.split_once("compatible-with=")?;
    version.trim_start_matches('"').chars().next()?.to_digit(10).and_then(|digit| u8::try_from(digit).ok())
}
