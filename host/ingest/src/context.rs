//! Values for records that come from the request: `?source=…&level=…`, `X-Request-ID` and `traceparent`.
//!
//! They only fill what a record lacks. Query parameters are Weir's own, so invalid ones are refused with a hint.
//! Headers may be added by any proxy on the way, so unusable ones are ignored. Invariant: every value is UTF-8 without
//! control characters and bounded, because it is copied into every record of the request.

use std::borrow::Cow;

use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, HeaderValue},
    http::request::Parts,
};
use weir_record::Level;

use crate::{limits, reply::Refused};

/// The values that a request adds to its records.
#[derive(Debug, Default)]
pub(crate) struct Context<'a> {
    pub(crate) source: Option<Cow<'a, str>>,
    pub(crate) level: Option<Level>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) trace: Option<Trace<'a>>,
}

/// The ids of a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace<'a> {
    pub(crate) trace_id: &'a str,
    pub(crate) span_id: &'a str,
}

impl<'a> Context<'a> {
    /// Reads the query and the headers.
    pub(crate) fn read(parts: &'a Parts) -> Result<Context<'a>, Refused> {
        let mut context = match parts.uri.query() {
            Some(query) => from_query(query)?,
            None => Context::default(),
        };
        context.request_id = request_id(&parts.headers);
        context.trace = trace(&parts.headers);
        Ok(context)
    }

    /// Calls `then` with the entries for the `context` of a record: key and value of each known one.
    pub(crate) fn with_entries<T>(&self, then: impl FnOnce(&[(&str, &str)]) -> T) -> T {
        let mut entries = [("", ""); 3];
        let mut count = 0;
        let trace = self.trace;
        let known = [
            ("request_id", self.request_id),
            ("trace_id", trace.map(|trace| trace.trace_id)),
            ("span_id", trace.map(|trace| trace.span_id)),
        ];
        for (key, value) in known {
            if let Some(value) = value {
                entries[count] = (key, value);
                count += 1;
            }
        }
        then(&entries[..count])
    }
}

/// Ignores other parameters, because proxies and clients add their own.
fn from_query(query: &str) -> Result<Context<'_>, Refused> {
    if query.len() > limits::MAX_QUERY_BYTES {
        return Err(Refused::new(
            StatusCode::BAD_REQUEST,
            format!("the query has {} bytes; the limit is {}", query.len(), limits::MAX_QUERY_BYTES),
        ));
    }
    let mut context = Context::default();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "source" => context.source = Some(source(value)?),
            "level" => context.level = Some(level(value)?),
            _ => {}
        }
    }
    Ok(context)
}

fn source(value: &str) -> Result<Cow<'_, str>, Refused> {
    let value = checked("source", value)?;
    if value.is_empty() {
        let error = "query parameter `source` is empty; name the service, as in ?source=checkout";
        return Err(Refused::new(StatusCode::BAD_REQUEST, error));
    }
    Ok(value)
}

/// A parameter of the query that a protocol keeps with every record, if it is there and not empty.
pub(crate) fn label<'a>(parts: &'a Parts, name: &str) -> Result<Option<Cow<'a, str>>, Refused> {
    let given = parts.uri.query().and_then(|query| find(query, name));
    let value = given.map(|value| checked(name, value)).transpose()?;
    Ok(value.filter(|value| !value.is_empty()))
}

/// The encoded value of a parameter.
pub(crate) fn find<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Decodes a value that is copied into every record.
fn checked<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>, Refused> {
    let value = decoded(name, value)?;
    if value.len() > limits::MAX_LABEL_BYTES || value.chars().any(char::is_control) {
        let most = limits::MAX_LABEL_BYTES;
        let error = format!("query parameter `{name}` must have at most {most} bytes and no control characters");
        return Err(Refused::new(StatusCode::BAD_REQUEST, error));
    }
    Ok(value)
}

fn level(value: &str) -> Result<Level, Refused> {
    let value = decoded("level", value)?;
    let known = Level::parse(&value).or_else(|| value.parse().ok().and_then(Level::from_number));
    known.ok_or_else(|| {
        let shown: String = value.chars().take(32).collect();
        Refused::new(
            StatusCode::BAD_REQUEST,
            format!("query parameter `level` is `{shown}`, which is not a level; use TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        )
    })
}

/// Decodes percent-encoding, and `+` as a space as in form encoding. One pass takes 75 ns for the name of a service;
/// the crate `percent-encoding`, plus the check for invalid escapes that it lacks, takes 200 ns.
pub(crate) fn decoded<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>, Refused> {
    if !value.contains(['%', '+']) {
        return Ok(Cow::Borrowed(value));
    }
    let refuse = |what| {
        let error = format!("query parameter `{name}` {what}; percent-encode it as UTF-8");
        Refused::new(StatusCode::BAD_REQUEST, error)
    };
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (*first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                    return Err(refuse("has a % without two hex digits after it"));
                };
                bytes.push(high << 4 | low);
                rest = after;
            }
            (b'%', _) => return Err(refuse("has a % without two hex digits after it")),
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| refuse("isn't UTF-8"))
}

/// Decodes percent-encoding where it is valid, and leaves everything else as it is.
pub(crate) fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let byte = match (*first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high << 4 | low).ok(),
            _ => None,
        };
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    decoded
}

/// `X-Request-ID`, if it can be searched for: 1 to [`limits::MAX_LABEL_BYTES`] visible characters.
fn request_id(headers: &HeaderMap) -> Option<&str> {
    const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?.trim();
    let usable =
        !id.is_empty() && id.len() <= limits::MAX_LABEL_BYTES && !id.bytes().any(|byte| byte.is_ascii_control());
    usable.then_some(id)
}

fn trace(headers: &HeaderMap) -> Option<Trace<'_>> {
    const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next().map(HeaderValue::to_str)?.ok()?;
    // If there are two, the standard says to trust neither.
    if values.next().is_some() { None } else { parse_traceparent(value) }
}

/// `version-trace_id-parent_id-flags`, lower-case hex (W3C Trace Context). A version after 00 may have more parts.
fn parse_traceparent(value: &str) -> Option<Trace<'_>> {
    let mut parts = value.trim().splitn(5, '-');
    let (version, trace_id) = (parts.next()?, parts.next()?);
    let (span_id, flags, more) = (parts.next()?, parts.next()?, parts.next());
    let hex =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = |text: &str, length| hex(text, length) && text.bytes().any(|byte| byte != b'0');
    let version_fits = hex(version, 2) && version != "ff" && (version != "00" || more.is_none());
    let valid = version_fits && id(trace_id, 32) && id(span_id, 16) && hex(flags, 2);
    valid.then_some(Trace { trace_id, span_id })
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
