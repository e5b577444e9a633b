//! The rules of the code base: which crates may depend on which, and that every module has a `//!` head.

use std::path::{Path, PathBuf};

use super::router::repository;

/// The crates that each may depend on, as in `host/README.md`.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("host/record", &["weir-wire"]),
    ("host/journal", &[]),
    ("host/engine", &["weir-record"]),
    ("host/access", &["weir-record", "weir-query"]),
    ("host/ingest", &["weir-record", "weir-access"]),
    ("host/document", &["weir-record"]),
    ("host/terminal", &["weir-record"]),
    ("host/query", &["weir-record"]),
    ("host/live", &["weir-record", "weir-query"]),
    ("host/api", &["weir-record", "weir-query", "weir-live", "weir-access"]),
    ("host/sinks", &["weir-record", "weir-journal", "weir-query", "weir-document", "weir-nats"]),
    ("host/sources", &["weir-record", "weir-document", "weir-nats"]),
    ("host/nats", &["weir-document"]),
    ("host/filter-kit", &["weir-record", "weir-journal", "weir-engine", "weir-document", "weir-terminal"]),
    ("host/bench", &["weir-journal", "weir-ingest"]),
    ("guest-sdk/rust", &["weir-wire"]),
    ("guest-sdk/rust/wire", &[]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_module_has_a_doc_comment_at_its_head() {
    let mut files = Vec::new();
    for folder in ["host", "guest-sdk", "filters", "tests", "examples"] {
        sources(&repository().join(folder), &mut files);
    }
    assert!(files.len() > 50);
    let silent: Vec<_> =
        files.iter().filter(|file| !std::fs::read_to_string(file).unwrap().starts_with("//!")).collect();
    assert!(silent.is_empty(), "no `//!` at the head of {silent:#?}");
}

#[test]
fn crates_depend_only_on_allowed_crates() {
    for (krate, allowed) in MAY_KNOW {
        let manifest = std::fs::read_to_string(repository().join(krate).join("Cargo.toml")).unwrap();
        let (_, rest) = manifest.split_once("[dependencies]").unwrap();
        let dependencies = rest.split("\n[").next().unwrap();
        let ours = dependencies
            .lines()
            .filter(|line| line.starts_with("weir"))
            .map(|line| line.split(['.', ' ', '=']).next().unwrap());
        for dependency in ours {
            assert!(allowed.contains(&dependency), "{krate} depends on {dependency}");
        }
    }
}

#[test]
fn the_top_level_has_the_expected_entries() {
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "examples",
        "filters",
        "guest-sdk",
        "host",
        "tests",
        "wit",
    ];
    let listed = super::clients::run(std::process::Command::new("git").current_dir(repository()).args([
        "ls-tree",
        "--name-only",
        "HEAD",
    ]));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let found: Vec<_> = listed.lines().filter(|name| !name.starts_with('.')).collect();
    assert_eq!(found, expected);
}
