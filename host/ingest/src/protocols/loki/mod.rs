//! Loki's push protocol: `POST /loki/api/v1/push`, as protobuf compressed with Snappy or as JSON.
//!
//! ```console
//! curl http://localhost:8080/loki/api/v1/push --json \
//!   '{"streams":[{"stream":{"job":"shop","level":"warn"},"values":[["1700000000000000000","hello",{"trace_id":"5b"}]]}]}'
//! ```
//!
//! | file | purpose |
//! |---|---|
//! | `labels` | the labels of a stream, as text and as JSON |
//! | `entries` | streams and entries of both forms become records |
//!
//! | Loki | record |
//! |---|---|
//! | time of the entry, in nanoseconds | `timestamp` |
//! | line | `message`; a line that is JSON stays text, for the filter `parse` |
//! | labels of the stream | `labels` |
//! | structured metadata of the entry | `context` |
//! | `level`, `detected_level` or `severity`, in metadata or else in labels, the first that is a level | `level` |
//! | label `service_name`, `service`, `app`, `job` or `container`, the first that is set | `source` |
//! | header `X-Scope-OrgID` | `tenant` |
//!
//! Labels and metadata keep their names and values, whatever else is read from them. Success is answered with 204 and
//! nothing else, as clients expect, even if records are in quarantine or a filter rejected some: a client repeats the whole
//! request otherwise. If a filter rejected all, the answer is 422, which clients don't repeat.

mod entries;
mod labels;
#[cfg(test)]
mod tests;

use http_body_util::Full;
use hyper::{
    HeaderMap, Method, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue},
    http::request::Parts,
};
use weir_record::Batch;

use super::{Example, Posted, Protocol, Read};
use crate::{
    limits,
    reply::{self, Answer, Refused, Taken},
    request::{self, Encoding},
};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "loki",
    summary: "streams of Loki, as protobuf with Snappy or as JSON",
    paths: &["/loki/api/v1/push"],
    methods: &[Method::POST],
    asks: &[],
    example: Example {
        content_type: "application/json",
        body: r#"{"streams":[{"stream":{"job":"shop"},"values":[["1700000000000000000","hello"]]}]}"#,
    },
    key_header: None,
    encoding,
    check,
    read,
    reply: |_, outcome| answer(outcome),
};

/// Whether the body is JSON: `None` if it is neither of the two.
fn is_json(headers: &HeaderMap) -> Option<bool> {
    let Some(declared) = headers.get(CONTENT_TYPE) else { return Some(false) };
    let essence = declared.to_str().ok()?.split(';').next().unwrap_or_default().trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    match () {
        () if is("application/json") => Some(true),
        () if is("application/x-protobuf") || is("application/protobuf") => Some(false),
        () => None,
    }
}

/// Protobuf is always compressed with Snappy.
fn encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    match is_json(headers) {
        Some(false) => match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"" | b"snappy") => Ok(Encoding::Snappy),
            Some(_) => Err(unsupported("protobuf must be compressed with snappy")),
        },
        _ => request::encoding(headers),
    }
}

fn check(parts: &Parts) -> Result<(), Refused> {
    tenant(&parts.headers)?;
    match is_json(&parts.headers) {
        Some(_) => Ok(()),
        None => Err(unsupported("send application/json, or application/x-protobuf compressed with snappy")),
    }
}

fn unsupported(error: &str) -> Refused {
    Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
}

/// The tenant that the request is for.
fn tenant(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    const X_SCOPE_ORGID: HeaderName = HeaderName::from_static("x-scope-orgid");
    let Some(value) = headers.get(X_SCOPE_ORGID) else { return Ok(None) };
    match value.to_str() {
        Ok(tenant) if tenant.len() <= limits::MAX_LABEL_BYTES => Ok(Some(tenant).filter(|tenant| !tenant.is_empty())),
        _ => {
            let error = format!("X-Scope-OrgID is not at most {} bytes of ASCII", limits::MAX_LABEL_BYTES);
            Err(Refused::new(StatusCode::BAD_REQUEST, error))
        }
    }
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let headers = &posted.parts.headers;
    let tenant = tenant(headers)?;
    let is_json = is_json(headers) == Some(true);
    let read = match is_json {
        true => entries::read_json(posted, tenant, batch),
        false => entries::read_protobuf(posted, tenant, batch),
    };
    read.map(Read::from).map_err(|error| Refused::unread(error, if is_json { "JSON" } else { "protobuf" }))
}

/// 204, or the reason as text, which is what clients of Loki print.
fn answer(outcome: &Result<Taken, Refused>) -> Answer {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    match outcome {
        Ok(taken) if taken.rejected > 0 && taken.accepted == 0 && taken.quarantined == 0 => {
            let first = taken.errors.first().map_or_else(String::new, |first| format!(": {}", first.error));
            let error = format!("all {} records were rejected by a filter{first}\n", taken.rejected);
            reply::with_type(StatusCode::UNPROCESSABLE_ENTITY, text, error)
        }
        Ok(_) => {
            let mut answer = Answer::default();
            *answer.status_mut() = StatusCode::NO_CONTENT;
            answer
        }
        Err(refused) => {
            // With the headers of all refusals.
            let mut answer = reply::refused_answer(refused);
            answer.headers_mut().insert(CONTENT_TYPE, text);
            let error: String = refused.error.chars().take(limits::MAX_ERROR_CHARS).chain(['\n']).collect();
            *answer.body_mut() = Full::from(error);
            answer
        }
    }
}
