//! Reads the headers of a request: content type, encoding, and whether a web page sent it.
//!
//! These are pure functions over headers, called before the first byte of a body is read, so that unusable requests are
//! refused early. Invariant: nothing here reads or keeps the body; [`sniff`] looks at its first bytes only.
//!
//! A browser lets any page post `text/plain` (and forms) to any address, including 127.0.0.1, without asking first.
//! Since such content is accepted here, a page elsewhere could write into the logs of its visitors. So a post that a
//! browser marks as cross-site is refused ([`refuse_cross_site`]). Programs don't send these headers.

use hyper::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN},
    http::request::Parts,
};

use crate::{limits, reply::Refused};

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// One object, an array of objects, or one object after another.
    Json,
    /// One map, an array of maps, or one map after another.
    MsgPack,
    /// One record per line.
    Text,
    /// Not declared: [`sniff`] decides.
    Undeclared,
}

/// The supported types, for error messages.
const CONTENT_TYPES: &str = "application/json, application/x-ndjson, application/msgpack and text/plain";

/// Reads `Content-Type`. `application/x-www-form-urlencoded` counts as undeclared, because `curl -d` sends it by
/// default.
pub(crate) fn content(headers: &HeaderMap) -> Result<Content, Refused> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(Content::Undeclared);
    };
    let text = value.to_str().map_err(|_| unsupported_type(value))?;
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let essence = essence.trim();
    let is = |names: &[&str]| names.iter().any(|name| essence.eq_ignore_ascii_case(name));
    let content =
        if is(&["application/json", "application/x-ndjson", "application/ndjson", "application/jsonl", "text/json"]) {
            Content::Json
        } else if is(&["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"]) {
            Content::MsgPack
        } else if is(&["text/plain"]) {
            Content::Text
        } else if is(&["", "application/x-www-form-urlencoded"]) {
            Content::Undeclared
        } else {
            return Err(unsupported_type(value));
        };
    check_charset(parameters)?;
    Ok(content)
}

fn unsupported_type(value: &HeaderValue) -> Refused {
    let value = String::from_utf8_lossy(value.as_bytes());
    let error = format!("content type `{value}` isn't supported; send {CONTENT_TYPES}");
    Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
}

/// Records are UTF-8. With another charset every line would be a bad record.
fn check_charset(parameters: &str) -> Result<(), Refused> {
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        let known = ["utf-8", "utf8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known));
        if name.trim().eq_ignore_ascii_case("charset") && !known {
            let error = format!("charset `{value}` isn't supported; send UTF-8");
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
        }
    }
    Ok(())
}

/// Approximate memory of a head.
pub(crate) fn head_bytes(parts: &Parts) -> usize {
    let headers = parts.headers.iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + limits::HEADER_BYTES);
    let target = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    target + headers.sum::<usize>()
}

/// Guesses the format of an undeclared body from its first bytes.
///
/// `{` and `[` start JSON, the markers of maps and arrays start MessagePack, anything else is text. The markers
/// 0xdc–0xdf can also start a UTF-8 character; the next byte tells them apart (as a length it would mean 32,768
/// elements or more).
pub(crate) fn sniff(body: &[u8]) -> Content {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let begin = body.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(body.len());
    match body[begin..] {
        [b'{' | b'[', ..] => Content::Json,
        [0x80..=0x9f, ..] => Content::MsgPack,
        [0xdc..=0xdf, 0x80..=0xbf, ..] => Content::Text,
        [0xdc..=0xdf, ..] => Content::MsgPack,
        _ => Content::Text,
    }
}

/// The compression of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    /// zlib as in the standard, or the raw stream that some clients send.
    Deflate,
    Zstd,
    /// One message of gRPC, which says itself whether it is compressed with gzip.
    GrpcGzip,
    /// A block of Snappy, without frames.
    Snappy,
}

impl Encoding {
    /// Its name in errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
            Encoding::Zstd => "zstd",
            Encoding::GrpcGzip => "a message of gRPC",
            Encoding::Snappy => "snappy",
        }
    }
}

/// Reads `Content-Encoding`, which must be absent or supported.
pub(crate) fn encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let Some(value) = values.next() else {
        return Ok(Encoding::Identity);
    };
    let text = value.to_str().unwrap_or("?").trim();
    let is = |name: &str| text.eq_ignore_ascii_case(name);
    match () {
        () if values.next().is_some() => Err(unsupported_encoding("several")),
        () if is("gzip") || is("x-gzip") => Ok(Encoding::Gzip),
        () if is("deflate") => Ok(Encoding::Deflate),
        () if is("zstd") => Ok(Encoding::Zstd),
        () if is("identity") || is("") => Ok(Encoding::Identity),
        () => Err(unsupported_encoding(text)),
    }
}

fn unsupported_encoding(name: &str) -> Refused {
    let error = format!("content encoding `{name}` isn't supported; send one of gzip, deflate and zstd, or none");
    Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
}

/// Whether the bytes contain this text.
pub(crate) fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Refuses requests that a browser sends for a page of another site.
///
/// `Sec-Fetch-Site` decides if present: every current browser sends it to loopback and over TLS, and proxies don't
/// change it. Otherwise `Origin` must match the requested host. Over TLS, a page without it is of another site. Without
/// TLS, a proxy may have ended it.
pub(crate) fn refuse_cross_site(parts: &Parts, is_encrypted: bool) -> Result<(), Refused> {
    const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    let headers = &parts.headers;
    let own = match (headers.get(SEC_FETCH_SITE), headers.get(ORIGIN)) {
        (None, None) => true,
        (Some(site), _) => matches!(site.as_bytes(), b"same-origin" | b"none"),
        (None, Some(origin)) => {
            let asked = headers.get(HOST).map(HeaderValue::as_bytes);
            // In HTTP/2, the host is in the URI.
            let asked = asked.or_else(|| parts.uri.authority().map(|host| host.as_str().as_bytes()));
            let origin = origin.as_bytes();
            let plain = || origin.strip_prefix(b"http://").filter(|_| !is_encrypted);
            let host = origin.strip_prefix(b"https://").or_else(plain);
            host.is_some() && host == asked
        }
    };
    if own {
        return Ok(());
    }
    let error = "this was sent by a web page of another site; only programs and pages of the same origin may do this";
    Err(Refused::new(StatusCode::FORBIDDEN, error))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
