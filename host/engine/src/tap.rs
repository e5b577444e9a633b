//! Lets somebody listen in: copies of the batches that reach a filter, a share of them, for a version that is tried in
//! its shadow. A batch is never held up: when the listener is behind, the copy is not made.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use weir_record::Batch;

use crate::limits::MAX_TAPPED_BATCHES;
use crate::lock::lock;

/// Where the parts of a share add up to a whole.
const WHOLE_PPM: u64 = 1_000_000;

/// A filter's tap; usually nobody listens.
#[derive(Default)]
pub(crate) struct Tap {
    /// Looked at for every batch; the rest only when it is set.
    is_open: AtomicBool,
    listener: Mutex<Option<Arc<Listener>>>,
}

struct Listener {
    share_ppm: u64,
    turns: AtomicU64,
    batches: SyncSender<Batch>,
}

/// Batches that reach a filter. Dropping it ends the listening.
pub struct Listening {
    tap: Arc<Tap>,
    listener: Arc<Listener>,
    /// Copies, as they come.
    pub batches: Receiver<Batch>,
}

impl Tap {
    /// Listens to a share of the batches, in millionths. Whoever listened before gets no more.
    pub fn listen(self: &Arc<Self>, share_ppm: u32) -> Listening {
        let (send, batches) = sync_channel(MAX_TAPPED_BATCHES);
        let listener = Arc::new(Listener { share_ppm: u64::from(share_ppm), turns: AtomicU64::new(0), batches: send });
        *lock(&self.listener) = Some(listener.clone());
        self.is_open.store(true, Ordering::Relaxed);
        Listening { tap: self.clone(), listener, batches }
    }

    /// Shows a batch to whoever listens.
    pub fn offer(&self, batch: &Batch) {
        if !self.is_open.load(Ordering::Relaxed) {
            return;
        }
        let Some(listener) = lock(&self.listener).clone() else { return };
        let before = listener.turns.fetch_add(listener.share_ppm, Ordering::Relaxed);
        let is_its_turn = before / WHOLE_PPM != before.wrapping_add(listener.share_ppm) / WHOLE_PPM;
        if is_its_turn {
            // An error: it is behind, or gone.
            let _ = listener.batches.try_send(batch.clone());
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut current = lock(&self.tap.listener);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &self.listener)) {
            *current = None;
            self.tap.is_open.store(false, Ordering::Relaxed);
        }
    }
}
