//! The engine for commands that load filters without a router. **Modules are compiled by a child process** (`weir
//! compile`), so that a module that exceeds the limits ends that process and not the command. The child leaves the code
//! in a cache folder, from which the command loads it.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use weir_engine::{Compiler, Engine, EngineOptions};

use crate::limits::CACHE_REMOVALS;

/// Loads filters for one command. It has a cache folder of its own: the one in the data folder may belong to another
/// user, and code in it runs with the rights of the user who loads it.
pub struct Loader {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Removed when the command ends, after the engine.
    _cache: CacheFolder,
}

impl Loader {
    /// Starts an engine with an empty cache.
    pub fn start() -> anyhow::Result<Loader> {
        let cache = CacheFolder::create()?;
        let compiler = Compiler::this_program(cache.path(), None)?;
        let options = EngineOptions { cache_folder: Some(cache.path().to_path_buf()), ..EngineOptions::default() };
        // The binary of the unit tests has no subcommand `compile`.
        let engine = if cfg!(test) { Engine::new(options)? } else { Engine::with_compiler(options, compiler)? };
        Ok(Loader { engine, _cache: cache })
    }
}

/// A temporary folder that is removed even while wasmtime still writes to it.
///
/// A thread of wasmtime's cache writes statistics about each loaded module into the folder. It runs with a low priority
/// and can't be waited for, so it may still have some to write when the engine is gone. A file that appears between the
/// listing of a folder and its removal makes the removal fail. The thread creates no folders, so once a removal
/// succeeds, nothing appears again.
struct CacheFolder(TempDir);

impl CacheFolder {
    fn create() -> std::io::Result<CacheFolder> {
        tempfile::Builder::new().prefix("weir-").tempdir().map(CacheFolder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for CacheFolder {
    fn drop(&mut self) {
        // A failure can't be reported from here, and leaves only a temporary folder behind.
        let _ = (0..CACHE_REMOVALS).any(|_| std::fs::remove_dir_all(self.path()).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_removed_while_it_is_written_to() {
        for _ in 0..50 {
            let folder = CacheFolder::create().unwrap();
            let path = folder.path().to_owned();
            let modules = path.join("modules/wasmtime");
            std::fs::create_dir_all(&modules).unwrap();
            let (started, is_started) = std::sync::mpsc::channel();
            // Like the cache's thread: as many files as there is time for, and no folders.
            let writer = std::thread::spawn(move || {
                let is_written = |n: &i32| std::fs::write(modules.join(n.to_string()), "").is_ok();
                let _ = started.send(());
                (0..200).take_while(is_written).count()
            });
            is_started.recv().unwrap();
            drop(folder);
            writer.join().unwrap();
            assert!(!path.exists());
        }
    }
}
