//! The chain of filters: names, modules and bounds.

use std::collections::HashSet;
use std::path::{Component, PathBuf};

use serde_json::Value as Json;

use super::super::settings::{FilterSettings, Module};
use super::super::suggest::{list, nearest};
use super::super::{limits, raw};
use super::Reader;
use super::place::At;

impl Reader<'_> {
    pub(super) fn filters(&mut self, at: &At<'_>, raw: Option<Vec<raw::Filter>>) -> Vec<FilterSettings> {
        let Some(raw) = raw else {
            let module = Module::Bundled("redact".to_owned());
            return vec![FilterSettings::with_defaults("redact", module)];
        };
        if raw.len() > limits::MAX_FILTERS {
            let message = format!("{} filters, at most {}", raw.len(), limits::MAX_FILTERS);
            self.report(at, message);
        }
        let mut seen = HashSet::new();
        let mut filters = Vec::new();
        for (place, raw) in at.items().iter().zip(raw) {
            if let Some(name) = &raw.name {
                self.name(&place.key("name"), name, "filter");
                if !seen.insert(name.clone()) {
                    let message = format!("two filters have the name {}", place.key("name").shown(name));
                    let help = "give each its own name: it stands in metrics and in the quarantine";
                    self.report_with(&place.key("name"), message, help);
                }
            }
            let module = match &raw.module {
                Some(text) => self.module(&place.key("module"), text),
                None => Module::Bundled(String::new()),
            };
            let name = raw.name.clone().unwrap_or_default();
            filters.push(self.bounds_of_filter(place, raw, name, module));
        }
        filters
    }

    pub(super) fn bounds_of_filter(
        &mut self,
        at: &At<'_>,
        raw: raw::Filter,
        name: String,
        module: Module,
    ) -> FilterSettings {
        FilterSettings {
            name,
            module,
            on_error: raw.on_error,
            timeout: self.time(&at.key("timeout"), raw.timeout, limits::FILTER_TIMEOUT),
            memory_bytes: self.bytes(&at.key("memory"), raw.memory, limits::FILTER_MEMORY_BYTES),
            output_bytes: self.bytes(&at.key("max_output"), raw.max_output, limits::FILTER_OUTPUT_BYTES),
            options: Json::Object(raw.options),
        }
    }

    fn module(&mut self, at: &At<'_>, text: &str) -> Module {
        if let Some(name) = text.strip_prefix("bundled:") {
            if !crate::bundled::names().any(|bundled| bundled == name) {
                let message = format!("there is no bundled filter {}", at.shown(name));
                let help = match nearest(name, crate::bundled::names()) {
                    Some(meant) => format!("did you mean `bundled:{meant}`?"),
                    None => format!("bundled are {}", list(crate::bundled::names(), "and")),
                };
                self.report_with(at, message, help);
            }
            return Module::Bundled(name.to_owned());
        }
        let path = PathBuf::from(text);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            let message = format!("{} leads out of the filters folder", at.shown(text));
            let help = "put the module into the filters folder, or change `filters_folder`";
            self.report_with(at, message, help);
        } else if path.extension().is_none_or(|extension| extension != "wasm") {
            let message = format!("{} is not the path of a `.wasm` file", at.shown(text));
            let help = match crate::bundled::names().find(|name| *name == text) {
                Some(name) => format!("did you mean `bundled:{name}`?"),
                None => "write `bundled:NAME`, or a path relative to the filters folder".to_owned(),
            };
            self.report_with(at, message, help);
        }
        // `./a.wasm` and `a.wasm` are one module, and must compare as one.
        let normal = path.components().filter(|part| matches!(part, Component::Normal(_)));
        Module::File(normal.collect())
    }
}
