//! The answers: over HTTP an `ExportLogsServiceResponse` or a `google.rpc.Status` in the form of the request, over gRPC
//! the same in its frame and trailers.
//!
//! A sender repeats what was answered with 429, 502, 503 or 504 (over gRPC UNAVAILABLE and DEADLINE_EXCEEDED), and drops
//! what was answered otherwise. What may work later is therefore answered with 503 here, even if it is 500 elsewhere.
//!
//! Records that a filter rejected count as rejected. Those in quarantine are kept, so they don't; the answer only says
//! how many there are, which the specification calls a warning.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use http_body_util::Full;
use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, HeaderValue},
    http::request::Parts,
};

use super::{EXPORT, Form, is_grpc};
use crate::{
    limits,
    protocols::protobuf::{write_bytes, write_uint},
    reply::{self, Answer, Refused, Taken},
};

pub(super) fn reply(parts: &Parts, outcome: &Result<Taken, Refused>) -> Answer {
    let form = match Form::declared(&parts.headers) {
        _ if is_grpc(&parts.headers) => Form::Grpc,
        // A sender that declares neither is a person who tries it.
        None => Form::Json,
        Some(form) => form,
    };
    match outcome {
        Ok(taken) => {
            let warning = warning(taken);
            match form {
                Form::Protobuf => protobuf(StatusCode::OK, response(taken.rejected, &warning)),
                Form::Json => reply::json(StatusCode::OK, response_json(taken.rejected, &warning)),
                Form::Grpc => grpc(Some(response(taken.rejected, &warning)), StatusCode::OK, 0, "", None),
            }
        }
        Err(refused) => refusal(form, refused),
    }
}

/// What the sender should know of records that were not stored as they are. Empty: nothing.
fn warning(taken: &Taken) -> String {
    let mut text = String::new();
    let counts = [(taken.rejected, "rejected by a filter"), (taken.quarantined, "kept in quarantine")];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        // Writing to a String can't fail.
        _ = write!(text, "{}{count} of the records {what}", if text.is_empty() { "" } else { ", " });
    }
    if let (false, Some(first)) = (text.is_empty(), taken.errors.first()) {
        let error: String = first.error.chars().take(limits::MAX_ERROR_CHARS).collect();
        _ = write!(text, "; record {}: {error}", first.index);
    }
    text
}

/// An `ExportLogsServiceResponse`.
fn response(rejected: usize, warning: &str) -> Vec<u8> {
    let mut response = Vec::new();
    if !warning.is_empty() {
        let mut partial = Vec::new();
        if rejected > 0 {
            write_uint(&mut partial, 1, rejected as u64);
        }
        write_bytes(&mut partial, 2, warning.as_bytes());
        write_bytes(&mut response, 1, &partial);
    }
    response
}

fn response_json(rejected: usize, warning: &str) -> String {
    if warning.is_empty() {
        return "{}".to_owned();
    }
    // A 64-bit integer is text in the JSON of protobuf.
    let rejected = if rejected > 0 { format!(r#""rejectedLogRecords":"{rejected}","#) } else { String::new() };
    format!(r#"{{"partialSuccess":{{{rejected}"errorMessage":{}}}}}"#, serde_json::Value::from(warning))
}

fn refusal(form: Form, refused: &Refused) -> Answer {
    let is_later = refused.status == StatusCode::INTERNAL_SERVER_ERROR;
    let status = if is_later { StatusCode::SERVICE_UNAVAILABLE } else { refused.status };
    let retry_after_s = refused.retry_after_s.or_else(|| is_later.then_some(limits::RETRY_BUSY_S));
    let text: String = refused.error.chars().take(limits::MAX_ERROR_CHARS).collect();
    let code = code(status);
    if form == Form::Grpc {
        return grpc(None, status, code, &text, retry_after_s);
    }
    let refused = Refused { status, retry_after_s, error: String::new(), ..*refused };
    // With the headers of all refusals.
    let mut answer = reply::refused_answer(&refused);
    *answer.body_mut() = match form {
        Form::Json => Full::from(format!(r#"{{"code":{code},"message":{}}}"#, serde_json::Value::from(text))),
        _ => {
            answer
                .headers_mut()
                .insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
            Full::from(status_message(code, &text, None))
        }
    };
    answer
}

fn protobuf(status: StatusCode, message: Vec<u8>) -> Answer {
    reply::with_type(status, HeaderValue::from_static("application/x-protobuf"), message)
}

/// The code of gRPC for a status of HTTP.
fn code(status: StatusCode) -> u8 {
    match status.as_u16() {
        // UNAUTHENTICATED, PERMISSION_DENIED
        401 => 16,
        403 => 7,
        // UNIMPLEMENTED: no such method, compression or content type
        404 | 405 | 415 | 505 => 12,
        // RESOURCE_EXHAUSTED, which says not to repeat it
        413 => 8,
        // UNAVAILABLE, which says to repeat it later
        429 | 502..=504 => 14,
        // INTERNAL
        500.. => 13,
        // INVALID_ARGUMENT
        _ => 3,
    }
}

/// A `google.rpc.Status`, with a `google.rpc.RetryInfo` if there is a time to wait.
fn status_message(code: u8, text: &str, retry_after_s: Option<u32>) -> Vec<u8> {
    let mut status = Vec::new();
    write_uint(&mut status, 1, code.into());
    write_bytes(&mut status, 2, text.as_bytes());
    if let Some(seconds) = retry_after_s {
        let mut any = Vec::new();
        write_bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
        write_bytes(&mut any, 2, &retry_info(seconds));
        write_bytes(&mut status, 3, &any);
    }
    status
}

fn retry_info(seconds: u32) -> Vec<u8> {
    let (mut duration, mut info) = (Vec::new(), Vec::new());
    write_uint(&mut duration, 1, seconds.into());
    write_bytes(&mut info, 1, &duration);
    info
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// Where the exporter for Python looks for the time to wait.
const RETRY_INFO: HeaderName = HeaderName::from_static("google.rpc.retryinfo-bin");

/// An answer of gRPC: a message and trailers, or without a message nothing but trailers, sent as headers.
fn grpc(message: Option<Vec<u8>>, status: StatusCode, code: u8, text: &str, retry_after_s: Option<u32>) -> Answer {
    let mut trailers = HeaderMap::new();
    trailers.insert(GRPC_STATUS, HeaderValue::from(u16::from(code)));
    if let Ok(text) = HeaderValue::from_str(&percent_encoded(text))
        && !text.is_empty()
    {
        trailers.insert(GRPC_MESSAGE, text);
    }
    if let Some(seconds) = retry_after_s {
        let details =
            [(GRPC_STATUS_DETAILS, status_message(code, "", retry_after_s)), (RETRY_INFO, retry_info(seconds))];
        for (name, details) in details {
            if let Ok(value) = HeaderValue::from_str(&STANDARD_NO_PAD.encode(details)) {
                trailers.insert(name, value);
            }
        }
    }
    let framed = message.as_ref().map_or_else(Vec::new, |message| {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        [&[0][..], &length.to_be_bytes(), message].concat()
    });
    let mut answer = reply::with_type(StatusCode::OK, HeaderValue::from_static("application/grpc"), framed);
    answer.headers_mut().insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip"));
    match message {
        Some(_) => reply::add_trailers(&mut answer, trailers),
        None => answer.headers_mut().extend(trailers),
    }
    reply::count_as(&mut answer, status);
    answer
}

/// Text for `grpc-message`, cut to a length that headers may have.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for character in text.chars() {
        if encoded.len() > limits::MAX_GRPC_MESSAGE_BYTES {
            break;
        }
        match character {
            ' '..='~' if character != '%' => encoded.push(character),
            _ => {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a String can't fail.
                    _ = write!(encoded, "%{byte:02X}");
                }
            }
        }
    }
    encoded
}

/// The answer to a request of gRPC for what is not here.
pub(crate) fn unknown_method(path: &str) -> Answer {
    let path: String = path.chars().take(limits::MAX_LABEL_BYTES).collect();
    let error = format!("there is no method {path}; there is {EXPORT}");
    grpc(None, StatusCode::NOT_FOUND, code(StatusCode::NOT_FOUND), &error, None)
}
