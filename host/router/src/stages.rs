//! Supervises threads. If one ends unexpectedly, this is logged, the router becomes unready, and the thread is
//! restarted after a pause.
//!
//! The pipeline's threads run in [`Stages::spawn`]. [`watch`] supervises the rest: threads of sinks are restarted by
//! [`SinkSet`], and if the journal ends, which can't be restarted, the router flushes everything else and stops.
//!
//! Invariant: a stage that isn't running is listed in [`Stages::down`] or reported by its sink.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use metrics::counter;
use weir_journal::Journal;

use crate::limits;
use crate::listeners::Listeners;
use crate::sink_set::SinkSet;
use crate::wiring::lock;

/// The supervised threads. Clones share their state.
#[derive(Clone, Default)]
pub struct Stages {
    /// Threads that aren't running, and why.
    down: Arc<Mutex<BTreeMap<String, String>>>,
    #[cfg(test)]
    doomed: Arc<Mutex<Vec<String>>>,
}

impl Stages {
    /// Runs `body` on a new thread, and restarts it if it ends before `closing` is set.
    pub fn spawn(
        &self,
        name: String,
        closing: Arc<AtomicBool>,
        body: impl Fn() + Send + 'static,
    ) -> std::io::Result<JoinHandle<()>> {
        let stages = self.clone();
        let stage = name.clone();
        thread::Builder::new().name(name).spawn(move || stages.run(&stage, &closing, body))
    }

    /// Threads that aren't running, one line each.
    pub fn down(&self) -> Vec<String> {
        lock(&self.down).iter().map(|(stage, what)| format!("thread `{stage}` {what}")).collect()
    }

    fn run(&self, stage: &str, closing: &AtomicBool, body: impl Fn()) {
        let mut pauses = Pauses::new(Instant::now());
        loop {
            // Each run starts afresh. Only shared state survives a panic, and its locks tolerate that.
            let ended = catch_unwind(AssertUnwindSafe(&body));
            if closing.load(Ordering::Acquire) {
                return;
            }
            let pause = pauses.next(Instant::now());
            let how = if ended.is_err() { "panicked" } else { "ended" };
            lock(&self.down).insert(stage.to_owned(), format!("{how} and restarts in {pause:?}"));
            tracing::error!("thread `{stage}` {how} unexpectedly; restarting in {pause:?}");
            counter!("weir_thread_restarts_total", "thread" => stage.to_owned()).increment(1);
            let until = Instant::now() + pause;
            // Also unparked by a stop.
            while Instant::now() < until && !closing.load(Ordering::Acquire) {
                thread::park_timeout(until.saturating_duration_since(Instant::now()));
            }
            lock(&self.down).remove(stage);
        }
    }

    /// Makes the thread panic at its next call of [`may_panic`](Self::may_panic).
    #[cfg(test)]
    pub fn panic_next(&self, stage: &str) {
        lock(&self.doomed).push(stage.to_owned());
    }

    /// Panics if a test requested it.
    #[cfg(test)]
    pub fn may_panic(&self) {
        let mut doomed = lock(&self.doomed);
        let here = doomed.iter().position(|stage| thread::current().name() == Some(stage));
        if let Some(here) = here {
            doomed.remove(here);
            drop(doomed);
            panic!("on purpose");
        }
    }
}

/// Restart pauses, which double as long as the thread ends again soon.
pub struct Pauses {
    next: Duration,
    /// Time of the last start.
    since: Instant,
}

impl Pauses {
    /// Creates the pauses for a thread started at this time.
    pub fn new(now: Instant) -> Self {
        Self { next: limits::RESTART_FIRST, since: now }
    }

    /// The pause after the thread ended.
    pub fn next(&mut self, now: Instant) -> Duration {
        if now.saturating_duration_since(self.since) >= limits::RESTART_CALM {
            self.next = limits::RESTART_FIRST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(limits::RESTART_LAST);
        self.since = now + pause;
        pause
    }
}

/// Supervises sinks, listeners and journal while the router runs; returns the reason if it can't continue.
pub async fn watch(
    sink_set: Arc<tokio::sync::Mutex<SinkSet>>,
    listeners: Arc<tokio::sync::Mutex<Listeners>>,
    journal: Journal,
) -> anyhow::Error {
    loop {
        tokio::time::sleep(limits::WATCH).await;
        listeners.lock().await.restart_ended().await;
        if journal.has_ended() {
            let reason = journal.stats().poisoned.unwrap_or_else(|| "its writer thread ended".to_owned());
            return anyhow::anyhow!("the journal has stopped: {reason}");
        }
        sink_set.lock().await.restart_panicked().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_thread_that_panics_or_returns_is_down_until_it_is_restarted() {
        let stages = Stages::default();
        let closing = Arc::new(AtomicBool::new(false));
        let (rounds, seen, stop) = (Arc::new(AtomicUsize::new(0)), stages.clone(), closing.clone());
        let round = rounds.clone();
        let thread = stages
            .spawn("weir-test".into(), closing, move || match round.fetch_add(1, Ordering::SeqCst) {
                0 => panic!("on purpose"),
                1 => {}
                _ => {
                    assert_eq!(seen.down(), Vec::<String>::new(), "it runs");
                    stop.store(true, Ordering::Release);
                }
            })
            .unwrap();
        let mut said = Vec::new();
        while !thread.is_finished() {
            said.extend(stages.down());
            thread::yield_now();
        }
        thread.join().unwrap();
        assert_eq!(rounds.load(Ordering::SeqCst), 3);
        assert!(said.iter().any(|line| line.contains("`weir-test` panicked")), "{said:?}");
        assert!(said.iter().any(|line| line.contains("`weir-test` ended")), "{said:?}");
        assert!(stages.down().is_empty());
    }

    #[test]
    fn a_thread_that_panics_during_a_stop_is_not_restarted() {
        let closing = Arc::new(AtomicBool::new(true));
        let thread = Stages::default().spawn("weir-test".into(), closing, || panic!("on purpose")).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_are_reset_after_a_calm_period() {
        let mut now = Instant::now();
        let mut pauses = Pauses::new(now);
        let mut expected = limits::RESTART_FIRST;
        for _ in 0..20 {
            assert_eq!(pauses.next(now), expected);
            now += expected;
            expected = (expected * 2).min(limits::RESTART_LAST);
        }
        now += limits::RESTART_CALM;
        assert_eq!(pauses.next(now), limits::RESTART_FIRST);
    }
}
