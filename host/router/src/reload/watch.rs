//! Notices that the configuration or a module changed, once it has been left alone for a moment.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::limits;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Configuration,
    Filters,
}

/// The watch over a configuration file and folders with modules.
pub struct Watch {
    watcher: RecommendedWatcher,
    events: mpsc::UnboundedReceiver<Changed>,
    folders: HashSet<PathBuf>,
}

impl Watch {
    /// A watch for changes of `file`, and of modules in the folders given to [`over`](Self::over).
    pub fn new(file: Option<PathBuf>) -> notify::Result<Self> {
        // Unbounded, but one message is only a byte, and the receiver takes all that wait at once.
        let (found, events) = mpsc::unbounded_channel();
        let watched = file.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if let Some(changed) = judge(event, watched.as_deref()) {
                // An error: the router is stopping.
                let _ = found.send(changed);
            }
        })?;
        let mut watch = Self {
            watcher,
            events,
            folders: HashSet::new(),
        };
        if let Some(folder) = file.as_deref().and_then(Path::parent) {
            // Of the folder, not of the file: editors put a new file in its place.
            watch.over(&[folder.to_path_buf()]);
        }
        Ok(watch)
    }

    /// Watches these folders as well.
    pub fn over(&mut self, folders: &[PathBuf]) {
        for folder in folders {
            let shown = match folder.as_os_str().is_empty() {
                true => Path::new("."),
                false => folder.as_path(),
            };
            if self.folders.contains(shown) {
                continue;
            }
            match self.watcher.watch(shown, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(shown.to_path_buf());
                }
                Err(error) => tracing::warn!(
                    "changes in {} are not noticed: {error}; send SIGHUP after a change",
                    shown.display()
                ),
            }
        }
    }

    /// The next change, once nothing has moved for [`limits::SETTLE`]. Several changes that come
    /// together are one; a changed configuration includes changed filters.
    pub async fn next(&mut self) -> Changed {
        // The watcher holds the sender, so there is always another.
        let Some(mut changed) = self.events.recv().await else {
            return std::future::pending().await;
        };
        while let Ok(Some(more)) = tokio::time::timeout(limits::SETTLE, self.events.recv()).await {
            if more == Changed::Configuration {
                changed = more;
            }
        }
        changed
    }
}

/// Whether an event is about something that matters. Reading is not: weir itself reads.
fn judge(event: notify::Result<Event>, file: Option<&Path>) -> Option<Changed> {
    let event = match event {
        Ok(event) if event.kind.is_access() => return None,
        Ok(event) => event,
        Err(error) => {
            tracing::warn!("watching for changes: {error}");
            return None;
        }
    };
    let name = file.and_then(Path::file_name);
    // `..data` is the link that Kubernetes turns over when a mounted configuration changes.
    let is_configuration = |path: &&PathBuf| {
        name.is_some() && (path.file_name() == name || path.ends_with("..data"))
    };
    if event.paths.iter().any(|path| is_configuration(&path)) {
        return Some(Changed::Configuration);
    }
    event
        .paths
        .iter()
        .any(|path| path.extension().is_some_and(|e| e == "wasm"))
        .then_some(Changed::Filters)
}
