//! Compares settings for a reload: whether anything changed, and which changes need a restart.

use std::collections::BTreeMap;

use serde_json::Value;

use super::raw;
use super::settings::Settings;

/// Keys that take effect only after a restart, with their values. Sections that are rarely changed count as one key.
pub(super) type AtStart = BTreeMap<String, Value>;

pub(super) fn at_start(raw: &raw::Config) -> AtStart {
    let Ok(Value::Object(mut all)) = serde_json::to_value(raw) else { return AtStart::new() };
    let mut keys = AtStart::new();
    for section in ["http", "live", "journal"] {
        if let Some(Value::Object(section_keys)) = all.remove(section) {
            keys.extend(section_keys.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)));
        }
    }
    // Its files are taken up; listening with TLS instead of without is not.
    if let Some(tls) = all.remove("tls") {
        keys.insert("tls".to_owned(), Value::Bool(!tls.is_null()));
    }
    keys.extend(["data", "encryption", "ingest", "log"].into_iter().filter_map(|key| all.remove_entry(key)));
    keys
}

impl Settings {
    /// Whether both settings configure the same router. Warnings are ignored, because they contain line numbers.
    pub fn are_same(&self, other: &Settings) -> bool {
        let silent = |settings: &Settings| Settings { warnings: Vec::new(), notes: Vec::new(), ..settings.clone() };
        silent(self) == silent(other)
    }

    /// The changed keys that a router started with `started` can't apply without a restart, such as `http.listen`.
    pub fn keys_that_need_a_restart(&self, started: &Settings) -> Vec<&str> {
        let changed = self.at_start.iter().filter(|(key, value)| started.at_start.get(*key) != Some(*value));
        changed.map(|(key, _)| key.as_str()).collect()
    }
}
