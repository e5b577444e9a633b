//! The limits of the configuration, with units and reasons. No other file in `config` contains limits that an operator
//! can hit.

use std::ops::RangeInclusive;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Characters in a name: it becomes a metric label and part of file names.
pub const MAX_NAME_CHARS: usize = 64;
/// Filters in the chain: each takes memory in every worker.
pub const MAX_FILTERS: usize = 64;
/// Keys in `trusted_keys`: a team's, and their successors.
pub const MAX_TRUSTED_KEYS: usize = 100;
/// Paths in `reads` or `writes` of a filter: nobody can review a longer list.
pub const MAX_FILTER_PATHS: usize = 256;
/// Sinks: each has a journal reader and a task.
pub const MAX_SINKS: usize = 64;
/// Sources: each has a task.
pub const MAX_SOURCES: usize = 64;
/// `sink.fallback_after`: if shorter, brief failures would use the fallback; if longer, it would be useless.
pub const FALLBACK_AFTER: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);

/// `ingest.repeat_window`: if shorter, a retry would come too late; if longer, there would be more keys than memory.
pub const REPEAT_WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
/// Listeners: each has a socket and a task.
pub const MAX_LISTENERS: usize = 64;
/// `listen.max_message`, bytes: as for a body.
pub const MESSAGE_BYTES: RangeInclusive<u64> = KIB..=GIB;

/// `http.max_body`, bytes: less would refuse ordinary batches, more would let one request fill the memory.
pub const BODY_BYTES: RangeInclusive<u64> = KIB..=GIB;
/// `http.max_decompressed`, bytes: as for the body.
pub const DECOMPRESSED_BYTES: RangeInclusive<u64> = KIB..=4 * GIB;
/// `http.max_in_flight`, bytes: memory of all requests together.
pub const IN_FLIGHT_BYTES: RangeInclusive<u64> = KIB..=64 * GIB;
/// `http.allowed_hosts`: a machine has few names.
pub const MAX_ALLOWED_HOSTS: usize = weir_ingest::limits::MAX_ALLOWED_HOSTS;
/// `http.allowed_origins`: each is compared with every request of a page.
pub const MAX_ALLOWED_ORIGINS: usize = weir_ingest::limits::MAX_ALLOWED_ORIGINS;
/// `http.header_timeout` and `http.body_timeout`: shorter would cut off legitimate senders, longer would keep dead
/// connections.
pub const HTTP_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);
/// `limits.burst`: shorter would refuse every second request of a sender at its rate, longer would not limit a flood.
pub const BURST: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);
/// Recent records in memory for the live stream, if nothing is configured: a few screens.
pub const LIVE_RECORDS: u64 = 1000;
/// At most so many; the memory is bounded in bytes, too.
pub const MAX_LIVE_RECORDS: u64 = 1_000_000;
/// `journal.sync` as an interval: the most that a crash can lose.
pub const SYNC_INTERVAL: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);
/// `journal.segment_size`, bytes: smaller would create a file every few batches, larger would free disk space too late.
pub const SEGMENT_BYTES: RangeInclusive<u64> = 64 * KIB..=4 * GIB;
/// `journal.max_size`, bytes.
pub const JOURNAL_BYTES: RangeInclusive<u64> = 128 * KIB..=1024 * TIB;
/// Segments that must fit in `journal.max_size`: the active one, and one that is still being read.
pub const MIN_SEGMENTS: u64 = 2;
/// `journal.keep`: zero to a year.
pub const JOURNAL_KEEP: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(366 * 86_400);
/// `journal.recent`, bytes of memory for the newest batches.
pub const RECENT_BYTES: RangeInclusive<u64> = 64 * KIB..=16 * GIB;
/// `filter.timeout`: the engine's epoch is a millisecond; more than a minute would let a stuck filter block its worker
/// too long.
pub const FILTER_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);
/// `filter.memory`, bytes: the minimum fits a guest's stack and data, the maximum is the limit of 32-bit WebAssembly.
pub const FILTER_MEMORY_BYTES: RangeInclusive<u64> = MIB..=4 * GIB;
/// `filter.max_output`, bytes that a filter may return for one batch.
pub const FILTER_OUTPUT_BYTES: RangeInclusive<u64> = 64 * KIB..=GIB;
/// `quarantine.max_size`, bytes.
pub const QUARANTINE_BYTES: RangeInclusive<u64> = 64 * KIB..=1024 * TIB;
/// `quarantine.max_age`: one second, for tests, to ten years.
pub const QUARANTINE_AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10 * 366 * 86_400);
/// `filter.canary.for`: shorter sees too few records, longer is forgotten.
pub const CANARY_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(7 * 86_400);
/// `filter.canary.slowdown`, a factor: less would require a version to be faster, more would not limit anything.
pub const CANARY_SLOWDOWN: RangeInclusive<f64> = 1.0..=1000.0;
