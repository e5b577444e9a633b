//! Parses JSON to the same tree as TOML, so that both are checked and reported in the same way.
//!
//! `null` is equivalent to a missing key. The invariants are those of `tree`.

use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::diagnostics::Diagnostic;
use crate::limits::MAX_DEPTH;
use crate::tree::{Node, TableEntry, Value};

/// Parses a file, or reports its first syntax error.
pub(super) fn parse(source: &str, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    match serde_json::from_str::<&RawValue>(source) {
        Ok(raw) => Some(Reader { source, problems }.node(raw, 1)),
        Err(error) => {
            let line_start =
                source.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
            let at = (line_start + error.column().saturating_sub(1)).min(source.len());
            // The parser's message ends with the position, which the report shows anyway.
            let words = error.to_string();
            let reason = words.split(" at line ").next().unwrap_or(&words).to_owned();
            problems.push(Diagnostic::at(at..at + 1, format!("this is not JSON: {reason}")));
            None
        }
    }
}

struct Reader<'a> {
    source: &'a str,
    problems: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// The span of a part of the source.
    fn span(&self, part: &RawValue) -> Range<usize> {
        let start = part.get().as_ptr().addr() - self.source.as_ptr().addr();
        start..start + part.get().len()
    }

    fn node(&mut self, raw: &RawValue, depth: usize) -> Node {
        let (span, text) = (self.span(raw), raw.get());
        let value = match text.as_bytes().first() {
            _ if depth > MAX_DEPTH => {
                let problem =
                    Diagnostic::at(span.clone(), format!("objects and lists are nested more than {MAX_DEPTH} deep"));
                self.problems.push(problem);
                Value::Unusable
            }
            Some(b'{') => self.table(text, depth),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
                Value::List(items.into_iter().map(|item| self.node(item, depth + 1)).collect())
            }
            Some(b'"') => match serde_json::from_str(text) {
                Ok(text) => Value::Text { text, expanded: false },
                Err(_) => {
                    self.problems.push(Diagnostic::at(span.clone(), "this string has an invalid escape sequence"));
                    Value::Unusable
                }
            },
            Some(b't') => Value::Boolean(true),
            Some(b'f') => Value::Boolean(false),
            Some(b'n') | None => Value::Unusable,
            Some(_) => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(number), _) => Value::Integer(number),
                (_, Ok(number)) if number.is_finite() => Value::Float(number),
                _ => {
                    self.problems.push(Diagnostic::at(span.clone(), "this is not a finite number"));
                    Value::Unusable
                }
            },
        };
        Node { span, value }
    }

    fn table(&mut self, text: &str, depth: usize) -> Value {
        let pairs = serde_json::Deserializer::from_str(text).deserialize_map(Pairs).unwrap_or_default();
        let mut entries: Vec<TableEntry> = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key_span = self.span(key);
            let name: String = serde_json::from_str(key.get()).unwrap_or_default();
            if entries.iter().any(|entry| entry.key == name) {
                let problem = Diagnostic::at(key_span, format!("`{name}` is set twice")).label("already set above");
                self.problems.push(problem);
                continue;
            }
            let node = self.node(value, depth + 1);
            entries.push(TableEntry { key: name, key_span, node });
        }
        Value::Table(entries)
    }
}

/// The keys and raw values of an object.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> (Option<Node>, Vec<Diagnostic>) {
        let mut problems = Vec::new();
        (parse(source, &mut problems), problems)
    }

    #[test]
    fn every_key_and_value_has_a_span() {
        let source = "{\n  \"a\": [1, {\"b\\u00e9\": \"x\"}],\n  \"c\": null\n}";
        let (root, problems) = read(source);
        let root = root.expect("it is JSON");
        assert_eq!(problems, []);
        let list = &root.entry("a").expect("it is there").node;
        assert_eq!(&source[list.span.clone()], "[1, {\"b\\u00e9\": \"x\"}]");
        let inner = list.items()[1].entry("bé").expect("it is there");
        assert_eq!(&source[inner.key_span.clone()], "\"b\\u00e9\"");
        assert_eq!(&source[inner.node.span.clone()], "\"x\"");
        assert_eq!(root.to_json(), serde_json::json!({ "a": [1, { "bé": "x" }] }), "null is as good as nothing");
    }

    #[test]
    fn errors_have_positions() {
        let (root, problems) = read("{\n  \"a\": tru\n}");
        assert!(root.is_none());
        assert!(problems[0].message().starts_with("this is not JSON"), "{problems:?}");
        let (_, problems) = read(r#"{"a": 1, "a": 2}"#);
        assert_eq!(problems[0].message(), "`a` is set twice");
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        let (_, problems) = read(&deep);
        assert!(problems[0].message().contains("deep"), "{problems:?}");
    }
}
