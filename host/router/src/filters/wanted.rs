//! The desired filters, in order, with the source of each module.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;
use weir_engine::FilterSpec;
use weir_filter_kit::Source;

use crate::config::{CanarySettings, FilterSettings, Module, Settings, is_name, name_rule};
use crate::wiring::lock;
use crate::{limits, parts};

/// A filter that is to run.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredFilter {
    pub spec: FilterSpec,
    pub source: Source,
    /// Whether it is in the configuration rather than only in the filters folder.
    pub named: bool,
    /// The settings of canary trials.
    pub canary: Option<CanarySettings>,
}

/// A filter from the configuration.
pub fn named(settings: &Settings, filter: &FilterSettings) -> DesiredFilter {
    DesiredFilter {
        spec: parts::filter(settings, filter),
        source: match &filter.module {
            Module::Bundled(name) => Source::Bundled(name.clone()),
            Module::File(path) => Source::File(settings.filters_folder.join(path)),
        },
        named: true,
        canary: filter.canary.clone(),
    }
}

/// The configured filters, then with `auto_load` the other modules in the folder, by name. A missing folder counts as
/// empty.
pub fn wanted(settings: &Settings) -> Vec<DesiredFilter> {
    let mut all: Vec<DesiredFilter> = settings.filters.iter().map(|filter| named(settings, filter)).collect();
    if !settings.auto_load {
        return all;
    }
    for path in modules(&settings.filters_folder) {
        let source = Source::File(path.clone());
        if all.iter().any(|w| w.source == source) {
            continue;
        }
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
        let Some(name) = stem.filter(|name| is_name(name)) else {
            warn_once(format!(
                "{source} is not loaded: its name is not a valid filter name; rename the file: {}",
                name_rule()
            ));
            continue;
        };
        if all.iter().any(|w| w.spec.name == name) {
            warn_once(format!("{source} is not loaded: a filter with that name is configured"));
            continue;
        }
        all.push(DesiredFilter {
            spec: parts::filter(settings, &FilterSettings::with_defaults(&name, Module::File(path))),
            source,
            named: false,
            canary: None,
        });
    }
    all
}

/// Logs a warning once, although the folder is read at every change.
fn warn_once(warning: String) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = lock(&SAID);
    if said.len() < limits::LEFT_OUT_MODULES && said.insert(warning.clone()) {
        tracing::warn!("{warning}");
    }
}

/// Modules in the filters folder that no `[[filter]]` uses.
pub fn unused(settings: &Settings) -> Vec<PathBuf> {
    if settings.auto_load {
        return Vec::new();
    }
    let is_named = |path: &PathBuf| {
        settings.filters.iter().any(|filter| match &filter.module {
            Module::Bundled(_) => false,
            Module::File(file) => settings.filters_folder.join(file) == *path,
        })
    };
    let mut paths = modules(&settings.filters_folder);
    paths.retain(|path| !is_named(path));
    paths
}

/// The configuration lines that add a module from the filters folder.
pub fn lines_to_use(module: &Path) -> [String; 3] {
    // A JSON string is also a TOML string.
    let text = |part: Option<&OsStr>| Value::from(part.unwrap_or_default().to_string_lossy()).to_string();
    let (name, file) = (text(module.file_stem()), text(module.file_name()));
    ["[[filter]]".to_owned(), format!("name = {name}"), format!("module = {file}")]
}

/// The modules in a folder, sorted by name.
fn modules(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "wasm") && path.is_file())
        .collect();
    paths.sort();
    paths
}
