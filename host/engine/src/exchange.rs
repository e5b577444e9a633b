//! Starts the instance of a slot, and replaces it after a failure or when its memory has grown too far. The new
//! instance of a stateful filter gets the last saved state; that of a filter that holds records gets these instead.

use std::time::Instant;

use crate::error::{CallError, FailureKind};
use crate::filter::Filter;
use crate::instance::Instance;
use crate::limits::MAX_STATE_BYTES;
use crate::slot::Slot;

impl Slot {
    /// Returns the instance. If there is none, starts one with the last saved state, unless the filter holds records.
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
        // A filter that holds records is given all of them next, which are newer than any state.
        if let Some(saved) = &self.saved
            && !filter.holds_records()
            && let Err(reason) = instance.restore(saved, filter.save_deadline())
        {
            tracing::warn!(
                filter = filter.name(),
                "starting without its saved state, which it can't restore: {reason}"
            );
            return start();
        }
        Ok(instance)
    }

    /// Between batches: replaces an instance whose memory has grown too far with a new one, which takes over its state.
    /// The runtimes of some languages leak a few bytes in each call and would otherwise reach their memory limit in the
    /// middle of a batch.
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
            // Keep the instance until it has grown by as much again.
            Err(reason) => {
                tracing::warn!(filter = filter.name(), "can't replace its instance, whose memory has grown: {reason}");
                if let Some(instance) = &mut self.instance {
                    instance.reset_growth();
                }
            }
        }
    }

    /// Starts another instance with the state of this one.
    fn renewed(&mut self, filter: &Filter) -> Result<Instance, String> {
        if !filter.save_if_due(self) {
            return Err("its state is not saved".to_owned());
        }
        let started = filter.start_instance();
        let (mut instance, _) = started.map_err(|problem| problem.to_string())?;
        instance.restore(self.saved.as_deref().unwrap_or_default(), filter.save_deadline())?;
        Ok(instance)
    }

    /// After a failure: drops the instance unless it is known to be sound. The instance of a filter that holds records
    /// is always dropped, because the failed call may have changed what it holds.
    pub fn failed(&mut self, filter: &Filter, error: &CallError) {
        if filter.holds_records() || !error.leaves_instance_sound() {
            self.instance = None;
        }
    }
}

impl Filter {
    /// Like [`save`](Self::save), but does nothing for a while after a failure.
    pub(crate) fn save_if_due(&self, slot: &mut Slot) -> bool {
        self.saving.is_due(Instant::now()) && self.save(slot)
    }

    /// Saves the state of the slot's instance. Returns false if that fails.
    pub(crate) fn save(&self, slot: &mut Slot) -> bool {
        let Some(Instance { guest, exports, .. }) = &mut slot.instance else { return false };
        let reason = match exports.save(guest, self.save_deadline()) {
            Ok(saved) if saved.len() <= MAX_STATE_BYTES => {
                slot.saved = Some(saved);
                self.saving.succeeded();
                return true;
            }
            Ok(saved) => {
                let bytes = saved.len();
                format!("its state of {bytes} bytes exceeds the limit of {MAX_STATE_BYTES} bytes")
            }
            Err(error) => {
                self.metrics.error(error.kind);
                slot.failed(self, &error);
                format!("can't save its state: {error}")
            }
        };
        let pause = self.saving.failed(&reason, Instant::now());
        tracing::warn!(filter = self.name(), "{reason}; next attempt in {} s", pause.as_secs());
        false
    }
}
