//! How far a client is, and what it missed.
//!
//! When the end of the memory overtakes clients, they join the group of those that are overtaken and have the same
//! query. Each frame that leaves after that is counted once for the group. What a client missed is the difference
//! between the group's totals when it looks again and when it joined.

use std::sync::Arc;

use weir_query::EntryId;

use crate::frame::Frame;
use crate::query::SharedQuery;
use crate::step::Step;
use crate::totals::Totals;

/// The state of a client that the memory changes when it overtakes it.
pub struct Progress {
    /// The place of the next record to look at; out of date while it is overtaken.
    pub at: EntryId,
    pub query: Arc<SharedQuery>,
    pub is_reset: bool,
    pub counts_all: bool,
    pub totals: Totals,
    /// Missed and not reported yet.
    pub missed: u64,
    /// Not readable and not reported yet.
    pub skipped: u64,
    /// The totals of its group when it joined, while it is overtaken.
    pub joined: Option<Totals>,
}

impl Progress {
    pub fn new(query: Arc<SharedQuery>, at: EntryId) -> Progress {
        Progress {
            at,
            query,
            is_reset: false,
            counts_all: false,
            totals: Totals::default(),
            missed: 0,
            skipped: 0,
            joined: None,
        }
    }

    /// Whether there is something to tell before any record.
    pub fn has_notice(&self) -> bool {
        self.is_reset || self.missed > 0 || self.skipped > 0
    }

    /// Its group, once it is overtaken: clients in it miss the same, and count the same.
    pub fn group(&self) -> GroupKey {
        GroupKey { query: self.query.number, counts_all: self.counts_all }
    }

    /// Adds what it missed.
    pub fn miss(&mut self, missed: &Totals) {
        self.missed += missed.missed;
        self.skipped += missed.skipped;
        self.totals.add(missed);
    }

    /// Passes a step.
    pub fn pass(&mut self, step: &Step) {
        self.totals.seen += step.seen;
        self.totals.matched += step.items.len() as u64;
        self.totals.skipped += step.skipped;
        if self.counts_all {
            self.totals.counts.add(step.counts());
        }
        self.at = step.to;
    }
}

/// What identifies a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupKey {
    query: u64,
    counts_all: bool,
}

/// Overtaken clients that miss the same.
pub struct Group {
    query: Arc<SharedQuery>,
    counts_all: bool,
    /// The number of clients in it.
    pub clients: usize,
    /// What its clients missed since the first of them joined.
    pub totals: Totals,
}

impl Group {
    pub fn of(client: &Progress) -> Group {
        Group { query: client.query.clone(), counts_all: client.counts_all, clients: 0, totals: Totals::default() }
    }

    /// Adds a frame that left the memory.
    pub fn miss(&mut self, frame: &Frame) {
        self.totals.add(&missed(frame, 0, &self.query, self.counts_all));
    }
}

/// What a client at this place misses if a frame leaves the memory.
pub fn missed_from(at: EntryId, frame: &Frame, client: &Progress) -> Totals {
    let first = if at.sequence == frame.sequence { at.index } else { 0 };
    missed(frame, first, &client.query, client.counts_all)
}

fn missed(frame: &Frame, first: u32, query: &SharedQuery, counts_all: bool) -> Totals {
    let matches = frame.matching(query);
    let matched = (matches.len() - matches.partition_point(|index| *index < first)) as u64;
    let mut totals = Totals {
        seen: u64::from(frame.records - first),
        matched,
        missed: matched,
        skipped: frame.skipped,
        ..Totals::default()
    };
    if counts_all {
        match first {
            0 => totals.counts.add(frame.counts()),
            first => totals.counts = frame.counts_of(first..frame.records),
        }
    }
    totals
}
