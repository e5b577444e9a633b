//! The sinks: names, the keys that all have, and whether the kind accepts its options.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value as Json};
use weir_sinks::BuildContext;

use super::super::document::{Entry, Node, Value};
use super::super::problems::Problem;
use super::super::settings::SinkSettings;
use super::super::{limits, raw};
use super::place::At;
use super::{Reader, level};

impl Reader<'_> {
    pub(super) fn sinks(
        &mut self,
        at: &At<'_>,
        raw: Option<BTreeMap<String, Json>>,
        data: &Path,
        folder: &Path,
    ) -> Vec<SinkSettings> {
        let Some(mut raw) = raw else {
            return ["console", "sqlite"].map(SinkSettings::with_defaults).to_vec();
        };
        if raw.len() > limits::MAX_SINKS {
            let message = format!("{} sinks, at most {}", raw.len(), limits::MAX_SINKS);
            self.report(at, message);
        }
        let Some(Value::Table(entries)) = at.node.map(|node| &node.value) else {
            return Vec::new();
        };
        let context = BuildContext { data: data.to_owned(), base: folder.to_owned(), ..BuildContext::default() };
        let mut sinks = Vec::new();
        for entry in entries {
            let key = At { node: None, span: entry.key_span.clone() };
            self.name(&key, &entry.key, "sink");
            if let Some(Json::Object(options)) = raw.remove(&entry.key) {
                let sink = sink(entry.key.clone(), options);
                self.try_building(entry, &sink, &context);
                sinks.push(sink);
            }
        }
        sinks
    }

    /// Lets the kind itself judge its options, as it will at the start; building opens nothing.
    fn try_building(&mut self, entry: &Entry, sink: &SinkSettings, context: &BuildContext) {
        if has_unusable(&entry.node) {
            return;
        }
        let kind = weir_sinks::KINDS.iter().find(|kind| kind.name == sink.kind);
        let built = kind.map(|kind| (kind.build)(&sink.name, sink.options.clone(), context));
        let Some(Err(mut message)) = built else {
            return;
        };
        hide_expanded(&entry.node, &mut message);
        let Value::Table(options) = &entry.node.value else {
            return;
        };
        // Objections name the option they are about, quoted or as their first word.
        let named = options.iter().find(|option| {
            let key = &option.key;
            message.contains(&format!("`{key}`")) || message.contains(&format!(": {key} "))
        });
        let span = named.map_or(&entry.node.span, |option| &option.node.span);
        self.problems.push(Problem::at(span.clone(), message));
    }
}

/// A sink whose table the schema of its kind accepted (or which is reported already).
fn sink(name: String, mut options: Map<String, Json>) -> SinkSettings {
    let kind = match options.remove("type") {
        Some(Json::String(kind)) => kind,
        _ => String::new(),
    };
    let mut taken = Map::new();
    for key in ["routes", "min_level"] {
        if let Some(value) = options.remove(key) {
            taken.insert(key.to_owned(), value);
        }
    }
    let common: raw::SinkCommon = serde_json::from_value(Json::Object(taken)).unwrap_or_default();
    SinkSettings {
        name,
        kind,
        routes: common.routes,
        min_level: common.min_level.map(level),
        options: Json::Object(options),
    }
}

fn has_unusable(node: &Node) -> bool {
    match &node.value {
        Value::Unusable => true,
        Value::List(items) => items.iter().any(has_unusable),
        Value::Table(entries) => entries.iter().any(|entry| has_unusable(&entry.node)),
        _ => false,
    }
}

/// Takes what came from the environment out of a message that quotes it: it may be secret.
fn hide_expanded(node: &Node, message: &mut String) {
    match &node.value {
        Value::Text { text, expanded } if *expanded && !text.is_empty() => {
            *message = message.replace(text, "…");
        }
        Value::List(items) => items.iter().for_each(|item| hide_expanded(item, message)),
        Value::Table(entries) => entries.iter().for_each(|entry| hide_expanded(&entry.node, message)),
        _ => {}
    }
}
