//! Access logs: the common and the combined format of Apache and nginx, with the
//! address that nginx's default configuration appends.

use crate::fields::{Fields, ParseError};
use crate::pairs::quoted;

const NOT_ACCESS: ParseError = "it is not an access log line";

/// The format that a line must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Common,
    Combined,
    Either,
}

/// `127.0.0.1 - ada [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326`, and
/// in the combined format also `"referrer" "user agent"`. A `-` means absent.
pub fn read(text: &str, format: LogFormat, fields: &mut Fields) -> Result<(), ParseError> {
    let text = text.trim_end();
    let (client, rest) = text.split_once(' ').ok_or(NOT_ACCESS)?;
    let (ident, rest) = rest.split_once(' ').ok_or(NOT_ACCESS)?;
    // A user name may contain spaces.
    let (user, rest) = rest.split_once(" [").ok_or(NOT_ACCESS)?;
    let (time, rest) = rest.split_once("] \"").ok_or(NOT_ACCESS)?;
    let (request, rest) = quoted(rest).ok_or(NOT_ACCESS)?;
    let rest = rest.strip_prefix(' ').ok_or(NOT_ACCESS)?;
    let (status, rest) = rest.split_once(' ').ok_or(NOT_ACCESS)?;
    let (bytes, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let status: u32 = status.parse().map_err(|_| NOT_ACCESS)?;
    if !(100..=999).contains(&status) || bytes != "-" && bytes.parse::<u64>().is_err() {
        return Err(NOT_ACCESS);
    }
    let has_more = !rest.is_empty();
    if format != LogFormat::Either && has_more != (format == LogFormat::Combined) {
        return Err(NOT_ACCESS);
    }
    for (name, text) in [("client", client), ("ident", ident), ("user", user), ("time", time)] {
        present(fields, name, text)?;
    }
    add_request(fields, &request)?;
    fields.add("status", status)?;
    if let Ok(bytes) = bytes.parse::<u64>() {
        fields.add("bytes", bytes)?;
    }
    if has_more {
        add_combined(fields, rest)?;
    }
    Ok(())
}

/// `GET /path HTTP/1.1`; anything else, as scanners send it, is kept whole.
fn add_request(fields: &mut Fields, request: &str) -> Result<(), ParseError> {
    let mut words = request.split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(path), Some(protocol), None) if protocol.starts_with("HTTP/") => {
            fields.text("method", method)?;
            fields.text("path", path)?;
            fields.text("protocol", protocol)
        }
        _ => present(fields, "request", request),
    }
}

fn add_combined(fields: &mut Fields, rest: &str) -> Result<(), ParseError> {
    let mut rest = rest;
    for name in ["referrer", "user_agent"] {
        let (text, after) = rest.strip_prefix('"').and_then(quoted).ok_or(NOT_ACCESS)?;
        present(fields, name, &text)?;
        rest = after.trim_start_matches(' ');
    }
    if let Some((text, after)) = rest.strip_prefix('"').and_then(quoted) {
        present(fields, "forwarded_for", &text)?;
        rest = after.trim_start_matches(' ');
    }
    // Anything else that the server appends.
    present(fields, "rest", rest)
}

fn present(fields: &mut Fields, name: &str, text: &str) -> Result<(), ParseError> {
    if text.is_empty() || text == "-" { Ok(()) } else { fields.text(name, text) }
}
