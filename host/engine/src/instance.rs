//! One running instance of a filter, and the seat that holds it: a seat may be empty, after a failure, and is filled
//! again when the next batch comes.

use std::sync::Arc;

use crate::error::{CallError, FailureKind, Problem};
use crate::filter::Filter;
use crate::guest::{Bounds, Guest};
use crate::holds::Held;
use crate::limits::{GROWN_FAR_FRACTION, GROWN_FAR_TIMES, LIFECYCLE_DEADLINE};
use crate::shared::Shared;
use crate::v1::{Description, Exports};

/// A configured instance.
pub(crate) struct Instance {
    pub guest: Guest,
    pub exports: Exports,
    /// Memory it had once it was configured, and had its state.
    pub begun_bytes: usize,
}

/// Where an instance sits: one for each worker and stateless filter, one for each stateful filter.
#[derive(Default)]
pub(crate) struct Seat {
    pub instance: Option<Instance>,
    /// For stateful filters: the state as it was when the filter last ticked.
    pub saved: Option<Vec<u8>>,
    /// For filters that hold records: all that this one holds.
    pub held: Held,
    /// For stateful filters: another version has taken over, and this one is never called again.
    pub is_retired: bool,
}

impl Instance {
    /// Starts, describes and configures an instance.
    pub fn start(filter: &Filter, shared: Arc<Shared>) -> Result<(Instance, Description), Problem> {
        let mut guest = Guest::new(filter.engine.clone(), shared, filter.bounds, filter.usage.clone());
        let deadline = LIFECYCLE_DEADLINE;
        let mut exports = Exports::instantiate(&mut guest, &filter.pre, &filter.contract, deadline)
            .map_err(|error| Problem::Start(error.reason))?
            .map_err(Problem::WrongShape)?;
        let description =
            exports.describe(&mut guest, filter.spec(), deadline).map_err(|error| Problem::Describe(error.reason))?;
        exports
            .configure(&mut guest, &filter.options, deadline)
            .map_err(|error| Problem::Configure(error.reason))?
            .map_err(|refusal| Problem::of_options(&refusal))?;
        let begun_bytes = guest.memory_bytes();
        Ok((Instance { guest, exports, begun_bytes }, description))
    }

    /// Gives it a state; the error is why it can't take it.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let Instance { guest, exports, .. } = self;
        let restored = exports.restore(guest, saved, LIFECYCLE_DEADLINE).map_err(|error| error.reason)?;
        restored.map_err(|reason| crate::error::one_line(&reason))?;
        self.begun_bytes = self.guest.memory_bytes();
        Ok(())
    }

    /// Whether it has come to twice its memory and to half of what it may have.
    fn has_grown_far(&self, bounds: &Bounds) -> bool {
        let bytes = self.guest.memory_bytes();
        bytes > bounds.memory_bytes / GROWN_FAR_FRACTION && bytes > self.begun_bytes * GROWN_FAR_TIMES
    }
}

impl Seat {
    /// The instance; a new one when there is none, with the state that was saved last.
    pub fn instance(&mut self, filter: &Filter) -> Result<&mut Instance, CallError> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.start(filter)?,
        };
        Ok(self.instance.insert(instance))
    }

    fn start(&self, filter: &Filter) -> Result<Instance, CallError> {
        if self.is_retired {
            return Err(CallError::new(FailureKind::Start, "another version has taken over"));
        }
        if let Some(ready) = filter.take_ready() {
            return Ok(ready);
        }
        let start = || {
            Instance::start(filter, filter.shared.clone())
                .map(|(instance, _)| instance)
                .map_err(|problem| CallError::new(FailureKind::Start, problem.to_string()))
        };
        let mut instance = start()?;
        if let Some(saved) = &self.saved
            && let Err(reason) = instance.restore(saved)
        {
            tracing::warn!(filter = filter.name(), "it starts without its state, which it can't restore: {reason}");
            return start();
        }
        Ok(instance)
    }

    /// Between two batches: an instance that has grown far is exchanged for a new one, with its state if it keeps any.
    /// The runtimes of some languages lose a few bytes in each call, and would come to their bound in the middle of a
    /// batch.
    pub fn rest(&mut self, filter: &Filter) {
        if !self.instance.as_ref().is_some_and(|instance| instance.has_grown_far(&filter.bounds)) {
            return;
        }
        if filter.seat.is_none() {
            self.instance = None;
            return;
        }
        match self.renewed(filter) {
            Ok(instance) => self.instance = Some(instance),
            // It goes on with what it has, until it has grown as much again.
            Err(reason) => {
                tracing::warn!(filter = filter.name(), "it can't be exchanged for a new instance: {reason}");
                if let Some(instance) = &mut self.instance {
                    instance.begun_bytes = instance.guest.memory_bytes();
                }
            }
        }
    }

    /// Another instance with the state of the one that sits here.
    fn renewed(&mut self, filter: &Filter) -> Result<Instance, String> {
        if !filter.save(self) {
            return Err("its state is not saved".to_owned());
        }
        let started = Instance::start(filter, filter.shared.clone());
        let (mut instance, _) = started.map_err(|problem| problem.to_string())?;
        instance.restore(self.saved.as_deref().unwrap_or_default())?;
        Ok(instance)
    }

    /// After a failure: an instance in doubt is thrown away. One that holds records may hold others now than before the
    /// call, so it is always in doubt.
    pub fn failed(&mut self, filter: &Filter, error: &CallError) {
        if filter.holds_records() || !error.leaves_instance_sound() {
            self.instance = None;
        }
    }
}
