//! Checks sources: names, common keys, and the options of each type.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;
use weir_document::{TableEntry, Value};
use weir_record::Level;
use weir_sources::BuildContext;

use super::place::{Location, has_unusable};
use super::{Reader, level};
use crate::config::settings::SourceSettings;
use crate::config::{limits, raw};

impl Reader<'_> {
    pub(super) fn sources(
        &mut self,
        at: &Location<'_>,
        mut raw: BTreeMap<String, Json>,
        folder: &Path,
        default_level: Level,
    ) -> Vec<SourceSettings> {
        let context = BuildContext { base: folder.to_owned() };
        if raw.len() > limits::MAX_SOURCES {
            self.report(at, format!("{} sources, at most {}", raw.len(), limits::MAX_SOURCES));
        }
        let Some(Value::Table(entries)) = at.node.map(|node| &node.value) else {
            return Vec::new();
        };
        let mut sources = Vec::new();
        for entry in entries {
            let key = Location { node: None, span: entry.key_span.clone() };
            self.name(&key, &entry.key, "source");
            let Some(table) = raw.remove(&entry.key).and_then(|table| serde_json::from_value(table).ok()) else {
                continue;
            };
            let raw::Source { kind, common, options } = table;
            let source = SourceSettings {
                name: entry.key.clone(),
                kind,
                source: common.source,
                level: common.level.map_or(default_level, level),
                routes: common.routes,
                options: Json::Object(options),
            };
            self.try_building_source(entry, &source, &context);
            sources.push(source);
        }
        sources
    }

    /// Builds the source to validate its options, as at startup; building opens nothing.
    fn try_building_source(&mut self, entry: &TableEntry, source: &SourceSettings, context: &BuildContext) {
        let Some(kind) = weir_sources::kind(&source.kind).filter(|_| !has_unusable(&entry.node)) else { return };
        if let Err(message) = (kind.build)(&source.name, source.options.clone(), context) {
            self.report_options(entry, message);
        }
    }
}
