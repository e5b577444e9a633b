//! JavaScript: componentize-qjs, which combines QuickJS and the already initialised program into one component.

use std::path::{Path, PathBuf};

use super::{File, Language, file};
use crate::build::manifest::Manifest;
use crate::build::tool;

pub const LANGUAGE: Language = Language {
    name: "js",
    title: "JavaScript",
    source: "filter.js",
    needs: "Node.js and componentize-qjs",
    get: "Node.js 20 or newer (https://nodejs.org) and `npm install` in the project's folder",
    files: FILES,
    build,
};

const FILES: &[File] = &[
    file!("filter.js" = "examples/filters/js/filter.js"),
    file!("package.json" = "examples/filters/js/package.json"),
    file!("weir.js" = "guest-sdk/js/weir.js"),
    file!("weir.d.ts" = "guest-sdk/js/weir.d.ts"),
    file!("wit/worlds.wit" = "guest-sdk/worlds.wit"),
    file!("wit/deps/v1/filter.wit" = "wit/v1/filter.wit"),
    file!("wit/deps/v2/filter.wit" = "wit/v2/filter.wit"),
];

fn build(manifest: &Manifest) -> anyhow::Result<PathBuf> {
    componentize(manifest, Path::new("filter.js"))
}

/// Makes a component of a module and its imports, from the project's folder and its `node_modules`.
pub fn componentize(manifest: &Manifest, module: &Path) -> anyhow::Result<PathBuf> {
    let component = manifest.build_folder()?.join("filter.wasm");
    let mut componentize = tool::require(manifest, &[&["componentize-qjs"]], &["--help"])?;
    // Without `--sync` it would need a host with async components. The clock and random numbers are imported, because
    // stubs for them would trap.
    componentize.args(["--sync", "--wit", "wit", "--world", manifest.packed_world(), "--module-root", ".", "--js"]);
    componentize.arg(module).arg("--output").arg(&component);
    tool::run(manifest, componentize)?;
    Ok(component)
}
