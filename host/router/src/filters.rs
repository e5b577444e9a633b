//! The running filters: those in the configuration, in its order, then other modules in the filters folder.
//!
//! A change takes two steps. [`FilterSet::prepare`] loads new filters and tests them on recent records while the old
//! chain runs; [`FilterSet::publish`] replaces the chain atomically. Unchanged filters keep their instances. **A filter
//! that can't be loaded never replaces a running one.**
//!
//! | file | purpose |
//! |---|---|
//! | `filters.rs` | prepares and publishes a chain |
//! | `filters/wanted.rs` | the desired filters and their modules |
//! | `filters/trial.rs` | canary trials of new versions |
//! | `filters/preview.rs` | compares a module with the running version on recent records |
//! | `filters/swap.rs` | runs another version on request |

mod preview;
mod swap;
mod trial;
mod wanted;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use metrics::counter;
use weir_engine::{Chain, Filter};

use crate::pipeline::{self, PipelineState};
use crate::versions::{VersionEntry, Versions, now, sha256, short};
pub use preview::paths;
pub use swap::SwapError;
use trial::{PendingTrial, RunningTrial};
pub use wanted::{DesiredFilter, lines_to_use, named, unused, wanted};

/// The running filters.
pub struct FilterSet {
    shared: Arc<PipelineState>,
    versions: Versions,
    running: Vec<RunningFilter>,
    /// The desired filters.
    wanted: Vec<DesiredFilter>,
    /// Digests of modules that failed to load, by filter name, so that each failure is logged once.
    failed: HashMap<String, String>,
    /// Running trials, by filter name.
    trials: HashMap<String, RunningTrial>,
    /// Digests that passed their trial, by filter name.
    promoted: HashMap<String, String>,
    /// The number of published chains.
    generation: u64,
    /// A reference to itself, for trials that end.
    me: Weak<Mutex<FilterSet>>,
}

#[derive(Clone)]
struct RunningFilter {
    wanted: DesiredFilter,
    /// Digest of the module.
    digest: String,
    /// Who loaded this version: `folder`, `bundled`, or the author of a pin.
    by: String,
    filter: Arc<Filter>,
}

/// The module to run.
struct SelectedModule {
    module: Vec<u8>,
    digest: String,
    by: String,
    /// Whether a pin selects it instead of the configured module.
    is_pinned: bool,
}

/// A chain that is ready to be published.
pub struct Prepared {
    ready: Vec<RunningFilter>,
    wanted: Vec<DesiredFilter>,
    trials: Vec<PendingTrial>,
    pub failures: Vec<LoadFailure>,
    /// Generation of the chain that it replaces.
    generation: u64,
}

/// A filter that could not be loaded.
pub struct LoadFailure {
    filter: String,
    /// Whether the filter is in the configuration.
    pub named: bool,
    pub reason: String,
    /// Whether an older version keeps running.
    kept: bool,
    /// Whether it was already logged.
    known: bool,
}

/// Description of a running filter.
pub struct FilterInfo {
    pub name: String,
    pub version: String,
    pub source: String,
}

impl FilterSet {
    pub fn new(shared: Arc<PipelineState>, versions: Versions) -> Self {
        Self {
            shared,
            versions,
            running: Vec::new(),
            wanted: Vec::new(),
            failed: HashMap::new(),
            trials: HashMap::new(),
            promoted: HashMap::new(),
            generation: 0,
            me: Weak::new(),
        }
    }

    /// Loads new filters. If a filter can't be loaded or is on trial, the version that is running under its name, if
    /// any, is used instead.
    pub fn prepare(&mut self, wanted: Vec<DesiredFilter>) -> Prepared {
        let mut ready = Vec::with_capacity(wanted.len());
        let (mut failures, mut trials) = (Vec::new(), Vec::new());
        let mut failed = HashMap::new();
        for wanted in &wanted {
            let name = wanted.spec.name.clone();
            let chosen = self.select_module(wanted);
            let digest = chosen.as_ref().map(|chosen| chosen.digest.clone()).unwrap_or_default();
            match chosen.and_then(|chosen| self.load(wanted, chosen, &mut trials)) {
                Ok(running) => ready.push(running),
                Err(reason) => {
                    let kept = self.find(&name).cloned();
                    failures.push(LoadFailure {
                        filter: name.clone(),
                        known: self.failed.get(&name) == Some(&digest),
                        named: wanted.named,
                        reason,
                        kept: kept.is_some(),
                    });
                    failed.insert(name, digest);
                    ready.extend(kept);
                }
            }
        }
        self.failed = failed;
        Prepared { ready, wanted, trials, failures, generation: self.generation }
    }

    /// Replaces the chain with a prepared one and logs the changes. Returns false and changes nothing if another chain
    /// was published in the meantime; the caller must then prepare again.
    #[must_use]
    pub fn publish(&mut self, prepared: Prepared) -> bool {
        if prepared.generation != self.generation {
            return false;
        }
        self.generation += 1;
        for failure in &prepared.failures {
            failure.log();
        }
        self.shared.refused.modules(prepared.failures.iter().map(LoadFailure::to_string).collect());
        let shared = self.shared.clone();
        let (new_running, log_lines, removed, emitted) = shared.chain.exclusive(|chain| {
            let mut new_running = Vec::with_capacity(prepared.ready.len());
            let mut log_lines = Vec::new();
            for new in prepared.ready {
                let old = self.find(&new.wanted.spec.name).cloned();
                let (running, log_line) = take_over(old, new);
                log_lines.extend(log_line);
                new_running.push(running);
            }
            *chain = Arc::new(Chain(new_running.iter().map(|running| running.filter.clone()).collect()));
            let is_continued = |old: &RunningFilter| {
                let of_name = new_running.iter().find(|new| new.wanted.spec.name == old.wanted.spec.name);
                // A version that can't hold records can't take over held records.
                of_name.is_some_and(|new| new.filter.holds_records() || !old.filter.holds_records())
            };
            let removed: Vec<RunningFilter> = self.running.iter().filter(|old| !is_continued(old)).cloned().collect();
            // Before the next batch, so that held records precede later ones.
            let emitted: Vec<_> = removed.iter().map(|old| pipeline::retire(&shared, &old.filter, chain)).collect();
            (new_running, log_lines, removed, emitted)
        });
        self.running = new_running;
        self.wanted = prepared.wanted;
        for line in log_lines {
            tracing::info!("{line}");
        }
        for (old, emitted) in removed.iter().zip(emitted) {
            let name = &old.wanted.spec.name;
            if self.find(name).is_none() {
                tracing::info!("filter `{name}` unloaded");
            }
            match emitted {
                Ok(emitted) => emitted.wait(),
                Err(error) => {
                    tracing::info!(
                        "removed filter `{name}` still has records; they and all later records wait: {error}"
                    );
                }
            }
        }
        for running in &self.running {
            self.record_history(running);
        }
        self.start_trials(prepared.trials);
        true
    }

    /// Prepares and publishes the desired filters again after a pin or trial changed.
    fn republish(&mut self) {
        let prepared = self.prepare(self.wanted.clone());
        let is_published = self.publish(prepared);
        debug_assert!(is_published, "nobody else can have published: the set is borrowed");
    }

    /// What the running version of a filter was loaded from.
    pub fn origin(&self, name: &str) -> Option<String> {
        self.find(name).map(RunningFilter::origin)
    }

    /// The running filters, in order.
    pub fn infos(&self) -> Vec<FilterInfo> {
        self.running
            .iter()
            .map(|running| FilterInfo {
                name: running.wanted.spec.name.clone(),
                version: running.filter.description().version.clone(),
                source: running.origin(),
            })
            .collect()
    }

    fn find(&self, name: &str) -> Option<&RunningFilter> {
        self.running.iter().find(|r| r.wanted.spec.name == name)
    }

    /// Selects the module to run: the configured one, unless a pin selects another.
    fn select_module(&self, wanted: &DesiredFilter) -> Result<SelectedModule, String> {
        let name = &wanted.spec.name;
        let module = wanted.source.read()?.into_owned();
        let digest = sha256(&module);
        match self.versions.pin(name).filter(|pin| pin.instead_of == digest) {
            Some(pin) => {
                let module = self.versions.module(name, &pin.run)?;
                Ok(SelectedModule { module, digest: pin.run, by: pin.by, is_pinned: true })
            }
            None => Ok(SelectedModule { module, digest, by: wanted.source.who().to_owned(), is_pinned: false }),
        }
    }

    fn load(
        &self,
        wanted: &DesiredFilter,
        chosen: SelectedModule,
        trials: &mut Vec<PendingTrial>,
    ) -> Result<RunningFilter, String> {
        let name = &wanted.spec.name;
        if let Some(running) = self.find(name)
            && running.digest == chosen.digest
            && running.wanted == *wanted
        {
            return Ok(running.clone());
        }
        let Some(chosen) = self.defer_to_trial(wanted, chosen, trials)? else {
            // The running or last version runs during the trial.
            return self.load_during_trial(wanted);
        };
        let filter = self.load_module(wanted, &chosen.module)?;
        if let Err(error) = self.versions.store_module(name, &chosen.digest, &chosen.module) {
            tracing::warn!("filter `{name}`: this version is not kept for a rollback: {error}");
        }
        Ok(RunningFilter { wanted: wanted.clone(), digest: chosen.digest, by: chosen.by, filter })
    }

    fn load_module(&self, wanted: &DesiredFilter, module: &[u8]) -> Result<Arc<Filter>, String> {
        let in_place = |error: weir_engine::LoadError| format!("{}: {error}", wanted.source);
        let filter = self.shared.engine.load(&wanted.spec, module).map_err(in_place)?;
        // The same module with other options may behave differently on purpose; a canary has its own thresholds.
        let name = &wanted.spec.name;
        let running = self.find(name).map(|running| &*running.filter);
        let (same, other) = match running {
            Some(running) if running.digest() == filter.digest() => (Some(running), None),
            other => (None, other.filter(|_| wanted.canary.is_none())),
        };
        let sample = self.shared.sample.take();
        let checked = filter.check(&sample, other).map_err(in_place)?;
        if checked.failed_on_all() && same.is_some_and(|running| running.accepts_any(&sample)) {
            let (count, reason) = (checked.records, checked.reason);
            return Err(format!(
                "{}: filter `{name}`: with these settings it fails on all {count} recent records, \
                 with the running ones it doesn't: {reason}",
                wanted.source
            ));
        }
        if checked.failed_on_all() {
            let version = &filter.description().version;
            let (count, reason) = (checked.records, checked.reason);
            tracing::warn!("filter `{name}` {version} fails on all {count} recent records: {reason}");
        }
        Ok(filter)
    }

    /// Adds a running version to the history.
    fn record_history(&self, running: &RunningFilter) {
        let kept = VersionEntry {
            digest: running.digest.clone(),
            version: running.filter.description().version.clone(),
            when: now(),
            by: running.by.clone(),
        };
        if let Err(error) = self.versions.record(&running.wanted.spec.name, kept) {
            tracing::warn!("filter `{}`: can't write its version history: {error}", running.wanted.spec.name);
        }
    }
}

/// Replaces `old` with `new` and hands over its state. If `new` doesn't accept the state, `old` stays. Also returns a
/// log line for after the chain is published.
fn take_over(old: Option<RunningFilter>, new: RunningFilter) -> (RunningFilter, Option<String>) {
    let name = &new.wanted.spec.name;
    let version = &new.filter.description().version;
    let Some(old) = old else {
        let line = format!("filter `{name}` {version} loaded from {}", new.origin());
        return (new, Some(line));
    };
    if Arc::ptr_eq(&old.filter, &new.filter) {
        return (new, None);
    }
    if let Err(error) = old.filter.hand_over(&new.filter) {
        tracing::error!("filter `{name}`: the running version stays: {error}");
        return (old, None);
    }
    counter!("weir_filter_swaps_total", "filter" => name.clone()).increment(1);
    let before = &old.filter.description().version;
    let line = match (before == version, old.digest == new.digest) {
        (_, true) => format!("filter `{name}` {version} reloaded with new settings"),
        (true, false) => {
            let (before, version) = (old.version_with_digest(), new.version_with_digest());
            format!("filter `{name}` {before} replaced by {version} from {}", new.origin())
        }
        (false, false) => format!("filter `{name}` {before} replaced by {version} from {}", new.origin()),
    };
    (new, Some(line))
}

impl RunningFilter {
    /// The version with its digest, for versions with the same version number.
    fn version_with_digest(&self) -> String {
        format!("{} (sha256 {})", self.filter.description().version, short(&self.digest))
    }

    /// The source of the running module.
    fn origin(&self) -> String {
        let (by, source) = (&self.by, &self.wanted.source);
        match by == source.who() {
            true => source.to_string(),
            // Pinned by a rollback or a rejected trial.
            false => format!("a kept version, sha256 {} by {by}, instead of {source}", short(&self.digest)),
        }
    }
}

impl LoadFailure {
    fn log(&self) {
        if self.known {
            return;
        }
        tracing::error!("{self}");
    }
}

impl std::fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let follows = if self.kept { "the running version stays" } else { "the filter is not loaded" };
        write!(f, "{}; {follows}", self.reason)
    }
}
