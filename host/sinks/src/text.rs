//! Makes text from records safe: for display (see [`weir_record::escape`]), and for paths, so that none leaves its
//! folder.

pub(crate) use weir_record::escape::{escaped, needs_escape, push_escaped, push_escaped_json};
use weir_record::{Record, Value, write, write_json, write_json_value};

use crate::limits;

/// Appends a value so that it stays within one component of a path.
pub(crate) fn push_safe(value: &str, out: &mut String) {
    let value = &value[..value.floor_char_boundary(limits::PATH_VALUE_BYTES)];
    if value.is_empty() {
        out.push('_');
    }
    for (at, c) in value.chars().enumerate() {
        let unsafe_here = at == 0 && matches!(c, '.' | '-');
        let reserved = matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '{' | '}');
        out.push(if unsafe_here || reserved || needs_escape(c) { '_' } else { c });
    }
}

/// Appends a value as a person would write it: text unquoted, everything else as JSON.
pub(crate) fn push_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Str(text) => out.extend_from_slice(text.as_bytes()),
        other => write_json_value(other, out),
    }
}

/// True for the four keys that every sink shows separately.
pub(crate) fn is_head(key: &str) -> bool {
    matches!(key, "timestamp" | "level" | "source" | "message")
}

/// Everything except time, level, source and message as JSON, with a reusable buffer.
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
    fn exactly_unicodes_control_format_and_line_separator_characters_are_harmful() {
        let acts = regex::Regex::new(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]").expect("a pattern");
        let assigned = regex::Regex::new(r"\P{Cn}").expect("a pattern");
        for c in '\0'..=char::MAX {
            let mut buffer = [0; 4];
            let text = c.encode_utf8(&mut buffer);
            // Later versions of Unicode may assign a meaning to the others.
            if assigned.is_match(text) {
                assert_eq!(needs_escape(c), acts.is_match(text), "U+{:04X}", u32::from(c));
            }
        }
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
