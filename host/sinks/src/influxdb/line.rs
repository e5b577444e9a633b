//! The line protocol: `measurement,tag=value field=1i 1700000000000`. Text that it can't express is changed as little
//! as possible, so that servers accept every line, whatever the record contains.
//!
//! - Names and tag values: commas, spaces and `=` are escaped; control characters, which can't be escaped, become `_`;
//!   a backslash that would escape the next character becomes `/`; long ones are cut.
//! - A name `time` is reserved and becomes `time_`; a measurement can't begin with `#`, which would make it a comment.
//! - Text fields: `"` and `\` are escaped, everything else is written as is, including line breaks.

use weir_record::{Value, write_json_value};

use crate::limits;

/// The unquoted parts of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Measurement,
    /// The key of a tag or field.
    Key,
    TagValue,
}

/// Appends a word; nothing if it is empty, which callers prevent.
pub(super) fn push_word(kind: Word, text: &str, out: &mut Vec<u8>) {
    let text = &text[..text.floor_char_boundary(limits::INFLUX_NAME_BYTES)];
    if kind == Word::Key && text == "time" {
        return out.extend_from_slice(b"time_");
    }
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let is_escaped = |c: char| c == ',' || c == ' ' || (c == '=' && kind != Word::Measurement);
        // A measurement may have `=` as it is, but servers also read `\=` in it as `=`.
        let can_be_escaped = |c: char| is_escaped(c) || c == '=';
        match c {
            '#' if first && kind == Word::Measurement => out.push(b'_'),
            '\\' if chars.peek().is_none_or(|next| can_be_escaped(*next)) => out.push(b'/'),
            c if c.is_control() => out.push(b'_'),
            c => {
                if is_escaped(c) {
                    out.push(b'\\');
                }
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        first = false;
    }
}

/// Appends a text field, quoted.
pub(super) fn push_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain_from = 0;
    for (at, byte) in text.iter().enumerate() {
        if matches!(byte, b'"' | b'\\') {
            out.extend_from_slice(&text[plain_from..at]);
            out.push(b'\\');
            plain_from = at;
        }
    }
    out.extend_from_slice(&text[plain_from..]);
    out.push(b'"');
}

/// How the value of a field was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// With its own type.
    AsItIs,
    /// As text, because fields have no such type.
    AsText,
}

/// Appends the value of a field. Returns `None` and appends nothing for null, NaN and infinity, which fields can't
/// hold.
pub(super) fn push_field(value: Value<'_>, integers_as_floats: bool, out: &mut Vec<u8>) -> Option<Written> {
    match value {
        Value::Nil => return None,
        Value::Float(number) if !number.is_finite() => return None,
        Value::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
        Value::Int(_) => {
            write_json_value(value, out);
            if !integers_as_floats {
                out.push(b'i');
            }
        }
        // Beyond the protocol's integers, so the nearest float.
        Value::UInt(number) => write_json_value(Value::Float(number as f64), out),
        Value::Float(_) => write_json_value(value, out),
        Value::Str(text) => push_text(text.as_bytes(), out),
        Value::Bin(_) | Value::Array(_) | Value::Map(_) | Value::Ext(..) => {
            let mut json = Vec::new();
            write_json_value(value, &mut json);
            push_text(&json, out);
            return Some(Written::AsText);
        }
    }
    Some(Written::AsItIs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(kind: Word, text: &str) -> String {
        let mut out = Vec::new();
        push_word(kind, text, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn words_are_escaped_and_unescapable_characters_are_replaced() {
        assert_eq!(word(Word::Measurement, "a,b c=d"), "a\\,b\\ c=d");
        assert_eq!(word(Word::Key, "a,b c=d"), "a\\,b\\ c\\=d");
        assert_eq!(word(Word::TagValue, "a\nb\r\0é✓\"'"), "a_b__é✓\"'");
        assert_eq!(word(Word::Measurement, "#a#"), "_a#");
        assert_eq!(word(Word::TagValue, "#a"), "#a");
        assert_eq!(word(Word::Key, "time"), "time_");
        assert_eq!(word(Word::TagValue, "time"), "time");
        assert!(word(Word::TagValue, &"é".repeat(9999)).len() <= limits::INFLUX_NAME_BYTES);
    }

    #[test]
    fn a_backslash_never_swallows_what_follows() {
        assert_eq!(word(Word::TagValue, r"C:\temp"), r"C:\temp");
        assert_eq!(word(Word::TagValue, r"C:\temp\"), r"C:\temp/");
        assert_eq!(word(Word::TagValue, r"a\ b\,c\=d\\"), r"a/\ b/\,c/\=d\/");
        assert_eq!(word(Word::Measurement, r"a\=b=c"), r"a/=b=c");
    }

    #[test]
    fn fields_keep_their_types() {
        let field = |value| {
            let mut out = Vec::new();
            let written = push_field(value, false, &mut out);
            (String::from_utf8(out).expect("text"), written)
        };
        let as_it_is = |text: &str| (text.to_string(), Some(Written::AsItIs));
        assert_eq!(field(Value::Int(-5)), as_it_is("-5i"));
        assert_eq!(field(Value::Int(i64::MAX)), as_it_is("9223372036854775807i"));
        assert_eq!(field(Value::Float(2.5)), as_it_is("2.5"));
        assert_eq!(field(Value::Bool(true)), as_it_is("true"));
        assert_eq!(field(Value::Str("a \"b\" \\ c,=\n")), as_it_is("\"a \\\"b\\\" \\\\ c,=\n\""));
        assert_eq!(field(Value::Bin(b"\0")), ("\"\\\"AA==\\\"\"".into(), Some(Written::AsText)));
        for nothing in [Value::Nil, Value::Float(f64::NAN), Value::Float(f64::INFINITY)] {
            assert_eq!(field(nothing), (String::new(), None));
        }
        let (huge, _) = field(Value::UInt(u64::MAX));
        assert_eq!(huge.parse::<f64>(), Ok(u64::MAX as f64));
        let mut out = Vec::new();
        push_field(Value::Int(3), true, &mut out);
        assert_eq!(out, b"3");
    }
}
