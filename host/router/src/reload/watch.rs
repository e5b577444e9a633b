//! Notices that the configuration or a module changed, once it has been left alone for a moment.

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
    /// Somebody asks for everything to be looked at: SIGHUP.
    Asked,
}

/// The watch over a configuration file and folders with modules.
pub struct Watch {
    watcher: RecommendedWatcher,
    /// Of the configuration: looked at now and then, rather than notified of. Sinks may write beside it, and each of
    /// their writes would be an event; and a file behind a link that is turned over makes no event at all.
    _looking: Option<PollWatcher>,
    events: mpsc::UnboundedReceiver<Changed>,
    folders: HashSet<PathBuf>,
}

impl Watch {
    /// A watch for changes of `file`, and of modules in the folders given to [`over`](Self::over).
    pub fn new(file: Option<PathBuf>) -> notify::Result<Self> {
        // Unbounded, but one message is only a byte, and the receiver takes all that wait at once.
        let (found, events) = mpsc::unbounded_channel();
        let changed = found.clone();
        let looking = match file {
            Some(file) => Some(look_at(&file, move || {
                // An error: the router is stopping.
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
                Err(error) => tracing::warn!("can't watch {}: {error}; send SIGHUP after a change", shown.display()),
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

/// Calls `changed` when the file has another content.
fn look_at(file: &Path, changed: impl Fn() + Send + 'static) -> notify::Result<PollWatcher> {
    let config = Config::default().with_poll_interval(limits::LOOK).with_compare_contents(true);
    let mut watcher = PollWatcher::new(
        move |event: notify::Result<Event>| match event {
            Ok(_) => changed(),
            // Gone for a moment, while an editor puts a new one in its place.
            Err(error) => tracing::debug!("polling the configuration: {error}"),
        },
        config,
    )?;
    watcher.watch(file, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Reading a module is no change of it: weir itself reads.
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
