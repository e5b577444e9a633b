//! A loaded filter: the template for its instances, its description, its health.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wasmtime::component::types::ComponentItem;

use crate::component::digest;
use crate::context::FilterContext;
use crate::description::Description;
use crate::engine::Engine;
use crate::error::{LoadError, LoadErrorKind};
use crate::health::{Failures, Health};
use crate::instance::{Instance, Template};
use crate::limits::{LIFECYCLE_DEADLINE, RESTART_TIMES, SAVE_DEADLINES};
use crate::lock::lock;
use crate::metrics::FilterMetrics;
use crate::module::compile;
use crate::rights::Rights;
use crate::saving::Saving;
use crate::slot::Slot;
use crate::spec::FilterSpec;
use crate::tap::{Subscription, Tap};
use crate::usage::ResourceUsage;
use crate::world::World;

/// A loaded filter, ready to process batches.
pub struct Filter {
    pub(crate) id: u64,
    pub(crate) engine: Arc<Engine>,
    pub(crate) template: Template,
    pub(crate) context: Arc<FilterContext>,
    pub(crate) failures: Failures,
    pub(crate) saving: Saving,
    /// For an instance that is started while batches wait.
    start_deadline: Duration,
    pub(crate) metrics: FilterMetrics,
    pub(crate) tap: Arc<Tap>,
    /// The only slot of a stateful filter.
    pub(crate) slot: Option<Mutex<Slot>>,
    /// Started instances that workers can take.
    ready: Mutex<Vec<Instance>>,
    description: Description,
    digest: String,
}

impl Engine {
    /// Loads a component or a core module: compiles, describes and configures it. Takes as long as compilation does, so
    /// call it on a separate thread.
    pub fn load(self: &Arc<Self>, spec: &FilterSpec, module: &[u8]) -> Result<Arc<Filter>, LoadError> {
        self.load_with(self.context(&spec.name), spec, module)
    }

    /// Like [`load`](Self::load), for a filter whose results are discarded: it has its own key-value store, and its log
    /// lines and counters are discarded.
    pub fn load_shadow(self: &Arc<Self>, spec: &FilterSpec, module: &[u8]) -> Result<Arc<Filter>, LoadError> {
        self.load_with(FilterContext::for_trial(&spec.name), spec, module)
    }

    fn load_with(
        self: &Arc<Self>,
        context: Arc<FilterContext>,
        spec: &FilterSpec,
        module: &[u8],
    ) -> Result<Arc<Filter>, LoadError> {
        Filter::load(self.clone(), context, spec, module).map_err(|kind| LoadError { filter: spec.name.clone(), kind })
    }
}

impl Filter {
    fn load(
        engine: Arc<Engine>,
        context: Arc<FilterContext>,
        spec: &FilterSpec,
        module: &[u8],
    ) -> Result<Arc<Filter>, LoadErrorKind> {
        // Before anything else reads the module.
        if let Some(trusted) = &spec.trusted {
            trusted.check(module)?;
        }
        // Report errors in the configuration before compiling anything.
        spec.bounds()?;
        spec.options_text()?;
        let template = Template::new(engine.runtime.clone(), compile(&engine, module)?, spec)?;
        let mut filter = Filter {
            id: engine.new_id(),
            slot: template.contract.world.is_stateful().then(Mutex::default),
            template,
            context,
            failures: Failures::default(),
            saving: Saving::default(),
            start_deadline: LIFECYCLE_DEADLINE,
            metrics: FilterMetrics::new(&spec.name),
            tap: Arc::default(),
            ready: Mutex::default(),
            description: Description::default(),
            digest: digest(module),
            engine,
        };
        filter.prepare()?;
        Ok(Arc::new(filter))
    }

    /// Starts an instance for each slot.
    fn prepare(&mut self) -> Result<(), LoadErrorKind> {
        let begun = Instant::now();
        let (first, description) = self.start_instance()?;
        self.description = description;
        let restart = begun.elapsed() * RESTART_TIMES + self.save_deadline();
        self.start_deadline = restart.min(LIFECYCLE_DEADLINE);
        if let Some(slot) = &self.slot {
            lock(slot).instance = Some(first);
            return Ok(());
        }
        let mut ready = vec![first];
        while ready.len() < self.engine.workers {
            ready.push(self.start_instance()?.0);
        }
        self.ready = Mutex::new(ready);
        Ok(())
    }

    /// Starts another instance.
    pub(crate) fn start_instance(&self) -> Result<(Instance, Description), LoadErrorKind> {
        self.template.start(self.context.clone(), self.start_deadline)
    }

    /// Starts an instance for a trial. What it stores, logs and counts is discarded.
    pub(crate) fn start_for_trial(&self) -> Result<Instance, LoadErrorKind> {
        let context = FilterContext::for_trial(self.name());
        Ok(self.template.start(context, self.start_deadline)?.0)
    }

    pub(crate) fn take_ready(&self) -> Option<Instance> {
        lock(&self.ready).pop()
    }

    /// The description that the filter returned.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The SHA-256 digest of its module, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it may see and change.
    pub fn rights(&self) -> Rights {
        Rights::of(self.spec(), &self.description, self.world().is_packed())
    }

    /// The memory and processor time that it uses.
    pub fn usage(&self) -> ResourceUsage {
        self.template.usage.usage()
    }

    /// The functions that it imports, such as `weir:filter/host@1.0.0 log`.
    pub fn imports(&self) -> Vec<String> {
        let runtime = &self.engine.runtime.wasmtime;
        let mut names = Vec::new();
        for (interface, item) in self.template.pre.component().component_type().imports(runtime) {
            match item.ty {
                ComponentItem::ComponentInstance(instance) => {
                    names.extend(instance.exports(runtime).filter_map(|(function, item)| {
                        matches!(item.ty, ComponentItem::ComponentFunc(_)).then(|| format!("{interface} {function}"))
                    }));
                }
                _ => names.push(interface.to_owned()),
            }
        }
        names
    }

    /// Its configuration.
    pub fn spec(&self) -> &FilterSpec {
        &self.template.spec
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.template.spec.name
    }

    /// The world that it exports.
    pub fn world(&self) -> World {
        self.template.contract.world
    }

    /// Whether it can hold records.
    pub fn holds_records(&self) -> bool {
        self.world().holds_records()
    }

    /// Subscribes to copies of a share of the batches that reach it, in millionths. Replaces an earlier subscription.
    pub fn subscribe(&self, share_ppm: u32) -> Subscription {
        self.tap.subscribe(share_ppm)
    }

    /// Its health.
    pub fn health(&self) -> Health {
        match self.failures.health(Instant::now()) {
            Health::Ok => self.saving.health(),
            health => health,
        }
    }

    /// The deadline for saving or restoring state while batches wait.
    pub(crate) fn save_deadline(&self) -> Duration {
        self.spec().timeout.saturating_mul(SAVE_DEADLINES).min(LIFECYCLE_DEADLINE)
    }

    pub(crate) fn error(&self, kind: LoadErrorKind) -> LoadError {
        LoadError { filter: self.name().to_owned(), kind }
    }
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").field("name", &self.name()).field("digest", &self.digest).finish_non_exhaustive()
    }
}
