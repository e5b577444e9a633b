//! Values of any type: `AnyValue` and `KeyValue` in protobuf, as values of a record and as text.
//!
//! Invariant: recursion ends at the depth that a record may have.

use base64::{Engine, engine::general_purpose::STANDARD};
use weir_record::{
    ComposeError, Value, ValueWriter,
    limits::{MAX_DEPTH, MAX_DERIVED_MESSAGE_BYTES},
    write_json_value,
};

use crate::protocols::protobuf::{Field, Message};

/// An `AnyValue`. A list and a map are the messages that contain them.
pub(super) enum Any<'a> {
    Nil,
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Float(f64),
    List(&'a [u8]),
    Map(&'a [u8]),
    Bytes(&'a [u8]),
}

/// Reads an `AnyValue`. Of several values, the last counts.
#[inline]
pub(super) fn any(message: &[u8]) -> Result<Any<'_>, ComposeError> {
    // What nearly all are: one field, which is short.
    match message {
        [0x0a, length @ 0..0x80, text @ ..] if usize::from(*length) == text.len() => Ok(Any::Text(text)),
        [0x10, bit @ 0..0x80] => Ok(Any::Bool(*bit != 0)),
        [0x18, number @ 0..0x80] => Ok(Any::Int(i64::from(*number))),
        _ => any_of_any_form(message),
    }
}

fn any_of_any_form(message: &[u8]) -> Result<Any<'_>, ComposeError> {
    let (mut value, mut fields) = (Any::Nil, Message::new(message));
    while let Some(field) = fields.next()? {
        value = match field {
            (1, Field::Bytes(text)) => Any::Text(text),
            (2, Field::Varint(bit)) => Any::Bool(bit != 0),
            (3, Field::Varint(number)) => Any::Int(number as i64),
            (4, Field::Fixed64(bits)) => Any::Float(f64::from_bits(bits)),
            (5, Field::Bytes(list)) => Any::List(list),
            (6, Field::Bytes(map)) => Any::Map(map),
            (7, Field::Bytes(bytes)) => Any::Bytes(bytes),
            _ => value,
        };
    }
    Ok(value)
}

/// The key of a `KeyValue`, and its value, an `AnyValue`.
#[inline]
pub(super) fn key_and_value(message: &[u8]) -> Result<(&[u8], &[u8]), ComposeError> {
    // What nearly all are: both, in this order, and short.
    if let [0x0a, length @ 0..0x80, rest @ ..] = message
        && let Some((key, [0x12, length @ 0..0x80, value @ ..])) = rest.split_at_checked(usize::from(*length))
        && usize::from(*length) == value.len()
    {
        return Ok((key, value));
    }
    key_and_value_of_any_form(message)
}

fn key_and_value_of_any_form(message: &[u8]) -> Result<(&[u8], &[u8]), ComposeError> {
    let (mut pair, mut fields) = ((&[][..], &[][..]), Message::new(message));
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(key)) => pair.0 = key,
            (2, Field::Bytes(value)) => pair.1 = value,
            _ => {}
        }
    }
    Ok(pair)
}

/// The items of a list or a map.
fn items(container: &[u8]) -> impl Iterator<Item = Result<&[u8], ComposeError>> {
    let mut fields = Message::new(container);
    std::iter::from_fn(move || {
        loop {
            match fields.next() {
                Ok(Some((1, Field::Bytes(item)))) => return Some(Ok(item)),
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

/// Writes an `AnyValue` as a value of a record.
pub(super) fn write_any(message: &[u8], out: ValueWriter<'_>) -> Result<(), ComposeError> {
    match any(message)? {
        Any::Nil => out.nil(),
        Any::Text(text) => out.text(text),
        Any::Bool(value) => out.bool(value),
        Any::Int(number) => out.int(number),
        Any::Float(number) => out.float(number),
        Any::Bytes(bytes) => out.bytes(bytes),
        Any::List(list) => {
            return out.list(|list_out| items(list).try_for_each(|item| write_any(item?, list_out.item())));
        }
        Any::Map(map) => {
            return out.map(|map_out| {
                items(map).try_for_each(|entry| {
                    let (key, value) = key_and_value(entry?)?;
                    write_any(value, map_out.entry(key))
                })
            });
        }
    }
    Ok(())
}

/// Appends an `AnyValue` as JSON. Stops soon after [`MAX_DERIVED_MESSAGE_BYTES`].
pub(super) fn write_text(message: &[u8], above: usize, out: &mut Vec<u8>) -> Result<(), ComposeError> {
    match any(message)? {
        Any::Nil => write_json_value(Value::Nil, out),
        Any::Text(text) => write_string(text, out),
        Any::Bool(value) => write_json_value(Value::Bool(value), out),
        Any::Int(number) => write_json_value(Value::Int(number), out),
        Any::Float(number) => write_json_value(Value::Float(number), out),
        Any::Bytes(bytes) => write_string(STANDARD.encode(bytes).as_bytes(), out),
        // The record is going to be set aside.
        Any::List(_) | Any::Map(_) if above > MAX_DEPTH => {}
        Any::List(list) => {
            out.push(b'[');
            for (at, item) in items(list).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                if out.len() > MAX_DERIVED_MESSAGE_BYTES {
                    break;
                }
                write_text(item?, above + 1, out)?;
            }
            out.push(b']');
        }
        Any::Map(map) => {
            out.push(b'{');
            for (at, entry) in items(map).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                if out.len() > MAX_DERIVED_MESSAGE_BYTES {
                    break;
                }
                let (key, value) = key_and_value(entry?)?;
                write_string(key, out);
                out.push(b':');
                write_text(value, above + 1, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_string(text: &[u8], out: &mut Vec<u8>) {
    write_json_value(Value::Str(&String::from_utf8_lossy(text)), out);
}

/// A message of the length that derived messages may have.
pub(super) fn shortened(mut text: Vec<u8>) -> Vec<u8> {
    if text.len() > MAX_DERIVED_MESSAGE_BYTES {
        let end = (0..=MAX_DERIVED_MESSAGE_BYTES).rev().find(|end| text[*end] & 0xc0 != 0x80).unwrap_or_default();
        text.truncate(end);
        text.extend_from_slice("…".as_bytes());
    }
    text
}
