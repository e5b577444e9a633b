//! The counters and log lines of a filter under test, and its clock, which a test can set.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use weir_record::Level;

use crate::limits::{MAX_COUNTER_NAME_BYTES, MAX_COUNTERS, MAX_LOG_LINE_BYTES, MAX_TRIAL_LINES};
use crate::lock::lock;

/// The clock of a filter under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The time of day.
    Real,
    /// Nanoseconds since 1970 UTC, moved by [`TestInstance::advance`](crate::TestInstance::advance) alone.
    Set(i64),
}

/// Collects what a filter under test counts and logs, and provides its clock.
pub(crate) struct Recorder {
    clock_ns: Option<AtomicI64>,
    started_ns: i64,
    recorded: Mutex<Recorded>,
}

#[derive(Default)]
struct Recorded {
    counters: BTreeMap<String, u64>,
    lines: Vec<(Level, String)>,
}

impl Recorder {
    pub fn new(clock: Clock) -> Recorder {
        let (clock_ns, started_ns) = match clock {
            Clock::Real => (None, weir_record::time::now_ns()),
            Clock::Set(ns) => (Some(AtomicI64::new(ns)), ns),
        };
        Recorder { clock_ns, started_ns, recorded: Mutex::default() }
    }

    pub fn now_ns(&self) -> i64 {
        match &self.clock_ns {
            Some(clock) => clock.load(Ordering::Relaxed),
            None => weir_record::time::now_ns(),
        }
    }

    /// The counters by name.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        lock(&self.recorded).counters.clone()
    }

    /// The first log lines, up to a limit.
    pub fn lines(&self) -> Vec<(Level, String)> {
        lock(&self.recorded).lines.clone()
    }

    /// Milliseconds since the start of the test.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from((self.now_ns() - self.started_ns) / 1_000_000).unwrap_or(0)
    }

    pub fn advance(&self, by: Duration) {
        if let Some(clock) = &self.clock_ns {
            clock.fetch_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }

    pub fn count(&self, name: &str, delta: u64) {
        let counters = &mut lock(&self.recorded).counters;
        if let Some(count) = counters.get_mut(name) {
            *count = count.saturating_add(delta);
        } else if counters.len() < MAX_COUNTERS && name.len() <= MAX_COUNTER_NAME_BYTES {
            counters.insert(name.to_owned(), delta);
        }
    }

    pub fn log(&self, level: Level, message: &str) {
        let lines = &mut lock(&self.recorded).lines;
        if lines.len() < MAX_TRIAL_LINES {
            lines.push((level, message[..message.floor_char_boundary(MAX_LOG_LINE_BYTES)].to_owned()));
        }
    }
}
