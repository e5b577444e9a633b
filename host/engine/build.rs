//! Assembles the answers to WASI's first version, which are written as text.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=src/wasi/preview1.wat");
    let wasm = match wat::parse_file("src/wasi/preview1.wat") {
        Ok(wasm) => wasm,
        Err(error) => panic!("src/wasi/preview1.wat: {error}"),
    };
    let folder = std::env::var_os("OUT_DIR").expect("cargo gives build scripts an OUT_DIR");
    std::fs::write(Path::new(&folder).join("preview1.wasm"), wasm).expect("the OUT_DIR is writable");
}
