//! OpenTelemetry: logs in OTLP over HTTP, as protobuf or JSON, and over gRPC.
//!
//! ```console
//! curl http://localhost:8080/v1/logs --json '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}'
//! ```
//!
//! | file | purpose |
//! |---|---|
//! | `json`, `text` | the JSON form becomes protobuf |
//! | `any`, `records` | protobuf becomes records |
//! | `answer` | the answers, of HTTP and of gRPC |
//!
//! | OTLP | record |
//! |---|---|
//! | `time_unix_nano`, if 0 `observed_time_unix_nano`, if 0 the time of receipt | `timestamp` |
//! | `observed_time_unix_nano`, if it is another time | `observed_time`, RFC 3339 |
//! | `severity_number` 1–4, 5–8 … 21–24, if 0 `severity_text` | `level` |
//! | `severity_number` other than the first of its level; `severity_text` other than the level's name | under these keys |
//! | `service.name` of the resource | `source` |
//! | `body` that is text | `message` |
//! | `body` that is another value | `message` as text (bytes: read as text; lists and maps: as JSON, cut at 16 KiB), and `body` unchanged |
//! | no `body`, `event_name` | `message`: the name |
//! | `attributes` | keys of the record; one that has a name of this column (except of the head) gets `_original` appended |
//! | `trace_id`, `span_id`, `flags` | `context`: `trace_id` and `span_id` in hexadecimal digits, `trace_flags` |
//! | `event_name`; `dropped_attributes_count` above 0 | under these keys |
//! | resource: attributes, `dropped_attributes_count` above 0; `schema_url` | `resource`; `resource_schema_url` |
//! | scope: name, version, attributes, `dropped_attributes_count` above 0, `schema_url` | `scope` |
//!
//! Values keep their types; bytes stay bytes. Both forms give the same records. Texts that are not UTF-8, duplicate keys
//! and records that are too large or too deep are treated as in any body, see `weir_record`.

mod answer;
mod any;
mod json;
mod records;
#[cfg(test)]
mod tests;
mod text;

use hyper::{
    HeaderMap, Method, StatusCode, Version,
    header::{CONTENT_TYPE, HeaderName},
    http::request::Parts,
};
use weir_record::Batch;

use super::{Example, Posted, Protocol, Read};
use crate::{
    reply::Refused,
    request::{self, Encoding},
};

pub(crate) use answer::unknown_method;

/// The method of gRPC.
const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "otlp",
    summary: "logs of OpenTelemetry as OTLP, protobuf or JSON, also over gRPC",
    paths: &["/v1/logs", EXPORT],
    methods: &[Method::POST],
    asks: &[],
    example: Example {
        content_type: "application/json",
        body: r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}"#,
    },
    key_header: None,
    encoding,
    check,
    read,
    reply: answer::reply,
};

/// How requests and answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
    Grpc,
}

impl Form {
    /// The form that the content type declares.
    fn declared(headers: &HeaderMap) -> Option<Form> {
        let declared = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = declared.split(';').next().unwrap_or(declared).trim();
        let is = |names: &[&str]| names.iter().any(|name| essence.eq_ignore_ascii_case(name));
        match () {
            () if is(&["application/x-protobuf", "application/protobuf"]) => Some(Form::Protobuf),
            () if is(&["application/json"]) => Some(Form::Json),
            () if is(&["application/grpc", "application/grpc+proto"]) => Some(Form::Grpc),
            () => None,
        }
    }
}

/// Whether a request is one of gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let declared = headers.get(CONTENT_TYPE).map_or(&b""[..], |declared| declared.as_bytes());
    let start = declared.get(..GRPC.len()).unwrap_or_default();
    start.eq_ignore_ascii_case(GRPC) && matches!(declared.get(GRPC.len()), None | Some(b'+' | b';' | b' '))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
    if !is_grpc(headers) {
        return request::encoding(headers);
    }
    match headers.get(GRPC_ENCODING).map_or(&b"identity"[..], |name| name.as_bytes()) {
        b"identity" => Ok(Encoding::Identity),
        b"gzip" => Ok(Encoding::GrpcGzip),
        other => {
            let name = String::from_utf8_lossy(other);
            let error = format!("grpc-encoding `{name}` isn't supported; send gzip or identity");
            Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error))
        }
    }
}

fn check(parts: &Parts) -> Result<(), Refused> {
    let is_export = parts.uri.path() == EXPORT;
    match Form::declared(&parts.headers) {
        Some(Form::Grpc) if is_export && parts.version != Version::HTTP_2 => {
            Err(Refused::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2"))
        }
        Some(Form::Grpc) if is_export => Ok(()),
        Some(Form::Protobuf | Form::Json) if !is_export => Ok(()),
        _ if is_export => Err(unsupported("application/grpc")),
        _ => Err(unsupported("application/x-protobuf or application/json")),
    }
}

fn unsupported(wanted: &str) -> Refused {
    Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the content type isn't supported; send {wanted}"))
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let headers = &posted.parts.headers;
    let malformed = |error| Refused::unread(error, "protobuf");
    match Form::declared(headers) {
        Some(Form::Json) => {
            let converted = json::to_protobuf(posted.content).map_err(|(offset, reason)| {
                Refused::syntax(offset, format!("the body can't be read as JSON, at byte {offset}: {reason}"))
            })?;
            let sent = |at: usize| posted.content.get(converted.records.get(at)?.clone());
            records::read(&converted.message, posted, batch, sent).map_err(malformed)
        }
        Some(Form::Grpc) if encoding(headers)? == Encoding::Identity => {
            let message = uncompressed(posted.content)?;
            records::read(message, posted, batch, |_| None).map_err(malformed)
        }
        _ => records::read(posted.content, posted, batch, |_| None).map_err(malformed),
    }
}

/// The message of a gRPC request without compression: after a flag and its length.
fn uncompressed(body: &[u8]) -> Result<&[u8], Refused> {
    let refuse = |error| Err(Refused::new(StatusCode::BAD_REQUEST, error));
    let Some(([flag, length @ ..], message)) = body.split_first_chunk::<5>() else {
        return refuse("the gRPC request ends within the head of its message");
    };
    if *flag != 0 {
        return refuse("the gRPC message is compressed, but grpc-encoding doesn't say how");
    }
    if u32::from_be_bytes(*length) as usize != message.len() {
        return refuse("the gRPC request is not exactly one message");
    }
    Ok(message)
}
