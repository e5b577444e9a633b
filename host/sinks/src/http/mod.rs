//! The `http` sink: posts records to any URL, many at a time, as JSON or MessagePack.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | encoding, keys, what answers mean |
//! | `options.rs` | options and what follows from them |
//! | `template.rs` | headers with placeholders |
//!
//! Guarantee: at least once, in order, one request at a time. A record counts as delivered after a 2xx.
//!
//! # How a server can achieve exactly once
//! Every request carries a key, `{journal}-{sink}-{sequence}.{index}-{sequence}.{index}`: its first and its last record.
//! - A request that failed or was not answered is sent again with the same records and the same key, as long as Weir
//!   runs. A server that remembers keys takes each record once. If quarantine refuses a record that was too long, the
//!   whole delivery is sent again, also with the same keys.
//! - After a clean stop nothing is sent again.
//! - After a `kill -9` or a power cut, the deliveries of about the last half second (the interval at which the journal
//!   saves its cursors) and the one in progress are sent again, *split differently*: what was two requests may be one,
//!   with another key. A server that must recognise these too needs the records' ids (`record_id`), which never change:
//!   `{journal}-{sequence}-{index}`.
//!
//! # What an answer means
//! 2xx: accepted. A status in `reject_statuses`, and 413 always: the records are the cause; the runner halves them
//! until the bad one is found, which goes to quarantine. The maximum body length that a 413 implies is remembered until
//! Weir ends. Everything else, and no answer: retried, after `Retry-After` if given. With `retry_statuses`, only these
//! are retried, and all others reject.
//!
//! Copies of records that another sink could not deliver have `+copy` at the end of the key.
//!
//! Records are not distributed over requests by their content; configure a sink with `routes` for each destination.

mod options;
mod template;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use weir_document::Secret;
use weir_record::{Record, write_json};

use self::options::{Format, HttpOptions, check_bounds, fixed_headers};
use self::template::{Header, Request};
use crate::post::{
    Answer, Body, BodyOptions, Origin, PostSink, Protocol, Server, Shape, push_json_id, push_msgpack_id, record_id,
};
use crate::registry::{BuildContext, Guarantee, Kind, Variable, options, schema_of};
use crate::sink::{Batching, Position, Sink, SinkError};

/// The kind's entry in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "http",
    summary: "posts records to any URL as a JSON array, JSON lines or MessagePack, with a key that marks repetitions",
    guarantee: Guarantee::AtLeastOnce,
    reach: crate::registry::Reach::Anywhere,
    example: r#"[sink.collector]
type = "http"
url = "https://logs.example.com/ingest"
format = "ndjson"       # "json" | "ndjson" | "msgpack"
compression = "gzip"    # "none" | "gzip" | "zstd"
headers = { "X-Origin" = "weir/{sink}", "X-Records" = "{count}" }
record_id = "id"
batch = 1000
linger = "1s"
max_body = "5MiB"
"#,
    schema: schema_of::<HttpOptions>,
    variables: &[
        Variable { name: "WEIR_HTTP_URL", option: "url" },
        Variable { name: "WEIR_HTTP_TOKEN", option: "token" },
    ],
    min_level: None,
    build,
    search: None,
};

/// Suffix of the key for records posted in another sink's place.
const COPY: &str = "+copy";

fn build(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let options: HttpOptions = options(name, given)?;
    let sink = post_sink(name, options, context).map_err(|error| format!("sink `{name}`: {error}"))?;
    Ok(Box::new(sink))
}

fn post_sink(name: &str, options: HttpOptions, context: &BuildContext) -> Result<PostSink<HttpProtocol>, String> {
    let url = options.url.as_ref().map(Secret::expose).filter(|url| !url.is_empty());
    let url = url.ok_or("`url` is missing: give it, or set WEIR_HTTP_URL")?;
    check_bounds(&options)?;
    let server = options.connection.server(name, url)?;
    let bodies = BodyOptions {
        shape: match options.format {
            Format::Json => Shape::JsonArray,
            Format::Ndjson => Shape::JsonLines,
            Format::Msgpack => Shape::MsgpackArray,
        },
        encoding: options.compression,
        // At most 64 MiB.
        max_bytes: options.max_body.bytes() as usize,
        max_records: options.batch,
    };
    let batching = Batching { records: options.batch, linger: options.linger.duration() };
    Ok(PostSink::new(batching, HttpProtocol::new(name, options, context)?, server, bodies))
}

struct HttpProtocol {
    name: String,
    journal: String,
    options: HttpOptions,
    /// Headers that are the same for all requests.
    fixed: HeaderMap,
    /// Headers with placeholders, filled for each request.
    templates: Vec<Header>,
    idempotency: Option<HeaderName>,
}

impl HttpProtocol {
    fn new(name: &str, options: HttpOptions, context: &BuildContext) -> Result<HttpProtocol, String> {
        let templates = options.headers.iter().map(|(name, value)| Header::parse(name, value.expose()));
        let idempotency = match options.idempotency_header.as_str() {
            "" => None,
            header => Some(
                HeaderName::from_bytes(header.as_bytes())
                    .map_err(|_| format!("`idempotency_header`: `{header}` is not a valid header name"))?,
            ),
        };
        Ok(HttpProtocol {
            name: name.into(),
            journal: context.journal_id.clone(),
            fixed: fixed_headers(&options)?,
            templates: templates.collect::<Result<_, _>>()?,
            idempotency,
            options,
        })
    }

    /// The idempotency key of a request; all its repetitions have the same one.
    fn key(&self, body: &Body, origin: Origin) -> String {
        let Body { first, last, .. } = body;
        let range = format!("{}.{}-{}.{}", first.sequence, first.index, last.sequence, last.index);
        let suffix = if origin == Origin::Copy { COPY } else { "" };
        format!("{}-{}-{range}{suffix}", self.journal, self.name)
    }
}

impl Protocol for HttpProtocol {
    fn encode(&self, at: Position, record: Record<'_>, out: &mut Vec<u8>) {
        let id = Some(self.options.record_id.as_str())
            .filter(|field| !field.is_empty() && record.map().get(field).is_none());
        match self.options.format {
            Format::Json | Format::Ndjson => {
                write_json(record, out);
                if let Some(field) = id {
                    push_json_id(field, &record_id(&self.journal, at), out);
                }
            }
            Format::Msgpack => {
                out.extend_from_slice(record.as_bytes());
                if let Some(field) = id {
                    push_msgpack_id(field, &record_id(&self.journal, at), out);
                }
            }
        }
    }

    fn headers(&self, place: &str, body: &Body, origin: Origin) -> Result<HeaderMap, SinkError> {
        let mut headers = self.fixed.clone();
        if let Some(name) = &self.idempotency {
            let key = self.key(body, origin);
            let value = HeaderValue::from_str(&key)
                .map_err(|_| SinkError::Fatal(format!("{place}: `{key}` is not a valid header value")))?;
            headers.insert(name, value);
        }
        let request = Request { sink: &self.name, journal: &self.journal, body };
        for header in &self.templates {
            let value = header.value(&request).ok_or_else(|| {
                SinkError::Fatal(format!(
                    "{place}: header `{}` holds characters that are not allowed in a header",
                    header.name
                ))
            })?;
            headers.insert(&header.name, value);
        }
        Ok(headers)
    }

    fn refused(&self, server: &Server, answer: &Answer) -> SinkError {
        let status = answer.status;
        let retried = self.options.retry_statuses.as_ref().is_none_or(|retried| retried.contains(&status));
        if status == 413 || self.options.reject_statuses.contains(&status) || !retried {
            return SinkError::Reject(server.describe(answer));
        }
        if (300..400).contains(&status) {
            return server
                .retry_with_advice(answer, "redirects are not followed: set `url` to the address that it leads to");
        }
        server.retry_later(answer)
    }
}
