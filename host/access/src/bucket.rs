//! A token bucket without a timer: one number, the time at which it will be full again.
//!
//! Units are taken as long as the bucket has one, and the last taker may take more than is left. The bucket then has to
//! refill first. So a batch of any size gets through in the end, and the average never exceeds the rate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const NS: u128 = 1_000_000_000;

/// Time since some fixed moment, in nanoseconds.
pub type Ns = u64;

/// A rate, and how much of it may be used at once.
#[derive(Clone, Copy)]
pub struct Rate {
    pub per_second: u64,
    /// As the time in which it accrues.
    pub burst: Duration,
}

/// A bucket, full at first.
#[derive(Default)]
pub struct Bucket {
    full_at: AtomicU64,
}

impl Bucket {
    /// Whether it is full.
    pub fn is_full(&self, now: Ns) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now
    }

    /// Whether a unit is left, or the time until then.
    pub fn check(&self, rate: Rate, now: Ns) -> Result<(), Duration> {
        refuse_if_empty(self.full_at.load(Ordering::Relaxed), rate, now)
    }

    /// Takes units if one is left. Otherwise returns the time until then.
    pub fn take(&self, units: u64, rate: Rate, now: Ns) -> Result<(), Duration> {
        let cost = u128::from(units) * NS / u128::from(rate.per_second.max(1));
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let mut before = self.full_at.load(Ordering::Relaxed);
        loop {
            refuse_if_empty(before, rate, now)?;
            let after = before.max(now).saturating_add(cost);
            match self.full_at.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(changed) => before = changed,
            }
        }
    }
}

fn refuse_if_empty(full_at: Ns, rate: Rate, now: Ns) -> Result<(), Duration> {
    let unit = (NS / u128::from(rate.per_second.max(1))) as u64;
    // It holds at least one unit.
    let size = u64::try_from(rate.burst.as_nanos()).unwrap_or(u64::MAX).max(unit);
    let needed = full_at.saturating_sub(now).saturating_add(unit);
    if needed <= size { Ok(()) } else { Err(Duration::from_nanos(needed - size)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Ns = 1_000_000_000;

    fn rate(per_second: u64, burst_s: u64) -> Rate {
        Rate { per_second, burst: Duration::from_secs(burst_s) }
    }

    /// How many single units can be taken at a time.
    fn taken(bucket: &Bucket, rate: Rate, now: Ns) -> u64 {
        let mut taken = 0;
        while bucket.take(1, rate, now).is_ok() {
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_burst_is_taken_at_once_and_then_only_the_rate() {
        let (bucket, rate) = (Bucket::default(), rate(10, 3));
        assert!(bucket.is_full(0));
        assert_eq!(taken(&bucket, rate, SECOND), 30);
        assert!(!bucket.is_full(SECOND));
        for second in 2..100 {
            assert_eq!(taken(&bucket, rate, second * SECOND), 10, "{second}");
        }
        assert_eq!(taken(&bucket, rate, 1000 * SECOND), 30, "it never holds more than a burst");
    }

    #[test]
    fn who_waits_as_long_as_it_is_told_is_admitted_and_not_before() {
        let (bucket, rate) = (Bucket::default(), rate(7, 1));
        taken(&bucket, rate, 5);
        let wait = bucket.check(rate, 5).expect_err("it is empty");
        let then = 5 + u64::try_from(wait.as_nanos()).expect("short");
        assert!(bucket.take(1, rate, then - 1).is_err());
        assert_eq!(bucket.take(1, rate, then), Ok(()));
    }

    #[test]
    fn a_large_batch_gets_through_and_is_paid_off_before_the_next() {
        let (bucket, rate) = (Bucket::default(), rate(100, 1));
        assert_eq!(bucket.take(1000, rate, 0), Ok(()), "ten seconds' worth");
        let wait = bucket.take(1, rate, 0).expect_err("it has to be paid off");
        assert_eq!(wait.as_secs(), 9);
        assert!(bucket.take(1, rate, 9 * SECOND).is_err());
        assert_eq!(bucket.take(1000, rate, 9 * SECOND + SECOND / 100), Ok(()));
    }

    #[test]
    fn a_burst_shorter_than_one_unit_is_one_unit() {
        let (bucket, rate) = (Bucket::default(), Rate { per_second: 1, burst: Duration::from_millis(100) });
        assert_eq!(taken(&bucket, rate, 0), 1);
        assert_eq!(taken(&bucket, rate, SECOND - 1), 0);
        assert_eq!(taken(&bucket, rate, SECOND), 1);
    }

    #[test]
    fn a_changed_rate_applies_to_what_is_taken_next() {
        let bucket = Bucket::default();
        assert_eq!(taken(&bucket, rate(10, 1), 0), 10);
        assert_eq!(taken(&bucket, rate(1000, 1), SECOND / 2), 500);
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let bucket = Bucket::default();
        assert_eq!(bucket.take(u64::MAX, rate(0, 1), u64::MAX / 2), Ok(()));
        assert!(bucket.take(1, rate(1, 1), u64::MAX / 2).is_err());
    }
}
