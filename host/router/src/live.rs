//! Feeds the live stream from the journal, so it shows only durable records, and the pipeline never waits for it.
//!
//! It runs at normal priority, unlike everything else that reads: the memory must have passed a frame before its segment
//! is removed. The reader keeps no segment. If it falls so far behind that segments are removed before it has read them, the stream
//! lacks their records, and a warning says how many.

use std::sync::Arc;

use weir_journal::{Journal, ReadError};
use weir_live::Live;

use crate::limits;

/// Starts the feed. It begins a little before the end of the journal, so that clients find recent records, and those
/// that were connected before a restart can continue.
pub fn start(journal: Journal, live: Arc<Live>) {
    let first = journal.last_sequence().saturating_sub(limits::LIVE_FRAMES_AT_START);
    tokio::spawn(async move {
        let mut after = first;
        loop {
            let (source, target) = (journal.clone(), live.clone());
            // On a task of its own: a panic ends that, and not the feed.
            match tokio::spawn(feed(source, target, after)).await {
                Ok(ReadError::Closed) => return,
                Ok(error) => tracing::warn!("the live stream lacks records that can't be read: {error}"),
                Err(ended) if ended.is_panic() => tracing::error!("feeding the live stream panicked; it continues"),
                Err(_) => return,
            }
            // Whatever could not be read is skipped.
            after = journal.last_sequence();
            tokio::time::sleep(limits::LIVE_RETRY).await;
        }
    });
}

/// Feeds until the journal can't be read.
async fn feed(journal: Journal, live: Arc<Live>, after: u64) -> ReadError {
    let mut reader = journal.follow(after);
    loop {
        let entries = match reader.next(limits::LIVE_READ_BYTES).await {
            Ok(entries) => entries,
            Err(error) => return error,
        };
        for entry in entries {
            live.push(entry.sequence, entry.records, entry.payload);
            reader.commit(entry.sequence);
        }
    }
}
