//! The configuration: from a TOML file to [`Settings`], or to every reason why not.
//!
//! | file | purpose |
//! |---|---|
//! | `document` | TOML text to a tree in which everything knows its place |
//! | `environment` | `${NAME}` inside strings |
//! | `raw` | the sections and keys, their defaults and descriptions |
//! | `schema` | one JSON Schema of all that, with the sinks' own |
//! | `check` | the tree against the schema |
//! | `meaning` | what no schema can state; raw to `Settings`; what can't have been meant; what filters say |
//! | `settings` | what the rest of the binary sees |
//! | `diff` | what changed between two settings |
//! | `problems` | what is wrong, and how it is shown |
//! | `judged`, `json` | other files that people write, judged the same way |
//! | `address`, `names`, `suggest`, `limits` | addresses, what names may be, "did you mean", bounds |
//!
//! **Never starts anything and never touches a path it names**: it reads one file and the environment it is given, and
//! builds sinks only to hear their objections. Who wants to hear those of filters brings the means (`load_and_ask`). Start, reload, `weir validate` and the tests over `examples/config` take
//! this one path. A load gives settings without any problem, or all the problems: nothing in between.
//!
//! A file without `[[filter]]` has the bundled `redact`, and one without `[sink.…]` has those that `WEIR_SINKS` names,
//! or `console` and `sqlite`, so an empty file does something useful; `filter = []` or an empty `[sink]` says none.

mod address;
mod check;
mod diff;
mod document;
mod environment;
mod json;
mod judged;
mod limits;
mod meaning;
mod names;
mod problems;
mod raw;
mod schema;
mod settings;
mod suggest;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use meaning::hints::Hint;
use weir_sinks::units::Size;

pub use address::address;
pub use diff::diff;
pub use document::{Node, Value};
pub use environment::Environment;
pub use judged::{Judged, Syntax, judge};
pub use names::{is_name, name_rule};
pub use problems::{Problem, Problems};
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
    let mut file = File::open(path)?.take(limits::MAX_FILE_BYTES + 1);
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
    let source = text_of(file, bytes)?;
    let shown = |problems| Problems::new(file.to_owned(), source.to_owned(), problems);
    let (mut settings, hints) = read(source, folder, environment, ask).map_err(shown)?;
    let (sure, unsure): (Vec<Hint>, Vec<Hint>) = hints.into_iter().partition(|hint| hint.is_sure);
    let lines =
        |hints: Vec<Hint>| shown(hints.into_iter().map(|hint| hint.problem).collect()).lines().collect::<Vec<_>>();
    settings.warnings.extend(lines(sure));
    settings.notes.extend(lines(unsure));
    Ok(settings)
}

/// A file's text, called `file` in messages.
fn text_of<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Problems> {
    let refused = |source: String, problem| Problems::new(file.to_owned(), source, vec![problem]);
    if bytes.len() as u64 > limits::MAX_FILE_BYTES {
        let most = Size::from_bytes(limits::MAX_FILE_BYTES);
        let problem =
            Problem::of_file(format!("the file is larger than {most}")).help("is this the configuration of Weir?");
        return Err(refused(String::new(), problem));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(source) => Ok(source),
        Err(error) => {
            let at = error.valid_up_to();
            let mut problem = Problem::at(at..at + 1, "the file is not UTF-8");
            if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
                problem = problem.help("it is UTF-16: save it as UTF-8");
            }
            let shown = String::from_utf8_lossy(bytes).into_owned();
            Err(refused(shown, problem))
        }
    }
}

/// All stages over a text.
fn read(
    source: &str,
    folder: &Path,
    environment: Environment<'_>,
    ask: Ask<'_>,
) -> Result<(Settings, Vec<Hint>), Vec<Problem>> {
    let mut problems = Vec::new();
    let Some(mut root) = document::parse(source, &mut problems) else {
        return Err(problems);
    };
    environment::expand(&mut root, source, environment, &mut problems);
    problems.extend(check::check(&mut root, &schema::SCHEMA));
    let Ok(raw) = serde_json::from_value::<raw::Config>(root.to_json()) else {
        // The check let something through that the types refuse, which a test rules out for each key. The
        // error itself would quote values, perhaps secret ones.
        problems.push(Problem::of_file("this file does not read as its schema promises"));
        return Err(problems);
    };
    let settings = meaning::read(raw, &root, folder, environment, &mut problems);
    meaning::refusals::ask(&settings, &root, ask, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let hints = meaning::hints::hints(&settings, &root);
    Ok((settings, hints))
}
