//! Fair sharing: while several senders send, only so many bytes of each one's requests are in progress. Its other
//! requests wait, before their bodies are parsed. So a sender of few records waits for a little of everybody's
//! work, and not for all that one sender can send.
//!
//! **A sender that is alone never waits**: it may have as much in progress as fits into memory, which a slow disk needs
//! for its full throughput. A sender is an address, and if it uses several tokens, each of them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::bucket::Ns;
use crate::limits;

/// Bytes for which there is one permit.
const UNIT_BYTES: usize = 1024;

/// What a sender may have in progress, as permits. Computed once: to ask for the number of cores takes tens of
/// microseconds.
static SHARE: LazyLock<u32> = LazyLock::new(|| {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores * limits::SHARE_BYTES_PER_CORE / UNIT_BYTES).unwrap_or(u32::MAX)
});

/// The permits of a sender.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new(Semaphore::new(*SHARE as usize)))
    }
}

impl PartialEq for Turns {
    fn eq(&self, other: &Turns) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Turns {
    /// Whether somebody has or waits for one.
    pub(crate) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// Whether several senders send.
#[derive(Default)]
pub struct Sharing {
    /// The sender of the last request: where its permits are in memory.
    last: AtomicUsize,
    last_at: AtomicU64,
    /// Until then, more than one is sending.
    until: AtomicU64,
}

impl Sharing {
    /// Notes a request. Returns whether there were requests of another sender in the last second.
    fn is_shared(&self, sender: &Turns, now: Ns) -> bool {
        let this = Arc::as_ptr(&sender.0).addr();
        let before = self.last.load(Ordering::Relaxed);
        let since = now.saturating_sub(self.last_at.load(Ordering::Relaxed));
        if before != this {
            self.last.store(this, Ordering::Relaxed);
            if before != 0 && since < limits::SHARE_NS {
                self.until.store(now + limits::SHARE_NS, Ordering::Relaxed);
            }
        }
        self.last_at.store(now, Ordering::Relaxed);
        now < self.until.load(Ordering::Relaxed)
    }

    /// Waits until a request of this many bytes may be in progress; `None` if that takes longer than a sender should
    /// wait. Requests of one sender take turns in the order in which they came.
    pub(crate) async fn turn(&self, sender: Turns, bytes: usize, now: Ns) -> Option<Turn> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).clamp(1, *SHARE);
        if !self.is_shared(&sender, now) {
            return Some(Turn(sender.0.try_acquire_many_owned(units).ok()));
        }
        match timeout(limits::TURN_WAIT, sender.0.acquire_many_owned(units)).await {
            // Never closed.
            Ok(permit) => Some(Turn(permit.ok())),
            Err(_) => None,
        }
    }
}

/// A request in progress, until it is dropped.
pub struct Turn(#[expect(dead_code, reason = "dropping it lets the next one begin")] Option<OwnedSemaphorePermit>);

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    const MS: Ns = 1_000_000;

    fn is_ready(turn: impl Future<Output = Option<Turn>>) -> bool {
        pin!(turn).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_is_alone_never_waits() {
        let (sharing, flood) = (Sharing::default(), Turns::default());
        let mut turns = Vec::new();
        for n in 0..1000 {
            turns.push(sharing.turn(flood.clone(), 1 << 20, n).await.expect("it is alone"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn beside_another_sender_one_has_its_share_in_progress_and_the_other_does_not_wait() {
        let (sharing, flood, quiet) = (Sharing::default(), Turns::default(), Turns::default());
        let whole = *SHARE as usize * UNIT_BYTES;
        drop(sharing.turn(quiet.clone(), 100, 0).await);
        let first = sharing.turn(flood.clone(), whole / 2, MS).await;
        let second = sharing.turn(flood.clone(), whole / 2, MS).await;
        assert!(!is_ready(sharing.turn(flood.clone(), 1, MS)), "its share is used");
        assert!(is_ready(sharing.turn(quiet.clone(), 100, 2 * MS)));
        drop(first);
        assert!(is_ready(sharing.turn(flood.clone(), whole / 2, 3 * MS)));
        assert!(!is_ready(sharing.turn(flood.clone(), 10 * whole, 3 * MS)), "the largest waits for all others");
        drop(second);
        let largest = sharing.turn(flood.clone(), 10 * whole, 3 * MS);
        assert!(is_ready(largest));
    }

    #[tokio::test(start_paused = true)]
    async fn once_the_others_are_quiet_nobody_waits() {
        let (sharing, flood, quiet) = (Sharing::default(), Turns::default(), Turns::default());
        drop(sharing.turn(quiet.clone(), 100, 0).await);
        let _all = sharing.turn(flood.clone(), usize::MAX, MS).await;
        assert!(!is_ready(sharing.turn(flood.clone(), 1, limits::SHARE_NS)));
        assert!(is_ready(sharing.turn(flood.clone(), 1, MS + limits::SHARE_NS)));
        assert!(sharing.turn(quiet.clone(), 1, 10 * limits::SHARE_NS).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_for_long_is_told() {
        let (sharing, flood, quiet) = (Sharing::default(), Turns::default(), Turns::default());
        drop(sharing.turn(quiet.clone(), 100, 0).await);
        let _all = sharing.turn(flood.clone(), usize::MAX, MS).await;
        assert!(sharing.turn(flood.clone(), 1, MS).await.is_none());
    }
}
