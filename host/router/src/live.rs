//! Feeds the live stream from the journal, so it shows only durable records, and the pipeline never waits for it.
//!
//! It runs at normal priority, unlike everything else that reads: the memory must have passed a frame before its segment
//! is removed. The reader keeps no segment. If it falls so far behind that segments are removed before it has read them,
//! or if some can't be read, clients are told how many records the stream lacks.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::timeout;
use weir_journal::{Journal, ReadError};
use weir_live::Live;

use crate::limits;

/// Starts the feed. It begins a little before the end of the journal, so that clients find recent records, and those
/// that were connected before a restart can continue. Returns once these records are in memory, or after a while.
pub async fn start(journal: Journal, live: Arc<Live>) {
    let mut after = journal.last_sequence().saturating_sub(limits::LIVE_FRAMES_AT_START);
    let is_current = Arc::new(Notify::new());
    let told = is_current.clone();
    tokio::spawn(async move {
        // On a task of its own: a panic ends that, and not the feed.
        while let Err(ended) = tokio::spawn(feed(journal.clone(), live.clone(), after, told.clone())).await {
            if !ended.is_panic() {
                return;
            }
            tracing::error!("feeding the live stream panicked; it continues with new records");
            after = journal.last_sequence();
            tokio::time::sleep(limits::LIVE_RETRY).await;
        }
    });
    if timeout(limits::LIVE_START, is_current.notified()).await.is_err() {
        tracing::warn!("recent records are still being read for the live stream; clients may get some again");
    }
}

/// Feeds until the journal is closed. Notifies `is_current` whenever everything was read that is there.
async fn feed(journal: Journal, live: Arc<Live>, after: u64, is_current: Arc<Notify>) {
    let mut reader = journal.follow(after);
    let mut skipped = 0;
    loop {
        let read = match reader.next_there(limits::LIVE_READ_BYTES).await {
            Ok(Some(entries)) => Ok(entries),
            Ok(None) => {
                is_current.notify_one();
                reader.next(limits::LIVE_READ_BYTES).await
            }
            Err(error) => Err(error),
        };
        let entries = match read {
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

#[cfg(test)]
mod tests {
    use weir_journal::Options;
    use weir_journal::simulated::Simulated;
    use weir_live::{Next, Start};
    use weir_query::EntryId;
    use weir_record::{Aliases, Batch, Defaults, Level, read_json};

    use super::*;

    /// A batch of two records.
    fn batch() -> Vec<u8> {
        let aliases = Aliases::none();
        let defaults = Defaults {
            received_ns: 1,
            source: "test",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: false,
        };
        let mut batch = Batch::new();
        let json = format!(r#"[{{"message":"{0}"}},{{"message":"{0}"}}]"#, "x".repeat(300));
        read_json(json.as_bytes(), &defaults, &mut batch).expect("it is JSON");
        batch.encode()
    }

    /// Appends a frame of two records, and waits until it is written.
    async fn append(journal: &Journal) {
        append_frame(journal, batch(), 2).await;
    }

    async fn append_frame(journal: &Journal, payload: Vec<u8>, records: u32) {
        let (sender, written) = tokio::sync::oneshot::channel();
        journal.append(payload, records, move |result| {
            let _ = sender.send(result);
        });
        written.await.expect("every append is answered").expect("there is room");
    }

    fn count(next: &Next) -> u64 {
        next.step.items.len() as u64 + next.skipped
    }

    #[tokio::test]
    async fn clients_are_told_how_many_records_could_not_be_read() {
        let disk = Simulated::new();
        let options =
            Options { segment_bytes: 4096, max_size_bytes: 1 << 20, recent_bytes: 4096, ..Options::default() };
        let (journal, _) = Journal::open(Arc::new(disk.clone()), options).expect("it opens");
        for _ in 0..30 {
            append(&journal).await;
        }
        disk.flip_byte("00000000000000000001.seg", 64 + 100);
        let live = Live::new(1000, "session".to_owned());
        let mut client = live.watch("", None, Start::Backlog(0)).expect("it is a query").expect("there is room");
        let feeding = tokio::spawn(feed(journal.clone(), live.clone(), 0, Arc::default()));
        let (mut appended, mut told, mut skipped) = (60, 0, 0);
        while skipped == 0 {
            append(&journal).await;
            appended += 2;
            if let Ok(Some(next)) = timeout(limits::LIVE_RETRY, client.next()).await {
                told += count(&next);
                skipped += next.skipped;
            }
        }
        journal.close();
        feeding.await.expect("no panic");
        while !client.is_current() {
            told += count(&client.next().await.expect("the stream goes on"));
        }
        assert!(skipped >= 60, "all that was there when reading failed: {skipped}");
        assert_eq!(told, appended);
    }

    #[tokio::test]
    async fn a_client_that_was_connected_before_a_restart_continues_as_soon_as_the_feed_has_started() {
        let disk = Simulated::new();
        let options = Options { segment_bytes: 4096, max_size_bytes: 1 << 20, ..Options::default() };
        let open = || Journal::open(Arc::new(disk.clone()), options.clone()).expect("it opens").0;
        let journal = open();
        append(&journal).await;
        // Nothing in it is for readers.
        append_frame(&journal, Vec::new(), 0).await;
        journal.close();
        let journal = open();
        let live = Live::new(1000, "session".to_owned());
        let starting = start(journal.clone(), live.clone());
        timeout(limits::LIVE_START / 2, starting).await.expect("it waits for no more than is there");
        let last = Start::After(EntryId { sequence: 1, index: 0 });
        let mut client = live.watch("", None, last).expect("it is a query").expect("there is room");
        let next = client.next().await.expect("the stream goes on");
        assert_eq!((next.is_reset, next.step.items.len()), (false, 1));
        journal.close();
    }
}
