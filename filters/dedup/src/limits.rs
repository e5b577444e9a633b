//! The limits of this filter. Together they keep it within the 64 MiB that a
//! filter has by default, even while it closes all windows at once, and within
//! half of the 100,000 records and 16 MiB that Weir holds for a filter.

/// The longest window, in seconds: a day.
pub const MAX_WINDOW_SECONDS: u64 = 86_400;

/// How far the clock may be set back before all windows close, in seconds.
pub const MAX_CLOCK_STEP_SECONDS: i64 = 1;

/// Maximum number of key fields.
pub const MAX_KEY_FIELDS: usize = 32;

/// Default maximum number of open windows.
pub const DEFAULT_MAX_KEYS: usize = 10_000;

/// Upper limit of `max_keys`.
pub const MAX_MAX_KEYS: usize = 20_000;

/// Maximum length of a key in bytes. Records with a longer key go on uncounted.
pub const MAX_KEY_BYTES: usize = 16 * 1024;

/// Maximum bytes that a window stores for its count besides the key; the rest is
/// left out.
pub const MAX_CARRIED_BYTES: usize = 4 * 1024;

/// Maximum bytes of all windows together.
pub const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Overhead of a window in bytes, besides its key, the carried values and the
/// field names: in the table and the queue, or in the summary that Weir holds,
/// whichever is larger.
pub const WINDOW_OVERHEAD_BYTES: usize = 256;
