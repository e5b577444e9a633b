//! The engine for commands that load filters without a router. **Modules are compiled by a child process** (`weir
//! compile`), so that a module that exceeds the limits ends that process and not the command. The child leaves the code
//! in a cache folder, from which the command loads it: a temporary one, or the one that `WEIR_CACHE` names, which
//! commands and routers share.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use weir_engine::{Compiler, Engine, EngineOptions};

use crate::limits::CACHE_REMOVALS;

/// The environment variable that names a folder for compiled modules.
const SHARED_CACHE: &str = "WEIR_CACHE";

/// The folder that `WEIR_CACHE` names, created if missing. It is refused if other users can write to it, because code
/// in it runs with the rights of the user who loads it.
pub fn shared_cache() -> anyhow::Result<Option<PathBuf>> {
    let Some(folder) = std::env::var_os(SHARED_CACHE).filter(|folder| !folder.is_empty()) else { return Ok(None) };
    let folder = PathBuf::from(folder);
    let failed = || format!("can't keep compiled filters in `{}`, which {SHARED_CACHE} names", folder.display());
    private_folder(&folder).with_context(failed).map(Some)
}

fn private_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let found = folder.metadata()?;
    let is_own = found.uid() == rustix::process::geteuid().as_raw();
    ensure!(
        is_own && found.mode() & 0o022 == 0,
        "other users can write to it, and code in it runs with your rights; use a folder of your own with mode 0700"
    );
    Ok(folder.canonicalize()?)
}

/// Loads filters for one command. Without `WEIR_CACHE`, it has a cache folder of its own: the one in the data folder may
/// belong to another user, and code in it runs with the rights of the user who loads it.
pub struct Loader {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Removed when the command ends, after the engine.
    _cache: Option<CacheFolder>,
}

impl Loader {
    /// Starts an engine with an empty cache, or the shared one.
    pub fn start() -> anyhow::Result<Loader> {
        let (folder, cache) = match shared_cache()? {
            Some(folder) => (folder, None),
            None => {
                let cache = CacheFolder::create()?;
                (cache.path().to_path_buf(), Some(cache))
            }
        };
        let compiler = Compiler::this_program(&folder, None)?;
        let options = EngineOptions { cache_folder: Some(folder), ..EngineOptions::default() };
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_shared_cache_is_created_for_its_owner_and_refused_if_others_can_write_to_it() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("new/cache");
        let used = private_folder(&folder).unwrap();
        assert_eq!(used.metadata().unwrap().mode() & 0o777, 0o700);
        for (mode, is_refused) in [(0o755, false), (0o770, true), (0o702, true)] {
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(private_folder(&folder).is_err(), is_refused, "{mode:o}");
        }
    }

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
