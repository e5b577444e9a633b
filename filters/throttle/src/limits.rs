//! The bounds of this filter. However many keys senders make up, it holds a few
//! mebibytes.

/// The most records of a key a second. More is no limit.
pub const MAX_RATE: f64 = 1_000_000.0;

/// The fewest: one record in about eleven days.
pub const MIN_RATE: f64 = 0.000_001;

/// Records that may pass at once.
pub const MAX_BURST: u32 = 1_000_000;

/// Seconds between the summaries of a key, at most: a day.
pub const MAX_SUMMARY_SECONDS: u64 = 86_400;

/// Fields of a key.
pub const MAX_KEY_FIELDS: usize = 32;

/// Keys known at once when the options do not say.
pub const DEFAULT_MAX_KEYS: usize = 10_000;

/// The most keys that the options may allow.
pub const MAX_MAX_KEYS: usize = 50_000;

/// Bytes of one key. Longer ones share one bucket.
pub const MAX_KEY_BYTES: usize = 4 * 1024;

/// Bytes of what is kept for a summary beside the key: source and labels. What
/// is longer is left out.
pub const MAX_CARRIED_BYTES: usize = 1024;

/// Bytes that all keys hold together.
pub const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that a key takes beside its own: its place in the table.
pub const KEY_OVERHEAD_BYTES: usize = 128;

/// Nanoseconds that a bucket may be ahead of its burst before the clock must
/// have been set back.
pub const MAX_CLOCK_STEP_NS: i64 = 1_000_000_000;
