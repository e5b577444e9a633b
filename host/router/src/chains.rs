//! The running chain of filters. Batches pass through it concurrently. It is replaced only while no batch is in it, so
//! a batch sees one version of each filter, and state moves from one version to the next without a gap.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use weir_engine::Chain;

/// The running chain. A panic can't leave it half changed, because it is one pointer.
#[derive(Default)]
pub struct Chains {
    current: RwLock<Arc<Chain>>,
}

impl Chains {
    /// Borrows the chain for a batch; it is not replaced while the guard is held.
    pub fn enter(&self) -> RwLockReadGuard<'_, Arc<Chain>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `run` with exclusive access to the chain. Waits for the batches in it, each of which takes a bounded time.
    pub fn exclusive<R>(&self, run: impl FnOnce(&mut Arc<Chain>) -> R) -> R {
        run(&mut self.current.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// A snapshot of the chain.
    pub fn load(&self) -> Arc<Chain> {
        self.enter().clone()
    }
}
