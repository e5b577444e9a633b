//! Zig: the standard compiler, without an operating system.

use std::path::PathBuf;

use super::c::ZIG;
use super::{File, Language, file};
use crate::build::manifest::Manifest;
use crate::build::tool;

pub const LANGUAGE: Language = Language {
    name: "zig",
    title: "Zig",
    source: "filter.zig",
    needs: "Zig 0.16 or later",
    get: "`pip install ziglang`, or https://ziglang.org/download",
    files: FILES,
    build,
};

const FILES: &[File] =
    &[file!("filter.zig" = "examples/filters/zig/filter.zig"), file!("weir.zig" = "guest-sdk/zig/weir.zig")];

/// The stack is part of the filter's memory; 64 KiB are enough for a filter.
const FLAGS: [&str; 9] =
    ["-target", "wasm32-freestanding", "-fno-entry", "-rdynamic", "-fstrip", "-O", "ReleaseFast", "--stack", "65536"];

fn build(manifest: &Manifest) -> anyhow::Result<PathBuf> {
    let module = manifest.build_folder()?.join("filter.wasm");
    let mut zig = tool::require(manifest, ZIG, &["version"])?;
    let mut output = std::ffi::OsString::from("-femit-bin=");
    output.push(&module);
    zig.args(["build-exe", "filter.zig"]).args(FLAGS).arg(output);
    tool::run(manifest, zig)?;
    Ok(module)
}
