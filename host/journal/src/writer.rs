//! The writer's thread and its queue. The thread writes everything that is waiting together: under load, each fsync
//! serves all appends that arrived during the one before, with no timer and no added delay.
//!
//! The queue is bounded in appends and bytes; beyond that, an append fails at once with `Busy`.

use crate::appender::Appender;
use crate::error::AppendError;
use crate::ledger::Ledger;
use crate::limits::{CURSOR_INTERVAL, DURABLE_SAVE_DELAY, MAX_WAITING_APPENDS, MAX_WAITING_BYTES};
use crate::options::SyncMode;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Called with the outcome of an append.
pub(crate) type AppendCallback = Box<dyn FnOnce(Result<u64, AppendError>) + Send>;

/// Something else than an append that only the writer may do.
pub(crate) type Task = Box<dyn FnOnce(&mut Appender) -> Result<(), AppendError> + Send>;

/// An append in the queue.
pub(crate) struct Pending {
    /// The batch, followed by the ledger unless that is empty.
    pub payload: Vec<u8>,
    pub records: u32,
    pub ledger: Ledger,
    /// Room was reserved for it: neither the queue nor the budget refuses it.
    pub is_reserved: bool,
    /// If set, nothing is appended; this is done after the appends before it.
    pub task: Option<Task>,
    pub done: AppendCallback,
}

impl Pending {
    pub(crate) fn append(payload: Vec<u8>, records: u32, ledger: Ledger, done: AppendCallback) -> Pending {
        Pending { payload, records, ledger, is_reserved: false, task: None, done }
    }

    pub(crate) fn task(task: Task, done: AppendCallback) -> Pending {
        Pending { task: Some(task), is_reserved: true, ..Pending::append(Vec::new(), 0, Ledger::default(), done) }
    }
}

#[derive(Default)]
struct Waiting {
    appends: Vec<Pending>,
    size_bytes: usize,
    /// Reserved and not released: places for appends, and bytes.
    reserved_appends: usize,
    reserved_bytes: u64,
    /// A cursor moved since the cursors were last saved.
    cursors_dirty: bool,
    /// No further append is accepted.
    closing: bool,
}

/// The queue of the writer.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

/// What the writer does next.
struct Work {
    appends: Vec<Pending>,
    cursors_dirty: bool,
    closing: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it is locked, except on memory exhaustion.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an append, or returns it with the reason.
    pub(crate) fn push(&self, pending: Pending) -> Result<(), (Box<Pending>, AppendError)> {
        let mut waiting = self.lock();
        if waiting.closing {
            return Err((Box::new(pending), AppendError::Closed));
        }
        let size_bytes = waiting.size_bytes + pending.payload.len();
        let is_over = waiting.appends.len() >= MAX_WAITING_APPENDS || size_bytes > MAX_WAITING_BYTES;
        if is_over && !waiting.appends.is_empty() && !pending.is_reserved {
            return Err((Box::new(pending), AppendError::Busy));
        }
        waiting.size_bytes = size_bytes;
        waiting.appends.push(pending);
        let is_first = waiting.appends.len() == 1;
        drop(waiting);
        if is_first {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Reserves room for an append. Returns how many bytes are waiting or reserved, including these. Reserved bytes
    /// count as if they were waiting already.
    pub(crate) fn reserve(&self, size_bytes: u64) -> Result<u64, AppendError> {
        let mut waiting = self.lock();
        if waiting.closing {
            return Err(AppendError::Closed);
        }
        let appends = waiting.appends.len() + waiting.reserved_appends;
        let expected_bytes = waiting.size_bytes as u64 + waiting.reserved_bytes + size_bytes;
        if appends > 0 && (appends >= MAX_WAITING_APPENDS || expected_bytes > MAX_WAITING_BYTES as u64) {
            return Err(AppendError::Busy);
        }
        waiting.reserved_appends += 1;
        waiting.reserved_bytes += size_bytes;
        Ok(expected_bytes)
    }

    /// The reserved append has ended, or will not come.
    pub(crate) fn release(&self, size_bytes: u64) {
        let mut waiting = self.lock();
        waiting.reserved_appends -= 1;
        waiting.reserved_bytes -= size_bytes;
    }

    /// A cursor moved and has to be saved.
    pub(crate) fn mark_cursors_dirty(&self) {
        let mut waiting = self.lock();
        if !waiting.cursors_dirty {
            waiting.cursors_dirty = true;
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// Makes the writer finish the queue and end.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    /// Waits until there is something to do, or until the deadline. `appends` is an empty vector to swap in.
    fn take(&self, deadline: Option<Instant>, cursors_scheduled: bool, appends: Vec<Pending>) -> Work {
        let mut waiting = self.lock();
        while waiting.appends.is_empty() && !waiting.closing && (!waiting.cursors_dirty || cursors_scheduled) {
            waiting = match deadline {
                None => self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let woken = self.wake.wait_timeout(waiting, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        waiting.size_bytes = 0;
        Work {
            appends: std::mem::replace(&mut waiting.appends, appends),
            cursors_dirty: waiting.cursors_dirty,
            closing: waiting.closing,
        }
    }

    fn clear_cursors_dirty(&self) {
        self.lock().cursors_dirty = false;
    }
}

/// However the thread ends, no caller keeps waiting for an answer.
struct CloseOnDrop<'a>(&'a Appender);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        shared.queue.close();
        let rest = shared.queue.take(None, true, Vec::new());
        for pending in rest.appends {
            (pending.done)(Err(AppendError::Closed));
        }
        shared.state().closed = true;
        shared.news.send_modify(|_| {});
    }
}

/// The writer's thread. Ends after [`Queue::close`], when everything queued is written and the cursors are saved.
pub(crate) fn run(mut appender: Appender) {
    let outcome = catch_unwind(AssertUnwindSafe(|| write_until_closed(&mut appender)));
    if outcome.is_err() {
        appender.poison("its writer ended unexpectedly".to_string());
    }
    drop(CloseOnDrop(&appender));
}

fn write_until_closed(appender: &mut Appender) {
    let sync_every = match appender.shared.options.sync {
        SyncMode::Every(interval) => Some(interval),
        SyncMode::Always | SyncMode::Off => None,
    };
    let mut appends = Vec::new();
    let mut sync_at: Option<Instant> = None;
    let mut cursors_at: Option<Instant> = None;
    let mut cursors_saved: Option<Instant> = None;
    loop {
        let deadline = [sync_at, cursors_at].into_iter().flatten().min();
        let work = appender.shared.queue.take(deadline, cursors_at.is_some(), appends);
        appends = work.appends;
        if !appends.is_empty() {
            appender.append(appends.drain(..));
        }
        let now = Instant::now();
        if let Some(interval) = sync_every {
            if sync_at.is_some_and(|at| at <= now) {
                appender.sync();
                sync_at = None;
            }
            if appender.waits_for_sync() && appender.poisoned().is_none() {
                sync_at = sync_at.or(Some(now + interval));
            } else {
                sync_at = None;
            }
        }
        if work.cursors_dirty && cursors_at.is_none() {
            cursors_at = Some(cursors_saved.map_or(now, |saved| saved + CURSOR_INTERVAL));
        }
        if appender.is_saved_durable_behind() && cursors_at.is_none() {
            let soonest = cursors_saved.map_or(now, |saved| saved + CURSOR_INTERVAL);
            cursors_at = Some(soonest.max(now + DURABLE_SAVE_DELAY));
        }
        if cursors_at.is_some_and(|at| at <= now) {
            appender.shared.queue.clear_cursors_dirty();
            appender.save_cursors();
            cursors_saved = Some(now);
            cursors_at = None;
        }
        if work.closing {
            // Everything queued before `closing` was set was taken with it, and nothing came after.
            appender.close();
            return;
        }
    }
}
