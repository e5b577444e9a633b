//! Copies a share of the batches that reach a filter, for a new version that runs in its shadow. Batches never wait for
//! the subscriber: if it is behind, no copy is made.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use weir_record::Batch;

use crate::limits::MAX_TAPPED_BATCHES;
use crate::lock::lock;

/// The share that means every batch, in millionths.
const WHOLE_PPM: u64 = 1_000_000;

/// The tap of a filter, usually without a subscriber.
#[derive(Default)]
pub(crate) struct Tap {
    /// Checked for every batch, so that a filter without a subscriber takes no lock.
    is_open: AtomicBool,
    listener: Mutex<Option<Arc<Listener>>>,
}

struct Listener {
    share_ppm: u64,
    turns: AtomicU64,
    batches: SyncSender<Batch>,
}

/// Receives copies of batches that reach a filter. Dropping it ends the subscription.
pub struct Subscription {
    tap: Arc<Tap>,
    listener: Arc<Listener>,
    /// The copies.
    pub batches: Receiver<Batch>,
}

impl Tap {
    /// Subscribes to a share of the batches, in millionths. Ends an earlier subscription.
    pub fn subscribe(self: &Arc<Self>, share_ppm: u32) -> Subscription {
        let (send, batches) = sync_channel(MAX_TAPPED_BATCHES);
        let listener = Arc::new(Listener { share_ppm: u64::from(share_ppm), turns: AtomicU64::new(0), batches: send });
        *lock(&self.listener) = Some(listener.clone());
        self.is_open.store(true, Ordering::Relaxed);
        Subscription { tap: self.clone(), listener, batches }
    }

    /// Offers a batch to the subscriber, if there is one.
    pub fn offer(&self, batch: &Batch) {
        if !self.is_open.load(Ordering::Relaxed) {
            return;
        }
        let Some(listener) = lock(&self.listener).clone() else { return };
        let before = listener.turns.fetch_add(listener.share_ppm, Ordering::Relaxed);
        let is_its_turn = before / WHOLE_PPM != before.wrapping_add(listener.share_ppm) / WHOLE_PPM;
        if is_its_turn {
            // Fails if the subscriber is behind or gone.
            let _ = listener.batches.try_send(batch.clone());
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut current = lock(&self.tap.listener);
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &self.listener)) {
            *current = None;
            self.tap.is_open.store(false, Ordering::Relaxed);
        }
    }
}
