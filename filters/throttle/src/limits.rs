//! The limits of this filter. However many keys senders invent, it uses a few
//! MiB.

/// Maximum rate in records per second and key. More is no limit.
pub const MAX_RATE: f64 = 1_000_000.0;

/// Minimum rate: one record in about eleven days.
pub const MIN_RATE: f64 = 0.000_001;

/// Maximum number of records in a burst.
pub const MAX_BURST: u32 = 1_000_000;

/// Maximum time between the summaries of a key, in seconds: a day.
pub const MAX_SUMMARY_SECONDS: u64 = 86_400;

/// Maximum number of key fields.
pub const MAX_KEY_FIELDS: usize = 32;

/// Default maximum number of keys with a bucket of their own.
pub const DEFAULT_MAX_KEYS: usize = 10_000;

/// Upper limit of `max_keys`.
pub const MAX_MAX_KEYS: usize = 50_000;

/// Maximum length of a key in bytes. Longer ones share one bucket.
pub const MAX_KEY_BYTES: usize = 4 * 1024;

/// Maximum bytes of source and labels that are stored for a summary. Longer ones
/// are left out.
pub const MAX_CARRIED_BYTES: usize = 1024;

/// Maximum bytes of all keys together.
pub const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Maximum bytes of what all summaries store. Beyond that, source and labels are
/// left out.
pub const MAX_ALL_CARRIED_BYTES: usize = 4 * 1024 * 1024;

/// Overhead of a key in bytes: its place in the table.
pub const KEY_OVERHEAD_BYTES: usize = 128;

/// How far a bucket may be ahead of its burst before the clock must have been set
/// back, in nanoseconds.
pub const MAX_CLOCK_STEP_NS: i64 = 1_000_000_000;
