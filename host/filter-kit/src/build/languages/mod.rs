//! The languages that filters are written in: one file each, and one line in [`LANGUAGES`].
//!
//! What a new project holds stands in the repository, where it can be read: the example in `examples/filters/NAME`,
//! the helper in `guest-sdk/NAME`, and what is the same for all in `examples/filters/project`. All of it is inside the
//! binary. Its name is `my-filter` there (`my_filter` where a language wants that), which a new project replaces.

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

/// Every language.
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

/// A language that filters are written in.
pub struct Language {
    /// Its name in commands and in `filter.toml`.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// The file that a person edits.
    pub source: &'static str,
    /// What compiles it.
    pub needs: &'static str,
    /// How to get that, on a person's machine and from the package registries; reads on from "get it with".
    pub get: &'static str,
    /// The project's files beside those that every project has.
    pub files: &'static [File],
    /// Compiles a project and says where the module is: a core module or a component.
    pub build: fn(&Manifest) -> anyhow::Result<PathBuf>,
}

/// A file of a new project.
pub struct File {
    /// Where in the project it goes.
    pub path: &'static str,
    /// Where in the repository it stands.
    #[cfg_attr(not(test), allow(dead_code, reason = "the tests look whether none is missing"))]
    pub from: &'static str,
    pub text: &'static str,
    /// What has to be changed in it on the way, beside the name.
    pub adapt: fn(&str) -> String,
}

/// A file of the repository that goes into a project: `file!("filter.c" = "examples/filters/c/filter.c")`, and how it is
/// changed on the way, if it is.
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

/// What every project has.
pub const COMMON: &[File] = &[
    file!("filter.toml" = "examples/filters/project/filter.toml"),
    file!("README.md" = "examples/filters/project/README.md"),
    file!("samples.jsonl" = "examples/filters/project/samples.jsonl"),
    file!("cases.toml" = "examples/filters/project/cases.toml"),
    file!(".gitignore" = "examples/filters/project/gitignore"),
];

/// The language of a name.
pub fn find(name: &str) -> anyhow::Result<&'static Language> {
    let named = LANGUAGES.iter().find(|language| language.name == name);
    named.with_context(|| {
        let known: Vec<&str> = LANGUAGES.iter().map(|language| language.name).collect();
        format!("`{name}` is no language that weir builds filters of; take one of {}", known.join(", "))
    })
}
