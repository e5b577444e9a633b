//! Decides when the state of a filter is saved: once a second, with its tick. Batches wait meanwhile, so the pause
//! before the next attempt doubles after each failure. A filter that can't save its state then costs almost no
//! throughput.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::health::Health;
use crate::limits::{FAILING_AFTER_SAVES, SAVE_PAUSE_FIRST, SAVE_PAUSE_LONGEST};
use crate::lock::lock;

/// The results of saving a filter's state.
#[derive(Default)]
pub(crate) struct Saving(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    reason: String,
    pause_until: Option<Instant>,
}

impl Saving {
    /// Whether to save the state now.
    pub fn is_due(&self, now: Instant) -> bool {
        lock(&self.0).pause_until.is_none_or(|until| now >= until)
    }

    /// Records a success.
    pub fn succeeded(&self) {
        let mut state = lock(&self.0);
        if state.failures > 0 {
            *state = State::default();
        }
    }

    /// Records a failure. Returns the pause before the next attempt.
    pub fn failed(&self, reason: &str, now: Instant) -> Duration {
        let mut state = lock(&self.0);
        state.failures += 1;
        reason.clone_into(&mut state.reason);
        let times = 1 << (state.failures - 1).min(16);
        let pause = SAVE_PAUSE_FIRST.saturating_mul(times).min(SAVE_PAUSE_LONGEST);
        state.pause_until = Some(now + pause);
        pause
    }

    /// The health, which is bad after several failures in a row.
    pub fn health(&self) -> Health {
        let state = lock(&self.0);
        match state.failures {
            failures @ FAILING_AFTER_SAVES.. => Health::Unsaved { failures, reason: state.reason.clone() },
            _ => Health::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_attempts_to_save_doubles_after_each_failure() {
        let (saving, mut now) = (Saving::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert!(saving.is_due(now));
            let pause = saving.failed("it never ends", now);
            assert!(!saving.is_due(now + pause / 2));
            now += pause;
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert!(matches!(saving.health(), Health::Unsaved { failures: 9, reason } if reason == "it never ends"));
        saving.succeeded();
        assert_eq!((saving.is_due(now), saving.health()), (true, Health::Ok));
    }
}
