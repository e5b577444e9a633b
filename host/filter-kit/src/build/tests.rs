//! Toolchains and manifests made of folders and files only; nothing is compiled.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::bundled::check_manifest;
use super::cargo::Project;
use super::languages::{COMMON, LANGUAGES};
use super::manifest::Manifest;
use super::rust::{TARGET, Toolchain};

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn an_installed_target_is_preferred_to_building_from_source() {
    let own = tempfile::tempdir().unwrap();
    put(own.path(), &format!("lib/rustlib/{TARGET}/lib/libstd-1.rlib"), "");
    let debian = tempfile::tempdir().unwrap();
    put(debian.path(), "lib/rustlib/src/rust/library/std/Cargo.toml", "");
    let chosen = Toolchain::choose(Some(own.path().into()), Some(debian.path().into())).unwrap();
    assert_eq!(chosen, Toolchain::Installed);
}

#[test]
fn building_from_source_uses_the_linker_of_any_toolchain() {
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
fn the_error_for_an_invalid_project_says_what_is_missing() {
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
fn the_bundled_filters_match_their_sources() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    check_manifest(&repo).unwrap_or_else(|error| panic!("{error:#}"));
}

/// The files of a folder that git tracks or would add.
fn listed(folder: &str) -> Vec<String> {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut git = Command::new("git");
    git.current_dir(repo).args(["ls-files", "--cached", "--others", "--exclude-standard", folder]);
    let output = git.output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_new_project_has_every_file_of_its_example_and_sdk() {
    for language in LANGUAGES {
        let from: Vec<&str> = language.files.iter().map(|file| file.from).collect();
        let example = listed(&format!("examples/filters/{}", language.name));
        let helper = listed(&format!("guest-sdk/{}", language.name));
        let is_wanted = |file: &&String| !file.ends_with("README.md") && !file.contains("/test_");
        for file in example.iter().chain(&helper).filter(is_wanted) {
            assert!(from.contains(&file.as_str()), "{}: `{file}` is not in its list", language.name);
        }
        let names = language.files.iter().map(|file| file.text).collect::<String>();
        assert!(names.contains("my-filter"), "{}: nothing has the name", language.name);
    }
    let common: Vec<&str> = COMMON.iter().map(|file| file.from).collect();
    assert_eq!(listed("examples/filters/project").len(), common.len());
}

#[test]
fn invalid_manifests_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let problem = |text: &str| {
        put(folder.path(), "filter.toml", text);
        let problem = Manifest::read(folder.path()).err().map(|error| format!("{error:#}"));
        problem.unwrap_or_default()
    };
    assert!(problem("name = \"a\"\nlanguage = \"cobol\"").contains("`cobol`"));
    assert!(problem("name = \"A b\"\nlanguage = \"c\"").contains("a-z"));
    assert!(problem("name = \"a\"\nlanguage = \"c\"\nouput = \"x\"").contains("ouput"));
    assert!(problem("name = \"a\"\nlanguage = \"c\"\nholds = true").contains("WEIR_HOLDING"));
    assert_eq!(problem("name = \"a\"\nlanguage = \"c\""), "");
    let manifest = Manifest::read(folder.path()).unwrap();
    assert!(manifest.module().ends_with("a.wasm"));
}

#[test]
fn the_manifest_determines_the_world() {
    let folder = tempfile::tempdir().unwrap();
    for (line, world) in [
        ("", "packed-filter"),
        ("stateful = true", "stateful-packed-filter"),
        ("holds = true", "holding-filter"),
        ("holds = true\nstateful = true", "holding-filter"),
    ] {
        put(folder.path(), "filter.toml", &format!("name = \"a\"\nlanguage = \"js\"\n{line}"));
        assert_eq!(Manifest::read(folder.path()).unwrap().packed_world(), world);
    }
}
