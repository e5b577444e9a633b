//! Keeps clients from flooding Weir's log: one line of a kind per interval, with the number of lines left out.

use std::sync::Mutex;

use tokio::time::Instant;

use crate::limits;

/// Rate limit for log lines of one kind.
#[derive(Default)]
pub(crate) struct LogLimit {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: Option<Instant>,
    left_out: u64,
}

impl LogLimit {
    /// Returns `Some` if a line may be logged now. The number is how many were left out since the last one.
    pub(crate) fn line(&self) -> Option<u64> {
        // A panic can't leave two plain values inconsistent.
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        if state.last.is_some_and(|last| now - last < limits::LOG_INTERVAL) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_are_rate_limited_and_report_how_many_were_left_out() {
        let limit = LogLimit::default();
        assert_eq!(limit.line(), Some(0));
        for _ in 0..5 {
            assert_eq!(limit.line(), None);
        }
        tokio::time::advance(limits::LOG_INTERVAL).await;
        assert_eq!(limit.line(), Some(5));
        assert_eq!(limit.line(), None);
    }
}
