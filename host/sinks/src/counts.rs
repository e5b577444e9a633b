//! Counts over time, for the histograms of databases.
//!
//! Matches are counted in one pass, in buckets whose width doubles when there are too many of them, so that the range of
//! the matches need not be known in advance. The number of keys has a limit, and so has the memory.

use std::collections::{BTreeMap, HashMap};

use weir_query::Query;
use weir_query::search::{Histogram, OTHER};

use crate::limits;

/// The range and number of buckets.
pub(crate) struct Asked {
    since: Option<i64>,
    until: Option<i64>,
    buckets: usize,
}

impl Asked {
    /// The range of the query, if it has one.
    pub fn new(query: &Query, buckets: usize) -> Asked {
        let (since, until) = query.time_range();
        Asked { since: (since > i64::MIN).then_some(since), until, buckets: buckets.max(1) }
    }

    /// The histogram of nothing.
    pub fn empty(&self) -> Histogram {
        let since_ns = self.since.or(self.until).unwrap_or_default();
        Histogram { since_ns, until_ns: self.until.unwrap_or(since_ns), bucket_ns: 1, buckets: BTreeMap::new() }
    }

    /// The range with these matches.
    pub fn range(&self, oldest: i64, newest: i64) -> (i64, i64) {
        (self.since.unwrap_or(oldest), self.until.unwrap_or(newest.saturating_add(1)))
    }

    /// The width of a bucket, a multiple of `unit`.
    pub fn width(&self, (since, until): (i64, i64), unit: i64) -> i64 {
        let range = i128::from(until) - i128::from(since);
        let step = self.buckets as i128 * i128::from(unit);
        let units = (range + step - 1).div_euclid(step);
        i64::try_from(units.max(1) * i128::from(unit)).unwrap_or(i64::MAX)
    }
}

/// Counts in buckets of a width that grows.
pub(crate) struct Counts {
    width: i64,
    /// The number of each key.
    keys: HashMap<String, usize>,
    /// By the number of the bucket, then by the number of the key.
    buckets: BTreeMap<i64, Vec<u64>>,
    oldest: i64,
    newest: i64,
}

/// The buckets of a histogram.
pub(crate) struct Buckets {
    since_ns: i64,
    width: i64,
}

impl Buckets {
    /// The number of the bucket with a time.
    pub fn of(&self, timestamp: i64) -> i128 {
        (i128::from(timestamp) - i128::from(self.since_ns)).div_euclid(i128::from(self.width))
    }
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { width: 1, keys: HashMap::new(), buckets: BTreeMap::new(), oldest: i64::MAX, newest: i64::MIN }
    }
}

impl Counts {
    /// Counts one record.
    pub fn add(&mut self, timestamp: i64, key: &str) {
        let key = self.key(key);
        self.add_several(timestamp, key, 1);
    }

    /// The number of a key, or of all those beyond the limit.
    pub fn key(&mut self, key: &str) -> usize {
        if let Some(number) = self.keys.get(key) {
            return *number;
        }
        let number = self.keys.len();
        let fits = number < limits::SEARCH_KEYS && key.len() <= limits::SEARCH_KEY_BYTES;
        let key = if fits { key } else { OTHER };
        *self.keys.entry(key.to_owned()).or_insert(number)
    }

    /// Counts records of the key with this number.
    pub fn add_several(&mut self, timestamp: i64, key: usize, count: u64) {
        self.cover(timestamp, timestamp);
        self.put(timestamp.div_euclid(self.width), key, count);
        while self.buckets.len() > limits::SEARCH_FINE_BUCKETS {
            self.double();
        }
    }

    /// Extends the range to these times.
    pub fn cover(&mut self, oldest: i64, newest: i64) {
        self.oldest = self.oldest.min(oldest);
        self.newest = self.newest.max(newest);
    }

    /// The oldest and the newest time.
    pub fn range(&self) -> (i64, i64) {
        (self.oldest, self.newest)
    }

    fn double(&mut self) {
        self.width = self.width.saturating_mul(2);
        for (bucket, counts) in std::mem::take(&mut self.buckets) {
            for (key, count) in counts.into_iter().enumerate() {
                self.put(bucket.div_euclid(2), key, count);
            }
        }
    }

    /// The buckets that [`histogram`](Counts::histogram) makes, as long as what is still added is within the range.
    pub fn buckets(&mut self, asked: &Asked) -> Buckets {
        let of = |at: i64, width| i128::from(at).div_euclid(i128::from(width));
        while of(self.newest, self.width) - of(self.oldest, self.width) >= limits::SEARCH_FINE_BUCKETS as i128 {
            self.double();
        }
        self.frame(asked)
    }

    /// Buckets begin and end where a fine bucket does.
    fn frame(&self, asked: &Asked) -> Buckets {
        let range = asked.range(self.oldest, self.newest);
        Buckets {
            since_ns: range.0.div_euclid(self.width).saturating_mul(self.width),
            width: asked.width(range, self.width),
        }
    }

    fn put(&mut self, bucket: i64, key: usize, count: u64) {
        let counts = self.buckets.entry(bucket).or_default();
        if counts.len() <= key {
            counts.resize(key + 1, 0);
        }
        counts[key] += count;
    }

    /// Joins buckets to those that were asked for.
    pub fn histogram(self, asked: &Asked) -> Histogram {
        if self.buckets.is_empty() {
            return asked.empty();
        }
        let frame = self.frame(asked);
        let Buckets { since_ns, width } = frame;
        let until_ns = asked.range(self.oldest, self.newest).1;
        let keys: BTreeMap<usize, String> = self.keys.into_iter().map(|(key, number)| (number, key)).collect();
        let mut buckets: BTreeMap<i64, BTreeMap<String, u64>> = BTreeMap::new();
        for (bucket, counts) in self.buckets {
            let at = bucket.saturating_mul(self.width);
            let start = i128::from(since_ns) + frame.of(at) * i128::from(width);
            let start = i64::try_from(start).unwrap_or(i64::MIN);
            for (key, count) in keys.values().zip(counts).filter(|(_, count)| *count > 0) {
                *buckets.entry(start).or_default().entry(key.clone()).or_default() += count;
            }
        }
        Histogram { since_ns, until_ns, bucket_ns: width, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_sources_the_last_are_counted_together() {
        let mut counts = Counts::default();
        let sources = 0..limits::SEARCH_KEYS + 50;
        for n in sources.clone().chain(sources) {
            counts.add(n as i64, &format!("source {n}"));
        }
        counts.add(7, &"long".repeat(limits::SEARCH_KEY_BYTES));
        let histogram = counts.histogram(&Asked::new(&Query::parse("", None).expect("a query"), 10));
        let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
        for (key, count) in histogram.buckets.values().flatten() {
            *totals.entry(key).or_default() += count;
        }
        assert_eq!(totals.remove(OTHER), Some(101));
        assert_eq!(totals.len(), limits::SEARCH_KEYS);
        assert!(totals.values().all(|count| *count == 2), "{totals:?}");
    }
}
