//! Finds a compiler and runs it.
//!
//! Searches the project's folder and its parents where package managers install programs (`.venv/bin`,
//! `node_modules/.bin`), then `PATH`. A program counts as found if it answers a question, such as `version`, with
//! success.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::manifest::Manifest;

/// Where package managers install programs, in a project's folder or a parent.
const LOCAL_FOLDERS: [&str; 3] = [".venv/bin", "venv/bin", "node_modules/.bin"];

/// The first of several commands that answers `question` with success. Each is a program and its first arguments:
/// `["python3", "-m", "ziglang"]`.
pub fn find(folder: &Path, commands: &[&[&str]], question: &[&str]) -> Option<Command> {
    commands.iter().find_map(|words| {
        let answers = |mut command: Command| {
            command.args(question).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        answers(command(folder, words)?).then(|| command(folder, words))?
    })
}

/// Like [`find`]. The error says what the language needs and how to install it.
pub fn require(manifest: &Manifest, commands: &[&[&str]], question: &[&str]) -> anyhow::Result<Command> {
    find(&manifest.folder, commands, question).with_context(|| {
        let language = manifest.language;
        format!(
            "filter `{}`: {} needs {}, which was not found; get it with {}, then try again",
            manifest.name, language.title, language.needs, language.get
        )
    })
}

fn command(folder: &Path, words: &[&str]) -> Option<Command> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(local(folder, program).unwrap_or_else(|| program.into()));
    command.args(arguments);
    Some(command)
}

fn local(folder: &Path, program: &str) -> Option<PathBuf> {
    let places = folder.ancestors().flat_map(|above| LOCAL_FOLDERS.map(|local| above.join(local).join(program)));
    places.into_iter().find(|place| place.is_file())
}

/// Runs a compiler in the project's folder. Its output goes to the terminal.
pub fn run(manifest: &Manifest, mut command: Command) -> anyhow::Result<()> {
    let program = PathBuf::from(command.get_program());
    let shown = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    command.current_dir(&manifest.folder).stdin(Stdio::null());
    let status = command.status().with_context(|| format!("filter `{}`: can't run {shown}", manifest.name))?;
    if !status.success() {
        bail!("filter `{}`: {shown} failed ({status}); see its output above", manifest.name);
    }
    Ok(())
}
