//! Header values with placeholders: `{sink}`, `{journal}`, `{first_id}`, `{last_id}`, `{count}`. A literal brace is
//! doubled.

use reqwest::header::{HeaderName, HeaderValue};

use crate::post::{Body, record_id};
use crate::template::{self, Part};

/// One header.
pub(super) struct Header {
    pub name: HeaderName,
    parts: Vec<Part<Value>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Value {
    Sink,
    Journal,
    FirstId,
    LastId,
    Count,
}

/// The properties of a request that headers can contain.
pub(super) struct Request<'a> {
    pub sink: &'a str,
    pub journal: &'a str,
    pub body: &'a Body,
}

/// Headers that describe the body's encoding; other options determine them.
const OWN: [&str; 4] = ["content-encoding", "content-length", "transfer-encoding", "connection"];

impl Header {
    /// Parses a header. Errors name it.
    pub fn parse(name: &str, value: &str) -> Result<Header, String> {
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a valid header name"))?;
        if OWN.contains(&parsed.as_str()) {
            return Err(format!("header `{name}` is set by weir itself"));
        }
        let parts = template::parse(value, parse_value).map_err(|error| format!("header `{name}`: {error}"))?;
        let texts = parts.iter().filter_map(|part| if let Part::Text(text) = part { Some(text) } else { None });
        if texts.map(HeaderValue::try_from).any(|text| text.is_err()) {
            return Err(format!("header `{name}` holds characters that are not allowed in a header"));
        }
        Ok(Header { name: parsed, parts })
    }

    /// The value for a request. It is marked as sensitive, since a configured header may contain a key.
    pub fn value(&self, request: &Request<'_>) -> Option<HeaderValue> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Placeholder(Value::Sink) => out.push_str(request.sink),
                Part::Placeholder(Value::Journal) => out.push_str(request.journal),
                Part::Placeholder(Value::FirstId) => out.push_str(&record_id(request.journal, request.body.first)),
                Part::Placeholder(Value::LastId) => out.push_str(&record_id(request.journal, request.body.last)),
                Part::Placeholder(Value::Count) => out.push_str(&request.body.count.to_string()),
            }
        }
        let mut value = HeaderValue::from_str(&out).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn parse_value(name: &str) -> Result<Value, String> {
    match name {
        "sink" => Ok(Value::Sink),
        "journal" => Ok(Value::Journal),
        "first_id" => Ok(Value::FirstId),
        "last_id" => Ok(Value::LastId),
        "count" => Ok(Value::Count),
        _ => Err(format!("`{{{name}}}` is unknown; use {{sink}}, {{journal}}, {{first_id}}, {{last_id}} or {{count}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Position;

    fn rendered(value: &str) -> Result<String, String> {
        let header = Header::parse("X-A", value)?;
        let (first, last) = (Position { sequence: 3, index: 0 }, Position { sequence: 9, index: 4 });
        let body = Body { bytes: Vec::new(), count: 12, first, last };
        let request = Request { sink: "out", journal: "j1", body: &body };
        Ok(header.value(&request).expect("a value").to_str().expect("text").to_string())
    }

    #[test]
    fn placeholders_are_filled_and_doubled_braces_are_literal() {
        assert_eq!(
            rendered("{sink}/{journal} {count}x {first_id}..{last_id}").as_deref(),
            Ok("out/j1 12x j1-3-0..j1-9-4")
        );
        assert_eq!(rendered("{{\"a\":{count}}}").as_deref(), Ok("{\"a\":12}"));
        assert_eq!(rendered("").as_deref(), Ok(""));
    }

    #[test]
    fn invalid_headers_are_refused_when_the_sink_is_built() {
        for bad in ["{source}", "{count", "}", "a\nb", "{}"] {
            let error = rendered(bad).expect_err(bad);
            assert!(error.contains("X-A"), "{error}");
        }
        for name in ["Content-Encoding", "content-length", "a b", ""] {
            assert!(Header::parse(name, "x").is_err(), "{name}");
        }
    }
}
