//! The journal's handle: opening, appending, readers, closing. Everything here returns at once, except `open` (reads
//! and checks all segments) and `close` (waits for the writer).

use crate::appender::Appender;
use crate::cipher::TAG_BYTES;
use crate::cursor::{FOLLOWER, Stored, check_name};
use crate::erase::{self, Erase, Erased};
use crate::error::{AppendError, OpenError, ReadError};
use crate::format::SEGMENT_HEADER_BYTES;
use crate::frame::FRAME_HEADER_BYTES;
use crate::ledger::{Hold, Ledger};
use crate::limits::{MAX_PAYLOAD_BYTES, MAX_READERS};
use crate::options::Options;
use crate::reader::Reader;
use crate::recovery::{Recovered, failed, recover};
use crate::report::Recovery;
use crate::reserve::{self, Reservation};
use crate::state::{Cursor, Recent, Shared, State};
use crate::stats::{self, ReaderStatus, Stats};
use crate::storage::{Lock, Storage};
use crate::writer::{self, Pending, Queue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

/// An open journal. Clones share it. When the last clone is dropped, the writer finishes in the background; call
/// [`close`](Journal::close) to wait for it.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("place", &self.inner.shared.storage.place()).finish()
    }
}

/// Opens everything except the writer's thread.
pub(crate) fn open_parts(
    storage: Arc<dyn Storage>,
    options: Options,
) -> Result<(Appender, Recovery, Box<dyn Lock>), OpenError> {
    options.check()?;
    let lock = storage.lock().map_err(failed(&*storage, "lock the folder"))?;
    let Some(lock) = lock else {
        return Err(OpenError::Locked { folder: storage.place() });
    };
    let recovered = recover(&*storage, &options)?;
    let state = first_state(&recovered);
    let shared = Arc::new(Shared::new(Arc::clone(&storage), options, Queue::default(), state));
    let appender = Appender::new(shared, &recovered).map_err(failed(&*storage, "sync the last segment"))?;
    Ok((appender, recovered.report, lock))
}

fn first_state(recovered: &Recovered) -> State {
    let last = recovered.report.last_sequence;
    let open = |(name, stored): (&String, &Stored)| {
        let Stored { committed, records } = *stored;
        (name.clone(), Cursor { committed, records, open: false, skipped: 0 })
    };
    State {
        visible: last,
        visible_records: recovered.segments.last().map_or(0, |segment| segment.records_after),
        recent: Recent { after: last, ..Recent::default() },
        cursors: recovered.cursors.iter().map(open).collect(),
        held: recovered.held.clone(),
        segments: recovered.segments.iter().cloned().collect(),
        ..State::default()
    }
}

impl Journal {
    /// Opens a journal, or creates one in an empty folder. Reads all of it once and checks every byte.
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<(Journal, Recovery), OpenError> {
        let (appender, recovery, lock) = open_parts(Arc::clone(&storage), options)?;
        let shared = Arc::clone(&appender.shared);
        let thread = std::thread::Builder::new().name("weir-journal".to_string());
        let writer = thread
            .spawn(move || {
                writer::run(appender);
                // Only now may another process write here.
                drop(lock);
            })
            .map_err(failed(&*storage, "start the writer's thread"))?;
        let inner = Inner { shared, writer: Mutex::new(Some(writer)) };
        Ok((Journal { inner: Arc::new(inner) }, recovery))
    }

    /// Queues a payload that contains `records` records. `done` receives the sequence once the payload is durable (as
    /// [`SyncMode`](crate::SyncMode) promises), or the error. It runs on the writer's thread, or immediately on this
    /// one if the append can't be queued, and must be quick.
    pub fn append(&self, payload: Vec<u8>, records: u32, done: impl FnOnce(Result<u64, AppendError>) + Send + 'static) {
        self.push(Pending::append(payload, records, Ledger::default(), Box::new(done)));
    }

    /// Reserves room for a payload of about this size, so that [`append_reserved`](Self::append_reserved) is not
    /// refused for lack of room. May wait for the writer if the budget is nearly used up.
    pub fn reserve(&self, payload_bytes: u64) -> Result<Reservation, AppendError> {
        reserve::reserve(&self.inner.shared, payload_bytes)
    }

    /// Appends into reserved room, together with a ledger of held and released records.
    pub fn append_reserved(
        &self,
        mut payload: Vec<u8>,
        records: u32,
        ledger: Ledger,
        reservation: Reservation,
        done: impl FnOnce(Result<u64, AppendError>) + Send + 'static,
    ) {
        if !ledger.is_empty() {
            ledger.write(&mut payload);
        }
        let done = Box::new(move |result| {
            drop(reservation);
            done(result);
        });
        self.push(Pending { is_reserved: true, ..Pending::append(payload, records, ledger, done) });
    }

    /// Reserves room, appends, and waits until that is answered. Not for a callback, which the writer waits for.
    pub fn append_and_wait(&self, payload: Vec<u8>, records: u32, ledger: Ledger) -> Result<u64, AppendError> {
        let reservation = self.reserve((payload.len() + ledger.size_bytes()) as u64)?;
        let (done, answered) = mpsc::channel();
        self.append_reserved(payload, records, ledger, reservation, move |result| {
            // The receiver is waiting for it.
            let _ = done.send(result);
        });
        answered.recv().unwrap_or(Err(AppendError::Closed))
    }

    /// Closes the segment being written, so that everything acknowledged before is in closed segments. Returns the newest
    /// sequence in them.
    pub fn close_segment(&self) -> Result<u64, AppendError> {
        reserve::run(&self.inner.shared, Box::new(|appender| appender.close_segment()))
    }

    /// Erases from all closed segments that begin at or before `up_to`. Takes long: it reads them all. No reader gets
    /// what is erased once this returns.
    pub fn erase(&self, up_to: u64, erase: &mut dyn Erase) -> Erased {
        let shared = &self.inner.shared;
        erase::erase(shared, up_to, erase, |rewritten| {
            let (sender, placed) = mpsc::channel();
            let task = Box::new(move |appender: &mut Appender| {
                // The receiver is waiting for it.
                let _ = sender.send(appender.put_in_place(rewritten));
                Ok(())
            });
            reserve::run(shared, task).map_err(|error| error.to_string())?;
            placed.recv().map_err(|error| error.to_string())?.map_err(|error| error.to_string())
        })
    }

    /// Waits until all earlier appends are answered, durable and visible, and [`held`](Self::held) knows what they hold
    /// and release.
    pub fn settle(&self) {
        reserve::settle(&self.inner.shared);
    }

    /// The records that are held and not released, in the order of their tokens. Appends that wait for the next fsync of
    /// [`SyncMode::Every`](crate::SyncMode) don't count yet.
    pub fn held(&self) -> Vec<Hold> {
        self.inner.shared.state().held.all()
    }

    /// The highest token in use. Higher tokens were never used for anything that still matters.
    pub fn highest_token(&self) -> u64 {
        self.inner.shared.state().held.highest()
    }

    fn push(&self, pending: Pending) {
        let Pending { done, .. } = pending;
        let max_bytes = self.max_payload_bytes();
        let size_bytes = pending.payload.len() as u64;
        if size_bytes > max_bytes {
            return done(Err(AppendError::TooLarge { size_bytes, max_bytes }));
        }
        let done = Box::new(move |result| {
            // A panic in a callback must not end the writer.
            if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
                tracing::error!("the callback of a journal append panicked");
            }
        });
        let pushed = self.inner.shared.queue.push(Pending { done, ..pending });
        if let Err((pending, error)) = pushed {
            (pending.done)(Err(error));
        }
    }

    /// Larger payloads are refused with [`AppendError::TooLarge`].
    pub fn max_payload_bytes(&self) -> u64 {
        let overhead = 2 * SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + TAG_BYTES;
        let budget = self.inner.shared.options.max_size_bytes.saturating_sub(overhead as u64);
        budget.min(MAX_PAYLOAD_BYTES as u64)
    }

    /// Opens a reader. `after` is the last delivered sequence, for readers that store it themselves; with `None`, the
    /// reader continues from the stored cursor, or, for a new name, from the oldest frame. From now on, also after a
    /// restart, segments are kept for this reader until it is [forgotten](Journal::forget).
    ///
    /// If the journal has not reached that position (the folder was emptied), the numbering continues after it. Open
    /// all readers before the first append, so that no frame gets a number that a reader considers delivered.
    pub fn reader(&self, name: &str, after: Option<u64>) -> Result<Reader, ReadError> {
        open_reader(&self.inner.shared, name, after)
    }

    /// Opens a reader that begins after a sequence and has no cursor: nothing is kept for it, and it counts what was
    /// removed before it could read it in [`Reader::skipped`].
    pub fn follow(&self, after: u64) -> Reader {
        let shared = &self.inner.shared;
        let records = shared.state().records_up_to(after);
        Reader::new(Arc::clone(shared), FOLLOWER.to_owned(), after, records)
    }

    /// Removes a reader's cursor, so that no segment is kept for it. Returns false if there is no reader of that name,
    /// or if it is open.
    pub fn forget(&self, name: &str) -> bool {
        let mut state = self.inner.shared.state();
        if state.cursors.get(name).is_none_or(|cursor| cursor.open) {
            return false;
        }
        state.cursors.remove(name);
        self.inner.shared.meters.forgotten(name);
        drop(state);
        self.inner.shared.queue.mark_cursors_dirty();
        true
    }

    /// The newest sequence that readers can see; 0 if there is none.
    pub fn last_sequence(&self) -> u64 {
        self.inner.shared.state().visible
    }

    /// True if the writer has ended, because the journal was closed or unexpectedly.
    pub fn has_ended(&self) -> bool {
        self.inner.shared.state().closed
    }

    /// The journal's current numbers.
    pub fn stats(&self) -> Stats {
        stats::stats(&self.inner.shared)
    }

    /// All readers, open and remembered, by name.
    pub fn readers(&self) -> Vec<ReaderStatus> {
        stats::readers(&self.inner.shared.state())
    }

    /// Writes everything queued, saves the cursors, unlocks the folder, and waits until that is done. Appends fail from
    /// now on; readers get what is left and then [`ReadError::Closed`]. Later commits are not stored, so stop readers
    /// first.
    pub fn close(&self) {
        self.inner.shared.queue.close();
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return };
        // A callback on the writer's own thread can't wait for that thread.
        if writer.thread().id() != std::thread::current().id() && writer.join().is_err() {
            tracing::error!("the journal's writer panicked");
        }
    }
}

pub(crate) fn open_reader(shared: &Arc<Shared>, name: &str, after: Option<u64>) -> Result<Reader, ReadError> {
    let refuse = |reason: String| ReadError::Name { name: name.to_string(), reason };
    check_name(name).map_err(refuse)?;
    let mut state = shared.state();
    let stored = state.cursors.get(name).cloned();
    if stored.as_ref().is_some_and(|cursor| cursor.open) {
        return Err(ReadError::InUse(name.to_string()));
    }
    if stored.is_none() && state.cursors.len() >= MAX_READERS {
        return Err(refuse(format!("there are already {MAX_READERS} readers; forget some")));
    }
    let oldest = state.before_oldest();
    let (committed, records) = match (after, &stored) {
        (None, None) => (oldest, state.records_up_to(oldest)),
        (None, Some(cursor)) => (cursor.committed, cursor.records),
        (Some(after), Some(cursor)) if after == cursor.committed => (after, cursor.records),
        // Records removed before this reader could read them are counted from the nearest known position.
        (Some(after), Some(cursor)) if after < oldest => (after, cursor.records),
        (Some(after), _) => (after, state.records_up_to(after)),
    };
    if committed > state.visible && stored.as_ref().is_none_or(|cursor| cursor.committed < committed) {
        tracing::warn!(
            reader = %name,
            "this reader received frames up to {committed}, but the journal ends with {}: its end was lost, or its folder \
             was emptied or replaced; other readers never get the missing frames",
            state.visible
        );
    }
    state.not_before = state.not_before.max(committed + 1);
    let skipped = stored.map_or(0, |cursor| cursor.skipped);
    state.cursors.insert(name.to_string(), Cursor { committed, records, open: true, skipped });
    drop(state);
    shared.queue.mark_cursors_dirty();
    Ok(Reader::new(Arc::clone(shared), name.to_string(), committed, records))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::Simulated;
    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The gauges, by name and labels.
    #[derive(Default)]
    struct Gauges(Mutex<HashMap<String, Arc<AtomicU64>>>);

    impl Gauges {
        fn get(&self, name: &str) -> f64 {
            let gauges = self.0.lock().expect("nothing panics with it");
            f64::from_bits(gauges.get(name).expect("it is set").load(Ordering::Acquire))
        }
    }

    impl Recorder for Gauges {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            let labels: String = key.labels().map(|label| format!(" {}", label.value())).collect();
            let name = format!("{}{labels}", key.name());
            Gauge::from_arc(Arc::clone(self.0.lock().expect("nothing panics with it").entry(name).or_default()))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn gauges_show_the_size_from_the_start_and_no_lag_of_a_reader_that_is_gone() {
        let disk = Simulated::new();
        let open = || Journal::open(Arc::new(disk.clone()), Options::default()).expect("it opens").0;
        let gauges = Gauges::default();
        metrics::with_local_recorder(&gauges, || {
            let journal = open();
            let (done, stored) = mpsc::channel();
            journal.append(vec![1; 500], 3, move |result| done.send(result).expect("the test waits"));
            assert_eq!(stored.recv(), Ok(Ok(1)));
            drop(journal.reader("slow", None).expect("the name is free"));
            let shared = &journal.inner.shared;
            shared.meters.readers(&shared.state());
            assert_eq!(gauges.get("weir_journal_lag_records slow"), 3.0);
            assert!(journal.forget("slow"));
            assert_eq!(gauges.get("weir_journal_lag_records slow"), 0.0);
            journal.close();
        });
        let gauges = Gauges::default();
        let journal = metrics::with_local_recorder(&gauges, open);
        assert_eq!(gauges.get("weir_journal_size_bytes"), journal.stats().size_bytes as f64);
        assert!(journal.stats().size_bytes > 500);
        journal.close();
    }
}
