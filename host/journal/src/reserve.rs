//! Room reserved before it is known what will be appended. Code that does something irreversible before an append
//! (running a filter that keeps state) reserves first: an append with a [`Reservation`] is never refused with `Busy` or
//! because of the disk budget. Only the disk itself can still fail it.
//!
//! A reservation is for a number of bytes. The append may be larger, so the budget can be exceeded by what filters add
//! to the batches in progress.

use crate::cipher::TAG_BYTES;
use crate::error::AppendError;
use crate::format::SEGMENT_HEADER_BYTES;
use crate::frame::FRAME_HEADER_BYTES;
use crate::options::WhenFull;
use crate::state::Shared;
use crate::writer::{Pending, Task};
use std::sync::Arc;
use std::sync::mpsc;

/// A place in the queue of appends and bytes of the disk budget; released on drop.
pub struct Reservation {
    shared: Arc<Shared>,
    size_bytes: u64,
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("size_bytes", &self.size_bytes).finish()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.queue.release(self.size_bytes);
    }
}

/// Reserves room for a payload of this size, or returns why there is none.
pub(crate) fn reserve(shared: &Arc<Shared>, payload_bytes: u64) -> Result<Reservation, AppendError> {
    let (poisoned, kept_bytes) = {
        let state = shared.state();
        let kept_bytes: u64 = state.segments.iter().map(|segment| segment.size_bytes).sum();
        (state.poisoned.clone(), kept_bytes)
    };
    if let Some(reason) = poisoned {
        return Err(AppendError::Poisoned(reason));
    }
    let size_bytes = payload_bytes + (FRAME_HEADER_BYTES + TAG_BYTES + SEGMENT_HEADER_BYTES) as u64;
    let expected_bytes = shared.queue.reserve(size_bytes)?;
    let reservation = Reservation { shared: Arc::clone(shared), size_bytes };
    let options = &shared.options;
    if options.when_full == WhenFull::Refuse && kept_bytes + expected_bytes > options.max_size_bytes {
        make_room(shared, expected_bytes)?;
    }
    Ok(reservation)
}

/// Waits for the queued appends, and makes them visible. An error means that they have ended, too.
pub(crate) fn settle(shared: &Arc<Shared>) {
    let sync: Task = Box::new(|appender| {
        appender.sync();
        Ok(())
    });
    if let Err(error) = run(shared, sync) {
        tracing::debug!(%error, "the journal accepts nothing");
    }
}

/// Asks the writer, since it alone removes segments. Rare: only when the budget is nearly used up.
fn make_room(shared: &Arc<Shared>, size_bytes: u64) -> Result<(), AppendError> {
    run(shared, Box::new(move |appender| appender.free_room(size_bytes))).map(drop)
}

/// Runs a task on the writer's thread, after the appends that are queued. Returns the newest sequence.
pub(crate) fn run(shared: &Arc<Shared>, task: Task) -> Result<u64, AppendError> {
    let (answer, answered) = mpsc::channel();
    let done = Box::new(move |result| {
        // The receiver is waiting for it.
        let _ = answer.send(result);
    });
    shared.queue.push(Pending::task(task, done)).map_err(|(_, error)| error)?;
    match answered.recv() {
        Ok(result) => result,
        Err(_) => Err(AppendError::Closed),
    }
}
