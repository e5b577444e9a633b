//! The bounds of this filter. Together they keep it within the 64 MiB that a
//! filter has by default, also while it closes every window at once; and within
//! half of the 100,000 records and 16 MiB that Weir holds for a filter.

/// Seconds of the longest window: a day.
pub const MAX_WINDOW_SECONDS: u64 = 86_400;

/// Seconds that the clock may be set back before all windows close.
pub const MAX_CLOCK_STEP_SECONDS: i64 = 1;

/// Fields of a key.
pub const MAX_KEY_FIELDS: usize = 32;

/// Windows open at once when the options do not say.
pub const DEFAULT_MAX_KEYS: usize = 10_000;

/// The most windows that the options may allow.
pub const MAX_MAX_KEYS: usize = 20_000;

/// Bytes of one key. Records with a longer one go on uncounted.
pub const MAX_KEY_BYTES: usize = 16 * 1024;

/// Bytes of what a window keeps for its count beside the key: more is left out.
pub const MAX_CARRIED_BYTES: usize = 4 * 1024;

/// Bytes that all windows hold together.
pub const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that a window takes beside its key, what it carries, and the names of its
/// fields: in the table and in the queue, or in the summary that Weir holds,
/// whichever is more.
pub const WINDOW_OVERHEAD_BYTES: usize = 256;
