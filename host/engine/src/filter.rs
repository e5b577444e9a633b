//! A loaded filter: what it says of itself, how it is bounded, how it fares.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wasmtime::component::InstancePre;
use wasmtime::component::types::ComponentItem;

use crate::engine::Engine;
use crate::error::{LoadError, Problem};
use crate::guest::{Bounds, HostState};
use crate::health::{Failures, Health};
use crate::instance::{Instance, Seat};
use crate::limits::{LIFECYCLE_DEADLINE, MAX_MEMORY_BYTES, MAX_STATE_BYTES, RESTART_TIMES, SAVE_DEADLINES};
use crate::metrics::FilterMetrics;
use crate::module;
use crate::rights::Rights;
use crate::saving::Saving;
use crate::shared::{Shared, lock};
use crate::tap::Tap;
use crate::usage::{Taken, Usage};
use crate::v1::{Contract, Description};
use crate::world::World;

/// What becomes of records that a filter fails on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// They are set aside, with the reason.
    #[default]
    Quarantine,
    /// They go on as they are.
    Pass,
    /// Their sender gets an error.
    Reject,
}

/// A filter as the operator configured it.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterSpec {
    /// Its name in the configuration; versions of a filter are those of one name.
    pub name: String,
    /// Its options: an object, or null for none.
    pub options: serde_json::Value,
    /// The deadline for one batch.
    pub timeout: Duration,
    /// Memory of one instance.
    pub memory_bytes: u64,
    /// What it may return for one batch.
    pub output_bytes: u64,
    /// What becomes of records that it fails on.
    pub on_error: OnError,
    /// The paths that it may see; `None`: what it says that it reads.
    pub reads: Option<Vec<String>>,
    /// The paths that it may change; `None`: any.
    pub writes: Option<Vec<String>>,
}

impl FilterSpec {
    /// The defaults: 250 ms, 64 MiB, 32 MiB, quarantine, and no bounds to what it sees and changes.
    pub fn new(name: &str) -> FilterSpec {
        FilterSpec {
            name: name.into(),
            options: serde_json::Value::Null,
            timeout: Duration::from_millis(250),
            memory_bytes: 64 << 20,
            output_bytes: 32 << 20,
            on_error: OnError::Quarantine,
            reads: None,
            writes: None,
        }
    }

    /// The options as the filter is given them.
    pub(crate) fn options_text(&self) -> Result<String, Problem> {
        match &self.options {
            serde_json::Value::Null => Ok("{}".to_owned()),
            options @ serde_json::Value::Object(_) => Ok(options.to_string()),
            _ => Err(Problem::of_options("`options` must be a table")),
        }
    }

    pub(crate) fn bounds(&self) -> Result<Bounds, Problem> {
        if !(64 << 10..=MAX_MEMORY_BYTES).contains(&self.memory_bytes) {
            return Err(Problem::Limit(format!(
                "`memory` is {} bytes; give it between 64 KiB and 4 GiB",
                self.memory_bytes
            )));
        }
        if self.output_bytes == 0 || self.timeout.is_zero() {
            return Err(Problem::Limit("`output` and `timeout` must be more than nothing".into()));
        }
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Bounds { memory_bytes: size(self.memory_bytes), output_bytes: size(self.output_bytes) })
    }
}

/// A filter that is ready for batches.
pub struct Filter {
    pub(crate) id: u64,
    pub(crate) engine: Arc<Engine>,
    pub(crate) pre: InstancePre<HostState>,
    pub(crate) contract: Contract,
    pub(crate) bounds: Bounds,
    pub(crate) options: String,
    pub(crate) shared: Arc<Shared>,
    pub(crate) failures: Failures,
    saving: Saving,
    /// For an instance that is started while batches wait for it.
    pub(crate) start_deadline: Duration,
    pub(crate) metrics: FilterMetrics,
    pub(crate) usage: Arc<Usage>,
    pub(crate) tap: Tap,
    /// A stateful filter's only seat.
    pub(crate) seat: Option<Mutex<Seat>>,
    /// Instances for the workers' seats.
    ready: Mutex<Vec<Instance>>,
    spec: FilterSpec,
    description: Description,
    digest: String,
}

impl Filter {
    pub(crate) fn load(
        engine: Arc<Engine>,
        shared: Arc<Shared>,
        spec: &FilterSpec,
        module: &[u8],
    ) -> Result<Arc<Filter>, Problem> {
        let bounds = spec.bounds()?;
        let options = spec.options_text()?;
        let (pre, contract) = module::compile(&engine, module)?;
        let is_stateful = contract.world.is_stateful();
        let mut filter = Filter {
            id: engine.new_id(),
            pre,
            contract,
            bounds,
            options,
            shared,
            failures: Failures::default(),
            saving: Saving::default(),
            start_deadline: LIFECYCLE_DEADLINE,
            metrics: FilterMetrics::new(&spec.name),
            usage: Arc::new(Usage::new(&spec.name)),
            tap: Tap::default(),
            seat: is_stateful.then(Mutex::default),
            ready: Mutex::default(),
            spec: spec.clone(),
            description: Description::default(),
            digest: module::digest(module),
            engine,
        };
        filter.prepare()?;
        Ok(Arc::new(filter))
    }

    /// Starts as many instances as there are seats.
    fn prepare(&mut self) -> Result<(), Problem> {
        let begun = Instant::now();
        let (first, description) = Instance::start(self, self.shared.clone())?;
        self.description = description;
        let restart = begun.elapsed() * RESTART_TIMES + self.save_deadline();
        self.start_deadline = restart.min(LIFECYCLE_DEADLINE);
        if let Some(seat) = &self.seat {
            lock(seat).instance = Some(first);
            return Ok(());
        }
        let mut ready = vec![first];
        while ready.len() < self.engine.workers {
            ready.push(Instance::start(self, self.shared.clone())?.0);
        }
        self.ready = Mutex::new(ready);
        Ok(())
    }

    pub(crate) fn take_ready(&self) -> Option<Instance> {
        lock(&self.ready).pop()
    }

    /// What the filter says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The SHA-256 of the module it was loaded from, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it may see and change.
    pub fn rights(&self) -> Rights {
        Rights::of(&self.spec, &self.description, self.world().is_packed())
    }

    /// What it takes of the machine.
    pub fn taken(&self) -> Taken {
        self.usage.taken()
    }

    /// What it imports, function by function: `weir:filter/host@1.0.0 log`.
    pub fn imports(&self) -> Vec<String> {
        let runtime = &self.engine.runtime;
        let mut names = Vec::new();
        for (interface, item) in self.pre.component().component_type().imports(runtime) {
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

    /// How it was configured.
    pub fn spec(&self) -> &FilterSpec {
        &self.spec
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Which world it exports.
    pub fn world(&self) -> World {
        self.contract.world
    }

    /// How it fares.
    pub fn health(&self) -> Health {
        match self.failures.health(Instant::now()) {
            Health::Ok => self.saving.health(),
            health => health,
        }
    }

    /// Gives the state of this version to the next one, and what it holds; from then on this one refuses every call.
    /// No batch may be on its way through either meanwhile. Does nothing when either keeps no state.
    ///
    /// When this version can't save its state, the one it saved last is used, or none: a broken version must not
    /// keep its repair out. Where records are held, the new version is given those instead.
    pub fn hand_over(&self, new: &Arc<Filter>) -> Result<(), LoadError> {
        let (Some(old_seat), Some(new_seat)) = (&self.seat, &new.seat) else { return Ok(()) };
        let mut old_seat = lock(old_seat);
        let is_saved = self.save(&mut old_seat);
        if self.holds_records() && !is_saved {
            old_seat.saved = None;
        }
        let mut new_seat = lock(new_seat);
        if let Some(saved) = old_seat.saved.take() {
            if let Err(reason) = restore(new, &mut new_seat, &saved) {
                new_seat.instance = None;
                old_seat.saved = Some(saved);
                let version = self.description.version.clone();
                return Err(new.error(Problem::Restore { version, reason }));
            }
            new_seat.saved = (!new.holds_records()).then_some(saved);
        } else if !old_seat.held.is_empty() {
            new_seat.instance = None;
        }
        if new.holds_records() {
            new_seat.held = std::mem::take(&mut old_seat.held);
        }
        old_seat.instance = None;
        old_seat.is_retired = true;
        Ok(())
    }

    /// Gives a copy of its state to another filter, and goes on as if nothing had been. Does nothing when either keeps
    /// no state.
    pub fn copy_state(&self, to: &Arc<Filter>) -> Result<(), LoadError> {
        let (Some(seat), Some(other)) = (&self.seat, &to.seat) else { return Ok(()) };
        let (saved, held) = {
            let mut seat = lock(seat);
            let is_saved = self.save_if_due(&mut seat);
            let saved = if is_saved || !self.holds_records() { seat.saved.clone() } else { None };
            (saved, seat.held.clone())
        };
        to.shared.credit.copy(&self.shared.credit);
        let mut other = lock(other);
        if to.holds_records() {
            other.held = held;
        }
        let Some(saved) = saved else {
            other.instance = None;
            return Ok(());
        };
        let version = self.description.version.clone();
        restore(to, &mut other, &saved).map_err(|reason| to.error(Problem::Restore { version, reason }))?;
        other.saved = (!to.holds_records()).then_some(saved);
        Ok(())
    }

    /// The same as [`save`](Self::save), unless it failed a short while ago.
    pub(crate) fn save_if_due(&self, seat: &mut Seat) -> bool {
        self.saving.is_due(Instant::now()) && self.save(seat)
    }

    /// Brings what a seat holds as its filter's state up to date; false when that can't be.
    pub(crate) fn save(&self, seat: &mut Seat) -> bool {
        let Some(Instance { guest, exports, .. }) = &mut seat.instance else { return false };
        let reason = match exports.save(guest, self.save_deadline()) {
            Ok(saved) if saved.len() <= MAX_STATE_BYTES => {
                seat.saved = Some(saved);
                self.saving.went_well();
                return true;
            }
            Ok(saved) => {
                let bytes = saved.len();
                format!("its state of {bytes} bytes is more than the {MAX_STATE_BYTES} that are kept for its successor")
            }
            Err(error) => {
                self.metrics.error(error.kind);
                seat.failed(self, &error);
                format!("it can't save its state: {error}")
            }
        };
        let pause = self.saving.failed(&reason, Instant::now());
        tracing::warn!(filter = self.name(), "{reason}; it is asked for its state again in {} s", pause.as_secs());
        false
    }

    /// The time for saving the state, or restoring it, while batches wait.
    pub(crate) fn save_deadline(&self) -> Duration {
        self.spec.timeout.saturating_mul(SAVE_DEADLINES).min(LIFECYCLE_DEADLINE)
    }

    pub(crate) fn error(&self, problem: Problem) -> LoadError {
        LoadError { filter: self.spec.name.clone(), problem }
    }
}

/// Gives a state to the instance in a seat; the error is why it can't take it.
fn restore(filter: &Filter, seat: &mut Seat, saved: &[u8]) -> Result<(), String> {
    seat.instance(filter).map_err(|error| error.reason)?.restore(saved, LIFECYCLE_DEADLINE)
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").field("name", &self.spec.name).field("digest", &self.digest).finish_non_exhaustive()
    }
}
