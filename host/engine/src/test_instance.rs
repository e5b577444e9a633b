//! A single instance of a filter, for tests of the filter.
//!
//! A module is compiled once ([`Compiled`]) and can be instantiated any number of times ([`TestInstance`]), each with
//! its own options, store and counters. Each [`TestInstance::call`] calls the filter exactly once: there is no search
//! for offending records and no health tracking. Counters and log lines can be read afterwards, and the clock can be
//! set, so time-dependent behaviour is the same in every run.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::InstancePre;
use weir_record::{Batch, Level};

use crate::budget::Room;
use crate::context::FilterContext;
use crate::description::Description;
use crate::engine::Engine;
use crate::error::{CallError, FailureKind, LoadError, LoadErrorKind};
use crate::guest::HostState;
use crate::holds::{Changes, ids};
use crate::instance::{Instance, Template};
use crate::limits::LIFECYCLE_DEADLINE;
use crate::module;
use crate::recorder::{Clock, Recorder};
use crate::rewrite::{Applied, Part};
use crate::spec::FilterSpec;
use crate::v1::Contract;
use crate::world::World;

/// A module that keeps every record. The cost of calling it is the minimum cost of any filter.
pub const PASS_THROUGH: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pass.wasm"));

/// A compiled module outside of any chain.
pub struct Compiled {
    engine: Arc<Engine>,
    pre: InstancePre<HostState>,
    contract: Contract,
}

impl Engine {
    /// Compiles a component or a core module for testing.
    pub fn compile(self: &Arc<Self>, filter: &str, module: &[u8]) -> Result<Arc<Compiled>, LoadError> {
        let (pre, contract) =
            module::compile(self, module).map_err(|kind| LoadError { filter: filter.into(), kind })?;
        Ok(Arc::new(Compiled { engine: self.clone(), pre, contract }))
    }
}

impl Compiled {
    /// The world that it exports.
    pub fn world(&self) -> World {
        self.contract.world
    }
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CallFailure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// The reason, in one line.
    pub reason: String,
}

impl From<CallError> for CallFailure {
    fn from(error: CallError) -> Self {
        Self { kind: error.kind, reason: error.reason }
    }
}

/// The result of a call.
#[derive(Debug)]
pub enum Processed<'a> {
    /// All records are kept unchanged.
    Untouched,
    /// These records replace the input.
    Rewritten {
        /// The records, canonical, in order.
        records: &'a Batch,
        /// For each of them, the index of the input record that it comes from.
        origins: &'a [u32],
    },
}

/// One instance under test.
pub struct TestInstance {
    engine: Arc<Engine>,
    template: Template,
    context: Arc<FilterContext>,
    recorder: Arc<Recorder>,
    instance: Option<Instance>,
    description: Description,
    part: Part,
}

impl TestInstance {
    /// Starts, describes and configures an instance.
    pub fn start(compiled: &Arc<Compiled>, spec: &FilterSpec, clock: Clock) -> Result<TestInstance, LoadError> {
        Self::try_start(compiled, spec, clock).map_err(|kind| LoadError { filter: spec.name.clone(), kind })
    }

    fn try_start(compiled: &Arc<Compiled>, spec: &FilterSpec, clock: Clock) -> Result<TestInstance, LoadErrorKind> {
        let Compiled { engine, pre, contract } = &**compiled;
        let recorder = Arc::new(Recorder::new(clock));
        let mut trial = TestInstance {
            engine: engine.clone(),
            template: Template::new(engine.runtime.clone(), (pre.clone(), contract.clone()), spec)?,
            context: FilterContext::for_test(&spec.name, recorder.clone()),
            recorder,
            instance: None,
            description: Description::default(),
            part: Part { on_trial: true, ..Part::default() },
        };
        let (instance, description) = trial.start_instance()?;
        trial.instance = Some(instance);
        trial.description = description;
        Ok(trial)
    }

    fn start_instance(&self) -> Result<(Instance, Description), LoadErrorKind> {
        self.template.start(self.context.clone(), LIFECYCLE_DEADLINE)
    }

    /// The description that the filter returned.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Calls the filter once with a range of a batch. After a failure other than an error that the filter returned, the
    /// next call starts a new instance without state.
    pub fn call(&mut self, batch: &Batch, records: Range<usize>) -> Result<Processed<'_>, CallFailure> {
        let deadline = self.template.spec.timeout;
        self.part.clear();
        let mut part = std::mem::take(&mut self.part);
        let ids = ids(self.engine.new_numbers(batch.len()), 0..batch.len());
        let result = self.with_instance(|Instance { guest, exports, .. }| {
            exports.process(guest, batch, records, &ids, deadline, &mut part)
        });
        self.part = part;
        Ok(match result? {
            Applied::Untouched => Processed::Untouched,
            Applied::Rewritten(_) => Processed::Rewritten { records: &self.part.batch, origins: &self.part.origins },
        })
    }

    /// Ticks a stateful filter and returns the records that it emits. Returns none for other filters.
    pub fn tick(&mut self, closing: bool) -> Result<Batch, CallFailure> {
        let deadline = self.template.spec.timeout;
        let mut released = Changes::default();
        self.with_instance(|Instance { guest, exports, .. }| {
            exports.tick(guest, closing, deadline, &mut released, &mut Room::default())
        })
    }

    fn with_instance<R>(&mut self, call: impl FnOnce(&mut Instance) -> Result<R, CallError>) -> Result<R, CallFailure> {
        if self.instance.is_none() {
            let failed = |problem: LoadErrorKind| CallError::new(FailureKind::Start, problem.to_string());
            self.instance = Some(self.start_instance().map_err(failed)?.0);
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

    /// Memory of the instance in bytes; 0 between a failure and the next call.
    pub fn memory_bytes(&self) -> usize {
        self.instance.as_ref().map_or(0, |instance| instance.guest.memory_bytes())
    }

    /// Advances a clock that was set.
    pub fn advance(&self, by: Duration) {
        self.recorder.advance(by);
    }

    /// The filter's counters by name.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.recorder.counters()
    }

    /// The first log lines of the filter, up to a limit.
    pub fn logged(&self) -> Vec<(Level, String)> {
        self.recorder.lines()
    }
}
