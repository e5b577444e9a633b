//! Every bound of the configuration, with its unit and reason. Nothing else in `config` holds a number
//! that an operator could run into.

use std::ops::RangeInclusive;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Characters of a name: it becomes a metric label and part of file names.
pub const MAX_NAME_CHARS: usize = 64;
/// Filters in the chain: each holds memory in every worker.
pub const MAX_FILTERS: usize = 64;
/// Paths that a filter may see, or change: more is a list that nobody reads.
pub const MAX_FILTER_PATHS: usize = 256;
/// Sinks: each holds a reader over the journal and a task.
pub const MAX_SINKS: usize = 64;
/// `sink.fallback_after`: shorter and every hiccup fills the fallback, longer and it is none.
pub const FALLBACK_AFTER: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);

/// `http.max_body`, bytes: below, ordinary batches would be refused; above, one request fills the memory.
pub const BODY_BYTES: RangeInclusive<u64> = KIB..=GIB;
/// `http.max_decompressed`, bytes: as for the body.
pub const DECOMPRESSED_BYTES: RangeInclusive<u64> = KIB..=4 * GIB;
/// `http.max_in_flight`, bytes: what all requests together may hold in memory.
pub const IN_FLIGHT_BYTES: RangeInclusive<u64> = KIB..=64 * GIB;
/// `http.allowed_hosts`: a machine has a few names.
pub const MAX_ALLOWED_HOSTS: usize = weir_ingest::limits::MAX_ALLOWED_HOSTS;
/// `http.header_timeout` and `http.body_timeout`: shorter cuts honest senders off, longer keeps dead ones.
pub const HTTP_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);
/// `journal.sync` as an interval: what a crash may cost at most.
pub const SYNC_INTERVAL: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);
/// `journal.segment_size`, bytes: smaller means a file every few batches, larger keeps disk space too long.
pub const SEGMENT_BYTES: RangeInclusive<u64> = 64 * KIB..=4 * GIB;
/// `journal.max_size`, bytes.
pub const JOURNAL_BYTES: RangeInclusive<u64> = 128 * KIB..=1024 * TIB;
/// Segments that must fit into `journal.max_size`: the one written to, and one that readers finish.
pub const MIN_SEGMENTS: u64 = 2;
/// `journal.keep`: none, to a year.
pub const JOURNAL_KEEP: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(366 * 86_400);
/// `journal.recent`, bytes of memory for the newest batches.
pub const RECENT_BYTES: RangeInclusive<u64> = 64 * KIB..=16 * GIB;
/// `filter.timeout`: epochs tick in milliseconds; above a minute a stuck filter holds its worker too long.
pub const FILTER_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);
/// `filter.memory`, bytes: a guest's own stack and data need the lower, 32-bit WebAssembly has the upper.
pub const FILTER_MEMORY_BYTES: RangeInclusive<u64> = MIB..=4 * GIB;
/// `filter.max_output`, bytes that a filter may return for one batch.
pub const FILTER_OUTPUT_BYTES: RangeInclusive<u64> = 64 * KIB..=GIB;
/// `quarantine.max_size`, bytes.
pub const QUARANTINE_BYTES: RangeInclusive<u64> = 64 * KIB..=1024 * TIB;
/// `quarantine.max_age`: a second, for tests and the cautious, to ten years.
pub const QUARANTINE_AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10 * 366 * 86_400);
/// `filter.canary.for`: shorter sees next to nothing, longer is forgotten.
pub const CANARY_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);
/// `filter.canary.slowdown`, times: below, a version would have to be faster; above, it is no bound.
pub const CANARY_SLOWDOWN: RangeInclusive<f64> = 1.0..=1000.0;
