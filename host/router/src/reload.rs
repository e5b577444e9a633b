//! Takes up changes while the router runs: a new configuration, modules in the filters folder.
//!
//! The same path serves a changed file and SIGHUP: read everything, prepare everything, and only
//! when nothing is wrong exchange what changed. **A broken configuration changes nothing.**

mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock};

use anyhow::bail;
use tokio::sync::{Mutex, oneshot};

use crate::config::{self, Overrides, Settings};
use crate::filters::{self, FilterSet, Prepared};
use crate::outlets::Outlets;
use crate::parts;
use crate::quarantine::Quarantine;
use crate::versions::Versions;
use crate::wiring::{Router, lock};
pub use watch::{Changed, Watch};

/// How much less urgent loading is than the rest, on the system's scale of 0 to 19.
const LESS_URGENT: i32 = 10;

/// What a reload reads, and what it changes.
pub struct Reload {
    file: Option<PathBuf>,
    overrides: Overrides,
    settings: Settings,
    filters: Arc<Lock<FilterSet>>,
    outlets: Arc<Mutex<Outlets>>,
    quarantine: Arc<Quarantine>,
}

/// The folders that hold, or may come to hold, the modules of these settings.
pub fn folders(settings: &Settings) -> Vec<PathBuf> {
    let mut folders = vec![settings.filters_folder.clone()];
    let versions = Versions::of(&settings.data);
    // A pin there decides what runs. It is made with the first version that is kept.
    folders.extend(versions.folder().is_dir().then(|| versions.folder().to_path_buf()));
    for wanted in filters::wanted(settings) {
        if let filters::Source::File(path) = wanted.source
            && let Some(folder) = path.parent()
            && !folders.iter().any(|f| f == folder)
        {
            folders.push(folder.to_path_buf());
        }
    }
    folders
}

impl Reload {
    pub fn new(router: &Router, file: Option<PathBuf>, overrides: Overrides, settings: Settings) -> Self {
        Self {
            file,
            overrides,
            settings,
            filters: router.filters.clone(),
            outlets: router.outlets.clone(),
            quarantine: router.quarantine.clone(),
        }
    }

    /// The folders whose changes matter now.
    pub fn folders(&self) -> Vec<PathBuf> {
        folders(&self.settings)
    }

    /// Takes up a change, and says in the log what came of it.
    pub async fn take_up(&mut self, changed: Changed) {
        let result = match changed {
            Changed::Configuration if self.file.is_some() => self.configuration().await,
            Changed::Configuration | Changed::Filters => self.filters_folder().await,
        };
        if let Err(error) = result {
            tracing::error!("nothing was changed: {error:#}");
        }
    }

    /// Reads the configuration again and makes what runs be what it says.
    async fn configuration(&mut self) -> anyhow::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let settings = config::load(file, &|name| std::env::var(name).ok())?.with_overrides(&self.overrides);
        let changes = config::diff(Some(&self.settings), &settings);
        if changes.is_empty() {
            return self.filters_folder().await;
        }
        let prepared = self.prepare(&settings).await?;
        let named: Vec<_> = prepared.problems.iter().filter(|p| p.named).map(|p| p.reason.as_str()).collect();
        if !named.is_empty() {
            bail!("{}", named.join("; "));
        }
        self.outlets.lock().await.apply(&settings.sinks).await?;
        self.quarantine.set_options(parts::quarantine(&settings));
        self.publish(&settings, prepared).await?;
        if !changes.restart.is_empty() {
            tracing::warn!("changes to {} take effect when weir is started again", changes.restart.join(", "));
        }
        self.settings = settings;
        tracing::info!("configuration taken up");
        Ok(())
    }

    async fn prepare(&self, settings: &Settings) -> anyhow::Result<Prepared> {
        let (wanted, set) = (filters::wanted(settings), self.filters.clone());
        in_background(move || lock(&set).prepare(wanted)).await
    }

    /// Publishes a chain, prepared anew as long as another one comes between: the end of a trial may.
    async fn publish(&self, settings: &Settings, mut prepared: Prepared) -> anyhow::Result<()> {
        loop {
            let set = self.filters.clone();
            if tokio::task::spawn_blocking(move || lock(&set).publish(prepared)).await? {
                return Ok(());
            }
            prepared = self.prepare(settings).await?;
        }
    }

    /// Looks at the modules again: some may be new, changed or gone.
    async fn filters_folder(&mut self) -> anyhow::Result<()> {
        let wanted = filters::wanted(&self.settings);
        let set = self.filters.clone();
        in_background(move || {
            let mut set = lock(&set);
            let prepared = set.prepare(wanted);
            let is_published = set.publish(prepared);
            debug_assert!(is_published, "nobody else can have published: the set is locked");
        })
        .await
    }
}

/// Runs something that takes long on a thread of its own that yields to all others: records go before a compiler.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().name("weir-loader".into()).spawn(move || {
        if let Err(error) = rustix::process::nice(LESS_URGENT) {
            tracing::debug!("loading a filter at the usual priority: {error}");
        }
        // An error: the router is stopping.
        let _ = done.send(work());
    })?;
    Ok(result.await?)
}
