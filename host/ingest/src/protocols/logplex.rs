//! Heroku's log drains: `POST /logplex` with `application/logplex-1`, which is lines of syslog with their lengths.
//!
//! ```console
//! heroku drains:add 'https://x:TOKEN@weir.example.com/logplex?source=shop' --app shop
//! ```
//!
//! A frame is its length in bytes, a space, and `<PRI>1 TIME HOST APP PROCESS ID MESSAGE` without the structured data of
//! RFC 5424:
//!
//! ```text
//! 83 <40>1 2012-11-30T06:45:29+00:00 host app web.3 - State changed from starting to up
//! ```
//!
//! | part | in the record |
//! |---|---|
//! | TIME, to the nanosecond | the time; kept as `timestamp_original` if it isn't one |
//! | PRI | the level; `facility` and `severity` are the names of its two parts |
//! | MESSAGE, without the line end | the message |
//! | HOST, APP, PROCESS, ID | `host`, `app`, `pid` and `msgid`, unless they are `-` |
//! | `Logplex-Drain-Token` | `drain` |
//!
//! The source is `?source=` of the drain's URL, otherwise the app, which Heroku calls `app` for what an application
//! says and `heroku` for what the platform says of it.
//!
//! A frame with another header is set aside. If a length is wrong, or `Logplex-Msg-Count` isn't the number of frames,
//! the whole body is refused, because it isn't known what is missing. The answer is 204.

use hyper::{Method, StatusCode, header::HeaderValue, http::request::Parts};
use weir_record::{Batch, ComposeError, Composer, Defaults, time};

use super::{Example, Posted, Protocol, Read, syslog};
use crate::{
    context::Context,
    limits,
    reply::{self, Refused},
    request,
};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "logplex",
    summary: "Heroku's log drains: frames of syslog with their lengths",
    paths: &["/logplex"],
    methods: &[Method::POST],
    asks: &[],
    example: Example {
        content_type: "application/logplex-1",
        body: "55 <190>1 2012-11-30T06:45:29+00:00 host app web.1 - hello",
    },
    key_header: Some("logplex-frame-id"),
    encoding: request::encoding,
    check: |parts| {
        expected(parts)?;
        Context::read(parts).map(drop)
    },
    read,
    reply: |_, outcome| reply::confirmed_by(StatusCode::NO_CONTENT, outcome),
};

/// The number of frames that the head announces.
fn expected(parts: &Parts) -> Result<Option<u32>, Refused> {
    let Some(count) = parts.headers.get("logplex-msg-count") else { return Ok(None) };
    let count = count.to_str().ok().and_then(|count| count.trim().parse().ok());
    count.map(Some).ok_or_else(|| Refused::new(StatusCode::BAD_REQUEST, "`Logplex-Msg-Count` isn't a number"))
}

fn read(posted: &Posted<'_>, batch: &mut Batch) -> Result<Read, Refused> {
    let context = Context::read(posted.parts)?;
    let defaults = Defaults { level: context.level.unwrap_or(posted.level), ..posted.defaults() };
    let drain = posted.parts.headers.get("logplex-drain-token").map(HeaderValue::as_bytes);
    let drain = drain.filter(|token| token.len() <= limits::MAX_LABEL_BYTES);
    let mut composer = Composer::new(&defaults, batch);
    let mut at = 0;
    while let Some(begin) = posted.content[at..].iter().position(|byte| !byte.is_ascii_whitespace()) {
        at += begin;
        let (header, len) = frame(&posted.content[at..]).map_err(|reason| broken(at, reason))?;
        let frame = &posted.content[at + header..at + header + len];
        composer.begin();
        let composed = compose(frame, context.source.as_deref(), drain, &mut composer);
        let ended = composer.end(composed, || frame.to_vec());
        ended.map_err(|error| Refused::unread(error, "logplex frames"))?;
        at += header + len;
    }
    let count = composer.count();
    match expected(posted.parts)? {
        Some(expected) if expected != count => {
            let error = format!("`Logplex-Msg-Count` is {expected}, but the body has {count} frames");
            Err(Refused::new(StatusCode::BAD_REQUEST, error))
        }
        _ => Ok(composer.finish().into()),
    }
}

fn broken(offset: usize, reason: &str) -> Refused {
    Refused::syntax(offset, format!("the body can't be read as logplex frames, at byte {offset}: {reason}"))
}

/// The lengths of a frame's length with its space, and of the frame.
fn frame(bytes: &[u8]) -> Result<(usize, usize), &'static str> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let len = std::str::from_utf8(&bytes[..digits]).ok().and_then(|digits| digits.parse::<usize>().ok());
    let len = len.ok_or("expected the length of a frame")?;
    let rest = &bytes[digits..];
    if rest.first() != Some(&b' ') {
        return Err("expected a space after the length of a frame");
    }
    if rest.len() - 1 < len {
        return Err("a frame is cut short");
    }
    Ok((digits + 1, len))
}

fn compose(
    frame: &[u8],
    source: Option<&str>,
    drain: Option<&[u8]>,
    composer: &mut Composer<'_, '_>,
) -> Result<(), ComposeError> {
    let wrong = ComposeError::record("the frame doesn't begin with <PRI>1 TIME HOST APP PROCESS ID");
    let (priority, rest) = syslog::priority(frame).ok_or(wrong)?;
    let mut words = rest.splitn(7, |byte| *byte == b' ');
    let mut next = || words.next().ok_or(wrong);
    let version = next()?;
    if version.is_empty() || !version.iter().all(u8::is_ascii_digit) {
        return Err(wrong);
    }
    let (moment, host, app, process, id) = (next()?, next()?, next()?, next()?, next()?);
    let message = words.next().unwrap_or_default();
    match time::parse_rfc3339(moment) {
        Some(ns) => composer.time(ns),
        None if moment == b"-" => {}
        None => composer.text("timestamp", moment)?,
    }
    syslog::compose_priority(priority, composer)?;
    match source {
        Some(source) => composer.source(source.as_bytes()),
        None if app == b"-" => {}
        None => composer.source(app),
    }
    let message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
    composer.message(message.strip_suffix(b"\n").unwrap_or(message));
    for (name, text) in [("host", host), ("app", app), ("pid", process), ("msgid", id)] {
        if text != b"-" {
            composer.text(name, text)?;
        }
    }
    drain.map_or(Ok(()), |token| composer.text("drain", token))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::test_bodies::{self, RECEIVED};
    use super::*;

    /// Two frames as in Heroku's documentation.
    const DOCUMENTED: &str = "83 <40>1 2012-11-30T06:45:29+00:00 host app web.3 - State changed from starting to up\n\
        119 <40>1 2012-11-30T06:45:26+00:00 host app web.3 - Starting process with command `bundle exec rackup config.ru -p 24405`\n";

    fn framed(text: &str) -> String {
        format!("{} {text}", text.len())
    }

    #[test]
    fn documented_frames_become_records() {
        let headers = [("logplex-msg-count", "2"), ("logplex-drain-token", "d.73ea7440")];
        let (records, bad) = test_bodies::post(&PROTOCOL, "/logplex", &headers, DOCUMENTED).expect("taken");
        assert!(bad.is_empty(), "{bad:?}");
        let due = json!({"timestamp": "2012-11-30T06:45:29.000000000Z", "level": "CRITICAL", "source": "app",
            "message": "State changed from starting to up", "host": "host", "app": "app", "pid": "web.3",
            "facility": "syslog", "severity": "emerg", "drain": "d.73ea7440"});
        assert_eq!(records[0], due);
        assert_eq!(records[1]["message"], "Starting process with command `bundle exec rackup config.ru -p 24405`");
    }

    #[test]
    fn every_part_has_its_place() {
        let body = framed("<158>1 2026-11-30T04:05:06.123456+01:00 - heroku router H12 at=error \"päth\"\n\n")
            + &framed("<190>1 - host app - - ")
            + &framed("<191>1 soon h a p -");
        let (records, _) = test_bodies::post(&PROTOCOL, "/logplex?source=shop", &[], &body).expect("taken");
        let due = json!({"timestamp": "2026-11-30T03:05:06.123456000Z", "level": "INFO", "source": "shop",
            "message": "at=error \"päth\"\n", "app": "heroku", "pid": "router", "msgid": "H12",
            "facility": "local3", "severity": "info"});
        assert_eq!(records[0], due);
        assert_eq!((&records[1]["timestamp"], &records[1]["message"]), (&json!(RECEIVED), &json!("")));
        assert_eq!((&records[2]["timestamp_original"], &records[2]["level"]), (&json!("soon"), &json!("DEBUG")));
    }

    #[test]
    fn a_frame_with_another_header_is_set_aside() {
        let others = ["", "hello", "<1901>1 - h a p - x", "<192>1 - h a p - x", "<-1>1 - h a p - x", "<>1 - h a p - x"];
        for other in others.into_iter().chain(["<190>x - h a p - x", "<190>1 - h a", "<190> - h a p - x"]) {
            let body = framed(other) + &framed("<190>1 - h a p - x");
            let (records, bad) = test_bodies::post(&PROTOCOL, "/logplex", &[], &body).expect(other);
            assert_eq!((records.len(), bad.len()), (1, 1), "{other}");
            assert_eq!(bad[0].bytes, other.as_bytes());
        }
    }

    #[test]
    fn wrong_lengths_and_counts_refuse_the_body() {
        for (body, count, hint) in [
            (DOCUMENTED, "3", "the body has 2 frames"),
            (DOCUMENTED, "two", "isn't a number"),
            (&DOCUMENTED[1..], "2", "at byte"),
            ("5 abc", "1", "cut short"),
            ("5", "1", "a space"),
            ("abc", "1", "the length"),
            ("99999999999999999999 a", "1", "the length"),
        ] {
            let refused =
                test_bodies::post(&PROTOCOL, "/logplex", &[("logplex-msg-count", count)], body).expect_err(body);
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
            assert!(refused.error.contains(hint), "{body}: {}", refused.error);
        }
        let nothing =
            test_bodies::post(&PROTOCOL, "/logplex", &[("logplex-msg-count", "0")], "").expect("nothing is fine");
        assert!(nothing.0.is_empty());
    }

    #[test]
    fn mutated_frames_never_panic() {
        let more = framed("<158>1 2026-11-30T04:05:06.123456+01:00 - heroku router H12 at=error \"päth\"\n\n");
        test_bodies::mutated(&PROTOCOL, "/logplex", &[], &[DOCUMENTED.as_bytes(), more.as_bytes()]);
    }
}
