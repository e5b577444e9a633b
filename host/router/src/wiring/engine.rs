//! The engine of a router. **A child process compiles modules** (`weir compile`), so that a module that needs too much
//! memory or time ends only that process.

use std::path::Path;
use std::sync::Arc;

use weir_engine::{Compiler, Engine, EngineOptions};

/// An engine that stores compiled modules and the results of compilations in the data folder.
pub fn in_data_folder(data: &Path) -> anyhow::Result<Arc<Engine>> {
    let cache = data.join("cache");
    let compiler = Compiler::this_program(&cache, Some(data.join("compiled")))?;
    let options = EngineOptions { cache_folder: Some(cache), ..EngineOptions::default() };
    // The test binary has no command `compile`.
    Ok(if cfg!(test) { Engine::new(options)? } else { Engine::with_compiler(options, compiler)? })
}
