//! One client: where it begins, what it gets next.
//!
//! Records are matched without the lock. The position moves only if the memory has not moved it meanwhile, so a record
//! is either handed out or counted as missed.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use weir_query::{EntryId, QueryError};

use crate::live::{Live, TooManyClients};
use crate::progress::Progress;
use crate::query::SharedQuery;
use crate::step::Step;
use crate::totals::Totals;

/// Where a client begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With this many of the newest matching records.
    Backlog(usize),
    /// After a record that it has.
    After(EntryId),
}

/// What a client gets next.
pub struct Next {
    /// It asked to continue after a record that is no longer in memory.
    pub is_reset: bool,
    /// Matching records that it missed before the step.
    pub missed: u64,
    /// Records before those of the step that nobody could read.
    pub skipped: u64,
    pub step: Arc<Step>,
}

/// What a client finds when it looks.
enum Look {
    Ended,
    /// Nothing; there may be more at this time, or at any time.
    Wait(Option<Instant>),
    /// Something, from this place on.
    From(EntryId),
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
        let (at, is_reset) = place_of(live, &query, start);
        let progress = Progress { is_reset, ..Progress::new(query.clone(), at) };
        let number = live.state().add_client(progress, matches!(start, Start::After(_)))?;
        // Only with its number, since dropping it removes the client of that number.
        Ok(Client { live: live.clone(), number, query, news })
    }

    /// Counts all records by level and source from now on.
    pub fn count_all(&self) {
        if let Some(progress) = self.live.state().client(self.number) {
            progress.counts_all = true;
        }
    }

    /// The text of its query.
    pub fn query(&self) -> &str {
        &self.query.text
    }

    /// Watches another query from now on, beginning with this many of the newest matching records. What it saw is
    /// counted from there. On an error, the query stays as it is.
    pub fn set_query(&mut self, text: &str, backlog: usize) -> Result<(), QueryError> {
        self.query = self.live.query_like(text, &self.query)?;
        let at = place_of_backlog(&self.live, &self.query, backlog);
        let query = self.query.clone();
        let mut state = self.live.state();
        let at = state.in_memory(at);
        if let Some(progress) = state.client(self.number) {
            *progress = Progress { counts_all: progress.counts_all, ..Progress::new(query, at) };
        }
        Ok(())
    }

    /// What it has seen.
    pub fn totals(&self) -> Totals {
        self.live.state().client(self.number).map_or_else(Totals::default, |progress| progress.totals.clone())
    }

    /// Waits until there is something, and returns it; `None` once the stream has ended. A step may be empty, if
    /// nothing of what passed matched. Cancel-safe.
    pub async fn next(&mut self) -> Option<Next> {
        loop {
            // Marked as seen before looking, so that what arrives during the look wakes the wait below.
            self.news.borrow_and_update();
            match self.look() {
                Look::Ended => return None,
                Look::Wait(Some(until)) => sleep_until(until).await,
                Look::Wait(None) => self.news.changed().await.ok()?,
                Look::From(at) => {
                    if let Some(next) = self.take(at) {
                        return Some(next);
                    }
                }
            }
        }
    }

    /// Whether there is nothing to get at the moment.
    pub fn is_current(&self) -> bool {
        let mut state = self.live.state();
        let end = state.end;
        state.client(self.number).is_none_or(|progress| progress.at >= end && !progress.has_notice())
    }

    fn look(&self) -> Look {
        let mut state = self.live.state();
        if state.is_closed {
            return Look::Ended;
        }
        state.publish_if_due();
        let published = state.published;
        match state.client(self.number) {
            None => Look::Ended,
            Some(progress) if progress.at < published || progress.has_notice() => Look::From(progress.at),
            Some(_) => Look::Wait(state.next_publication()),
        }
    }

    /// Takes the next records at a place. `None` if the memory has moved the client meanwhile.
    fn take(&self, at: EntryId) -> Option<Next> {
        let step = self.live.step(&self.query, at);
        let mut state = self.live.state();
        let progress = state.client(self.number)?;
        if progress.at != at {
            return None;
        }
        progress.pass(&step);
        Some(Next {
            is_reset: std::mem::take(&mut progress.is_reset),
            missed: std::mem::take(&mut progress.missed),
            skipped: std::mem::take(&mut progress.skipped) + step.skipped,
            step,
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.live.state().remove_client(self.number);
    }
}

/// The place at which to begin, and whether that is a reset.
fn place_of(live: &Live, query: &SharedQuery, start: Start) -> (EntryId, bool) {
    match start {
        Start::Backlog(records) => (place_of_backlog(live, query, records), false),
        Start::After(id) => {
            let state = live.state();
            let oldest = state.frames.front().map_or(state.end, |frame| frame.id(0));
            let next = EntryId { index: id.index.saturating_add(1), ..id };
            if state.has_all_after(id) { (next, false) } else { (oldest, true) }
        }
    }
}

fn place_of_backlog(live: &Live, query: &SharedQuery, records: usize) -> EntryId {
    let (end, frames): (EntryId, Vec<_>) = {
        let state = live.state();
        (state.end, state.frames.iter().cloned().collect())
    };
    let (mut at, mut left) = (end, records);
    for frame in frames.iter().rev() {
        if left == 0 {
            break;
        }
        let matches = frame.matching(query);
        if matches.len() >= left {
            at = frame.id(matches[matches.len() - left]);
            break;
        }
        left -= matches.len();
        at = frame.id(0);
    }
    at
}
