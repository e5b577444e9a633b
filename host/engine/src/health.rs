//! The health of a filter as operators see it, and the suspension of filters that keep failing.
//!
//! A filter is *failing* after several consecutive batches with a failure. It is *suspended* after the search for the
//! offending records was given up several times in a row. While it is suspended, its error policy applies to all
//! records without a call. After a pause, one batch is used as an attempt; each failed attempt doubles the pause.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::limits::{FAILING_AFTER_BATCHES, SUSPEND_AFTER_BATCHES, SUSPENSION_FIRST, SUSPENSION_LONGEST};
use crate::lock::lock;

/// The health of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// No known problem.
    Ok,
    /// It failed on each of the most recent batches.
    Failing {
        /// How many consecutive batches.
        batches: u32,
        /// Why it failed last.
        reason: String,
    },
    /// It works, but its state can't be saved and is lost when the instance fails or is replaced.
    Unsaved {
        /// Consecutive failures to save the state.
        failures: u32,
        /// Why it failed last.
        reason: String,
    },
    /// It is not called for now, because it failed on whole batches.
    Suspended {
        /// Time until the next attempt.
        retry_in: Duration,
        /// Why it failed last.
        reason: String,
    },
}

/// The result of running a filter on a batch.
pub(crate) enum BatchResult {
    Ok,
    /// Some records failed; the rest went through.
    SomeFailed(String),
    /// The search for the failing records was given up.
    GaveUp(String),
    /// Not a batch but a tick failed, which says nothing about the next batch.
    TickFailed(String),
}

/// What to do with a batch.
#[derive(Debug, PartialEq)]
pub(crate) enum Admission {
    /// Call the filter.
    Call,
    /// Call it once, and don't search for the offending records if that fails.
    Attempt,
    /// Don't call it, for this reason.
    Refuse(String),
}

/// A filter's recent failures.
#[derive(Default)]
pub(crate) struct Failures(Mutex<State>);

#[derive(Default)]
struct State {
    failed_batches: u32,
    gave_up_batches: u32,
    reason: String,
    suspended: Option<Suspension>,
}

struct Suspension {
    until: Instant,
    pause: Duration,
}

impl Failures {
    pub fn admit(&self, now: Instant) -> Admission {
        let mut state = lock(&self.0);
        let Some(suspension) = &mut state.suspended else { return Admission::Call };
        if now >= suspension.until {
            // Other batches are refused meanwhile.
            suspension.until = now + suspension.pause;
            return Admission::Attempt;
        }
        let seconds = (suspension.until - now).as_secs_f64().ceil();
        Admission::Refuse(format!("the filter is suspended, next attempt in {seconds} s: {}", state.reason))
    }

    /// Records the result of a batch. Returns the new health if it changed.
    pub fn note(&self, result: BatchResult, now: Instant) -> Option<Health> {
        let mut state = lock(&self.0);
        let before = state.stage();
        match result {
            BatchResult::Ok => {
                if state.failed_batches > 0 {
                    *state = State::default();
                }
            }
            BatchResult::SomeFailed(reason) => {
                state.failed_batches += 1;
                state.gave_up_batches = 0;
                state.suspended = None;
                state.reason = reason;
            }
            BatchResult::TickFailed(reason) => {
                state.failed_batches += 1;
                state.reason = reason;
            }
            BatchResult::GaveUp(reason) => {
                state.failed_batches += 1;
                state.gave_up_batches += 1;
                state.reason = reason;
                state.suspend(now);
            }
        }
        (state.stage() != before).then(|| state.health(now))
    }

    pub fn health(&self, now: Instant) -> Health {
        lock(&self.0).health(now)
    }
}

impl State {
    fn suspend(&mut self, now: Instant) {
        let pause = match &self.suspended {
            Some(suspension) => (suspension.pause * 2).min(SUSPENSION_LONGEST),
            None if self.gave_up_batches >= SUSPEND_AFTER_BATCHES => SUSPENSION_FIRST,
            None => return,
        };
        self.suspended = Some(Suspension { until: now + pause, pause });
    }

    fn stage(&self) -> u8 {
        match (&self.suspended, self.failed_batches) {
            (Some(_), _) => 2,
            (None, FAILING_AFTER_BATCHES..) => 1,
            _ => 0,
        }
    }

    fn health(&self, now: Instant) -> Health {
        let reason = self.reason.clone();
        match (&self.suspended, self.failed_batches) {
            (Some(it), _) => Health::Suspended { retry_in: it.until.saturating_duration_since(now), reason },
            (None, batches @ FAILING_AFTER_BATCHES..) => Health::Failing { batches, reason },
            _ => Health::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gave_up() -> BatchResult {
        BatchResult::GaveUp("it loops".into())
    }

    #[test]
    fn a_filter_is_failing_after_several_failed_batches_until_one_succeeds() {
        let (failures, now) = (Failures::default(), Instant::now());
        for _ in 1..FAILING_AFTER_BATCHES {
            assert_eq!(failures.note(BatchResult::SomeFailed("x".into()), now), None);
        }
        let failing = Health::Failing { batches: FAILING_AFTER_BATCHES, reason: "x".into() };
        assert_eq!(failures.note(BatchResult::SomeFailed("x".into()), now), Some(failing));
        assert_eq!(failures.admit(now), Admission::Call, "lone bad records never suspend a filter");
        assert_eq!(failures.note(BatchResult::Ok, now), Some(Health::Ok));
    }

    #[test]
    fn a_failing_tick_ends_no_suspension() {
        let (failures, now) = (Failures::default(), Instant::now());
        let tick_failed = || BatchResult::TickFailed("its tick traps".into());
        for _ in 0..SUSPEND_AFTER_BATCHES {
            assert_eq!(failures.admit(now), Admission::Call);
            failures.note(gave_up(), now);
            failures.note(tick_failed(), now);
        }
        assert!(matches!(failures.admit(now), Admission::Refuse(_)));
    }

    #[test]
    fn pauses_between_attempts_double_while_a_filter_is_suspended() {
        let (failures, mut now) = (Failures::default(), Instant::now());
        for _ in 0..SUSPEND_AFTER_BATCHES {
            assert_eq!(failures.admit(now), Admission::Call);
            failures.note(gave_up(), now);
        }
        let mut pause = SUSPENSION_FIRST;
        for _ in 0..10 {
            assert!(matches!(failures.admit(now), Admission::Refuse(why) if why.contains("it loops")));
            now += pause;
            assert_eq!(failures.admit(now), Admission::Attempt);
            assert!(matches!(failures.admit(now), Admission::Refuse(_)), "one attempt at a time");
            failures.note(gave_up(), now);
            pause = (pause * 2).min(SUSPENSION_LONGEST);
        }
        assert_eq!(pause, SUSPENSION_LONGEST);
        now += pause;
        assert_eq!(failures.admit(now), Admission::Attempt);
        assert_eq!(failures.note(BatchResult::Ok, now), Some(Health::Ok));
        assert_eq!(failures.admit(now), Admission::Call);
    }
}
