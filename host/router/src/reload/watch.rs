//! Watches the configuration and the modules; reports a change after the files have been unchanged for a moment.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use notify::{Config, Event, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::limits;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Configuration,
    Filters,
    /// SIGHUP: check everything.
    Asked,
}

/// Watches a configuration file and folders with modules.
pub struct Watch {
    watcher: RecommendedWatcher,
    /// Polls the configuration. With notifications, each write of a sink to the same folder would be an event, and
    /// replacing the target of a symbolic link would not be one.
    _looking: Option<PollWatcher>,
    events: mpsc::UnboundedReceiver<Changed>,
    folders: HashSet<PathBuf>,
}

impl Watch {
    /// Watches `file`, and modules in the folders given to [`over`](Self::over).
    pub fn new(file: Option<PathBuf>) -> notify::Result<Self> {
        // Unbounded, but a message is only a byte, and the receiver takes all waiting messages at once.
        let (found, events) = mpsc::unbounded_channel();
        let changed = found.clone();
        let looking = match file {
            Some(file) => Some(look_at(&file, move || {
                // Fails only if the router is stopping.
                let _ = changed.send(Changed::Configuration);
            })?),
            None => None,
        };
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if is_about_a_module(event) {
                let _ = found.send(Changed::Filters);
            }
        })?;
        Ok(Self { watcher, _looking: looking, events, folders: HashSet::new() })
    }

    /// Also watches these folders.
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
                Err(error) => tracing::warn!("can't watch {}: {error}; send SIGHUP after a change", shown.display()),
            }
        }
    }

    /// Waits for the next change, until there were no events for [`limits::SETTLE`]. Changes that occur together are
    /// reported as one; a changed configuration includes changed filters.
    pub async fn next(&mut self) -> Changed {
        // The watcher holds the sender, so the channel never closes.
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

/// Calls `changed` when the content of the file changes.
fn look_at(file: &Path, changed: impl Fn() + Send + 'static) -> notify::Result<PollWatcher> {
    let config = Config::default().with_poll_interval(limits::LOOK).with_compare_contents(true);
    let mut watcher = PollWatcher::new(
        move |event: notify::Result<Event>| match event {
            Ok(_) => changed(),
            // Briefly missing while an editor replaces it.
            Err(error) => tracing::debug!("polling the configuration: {error}"),
        },
        config,
    )?;
    watcher.watch(file, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Whether the event changes a module or a pin. Reads don't count, because weir reads modules itself.
fn is_about_a_module(event: notify::Result<Event>) -> bool {
    match event {
        Ok(event) if event.kind.is_access() => false,
        Ok(event) => event.paths.iter().any(|path| path.extension().is_some_and(|e| e == "wasm" || e == "pinned")),
        Err(error) => {
            tracing::warn!("error while watching for changes: {error}");
            false
        }
    }
}
