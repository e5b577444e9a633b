//! Shortens long values for display: lists, objects and texts as JSON, with a mark that says how much was omitted; and
//! extracts multi-line texts, to be shown as lines.

use weir_record::{Value, write_json_value};

use crate::limits;
use crate::text::push_escaped_json;

/// True for text that is shown as lines: it has a line end that is not its last character.
pub(super) fn is_multiline(text: &str) -> bool {
    text.trim_end_matches(['\r', '\n']).contains('\n')
}

/// Appends a mark such as `… 12 more items`.
pub(super) fn push_left_out(count: usize, what: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("… {count} more {what}").as_bytes());
}

/// The multi-line texts of a record.
#[derive(Default)]
pub(super) struct TextsWithLines<'a> {
    /// Those to show, with their paths.
    pub shown: Vec<(String, &'a str)>,
    /// How many more there are.
    pub left_out: usize,
}

impl<'a> TextsWithLines<'a> {
    /// Finds them in a value. `path` is the same afterwards: it is made once, not for each of many values.
    pub fn find(&mut self, path: &mut String, value: Value<'a>) {
        let before = path.len();
        match value {
            Value::Str(text) if is_multiline(text) => {
                if self.shown.len() < limits::CONSOLE_TEXTS {
                    let name = &path[..path.floor_char_boundary(limits::CONSOLE_VALUE_BYTES)];
                    self.shown.push((name.to_string(), text));
                } else {
                    self.left_out += 1;
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    path.push_str(&format!("[{at}]"));
                    self.find(path, item);
                    path.truncate(before);
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries.iter() {
                    path.push('.');
                    path.push_str(key);
                    self.find(path, value);
                    path.truncate(before);
                }
            }
            _ => {}
        }
    }
}

/// Appends a value as JSON; a long one is cut and marked. A text that is shown as lines elsewhere is `…`.
pub(super) fn push_folded(value: Value<'_>, out: &mut Vec<u8>) {
    let until = out.len() + limits::CONSOLE_VALUE_BYTES;
    push(value, until, out);
}

fn push(value: Value<'_>, until: usize, out: &mut Vec<u8>) {
    match value {
        Value::Str(text) if is_multiline(text) => out.extend_from_slice("…".as_bytes()),
        Value::Str(text) => push_text(text, until, out),
        Value::Array(items) => {
            out.push(b'[');
            push_entries(items.len(), "items", items.iter(), until, out, |item, out| push(item, until, out));
            out.push(b']');
        }
        Value::Map(entries) => {
            out.push(b'{');
            push_entries(entries.len(), "keys", entries.iter(), until, out, |(key, value), out| {
                push_text(key, until, out);
                out.push(b':');
                push(value, until, out);
            });
            out.push(b'}');
        }
        Value::Bin(_) | Value::Ext(..) => {
            let mut json = Vec::new();
            write_json_value(value, &mut json);
            let shown = json.len().min(room(until, out));
            out.extend_from_slice(&json[..shown]);
            if shown < json.len() {
                push_left_out(json.len() - shown, "bytes", out);
            }
        }
        plain => write_json_value(plain, out),
    }
}

/// Appends comma-separated entries while there is room, then the number of omitted ones.
fn push_entries<T>(
    count: usize,
    what: &str,
    entries: impl Iterator<Item = T>,
    until: usize,
    out: &mut Vec<u8>,
    mut push: impl FnMut(T, &mut Vec<u8>),
) {
    for (at, entry) in entries.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if out.len() >= until {
            return push_left_out(count - at, what, out);
        }
        push(entry, out);
    }
}

fn push_text(text: &str, until: usize, out: &mut Vec<u8>) {
    let end = text.floor_char_boundary(room(until, out));
    let mut json = Vec::new();
    write_json_value(Value::Str(&text[..end]), &mut json);
    if end < text.len() {
        json.pop();
        push_left_out(text.len() - end, "bytes", &mut json);
        json.push(b'"');
    }
    push_escaped_json(&json, out);
}

/// Bytes that a text may still take: a few even without room, so that keys can be told apart.
fn room(until: usize, out: &[u8]) -> usize {
    until.saturating_sub(out.len()).max(limits::CONSOLE_MIN_BYTES)
}
