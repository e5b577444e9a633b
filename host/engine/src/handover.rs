//! Hands the state and the held records of a filter to its next version.

use std::sync::Arc;

use crate::error::{LoadError, LoadErrorKind};
use crate::filter::Filter;
use crate::limits::LIFECYCLE_DEADLINE;
use crate::lock::lock;
use crate::slot::Slot;

impl Filter {
    /// Hands the state and the held records of this version to the next one. From then on this version refuses every
    /// call. No batch may be in progress in either version meanwhile. Does nothing unless both are stateful.
    ///
    /// If this version can't save its state, the last saved state is used, or none, so that a broken version can't
    /// prevent its replacement. For filters that hold records, the new version gets the held records instead.
    pub fn hand_over(&self, new: &Arc<Filter>) -> Result<(), LoadError> {
        let (Some(old_slot), Some(new_slot)) = (&self.slot, &new.slot) else { return Ok(()) };
        let mut old_slot = lock(old_slot);
        let is_saved = self.save(&mut old_slot);
        if self.holds_records() && !is_saved {
            old_slot.saved = None;
        }
        let mut new_slot = lock(new_slot);
        if let Some(saved) = old_slot.saved.take() {
            if let Err(reason) = restore(new, &mut new_slot, &saved) {
                new_slot.instance = None;
                old_slot.saved = Some(saved);
                let version = self.description().version.clone();
                return Err(new.error(LoadErrorKind::Restore { version, reason }));
            }
            new_slot.saved = (!new.holds_records()).then_some(saved);
        } else if !old_slot.held.is_empty() {
            new_slot.instance = None;
        }
        if new.holds_records() {
            new_slot.held = std::mem::take(&mut old_slot.held);
        }
        old_slot.instance = None;
        old_slot.is_retired = true;
        Ok(())
    }

    /// Copies the state to another filter; this one continues unaffected. Does nothing unless both are stateful.
    pub fn copy_state(&self, to: &Arc<Filter>) -> Result<(), LoadError> {
        let (Some(slot), Some(other)) = (&self.slot, &to.slot) else { return Ok(()) };
        let (saved, held) = {
            let mut slot = lock(slot);
            let is_saved = self.save_if_due(&mut slot);
            let saved = if is_saved || !self.holds_records() { slot.saved.clone() } else { None };
            (saved, slot.held.clone())
        };
        to.context.credit.copy(&self.context.credit);
        let mut other = lock(other);
        if to.holds_records() {
            other.held = held;
        }
        let Some(saved) = saved else {
            other.instance = None;
            return Ok(());
        };
        let version = self.description().version.clone();
        restore(to, &mut other, &saved).map_err(|reason| to.error(LoadErrorKind::Restore { version, reason }))?;
        other.saved = (!to.holds_records()).then_some(saved);
        Ok(())
    }
}

/// Restores a state into the instance of a slot. Returns the reason if that fails.
fn restore(filter: &Filter, slot: &mut Slot, saved: &[u8]) -> Result<(), String> {
    slot.instance(filter).map_err(|error| error.reason)?.restore(saved, LIFECYCLE_DEADLINE)
}
