//! Tells searches that files of a sink were rewritten: the lines after an erased one are at other places then, and what
//! was remembered or summarised of a file no longer holds.
//!
//! There is one for all sinks of a process. Other processes remember nothing for longer than a search.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Default)]
pub(crate) struct Rewrites(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// How often rewriting has begun or ended.
    changes: u64,
    /// Sinks that rewrite files now.
    running: usize,
}

impl Rewrites {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that differs once files are or were rewritten.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Does something that is right only if no file is rewritten, and none was since the number was this.
    pub fn unless_since<T>(&self, changes: u64, work: impl FnOnce() -> T) -> Option<T> {
        let now = self.lock();
        (now.changes == changes && now.running == 0).then(work)
    }

    /// Runs `forget`; afterwards files may be rewritten until the returned guard is dropped.
    pub fn begin<E>(&self, forget: impl FnOnce() -> Result<(), E>) -> Result<Rewriting, E> {
        let mut now = self.lock();
        forget()?;
        now.changes += 1;
        now.running += 1;
        Ok(Rewriting(self.clone()))
    }
}

/// While this exists, files are rewritten.
pub(crate) struct Rewriting(Rewrites);

impl Drop for Rewriting {
    fn drop(&mut self) {
        let mut now = self.0.lock();
        now.changes += 1;
        now.running -= 1;
    }
}
