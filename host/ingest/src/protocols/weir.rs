//! Weir's own protocol: `POST /ingest` with JSON, MessagePack or text.
//!
//! The content type determines the format of the body; without one, its first bytes do. Query and headers fill what
//! records lack (see `context`). MessagePack may also be a sequence of Fluent Bit's entries (see `entries`). The answer is `{"accepted":N}` and the errors of individual records (see `reply`).
//!
//! A page of another origin can send only text and forms without asking first, which also `sendBeacon` does. So from a
//! page (one that has `Origin`), text that begins with an object is read as JSON, and a form is a record.

use hyper::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderValue, ORIGIN},
    http::request::Parts,
};
use weir_record::{Batch, Composer, Defaults, RejectedRecord, SyntaxError, read_json, read_msgpack, read_text};

use super::{Example, Posted, Protocol, Read, entries};
use crate::{
    context::{self, Context},
    reply::{self, Refused},
    request::{self, Content},
};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "weir",
    summary: "JSON (one, an array, lines), MessagePack (one, an array, several) or text (a record a line)",
    paths: &["/ingest"],
    methods: &[Method::POST],
    asks: &[],
    example: Example { content_type: "application/json", body: r#"{"message":"hello"}"# },
    key_header: None,
    encoding: request::encoding,
    check,
    read,
    reply: |_, outcome| reply::answer(outcome),
};

fn check(parts: &Parts) -> Result<(), Refused> {
    request::content(&parts.headers)?;
    Context::read(parts).map(drop)
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let declared = request::content(&posted.parts.headers)?;
    let context = Context::read(posted.parts)?;
    let is_page = posted.parts.headers.contains_key(ORIGIN);
    let content = match declared {
        Content::Undeclared => request::sniff(posted.content),
        Content::Text if is_page && holds_objects(posted.content) => Content::Json,
        known => known,
    };
    let is_form = is_page && content == Content::Text && is_form(posted);
    let bad = context.with_entries(|entries| {
        let defaults = Defaults {
            received_ns: posted.received_ns,
            source: context.source.as_deref().unwrap_or(posted.source),
            level: context.level.unwrap_or(posted.level),
            context: entries,
            aliases: posted.aliases,
            keeps_routes: posted.is_replay,
        };
        let (kind, read) = match content {
            Content::Json => ("JSON", read_json(posted.content, &defaults, batch)),
            Content::MsgPack if entries::begin(posted.content) => {
                ("MessagePack", entries::read(posted.content, &defaults, batch))
            }
            Content::MsgPack => ("MessagePack", read_msgpack(posted.content, &defaults, batch)),
            Content::Text | Content::Undeclared if is_form => ("a form", read_form(posted.content, &defaults, batch)),
            Content::Text | Content::Undeclared => ("text", read_text(posted.content, &defaults, batch)),
        };
        read.map_err(|error| broken(kind, declared, error))
    });
    bad.map(Read::from)
}

/// Whether text begins as objects do: scripts send JSON as text, because a browser asks first before it sends JSON.
fn holds_objects(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let item = text.strip_prefix(b"[").unwrap_or(text).trim_ascii_start();
    item.starts_with(b"{")
}

/// Whether it is a form that has only named values.
fn is_form(posted: &Posted<'_>) -> bool {
    let declared = posted.parts.headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let has_name = |pair: &[u8]| pair.iter().position(|byte| *byte == b'=').is_some_and(|end| end > 0);
    declared.to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
        && posted.content.split(|byte| *byte == b'&').all(has_name)
}

/// Reads a form as one record.
fn read_form(form: &[u8], defaults: &Defaults<'_>, batch: &mut Batch) -> Result<Vec<RejectedRecord>, SyntaxError> {
    let mut composer = Composer::new(defaults, batch);
    composer.begin();
    let composed = form.split(|byte| *byte == b'&').try_for_each(|pair| {
        let spaced: Vec<u8> = pair.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        let end = spaced.iter().position(|byte| *byte == b'=').unwrap_or(spaced.len());
        let (name, value) = spaced.split_at(end);
        let value = context::percent_decoded(value.get(1..).unwrap_or_default());
        composer.entry(&context::percent_decoded(name), |entry| {
            entry.text(&value);
            Ok(())
        })
    });
    composer.end(composed, || form.to_vec())?;
    Ok(composer.finish())
}

fn broken(kind: &str, declared: Content, error: SyntaxError) -> Refused {
    let mut refused = Refused::unread(error, kind);
    if declared == Content::Undeclared && refused.status == StatusCode::BAD_REQUEST {
        let hint = "; the format was guessed from the first bytes: send a Content-Type if it is another one";
        refused.error.push_str(hint);
    }
    refused
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::test_bodies;
    use super::*;

    const PAGE: (&str, &str) = ("origin", "https://app.example.com");

    fn messages(headers: &[(&str, &str)], body: &str) -> Vec<String> {
        let (records, bad) = test_bodies::post(&PROTOCOL, "/ingest", headers, body).expect(body);
        assert!(bad.is_empty(), "{bad:?}");
        records.iter().map(|record| record["message"].as_str().expect("text").to_owned()).collect()
    }

    #[test]
    fn pages_may_send_objects_as_text() {
        let text = ("content-type", "text/plain;charset=UTF-8");
        for body in [r#"{"message":"a"}"#, r#" [ {"message":"a"}]"#] {
            assert_eq!(messages(&[PAGE, text], body), ["a"], "{body}");
            assert_eq!(messages(&[text], body), [body], "programs can say what they send");
        }
        for body in ["[error] a", "a {}", "x=1&y=2"] {
            assert_eq!(messages(&[PAGE, text], body), [body]);
        }
    }

    #[test]
    fn forms_of_pages_are_records() {
        let form = ("content-type", "application/x-www-form-urlencoded;charset=UTF-8");
        let body = "message=hello+w%C3%B6rld&level=error&n=1%2B1&empty=&odd=%zz";
        let (records, _) = test_bodies::post(&PROTOCOL, "/ingest", &[PAGE, form], body).expect("taken");
        let due = json!({"timestamp": test_bodies::RECEIVED, "level": "ERROR", "source": "http", "message": "hello wörld",
            "n": "1+1", "empty": "", "odd": "%zz"});
        assert_eq!(records, [due]);
        assert_eq!(messages(&[form], body), [body], "curl -d");
        assert_eq!(messages(&[PAGE, form], "hello"), ["hello"]);
        assert_eq!(messages(&[PAGE, form], r#"{"message":"a"}"#), ["a"]);
        assert_eq!(messages(&[PAGE], r#"{"message":"a"}"#), ["a"]);
    }
}
