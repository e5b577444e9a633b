//! Toolchains and manifests that are made of folders and files alone; nothing is compiled here.

use std::fs;
use std::path::Path;

use super::bundled::check_manifest;
use super::cargo::Project;
use super::rust::{TARGET, Toolchain};

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn an_installed_target_is_taken_before_sources() {
    let own = tempfile::tempdir().unwrap();
    put(own.path(), &format!("lib/rustlib/{TARGET}/lib/libstd-1.rlib"), "");
    let debian = tempfile::tempdir().unwrap();
    put(debian.path(), "lib/rustlib/src/rust/library/std/Cargo.toml", "");
    let chosen = Toolchain::choose(Some(own.path().into()), Some(debian.path().into())).unwrap();
    assert_eq!(chosen, Toolchain::Installed);
}

#[test]
fn sources_are_built_with_the_linker_of_any_toolchain() {
    let own = tempfile::tempdir().unwrap();
    put(own.path(), "lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld", "");
    let debian = tempfile::tempdir().unwrap();
    put(debian.path(), "lib/rustlib/src/rust/library/std/Cargo.toml", "");
    let chosen = Toolchain::choose(Some(own.path().into()), Some(debian.path().into())).unwrap();
    let Toolchain::FromSource { rustc, linker } = chosen else { panic!("{chosen:?}") };
    assert_eq!(rustc, Path::new("/usr/bin/rustc"));
    assert!(linker.starts_with(own.path()), "{linker:?}");
}

#[test]
fn without_a_toolchain_the_error_says_how_to_get_one() {
    let error = Toolchain::choose(None, None).unwrap_err().to_string();
    assert!(error.contains("rustup target add") && error.contains("rustc-web"), "{error}");
}

#[test]
fn a_folder_that_is_no_filter_is_refused_with_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let error = format!("{:#}", Project::read(folder.path()).unwrap_err());
    assert!(error.contains("no Cargo.toml"), "{error}");
    put(folder.path(), "Cargo.toml", "[package]\nname = \"x\"\nversion = \"0.1.0\"\n[workspace]\n");
    put(folder.path(), "src/lib.rs", "");
    let error = format!("{:#}", Project::read(folder.path()).unwrap_err());
    assert!(error.contains("cdylib"), "{error}");
    put(
        folder.path(),
        "Cargo.toml",
        "[package]\nname = \"a-b\"\nversion = \"0.1.0\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n",
    );
    let project = Project::read(folder.path()).unwrap();
    assert_eq!((project.library.as_str(), project.version.as_str()), ("a_b", "0.1.0"));
}

#[test]
fn the_bundled_filters_are_built_from_the_sources_that_are_there() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    check_manifest(&repo).unwrap_or_else(|error| panic!("{error:#}"));
}
