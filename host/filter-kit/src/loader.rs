//! The engine of a command that loads filters without a router. **Modules are compiled by a child process** (`weir
//! compile`), so that a module that takes too much ends that process and not the command.

use std::sync::Arc;

use tempfile::TempDir;
use weir_engine::{Compiler, Engine, EngineOptions};

/// Loads filters for one command. It keeps compiled modules in a folder of its own: the data folder's may belong to another
/// user, and code from there runs with the rights of whoever loads it.
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
        // The binary of the unit tests has no command `compile`.
        let engine = if cfg!(test) { Engine::new(options)? } else { Engine::with_compiler(options, compiler)? };
        Ok(Loader { engine, _cache: cache })
    }
}
