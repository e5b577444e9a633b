//! The languages that filters can be written in: one file each, and one line in [`LANGUAGES`].
//!
//! The files of a new project are part of this repository: the example in `examples/filters/NAME`, the SDK in
//! `guest-sdk/NAME`, and files common to all languages in `examples/filters/project`. They are embedded in the binary.
//! A new project's name replaces `my-filter` (or `my_filter` where a language needs an identifier).

mod assemblyscript;
mod c;
mod go;
mod js;
mod python;
pub mod rust;
mod ts;
mod zig;

use std::path::PathBuf;

use anyhow::Context;

use super::manifest::Manifest;

/// All languages.
pub const LANGUAGES: &[Language] = &[
    rust::LANGUAGE,
    c::LANGUAGE,
    zig::LANGUAGE,
    go::LANGUAGE,
    js::LANGUAGE,
    ts::LANGUAGE,
    python::LANGUAGE,
    assemblyscript::LANGUAGE,
];

/// A language that filters can be written in.
pub struct Language {
    /// Its name in commands and in `filter.toml`.
    pub name: &'static str,
    /// Its display name.
    pub title: &'static str,
    /// The source file to edit.
    pub source: &'static str,
    /// The tools needed to compile it.
    pub needs: &'static str,
    /// How to install them. Continues the sentence "get it with".
    pub get: &'static str,
    /// The project's files, besides those in [`COMMON`].
    pub files: &'static [File],
    /// Compiles a project and returns the path of the module, a core module or a component.
    pub build: fn(&Manifest) -> anyhow::Result<PathBuf>,
}

/// A file of a new project.
pub struct File {
    /// Its path in the project.
    pub path: &'static str,
    /// Its path in the repository.
    #[cfg_attr(not(test), allow(dead_code, reason = "the tests look whether none is missing"))]
    pub from: &'static str,
    pub text: &'static str,
    /// Adapts its text for a project, apart from the name.
    pub adapt: fn(&str) -> String,
}

/// A file of the repository that is copied to projects: `file!("filter.c" = "examples/filters/c/filter.c")`, with an
/// optional function that adapts it.
macro_rules! file {
    ($path:literal = $from:literal) => {
        file!($path = $from, str::to_owned)
    };
    ($path:literal = $from:literal, $adapt:expr) => {
        $crate::build::languages::File {
            path: $path,
            from: $from,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../", $from)),
            adapt: $adapt,
        }
    };
}
use file;

/// The files of every project.
pub const COMMON: &[File] = &[
    file!("filter.toml" = "examples/filters/project/filter.toml"),
    file!("README.md" = "examples/filters/project/README.md"),
    file!("samples.jsonl" = "examples/filters/project/samples.jsonl"),
    file!("cases.toml" = "examples/filters/project/cases.toml"),
    file!(".gitignore" = "examples/filters/project/gitignore"),
];

/// Finds a language by name.
pub fn find(name: &str) -> anyhow::Result<&'static Language> {
    let named = LANGUAGES.iter().find(|language| language.name == name);
    named.with_context(|| {
        let known: Vec<&str> = LANGUAGES.iter().map(|language| language.name).collect();
        format!("`{name}` is not a supported language; use one of {}", known.join(", "))
    })
}
