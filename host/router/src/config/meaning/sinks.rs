//! Checks sinks: names, common keys, fallbacks, and the options of each type.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::Value as Json;
use weir_sinks::BuildContext;

use super::super::settings::SinkSettings;
use super::super::{limits, raw};
use super::place::{Location, has_unusable};
use super::{Reader, chosen, level};
use crate::parts;
use weir_document::Diagnostic;
use weir_document::Environment;
use weir_document::{TableEntry, Value};

impl Reader<'_> {
    pub(super) fn sinks(
        &mut self,
        at: &Location<'_>,
        raw: Option<BTreeMap<String, Json>>,
        data: &Path,
        folder: &Path,
        environment: Environment<'_>,
    ) -> Vec<SinkSettings> {
        let context = BuildContext { data: data.to_owned(), base: folder.to_owned(), ..BuildContext::default() };
        let Some(mut raw) = raw else {
            return self.sinks_without_a_file(&context, environment);
        };
        if raw.len() > limits::MAX_SINKS {
            let message = format!("{} sinks, at most {}", raw.len(), limits::MAX_SINKS);
            self.report(at, message);
        }
        let Some(Value::Table(entries)) = at.node.map(|node| &node.value) else {
            return Vec::new();
        };
        let mut sinks = Vec::new();
        for entry in entries {
            let key = Location { node: None, span: entry.key_span.clone() };
            self.name(&key, &entry.key, "sink");
            if let Some(table) = raw.remove(&entry.key).and_then(|table| serde_json::from_value(table).ok()) {
                let sink =
                    self.sink(&Location { node: Some(&entry.node), span: entry.node.span.clone() }, &entry.key, table);
                let (sink, secrets) = with_environment(sink, environment);
                self.try_building(entry, &sink, &context, &secrets);
                sinks.push(sink);
            }
        }
        for (number, message) in parts::collisions(&sinks, &context, false) {
            let sink = at.key(&sinks[number].name);
            self.report(&sink.key("path").or(sink), message);
        }
        self.follow_fallbacks(at, &mut sinks);
        sinks
    }

    /// The sinks that the environment selects, or the default ones.
    fn sinks_without_a_file(&mut self, context: &BuildContext, environment: Environment<'_>) -> Vec<SinkSettings> {
        let (kinds, warnings) = chosen::kinds(environment);
        self.warnings.extend(warnings);
        let names: Vec<_> = match kinds.is_empty() {
            true => vec!["console", "sqlite"],
            false => kinds.iter().map(|kind| kind.name).collect(),
        };
        let mut sinks = Vec::new();
        for name in names {
            let (sink, secrets) = with_environment(SinkSettings::with_defaults(name), environment);
            if let Some(message) = options_error(&sink, context, &secrets) {
                self.problems.push(Diagnostic::of_file(message));
            }
            sinks.push(sink);
        }
        sinks
    }

    /// Converts a sink whose table passed the schema (or was already reported).
    fn sink(&mut self, at: &Location<'_>, name: &str, table: raw::Sink) -> SinkSettings {
        let raw::Sink { kind, common, options } = table;
        if common.standby && common.routes.is_some() {
            let help = "a standby receives only records that another sink can't deliver; remove one of the two keys";
            self.report_with(&at.key("routes"), "`routes` on a sink with `standby = true`", help);
        }
        SinkSettings {
            name: name.to_owned(),
            routes: if common.standby { Some(Vec::new()) } else { common.routes },
            min_level: common.min_level.map(level),
            kind,
            fallback: common.fallback.into_iter().collect(),
            fallback_after: self.time(&at.key("fallback_after"), common.fallback_after, limits::FALLBACK_AFTER),
            options: Json::Object(options),
        }
    }

    /// Expands each sink's fallback to the whole chain; reports unknown sinks and cycles.
    fn follow_fallbacks(&mut self, at: &Location<'_>, sinks: &mut [SinkSettings]) {
        let next: HashMap<String, String> =
            sinks.iter().filter_map(|sink| Some((sink.name.clone(), sink.fallback.first()?.clone()))).collect();
        let names: Vec<String> = sinks.iter().map(|sink| sink.name.clone()).collect();
        for sink in sinks {
            let place = at.key(&sink.name).key("fallback");
            let Some(first) = sink.fallback.first() else { continue };
            if !names.contains(first) {
                let message = format!("there is no sink {} to fall back to", place.shown(first));
                let others = || names.iter().map(String::as_str).filter(|name| *name != sink.name);
                let help = match weir_document::nearest(first, others()) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("the other sinks are {}", weir_document::list(others(), "and")),
                };
                self.report_with(&place, message, help);
                continue;
            }
            if *first == sink.name {
                self.report(&place, "a sink can't be its own fallback");
                continue;
            }
            let mut chain = vec![first.clone()];
            while let Some(following) = chain.last().and_then(|last| next.get(last)) {
                if *following == sink.name || chain.contains(following) {
                    let path = format!("{} → {} → {following}", sink.name, chain.join(" → "));
                    let help = "the last sink of a chain must not have a fallback; records that it can't deliver go to standard error";
                    self.report_with(&place, format!("fallbacks form a cycle: {path}"), help);
                    break;
                }
                chain.push(following.clone());
            }
            sink.fallback = chain;
        }
    }

    /// Builds the sink to validate its options, as at startup; building opens nothing.
    fn try_building(&mut self, entry: &TableEntry, sink: &SinkSettings, context: &BuildContext, secrets: &[String]) {
        if has_unusable(&entry.node) {
            return;
        }
        if let Some(message) = options_error(sink, context, secrets) {
            self.report_options(entry, message);
        }
    }
}

/// Fills in options from the environment; also returns these values.
fn with_environment(mut sink: SinkSettings, environment: Environment<'_>) -> (SinkSettings, Vec<String>) {
    let taken = match (weir_sinks::kind(&sink.kind), &mut sink.options) {
        (Some(kind), Json::Object(options)) => chosen::fill(kind, options, environment),
        _ => Vec::new(),
    };
    (sink, taken)
}

/// The sink's error about its options, without values from the environment, which may be secrets.
fn options_error(sink: &SinkSettings, context: &BuildContext, secrets: &[String]) -> Option<String> {
    let kind = weir_sinks::kind(&sink.kind)?;
    let mut message = kind.create(&sink.name, sink.options.clone(), context).err()?;
    for secret in secrets {
        message = message.replace(secret.as_str(), "…");
    }
    Some(message)
}
