//! `InfluxDB`'s line protocol: `POST /write?db=…` of version 1 and `POST /api/v2/write?bucket=…&org=…` of version 2.
//!
//! ```console
//! curl 'http://localhost:8080/write?db=telegraf&precision=s' --data-binary \
//!   'cpu,host=a usage=0.5,cores=4i 1700000001'
//! ```
//!
//! A point becomes the record that `POST /v1/timeseries` makes of it (see `timeseries`), with the parameters `db`, `rp`,
//! `bucket` and `org` under their names. Floats stay floats (`usage=1` is `1.0`), integers and truth values keep their
//! types. A line without a time gets the time of receipt. `line` reads the lines.
//!
//! A line that can't be read is set aside, and the answer is 204 nevertheless. `InfluxDB` would answer 400 and store the
//! other points, so some clients send all of them again, one half after the other; that changes nothing there, because
//! a point replaces the one of the same series and time, but here it would store them twice. The header
//! `X-Influxdb-Error` says how many lines were set aside, and why. If no line can be read, nothing is stored, and the
//! answer is 400. Refusals have the form of the version that was asked.
//!
//! Clients also ask for `/ping`, for `/health` (answered here if the client says that it is one of `InfluxDB`'s), and to
//! `CREATE DATABASE`, which needs nothing done.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, StatusCode,
    header::{HeaderName, HeaderValue, USER_AGENT},
    http::request::Parts,
};
use serde_json::json;
use weir_access::Role;
use weir_record::{
    Batch, Map, RejectedRecord, Value,
    limits::{MAX_BAD_PER_BODY, MAX_BATCH_BYTES, MAX_BATCH_RECORDS},
    write,
};

use self::line::{Field, Line};
use super::{Ask, Example, Posted, Protocol, Read, timeseries::Point};
use crate::{
    context::{self, Context},
    limits,
    reply::{self, Answer, Refused, Taken},
    request,
};

mod line;

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "influxdb",
    summary: "InfluxDB's line protocol, versions 1 and 2: a point per line",
    paths: &["/write", WRITE_2],
    methods: &[Method::POST],
    asks: &[
        Ask { methods: &[Method::GET, Method::HEAD], path: "/ping", role: None, answer: |_, _| Some(pong()) },
        Ask { methods: &[Method::GET], path: "/health", role: None, answer: health },
        Ask { methods: &[Method::GET, Method::POST], path: "/query", role: Some(Role::Ingest), answer: query },
    ],
    example: Example { content_type: "text/plain", body: "cpu,host=a usage=0.5,cores=4i" },
    key_header: None,
    encoding: request::encoding,
    check,
    read,
    reply: answer,
};

const WRITE_2: &str = "/api/v2/write";

/// The version that clients are told: the last of version 1, which has every path here.
const VERSION: &str = "1.8.10";
const X_INFLUXDB_VERSION: HeaderName = HeaderName::from_static("x-influxdb-version");
const X_INFLUXDB_ERROR: HeaderName = HeaderName::from_static("x-influxdb-error");

/// Parameters that are kept with every record.
const KEPT: [&str; 4] = ["db", "rp", "bucket", "org"];

fn check(parts: &Parts) -> Result<(), Refused> {
    Context::read(parts)?;
    for name in KEPT {
        context::label(parts, name)?;
    }
    tick_ns(parts).map(drop)
}

/// The unit of times in nanoseconds.
fn tick_ns(parts: &Parts) -> Result<i64, Refused> {
    Ok(match context::label(parts, "precision")?.as_deref() {
        None | Some("n" | "ns") => 1,
        Some("u" | "us" | "µ") => 1_000,
        Some("ms") => 1_000_000,
        Some("s") => 1_000_000_000,
        Some("m") => 60_000_000_000,
        Some("h") => 3_600_000_000_000,
        Some(other) => {
            let error = format!("precision `{other}` is unknown; use ns, us, ms, s, m or h");
            return Err(Refused::new(StatusCode::BAD_REQUEST, error));
        }
    })
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let context = Context::read(posted.parts)?;
    let tick_ns = tick_ns(posted.parts)?;
    let mut kept = Vec::new();
    for name in KEPT {
        kept.extend(context::label(posted.parts, name)?.map(|value| (name, value)));
    }
    let kept: Vec<(&str, &str)> = kept.iter().map(|(name, value)| (*name, &**value)).collect();
    let level = context.level.unwrap_or(posted.level);
    let mut bad = Vec::new();
    let (mut tags, mut fields) = (Vec::new(), Vec::new());
    for (index, text) in (0..).zip(line::lines(posted.content)) {
        let point = Line::read(text).and_then(|line| {
            let timestamp = line.time.map(|ticks| ticks.checked_mul(tick_ns).ok_or("time outside of 1677 to 2262"));
            encode(&line, &mut tags, &mut fields);
            let map = |bytes| Value::peek(bytes).and_then(|value| value.as_map()).unwrap_or_default();
            let (tags, fields): (Map<'_>, Map<'_>) = (map(&tags), map(&fields));
            let tags = (!tags.is_empty()).then_some(tags);
            let point = Point::new(&line.measurement, tags, fields, timestamp.transpose()?)?;
            let source = context.source.as_deref().unwrap_or(&line.measurement);
            batch
                .try_append(|out| point.write(source, level, posted.received_ns, &kept, out))
                .map_err(|_| "the record would have more than 1 MiB")
        });
        if let Err(reason) = point {
            let shown: String = String::from_utf8_lossy(text).chars().take(limits::MAX_QUOTED_CHARS).collect();
            let error = format!("unable to parse '{shown}': {reason}");
            bad.push(RejectedRecord { index, error, bytes: text.to_vec() });
        }
        if batch.byte_len() > MAX_BATCH_BYTES || batch.len() > MAX_BATCH_RECORDS || bad.len() > MAX_BAD_PER_BODY {
            let error = "the body exceeds the limit on points per request; send smaller batches";
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error));
        }
    }
    match bad.first() {
        Some(first) if batch.is_empty() => Err(Refused::new(StatusCode::BAD_REQUEST, first.error.clone())),
        _ => Ok(bad.into()),
    }
}

/// Writes the tags and fields of a line as maps.
fn encode(line: &Line<'_>, tags: &mut Vec<u8>, fields: &mut Vec<u8>) {
    tags.clear();
    fields.clear();
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    write::map_header(tags, count(line.tags.len()));
    for (name, value) in &line.tags {
        write::str(tags, name);
        write::str(tags, value);
    }
    write::map_header(fields, count(line.fields.len()));
    for (name, value) in &line.fields {
        write::str(fields, name);
        match value {
            Field::Float(number) => write::float(fields, *number),
            Field::Int(number) => write::int(fields, *number),
            Field::UInt(number) => write::uint(fields, *number),
            Field::Bool(truth) => write::bool(fields, *truth),
            Field::Text(text) => write::str(fields, text),
        }
    }
}

/// The answer to a write, in the form of the version that was asked.
fn answer(parts: &Parts, outcome: &Result<Taken, Refused>) -> Answer {
    let mut answer = reply::confirmed_by(StatusCode::NO_CONTENT, outcome);
    let (status, said) = match outcome {
        Ok(taken) if answer.status() == StatusCode::NO_CONTENT => {
            if taken.quarantined > 0 {
                let reason = taken.errors.first().map_or("", |first| &first.error);
                let said = format!("partial write: {} points were set aside: {reason}", taken.quarantined);
                let said: String = said.chars().filter(|char| !char.is_control()).collect();
                answer.headers_mut().extend(HeaderValue::from_str(&said).ok().map(|said| (X_INFLUXDB_ERROR, said)));
            }
            return versioned(answer);
        }
        Ok(taken) => (answer.status(), format!("a filter rejected all {} points", taken.rejected)),
        Err(refused) => (refused.status, refused.error.clone()),
    };
    // Weir's own form is that of version 1.
    if parts.uri.path() == WRITE_2 {
        let said = json!({ "code": code(status), "message": said });
        *answer.body_mut() = Full::new(Bytes::from(said.to_string()));
    }
    versioned(answer)
}

/// `InfluxDB` says its version in every answer.
fn versioned(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(X_INFLUXDB_VERSION, HeaderValue::from_static(VERSION));
    answer
}

/// The name that version 2 has for a status.
fn code(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "unauthorized",
        403 => "forbidden",
        413 => "request too large",
        422 => "unprocessable entity",
        429 => "too many requests",
        500 => "internal error",
        503 => "unavailable",
        _ => "invalid",
    }
}

fn pong() -> Answer {
    versioned(reply::confirmed_by(StatusCode::NO_CONTENT, &Ok(Taken::default())))
}

/// Weir's own `/health` is for everybody else.
fn health(parts: &Parts, _: &[u8]) -> Option<Answer> {
    let agent = parts.headers.get(USER_AGENT)?;
    agent.as_bytes().starts_with(b"influxdb-client-").then(|| {
        let health = json!({"name": "influxdb", "message": "ready for writes", "status": "pass", "checks": [],
            "version": VERSION});
        reply::json(StatusCode::OK, health.to_string())
    })
}

/// `CREATE DATABASE`, with which many programs begin. Everything else is no question that Weir answers.
fn query(parts: &Parts, body: &[u8]) -> Option<Answer> {
    let body = std::str::from_utf8(body).ok()?;
    let asked = context::find(body, "q").or_else(|| context::find(parts.uri.query()?, "q"))?;
    let creates = asked.to_ascii_uppercase().trim_start_matches([' ', '+']).starts_with("CREATE");
    creates.then(|| reply::json(StatusCode::OK, r#"{"results":[{"statement_id":0}]}"#.to_owned()))
}

#[cfg(test)]
mod tests;
