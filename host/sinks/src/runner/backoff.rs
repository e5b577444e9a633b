//! How long to wait before the next attempt: 1 s, doubling to 30 s, with jitter so that the sinks of a failed server
//! don't all retry at the same moment.

use std::time::Duration;

use crate::limits;

/// The waits in a series of failures.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait: between half of the current step and all of it.
    pub fn next_wait(&mut self) -> Duration {
        let step = limits::BACKOFF_FIRST.saturating_mul(1 << self.failures.min(16)).min(limits::BACKOFF_LAST);
        self.failures = self.failures.saturating_add(1);
        step.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    /// True during a series of failures.
    pub fn is_running(&self) -> bool {
        self.failures > 0
    }

    /// After a success: the next failure starts a new series.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_one_second_to_thirty_and_never_leave_their_step() {
        let mut backoff = Backoff::default();
        for step_s in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0] {
            let wait_s = backoff.next_wait().as_secs_f64();
            assert!((step_s / 2.0..=step_s).contains(&wait_s), "{wait_s} is outside the step of {step_s}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= limits::BACKOFF_FIRST);
    }

    #[test]
    fn sinks_that_fail_together_wait_for_different_times() {
        let waits: std::collections::HashSet<_> = (0..20).map(|_| Backoff::default().next_wait()).collect();
        assert!(waits.len() > 10);
    }
}
