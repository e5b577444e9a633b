//! The filters embedded in the binary, so that the first command needs no WebAssembly toolchain.
//!
//! `weir filter build --bundled` builds them from `filters/` in this repository. A test compares the digests of the
//! sources in their manifest with the current sources.

use std::sync::LazyLock;

/// Each bundled filter: its name, as in `module = "bundled:NAME"`, and its module.
const MODULES: &[(&str, &[u8])] = &[
    ("redact", include_bytes!("../../../filters/bundled/redact.wasm")),
    ("enrich", include_bytes!("../../../filters/bundled/enrich.wasm")),
    ("route", include_bytes!("../../../filters/bundled/route.wasm")),
    ("level", include_bytes!("../../../filters/bundled/level.wasm")),
    ("dedup", include_bytes!("../../../filters/bundled/dedup.wasm")),
    ("parse", include_bytes!("../../../filters/bundled/parse.wasm")),
    ("join", include_bytes!("../../../filters/bundled/join.wasm")),
    ("sample", include_bytes!("../../../filters/bundled/sample.wasm")),
    ("traces", include_bytes!("../../../filters/bundled/traces.wasm")),
    ("throttle", include_bytes!("../../../filters/bundled/throttle.wasm")),
    ("timeseries", include_bytes!("../../../filters/bundled/timeseries.wasm")),
    ("exceptions", include_bytes!("../../../filters/bundled/exceptions.wasm")),
    ("schema", include_bytes!("../../../filters/bundled/schema.wasm")),
];

/// The module of a bundled filter.
pub fn module(name: &str) -> Option<&'static [u8]> {
    MODULES.iter().find(|(bundled, _)| *bundled == name).map(|(_, module)| *module)
}

/// The SHA-256 digests of the bundled modules, in hexadecimal.
pub fn digests() -> &'static [String] {
    static DIGESTS: LazyLock<Vec<String>> =
        LazyLock::new(|| MODULES.iter().map(|(_, module)| weir_engine::digest(module)).collect());
    &DIGESTS
}

/// The names of the bundled filters.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODULES.iter().map(|(name, _)| *name)
}
