//! Builds filters: `weir filter build`.
//!
//! A filter project is a folder with a `Cargo.toml` whose library is a `cdylib`. What is built is a core module
//! that carries its component type; the engine makes the component of it. The filters that come inside the binary
//! are built the same way, with a manifest that says of which sources.
//!
//! | file | what it is for |
//! |---|---|
//! | `toolchain` | finds a Rust that compiles for WebAssembly, or says how to get one |
//! | `project` | what cargo knows of a project: name, version, folders |
//! | `bundled` | the filters inside the binary, their manifest and its check |
//!
//! Nothing here needs a network unless cargo has to fetch a dependency.

mod bundled;
mod project;
#[cfg(test)]
mod tests;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

pub use bundled::build_bundled;
use project::Project;
use toolchain::{TARGET, Toolchain};

/// The profile that filters of a workspace that has it are built with.
const PROFILE: &str = "wasm";

/// Builds the filter in a folder and returns its module.
pub fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let project = Project::read(folder)?;
    let toolchain = Toolchain::find()?;
    build_with(&toolchain, &project)
}

fn build_with(toolchain: &Toolchain, project: &Project) -> anyhow::Result<PathBuf> {
    // A folder of its own: the flags differ from those of native builds, which would be built again each time.
    let target_folder = project.target_folder.join("wasm");
    let profile = if project.has_profile(PROFILE)? { PROFILE } else { "release" };
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(&project.folder)
        .args(["build", "--target", TARGET, "--profile", profile, "--package", &project.package])
        .arg("--target-dir")
        .arg(&target_folder);
    let status = cargo.status().context("can't run cargo; install Rust from https://rustup.rs")?;
    if !status.success() {
        bail!("filter `{}`: cargo failed ({status}); what it said stands above", project.package);
    }
    let module = target_folder.join(TARGET).join(profile).join(format!("{}.wasm", project.library));
    if !module.is_file() {
        bail!(
            "filter `{}`: cargo built no `{}`; set `crate-type = [\"cdylib\"]` under `[lib]` in its Cargo.toml",
            project.package,
            module.display()
        );
    }
    Ok(module)
}
