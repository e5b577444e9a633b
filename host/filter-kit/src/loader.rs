//! The engine for commands that load filters without a router. **Modules are compiled by a child process** (`weir
//! compile`), so that a module that exceeds the limits ends that process and not the command.

use std::sync::Arc;

use tempfile::TempDir;
use weir_engine::{Compiler, Engine, EngineOptions};

/// Loads filters for one command. It has a cache folder of its own: the one in the data folder may belong to another
/// user, and code in it runs with the rights of the user who loads it.
pub struct Loader {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Removed when the command ends.
    _cache: TempDir,
}

impl Loader {
    /// Starts an engine with an empty cache.
    pub fn start() -> anyhow::Result<Loader> {
        let cache = tempfile::Builder::new().prefix("weir-").tempdir()?;
        let compiler = Compiler::this_program(cache.path(), None)?;
        let options = EngineOptions { cache_folder: Some(cache.path().to_path_buf()), ..EngineOptions::default() };
        // The binary of the unit tests has no subcommand `compile`.
        let engine = if cfg!(test) { Engine::new(options)? } else { Engine::with_compiler(options, compiler)? };
        Ok(Loader { engine, _cache: cache })
    }
}
