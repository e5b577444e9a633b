//! AssemblyScript: `asc`, from the project's `node_modules` or from `PATH`.

use std::path::PathBuf;

use super::{File, Language, file};
use crate::build::manifest::Manifest;
use crate::build::tool;

pub const LANGUAGE: Language = Language {
    name: "assemblyscript",
    title: "AssemblyScript",
    source: "filter.ts",
    needs: "asc, the AssemblyScript compiler, and Node.js",
    get: "`npm install` in the project's folder, or `npm install --global assemblyscript`",
    files: FILES,
    build,
};

const FILES: &[File] = &[
    file!("filter.ts" = "examples/filters/assemblyscript/filter.ts"),
    file!("package.json" = "examples/filters/assemblyscript/package.json"),
    file!("weir/index.ts" = "guest-sdk/assemblyscript/index.ts"),
    file!("weir/exports.ts" = "guest-sdk/assemblyscript/exports.ts"),
    file!("weir/stateful.ts" = "guest-sdk/assemblyscript/stateful.ts"),
];

fn build(manifest: &Manifest) -> anyhow::Result<PathBuf> {
    let module = manifest.build_folder()?.join("filter.wasm");
    let mut asc = tool::require(manifest, &[&["asc"]], &["--version"])?;
    // The SDK collects garbage after each batch, which the minimal runtime does not do by itself.
    asc.args(["filter.ts", "--runtime", "minimal", "-O3", "--enable", "simd", "--outFile"]).arg(&module);
    tool::run(manifest, asc)?;
    Ok(module)
}
