//! State shared by all instances and versions of a filter: its key-value store, its share of Weir's log, and its
//! counters. It exists as long as any version of the filter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use metrics::Counter;
use weir_record::Level;
use weir_record::escape::escaped;

use crate::credit::Credit;
use crate::kv::Kv;
use crate::limits::{MAX_COUNTER_NAME_BYTES, MAX_COUNTERS, MAX_LOG_LINE_BYTES, MAX_LOG_LINES};
use crate::lock::lock;
use crate::recorder::Recorder;

/// State shared by a filter's instances.
pub(crate) struct FilterContext {
    pub filter: Arc<str>,
    started: Instant,
    kv: Mutex<Kv>,
    log: Mutex<LogShare>,
    counters: Mutex<Counters>,
    /// What it may emit at its ticks.
    pub credit: Credit,
    /// Discard log lines and counters: the filter is only being tried.
    silent: bool,
    /// In a test, records log lines and counters, and provides the time.
    pub recorder: Option<Arc<Recorder>>,
}

#[derive(Default)]
struct Counters {
    by_name: HashMap<String, Counter>,
    reported: bool,
}

impl FilterContext {
    pub fn new(filter: &str) -> Arc<FilterContext> {
        Arc::new(Self::with(filter, false))
    }

    /// For trying a filter: an empty store, and log lines and counters are discarded.
    pub fn for_trial(filter: &str) -> Arc<FilterContext> {
        Arc::new(Self::with(filter, true))
    }

    /// For testing a filter: an empty store, and a recorder.
    pub fn for_test(filter: &str, recorder: Arc<Recorder>) -> Arc<FilterContext> {
        Arc::new(FilterContext { recorder: Some(recorder), ..Self::with(filter, true) })
    }

    fn with(filter: &str, silent: bool) -> FilterContext {
        let started = Instant::now();
        FilterContext {
            filter: filter.into(),
            started,
            kv: Mutex::default(),
            log: Mutex::new(LogShare::new()),
            counters: Mutex::default(),
            credit: Credit::default(),
            silent,
            recorder: None,
        }
    }

    /// The filter's current time.
    pub fn now_ns(&self) -> i64 {
        self.recorder.as_ref().map_or_else(weir_record::time::now_ns, |recorder| recorder.now_ns())
    }

    /// The store, and the time on its clock.
    pub fn kv(&self) -> (MutexGuard<'_, Kv>, u64) {
        let now_ms = match &self.recorder {
            Some(recorder) => recorder.elapsed_ms(),
            None => u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        (lock(&self.kv), now_ms)
    }

    /// Writes a line to Weir's log, up to the limit per second.
    pub fn log(&self, level: Level, message: &str) {
        if let Some(recorder) = &self.recorder {
            recorder.log(level, message);
        }
        if self.silent {
            return;
        }
        let Some(left_out) = lock(&self.log).take(self.started.elapsed()) else { return };
        if left_out > 0 {
            tracing::warn!(filter = %self.filter, "{left_out} log lines of the filter were dropped");
        }
        // One call is one line, so a filter can't forge a line of Weir's.
        let message = escaped(&message[..message.floor_char_boundary(MAX_LOG_LINE_BYTES)]);
        match level {
            Level::Trace => tracing::trace!(filter = %self.filter, "{message}"),
            Level::Debug => tracing::debug!(filter = %self.filter, "{message}"),
            Level::Info => tracing::info!(filter = %self.filter, "{message}"),
            Level::Warning => tracing::warn!(filter = %self.filter, "{message}"),
            Level::Error | Level::Critical => tracing::error!(filter = %self.filter, "{message}"),
        }
    }

    /// Adds to one of the filter's own counters.
    pub fn count(&self, name: &str, delta: u64) {
        if let Some(recorder) = &self.recorder {
            recorder.count(name, delta);
        }
        if self.silent {
            return;
        }
        let mut counters = lock(&self.counters);
        if let Some(counter) = counters.by_name.get(name) {
            counter.increment(delta);
        } else if counters.by_name.len() < MAX_COUNTERS && name.len() <= MAX_COUNTER_NAME_BYTES {
            let labels = [("filter", self.filter.to_string()), ("counter", name.to_owned())];
            let counter = metrics::counter!("weir_filter_custom_total", &labels);
            counter.increment(delta);
            counters.by_name.insert(name.into(), counter);
        } else if !counters.reported {
            counters.reported = true;
            drop(counters);
            tracing::warn!(
                filter = %self.filter,
                "the filter uses more than {MAX_COUNTERS} counters or a name longer than {MAX_COUNTER_NAME_BYTES} \
                 bytes: these are ignored"
            );
        }
    }
}

/// How many lines may still be logged in the current second.
struct LogShare {
    second: u64,
    written: u32,
    left_out: u64,
}

impl LogShare {
    fn new() -> Self {
        Self { second: 0, written: 0, left_out: 0 }
    }

    /// Returns `Some` if a line may be written. The number is how many were dropped in the previous second.
    fn take(&mut self, since_start: Duration) -> Option<u64> {
        if since_start.as_secs() != self.second {
            self.second = since_start.as_secs();
            self.written = 0;
        }
        if self.written >= MAX_LOG_LINES {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_beyond_the_limit_per_second_are_dropped_and_counted() {
        let mut share = LogShare::new();
        let first = Duration::from_millis(100);
        for _ in 0..MAX_LOG_LINES {
            assert_eq!(share.take(first), Some(0));
        }
        assert_eq!(share.take(first), None);
        assert_eq!(share.take(first), None);
        assert_eq!(share.take(Duration::from_millis(1100)), Some(2));
        assert_eq!(share.take(Duration::from_millis(1100)), Some(0));
    }

    #[test]
    fn a_filter_has_a_bounded_number_of_counters() {
        let context = FilterContext::new("f");
        for i in 0..2 * MAX_COUNTERS {
            context.count(&format!("c{i}"), 1);
        }
        context.count(&"x".repeat(MAX_COUNTER_NAME_BYTES + 1), 1);
        assert_eq!(lock(&context.counters).by_name.len(), MAX_COUNTERS);
    }
}
