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

mod wanted;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use metrics::counter;
use weir_engine::{Chain, Filter, Worker};

use crate::pipeline::{self, Shared};
pub use wanted::{Source, Wanted, wanted};

/// The filters that run.
pub struct FilterSet {
    shared: Arc<Shared>,
    running: Vec<Running>,
    /// What failed to load the last time, so that it is said once.
    failed: HashMap<String, u64>,
}

#[derive(Clone)]
struct Running {
    wanted: Wanted,
    /// Of the module's bytes.
    digest: u64,
    filter: Arc<Filter>,
}

/// A chain that is ready to be published.
pub struct Prepared {
    ready: Vec<Running>,
    pub problems: Vec<Problem>,
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
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, running: Vec::new(), failed: HashMap::new() }
    }

    /// Loads what is new among `wanted`. A filter that can't be loaded is a problem, and the version
    /// that runs under its name, if there is one, takes its place.
    pub fn prepare(&mut self, wanted: Vec<Wanted>) -> Prepared {
        let mut ready = Vec::with_capacity(wanted.len());
        let mut problems = Vec::new();
        let mut failed = HashMap::new();
        for wanted in wanted {
            let (name, named) = (wanted.spec.name.clone(), wanted.named);
            let digest = digest(&wanted);
            match self.load(wanted, digest.as_ref().copied().unwrap_or(0)) {
                Ok(running) => ready.push(running),
                Err(reason) => {
                    let digest = digest.unwrap_or(0);
                    let kept = self.find(&name).cloned();
                    problems.push(Problem {
                        known: self.failed.get(&name) == Some(&digest),
                        named,
                        reason,
                        kept: kept.is_some(),
                    });
                    failed.insert(name, digest);
                    ready.extend(kept);
                }
            }
        }
        self.failed = failed;
        Prepared { ready, problems }
    }

    /// Exchanges the chain for a prepared one, and says in the log what changed.
    pub fn publish(&mut self, prepared: Prepared) {
        for problem in &prepared.problems {
            problem.say();
        }
        let mut handed_over = Vec::with_capacity(prepared.ready.len());
        for new in prepared.ready {
            let old = self.find(&new.wanted.spec.name).cloned();
            handed_over.push(take_over(old, new));
        }
        let gone: Vec<Running> = self
            .running
            .iter()
            .filter(|old| handed_over.iter().all(|new| new.wanted.spec.name != old.wanted.spec.name))
            .cloned()
            .collect();
        self.running = handed_over;
        let chain: Vec<_> = self.running.iter().map(|r| r.filter.clone()).collect();
        self.shared.chain.store(Arc::new(Chain(chain)));
        for old in gone {
            self.take_leave(&old);
        }
    }

    /// What runs, in order.
    pub fn shown(&self) -> Vec<Shown> {
        self.running
            .iter()
            .map(|running| Shown {
                name: running.wanted.spec.name.clone(),
                version: running.filter.description().version.clone(),
                source: running.wanted.source.to_string(),
            })
            .collect()
    }

    fn find(&self, name: &str) -> Option<&Running> {
        self.running.iter().find(|r| r.wanted.spec.name == name)
    }

    fn load(&self, wanted: Wanted, digest: u64) -> Result<Running, String> {
        if let Some(running) = self.find(&wanted.spec.name)
            && running.digest == digest
            && running.wanted == wanted
        {
            return Ok(running.clone());
        }
        let bytes = wanted.source.read()?;
        let loading = self.shared.engine.load(&wanted.spec, &bytes);
        let in_place = |error: weir_engine::LoadError| format!("{}: {error}", wanted.source);
        let filter = loading.map_err(in_place)?;
        filter.check(&self.shared.sample.take()).map_err(in_place)?;
        Ok(Running { wanted, digest, filter })
    }

    /// Lets a filter that was taken out of the chain say its last, through those that stay.
    fn take_leave(&self, old: &Running) {
        tracing::info!("filter `{}` unloaded", old.wanted.spec.name);
        let mut worker = Worker::new(self.shared.engine.clone());
        let alone = Chain(vec![old.filter.clone()]);
        let said = worker.tick(&alone, true);
        if said.batch.is_empty() && said.failed.is_empty() {
            return;
        }
        let mut outcome = worker.run(&self.shared.chain.load(), said.batch);
        outcome.failed.extend(said.failed);
        pipeline::append_unasked(&self.shared, outcome);
    }
}

/// Puts `new` where `old` was: what the old one remembers goes to the new one. When the new one does
/// not take it, the old one stays.
fn take_over(old: Option<Running>, new: Running) -> Running {
    let name = &new.wanted.spec.name;
    let version = &new.filter.description().version;
    let Some(old) = old else {
        tracing::info!("filter `{name}` {version} loaded from {}", new.wanted.source);
        return new;
    };
    if Arc::ptr_eq(&old.filter, &new.filter) {
        return new;
    }
    if let Err(error) = old.filter.hand_over(&new.filter) {
        tracing::error!("filter `{name}`: the running version stays: {error}");
        return old;
    }
    counter!("weir_filter_swaps_total", "filter" => name.clone()).increment(1);
    tracing::info!(
        "filter `{name}` {} replaced by {version} from {}",
        old.filter.description().version,
        new.wanted.source
    );
    new
}

/// A digest of the module, or nothing when it can't be read.
fn digest(wanted: &Wanted) -> Option<u64> {
    let bytes = wanted.source.read().ok()?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Some(hasher.finish())
}

impl Problem {
    fn say(&self) {
        if self.known {
            return;
        }
        match self.kept {
            true => tracing::error!("{}; the running version stays", self.reason),
            false => tracing::error!("{}; it does not run", self.reason),
        }
    }
}
