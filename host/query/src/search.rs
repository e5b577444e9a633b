//! The interface of stores that can be searched. Sinks implement it; the API uses it.
//!
//! Every search is cancelled when its future is dropped, also inside the database, so that the caller sets the deadline.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;

use crate::Query;

/// A record's permanent id: its place in the journal. Written `SEQUENCE-INDEX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Sequence of the journal's frame.
    pub sequence: u64,
    /// Index of the record in the frame, from 0.
    pub index: u32,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sequence, self.index)
    }
}

impl FromStr for EntryId {
    type Err = ();

    fn from_str(text: &str) -> Result<EntryId, ()> {
        let (sequence, index) = text.split_once('-').ok_or(())?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then_some(()).ok_or(());
        number(sequence)?;
        number(index)?;
        Ok(EntryId { sequence: sequence.parse().map_err(drop)?, index: index.parse().map_err(drop)? })
    }
}

/// Where a record stands in the order of results: by its time, then by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub timestamp_ns: i64,
    pub id: EntryId,
}

/// A record that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub id: EntryId,
    /// A canonical record.
    pub record: Vec<u8>,
}

/// What a histogram distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Level,
    Source,
}

/// Stands for all levels or sources that a [`Histogram`] doesn't name.
pub const OTHER: &str = "other";

/// Number of records over time. Buckets begin at `since_ns`, are `bucket_ns` wide, and those without records are left
/// out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    pub since_ns: i64,
    pub until_ns: i64,
    pub bucket_ns: i64,
    /// By the start of a bucket in nanoseconds since 1970, then by level or source, or [`OTHER`] for the rest of many.
    pub buckets: BTreeMap<i64, BTreeMap<String, u64>>,
}

/// Why a search failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// It may work later.
    #[error("{0}")]
    Unavailable(String),
    /// The store can't answer this, with what to do instead.
    #[error("{0}")]
    Unsupported(String),
}

/// A store that can be searched.
#[async_trait]
pub trait Search: Send + Sync {
    /// The matching records before `before`, newest first, at most `limit`. Fewer means that there are no more.
    async fn newest(&self, query: &Query, before: Option<Place>, limit: usize) -> Result<Vec<Hit>, SearchError>;

    /// One record.
    async fn get(&self, id: EntryId) -> Result<Option<Hit>, SearchError>;

    /// The matching records next to `id` in the order of ids, and that one itself: at most `before` older ones and
    /// `after` newer ones. Newest first.
    async fn around(&self, query: &Query, id: EntryId, before: usize, after: usize) -> Result<Vec<Hit>, SearchError>;

    /// How [`newest`](Search::newest) would find the matching records, for people, as some lines of text.
    async fn explain(&self, query: &Query, limit: usize) -> Result<String, SearchError>;

    /// Counts the matching records over time, in about `buckets` buckets.
    async fn histogram(&self, query: &Query, by: By, buckets: usize) -> Result<Histogram, SearchError>;

    /// Finishes what the store would do in the background to make later searches fast.
    async fn prepare(&self) -> Result<(), SearchError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = EntryId { sequence: u64::MAX, index: 7 };
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in
            ["", "-", "1", "1-", "-1", "+1-2", "1-+2", "1--2", "1-2-3", "18446744073709551616-0", "1-4294967296"]
        {
            assert_eq!(wrong.parse::<EntryId>(), Err(()), "{wrong}");
        }
    }
}
