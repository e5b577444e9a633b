//! Takes up changes while the router runs: a new configuration, modules in the filters folder.
//!
//! The same path serves a changed file and SIGHUP: read everything, prepare everything, and only
//! when nothing is wrong exchange what changed. **A broken configuration changes nothing.**

mod watch;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock};

use anyhow::bail;
use tokio::sync::{Mutex, oneshot};

use crate::config::{self, Overrides, Settings};
use crate::filters::{self, FilterSet, Prepared};
use crate::parts;
use crate::pipeline::Shared;
use crate::quarantine::Quarantine;
use crate::sink_set::SinkSet;
use crate::versions::Versions;
use crate::wiring::{Router, lock};
pub use watch::{Changed, Watch};
use weir_document::Problems;
use weir_filter_kit::Source;

/// How much less urgent loading is than the rest, on the system's scale of 0 to 19.
const LESS_URGENT: i32 = 10;

/// What a reload reads, and what it changes.
pub struct Reload {
    file: Option<PathBuf>,
    overrides: Overrides,
    settings: Settings,
    /// What the router was started with: some keys take effect only then.
    started: Settings,
    /// Those that wait for the next start.
    pending: Vec<String>,
    /// Why the configuration was refused when it was last read.
    refused: Option<String>,
    /// Modules of which was said that nothing uses them.
    unused: HashSet<PathBuf>,
    filters: Arc<Lock<FilterSet>>,
    sink_set: Arc<Mutex<SinkSet>>,
    quarantine: Arc<Quarantine>,
    shared: Arc<Shared>,
}

/// The folders that hold, or may come to hold, the modules of these settings.
pub fn folders(settings: &Settings) -> Vec<PathBuf> {
    let mut folders = vec![settings.filters_folder.clone()];
    let versions = Versions::of(&settings.data);
    // A pin there decides what runs. It is made with the first version that is kept.
    folders.extend(versions.folder().is_dir().then(|| versions.folder().to_path_buf()));
    for wanted in filters::wanted(settings) {
        if let Source::File(path) = wanted.source
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
        let mut reload = Self {
            file,
            overrides,
            started: settings.clone(),
            settings,
            pending: Vec::new(),
            refused: None,
            unused: HashSet::new(),
            filters: router.filters.clone(),
            sink_set: router.sink_set.clone(),
            quarantine: router.quarantine.clone(),
            shared: router.shared.clone(),
        };
        reload.say_what_is_unused();
        reload
    }

    /// The folders whose changes matter now.
    pub fn folders(&self) -> Vec<PathBuf> {
        folders(&self.settings)
    }

    /// Takes up a change, and says in the log what came of it.
    pub async fn take_up(&mut self, changed: Changed) {
        // A module that comes may be what a configuration was refused for.
        let reads = changed != Changed::Filters || self.refused.is_some();
        if self.file.is_some() && reads {
            let result = self.configuration(changed == Changed::Asked).await;
            self.note(result, changed == Changed::Asked);
        } else if let Err(error) = self.filters_folder().await {
            tracing::error!("nothing was changed: {error:#}");
        } else if changed == Changed::Asked {
            tracing::info!("filters folder checked; there is no configuration file");
        }
        self.say_what_is_unused();
    }

    /// Says why a configuration is refused, once, and keeps it for whoever asks later.
    fn note(&mut self, result: anyhow::Result<()>, asked: bool) {
        let refused = result.err().map(|error| {
            let text = format!("{error:#}");
            if asked || self.refused.as_ref() != Some(&text) {
                tracing::error!("nothing was changed: {text}");
            }
            // Lines of the file, which the text quotes, may hold secrets.
            let brief = match error.downcast_ref::<Problems>() {
                Some(problems) => format!("{}; `weir validate` lists them", problems.summary()),
                None => text.clone(),
            };
            (text, brief)
        });
        if refused.is_none() && self.refused.is_some() {
            tracing::info!("the configuration is accepted again");
        }
        let (text, brief) = refused.unzip();
        self.refused = text;
        self.shared.refused.configuration(brief);
    }

    /// Reads the configuration again and makes what runs be what it says.
    async fn configuration(&mut self, asked: bool) -> anyhow::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let settings = config::load(file, &|name| std::env::var(name).ok())?.with_overrides(&self.overrides);
        if settings.are_same(&self.settings) {
            self.filters_folder().await?;
            if asked {
                tracing::info!("the configuration is unchanged; modules checked");
            }
            return Ok(());
        }
        let prepared = self.prepare(&settings).await?;
        let named: Vec<_> = prepared.problems.iter().filter(|p| p.named).map(|p| p.reason.as_str()).collect();
        if !named.is_empty() {
            bail!("{}", named.join("; "));
        }
        self.sink_set.lock().await.apply(&settings.sinks).await?;
        self.quarantine.set_options(parts::quarantine(&settings));
        self.publish(&settings, prepared).await?;
        settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        self.say_what_waits_for_a_start(&settings);
        self.settings = settings;
        tracing::info!("configuration reloaded");
        Ok(())
    }

    /// Some keys take effect at the next start only: those that differ from what the router was started with.
    fn say_what_waits_for_a_start(&mut self, settings: &Settings) {
        let pending: Vec<String> =
            settings.keys_that_need_a_restart(&self.started).into_iter().map(str::to_owned).collect();
        if pending != self.pending && !pending.is_empty() {
            tracing::warn!("changes to {} take effect after a restart", pending.join(", "));
        }
        self.pending = pending;
    }

    /// A module that was copied into the folder and that no `[[filter]]` names would be missed otherwise.
    fn say_what_is_unused(&mut self) {
        let unused: HashSet<PathBuf> = filters::unused(&self.settings).into_iter().collect();
        for path in unused.difference(&self.unused) {
            let [section, name, module] = filters::lines_to_use(path);
            let file = self.file.as_deref().unwrap_or("the configuration".as_ref()).display();
            tracing::warn!(
                "{} is not used: no [[filter]] names it; add `{section}`, `{name}` and `{module}`, each on its own line, to {file}",
                path.display()
            );
        }
        self.unused = unused;
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
            tracing::debug!("loading a filter at normal priority: {error}");
        }
        // An error: the router is stopping.
        let _ = done.send(work());
    })?;
    Ok(result.await?)
}
