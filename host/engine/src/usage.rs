//! The memory and processor time that a filter uses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::Gauge;

/// Shared counters of a filter's instances.
#[derive(Debug)]
pub(crate) struct Usage {
    memory_bytes: AtomicU64,
    instances: AtomicU64,
    busy_ns: AtomicU64,
    gauge: Gauge,
}

/// A snapshot of the resources that a filter uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceUsage {
    /// Memory of all instances in bytes.
    pub memory_bytes: u64,
    /// Number of instances.
    pub instances: u64,
    /// Total time spent in calls since it was loaded.
    pub busy: Duration,
}

impl Usage {
    pub fn new(filter: &str) -> Usage {
        Usage {
            memory_bytes: AtomicU64::new(0),
            instances: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            gauge: metrics::gauge!("weir_filter_memory_bytes", "filter" => filter.to_owned()),
        }
    }

    pub fn instance_created(&self) {
        self.instances.fetch_add(1, Ordering::Relaxed);
    }

    pub fn memory_grew(&self, bytes: usize) {
        self.memory_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.gauge.increment(bytes as f64);
    }

    /// An instance with this much memory was dropped.
    pub fn instance_dropped(&self, bytes: usize) {
        self.instances.fetch_sub(1, Ordering::Relaxed);
        self.memory_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        self.gauge.decrement(bytes as f64);
    }

    pub fn add_busy_time(&self, time: Duration) {
        self.busy_ns.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub fn usage(&self) -> ResourceUsage {
        ResourceUsage {
            memory_bytes: self.memory_bytes.load(Ordering::Relaxed),
            instances: self.instances.load(Ordering::Relaxed),
            busy: Duration::from_nanos(self.busy_ns.load(Ordering::Relaxed)),
        }
    }
}
