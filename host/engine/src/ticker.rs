//! The clock behind deadlines: a thread that advances wasmtime's epoch, by which running guests notice that their
//! deadline has passed.
//!
//! It ticks only while filters are being called. After a short time without calls it sleeps until the next one, so an
//! idle Weir uses no CPU time. Invariant: while a call is in progress, the thread is awake or about to wake.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::limits::{IDLE_TICKS, TICK};

/// The ticking thread. Dropping this ends it.
pub(crate) struct Ticker {
    state: Arc<State>,
    thread: Thread,
}

#[derive(Default)]
struct State {
    /// Calls in progress.
    running: AtomicU32,
    /// Calls started so far.
    begun: AtomicU64,
    asleep: AtomicBool,
    ended: AtomicBool,
}

impl Ticker {
    pub fn start(runtime: wasmtime::Engine) -> std::io::Result<Ticker> {
        let state = Arc::new(State::default());
        let theirs = state.clone();
        let handle = thread::Builder::new()
            .name("weir-deadlines".into())
            .stack_size(64 << 10)
            .spawn(move || theirs.tick(&runtime))?;
        Ok(Ticker { state, thread: handle.thread().clone() })
    }

    /// Registers a call, which ends when the returned value is dropped.
    pub fn running(&self) -> Running<'_> {
        self.state.running.fetch_add(1, SeqCst);
        self.state.begun.fetch_add(1, SeqCst);
        if self.state.asleep.load(SeqCst) {
            self.thread.unpark();
        }
        Running(&self.state)
    }

    /// A deadline in ticks: rounded up, plus one because the current tick has partly passed.
    pub fn ticks(time: Duration) -> u64 {
        let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
        u64::try_from(ticks).unwrap_or(u64::MAX / 2).min(u64::MAX / 2) + 1
    }

    #[cfg(test)]
    fn is_asleep(&self) -> bool {
        self.state.asleep.load(SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.ended.store(true, SeqCst);
        self.thread.unpark();
    }
}

/// A call in progress.
pub(crate) struct Running<'a>(&'a State);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl State {
    fn tick(&self, runtime: &wasmtime::Engine) {
        let mut seen = 0;
        let mut idle_ticks = 0;
        let mut ticked = Instant::now();
        while !self.ended.load(SeqCst) {
            thread::sleep(TICK);
            // Advance by the time that has passed: on a busy machine a sleep takes longer than requested.
            while ticked.elapsed() >= TICK {
                ticked += TICK;
                runtime.increment_epoch();
            }
            let begun = self.begun.load(SeqCst);
            if begun != seen || self.running.load(SeqCst) > 0 {
                seen = begun;
                idle_ticks = 0;
                continue;
            }
            idle_ticks += 1;
            if idle_ticks >= IDLE_TICKS {
                self.sleep(seen);
                ticked = Instant::now();
                idle_ticks = 0;
            }
        }
    }

    /// Sleeps until a call starts. A call that started before `asleep` was set is seen here. A later one sees `asleep`
    /// and wakes the thread, even just before it parks.
    fn sleep(&self, seen: u64) {
        self.asleep.store(true, SeqCst);
        while self.begun.load(SeqCst) == seen && !self.ended.load(SeqCst) {
            thread::park();
        }
        self.asleep.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_shorter_than_asked_for() {
        assert_eq!(Ticker::ticks(TICK), 2);
        assert_eq!(Ticker::ticks(TICK + Duration::from_nanos(1)), 3);
        assert_eq!(Ticker::ticks(Duration::ZERO), 1);
        assert!(Ticker::ticks(Duration::MAX) > 1 << 40);
    }

    #[test]
    fn without_calls_the_thread_falls_asleep_and_a_call_wakes_it() {
        let ticker = Ticker::start(wasmtime::Engine::default()).unwrap();
        while !ticker.is_asleep() {
            thread::yield_now();
        }
        let running = ticker.running();
        while ticker.is_asleep() {
            thread::yield_now();
        }
        drop(running);
        while !ticker.is_asleep() {
            thread::yield_now();
        }
    }
}
