//! Formats values as text: in messages, as keys of lookup tables, and at paths
//! that must be text.

use std::fmt::Write;

use weir_guest::Value;

/// Appends a value in readable form: strings unchanged, lists and maps as JSON.
/// Returns false for null, which has no text.
pub fn write(value: Value<'_>, out: &mut String) -> bool {
    match value {
        Value::Nil => return false,
        Value::Str(text) => out.push_str(text),
        other => write_json(other, out),
    }
    true
}

/// Appends a value as JSON. Bytes and extensions are written as their length, and
/// numbers that JSON lacks as strings.
fn write_json(value: Value<'_>, out: &mut String) {
    // Writing to a string can't fail.
    let _ = match value {
        Value::Nil => write!(out, "null"),
        Value::Bool(boolean) => write!(out, "{boolean}"),
        Value::Int(integer) => write!(out, "{integer}"),
        Value::UInt(integer) => write!(out, "{integer}"),
        Value::Float(float) => write!(out, "{float}"),
        Value::Str(text) => write!(out, "{}", serde_json::Value::from(text)),
        Value::Bin(bytes) | Value::Ext(_, bytes) => write!(out, "\"<{} bytes>\"", bytes.len()),
        Value::Array(list) => {
            write_all(('[', ']'), list.iter(), out, write_json);
            Ok(())
        }
        Value::Map(map) => {
            write_all(('{', '}'), map.iter(), out, |(key, value), out| {
                write_json(Value::Str(key), out);
                out.push(':');
                write_json(value, out);
            });
            Ok(())
        }
    };
}

fn write_all<T>(
    (open, close): (char, char),
    items: impl Iterator<Item = T>,
    out: &mut String,
    write: impl Fn(T, &mut String),
) {
    out.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use weir_guest::Encode;

    fn written(json: &serde_json::Value) -> Option<String> {
        let mut bytes = Vec::new();
        json.encode(&mut bytes);
        let (value, _) = Value::read(&bytes).expect("it was just written");
        let mut out = String::new();
        write(value, &mut out).then_some(out)
    }

    #[test]
    fn scalars_are_written_as_people_read_them_and_null_is_nothing() {
        for (value, expected) in [
            (json!("naïve \"☃\""), Some("naïve \"☃\"")),
            (json!(-5), Some("-5")),
            (json!(u64::MAX), Some("18446744073709551615")),
            (json!(0.25), Some("0.25")),
            (json!(true), Some("true")),
            (json!(null), None),
        ] {
            assert_eq!(written(&value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn lists_and_maps_are_written_as_the_json_that_they_are() {
        let value = json!({ "a": [1, null, "x\"\n"], "ключ": { "b": {} }, "c": [] });
        let text = written(&value).expect("it is not null");
        let back: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(back, value);
    }

    #[test]
    fn bytes_are_written_as_how_many_they_are() {
        let mut out = String::new();
        assert!(write(Value::Bin(&[0, 255]), &mut out));
        assert_eq!(out, "\"<2 bytes>\"");
    }
}
