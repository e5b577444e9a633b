//! Swapping versions of a filter: the new one gets the state of the old one, and what that holds.

use std::sync::Arc;

use crate::error::{LoadError, LoadErrorKind};
use crate::filter::Filter;
use crate::limits::LIFECYCLE_DEADLINE;
use crate::lock::lock;
use crate::slot::Slot;

impl Filter {
    /// Gives the state of this version to the next one, and what it holds; from then on this one refuses every call.
    /// No batch may be on its way through either meanwhile. Does nothing when either keeps no state.
    ///
    /// When this version can't save its state, the one it saved last is used, or none: a broken version must not
    /// keep its repair out. Where records are held, the new version is given those instead.
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

    /// Gives a copy of its state to another filter, and goes on as if nothing had been. Does nothing when either keeps
    /// no state.
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

/// Gives a state to the instance in a slot; the error is why it can't take it.
fn restore(filter: &Filter, slot: &mut Slot, saved: &[u8]) -> Result<(), String> {
    slot.instance(filter).map_err(|error| error.reason)?.restore(saved, LIFECYCLE_DEADLINE)
}
