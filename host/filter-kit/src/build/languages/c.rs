//! C: `zig cc`, which includes a C library for WebAssembly; otherwise clang with wasm-ld, with or without a C library.

use std::path::{Path, PathBuf};

use super::{File, Language, file};
use crate::build::manifest::Manifest;
use crate::build::tool;

pub const LANGUAGE: Language = Language {
    name: "c",
    title: "C",
    source: "filter.c",
    needs: "Zig, which compiles C, or clang with wasm-ld",
    get: "`pip install ziglang`, or https://ziglang.org/download, or on Debian and Ubuntu `apt-get install clang lld \
          wasi-libc libclang-rt-dev-wasm32`",
    files: FILES,
    build,
};

const FILES: &[File] = &[file!("filter.c" = "examples/filters/c/filter.c"), file!("weir.h" = "guest-sdk/c/weir.h")];

/// How to run Zig, for C and for Zig itself.
pub const ZIG: &[&[&str]] = &[&["zig"], &["python-zig"], &["python3", "-m", "ziglang"]];

/// Flags for both compilers. The stack is part of the filter's memory; 64 KiB are enough for a filter.
const FLAGS: [&str; 7] =
    ["-std=gnu11", "-Wall", "-Wextra", "-O3", "-mexec-model=reactor", "-Wl,--strip-all", "-Wl,-z,stack-size=65536"];

/// Where Debian installs a C library for WebAssembly.
const DEBIAN_LIBRARY: &str = "/usr/include/wasm32-wasi";

fn build(manifest: &Manifest) -> anyhow::Result<PathBuf> {
    let module = manifest.build_folder()?.join("filter.wasm");
    let mut compiler = match tool::find(&manifest.folder, ZIG, &["version"]) {
        Some(mut zig) => {
            zig.args(["cc", "-target", "wasm32-wasi"]).args(FLAGS);
            zig
        }
        None => {
            let mut clang = tool::require(manifest, &[&["clang"]], &["--print-prog-name=wasm-ld"])?;
            match Path::new(DEBIAN_LIBRARY).is_dir() {
                true => clang.arg("--target=wasm32-wasi").args(FLAGS),
                false => clang
                    .args(["--target=wasm32", "-nostdlib", "-ffreestanding", "-mbulk-memory", "-Wl,--no-entry"])
                    .args(FLAGS.iter().filter(|flag| !flag.starts_with("-mexec"))),
            };
            clang
        }
    };
    compiler.args(sources(manifest)?).arg("-o").arg(&module);
    tool::run(manifest, compiler)?;
    Ok(module)
}

/// All C files in the project's folder.
fn sources(manifest: &Manifest) -> anyhow::Result<Vec<PathBuf>> {
    let mut sources = Vec::new();
    for entry in manifest.folder.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
    sources.sort();
    Ok(sources)
}
