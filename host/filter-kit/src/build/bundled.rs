//! Builds the bundled filters, and the manifest of their sources.
//!
//! `filters/bundled/` has one module per filter, and a `manifest.toml` with the version, the digest of the module and a
//! digest of the sources. A test fails if sources have changed without a rebuild. The digest covers what determines the
//! module and is part of the repository: the filter's `Cargo.toml` and `src`, `guest-sdk/rust`, `wit/v1` and `wit/v2`,
//! and for filters that take queries the crates `host/query` and `host/record`.
//! It does not cover the lock file, which changes with every crate of the workspace.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context;
use weir_engine::digest;

use super::cargo::Project;
use super::rust::Toolchain;
use crate::bundled;

/// Sources that all filters share.
const SHARED_SOURCES: [&str; 6] = [
    "guest-sdk/rust/Cargo.toml",
    "guest-sdk/rust/src",
    "guest-sdk/rust/wire/Cargo.toml",
    "guest-sdk/rust/wire/src",
    "wit/v1",
    "wit/v2",
];

/// Sources of the filters that depend on `weir-query`.
const QUERY_SOURCES: [&str; 4] =
    ["host/query/Cargo.toml", "host/query/src", "host/record/Cargo.toml", "host/record/src"];

const REBUILD_HINT: &str = "run `weir filter build --bundled` in the repository and commit `filters/bundled/`";

#[cfg(test)]
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    filter: Vec<ManifestEntry>,
}

/// The entry of a filter.
#[cfg_attr(test, derive(serde::Deserialize), serde(deny_unknown_fields))]
struct ManifestEntry {
    name: String,
    version: String,
    /// SHA-256 digest of the module.
    module: String,
    /// SHA-256 digest of the sources.
    sources: String,
}

/// Builds all bundled filters of a repository, and writes the modules and the manifest to `folder`.
pub fn build_bundled(repo: &Path, folder: &Path) -> anyhow::Result<()> {
    let toolchain = Toolchain::find(repo)?;
    fs::create_dir_all(folder).with_context(|| format!("can't create `{}`", folder.display()))?;
    let mut entries = Vec::new();
    for name in bundled::names() {
        let project = Project::read(&repo.join("filters").join(name))?;
        // Computed before the build, so that a change during the build is noticed.
        let sources = sources_digest(repo, name)?;
        let built = super::languages::rust::compile(&toolchain, &project)?;
        let bytes = read(&built)?;
        let module = folder.join(format!("{name}.wasm"));
        fs::write(&module, &bytes).with_context(|| format!("can't write `{}`", module.display()))?;
        entries.push(ManifestEntry {
            name: name.to_owned(),
            version: project.version,
            module: digest(&bytes),
            sources,
        });
        eprintln!("built {}", module.display());
    }
    let path = folder.join("manifest.toml");
    fs::write(&path, write_manifest(&entries)).with_context(|| format!("can't write `{}`", path.display()))
}

/// Checks that the modules in `filters/bundled/` match the manifest and the current sources. The error lists every
/// filter that does not, and what to do.
#[cfg(test)]
pub fn check_manifest(repo: &Path) -> anyhow::Result<()> {
    let path = repo.join("filters/bundled/manifest.toml");
    let text = String::from_utf8(read(&path)?).with_context(|| format!("`{}` is not UTF-8 text", path.display()))?;
    let manifest: Manifest = toml::from_str(&text).with_context(|| format!("`{}`; {REBUILD_HINT}", path.display()))?;
    let mut problems = Vec::new();
    for name in bundled::names() {
        let Some(entry) = manifest.filter.iter().find(|entry| entry.name == name) else {
            problems.push(format!("filter `{name}` is not in the manifest"));
            continue;
        };
        let module = read(&repo.join(format!("filters/bundled/{name}.wasm")))?;
        if digest(&module) != entry.module {
            problems.push(format!("filter `{name}`: its module does not match the manifest"));
        }
        if sources_digest(repo, name)? != entry.sources {
            problems.push(format!("filter `{name}`: its sources changed since its module was built"));
        }
    }
    if problems.is_empty() { Ok(()) } else { anyhow::bail!("{}; {REBUILD_HINT}", problems.join("; ")) }
}

fn write_manifest(entries: &[ManifestEntry]) -> String {
    let mut text = String::from("# Written by `weir filter build --bundled`; a test compares it with the sources.\n");
    for ManifestEntry { name, version, module, sources } in entries {
        // Writing to a string can't fail.
        let _ = write!(
            text,
            "\n[[filter]]\nname = \"{name}\"\nversion = \"{version}\"\nmodule = \"{module}\"\nsources = \"{sources}\"\n"
        );
    }
    text
}

/// A digest of all sources of a filter: the path and bytes of each file, in order of the paths.
fn sources_digest(repo: &Path, name: &str) -> anyhow::Result<String> {
    let own = [format!("filters/{name}/Cargo.toml"), format!("filters/{name}/src")];
    let takes_queries = String::from_utf8_lossy(&read(&repo.join(&own[0]))?).contains("\nweir-query ");
    let queries = if takes_queries { &QUERY_SOURCES[..] } else { &[] };
    let mut files = Vec::new();
    for source in own.iter().map(String::as_str).chain(SHARED_SOURCES).chain(queries.iter().copied()) {
        collect(repo, Path::new(source), &mut files)?;
    }
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let bytes = read(&repo.join(&file))?;
        all.extend(format!("{file}\n{}\n", bytes.len()).into_bytes());
        all.extend(bytes);
    }
    Ok(digest(&all))
}

/// Collects all files at a path of the repository, with `/` in their paths on every platform.
fn collect(repo: &Path, path: &Path, files: &mut Vec<String>) -> anyhow::Result<()> {
    let full = repo.join(path);
    if full.is_dir() {
        let entries = full.read_dir().with_context(|| format!("can't read `{}`", full.display()))?;
        for entry in entries {
            collect(repo, &path.join(entry?.file_name()), files)?;
        }
        return Ok(());
    }
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    files.push(parts.join("/"));
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("can't read `{}`; {REBUILD_HINT}", path.display()))
}
