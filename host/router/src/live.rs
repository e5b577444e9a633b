//! Feeds the live stream from the journal, so it shows only durable records, and the pipeline never waits for it.
//!
//! It runs at normal priority, unlike everything else that reads: the memory must have passed a frame before its segment
//! is removed. The reader keeps no segment. If it falls so far behind that segments are removed before it has read them,
//! or if some can't be read, clients are told how many records the stream lacks.

use std::sync::Arc;

use weir_journal::{Journal, ReadError};
use weir_live::Live;

use crate::limits;

/// Starts the feed. It begins a little before the end of the journal, so that clients find recent records, and those
/// that were connected before a restart can continue.
pub fn start(journal: Journal, live: Arc<Live>) {
    let mut after = journal.last_sequence().saturating_sub(limits::LIVE_FRAMES_AT_START);
    tokio::spawn(async move {
        // On a task of its own: a panic ends that, and not the feed.
        while let Err(ended) = tokio::spawn(feed(journal.clone(), live.clone(), after)).await {
            if !ended.is_panic() {
                return;
            }
            tracing::error!("feeding the live stream panicked; it continues with new records");
            after = journal.last_sequence();
            tokio::time::sleep(limits::LIVE_RETRY).await;
        }
    });
}

/// Feeds until the journal is closed.
async fn feed(journal: Journal, live: Arc<Live>, after: u64) {
    let mut reader = journal.follow(after);
    let mut skipped = 0;
    loop {
        let entries = match reader.next(limits::LIVE_READ_BYTES).await {
            Ok(entries) => entries,
            Err(ReadError::Closed) => return,
            Err(error) => {
                tracing::warn!("the live stream lacks records that can't be read: {error}");
                reader.leave_out(journal.last_sequence());
                tokio::time::sleep(limits::LIVE_RETRY).await;
                continue;
            }
        };
        let lost = reader.skipped() - skipped;
        if let Some(first) = entries.first()
            && lost > 0
        {
            live.skip(first.sequence.saturating_sub(1), lost);
            skipped = reader.skipped();
        }
        for entry in entries {
            live.push(entry.sequence, entry.records, entry.payload);
            reader.commit(entry.sequence);
        }
    }
}
