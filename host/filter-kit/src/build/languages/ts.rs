//! TypeScript: its compiler checks the types and writes JavaScript, which is then built like any other.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{File, Language, file, js};
use crate::build::manifest::Manifest;
use crate::build::tool;

pub const LANGUAGE: Language = Language {
    name: "ts",
    title: "TypeScript",
    source: "filter.ts",
    needs: "Node.js, typescript and componentize-qjs",
    get: js::LANGUAGE.get,
    files: FILES,
    build,
};

const FILES: &[File] = &[
    file!("filter.ts" = "examples/filters/ts/filter.ts"),
    file!("package.json" = "examples/filters/ts/package.json"),
    file!("tsconfig.json" = "examples/filters/ts/tsconfig.json"),
    file!("weir.js" = "guest-sdk/js/weir.js"),
    file!("weir.d.ts" = "guest-sdk/js/weir.d.ts"),
    file!("wit/worlds.wit" = "guest-sdk/worlds.wit"),
    file!("wit/deps/v1/filter.wit" = "wit/v1/filter.wit"),
    file!("wit/deps/v2/filter.wit" = "wit/v2/filter.wit"),
];

/// Where `tsconfig.json` puts the JavaScript.
const COMPILED: &str = "target/js";

fn build(manifest: &Manifest) -> anyhow::Result<PathBuf> {
    let mut compiler = tool::require(manifest, &[&["tsc"]], &["--version"])?;
    compiler.args(["--project", "tsconfig.json"]);
    tool::run(manifest, compiler)?;
    // The compiler only processes TypeScript, so `weir.js` has to be copied.
    let compiled = Path::new(COMPILED);
    let beside = manifest.folder.join(compiled).join("weir.js");
    fs::copy(manifest.folder.join("weir.js"), &beside)
        .with_context(|| format!("filter `{}`: can't copy weir.js to `{}`", manifest.name, beside.display()))?;
    js::componentize(manifest, &compiled.join("filter.js"))
}
