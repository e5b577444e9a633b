//! A record for people: one line with columns, and below it, indented, multi-line text: the rest of a message, a stack
//! trace.
//!
//! Invariants
//! - No line can be mistaken for another record: continuation lines begin with spaces, and harmful characters are
//!   escaped.
//! - A record takes a limited part of the screen, and shows how much was omitted.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use weir_record::time::format_rfc3339;
use weir_record::{Level, Record, Value, write_json_value};

use super::fold::{TextsWithLines, is_multiline, push_folded, push_left_out};
use crate::limits;
use crate::text::{escaped, is_head, needs_escape, push_escaped, push_escaped_json, push_value};

const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Indentation of the lines below a record's first.
const INDENT: &str = "    ";

/// The style of the output.
#[derive(Clone)]
pub(super) struct HumanStyle {
    pub color: bool,
    /// The time zone for times; `None` for UTC.
    pub zone: Option<TimeZone>,
}

impl HumanStyle {
    fn paint(&self, code: &'static str) -> &'static str {
        if self.color { code } else { "" }
    }

    /// Appends a record, with a line end.
    pub fn push(&self, record: Record<'_>, out: &mut Vec<u8>) {
        let begin = out.len();
        self.push_record(record, out);
        let length = out.len() - begin;
        if length > limits::CONSOLE_LINE_BYTES {
            let end = begin + whole_end(&out[begin..], limits::CONSOLE_LINE_BYTES);
            let left_out = out.len() - end;
            out.truncate(end);
            push_left_out(left_out, "bytes", out);
            out.extend_from_slice(self.paint(RESET).as_bytes());
        }
        out.push(b'\n');
    }

    fn push_record(&self, record: Record<'_>, out: &mut Vec<u8>) {
        let head = record.head();
        let (dim, reset) = (self.paint(DIM), self.paint(RESET));
        let level = self.paint(color_of(head.level));
        let time = shown_time(head.timestamp, self.zone.as_ref());
        out.extend_from_slice(format!("{dim}{time}{reset} {level}{:8}{reset} ", head.level.as_str()).as_bytes());
        let width = head.source.chars().count();
        push_escaped(head.source, out);
        out.resize(out.len() + 16usize.saturating_sub(width) + 1, b' ');
        let message = head.message.trim_end_matches(['\r', '\n']);
        let (first, rest) = message.split_once('\n').unwrap_or((message, ""));
        push_escaped(first.trim_end_matches('\r'), out);
        let mut below = TextsWithLines::default();
        // Most records have none and are not searched.
        let has_lines = record.as_bytes().contains(&b'\n');
        for (key, value) in record.entries().filter(|(key, _)| !is_head(key)) {
            if has_lines {
                below.find(&mut key.to_string(), value);
            }
            if value.as_str().is_some_and(is_multiline) {
                continue;
            }
            out.extend_from_slice(format!(" {dim}{}=", escaped(key)).as_bytes());
            push_field(value, out);
            out.extend_from_slice(reset.as_bytes());
        }
        if !rest.is_empty() {
            self.push_lines(rest, INDENT, out);
        }
        for (name, text) in below.shown {
            out.extend_from_slice(format!("\n{INDENT}{dim}{}:{reset}", escaped(&name)).as_bytes());
            self.push_lines(text.trim_end_matches(['\r', '\n']), &INDENT.repeat(2), out);
        }
        if below.left_out > 0 {
            out.extend_from_slice(format!("\n{INDENT}").as_bytes());
            push_left_out(below.left_out, "texts", out);
        }
    }

    /// Appends lines below the first.
    fn push_lines(&self, text: &str, indent: &str, out: &mut Vec<u8>) {
        let (dim, reset) = (self.paint(DIM), self.paint(RESET));
        for line in text.lines().take(limits::CONSOLE_LINES) {
            out.extend_from_slice(format!("\n{indent}{dim}").as_bytes());
            push_escaped(&line.replace('\t', INDENT), out);
            out.extend_from_slice(reset.as_bytes());
        }
        let left_out = text.lines().count().saturating_sub(limits::CONSOLE_LINES);
        if left_out > 0 {
            out.extend_from_slice(format!("\n{indent}").as_bytes());
            push_left_out(left_out, "lines", out);
        }
    }
}

fn color_of(level: Level) -> &'static str {
    match level {
        Level::Trace => "\x1b[2m",
        Level::Debug => "\x1b[36m",
        Level::Info => "\x1b[32m",
        Level::Warning => "\x1b[33m",
        Level::Error => "\x1b[31m",
        Level::Critical => "\x1b[1;37;41m",
    }
}

/// A time with milliseconds, which are precise enough to read, and its zone: `Z`, or the offset.
fn shown_time(ns: i64, zone: Option<&TimeZone>) -> String {
    let local = zone.zip(Timestamp::from_nanosecond(ns.into()).ok());
    if let Some((zone, at)) = local {
        return at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f%:z").to_string();
    }
    let mut text = Vec::new();
    format_rfc3339(ns, &mut text);
    // `2026-11-20T10:00:00.123456789Z`
    let text = String::from_utf8_lossy(&text);
    format!("{}Z", text.get(..text.len().saturating_sub(7)).unwrap_or_default().replace('T', " "))
}

/// Appends a field's value: text unquoted if that is unambiguous, everything else as JSON, long values folded.
fn push_field(value: Value<'_>, out: &mut Vec<u8>) {
    let mut plain = Vec::new();
    match value {
        Value::Array(_) | Value::Map(_) => return push_folded(value, out),
        other => push_value(other, &mut plain),
    }
    let text = String::from_utf8_lossy(&plain);
    if text.len() > limits::CONSOLE_VALUE_BYTES {
        push_folded(value, out);
    } else if value.as_str().is_some()
        && (text.is_empty() || text.contains(|c: char| c == ' ' || c == '"' || c == '=' || needs_escape(c)))
    {
        let mut quoted = Vec::new();
        write_json_value(value, &mut quoted);
        push_escaped_json(&quoted, out);
    } else {
        push_escaped(&text, out);
    }
}

/// The longest prefix of at most `most` bytes that doesn't end inside a character or one of our escape sequences.
fn whole_end(bytes: &[u8], most: usize) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let end = text.floor_char_boundary(most);
    match text[..end].rfind('\x1b') {
        Some(escape) if !text[escape..end].contains('m') => escape,
        _ => end,
    }
}
