//! Reads what cargo knows about a filter's project.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

/// A filter's package, from `cargo metadata`.
#[derive(Debug)]
pub struct Project {
    /// The folder of its `Cargo.toml`.
    pub folder: PathBuf,
    /// The package's name.
    pub package: String,
    pub version: String,
    /// The name of the library as used in file names.
    pub library: String,
    /// The target folder of the workspace.
    pub target_folder: PathBuf,
    workspace_folder: PathBuf,
}

impl Project {
    /// Runs `cargo metadata` for the package in a folder.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let manifest = folder.join("Cargo.toml");
        let manifest = fs::canonicalize(&manifest)
            .with_context(|| format!("no filter project in `{}`: it has no Cargo.toml", folder.display()))?;
        let output = Command::new("cargo")
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(&manifest)
            .output()
            .context("can't run cargo; install Rust from https://rustup.rs")?;
        if !output.status.success() {
            bail!("{}: {}", manifest.display(), String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
        Self::from_metadata(&metadata, &manifest)
    }

    fn from_metadata(metadata: &Value, manifest: &Path) -> anyhow::Result<Self> {
        let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let here = |package: &&Value| package["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest);
        let package = packages
            .iter()
            .find(here)
            .with_context(|| format!("{} has no [package]; name the folder of one filter", manifest.display()))?;
        let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_module = |target: &&Value| {
            target["crate_types"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
        };
        let library = targets.iter().find(is_module).with_context(|| {
            format!("{} builds no module; set `crate-type = [\"cdylib\"]` under `[lib]`", manifest.display())
        })?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Project {
            folder: manifest.parent().unwrap_or(Path::new(".")).to_owned(),
            package: text(&package["name"]),
            version: text(&package["version"]),
            library: text(&library["name"]).replace('-', "_"),
            target_folder: text(&metadata["target_directory"]).into(),
            workspace_folder: text(&metadata["workspace_root"]).into(),
        })
    }

    /// Whether the workspace defines a profile.
    pub fn has_profile(&self, profile: &str) -> anyhow::Result<bool> {
        let path = self.workspace_folder.join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("can't read `{}`", path.display()))?;
        Ok(text.lines().any(|line| line.trim() == format!("[profile.{profile}]")))
    }
}
