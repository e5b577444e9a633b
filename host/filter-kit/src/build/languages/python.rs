//! Python: componentize-py, which combines CPython, its library and the already initialised program into one component.

use std::path::PathBuf;

use super::{File, Language, file};
use crate::build::manifest::Manifest;
use crate::build::tool;

pub const LANGUAGE: Language = Language {
    name: "python",
    title: "Python",
    source: "filter.py",
    needs: "componentize-py",
    get: "Python 3.10 or newer and `python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.0` in the \
          project's folder",
    files: FILES,
    build,
};

const FILES: &[File] = &[
    file!("filter.py" = "examples/filters/python/filter.py"),
    file!("weir.py" = "guest-sdk/python/weir.py"),
    file!("wit/filter.wit" = "wit/v1/filter.wit"),
];

fn build(manifest: &Manifest) -> anyhow::Result<PathBuf> {
    let component = manifest.build_folder()?.join("filter.wasm");
    let mut componentize = tool::require(manifest, &[&["componentize-py"]], &["--version"])?;
    // The clock, random numbers and standard output are imported, because stubs for them would trap.
    componentize.args(["--quiet", "--wit-path", "wit", "--world", manifest.packed_world()]);
    componentize.args(["componentize", "filter", "--output"]).arg(&component);
    tool::run(manifest, componentize)?;
    Ok(component)
}
