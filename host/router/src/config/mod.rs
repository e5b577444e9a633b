//! Loads the configuration: from a TOML file to [`Settings`], or to a report of all problems.
//!
//! | file | purpose |
//! |---|---|
//! | `raw` | sections and keys with their defaults and descriptions |
//! | `schema` | the JSON Schema of the file, including the options of sinks |
//! | `meaning` | converts raw values to `Settings`; rules that a schema can't express; warnings; errors of filters |
//! | `settings` | the validated settings |
//! | `diff` | compares settings, and finds keys that need a restart |
//! | `address`, `names`, `limits` | addresses, the rule for names, limits |
//!
//! **Loading starts nothing and doesn't access the paths in the file**: it reads one file and the given environment,
//! and builds sinks only to validate their options. To validate the options of filters as well, use [`load_and_check_filters`].
//! Startup, reload, `weir validate` and the tests of `examples/config` all use this code. The result is either valid
//! settings or all problems.
//!
//! Without `[[filter]]`, the bundled `redact` runs. Without `[sink.…]`, the sinks in `WEIR_SINKS` run, or `console` and
//! `sqlite`. So an empty file is useful; `filter = []` or an empty `[sink]` means none.

mod address;
mod diff;
mod limits;
mod meaning;
mod names;
mod raw;
mod schema;
mod settings;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use meaning::hints::Hint;
use weir_document::limits::MAX_FILE_BYTES;
use weir_document::{Diagnostic, Diagnostics, Environment, Syntax};

pub use address::address;
pub use names::{is_name, name_rule};
pub use schema::schema;
pub use settings::{
    CanarySettings, EncryptionSettings, FilterSettings, Keep, KeySource, ListenSettings, LogFormat, LogSettings,
    Module, OnError, Overrides, Settings, SinkSettings, SourceSettings, Spoken, StandardKey, Sync, TokenSecret,
    TokenSettings, WhenFull,
};

/// The output of `weir config init`.
pub const START: &str = include_str!("../../../../examples/config/start.toml");

/// Why a filter can't be used.
#[derive(Debug)]
pub enum FilterError {
    /// Errors in its options, one by one.
    Options(Vec<String>),
    /// Any other error.
    Filter(String),
}

/// Checks whether a filter can be used; called only if its table is valid.
pub type FilterCheck<'a> = &'a mut dyn FnMut(&Settings, &FilterSettings) -> Option<FilterError>;

/// Loads the file. Paths are relative to its folder; `environment` looks up variables.
pub fn load(path: &Path, environment: Environment<'_>) -> Result<Settings, Diagnostics> {
    load_and_check_filters(path, environment, &mut |_, _| None)
}

/// Like [`load`], but also reports the errors of filters.
pub fn load_and_check_filters(
    path: &Path,
    environment: Environment<'_>,
    ask: FilterCheck<'_>,
) -> Result<Settings, Diagnostics> {
    let file = path.display().to_string();
    let bytes = match read_bounded(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let problem = Diagnostic::of_file(format!("can't read `{file}`: {error}"));
            return Err(Diagnostics::new(file, String::new(), vec![problem]));
        }
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    load_bytes(&file, folder, &bytes, environment, ask)
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?.take(MAX_FILE_BYTES + 1);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Loads a file from memory. Messages refer to it as `file`.
fn load_bytes(
    file: &str,
    folder: &Path,
    bytes: &[u8],
    environment: Environment<'_>,
    ask: FilterCheck<'_>,
) -> Result<Settings, Diagnostics> {
    let mut document =
        weir_document::read::<raw::Config>(file, bytes, Syntax::Toml, &schema::SCHEMA, Some(environment))?;
    let (raw, problems) = (std::mem::take(&mut document.value), &mut document.problems);
    let mut settings = meaning::read(raw, &document.root, folder, environment, problems);
    meaning::refusals::ask(&settings, &document.root, ask, problems);
    if problems.is_empty() {
        let hints = meaning::hints::hints(&settings, &document.root);
        let (sure, unsure): (Vec<Hint>, Vec<Hint>) = hints.into_iter().partition(|hint| hint.is_sure);
        let lines = |hints: Vec<Hint>| {
            document.report(hints.into_iter().map(|hint| hint.problem).collect()).lines().collect::<Vec<_>>()
        };
        settings.warnings.extend(lines(sure));
        settings.notes.extend(lines(unsure));
    }
    document.finish().map(|_| settings)
}
