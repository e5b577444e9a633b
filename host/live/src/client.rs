//! One client: its position in the memory, what it gets next, what it missed.
//!
//! Records are matched without the lock. The position moves only if the memory has not moved it meanwhile, so a record
//! is either handed out or counted as missed.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use weir_query::{EntryId, QueryError};
use weir_record::{Level, Record};

use crate::frame::{Counts, Frame, LEVEL_NAMES, LEVELS};
use crate::limits;
use crate::live::{Live, TooManyClients};
use crate::query::SharedQuery;

/// Where a client begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With this many of the newest matching records.
    Backlog(usize),
    /// After a record that it has.
    After(EntryId),
}

/// A matching record.
#[derive(Clone)]
pub struct Item {
    frame: Arc<Frame>,
    index: u32,
}

impl Item {
    pub fn id(&self) -> EntryId {
        self.frame.id(self.index)
    }

    pub fn record(&self) -> Record<'_> {
        self.frame.record(self.index)
    }
}

/// What a client gets next.
#[derive(Default)]
pub struct Step {
    /// It asked to continue after a record that is no longer in memory.
    pub is_reset: bool,
    /// Matching records that it missed before these.
    pub missed: u64,
    pub items: Vec<Item>,
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
    levels: [u64; LEVELS],
    sources: HashMap<String, u64>,
}

impl Totals {
    /// Records that passed, by level; levels without records are left out.
    pub fn levels(&self) -> impl Iterator<Item = (Level, u64)> {
        LEVEL_NAMES.into_iter().zip(self.levels).filter(|(_, count)| *count > 0)
    }

    /// The sources with most records that passed.
    pub fn sources(&self, most: usize) -> Vec<(&str, u64)> {
        let mut sources: Vec<_> = self.sources.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        sources.sort_unstable_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
        sources.truncate(most);
        sources
    }

    fn add(&mut self, counts: &Counts) {
        for (level, count) in self.levels.iter_mut().zip(counts.levels) {
            *level += count;
        }
        for (source, count) in &counts.sources {
            if let Some(total) = self.sources.get_mut(source) {
                *total += count;
            } else if self.sources.len() < limits::MAX_SOURCES {
                self.sources.insert(source.clone(), *count);
            }
        }
    }
}

/// The state of a client that the memory changes when it overtakes it.
pub struct Progress {
    /// The place of the next record to look at.
    pub at: EntryId,
    query: Arc<SharedQuery>,
    is_reset: bool,
    /// Missed and not reported yet.
    missed: u64,
    counts_all: bool,
    totals: Totals,
}

impl Progress {
    fn new(query: Arc<SharedQuery>, at: EntryId) -> Progress {
        Progress { at, query, is_reset: false, missed: 0, counts_all: false, totals: Totals::default() }
    }

    /// Counts what is left of a frame as missed, and moves behind it.
    pub fn miss(&mut self, frame: &Frame) {
        let from = self.first_index(frame);
        let missed = frame.matching(&self.query).iter().filter(|index| **index >= from).count() as u64;
        self.missed += missed;
        self.totals.missed += missed;
        self.pass(frame, frame.records, missed);
    }

    /// Moves to a place in a frame, or behind it.
    fn pass(&mut self, frame: &Frame, to: u32, matched: u64) {
        let from = self.first_index(frame);
        self.totals.seen += u64::from(to - from);
        self.totals.matched += matched;
        if self.counts_all {
            match from == 0 && to == frame.records {
                true => self.totals.add(frame.counts()),
                false => self.totals.add(&frame.counts_of(from..to)),
            }
        }
        self.at = if to == frame.records { frame.end() } else { frame.id(to) };
    }

    /// The first record of a frame that was not passed.
    fn first_index(&self, frame: &Frame) -> u32 {
        if self.at.sequence == frame.sequence { self.at.index } else { 0 }
    }
}

/// A client of the stream. Dropping it ends it.
pub struct Client {
    live: Arc<Live>,
    number: u64,
    query: Arc<SharedQuery>,
    news: watch::Receiver<()>,
}

impl Client {
    pub(crate) fn begin(live: &Arc<Live>, query: Arc<SharedQuery>, start: Start) -> Result<Client, TooManyClients> {
        let news = live.news();
        let mut client = Client { live: live.clone(), number: 0, query: query.clone(), news };
        let (at, is_reset) = client.place_of(start);
        let progress = Progress { is_reset, ..Progress::new(query, at) };
        client.number = live.state().add_client(progress)?;
        Ok(client)
    }

    /// Counts all records by level and source from now on.
    pub fn count_all(&self) {
        self.change(|progress| progress.counts_all = true);
    }

    /// The text of its query.
    pub fn query(&self) -> &str {
        &self.query.text
    }

    /// Watches another query from now on, beginning with this many of the newest matching records. What it saw is
    /// counted from there. On an error, the query stays as it is.
    pub fn set_query(&mut self, text: &str, backlog: usize) -> Result<(), QueryError> {
        self.query = self.live.query(text)?;
        let (at, _) = self.place_of(Start::Backlog(backlog));
        let query = self.query.clone();
        self.change(|progress| {
            *progress = Progress { counts_all: progress.counts_all, ..Progress::new(query, at) };
        });
        Ok(())
    }

    /// What it has seen.
    pub fn totals(&self) -> Totals {
        self.live.state().clients.get(&self.number).map_or_else(Totals::default, |progress| progress.totals.clone())
    }

    /// Waits until there is something, and returns it; `None` once the stream has ended. A step may be empty, if
    /// nothing of what passed matched. Cancel-safe.
    pub async fn next(&mut self) -> Option<Step> {
        loop {
            // Marked as seen before looking, so that what arrives during the look wakes the wait below.
            self.news.borrow_and_update();
            {
                let state = self.live.state();
                if state.is_closed {
                    return None;
                }
                let progress = state.clients.get(&self.number)?;
                if progress.at < state.end || progress.missed > 0 || progress.is_reset {
                    drop(state);
                    return Some(self.step());
                }
            }
            self.news.changed().await.ok()?;
        }
    }

    /// Whether there is nothing to get at the moment.
    pub fn is_current(&self) -> bool {
        let state = self.live.state();
        state.clients.get(&self.number).is_none_or(|progress| progress.at >= state.end)
    }

    /// Takes the next records without waiting.
    fn step(&self) -> Step {
        loop {
            let (at, frames): (EntryId, Vec<_>) = {
                let state = self.live.state();
                let Some(progress) = state.clients.get(&self.number) else { return Step::default() };
                (progress.at, state.frames_from(progress.at).take(limits::STEP_FRAMES).cloned().collect())
            };
            let passed = self.take(at, frames);
            let mut state = self.live.state();
            let Some(progress) = state.clients.get_mut(&self.number) else { return Step::default() };
            // The memory may have moved it meanwhile, or another task its query.
            if progress.at != at || progress.query.number != self.query.number {
                continue;
            }
            let mut items = Vec::new();
            for (frame, to, of_frame) in passed {
                progress.pass(&frame, to, of_frame.len() as u64);
                items.extend(of_frame);
            }
            return Step {
                is_reset: std::mem::take(&mut progress.is_reset),
                missed: std::mem::take(&mut progress.missed),
                items,
            };
        }
    }

    /// The matching records of some frames up to the limits of a step: for each frame, where it ends and what matches.
    fn take(&self, at: EntryId, frames: Vec<Arc<Frame>>) -> Vec<(Arc<Frame>, u32, Vec<Item>)> {
        let (mut records, mut bytes) = (0, 0);
        let mut passed = Vec::with_capacity(frames.len());
        for frame in frames {
            let from = if at.sequence == frame.sequence { at.index } else { 0 };
            let (mut items, mut to) = (Vec::new(), frame.records);
            for index in frame.matching(&self.query).iter().copied().filter(|index| *index >= from) {
                if records >= limits::STEP_RECORDS || bytes >= limits::STEP_BYTES {
                    to = index;
                    break;
                }
                records += 1;
                bytes += frame.record(index).as_bytes().len();
                items.push(Item { frame: frame.clone(), index });
            }
            let is_whole = to == frame.records;
            passed.push((frame, to, items));
            if !is_whole {
                break;
            }
        }
        passed
    }

    /// The place at which to begin, and whether that is a reset.
    fn place_of(&self, start: Start) -> (EntryId, bool) {
        match start {
            Start::Backlog(records) => (self.place_of_backlog(records), false),
            Start::After(id) => {
                let state = self.live.state();
                let oldest = state.frames.front().map_or(state.end, |frame| frame.id(0));
                let next = EntryId { index: id.index.saturating_add(1), ..id };
                if state.has_all_after(id) { (next, false) } else { (oldest, true) }
            }
        }
    }

    fn place_of_backlog(&self, records: usize) -> EntryId {
        let (end, frames): (EntryId, Vec<_>) = {
            let state = self.live.state();
            (state.end, state.frames.iter().cloned().collect())
        };
        let (mut at, mut left) = (end, records);
        for frame in frames.iter().rev() {
            if left == 0 {
                break;
            }
            let matches = frame.matching(&self.query);
            if matches.len() >= left {
                at = frame.id(matches[matches.len() - left]);
                break;
            }
            left -= matches.len();
            at = frame.id(0);
        }
        at
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        if let Some(progress) = self.live.state().clients.get_mut(&self.number) {
            change(progress);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.live.state().clients.remove(&self.number);
    }
}
