//! The signals that ask a router to stop.
//!
//! Process managers send the same one twice within milliseconds, once to the process and once to its group, and people
//! press Ctrl-C more than once. So repeats within a second of the first are one request; a later one means: at once.

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::limits;

/// SIGINT and SIGTERM, which mean the same.
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    /// When the first came.
    asked: Option<Instant>,
}

impl StopSignals {
    /// Takes both signals over from the system, whose answer is to end the process.
    pub fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())?, asked: None })
    }

    /// Waits until a stop is asked for.
    pub async fn stop(&mut self) {
        self.any().await;
        self.asked = Some(Instant::now());
    }

    /// Waits, after [`stop`](Self::stop), until it is asked for once more.
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

/// Whether a signal so long after the first belongs to it.
fn is_repeat(after: Duration) -> bool {
    after < limits::SIGNAL_REPEAT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_within_a_second_are_one_and_a_later_one_is_another() {
        assert!(is_repeat(Duration::from_millis(2)));
        assert!(is_repeat(Duration::from_millis(999)));
        assert!(!is_repeat(Duration::from_secs(1)));
    }
}
