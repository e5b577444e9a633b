//! Projects of filters, in any language: `weir filter new` writes one, `weir filter build` makes a module of it.
//!
//! A project is a folder with a `filter.toml`, which names the filter and its language; a folder with a `Cargo.toml`
//! alone is one in Rust. Building is the same for all: the language's compiler leaves a file, the engine makes a
//! component of it, the component is loaded, configured and tried on the project's samples, and only then put in place.
//!
//! | file | what it is for |
//! |---|---|
//! | `languages/` | one file for each language: its example, its helper, how its compiler is found and called |
//! | `manifest` | `filter.toml`, and the folders of a project |
//! | `write` | writes a new project |
//! | `tool` | finds a compiler, or says how to get it |
//! | `check` | loads what was built and tries it on samples |
//! | `watch` | builds again whenever a source is saved |
//! | `cargo`, `rust` | what cargo knows of a project; a Rust that compiles for WebAssembly |
//! | `bundled` | the filters inside the binary, their manifest and its check |
//!
//! Nothing here needs a network, but the package managers that a compiler fetches dependencies with. **A module that
//! doesn't load is never put in place.**

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
pub use check::Tried;
pub use languages::LANGUAGES;
pub use manifest::Manifest;
pub use watch::{newer_source, watch};
pub use write::write;

/// What became of a project.
pub struct Built {
    /// The component, beside the sources.
    pub module: PathBuf,
    pub bytes: usize,
    /// What it did to the samples.
    pub tried: Tried,
}

/// Builds the filter in a folder, tries it, and puts its component beside the sources.
pub fn build(folder: &Path) -> anyhow::Result<Built> {
    let manifest = Manifest::read(folder)?;
    let name = &manifest.name;
    let left = (manifest.language.build)(&manifest)?;
    let file = fs::read(&left).with_context(|| format!("filter `{name}`: can't read `{}`", left.display()))?;
    let component =
        weir_engine::component_bytes(&file).map_err(|problem| anyhow::anyhow!("filter `{name}`: {problem}"))?;
    let tried = check::check(&manifest, &component)?;
    let module = manifest.module();
    put(&component, &module)?;
    Ok(Built { module, bytes: component.len(), tried })
}

/// Puts a file in place in one step, so that nobody reads half of it.
pub fn put(bytes: &[u8], path: &Path) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    written.with_context(|| format!("can't write `{}`", path.display()))
}
