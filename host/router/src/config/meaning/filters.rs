//! Checks filters: names, modules and limits.

use std::collections::HashSet;
use std::path::{Component, PathBuf};

use serde_json::Value as Json;
use weir_engine::PublicKey;
use weir_record::path;

use super::super::settings::{CanarySettings, FilterSettings, Module};
use super::super::{limits, raw};
use super::Reader;
use super::place::Location;
use weir_document::{list, nearest};

impl Reader<'_> {
    pub(super) fn filters(&mut self, at: &Location<'_>, raw: Option<Vec<raw::Filter>>) -> Vec<FilterSettings> {
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
                    let message = format!("two filters are named {}", place.key("name").shown(name));
                    let help = "names must be unique, since metrics and the quarantine refer to them";
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

    pub(super) fn trusted_keys(&mut self, at: &Location<'_>, keys: &[String]) -> Vec<PublicKey> {
        if keys.len() > limits::MAX_TRUSTED_KEYS {
            self.report(at, format!("{} keys, at most {}", keys.len(), limits::MAX_TRUSTED_KEYS));
        }
        let mut trusted = Vec::new();
        for (place, key) in at.items().iter().zip(keys) {
            match key.parse() {
                Ok(key) => trusted.push(key),
                Err(wrong) => {
                    let wrong: String = wrong;
                    self.report_with(place, format!("{} is not a public key", place.shown(key)), wrong);
                }
            }
        }
        trusted
    }

    pub(super) fn bounds_of_filter(
        &mut self,
        at: &Location<'_>,
        raw: raw::Filter,
        name: String,
        module: Module,
    ) -> FilterSettings {
        for (key, paths) in [("reads", &raw.reads), ("writes", &raw.writes)] {
            self.paths(&at.key(key), paths.as_deref().unwrap_or_default());
        }
        FilterSettings {
            name,
            module,
            on_error: raw.on_error,
            timeout: self.time(&at.key("timeout"), raw.timeout, limits::FILTER_TIMEOUT),
            memory_bytes: self.bytes(&at.key("memory"), raw.memory, limits::FILTER_MEMORY_BYTES),
            output_bytes: self.bytes(&at.key("max_output"), raw.max_output, limits::FILTER_OUTPUT_BYTES),
            reads: raw.reads,
            writes: raw.writes,
            canary: raw.canary.map(|raw| self.canary(&at.key("canary"), &raw)),
            options: Json::Object(raw.options),
        }
    }

    fn canary(&mut self, at: &Location<'_>, raw: &raw::Canary) -> CanarySettings {
        let share = self.percent(&at.key("share"), raw.share.as_deref().unwrap_or("100%"));
        if share == 0.0 {
            self.report(&at.key("share"), "a share of 0% selects no records");
        }
        if !limits::CANARY_SLOWDOWN.contains(&raw.slowdown) {
            let (least, most) = (limits::CANARY_SLOWDOWN.start(), limits::CANARY_SLOWDOWN.end());
            let message = format!("{} is out of range", raw.slowdown);
            self.report_with(&at.key("slowdown"), message, format!("it must be from {least} to {most}"));
        }
        CanarySettings {
            // At least one in a million, so that a small share isn't rounded to zero.
            share_ppm: ((share * 1e6).round() as u32).max(1),
            time: raw
                .time
                .map_or(*limits::CANARY_TIME.start(), |time| self.time(&at.key("for"), time, limits::CANARY_TIME)),
            errors: self.percent(&at.key("errors"), &raw.errors),
            drops: self.percent(&at.key("drops"), &raw.drops),
            slowdown: raw.slowdown,
        }
    }

    /// Parses a percentage to a fraction of one.
    fn percent(&mut self, at: &Location<'_>, text: &str) -> f64 {
        let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match number.filter(|number| (0.0..=100.0).contains(number)) {
            Some(number) => number / 100.0,
            None => {
                self.report_with(
                    at,
                    format!("{} is not a percentage", at.shown(text)),
                    "write it as `5%`, from 0% to 100%",
                );
                0.0
            }
        }
    }

    /// Checks paths into a record; `*` is allowed only at the end.
    fn paths(&mut self, at: &Location<'_>, paths: &[String]) {
        if paths.len() > limits::MAX_FILTER_PATHS {
            let message = format!("{} paths, at most {}", paths.len(), limits::MAX_FILTER_PATHS);
            self.report_with(at, message, "combine them, such as `context.*`");
        }
        for (place, path) in at.items().iter().zip(paths) {
            if !is_path(path) {
                let message = format!("{} is not a path into a record", place.shown(path));
                let help = "write keys with dots between them, and `.*` only at the end: `message`, `context.*`; \
                            omit the key for everything";
                self.report_with(place, message, help);
            }
        }
    }

    fn module(&mut self, at: &Location<'_>, text: &str) -> Module {
        if let Some(name) = text.strip_prefix("bundled:") {
            if !weir_filter_kit::bundled::names().any(|bundled| bundled == name) {
                let message = format!("there is no bundled filter {}", at.shown(name));
                let help = match nearest(name, weir_filter_kit::bundled::names()) {
                    Some(meant) => format!("did you mean `bundled:{meant}`?"),
                    None => format!("the bundled filters are {}", list(weir_filter_kit::bundled::names(), "and")),
                };
                self.report_with(at, message, help);
            }
            return Module::Bundled(name.to_owned());
        }
        let path = PathBuf::from(text);
        let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            let message = format!("{} is outside the filters folder", at.shown(text));
            let help = "put the module into the filters folder, or change `filters_folder`";
            self.report_with(at, message, help);
        } else if path.extension().is_none_or(|extension| extension != "wasm") {
            let message = format!("{} is not the path of a `.wasm` file", at.shown(text));
            let help = match weir_filter_kit::bundled::names().find(|name| *name == text) {
                Some(name) => format!("did you mean `bundled:{name}`?"),
                None => "write `bundled:NAME`, or a path relative to the filters folder".to_owned(),
            };
            self.report_with(at, message, help);
        }
        // Normalized, so that `./a.wasm` and `a.wasm` are equal.
        let normal = path.components().filter(|part| matches!(part, Component::Normal(_)));
        Module::File(normal.collect())
    }
}

/// Whether the text is keys separated by dots, with `*` only as the last. No key can be an escaped `*`, because it
/// would be read as the wildcard.
fn is_path(text: &str) -> bool {
    if text.contains(r"\*") {
        return false;
    }
    let keys: Vec<_> = path::keys(text).collect();
    let star = keys.iter().position(|key| key == "*");
    keys.iter().all(|key| !key.is_empty()) && star.is_none_or(|at| at > 0 && at + 1 == keys.len())
}

#[cfg(test)]
mod tests {
    use super::is_path;

    #[test]
    fn a_star_is_allowed_only_at_the_end_of_a_path() {
        for path in ["message", "context.*", "context.user.id", "tags.0", r"a\.b.c"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", ".", "a.", ".a", "a..b", "*", "*.a", "a.*.b", r"a.\*"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
