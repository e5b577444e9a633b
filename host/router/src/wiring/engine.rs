//! The engine of a router. **A child process compiles modules** (`weir compile`), so that a module that needs too much
//! memory or time ends only that process.

use std::path::Path;
use std::sync::Arc;

use weir_engine::{Compiler, Engine, EngineOptions};
use weir_filter_kit::loader::shared_cache;

/// An engine that stores the results of compilations in the data folder, and compiled modules there or in the folder
/// that `WEIR_CACHE` names.
pub fn in_data_folder(data: &Path) -> anyhow::Result<Arc<Engine>> {
    let cache = shared_cache()?.unwrap_or_else(|| data.join("cache"));
    let compiler = Compiler::this_program(&cache, Some(data.join("compiled")))?;
    let options = EngineOptions { cache_folder: Some(cache), ..EngineOptions::default() };
    // The test binary has no command `compile`.
    Ok(if cfg!(test) { Engine::new(options)? } else { Engine::with_compiler(options, compiler)? })
}
