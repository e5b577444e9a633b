//! A record as an entry of Datadog's logs intake.
//!
//! | Datadog | from |
//! |---|---|
//! | `message`, `timestamp` (milliseconds) | the record's |
//! | `status` | its level; TRACE becomes `debug`, Datadog's lowest |
//! | `service` | the option, or the record's `service`, or its source |
//! | `ddsource` | the record's `ddsource`, or the option |
//! | `ddtags` | the option's tags, `env:` and `version:`, then the record's `ddtags` |
//! | `hostname` | the record's `hostname` or `host`, or the option |
//! | attributes | every other key, unchanged |
//!
//! A key that has a special meaning in Datadog but different content here (`status` = 200) is renamed to
//! `status_original`. If the source isn't the service, it is in `logger.name`.
//!
//! An entry never exceeds Datadog's limit: first the largest attributes are omitted, and listed in `weir_left_out`,
//! until there is room for a useful part of the message; then the message is cut, with a mark.

use weir_record::{Level, Record, Value, write_json_value};

use crate::limits;

/// The common parts of all entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    pub service: Option<String>,
    pub ddsource: String,
    /// Separated by commas.
    pub tags: String,
    pub hostname: Option<String>,
    /// The attribute that contains a record's id; empty: none.
    pub record_id: String,
}

/// A record's own labels.
#[derive(Clone, Copy, Default)]
struct Own<'a> {
    ddsource: Option<&'a str>,
    service: Option<&'a str>,
    ddtags: Option<&'a str>,
    hostname: Option<&'a str>,
    host: bool,
    id: bool,
}

/// Bytes that attributes must leave for the message.
const MESSAGE_ROOM_BYTES: usize = 64 << 10;

impl Labels {
    /// Appends the entry.
    pub fn push_entry(&self, record: Record<'_>, id: &str, out: &mut Vec<u8>) {
        let start = out.len();
        let own = self.own(record);
        out.push(b'{');
        for (key, value) in record.entries() {
            self.push_attribute(record, key, value, out);
        }
        self.push_head(record, own, id, usize::MAX, out);
        push_pair("message", record.message(), out);
        out.push(b'}');
        if out.len() - start > limits::DATADOG_ENTRY_BYTES {
            out.truncate(start);
            self.push_cut(record, own, id, out);
        }
    }

    fn own<'a>(&self, record: Record<'a>) -> Own<'a> {
        let mut own = Own::default();
        for (key, value) in record.entries() {
            match (key, value.as_str()) {
                ("ddsource", text) => own.ddsource = text,
                ("ddtags", text) => own.ddtags = text,
                ("service", text) => own.service = text,
                ("hostname", text) => own.hostname = text,
                ("host", text) => own.host = text.is_some(),
                _ => own.id |= !self.record_id.is_empty() && key == self.record_id,
            }
        }
        own
    }

    /// Appends an attribute, unless it is part of the entry's head.
    fn push_attribute(&self, record: Record<'_>, key: &str, value: Value<'_>, out: &mut Vec<u8>) {
        match key {
            "timestamp" | "level" | "source" | "message" => return,
            // Part of the entry's head.
            "ddsource" | "ddtags" | "hostname" if value.as_str().is_some() => return,
            "service" if self.service.is_none() && value.as_str().is_some() => return,
            "ddsource" | "ddtags" | "hostname" | "service" | "status" => {
                let mut name = format!("{key}_original");
                while record.map().get(&name).is_some() {
                    name.push_str("_original");
                }
                write_json_value(Value::Str(&name), out);
            }
            _ => write_json_value(Value::Str(key), out),
        }
        out.push(b':');
        write_json_value(value, out);
        out.push(b',');
    }

    /// Appends everything except attributes and message, with no text longer than `most` bytes.
    fn push_head(&self, record: Record<'_>, own: Own<'_>, id: &str, most: usize, out: &mut Vec<u8>) {
        let head = record.head();
        let cut = |text: &'_ str| text[..text.floor_char_boundary(most)].to_string();
        let mut pair = |key: &str, text: &str| {
            if text.len() <= most {
                push_pair(key, text, out);
            } else {
                push_pair(key, &cut(text), out);
            }
            out.push(b',');
        };
        pair("ddsource", own.ddsource.unwrap_or(&self.ddsource));
        let service = self.service.as_deref().or(own.service).unwrap_or(head.source);
        pair("service", service);
        if service != head.source && record.map().get("logger.name").is_none() {
            pair("logger.name", head.source);
        }
        pair("status", status(head.level));
        match (self.tags.as_str(), own.ddtags.unwrap_or_default()) {
            ("", "") => {}
            (tags, "") | ("", tags) => pair("ddtags", tags),
            (ours, its) => pair("ddtags", &format!("{ours},{its}")),
        }
        match (own.hostname, &self.hostname) {
            (Some(name), _) => pair("hostname", name),
            (None, Some(name)) if !own.host => pair("hostname", name),
            _ => {}
        }
        if !self.record_id.is_empty() && !own.id {
            pair(&self.record_id, id);
        }
        let milliseconds = head.timestamp.div_euclid(1_000_000);
        out.extend_from_slice(format!("\"timestamp\":{milliseconds},").as_bytes());
    }

    /// Like [`push_entry`](Labels::push_entry), for an entry that would be too long.
    #[cold]
    fn push_cut(&self, record: Record<'_>, own: Own<'_>, id: &str, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(b'{');
        self.push_head(record, own, id, limits::DATADOG_LABEL_BYTES, out);
        let mut attributes: Vec<(&str, Vec<u8>)> = Vec::new();
        for (key, value) in record.entries() {
            let mut bytes = Vec::new();
            self.push_attribute(record, key, value, &mut bytes);
            attributes.push((key, bytes));
        }
        // The names of omitted attributes need room, too.
        let names = limits::DATADOG_NAMES_LEFT_OUT * (limits::DATADOG_LABEL_BYTES * 6 + 3) + 100;
        let room = limits::DATADOG_ENTRY_BYTES - (out.len() - start) - names;
        let mut held: usize = attributes.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut largest: Vec<usize> = (0..attributes.len()).collect();
        largest.sort_by_key(|at| std::cmp::Reverse(attributes[*at].1.len()));
        let message_room = MESSAGE_ROOM_BYTES.min(record.message().len() * 6);
        let mut left_out = Vec::new();
        for at in largest {
            if held + message_room <= room {
                break;
            }
            held -= attributes[at].1.len();
            attributes[at].1.clear();
            left_out.push(attributes[at].0);
        }
        attributes.iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
        if !left_out.is_empty() {
            push_names(&left_out, out);
        }
        let room = limits::DATADOG_ENTRY_BYTES.saturating_sub(out.len() - start);
        push_cut_message(record.message(), room, out);
        out.push(b'}');
    }
}

fn push_names(left_out: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"weir_left_out\":[");
    for name in left_out.iter().take(limits::DATADOG_NAMES_LEFT_OUT) {
        let name = &name[..name.floor_char_boundary(limits::DATADOG_LABEL_BYTES)];
        write_json_value(Value::Str(name), out);
        out.push(b',');
    }
    out.pop();
    out.extend_from_slice(b"],");
}

/// Appends the message, cut to at most `room` bytes including its key.
fn push_cut_message(message: &str, room: usize, out: &mut Vec<u8>) {
    let start = out.len();
    push_pair("message", message, out);
    // In JSON, a character takes up to six bytes, so this ends after a few iterations.
    let mut keep = message.len();
    while out.len() - start + 1 > room && keep > 0 {
        let (now, most) = (out.len() - start, room.saturating_sub(100));
        keep = message.floor_char_boundary((keep * most / now).min(keep - 1));
        out.truncate(start);
        let cut = format!("{}… [{} more bytes cut by weir]", &message[..keep], message.len() - keep);
        push_pair("message", &cut, out);
    }
}

fn push_pair(key: &str, text: &str, out: &mut Vec<u8>) {
    write_json_value(Value::Str(key), out);
    out.push(b':');
    write_json_value(Value::Str(text), out);
}

/// Datadog's name of a level.
fn status(level: Level) -> &'static str {
    match level {
        Level::Trace | Level::Debug => "debug",
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
        Level::Critical => "critical",
    }
}
