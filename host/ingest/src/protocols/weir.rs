//! Weir's own protocol: `POST /ingest` with JSON, MessagePack or text.
//!
//! The content type determines the format of the body; without one, its first bytes do. Query and headers fill what
//! records lack (see `context`). The answer is `{"accepted":N}` and the errors of individual records (see `reply`).

use hyper::{Method, StatusCode, http::request::Parts};
use weir_record::{Batch, Defaults, SyntaxError, read_json, read_msgpack, read_text};

use super::{Example, Posted, Protocol, Read};
use crate::{
    context::Context,
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
    let content = match declared {
        Content::Undeclared => request::sniff(posted.content),
        known => known,
    };
    let bad = context.with_entries(|entries| {
        let defaults = Defaults {
            received_ns: posted.received_ns,
            source: context.source.as_deref().unwrap_or(posted.source),
            level: context.level.unwrap_or(posted.level),
            context: entries,
            aliases: posted.aliases,
            keeps_routes: posted.is_replay,
        };
        match content {
            Content::Json => {
                read_json(posted.content, &defaults, batch).map_err(|error| broken("JSON", declared, &error))
            }
            Content::MsgPack => {
                read_msgpack(posted.content, &defaults, batch).map_err(|error| broken("MessagePack", declared, &error))
            }
            Content::Text | Content::Undeclared => {
                read_text(posted.content, &defaults, batch).map_err(|error| broken("text", declared, &error))
            }
        }
    });
    bad.map(Read::from)
}

fn broken(kind: &str, declared: Content, error: &SyntaxError) -> Refused {
    let SyntaxError { offset, reason, too_much } = error;
    if *too_much {
        return Refused::new(StatusCode::PAYLOAD_TOO_LARGE, format!("{reason}, at byte {offset} of the body"));
    }
    let hint = if declared == Content::Undeclared {
        "; the format was guessed from the first bytes: send a Content-Type if it is another one"
    } else {
        ""
    };
    Refused::syntax(*offset, format!("the body can't be read as {kind}, at byte {offset}: {reason}{hint}"))
}
