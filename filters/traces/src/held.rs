//! The undecided traces, and the recent decisions.
//!
//! All traces have a window of the same length, so they end in the order in which
//! they began. A queue next to the table is enough; no timers are needed. A trace
//! that is decided early leaves its entry in the queue, which is skipped later.
//!
//! Invariants: every trace of the table has exactly one entry in the queue; there
//! are at most `max_traces` of them with at most `MAX_HELD_BYTES`.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use weir_guest::hash::Seeded;

use crate::limits::{
    MAX_CLOCK_STEP_NS, MAX_DECIDED, MAX_HELD_BYTES, MAX_TRACE_BYTES, RECORD_OVERHEAD_BYTES, TRACE_OVERHEAD_BYTES,
};

/// An undecided trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// When its first record arrived, by the host's clock.
    pub began_ns: i64,
    /// Its records, concatenated.
    pub records: Vec<u8>,
    /// The ids of the records.
    pub ids: Vec<u64>,
}

/// A trace that must be decided now, with its id.
pub type Due = (Rc<[u8]>, Trace);

/// All undecided traces.
#[derive(Debug)]
pub struct HeldTraces {
    window_ns: i64,
    max_traces: usize,
    /// Each with the number that its entry in the queue has.
    traces: HashMap<Rc<[u8]>, (u64, Trace), Seeded>,
    order: VecDeque<(Rc<[u8]>, u64)>,
    /// The number of the next trace.
    next: u64,
    held_bytes: usize,
    /// The latest time of the clock.
    latest_ns: i64,
}

impl HeldTraces {
    /// `seed` keeps senders from choosing colliding ids.
    pub fn new(window_ns: i64, max_traces: usize, seed: u64) -> Self {
        HeldTraces {
            window_ns,
            max_traces,
            traces: HashMap::with_hasher(Seeded(seed)),
            order: VecDeque::new(),
            next: 0,
            held_bytes: 0,
            latest_ns: i64::MIN,
        }
    }

    /// Holds a record of the trace `id`. Returns traces that must be decided
    /// early to make room; the record's own may be among them.
    pub fn hold(&mut self, id: &[u8], record: &[u8], record_id: u64, now_ns: i64) -> Vec<Due> {
        if let Some((_, trace)) = self.traces.get_mut(id) {
            trace.records.extend_from_slice(record);
            trace.ids.push(record_id);
            self.held_bytes += record.len() + RECORD_OVERHEAD_BYTES;
            if trace.records.len() > MAX_TRACE_BYTES {
                return self.take(id).into_iter().collect();
            }
        } else {
            self.insert(id, Trace { began_ns: now_ns, records: record.to_vec(), ids: vec![record_id] });
        }
        let mut early = Vec::new();
        while self.traces.len() > self.max_traces || self.held_bytes > MAX_HELD_BYTES {
            match self.take_first() {
                Some(due) => early.push(due),
                None => break,
            }
        }
        early
    }

    /// Inserts a trace that is not in the table yet.
    pub fn insert(&mut self, id: &[u8], trace: Trace) {
        let id: Rc<[u8]> = id.into();
        self.held_bytes += bytes(&id, &trace);
        self.order.push_back((Rc::clone(&id), self.next));
        self.traces.insert(id, (self.next, trace));
        self.next += 1;
    }

    /// Removes a trace.
    pub fn take(&mut self, id: &[u8]) -> Option<Due> {
        let (id, (_, trace)) = self.traces.remove_entry(id)?;
        self.held_bytes -= bytes(&id, &trace);
        // Stale entries must not outnumber the others.
        if self.order.len() > 2 * self.traces.len() + 64 {
            let traces = &self.traces;
            self.order.retain(|(id, number)| traces.get(id).is_some_and(|(known, _)| known == number));
        }
        Some((id, trace))
    }

    /// Removes the traces whose window has ended. If the clock was set back,
    /// their age is unknown and all of them are removed.
    pub fn due(&mut self, now_ns: i64) -> Vec<Due> {
        if now_ns < self.latest_ns.saturating_sub(MAX_CLOCK_STEP_NS) {
            self.latest_ns = now_ns;
            return self.all();
        }
        self.latest_ns = self.latest_ns.max(now_ns);
        let mut due = Vec::new();
        while let Some((id, number)) = self.order.front() {
            let began_ns = self.standing(id, *number).map(|trace| trace.began_ns);
            if began_ns.is_some_and(|began_ns| self.latest_ns.saturating_sub(began_ns) < self.window_ns) {
                break;
            }
            due.extend(self.take_front());
        }
        due
    }

    /// Removes all traces.
    pub fn all(&mut self) -> Vec<Due> {
        std::iter::from_fn(|| self.take_first()).collect()
    }

    /// All traces, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Trace)> {
        self.order.iter().filter_map(|(id, number)| Some((&**id, self.standing(id, *number)?)))
    }

    pub fn len(&self) -> usize {
        self.traces.len()
    }

    /// The trace of a queue entry, if it is still there.
    fn standing(&self, id: &[u8], number: u64) -> Option<&Trace> {
        self.traces.get(id).filter(|(known, _)| *known == number).map(|(_, trace)| trace)
    }

    /// The oldest trace.
    fn take_first(&mut self) -> Option<Due> {
        while !self.order.is_empty() {
            if let Some(due) = self.take_front() {
                return Some(due);
            }
        }
        None
    }

    /// Removes the first entry, and its trace if it is still there.
    fn take_front(&mut self) -> Option<Due> {
        let (id, number) = self.order.pop_front()?;
        self.standing(&id, number)?;
        self.take(&id)
    }
}

fn bytes(id: &[u8], trace: &Trace) -> usize {
    id.len() + trace.records.len() + trace.ids.len() * RECORD_OVERHEAD_BYTES + TRACE_OVERHEAD_BYTES
}

/// The latest decisions, by the hash of the trace's id.
#[derive(Debug, Default)]
pub struct RecentDecisions {
    kept: HashMap<u64, bool>,
    order: VecDeque<u64>,
}

impl RecentDecisions {
    pub fn remember(&mut self, hash: u64, kept: bool) {
        if self.kept.insert(hash, kept).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > MAX_DECIDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }

    /// The decision about a trace, if it is remembered.
    pub fn get(&self, hash: u64) -> Option<bool> {
        self.kept.get(&hash).copied()
    }

    /// All decisions, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u64, bool)> {
        self.order.iter().map(|hash| (*hash, self.kept.get(hash).copied().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(due: &[Due]) -> Vec<&[u8]> {
        due.iter().map(|(id, _)| &**id).collect()
    }

    #[test]
    fn a_trace_that_began_again_waits_for_its_own_window() {
        let mut held = HeldTraces::new(10, 10, 0);
        held.hold(b"a", b"1", 1, 0);
        assert_eq!(held.take(b"a").map(|(_, trace)| trace.records), Some(b"1".to_vec()));
        held.hold(b"a", b"2", 2, 5);
        assert_eq!(ids(&held.due(10)), [] as [&[u8]; 0]);
        assert_eq!(ids(&held.due(15)), [b"a"]);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_all_due() {
        let mut held = HeldTraces::new(10, 10, 0);
        held.due(5 * MAX_CLOCK_STEP_NS);
        held.hold(b"a", b"1", 1, 5 * MAX_CLOCK_STEP_NS);
        assert_eq!(ids(&held.due(4 * MAX_CLOCK_STEP_NS - 1)), [b"a"]);
    }

    #[test]
    fn a_trace_that_grows_too_long_is_due_alone() {
        let mut held = HeldTraces::new(10, 10, 0);
        held.hold(b"b", b"1", 1, 0);
        let record = vec![0; MAX_TRACE_BYTES / 2 + 1];
        assert!(held.hold(b"a", &record, 2, 0).is_empty());
        assert_eq!(ids(&held.hold(b"a", &record, 3, 0)), [b"a"]);
        assert_eq!(held.len(), 1);
    }

    proptest! {
        #[test]
        fn table_and_queue_agree_within_the_bounds_and_nothing_is_lost(
            steps in prop::collection::vec((0..8_u8, 0..4_i64, 0..200_usize, any::<bool>()), 0..120),
            max_traces in 1..6_usize,
        ) {
            let mut held = HeldTraces::new(10, max_traces, 7);
            let (mut now_ns, mut came, mut left) = (0, 0, 0);
            for (id, later, size, take) in steps {
                now_ns += later;
                let mut gone = held.due(now_ns);
                if take {
                    gone.extend(held.take(&[id]));
                } else {
                    came += size;
                    gone.extend(held.hold(&[id], &vec![0; size], came as u64, now_ns));
                }
                left += gone.iter().map(|(_, trace)| trace.records.len()).sum::<usize>();
                prop_assert!(held.len() <= max_traces);
                prop_assert_eq!(held.iter().count(), held.len());
                prop_assert!(held.order.len() <= 2 * held.len() + 65);
                let counted: usize = held.iter().map(|(id, trace)| bytes(id, trace)).sum();
                prop_assert_eq!(counted, held.held_bytes);
            }
            left += held.all().iter().map(|(_, trace)| trace.records.len()).sum::<usize>();
            prop_assert_eq!(came, left);
            prop_assert_eq!(held.held_bytes, 0);
        }
    }
}
