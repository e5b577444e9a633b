//! What should run, in which order, and where each module comes from.

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

/// A filter that should run.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub spec: FilterSpec,
    pub source: Source,
    /// Whether the configuration names it, rather than its lying in the folder.
    pub named: bool,
    /// How a new version of it is tried.
    pub canary: Option<CanarySettings>,
}

/// A filter that the settings name.
pub fn named(settings: &Settings, filter: &FilterSettings) -> Wanted {
    Wanted {
        spec: parts::filter(filter),
        source: match &filter.module {
            Module::Bundled(name) => Source::Bundled(name.clone()),
            Module::File(path) => Source::File(settings.filters_folder.join(path)),
        },
        named: true,
        canary: filter.canary.clone(),
    }
}

/// The filters that the settings name, then, with `auto_load`, the other modules in the folder, by
/// name. A folder that is not there holds none.
pub fn wanted(settings: &Settings) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = settings.filters.iter().map(|filter| named(settings, filter)).collect();
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
            say_once(format!(
                "{source} is not loaded: its name is not a valid filter name; rename the file: {}",
                name_rule()
            ));
            continue;
        };
        if all.iter().any(|w| w.spec.name == name) {
            say_once(format!("{source} is not loaded: a filter with that name is configured"));
            continue;
        }
        all.push(Wanted {
            spec: parts::filter(&FilterSettings::with_defaults(&name, Module::File(path))),
            source,
            named: false,
            canary: None,
        });
    }
    all
}

/// Warns of a module that is left out, though the folder is looked through at every change.
fn say_once(warning: String) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut said = lock(&SAID);
    if said.len() < limits::LEFT_OUT_MODULES && said.insert(warning.clone()) {
        tracing::warn!("{warning}");
    }
}

/// Modules in the filters folder that nothing uses: with a configuration, a `[[filter]]` must name each.
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

/// The lines of a configuration that make it use a module of the filters folder.
pub fn lines_to_use(module: &Path) -> [String; 3] {
    // A text of JSON is one of TOML too.
    let text = |part: Option<&OsStr>| Value::from(part.unwrap_or_default().to_string_lossy()).to_string();
    let (name, file) = (text(module.file_stem()), text(module.file_name()));
    ["[[filter]]".to_owned(), format!("name = {name}"), format!("module = {file}")]
}

/// The modules in a folder, by name.
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
