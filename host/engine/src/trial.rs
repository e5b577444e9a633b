//! One instance of a filter, alone and watched: what tests of a filter need and running it does not.
//!
//! A module is compiled once ([`Compiled`]) and tried as often as wanted ([`Trial`]), each time with options, a store
//! and counters of its own. A trial calls the filter exactly once for each [`Trial::call`]: nothing looks for offending
//! records, nothing is counted as health. What the filter counts and logs can be read afterwards, and its clock can be
//! set, so that what it does about time is the same in every run.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wasmtime::component::InstancePre;
use weir_record::{Batch, Level};

use crate::engine::Engine;
use crate::error::{CallError, FailureKind, LoadError, Problem};
use crate::filter::FilterSpec;
use crate::guest::{Bounds, Guest, HostState};
use crate::holds::{Changes, ids};
use crate::instance::Instance;
use crate::limits::{LIFECYCLE_DEADLINE, MAX_COUNTER_NAME_BYTES, MAX_COUNTERS, MAX_LOG_LINE_BYTES, MAX_TRIAL_LINES};
use crate::module;
use crate::rewrite::{Applied, Part};
use crate::shared::{Shared, lock};
use crate::usage::Usage;
use crate::v1::{Contract, Description, Exports};
use crate::world::World;

/// A filter that keeps every record, as a module: what a call of it costs is what any filter costs at least.
pub const PASS_THROUGH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pass.wasm"));

/// A compiled module that belongs to no chain.
pub struct Compiled {
    engine: Arc<Engine>,
    pre: InstancePre<HostState>,
    contract: Contract,
}

impl Engine {
    /// Compiles a component or a core module for trials.
    pub fn compile(self: &Arc<Self>, filter: &str, module: &[u8]) -> Result<Arc<Compiled>, LoadError> {
        let (pre, contract) =
            module::compile(self, module).map_err(|problem| LoadError { filter: filter.into(), problem })?;
        Ok(Arc::new(Compiled { engine: self.clone(), pre, contract }))
    }
}

impl Compiled {
    /// Which world it exports.
    pub fn world(&self) -> World {
        self.contract.world
    }
}

/// What a trial's clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The time of day.
    Real,
    /// Nanoseconds since 1970 UTC, moved by [`Trial::advance`] alone.
    Set(i64),
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CallFailure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// One line.
    pub reason: String,
}

impl From<CallError> for CallFailure {
    fn from(error: CallError) -> Self {
        Self { kind: error.kind, reason: error.reason }
    }
}

/// What a call made of the records it was given.
#[derive(Debug)]
pub enum Made<'a> {
    /// All of them go on as they are.
    Untouched,
    /// These go on in their place.
    Rewritten {
        /// The records, canonical, in order.
        records: &'a Batch,
        /// For each of them the place, in the batch given, of the record that it comes from.
        origins: &'a [u32],
    },
}

/// One watched instance.
pub struct Trial {
    compiled: Arc<Compiled>,
    spec: FilterSpec,
    bounds: Bounds,
    options: String,
    shared: Arc<Shared>,
    instance: Option<Instance>,
    description: Description,
    part: Part,
}

impl Trial {
    /// Starts, describes and configures an instance.
    pub fn start(compiled: &Arc<Compiled>, spec: &FilterSpec, clock: Clock) -> Result<Trial, LoadError> {
        Self::try_start(compiled, spec, clock).map_err(|problem| LoadError { filter: spec.name.clone(), problem })
    }

    fn try_start(compiled: &Arc<Compiled>, spec: &FilterSpec, clock: Clock) -> Result<Trial, Problem> {
        let mut trial = Trial {
            compiled: compiled.clone(),
            spec: spec.clone(),
            bounds: spec.bounds()?,
            options: spec.options_text()?,
            shared: Shared::watched(&spec.name, Witness::new(clock)),
            instance: None,
            description: Description::default(),
            part: Part::default(),
        };
        let (instance, description) = trial.instantiate()?;
        trial.instance = Some(instance);
        trial.description = description;
        Ok(trial)
    }

    fn instantiate(&self) -> Result<(Instance, Description), Problem> {
        let Compiled { engine, pre, contract } = &*self.compiled;
        let mut guest =
            Guest::new(engine.clone(), self.shared.clone(), self.bounds, Arc::new(Usage::new(&self.spec.name)));
        let deadline = LIFECYCLE_DEADLINE;
        let mut exports = Exports::instantiate(&mut guest, pre, contract, deadline)
            .map_err(|error| Problem::Start(error.reason))?
            .map_err(Problem::WrongShape)?;
        let description =
            exports.describe(&mut guest, &self.spec, deadline).map_err(|error| Problem::Describe(error.reason))?;
        exports
            .configure(&mut guest, &self.options, deadline)
            .map_err(|error| Problem::Configure(error.reason))?
            .map_err(|refusal| Problem::of_options(&refusal))?;
        let begun_bytes = guest.memory_bytes();
        Ok((Instance { guest, exports, begun_bytes }, description))
    }

    /// What the filter says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Calls the filter once, with some records of a batch. After a failure other than its own refusal the next call
    /// meets a new instance, without state.
    pub fn call(&mut self, batch: &Batch, records: Range<usize>) -> Result<Made<'_>, CallFailure> {
        let deadline = self.spec.timeout;
        self.part.clear();
        let mut part = std::mem::take(&mut self.part);
        let ids = ids(self.compiled.engine.new_numbers(batch.len()), 0..batch.len());
        let result = self.with_instance(|Instance { guest, exports, .. }| {
            exports.process(guest, batch, records, &ids, deadline, &mut part)
        });
        self.part = part;
        Ok(match result? {
            Applied::Untouched => Made::Untouched,
            Applied::Rewritten(_) => Made::Rewritten { records: &self.part.batch, origins: &self.part.origins },
        })
    }

    /// The records that a stateful filter has to say by itself; none from others.
    pub fn tick(&mut self, closing: bool) -> Result<Batch, CallFailure> {
        let deadline = self.spec.timeout;
        let mut released = Changes::default();
        self.with_instance(|Instance { guest, exports, .. }| exports.tick(guest, closing, deadline, &mut released))
    }

    fn with_instance<R>(&mut self, call: impl FnOnce(&mut Instance) -> Result<R, CallError>) -> Result<R, CallFailure> {
        if self.instance.is_none() {
            let failed = |problem: Problem| CallError::new(FailureKind::Start, problem.to_string());
            self.instance = Some(self.instantiate().map_err(failed)?.0);
        }
        let Some(instance) = &mut self.instance else {
            return Err(CallError::new(FailureKind::Start, "it has no instance").into());
        };
        call(instance).map_err(|error| {
            if !error.leaves_instance_sound() {
                self.instance = None;
            }
            error.into()
        })
    }

    /// Memory of the instance, in bytes; 0 after a failure, until the next call.
    pub fn memory_bytes(&self) -> usize {
        self.instance.as_ref().map_or(0, |instance| instance.guest.memory_bytes())
    }

    /// Moves a clock that was set.
    pub fn advance(&self, by: Duration) {
        if let Some(witness) = &self.shared.witness {
            witness.advance(by);
        }
    }

    /// What the filter counted so far, by name.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.shared.witness.as_ref().map(|witness| lock(&witness.heard).counters.clone()).unwrap_or_default()
    }

    /// What the filter logged so far: the first lines of it.
    pub fn logged(&self) -> Vec<(Level, String)> {
        self.shared.witness.as_ref().map(|witness| lock(&witness.heard).lines.clone()).unwrap_or_default()
    }
}

/// Hears what a filter on trial says, and shows it the time.
pub(crate) struct Witness {
    clock_ns: Option<AtomicI64>,
    started_ns: i64,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    counters: BTreeMap<String, u64>,
    lines: Vec<(Level, String)>,
}

impl Witness {
    fn new(clock: Clock) -> Witness {
        let (clock_ns, started_ns) = match clock {
            Clock::Real => (None, weir_record::time::now_ns()),
            Clock::Set(ns) => (Some(AtomicI64::new(ns)), ns),
        };
        Witness { clock_ns, started_ns, heard: Mutex::default() }
    }

    pub fn now_ns(&self) -> i64 {
        match &self.clock_ns {
            Some(clock) => clock.load(Ordering::Relaxed),
            None => weir_record::time::now_ns(),
        }
    }

    /// Milliseconds since the trial began.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from((self.now_ns() - self.started_ns) / 1_000_000).unwrap_or(0)
    }

    fn advance(&self, by: Duration) {
        if let Some(clock) = &self.clock_ns {
            clock.fetch_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }

    pub fn count(&self, name: &str, delta: u64) {
        let counters = &mut lock(&self.heard).counters;
        if let Some(count) = counters.get_mut(name) {
            *count = count.saturating_add(delta);
        } else if counters.len() < MAX_COUNTERS && name.len() <= MAX_COUNTER_NAME_BYTES {
            counters.insert(name.to_owned(), delta);
        }
    }

    pub fn log(&self, level: Level, message: &str) {
        let lines = &mut lock(&self.heard).lines;
        if lines.len() < MAX_TRIAL_LINES {
            lines.push((level, message[..message.floor_char_boundary(MAX_LOG_LINE_BYTES)].to_owned()));
        }
    }
}
