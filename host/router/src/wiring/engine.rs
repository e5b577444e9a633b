//! The engine of a router. **Modules are compiled by a child process** (`weir compile`), so that a module that takes too
//! much ends that process and not the router.

use std::path::Path;
use std::sync::Arc;

use weir_engine::{Compiler, Engine, EngineOptions};

/// An engine that keeps compiled modules, and notes of what became of each, in the data folder.
pub fn in_data_folder(data: &Path) -> anyhow::Result<Arc<Engine>> {
    let cache = data.join("cache");
    let compiler = Compiler::this_program(&cache, Some(data.join("compiled")))?;
    let options = EngineOptions { cache_folder: Some(cache), ..EngineOptions::default() };
    // The binary of the unit tests has no command `compile`.
    Ok(if cfg!(test) { Engine::new(options)? } else { Engine::with_compiler(options, compiler)? })
}
