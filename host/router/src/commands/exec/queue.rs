//! Records in memory between the application and the router, within a number of bytes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};

use crate::limits;
use crate::wiring::lock;

/// Records in the order of their arrival. When there is no room, the oldest are dropped: the newest say why an
/// application has ended.
pub struct Queue {
    limit_bytes: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    records: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Not taken yet by [`Queue::next`].
    dropped: u64,
    is_closed: bool,
}

/// What is sent at once.
pub struct Chunk {
    pub records: Vec<Vec<u8>>,
    /// Records that were dropped before these.
    pub dropped: u64,
}

impl Queue {
    pub fn new(limit_bytes: usize) -> Queue {
        Queue { limit_bytes, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds records. Never waits for the one who takes them.
    pub fn extend(&self, records: impl IntoIterator<Item = Vec<u8>>) {
        let mut state = lock(&self.state);
        for record in records {
            state.bytes += record.len() + limits::EXEC_RECORD_BYTES;
            state.records.push_back(record);
            while state.bytes > self.limit_bytes {
                let Some(oldest) = state.records.pop_front() else { break };
                state.bytes -= oldest.len() + limits::EXEC_RECORD_BYTES;
                state.dropped += 1;
            }
        }
        self.changed.notify_one();
    }

    /// Nothing follows.
    pub fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_one();
    }

    /// What is there, or the next that arrives; `None` at the end.
    pub fn next(&self) -> Option<Chunk> {
        let state = lock(&self.state);
        let is_waiting = |state: &mut State| state.records.is_empty() && state.dropped == 0 && !state.is_closed;
        let mut state = self.changed.wait_while(state, is_waiting).unwrap_or_else(|poisoned| poisoned.into_inner());
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < limits::EXEC_BATCH_RECORDS && bytes < limits::EXEC_BATCH_BYTES {
            let Some(record) = state.records.pop_front() else { break };
            state.bytes -= record.len() + limits::EXEC_RECORD_BYTES;
            bytes += record.len();
            records.push(record);
        }
        let dropped = std::mem::take(&mut state.dropped);
        (dropped > 0 || !records.is_empty()).then_some(Chunk { records, dropped })
    }

    /// How many records are left, and how many were dropped that nobody has counted yet.
    pub fn left(&self) -> (usize, u64) {
        let state = lock(&self.state);
        (state.records.len(), state.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_dropped_and_counted_and_the_rest_stays_in_order() {
        let record = |number: u64| format!("{number:0100}").into_bytes();
        let size = 100 + limits::EXEC_RECORD_BYTES;
        let queue = Queue::new(10 * size);
        queue.extend((0..25).map(record));
        queue.close();
        let chunk = queue.next().expect("records");
        assert_eq!((chunk.dropped, chunk.records), (15, (15..25).map(record).collect()));
        assert!(queue.next().is_none());

        let small = Queue::new(10);
        small.extend([record(1)]);
        let chunk = small.next().expect("a count");
        assert_eq!((chunk.dropped, chunk.records.len(), small.left()), (1, 0, (0, 0)));
    }

    #[test]
    fn a_chunk_is_bounded() {
        let queue = Queue::new(usize::MAX);
        queue.extend((0..limits::EXEC_BATCH_RECORDS + 1).map(|_| b"x".to_vec()));
        assert_eq!(queue.next().expect("records").records.len(), limits::EXEC_BATCH_RECORDS);
        assert_eq!(queue.left(), (1, 0));
    }
}
