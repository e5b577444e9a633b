//! Rust: cargo, for `wasm32-unknown-unknown`. A project includes the SDK as a crate in its folder, so that it can be
//! built anywhere.

use std::path::PathBuf;

use anyhow::{Context, bail};

use super::{File, Language, file};
use crate::build::cargo::Project;
use crate::build::manifest::Manifest;
use crate::build::rust::{TARGET, Toolchain};

pub const LANGUAGE: Language = Language {
    name: "rust",
    title: "Rust",
    source: "src/lib.rs",
    needs: "Rust with the target wasm32-unknown-unknown",
    get: "https://rustup.rs and `rustup target add wasm32-unknown-unknown`, or on Debian and Ubuntu `apt-get install \
          rustc-web rust-web-src`",
    files: FILES,
    build,
};

const FILES: &[File] = &[
    file!("Cargo.toml" = "examples/filters/rust/Cargo.toml", beside_sdk),
    file!("src/lib.rs" = "examples/filters/rust/src/lib.rs"),
    file!("weir-guest/Cargo.toml" = "guest-sdk/rust/Cargo.toml", standalone),
    file!("weir-guest/wit/v1/filter.wit" = "wit/v1/filter.wit"),
    file!("weir-guest/wit/v2/filter.wit" = "wit/v2/filter.wit"),
    file!("weir-guest/src/lib.rs" = "guest-sdk/rust/src/lib.rs"),
    file!("weir-guest/src/bindings.rs" = "guest-sdk/rust/src/bindings.rs", beside_wit),
    file!("weir-guest/src/edit.rs" = "guest-sdk/rust/src/edit.rs"),
    file!("weir-guest/src/edit/tree.rs" = "guest-sdk/rust/src/edit/tree.rs"),
    file!("weir-guest/src/edit/write.rs" = "guest-sdk/rust/src/edit/write.rs"),
    file!("weir-guest/src/encode.rs" = "guest-sdk/rust/src/encode.rs"),
    file!("weir-guest/src/fake.rs" = "guest-sdk/rust/src/fake.rs"),
    file!("weir-guest/src/filter.rs" = "guest-sdk/rust/src/filter.rs"),
    file!("weir-guest/src/guest.rs" = "guest-sdk/rust/src/guest.rs"),
    file!("weir-guest/src/hash.rs" = "guest-sdk/rust/src/hash.rs"),
    file!("weir-guest/src/holding.rs" = "guest-sdk/rust/src/holding.rs"),
    file!("weir-guest/src/host.rs" = "guest-sdk/rust/src/host.rs"),
    file!("weir-guest/src/level.rs" = "guest-sdk/rust/src/level.rs"),
    file!("weir-guest/src/new_record.rs" = "guest-sdk/rust/src/new_record.rs"),
    file!("weir-guest/src/options.rs" = "guest-sdk/rust/src/options.rs"),
    file!("weir-guest/src/options/nearest.rs" = "guest-sdk/rust/src/options/nearest.rs"),
    file!("weir-guest/src/options/rest.rs" = "guest-sdk/rust/src/options/rest.rs"),
    file!("weir-guest/src/output.rs" = "guest-sdk/rust/src/output.rs"),
    file!("weir-guest/src/record.rs" = "guest-sdk/rust/src/record.rs"),
    file!("weir-guest/src/testing.rs" = "guest-sdk/rust/src/testing.rs"),
    file!("weir-guest/src/testing/holding.rs" = "guest-sdk/rust/src/testing/holding.rs"),
    file!("weir-guest/src/tests.rs" = "guest-sdk/rust/src/tests.rs"),
    file!("weir-guest/src/tests/holding.rs" = "guest-sdk/rust/src/tests/holding.rs"),
    file!("weir-guest/src/state.rs" = "guest-sdk/rust/src/state.rs"),
    file!("weir-guest/src/time.rs" = "guest-sdk/rust/src/time.rs"),
    file!("weir-guest/src/value.rs" = "guest-sdk/rust/src/value.rs"),
    file!("weir-guest/wire/Cargo.toml" = "guest-sdk/rust/wire/Cargo.toml", standalone),
    file!("weir-guest/wire/src/lib.rs" = "guest-sdk/rust/wire/src/lib.rs"),
    file!("weir-guest/wire/src/path.rs" = "guest-sdk/rust/wire/src/path.rs"),
    file!("weir-guest/wire/src/token.rs" = "guest-sdk/rust/wire/src/token.rs"),
    file!("weir-guest/wire/src/value.rs" = "guest-sdk/rust/wire/src/value.rs"),
];

/// The manifest with the values that the SDK's manifests inherit.
const WORKSPACE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"));

/// The workspace of a new project, with the same profile for filters as this repository's.
const OWN_WORKSPACE: &str = "
[profile.wasm]
# BuildOutput once, run for every record.
inherits = \"release\"
opt-level = 3
lto = \"fat\"
codegen-units = 1
panic = \"abort\"
strip = true
debug = false

# A workspace of its own, wherever it lies.
[workspace]
";

/// The profile for filters, where there is one.
const PROFILE: &str = "wasm";

fn build(manifest: &Manifest) -> anyhow::Result<PathBuf> {
    let project = Project::read(&manifest.folder)?;
    let toolchain = Toolchain::find(&project.folder)?;
    compile(&toolchain, &project)
}

/// Runs cargo and returns the path of the module.
pub fn compile(toolchain: &Toolchain, project: &Project) -> anyhow::Result<PathBuf> {
    // A separate folder, because the flags differ from native builds and sharing it would rebuild both each time.
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
        bail!("filter `{}`: cargo failed ({status}); see its output above", project.package);
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

fn beside_sdk(text: &str) -> String {
    text.replace("../../../guest-sdk/rust", "weir-guest") + OWN_WORKSPACE
}

fn beside_wit(text: &str) -> String {
    text.replace("../../wit", "wit")
}

/// Replaces inherited values with those of the workspace, whose lints are for this repository only.
fn standalone(text: &str) -> String {
    let (manifest, _lints) = text.split_once("\n[lints]\n").unwrap_or((text, ""));
    let mut whole = String::new();
    for line in manifest.lines() {
        let value = line.strip_suffix(".workspace = true").and_then(|key| {
            let key = format!("{key} = ");
            WORKSPACE.lines().find(|line| line.starts_with(&key))
        });
        whole.push_str(&value.unwrap_or(line).replace("../../wit", "wit"));
        whole.push('\n');
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_sdk_is_self_contained() {
        for file in FILES {
            let text = (file.adapt)(file.text);
            assert!(!text.contains("workspace = true") && !text.contains("../"), "{}: {text}", file.path);
        }
        let manifest = FILES.iter().find(|file| file.path == "weir-guest/Cargo.toml").unwrap();
        let manifest: toml::Table = toml::from_str(&(manifest.adapt)(manifest.text)).unwrap();
        assert_eq!(manifest["package"]["edition"].as_str(), Some("2024"));
        assert_eq!(manifest["dependencies"]["serde"]["features"][0].as_str(), Some("derive"));
    }
}
