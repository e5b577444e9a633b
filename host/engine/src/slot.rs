//! The slot of an instance, and what outlives the instance: its last saved state and the records it holds.

use crate::holds::Held;
use crate::instance::Instance;

/// A slot for an instance. A stateless filter has one for each worker, a stateful filter has one. After a failure it is
/// empty until the next batch.
#[derive(Default)]
pub(crate) struct Slot {
    pub instance: Option<Instance>,
    /// For stateful filters: the state at the last tick, or when it was last handed on.
    pub saved: Option<Vec<u8>>,
    /// For filters that hold records: all of them.
    pub held: Held,
    /// For stateful filters: another version has taken over, and this one is never called again.
    pub is_retired: bool,
}
