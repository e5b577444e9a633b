//! Which filters run: those that the configuration names, in its order, then modules that lie in
//! the filters folder.
//!
//! A change is made in two steps. [`FilterSet::prepare`] loads what is new and tries it on recent
//! records, while the old chain goes on; [`FilterSet::publish`] exchanges the chain in one step.
//! What did not change keeps its instances. **A filter that can't be loaded never replaces one that
//! runs.**
//!
//! | file | purpose |
//! |---|---|
//! | `filters.rs` | preparing and publishing a chain |
//! | `filters/wanted.rs` | what should run, and where its module comes from |
//! | `filters/trial.rs` | new versions that are tried in the shadow of the running one first |

mod trial;
mod wanted;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use metrics::counter;
use weir_engine::{Chain, Filter};

use crate::pipeline::{self, Shared};
use crate::versions::{Kept, Versions, now, sha256, short};
use trial::{OnTrial, Trial};
pub use wanted::{Wanted, lines_to_use, named, unused, wanted};

/// The filters that run.
pub struct FilterSet {
    shared: Arc<Shared>,
    versions: Versions,
    running: Vec<Running>,
    /// What should run.
    wanted: Vec<Wanted>,
    /// What failed to load the last time, by the digest of its module, so that it is said once.
    failed: HashMap<String, String>,
    /// New versions on trial, by the filter's name.
    trials: HashMap<String, OnTrial>,
    /// Digests that came well through their trial, by the filter's name.
    promoted: HashMap<String, String>,
    /// How many chains were published.
    generation: u64,
    /// Itself, for trials that end.
    me: Weak<Mutex<FilterSet>>,
}

#[derive(Clone)]
struct Running {
    wanted: Wanted,
    /// Of the module.
    digest: String,
    /// Who had it taken up.
    by: String,
    filter: Arc<Filter>,
}

/// The module that is to run.
struct Chosen {
    module: Vec<u8>,
    digest: String,
    by: String,
    /// Whether it runs instead of what lies in its place.
    is_pinned: bool,
}

/// A chain that is ready to be published.
pub struct Prepared {
    ready: Vec<Running>,
    wanted: Vec<Wanted>,
    trials: Vec<Trial>,
    pub problems: Vec<Problem>,
    /// The chain that it is to take the place of.
    generation: u64,
}

/// A filter that could not be loaded.
pub struct Problem {
    /// Whether the configuration names it.
    pub named: bool,
    pub reason: String,
    /// Whether an older version goes on in its place.
    kept: bool,
    /// Whether it was said before.
    known: bool,
}

/// A filter that runs, for whoever wants to show it.
pub struct Shown {
    pub name: String,
    pub version: String,
    pub source: String,
}

impl FilterSet {
    pub fn new(shared: Arc<Shared>, versions: Versions) -> Self {
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

    /// Loads what is new among `wanted`. A filter that can't be loaded is a problem, and the version
    /// that runs under its name, if there is one, takes its place; so it does while a new version is
    /// on trial.
    pub fn prepare(&mut self, wanted: Vec<Wanted>) -> Prepared {
        let mut ready = Vec::with_capacity(wanted.len());
        let (mut problems, mut trials) = (Vec::new(), Vec::new());
        let mut failed = HashMap::new();
        for wanted in &wanted {
            let name = wanted.spec.name.clone();
            let chosen = self.choose(wanted);
            let digest = chosen.as_ref().map(|chosen| chosen.digest.clone()).unwrap_or_default();
            match chosen.and_then(|chosen| self.load(wanted, chosen, &mut trials)) {
                Ok(running) => ready.push(running),
                Err(reason) => {
                    let kept = self.find(&name).cloned();
                    problems.push(Problem {
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
        Prepared { ready, wanted, trials, problems, generation: self.generation }
    }

    /// Exchanges the chain for a prepared one, and says in the log what changed. False, with nothing changed, when
    /// another chain was published since: it must be prepared again.
    #[must_use]
    pub fn publish(&mut self, prepared: Prepared) -> bool {
        if prepared.generation != self.generation {
            return false;
        }
        self.generation += 1;
        for problem in &prepared.problems {
            problem.say();
        }
        self.shared.refused.modules(prepared.problems.iter().map(Problem::to_string).collect());
        let shared = self.shared.clone();
        let (handed_over, news, gone, unasked) = shared.chain.alone(|chain| {
            let mut handed_over = Vec::with_capacity(prepared.ready.len());
            let mut news = Vec::new();
            for new in prepared.ready {
                let old = self.find(&new.wanted.spec.name).cloned();
                let (running, what_is_new) = take_over(old, new);
                news.extend(what_is_new);
                handed_over.push(running);
            }
            *chain = Arc::new(Chain(handed_over.iter().map(|running| running.filter.clone()).collect()));
            let goes_on = |old: &Running| {
                let of_name = handed_over.iter().find(|new| new.wanted.spec.name == old.wanted.spec.name);
                // A version that can hold nothing can't take over what is held.
                of_name.is_some_and(|new| new.filter.holds_records() || !old.filter.holds_records())
            };
            let gone: Vec<Running> = self.running.iter().filter(|old| !goes_on(old)).cloned().collect();
            // Before the next batch, so that what was held comes before what came later.
            let unasked: Vec<_> = gone.iter().map(|old| pipeline::retire(&shared, &old.filter, chain)).collect();
            (handed_over, news, gone, unasked)
        });
        self.running = handed_over;
        self.wanted = prepared.wanted;
        for line in news {
            tracing::info!("{line}");
        }
        for (old, unasked) in gone.iter().zip(unasked) {
            let name = &old.wanted.spec.name;
            if self.find(name).is_none() {
                tracing::info!("filter `{name}` unloaded");
            }
            match unasked {
                Ok(unasked) => unasked.wait(),
                Err(error) => {
                    tracing::info!(
                        "removed filter `{name}` still has records; they and all later records wait: {error}"
                    )
                }
            }
        }
        for running in &self.running {
            self.note(running);
        }
        self.try_out(prepared.trials);
        true
    }

    /// Prepares and publishes what is wanted already: something else decides now what that means.
    fn again(&mut self) {
        let prepared = self.prepare(self.wanted.clone());
        let is_published = self.publish(prepared);
        debug_assert!(is_published, "nobody else can have published: the set is borrowed");
    }

    /// What runs, in order.
    pub fn shown(&self) -> Vec<Shown> {
        self.running
            .iter()
            .map(|running| Shown {
                name: running.wanted.spec.name.clone(),
                version: running.filter.description().version.clone(),
                source: running.origin(),
            })
            .collect()
    }

    fn find(&self, name: &str) -> Option<&Running> {
        self.running.iter().find(|r| r.wanted.spec.name == name)
    }

    /// The module to run: what lies in its place, unless something else is to run instead.
    fn choose(&self, wanted: &Wanted) -> Result<Chosen, String> {
        let name = &wanted.spec.name;
        let module = wanted.source.read()?.into_owned();
        let digest = sha256(&module);
        match self.versions.pin(name).filter(|pin| pin.instead_of == digest) {
            Some(pin) => {
                let module = self.versions.module(name, &pin.run)?;
                Ok(Chosen { module, digest: pin.run, by: pin.by, is_pinned: true })
            }
            None => Ok(Chosen { module, digest, by: wanted.source.who().to_owned(), is_pinned: false }),
        }
    }

    fn load(&self, wanted: &Wanted, chosen: Chosen, trials: &mut Vec<Trial>) -> Result<Running, String> {
        let name = &wanted.spec.name;
        if let Some(running) = self.find(name)
            && running.digest == chosen.digest
            && running.wanted == *wanted
        {
            return Ok(running.clone());
        }
        let Some(chosen) = self.unless_on_trial(wanted, chosen, trials)? else {
            // What runs goes on, or begins, beside the trial.
            return self.beside_trial(wanted);
        };
        let filter = self.load_module(wanted, &chosen.module)?;
        if let Err(error) = self.versions.keep(name, &chosen.digest, &chosen.module) {
            tracing::warn!("filter `{name}`: this version is not kept for a rollback: {error}");
        }
        Ok(Running { wanted: wanted.clone(), digest: chosen.digest, by: chosen.by, filter })
    }

    fn load_module(&self, wanted: &Wanted, module: &[u8]) -> Result<Arc<Filter>, String> {
        let in_place = |error: weir_engine::LoadError| format!("{}: {error}", wanted.source);
        let filter = self.shared.engine.load(&wanted.spec, module).map_err(in_place)?;
        // The same module with other options is meant to do something else; a canary has thresholds of its own.
        let name = &wanted.spec.name;
        let running = self.find(name).map(|running| &*running.filter);
        let (same, other) = match running {
            Some(running) if running.digest() == filter.digest() => (Some(running), None),
            other => (None, other.filter(|_| wanted.canary.is_none())),
        };
        let sample = self.shared.sample.take();
        let checked = filter.check(&sample, other).map_err(in_place)?;
        if checked.failed_altogether() && same.is_some_and(|running| running.takes_any(&sample)) {
            let (count, reason) = (checked.records, checked.reason);
            return Err(format!(
                "{}: filter `{name}`: with these settings it fails on all {count} recent records that it was tried on, \
                 with the running ones it does not: {reason}",
                wanted.source
            ));
        }
        if checked.failed_altogether() {
            let version = &filter.description().version;
            let (count, reason) = (checked.records, checked.reason);
            tracing::warn!(
                "filter `{name}` {version} fails on all {count} recent records that it was tried on: {reason}"
            );
        }
        Ok(filter)
    }

    /// Enters a version that runs in the history.
    fn note(&self, running: &Running) {
        let kept = Kept {
            digest: running.digest.clone(),
            version: running.filter.description().version.clone(),
            when: now(),
            by: running.by.clone(),
        };
        if let Err(error) = self.versions.note(&running.wanted.spec.name, kept) {
            tracing::warn!("filter `{}`: can't write its version history: {error}", running.wanted.spec.name);
        }
    }
}

/// Puts `new` where `old` was: what the old one remembers goes to the new one. When the new one does
/// not take it, the old one stays. Gives what to say once the chain is published, if anything is new.
fn take_over(old: Option<Running>, new: Running) -> (Running, Option<String>) {
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
            let (before, version) = (old.in_full(), new.in_full());
            format!("filter `{name}` {before} replaced by {version} from {}", new.origin())
        }
        (false, false) => format!("filter `{name}` {before} replaced by {version} from {}", new.origin()),
    };
    (new, Some(line))
}

impl Running {
    /// Its version, with the digest, where another version may say the same of itself.
    fn in_full(&self) -> String {
        format!("{} (sha256 {})", self.filter.description().version, short(&self.digest))
    }

    /// Where the module that runs comes from.
    fn origin(&self) -> String {
        let (by, source) = (&self.by, &self.wanted.source);
        match by == source.who() {
            true => source.to_string(),
            // By a rollback, or because a trial ended badly.
            false => format!("a kept version, sha256 {} by {by}, instead of {source}", short(&self.digest)),
        }
    }
}

impl Problem {
    fn say(&self) {
        if self.known {
            return;
        }
        tracing::error!("{self}");
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let follows = if self.kept { "the running version stays" } else { "the filter is not loaded" };
        write!(f, "{}; {follows}", self.reason)
    }
}
