//! `filter.toml`, the manifest of a project.
//!
//! ```toml
//! name = "shout"            # the module is shout.wasm
//! language = "zig"
//! output = "shout.wasm"     # optional
//! stateful = true           # for JavaScript, TypeScript and Python: it has tick, save and restore
//! holds = true              # for JavaScript and TypeScript: stateful, and holds records
//! ```
//!
//! Two optional files next to it are `options.toml`, the options for trying the filter, and `samples.jsonl`, the
//! records.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::cargo::Project;
use super::languages::{self, Language};

/// The name of the manifest. A folder with it is a project.
const FILE: &str = "filter.toml";

/// The folder for compiler output, in a project's folder.
const BUILD_FOLDER: &str = "target";

/// A filter's project.
pub struct Manifest {
    pub folder: PathBuf,
    pub name: String,
    pub language: &'static Language,
    /// Path of the component in the folder.
    output: PathBuf,
    /// Whether it is stateful, for languages whose compilers need to be told.
    stateful: bool,
    /// Whether it holds records, likewise.
    holds: bool,
}

/// The languages whose filters hold records if the manifest says so.
const HOLD_BY_MANIFEST: [&str; 2] = ["js", "ts"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    name: String,
    language: String,
    output: Option<PathBuf>,
    #[serde(default)]
    stateful: bool,
    #[serde(default)]
    holds: bool,
}

impl Manifest {
    /// Reads the project in a folder.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Self::of_cargo(folder);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("can't read `{}`", path.display()))?;
        let written: RawManifest = toml::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
        check_name(&written.name).with_context(|| format!("`{}`", path.display()))?;
        let language = languages::find(&written.language).with_context(|| format!("`{}`", path.display()))?;
        if written.holds && !HOLD_BY_MANIFEST.contains(&language.name) {
            bail!(
                "`{}`: `holds` is for JavaScript and TypeScript; in Rust `export!(holding …)` says it, in C \
                 `#define WEIR_HOLDING`, and the other languages' helpers can't hold records",
                path.display()
            );
        }
        let folder = fs::canonicalize(folder).with_context(|| format!("can't open `{}`", folder.display()))?;
        let output = written.output.clone().unwrap_or_else(|| format!("{}.wasm", written.name).into());
        let RawManifest { name, stateful, holds, .. } = written;
        Ok(Self { folder, name, language, output, stateful, holds })
    }

    /// A crate without a `filter.toml`.
    fn of_cargo(folder: &Path) -> anyhow::Result<Self> {
        if !folder.join("Cargo.toml").is_file() {
            bail!(
                "no filter project in `{}`: it has no {FILE} (nor a Cargo.toml); make one with `weir filter new`",
                folder.display()
            );
        }
        let project = Project::read(folder)?;
        Ok(Self {
            name: project.package,
            language: &languages::rust::LANGUAGE,
            output: format!("{}.wasm", project.library).into(),
            folder: project.folder,
            stateful: false,
            holds: false,
        })
    }

    /// The world that a packed filter of this project is built for.
    pub fn packed_world(&self) -> &'static str {
        match (self.holds, self.stateful) {
            (true, _) => "holding-filter",
            (false, true) => "stateful-packed-filter",
            (false, false) => "packed-filter",
        }
    }

    /// The path of the component.
    pub fn module(&self) -> PathBuf {
        self.folder.join(&self.output)
    }

    /// The folder for compiler output, which can be deleted at any time. Created if missing.
    pub fn build_folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(BUILD_FOLDER);
        fs::create_dir_all(&folder).with_context(|| format!("can't create `{}`", folder.display()))?;
        Ok(folder)
    }
}

/// A filter's name is used as a file name, as a package name in several languages, and as a label of metrics.
pub fn check_name(name: &str) -> anyhow::Result<()> {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if !starts || !name.bytes().all(fine) || name.len() > 40 || name.ends_with('-') {
        bail!("`{name}` can't be a filter's name; use up to 40 of a-z, 0-9 and `-`, starting with a letter");
    }
    Ok(())
}
