//! What passed, counted: for a frame, and for a client.

use std::collections::HashMap;

use weir_record::{Level, Record};

use crate::limits;

/// How many records there are of each level and source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the order of [`Level::ALL`].
    levels: [u64; Level::ALL.len()],
    sources: HashMap<String, u64>,
}

impl Counts {
    pub fn of<'a>(records: impl Iterator<Item = Record<'a>>) -> Counts {
        let mut counts = Counts::default();
        for record in records {
            let head = record.head();
            counts.levels[head.level as usize] += 1;
            counts.add_source(head.source, 1);
        }
        counts
    }

    pub fn add(&mut self, other: &Counts) {
        for (level, count) in self.levels.iter_mut().zip(other.levels) {
            *level += count;
        }
        for (source, count) in &other.sources {
            self.add_source(source, *count);
        }
    }

    /// The sources that are counted.
    pub fn source_names(&self) -> impl Iterator<Item = &String> {
        self.sources.keys()
    }

    fn add_source(&mut self, source: &str, count: u64) {
        if let Some(total) = self.sources.get_mut(source) {
            *total += count;
        } else if self.sources.len() < limits::MAX_SOURCES {
            self.sources.insert(source.to_owned(), count);
        }
    }

    /// What was added since an earlier state.
    fn since(&self, earlier: &Counts) -> Counts {
        let mut counts = self.clone();
        for (level, before) in counts.levels.iter_mut().zip(earlier.levels) {
            *level -= before;
        }
        counts.sources.retain(|source, count| {
            *count -= earlier.sources.get(source).copied().unwrap_or_default();
            *count > 0
        });
        counts
    }
}

/// What a client has seen since it began, or since its query changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records that passed.
    pub seen: u64,
    /// Those that matched.
    pub matched: u64,
    /// Those that matched and were missed.
    pub missed: u64,
    /// Records that passed and could not be read, so that nobody knows whether they match. They are not in `seen`.
    pub(crate) skipped: u64,
    pub(crate) counts: Counts,
}

impl Totals {
    /// Records that passed, by level; levels without records are left out.
    pub fn levels(&self) -> impl Iterator<Item = (Level, u64)> {
        Level::ALL.into_iter().zip(self.counts.levels).filter(|(_, count)| *count > 0)
    }

    /// The sources with most records that passed.
    pub fn sources(&self, most: usize) -> Vec<(&str, u64)> {
        let mut sources: Vec<_> = self.counts.sources.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        sources.sort_unstable_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
        sources.truncate(most);
        sources
    }

    pub(crate) fn add(&mut self, other: &Totals) {
        self.seen += other.seen;
        self.matched += other.matched;
        self.missed += other.missed;
        self.skipped += other.skipped;
        self.counts.add(&other.counts);
    }

    /// What was added since an earlier state.
    pub(crate) fn since(&self, earlier: &Totals) -> Totals {
        Totals {
            seen: self.seen - earlier.seen,
            matched: self.matched - earlier.matched,
            missed: self.missed - earlier.missed,
            skipped: self.skipped - earlier.skipped,
            counts: self.counts.since(&earlier.counts),
        }
    }
}
