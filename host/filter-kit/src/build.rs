//! Filter projects in any language: `weir filter new` creates one, `weir filter build` compiles it to a module.
//!
//! A project is a folder with a `filter.toml`, which gives the filter's name and language. A folder with only a
//! `Cargo.toml` is a Rust project. Building works the same for all: the language's compiler writes a file, the engine
//! makes a component of it, and the component is loaded, configured and tried on the project's samples before it is put
//! in place.
//!
//! | file | purpose |
//! |---|---|
//! | `languages/` | one file per language: its example, its SDK, how to find and run its compiler |
//! | `manifest` | `filter.toml`, and the folders of a project |
//! | `write` | writes a new project |
//! | `tool` | finds a compiler, or explains how to install it |
//! | `check` | loads the component and tries it on samples |
//! | `watch` | rebuilds when a source is saved |
//! | `cargo`, `rust` | reads cargo's metadata; finds a Rust toolchain for WebAssembly |
//! | `bundled` | builds the bundled filters and their manifest, and checks it |
//!
//! Nothing here needs a network, except package managers that fetch a project's dependencies. **A module that doesn't
//! load is never put in place.**

mod bundled;
mod cargo;
mod check;
mod languages;
mod manifest;
mod rust;
#[cfg(test)]
mod tests;
mod tool;
mod watch;
mod write;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

pub use bundled::build_bundled;
pub use check::TrialSummary;
pub use languages::LANGUAGES;
pub use manifest::Manifest;
pub use watch::{newer_source, watch};
pub use write::write;

/// The result of a build.
pub struct BuildOutput {
    /// The component, next to the sources.
    pub module: PathBuf,
    pub bytes: usize,
    /// What it did to the samples.
    pub tried: TrialSummary,
}

/// Builds the filter in a folder, tries it, and writes its component next to the sources.
pub fn build(folder: &Path) -> anyhow::Result<BuildOutput> {
    let manifest = Manifest::read(folder)?;
    let name = &manifest.name;
    let left = (manifest.language.build)(&manifest)?;
    let file = fs::read(&left).with_context(|| format!("filter `{name}`: can't read `{}`", left.display()))?;
    let component =
        weir_engine::component_bytes(&file).map_err(|problem| anyhow::anyhow!("filter `{name}`: {problem}"))?;
    let tried = check::check(&manifest, &component)?;
    let module = manifest.module();
    put(&component, &module)?;
    Ok(BuildOutput { module, bytes: component.len(), tried })
}

/// Writes a file atomically, so that nobody reads a part of it.
pub fn put(bytes: &[u8], path: &Path) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.with_context(|| format!("can't write `{}`", path.display()))
}
