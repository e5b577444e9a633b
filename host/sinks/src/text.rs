//! Text from records, made harmless for people's eyes: what a log says can't move a cursor, change colours, forge a
//! second line or turn the reading direction around, and no path leave its folder.

use weir_record::{Record, Value, write, write_json, write_json_value};

use crate::limits;

/// Appends `text` with every control character, C1 control, line separator and direction override written out.
pub(crate) fn push_escaped(text: &str, out: &mut Vec<u8>) {
    let mut plain_from = 0;
    for (at, c) in text.char_indices() {
        if !is_harmful(c) {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        plain_from = at + c.len_utf8();
        match c {
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if (c as u32) < 0x100 => out.extend_from_slice(format!("\\x{:02x}", c as u32).as_bytes()),
            c => out.extend_from_slice(format!("\\u{{{:x}}}", c as u32).as_bytes()),
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
}

/// True for characters that act instead of being seen.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Appends a value so that it stays within one component of a path.
pub(crate) fn push_safe(value: &str, out: &mut String) {
    let value = &value[..value.floor_char_boundary(limits::PATH_VALUE_BYTES)];
    if value.is_empty() {
        out.push('_');
    }
    for (at, c) in value.chars().enumerate() {
        let unsafe_here = at == 0 && matches!(c, '.' | '-');
        let reserved = matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '{' | '}');
        out.push(if unsafe_here || reserved || is_harmful(c) { '_' } else { c });
    }
}

/// Appends JSON with the harmful characters that JSON itself allows written as `\u....`.
pub(crate) fn push_escaped_json(json: &[u8], out: &mut Vec<u8>) {
    // The writer of JSON writes valid UTF-8 and escapes everything below 0x20.
    for c in String::from_utf8_lossy(json).chars() {
        if is_harmful(c) {
            out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Appends a value as a person would write it: text as it is, everything else as JSON.
pub(crate) fn push_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Str(text) => out.extend_from_slice(text.as_bytes()),
        other => write_json_value(other, out),
    }
}

/// True for the four keys that every sink shows in a place of their own.
pub(crate) fn is_head(key: &str) -> bool {
    matches!(key, "timestamp" | "level" | "source" | "message")
}

/// Everything but time, level, source and message as JSON, with a buffer that is used again.
#[derive(Default)]
pub(crate) struct Rest {
    map: Vec<u8>,
}

impl Rest {
    /// Appends the object.
    pub fn push_json(&mut self, record: Record<'_>, out: &mut Vec<u8>) {
        self.map.clear();
        write::map16_header(&mut self.map, 0);
        let header = self.map.len();
        let bytes = record.as_bytes();
        let (mut at, mut count) = (header, 0u16);
        while let Some((Value::Str(key), key_len)) = bytes.get(at..).and_then(Value::read) {
            let Some((_, value_len)) = Value::read(&bytes[at + key_len..]) else { break };
            let end = at + key_len + value_len;
            if !is_head(key) {
                self.map.extend_from_slice(&bytes[at..end]);
                count += 1;
            }
            at = end;
        }
        // The header of a canonical record is a map16: one marker, then the count.
        self.map[1..header].copy_from_slice(&count.to_be_bytes());
        write_json(Record::new(&self.map), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn nothing_that_drives_a_terminal_or_forges_a_line_survives() {
        let mut out = Vec::new();
        push_escaped("a\x1b[31m\nb\r\t\u{9b}2J\u{7f}\u{202e}é✓", &mut out);
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, "a\\x1b[31m\\nb\\r\\t\\x9b2J\\x7f\\u{202e}é✓");
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let mut out = Vec::new();
        push_escaped_json("{\"a\":\"\u{9b}\u{202e}é\"}".as_bytes(), &mut out);
        assert_eq!(out, "{\"a\":\"\\u009b\\u202eé\"}".as_bytes());
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(value["a"], "\u{9b}\u{202e}é");
    }

    #[test]
    fn the_rest_is_everything_but_the_four_keys() {
        let bytes = record(&[("context.user", "u1"), ("zone", "eu")], &["audit"]);
        let mut out = Vec::new();
        let mut rest = Rest::default();
        for _ in 0..2 {
            out.clear();
            rest.push_json(Record::new(&bytes), &mut out);
        }
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(value, serde_json::json!({"context": {"user": "u1"}, "zone": "eu", "routes": ["audit"]}));
        out.clear();
        rest.push_json(Record::new(&record(&[], &[])), &mut out);
        assert_eq!(out, b"{}");
    }
}
