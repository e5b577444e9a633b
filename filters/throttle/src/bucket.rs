//! A token bucket stored as one number.
//!
//! Instead of tokens it stores the time at which the bucket will be full again. A
//! record adds the time of one token to it, and may go on if the bucket is not
//! overdrawn by that. So no timer is needed for refilling.

use weir_guest::Level;

use crate::limits::MAX_CLOCK_STEP_NS;

/// The rate and the size of buckets, as times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    token_ns: i64,
    whole_ns: i64,
}

impl RateLimit {
    /// `rate` is at least one record in some days and `burst` at least 1, so both
    /// times fit; a bucket of more than a year counts as one year.
    pub fn new(rate: f64, burst: u32) -> Self {
        let token_ns = ((1e9 / rate) as i64).max(1);
        let year_ns = 365 * 86_400 * 1_000_000_000;
        RateLimit { token_ns, whole_ns: token_ns.saturating_mul(burst.into()).min(year_ns.max(token_ns)) }
    }
}

/// The bucket of one key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bucket {
    /// When it is full again, by the host's clock; in the past if it is.
    pub full_ns: i64,
    /// The records dropped since the last summary.
    pub held: Option<Box<DroppedRecords>>,
}

/// The dropped records of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedRecords {
    pub count: u64,
    /// When the first was dropped, by the host's clock.
    pub since_ns: i64,
    /// The timestamps of the records.
    pub first_ns: i64,
    pub last_ns: i64,
    /// The highest level.
    pub level: Level,
    pub source: String,
    /// The labels of the first record, as MessagePack.
    pub routes: Vec<u8>,
}

impl DroppedRecords {
    /// The bytes that it stores for the summary.
    pub fn carried_bytes(&self) -> usize {
        self.source.len() + self.routes.len()
    }
}

impl Bucket {
    /// Whether another record may go on now; if so, takes its token.
    pub fn take(&mut self, now_ns: i64, pace: RateLimit) -> bool {
        let mut full_ns = self.full_ns.max(now_ns);
        // A bucket this far ahead means that the clock was set back.
        if full_ns - now_ns > pace.whole_ns.saturating_add(MAX_CLOCK_STEP_NS) {
            full_ns = now_ns;
        }
        let after_ns = full_ns.saturating_add(pace.token_ns);
        let goes_on = after_ns - now_ns <= pace.whole_ns;
        self.full_ns = if goes_on { after_ns } else { full_ns };
        goes_on
    }

    /// Whether it can be removed without loss.
    pub fn is_idle(&self, now_ns: i64) -> bool {
        self.held.is_none() && self.full_ns <= now_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND_NS: i64 = 1_000_000_000;

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_what_the_rate_brings() {
        let pace = RateLimit::new(2.0, 3);
        let mut bucket = Bucket::default();
        let taken: Vec<bool> = (0..5).map(|_| bucket.take(0, pace)).collect();
        assert_eq!(taken, [true, true, true, false, false]);
        assert!(!bucket.take(SECOND_NS / 2 - 1, pace));
        assert!(bucket.take(SECOND_NS / 2, pace));
        assert!(!bucket.take(SECOND_NS / 2, pace));
        assert!(!bucket.is_idle(SECOND_NS));
        assert!(bucket.is_idle(10 * SECOND_NS));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_close_the_bucket() {
        let pace = RateLimit::new(1.0, 1);
        let mut bucket = Bucket::default();
        assert!(bucket.take(1000 * SECOND_NS, pace));
        assert!(bucket.take(500 * SECOND_NS, pace));
        assert!(!bucket.take(500 * SECOND_NS, pace));
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_the_time_brought(
            rate in 0.01..1000.0_f64,
            burst in 1..50_u32,
            steps_ms in prop::collection::vec(0..2000_i64, 1..200),
        ) {
            let pace = RateLimit::new(rate, burst);
            let mut bucket = Bucket::default();
            let (mut now_ns, mut passed) = (0, 0_u32);
            for step_ms in &steps_ms {
                now_ns += step_ms * 1_000_000;
                passed += u32::from(bucket.take(now_ns, pace));
            }
            let brought = now_ns as f64 / 1e9 * rate * (1.0 + 1e-6);
            prop_assert!(f64::from(passed) <= f64::from(burst) + brought + 1e-6, "{passed} of {brought}");
            let tried = steps_ms.len() as u32;
            prop_assert!(passed >= tried.min(burst), "{passed} of {tried}");
        }
    }
}
