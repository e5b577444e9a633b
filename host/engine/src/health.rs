//! Whether a filter works, as the operator sees it, and when a filter that keeps failing is suspended.
//!
//! A filter is *failing* after several batches in a row with a failure. It is *suspended* when the search for the
//! offending records was given up several times in a row: then its records get its policy at once, without a call,
//! and after a pause one batch tries it again. Each attempt that fails doubles the pause.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::limits::{FAILING_AFTER_BATCHES, SUSPEND_AFTER_BATCHES, SUSPENSION_FIRST, SUSPENSION_LONGEST};
use crate::lock::lock;

/// The health of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It works, as far as is known.
    Ok,
    /// It failed on each of the last batches.
    Failing {
        /// How many batches in a row.
        batches: u32,
        /// Why the last one failed.
        reason: String,
    },
    /// It works, but its state is lost when it is exchanged or fails.
    Unsaved {
        /// How many times in a row it failed to save it.
        failures: u32,
        /// Why it failed the last time.
        reason: String,
    },
    /// It is not called for a while, because it failed altogether.
    Suspended {
        /// When it is tried again.
        retry_in: Duration,
        /// Why it failed last.
        reason: String,
    },
}

/// How a filter got on with a batch.
pub(crate) enum BatchResult {
    Ok,
    /// Some records failed; the rest went through.
    SomeFailed(String),
    /// The search for them was given up.
    GaveUp(String),
}

/// What is to be done with a batch.
#[derive(Debug, PartialEq)]
pub(crate) enum Admission {
    /// Call the filter.
    Call,
    /// Call it once, and don't look for the offending records if that fails.
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
            // Others are refused meanwhile.
            suspension.until = now + suspension.pause;
            return Admission::Attempt;
        }
        let seconds = (suspension.until - now).as_secs_f64().ceil();
        Admission::Refuse(format!("the filter is suspended and tried again in {seconds} s: {}", state.reason))
    }

    /// Notes how a filter got on with a batch; says whether the filter got worse or better by that.
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
    fn a_suspended_filter_is_retried_after_pauses_that_double() {
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
