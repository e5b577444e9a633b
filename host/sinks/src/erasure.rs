//! What is erased from the sinks on request, how long that may take, and the loop over search results that databases
//! share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::time::timeout;
use weir_query::Query;
use weir_query::search::{By, Hit, Place, Search, SearchError};
use weir_record::{Batch, Record};

use crate::limits;
use crate::select::ERASED;
use crate::sink::SinkError;

const LATE: &str = "its time was over; run it again to continue";

/// A request to erase records. Clones share its end and its progress.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// Which records.
    pub query: Query,
    /// Only count them.
    pub dry_run: bool,
    until: Instant,
    cancelled: Arc<AtomicBool>,
    erased: Arc<AtomicU64>,
}

/// What became of it in one sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// So many records are erased, or would be.
    Records(u64),
    /// They must be erased where they are, for this reason; `None`: the sink gives records away.
    OutOfReach(Option<String>),
}

/// An encoded batch in which those records are erased that a query selects, and their number. Every other record keeps
/// its place. `None` if there are none, or it can't be decoded.
pub fn without(encoded: &[u8], query: &Query) -> Option<(Vec<u8>, u64)> {
    let batch = Batch::decode(encoded).ok()?;
    let is_selected = |record: Record<'_>| record.as_bytes() != ERASED && query.matches(record);
    let selected = batch.iter().filter(|record| is_selected(*record)).count();
    if selected == 0 {
        return None;
    }
    let mut rest = Batch::with_capacity(batch.byte_len(), batch.len());
    for record in batch.iter() {
        rest.push(if is_selected(record) { ERASED } else { record.as_bytes() });
    }
    Some((rest.encode(), selected as u64))
}

impl Erasure {
    /// Erases what the query selects, until that time.
    pub fn new(query: Query, dry_run: bool, until: Instant) -> Erasure {
        Erasure { query, dry_run, until, cancelled: Arc::default(), erased: Arc::default() }
    }

    /// Ends it after the current step once the flag is set.
    #[must_use]
    pub fn cancelled_by(self, cancelled: Arc<AtomicBool>) -> Erasure {
        Erasure { cancelled, ..self }
    }

    /// Fails once it was cancelled or its time is over.
    pub fn go_on(&self) -> Result<(), String> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err("it was cancelled".into());
        }
        if Instant::now() >= self.until { Err(LATE.into()) } else { Ok(()) }
    }

    /// Counts records for the progress.
    pub fn count(&self, records: u64) {
        self.erased.fetch_add(records, Ordering::Relaxed);
    }

    /// Records erased so far, in all places.
    pub fn counted(&self) -> u64 {
        self.erased.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self, place: &str) -> Result<(), SinkError> {
        self.go_on().map_err(|reason| SinkError::Retry(format!("{place}: {reason}")))
    }

    /// Ends a search when the time is over.
    async fn timely<T>(&self, search: impl Future<Output = Result<T, SearchError>>) -> Result<T, SearchError> {
        let left = self.until.saturating_duration_since(Instant::now());
        timeout(left, search).await.unwrap_or_else(|_| Err(SearchError::Unavailable(LATE.into())))
    }

    /// The number of records that a search finds.
    pub(crate) async fn found(&self, search: &dyn Search) -> Result<u64, SearchError> {
        let found = self.timely(search.histogram(&self.query, By::Level, 1)).await?;
        Ok(found.buckets.values().flat_map(|levels| levels.values()).sum())
    }

    /// The next records that a search finds, after those found before. Empty at the end.
    pub(crate) async fn next(&self, search: &dyn Search, last: &mut Option<Place>) -> Result<Vec<Hit>, SearchError> {
        let hits = self.timely(search.newest(&self.query, *last, limits::ERASE_PAGE)).await?;
        *last = hits.last().map(|hit| Place { timestamp_ns: Record::new(&hit.record).timestamp(), id: hit.id });
        Ok(hits)
    }
}
