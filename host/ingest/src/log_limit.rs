//! Keeps what clients do from filling Weir's own log: one line of a kind in a while, with the number of those left out.

use std::sync::Mutex;

use tokio::time::Instant;

use crate::limits;

/// What may be logged of one kind of event.
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
    /// Whether a line may be written now; then with the number of those left out since the last one.
    pub(crate) fn line(&self) -> Option<u64> {
        // Two plain values can't be left half changed by a panic.
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
    async fn one_line_in_a_while_counts_those_left_out() {
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
