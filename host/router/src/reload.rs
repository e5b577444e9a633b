//! Applies changes to the configuration and to modules while the router is running.
//!
//! A changed file and SIGHUP are handled in the same way: everything is read and prepared, and only if that succeeds,
//! the changed parts are replaced. **An invalid configuration changes nothing.** If a
//! part can't be replaced even so, those before it stay replaced, and the log says so. The next configuration is then
//! applied even if it is the old one.

mod watch;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as Lock};

use anyhow::bail;
use tokio::sync::{Mutex, oneshot};

use crate::certificates::{Certificates, PreparedFiles};
use crate::config::{self, Overrides, Settings};
use crate::filters::{self, FilterSet, Prepared};
use crate::listeners::Listeners;
use crate::parts;
use crate::pipeline::PipelineState;
use crate::quarantine::Quarantine;
use crate::sink_set::SinkSet;
use crate::source_set::SourceSet;
use crate::tokens::Tokens;
use crate::versions::Versions;
use crate::wiring::{Router, lock};
pub use watch::{Changed, Watch};
use weir_document::Diagnostics;
use weir_filter_kit::Source;

/// Niceness of the loader thread, from 0 to 19.
const LESS_URGENT: i32 = 10;

/// The inputs of a reload, and the parts that it changes.
pub struct Reload {
    file: Option<PathBuf>,
    overrides: Overrides,
    settings: Settings,
    /// Some parts are not as in `settings`: a part could not be replaced after others were.
    in_part: bool,
    /// The settings at startup, for keys that need a restart.
    started: Settings,
    /// Changed keys that need a restart.
    pending: Vec<String>,
    /// Why the configuration was last refused.
    refused: Option<String>,
    /// Modules that were already logged as unused.
    unused: HashSet<PathBuf>,
    tokens: Arc<Lock<Tokens>>,
    certificates: Option<Arc<Lock<Certificates>>>,
    filters: Arc<Lock<FilterSet>>,
    sink_set: Arc<Mutex<SinkSet>>,
    listeners: Arc<Mutex<Listeners>>,
    source_set: Arc<Mutex<SourceSet>>,
    quarantine: Arc<Quarantine>,
    shared: Arc<PipelineState>,
}

/// The folders that contain, or may later contain, the modules of these settings.
pub fn folders(settings: &Settings) -> Vec<PathBuf> {
    let mut folders = vec![settings.filters_folder.clone()];
    let versions = Versions::of(&settings.data);
    // Pins in this folder select versions. The folder is created with the first kept version.
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
            in_part: false,
            pending: Vec::new(),
            refused: None,
            unused: HashSet::new(),
            tokens: router.tokens.clone(),
            certificates: router.certificates.clone(),
            filters: router.filters.clone(),
            sink_set: router.sink_set.clone(),
            listeners: router.listeners.clone(),
            source_set: router.source_set.clone(),
            quarantine: router.quarantine.clone(),
            shared: router.shared.clone(),
        };
        reload.log_unused_modules();
        reload
    }

    /// The folders to watch.
    pub fn folders(&self) -> Vec<PathBuf> {
        folders(&self.settings)
    }

    /// Applies a change and logs the result.
    pub async fn apply(&mut self, changed: Changed) {
        if changed == Changed::Asked
            && let Some(certificates) = &self.certificates
        {
            lock(certificates).read_again();
        }
        // A new module may be the one for whose absence the configuration was refused.
        let reads = changed != Changed::Filters || self.refused.is_some();
        if self.file.is_some() && reads {
            let result = self.configuration(changed == Changed::Asked).await;
            self.record_result(result, changed == Changed::Asked);
        } else if let Err(error) = self.filters_folder().await {
            tracing::error!("nothing was changed: {error:#}");
        } else if changed == Changed::Asked {
            tracing::info!("filters folder checked; there is no configuration file");
        }
        self.log_unused_modules();
    }

    /// Logs once why a configuration is refused, and keeps the reason for `/health`.
    fn record_result(&mut self, result: anyhow::Result<()>, asked: bool) {
        let refused = result.err().map(|error| {
            let text = format!("{error:#}");
            if asked || self.refused.as_ref() != Some(&text) {
                let changed = match self.in_part {
                    true => "only a part of the configuration is in effect",
                    false => "nothing was changed",
                };
                tracing::error!("{changed}: {text}");
            }
            // The full text quotes lines of the file, which may contain secrets.
            let brief = match error.downcast_ref::<Diagnostics>() {
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

    /// Reads the configuration and applies it.
    async fn configuration(&mut self, asked: bool) -> anyhow::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let settings = config::load(file, &|name| std::env::var(name).ok())?.with_overrides(&self.overrides);
        if settings.are_same(&self.settings) && !self.in_part {
            self.filters_folder().await?;
            if asked {
                tracing::info!("the configuration is unchanged; modules checked");
            }
            return Ok(());
        }
        let prepared = self.prepare(&settings).await?;
        let named: Vec<_> = prepared.failures.iter().filter(|p| p.named).map(|p| p.reason.as_str()).collect();
        if !named.is_empty() {
            bail!("{}", named.join("; "));
        }
        let tokens = lock(&self.tokens).prepare(&settings.tokens)?;
        // Without TLS before or after, nothing changes until a restart.
        let files = settings.tls.as_ref().filter(|files| self.in_part || Some(*files) != self.settings.tls.as_ref());
        let files = files.filter(|_| self.certificates.is_some()).map(PreparedFiles::read).transpose()?;
        let mut listeners = self.listeners.clone().lock_owned().await;
        let bound = listeners.bind(&settings.listeners, !tokens.are_none()).await?;
        {
            let mut sinks = self.sink_set.lock().await;
            let applied = sinks.apply(&settings.sinks).await;
            self.in_part |= !sinks.are(&self.settings.sinks);
            applied?;
        }
        self.source_set.lock().await.apply(&settings.sources).await?;
        self.in_part = true;
        // A listener that others reach is never open without a token.
        if tokens.are_none() {
            listeners.replace(&settings.listeners, bound).await?;
            lock(&self.tokens).publish(tokens);
        } else {
            lock(&self.tokens).publish(tokens);
            listeners.replace(&settings.listeners, bound).await?;
        }
        drop(listeners);
        if let (Some(certificates), Some(files)) = (&self.certificates, files) {
            lock(certificates).publish(files);
        }
        lock(&self.tokens).access().set_quota_of_addresses(&settings.limits);
        self.quarantine.set_options(parts::quarantine(&settings));
        self.publish(&settings, prepared).await?;
        settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        self.log_pending_restart(&settings);
        self.settings = settings;
        self.in_part = false;
        tracing::info!("configuration reloaded");
        Ok(())
    }

    /// Logs which changed keys take effect only after a restart.
    fn log_pending_restart(&mut self, settings: &Settings) {
        let pending: Vec<String> =
            settings.keys_that_need_a_restart(&self.started).into_iter().map(str::to_owned).collect();
        if pending != self.pending && !pending.is_empty() {
            tracing::warn!("changes to {} take effect after a restart", pending.join(", "));
        }
        self.pending = pending;
    }

    /// Logs modules in the folder that no `[[filter]]` uses, since this is easily overlooked.
    fn log_unused_modules(&mut self) {
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

    /// Publishes a chain. If another one was published in the meantime, as by the end of a trial, prepares it again.
    async fn publish(&self, settings: &Settings, mut prepared: Prepared) -> anyhow::Result<()> {
        loop {
            let set = self.filters.clone();
            if tokio::task::spawn_blocking(move || lock(&set).publish(prepared)).await? {
                return Ok(());
            }
            prepared = self.prepare(settings).await?;
        }
    }

    /// Checks for new, changed and removed modules.
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

/// Runs long work on a separate low-priority thread: records take precedence over compiling.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().name("weir-loader".into()).spawn(move || {
        if let Err(error) = rustix::process::nice(LESS_URGENT) {
            tracing::debug!("loading a filter at normal priority: {error}");
        }
        // Fails only if the router is stopping.
        let _ = done.send(work());
    })?;
    Ok(result.await?)
}
