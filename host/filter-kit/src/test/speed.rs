//! How long calls usually take, by the size of their records, and which one stands out. Pure.

use std::time::Duration;

use crate::limits::{SLOW_LEAST, SLOW_TIMES};

/// Calls of a size class that must be known before one can stand out.
const ENOUGH: usize = 32;
/// Calls of a size class that are remembered.
const REMEMBERED: usize = 256;

/// Times by size class: each class is twice as large as the one before.
#[derive(Debug, Default)]
pub struct Speeds {
    classes: Vec<Vec<Duration>>,
    calls: usize,
}

/// A call that stands out.
#[derive(Debug, PartialEq)]
pub struct Slow {
    /// The median of its size class.
    pub usual: Duration,
    /// What it took at least, to stand out.
    pub threshold: Duration,
}

impl Speeds {
    /// Enters a call; says whether it stands out among those before.
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
    fn a_call_stands_out_among_those_of_its_size_only() {
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
