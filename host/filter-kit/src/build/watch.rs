//! Rebuilds a project whenever one of its sources is saved, until the program is stopped.
//!
//! Events only trigger a comparison of the sources, so what a compiler writes to the folder does not start a build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::SystemTime;

use anyhow::Context;
use notify::{Event, RecursiveMode, Watcher};

use crate::limits::SETTLE;

/// Folders without sources, besides hidden ones.
const OTHER_FOLDERS: [&str; 5] = ["target", "node_modules", "zig-out", "venv", "__pycache__"];

/// The files that make a folder a project.
const PROJECT_FILES: [&str; 2] = ["filter.toml", "Cargo.toml"];

/// The sources of a project, with modification time and length.
type Sources = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Calls `build` now and after each change of a source in `folder`. Returns only on an error.
pub fn watch(folder: &Path, mut build: impl FnMut()) -> anyhow::Result<()> {
    let (said, events) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // Reading, as a build does, is not a change. If sending fails, nobody is waiting.
        if !event.as_ref().is_ok_and(|event| event.kind.is_access()) {
            let _ = said.send(event.map(|_| ()));
        }
    })
    .context("can't watch for changes")?;
    watcher
        .watch(folder, RecursiveMode::Recursive)
        .with_context(|| format!("can't watch `{}` for changes", folder.display()))?;
    loop {
        // Read before the build, so that a change during it starts another.
        let built = sources(folder);
        build();
        while sources(folder) == built {
            settle(&events)?;
        }
    }
}

/// Waits for an event, and then until there has been none for a moment.
fn settle(events: &Receiver<notify::Result<()>>) -> anyhow::Result<()> {
    events.recv().context("the watch ended")?.context("watching for changes")?;
    loop {
        match events.recv_timeout(SETTLE) {
            Ok(event) => event.context("watching for changes")?,
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Err(ended @ RecvTimeoutError::Disconnected) => return Err(ended).context("the watch ended"),
        }
    }
}

fn sources(folder: &Path) -> Sources {
    let mut found = Sources::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder that has just been removed has no sources.
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let Ok(about) = entry.metadata() else { continue };
            if name.starts_with('.') || name == "Cargo.lock" || name.contains(".wasm") {
                continue;
            }
            match about.is_dir() {
                true if OTHER_FOLDERS.contains(&&*name) => {}
                true => folders.push(path),
                false => {
                    found.insert(path, (about.modified().ok(), about.len()));
                }
            }
        }
    }
    found
}

/// The newest source of a module's project that was saved after the module, if there is one.
pub fn newer_source(module: &Path) -> Option<PathBuf> {
    // The parent of `mask.wasm` is the empty path.
    let folder = module.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?;
    if !PROJECT_FILES.iter().any(|file| folder.join(file).is_file()) {
        return None;
    }
    let built = module.metadata().and_then(|about| about.modified()).ok()?;
    let saved = sources(folder).into_iter().filter(|(path, _)| is_built_from(path));
    let newest = saved.filter_map(|(path, (saved, _))| Some((saved?, path))).max()?;
    (newest.0 > built).then_some(newest.1)
}

/// Cases, samples, options and documentation are part of a project, but not of its module.
fn is_built_from(source: &Path) -> bool {
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let is_beside = ["cases.", "samples.", "options.toml", "README"].iter().any(|start| name.starts_with(start));
    !is_beside && source.components().all(|part| part.as_os_str() != "fuzz-found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_newer_sources_make_a_module_stale() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let put = |name: &str, age_s: u64| {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(now - std::time::Duration::from_secs(age_s)).unwrap();
        };
        let module = folder.path().join("mask.wasm");
        put("mask.wasm", 50);
        put("filter.c", 10);
        assert_eq!(newer_source(&module), None, "it lies in no project");
        put("filter.toml", 100);
        put("samples.jsonl", 10);
        put("cases.toml", 10);
        assert_eq!(newer_source(&module), Some(folder.path().join("filter.c")));
        put("filter.c", 60);
        assert_eq!(newer_source(&module), None);
        put("filter.toml", 40);
        assert_eq!(newer_source(&module), Some(folder.path().join("filter.toml")));
    }

    #[test]
    fn compiler_output_is_not_a_source() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        put("filter.c");
        let before = sources(folder.path());
        assert_eq!(before.len(), 1);
        for path in ["target/a.o", "node_modules/b/c.js", ".zig-cache/d", "mask.wasm", "mask.wasm.new", "Cargo.lock"] {
            put(path);
        }
        assert_eq!(sources(folder.path()), before);
        put("src/other.c");
        assert_ne!(sources(folder.path()), before);
    }
}
