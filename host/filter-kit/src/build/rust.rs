//! Finds a Rust toolchain that compiles for WebAssembly.
//!
//! Two are supported, in this order:
//! - the installed `rustc`, if it has the target `wasm32-unknown-unknown`, as added by `rustup target add`;
//! - Debian's packages `rustc-web` and `rust-web-src`: a compiler in `/usr/bin` and the sources of its standard
//!   library, which cargo builds first. It works with the cargo from rustup, if there is one, and with the linker of
//!   any toolchain. A stable cargo needs `-Zbuild-std` and `RUSTC_BOOTSTRAP` for this; they are used for nothing else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The target for filters.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Every engine for components supports vectors, which halve the time for scanning.
const FEATURES: &str = "-Ctarget-feature=+simd128";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A toolchain that can build filters.
#[derive(Debug, PartialEq)]
pub enum Toolchain {
    /// The standard library for the target is installed.
    Installed,
    /// The standard library is built from source.
    FromSource {
        /// The compiler, of the same version as the sources.
        rustc: PathBuf,
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Finds the first one that is available in this folder, where a `rust-toolchain.toml` may name one.
    pub fn find(folder: &Path) -> anyhow::Result<Self> {
        Self::choose(sysroot("rustc".as_ref(), folder), sysroot(DEBIAN_RUSTC.as_ref(), folder))
    }

    /// Chooses between the sysroots of `rustc` and of Debian's compiler.
    pub fn choose(own: Option<PathBuf>, debian: Option<PathBuf>) -> anyhow::Result<Self> {
        let own_target = own.as_ref().map(|sysroot| sysroot.join("lib/rustlib").join(TARGET).join("lib"));
        if own_target.is_some_and(|folder| holds_std(&folder)) {
            return Ok(Toolchain::Installed);
        }
        let sources = |sysroot: &PathBuf| sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file();
        let Some(debian) = debian.filter(sources) else {
            bail!(
                "no Rust toolchain here compiles for WebAssembly; with rustup run `rustup target add {TARGET}`, on \
                 Debian or Ubuntu run `apt-get install rustc-web rust-web-src`, then try again"
            );
        };
        let linker = [own, Some(debian)].into_iter().flatten().find_map(|sysroot| linker(&sysroot));
        let linker = linker.context(
            "no `rust-lld` to link WebAssembly with; run `apt-get install lld`, or install Rust from https://rustup.rs",
        )?;
        Ok(Toolchain::FromSource { rustc: DEBIAN_RUSTC.into(), linker })
    }

    /// A cargo command that builds for the target.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(&cargo_home()));
        if let Toolchain::FromSource { rustc, linker } = self {
            cargo
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                .arg("-Zbuild-std=std,panic_abort");
        }
        cargo
    }
}

/// The compiler's flags as cargo expects them, with a separator that no path contains.
///
/// Panics contain source paths; they are shortened to what is the same on every machine.
fn flags(cargo_home: &Path) -> OsString {
    let registries = cargo_home.join("registry/src").read_dir().into_iter().flatten().flatten();
    let mut flags = OsString::from(FEATURES);
    for folder in registries.map(|entry| entry.path()) {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(folder);
        flags.push("=dependencies");
    }
    flags
}

/// Where cargo stores the sources of dependencies.
fn cargo_home() -> PathBuf {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).unwrap_or_default()
}

/// Where the compiler that is used in a folder stores its libraries.
fn sysroot(rustc: &Path, folder: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "sysroot"]).current_dir(folder).output().ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(sysroot.trim()))
}

fn holds_std(folder: &Path) -> bool {
    let files = folder.read_dir().into_iter().flatten().flatten();
    files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
}

/// The linker of a toolchain. Debian's may be a link to a package that is not installed.
fn linker(sysroot: &Path) -> Option<PathBuf> {
    let rustlib = sysroot.join("lib/rustlib").read_dir().into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = rustlib.map(|entry| entry.path().join("bin/rust-lld")).collect();
    places.push(sysroot.join("bin/rust-lld"));
    places.push(sysroot.join("bin/wasm-ld"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path).flat_map(|folder| [folder.join("wasm-ld"), folder.join("rust-lld")]));
    places.into_iter().find(|place| place.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_is_asked_in_the_folder_of_the_project() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        // Written by another process: a program that this one has open, as a copy in a child too, can't be run.
        let write = "printf '#!/bin/sh\npwd -P\n' > rustc && chmod +x rustc";
        assert!(Command::new("sh").args(["-c", write]).current_dir(&folder).status().unwrap().success());
        assert_eq!(sysroot(&folder.join("rustc"), &folder).as_ref(), Some(&folder));
    }
}
