//! Finds the secrets of a file, so that reports hide them in the lines that they show.
//!
//! A mistake must not reveal what it is next to. So a value is also hidden where its key is misspelt, where a secret is
//! part of a table and there is something else, and everywhere in a file that can't be parsed.

use std::ops::Range;

use serde_json::Value as Json;

use crate::check::keywords::alternatives;
use crate::limits::MAX_SCHEMA_HOPS;
use crate::secret::is_secret;
use crate::tree::{Node, Value};

/// Whether any value below a schema is a secret. Schemas are trees apart from `$ref`, whose targets are in `$defs` of
/// the whole schema and thus found there.
pub(super) fn has_secrets(schema: &Json) -> bool {
    match schema {
        Json::Object(object) => is_secret(schema) || object.values().any(has_secrets),
        Json::Array(items) => items.iter().any(has_secrets),
        _ => false,
    }
}

/// The spans of all secrets. Their texts count as coming from the environment from now on, so no message quotes them.
pub(super) fn spans(root: &mut Node, schema: &Json) -> Vec<Range<usize>> {
    let mut search = Search { whole: schema, found: Vec::new() };
    search.node(root, &[schema]);
    search.found
}

struct Search<'s> {
    whole: &'s Json,
    found: Vec<Range<usize>>,
}

impl<'s> Search<'s> {
    /// `schemas`: those that may apply to the node, because the mistake may be in the key that decides.
    fn node(&mut self, node: &mut Node, schemas: &[&'s Json]) {
        let mut all = Vec::new();
        schemas.iter().for_each(|schema| self.flatten(schema, &mut all, 0));
        if all.iter().any(|schema| is_secret(schema)) {
            return self.hide(node);
        }
        match &mut node.value {
            Value::Table(entries) => {
                for entry in entries {
                    let of_key: Vec<&Json> = all.iter().filter_map(|schema| property(schema, &entry.key)).collect();
                    if !of_key.is_empty() {
                        self.node(&mut entry.node, &of_key);
                    } else if all.iter().any(|schema| self.has_secret_keys(schema)) || self.names_secret(&entry.key) {
                        self.hide(&mut entry.node);
                    }
                }
            }
            Value::List(items) if all.iter().any(|schema| schema.get("items").is_some()) => {
                let of_item: Vec<&Json> = all.iter().filter_map(|schema| schema.get("items")).collect();
                items.iter_mut().for_each(|item| self.node(item, &of_item));
            }
            _ if all.iter().any(|schema| self.contains_secrets(schema, 0)) => self.hide(node),
            _ => {}
        }
    }

    /// Adds a schema with its references followed, and its alternatives.
    fn flatten(&self, schema: &'s Json, all: &mut Vec<&'s Json>, hops: usize) {
        if hops > MAX_SCHEMA_HOPS {
            return;
        }
        let target = schema["$ref"].as_str().and_then(|target| self.whole.pointer(target.strip_prefix('#')?));
        let parts = alternatives(schema).into_iter().chain(schema["allOf"].as_array().map(Vec::as_slice)).flatten();
        all.push(schema);
        parts.chain(target).for_each(|part| self.flatten(part, all, hops + 1));
    }

    /// Whether a table of this schema has secrets as values.
    fn has_secret_keys(&self, schema: &'s Json) -> bool {
        let mut values = Vec::new();
        let named = schema["properties"].as_object().into_iter().flat_map(|properties| properties.values());
        named.chain(schema.get("additionalProperties")).for_each(|value| self.flatten(value, &mut values, 0));
        values.iter().any(|value| is_secret(value))
    }

    /// Whether a secret, or something with secrets in it, has this name anywhere.
    fn names_secret(&self, key: &str) -> bool {
        self.is_named(self.whole, key)
    }

    fn is_named(&self, schema: &'s Json, key: &str) -> bool {
        match schema {
            Json::Object(object) => {
                let named = schema.get("properties").and_then(|properties| properties.get(key));
                named.is_some_and(|named| self.contains_secrets(named, 0))
                    || object.values().any(|inner| self.is_named(inner, key))
            }
            Json::Array(items) => items.iter().any(|inner| self.is_named(inner, key)),
            _ => false,
        }
    }

    /// Whether a schema, or what it refers to, is of a secret or has one in it.
    fn contains_secrets(&self, schema: &'s Json, hops: usize) -> bool {
        let mut all = Vec::new();
        self.flatten(schema, &mut all, hops);
        hops <= MAX_SCHEMA_HOPS
            && all.iter().any(|schema| {
                let named = schema["properties"].as_object().into_iter().flat_map(|properties| properties.values());
                let mut inner = named.chain(schema.get("additionalProperties")).chain(schema.get("items"));
                is_secret(schema) || inner.any(|inner| self.contains_secrets(inner, hops + 1))
            })
    }

    fn hide(&mut self, node: &mut Node) {
        self.found.push(node.span.clone());
        mark(node);
    }
}

fn property<'s>(schema: &'s Json, key: &str) -> Option<&'s Json> {
    schema["properties"].get(key).or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object()))
}

fn mark(node: &mut Node) {
    match &mut node.value {
        Value::Text { expanded, .. } => *expanded = true,
        Value::List(items) => items.iter_mut().for_each(mark),
        Value::Table(entries) => entries.iter_mut().for_each(|entry| mark(&mut entry.node)),
        _ => {}
    }
}

/// Everything that may be a value in a file that can't be parsed: on each line what follows `=`, or all of it unless it
/// is a comment or the header of a table.
pub(super) fn values(source: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let end = start + line.len();
        match line.find('=') {
            Some(at) => spans.push(start + at + 1..end),
            None if line.trim_start().starts_with(['[', '#']) => {}
            None => spans.push(start..end),
        }
        start = end;
    }
    spans
}

/// What follows on the same line.
pub(super) fn rest_of_line(source: &str, at: usize) -> Range<usize> {
    let rest = source.get(at..).unwrap_or_default();
    at..at + rest.find('\n').unwrap_or(rest.len())
}

/// The source with `*` in place of what is at these spans, except quotes and spaces. Every byte keeps its place.
pub(super) fn masked(source: &str, spans: &[Range<usize>]) -> String {
    let mut is_hidden = vec![false; source.len()];
    for span in spans {
        let end = span.end.min(source.len());
        is_hidden[span.start.min(end)..end].fill(true);
    }
    let mut shown = String::with_capacity(source.len());
    for (at, c) in source.char_indices() {
        match c {
            '\n' | '\r' | '"' | '\'' | ' ' => shown.push(c),
            _ if is_hidden[at] => (0..c.len_utf8()).for_each(|_| shown.push('*')),
            _ => shown.push(c),
        }
    }
    shown
}
