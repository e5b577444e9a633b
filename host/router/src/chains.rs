//! The chain of filters that runs. Batches go through it many at a time; it is exchanged while none is on its way, so
//! that a batch is seen by one version of each filter, and what one version remembers goes to the next with nothing in
//! between.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use weir_engine::Chain;

/// The chain that runs. A panic leaves nothing half changed: it is one pointer.
#[derive(Default)]
pub struct Chains {
    current: RwLock<Arc<Chain>>,
}

impl Chains {
    /// The chain, which is not exchanged while this is kept.
    pub fn enter(&self) -> RwLockReadGuard<'_, Arc<Chain>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the chain while nobody else does. Waits for the batches that are on their way, each of which
    /// takes a bounded time.
    pub fn alone<R>(&self, run: impl FnOnce(&mut Arc<Chain>) -> R) -> R {
        run(&mut self.current.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The chain, to look at.
    pub fn load(&self) -> Arc<Chain> {
        self.enter().clone()
    }
}
