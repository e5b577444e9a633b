//! Tracks the usual duration of calls by the size of their records, and detects outliers. Pure.

use std::time::Duration;

use crate::limits::{SLOW_LEAST, SLOW_TIMES};

/// Calls of a size class that are needed before detecting outliers.
const ENOUGH: usize = 32;
/// Calls of a size class that are remembered.
const REMEMBERED: usize = 256;

/// Durations by size class. Each class is twice as large as the previous one.
#[derive(Debug, Default)]
pub struct Speeds {
    classes: Vec<Vec<Duration>>,
    calls: usize,
}

/// An outlier.
#[derive(Debug, PartialEq)]
pub struct Slow {
    /// The median of its size class.
    pub usual: Duration,
    /// The minimum duration of an outlier.
    pub threshold: Duration,
}

impl Speeds {
    /// Records a call. Returns `Some` if it is an outlier compared with earlier ones.
    pub fn is_slow(&mut self, bytes: usize, elapsed: Duration) -> Option<Slow> {
        let class = bytes.max(1).ilog2() as usize;
        if self.classes.len() <= class {
            self.classes.resize(class + 1, Vec::new());
        }
        let times = &mut self.classes[class];
        let slow = (elapsed >= SLOW_LEAST && times.len() >= ENOUGH).then(|| {
            let mut sorted = times.clone();
            sorted.sort();
            let usual = sorted[sorted.len() / 2];
            Slow { usual, threshold: (usual * SLOW_TIMES).max(SLOW_LEAST) }
        });
        match times.len() < REMEMBERED {
            true => times.push(elapsed),
            false => times[self.calls % REMEMBERED] = elapsed,
        }
        self.calls += 1;
        slow.filter(|slow| elapsed >= slow.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_are_relative_to_their_size_class() {
        let (mut speeds, micro) = (Speeds::default(), Duration::from_micros(1));
        assert_eq!(speeds.is_slow(100, Duration::from_secs(1)), None, "the first may take as long as it likes");
        for n in 0..100 {
            assert_eq!(speeds.is_slow(70 + n % 50, 10 * micro), None);
            assert_eq!(speeds.is_slow(100_000, 20_000 * micro), None);
        }
        assert_eq!(speeds.is_slow(100, SLOW_LEAST - micro), None, "what is quick is never slow");
        let usual = 10 * micro;
        let expected = Slow { usual, threshold: (usual * SLOW_TIMES).max(SLOW_LEAST) };
        assert_eq!(speeds.is_slow(100, Duration::from_millis(20)), Some(expected));
        assert_eq!(speeds.is_slow(100_000, Duration::from_millis(20)), None);
    }
}
