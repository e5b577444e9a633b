//! The engine as the router and its commands set it up. **Modules are compiled by a child process** (`weir compile`), so
//! that a module that takes too much ends that process and not this one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use weir_engine::{CompileBounds, Compiler, Engine, EngineOptions};

/// An engine for one command. It keeps compiled modules in a folder of its own: the data folder's may belong to another
/// user, and code from there runs with the rights of whoever loads it.
pub struct CommandEngine {
    pub engine: Arc<Engine>,
    /// Removed when the command ends.
    _cache: TempDir,
}

/// The engine of a router: what it compiled, and what became of it, is in the data folder.
pub fn in_data_folder(data: &Path) -> anyhow::Result<Arc<Engine>> {
    start(data.join("cache"), Some(data.join("compiled")))
}

/// The engine of a command that loads filters without a router.
pub fn for_command() -> anyhow::Result<CommandEngine> {
    let cache = tempfile::Builder::new().prefix("weir-").tempdir()?;
    Ok(CommandEngine { engine: start(cache.path().to_path_buf(), None)?, _cache: cache })
}

fn start(cache: PathBuf, notes: Option<PathBuf>) -> anyhow::Result<Arc<Engine>> {
    // The binary as it was when it started, even if another version has replaced it since.
    let running = Path::new("/proc/self/exe");
    let program = if running.exists() { running.to_path_buf() } else { std::env::current_exe()? };
    let arguments = vec!["compile".into(), "--cache".into(), std::path::absolute(&cache)?.into()];
    let compiler = Compiler { program, arguments, bounds: CompileBounds::default(), notes };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let options = EngineOptions { cache_folder: Some(cache), workers };
    // The binary of the unit tests has no command `compile`.
    Ok(if cfg!(test) { Engine::new(options)? } else { Engine::with_compiler(options, compiler)? })
}
