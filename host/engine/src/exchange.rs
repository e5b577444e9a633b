//! Starting an instance in a slot, and exchanging it for a new one: after a failure, or when its memory has grown far. A
//! stateful filter's new instance gets the state that was saved last.

use std::time::Instant;

use crate::error::{CallError, FailureKind};
use crate::filter::Filter;
use crate::instance::Instance;
use crate::limits::MAX_STATE_BYTES;
use crate::slot::Slot;

impl Slot {
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
            filter
                .start_instance()
                .map(|(instance, _)| instance)
                .map_err(|problem| CallError::new(FailureKind::Start, problem.to_string()))
        };
        let mut instance = start()?;
        if let Some(saved) = &self.saved
            && let Err(reason) = instance.restore(saved, filter.save_deadline())
        {
            tracing::warn!(filter = filter.name(), "it starts without its state, which it can't restore: {reason}");
            return start();
        }
        Ok(instance)
    }

    /// Between two batches: replaces an instance whose memory has grown far with a new one, which gets its state if it
    /// keeps any. The runtimes of some languages leak a few bytes in each call, and would otherwise reach their memory
    /// limit in the middle of a batch.
    pub fn exchange_if_grown(&mut self, filter: &Filter) {
        if !self.instance.as_ref().is_some_and(|instance| instance.has_grown_far(&filter.template.bounds)) {
            return;
        }
        if filter.slot.is_none() {
            self.instance = None;
            return;
        }
        match self.renewed(filter) {
            Ok(instance) => self.instance = Some(instance),
            // It goes on with what it has, until it has grown as much again.
            Err(reason) => {
                tracing::warn!(filter = filter.name(), "it can't be exchanged for a new instance: {reason}");
                if let Some(instance) = &mut self.instance {
                    instance.reset_growth();
                }
            }
        }
    }

    /// Another instance with the state of this one.
    fn renewed(&mut self, filter: &Filter) -> Result<Instance, String> {
        if !filter.save_if_due(self) {
            return Err("its state is not saved".to_owned());
        }
        let started = filter.start_instance();
        let (mut instance, _) = started.map_err(|problem| problem.to_string())?;
        instance.restore(self.saved.as_deref().unwrap_or_default(), filter.save_deadline())?;
        Ok(instance)
    }

    /// After a failure: drops the instance unless it is known to be sound. A filter that holds records may hold others now
    /// than before the call, so its instance is always dropped.
    pub fn failed(&mut self, filter: &Filter, error: &CallError) {
        if filter.holds_records() || !error.leaves_instance_sound() {
            self.instance = None;
        }
    }
}

impl Filter {
    /// The same as [`save`](Self::save), unless it failed a short while ago.
    pub(crate) fn save_if_due(&self, slot: &mut Slot) -> bool {
        self.saving.is_due(Instant::now()) && self.save(slot)
    }

    /// Saves the state of a slot's instance in the slot; false if that fails.
    pub(crate) fn save(&self, slot: &mut Slot) -> bool {
        let Some(Instance { guest, exports, .. }) = &mut slot.instance else { return false };
        let reason = match exports.save(guest, self.save_deadline()) {
            Ok(saved) if saved.len() <= MAX_STATE_BYTES => {
                slot.saved = Some(saved);
                self.saving.went_well();
                return true;
            }
            Ok(saved) => {
                let bytes = saved.len();
                format!("its state of {bytes} bytes is more than the {MAX_STATE_BYTES} that are kept for its successor")
            }
            Err(error) => {
                self.metrics.error(error.kind);
                slot.failed(self, &error);
                format!("it can't save its state: {error}")
            }
        };
        let pause = self.saving.failed(&reason, Instant::now());
        tracing::warn!(filter = self.name(), "{reason}; it is asked for its state again in {} s", pause.as_secs());
        false
    }
}
