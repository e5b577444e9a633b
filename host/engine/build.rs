//! Assembles the WebAssembly text files: the WASI preview 1 stub, AssemblyScript's `abort`, and the pass-through
//! filter.

use std::path::Path;

fn main() {
    let folder = std::env::var_os("OUT_DIR").expect("cargo gives build scripts an OUT_DIR");
    for (text, module) in [
        ("src/wasi/preview1.wat", "preview1.wasm"),
        ("src/wasi/assemblyscript.wat", "assemblyscript.wasm"),
        ("src/trial/pass.wat", "pass.wasm"),
    ] {
        println!("cargo::rerun-if-changed={text}");
        let wasm = match wat::parse_file(text) {
            Ok(wasm) => wasm,
            Err(error) => panic!("{text}: {error}"),
        };
        std::fs::write(Path::new(&folder).join(module), wasm).expect("the OUT_DIR is writable");
    }
}
