//! Finds the module in a folder, and the cases and samples next to it.

use std::path::{Path, PathBuf};

use anyhow::bail;

use super::TestArgs;
use crate::Source;

/// Names of case files, in order of preference.
const CASES: [&str; 2] = ["cases.toml", "cases.json"];
/// Names of sample files, in order of preference.
const SAMPLES: [&str; 3] = ["samples.jsonl", "samples.ndjson", "samples.json"];

/// The files to use.
#[derive(Debug)]
pub struct Target {
    pub source: Source,
    pub cases: Option<PathBuf>,
    pub samples: Option<PathBuf>,
}

impl Target {
    /// Finds everything that the arguments name, and the default files.
    pub fn find(args: &TestArgs) -> anyhow::Result<Target> {
        let source = Source::parse(&args.target);
        let (source, folder) = match source {
            Source::File(path) if path.is_dir() => (Source::File(module_in(&path)?), Some(path)),
            Source::File(path) => {
                let folder = path.parent().map(Path::to_path_buf);
                (Source::File(path), folder)
            }
            bundled => (bundled, None),
        };
        let beside = |names: &[&str]| {
            let folder = folder.as_ref()?;
            names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
        };
        Ok(Target {
            cases: args.cases.clone().or_else(|| beside(&CASES)),
            samples: args.samples.clone().or_else(|| beside(&SAMPLES)),
            source,
        })
    }
}

/// The only module in a folder.
fn module_in(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut modules: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "wasm") && path.is_file())
        .collect();
    modules.sort();
    match modules.len() {
        1 => Ok(modules.remove(0)),
        0 => bail!(
            "there is no module in {folder}; build it with `weir filter build {folder}`",
            folder = folder.display()
        ),
        _ => {
            let names: Vec<_> = modules.iter().map(|path| path.display().to_string()).collect();
            bail!("there are several modules in {}; name one of {}", folder.display(), names.join(", "))
        }
    }
}
