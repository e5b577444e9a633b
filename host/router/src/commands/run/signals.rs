//! SIGINT and SIGTERM.
//!
//! Process managers send the same signal twice within milliseconds, once to the process and once to its group, and
//! people press Ctrl-C repeatedly. Repeats within a second of the first signal are therefore ignored; a later one means
//! to stop immediately.

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::limits;

/// SIGINT and SIGTERM, which have the same meaning.
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    /// When the first signal arrived.
    asked: Option<Instant>,
}

impl StopSignals {
    /// Installs handlers for both signals.
    pub fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())?, asked: None })
    }

    /// Waits for the first signal.
    pub async fn stop(&mut self) {
        self.any().await;
        self.asked = Some(Instant::now());
    }

    /// Waits for another signal after [`stop`](Self::stop).
    pub async fn stop_at_once(&mut self) {
        loop {
            self.any().await;
            if self.asked.is_none_or(|asked| !is_repeat(asked.elapsed())) {
                return;
            }
        }
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Whether a signal this long after the first is a repeat.
fn is_repeat(after: Duration) -> bool {
    after < limits::SIGNAL_REPEAT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_within_a_second_are_repeats() {
        assert!(is_repeat(Duration::from_millis(2)));
        assert!(is_repeat(Duration::from_millis(999)));
        assert!(!is_repeat(Duration::from_secs(1)));
    }
}
