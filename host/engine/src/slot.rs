//! The place of an instance, with what outlives the instance: its state as it was saved last, and the records it holds.

use crate::holds::Held;
use crate::instance::Instance;

/// A place for an instance: one for each worker and stateless filter, one for each stateful filter. It is empty after a
/// failure, until the next batch comes.
#[derive(Default)]
pub(crate) struct Slot {
    pub instance: Option<Instance>,
    /// For stateful filters: the state as it was when the filter last ticked.
    pub saved: Option<Vec<u8>>,
    /// For filters that hold records: all that this one holds.
    pub held: Held,
    /// For stateful filters: another version has taken over, and this one is never called again.
    pub is_retired: bool,
}
