//! The chain of filters that runs. Batches go through it many at a time; it is exchanged while none is on its way, so
//! that a batch is seen by one version of each filter, and what one version remembers goes to the next with nothing in
//! between.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use weir_engine::Chain;

/// The chain that runs.
#[derive(Default)]
pub struct Chains {
    current: RwLock<Arc<Chain>>,
}

impl Chains {
    /// Does something with the chain, which stays the only one until that is done.
    pub fn with<R>(&self, run: impl FnOnce(&Chain) -> R) -> R {
        run(&self.read())
    }

    /// Does something with the chain while nobody else does. Waits for the batches that are on their way, each of which
    /// takes a bounded time.
    pub fn alone<R>(&self, run: impl FnOnce(&mut Arc<Chain>) -> R) -> R {
        run(&mut self.current.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The chain, to look at.
    pub fn load(&self) -> Arc<Chain> {
        self.read().clone()
    }

    /// Nothing leaves it half changed: it is one pointer.
    fn read(&self) -> RwLockReadGuard<'_, Arc<Chain>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}
