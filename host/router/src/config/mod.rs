//! The configuration: from a TOML file to [`Settings`], or to every reason why not.
//!
//! | file | purpose |
//! |---|---|
//! | `raw` | the sections and keys, their defaults and descriptions |
//! | `schema` | one JSON Schema of all that, with the sinks' own |
//! | `meaning` | what no schema can state; raw to `Settings`; what can't have been meant; what filters say |
//! | `settings` | what the rest of the binary sees |
//! | `diff` | what changed between two settings |
//! | `address`, `names`, `limits` | addresses, what names may be, bounds |
//!
//! **Never starts anything and never touches a path it names**: it reads one file and the environment it is given, and
//! builds sinks only to hear their objections. Who wants to hear those of filters brings the means (`load_and_ask`). Start, reload, `weir validate` and the tests over `examples/config` take
//! this one path. A load gives settings without any problem, or all the problems: nothing in between.
//!
//! A file without `[[filter]]` has the bundled `redact`, and one without `[sink.…]` has those that `WEIR_SINKS` names,
//! or `console` and `sqlite`, so an empty file does something useful; `filter = []` or an empty `[sink]` says none.

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
use weir_document::{Environment, Problem, Problems, Syntax};

pub use address::address;
pub use diff::diff;
pub use names::{is_name, name_rule};
pub use schema::schema;
pub use settings::{
    CanarySettings, FilterSettings, Keep, LogFormat, LogSettings, Module, OnError, Overrides, Settings, SinkSettings,
    StandardKey, Sync, WhenFull,
};

/// What `weir config init` prints.
pub const START: &str = include_str!("../../../../examples/config/start.toml");

/// Why a filter can't be used.
#[derive(Debug)]
pub enum Refusal {
    /// What it has against its options, mistake by mistake.
    Options(Vec<String>),
    /// Anything else.
    Filter(String),
}

/// Asks a filter whether it can be used; nothing is wrong with its table.
pub type Ask<'a> = &'a mut dyn FnMut(&Settings, &FilterSettings) -> Option<Refusal>;

/// Reads the file. Its paths are relative to the folder it lies in; `environment` gives the variables.
pub fn load(path: &Path, environment: Environment<'_>) -> Result<Settings, Problems> {
    load_and_ask(path, environment, &mut |_, _| None)
}

/// The same, and what the filters themselves have against it is a problem like any other.
pub fn load_and_ask(path: &Path, environment: Environment<'_>, ask: Ask<'_>) -> Result<Settings, Problems> {
    let file = path.display().to_string();
    let bytes = match read_bounded(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let problem = Problem::of_file(format!("can't read `{file}`: {error}"));
            return Err(Problems::new(file, String::new(), vec![problem]));
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

/// The same for a file in memory, called `file` in messages.
fn load_bytes(
    file: &str,
    folder: &Path,
    bytes: &[u8],
    environment: Environment<'_>,
    ask: Ask<'_>,
) -> Result<Settings, Problems> {
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
