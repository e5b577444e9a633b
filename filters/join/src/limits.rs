//! The bounds of this filter. They keep it within the 64 MiB that a filter has by
//! default, also when everything that it holds goes on at once; and within half of
//! the 100,000 records and 16 MiB that Weir holds for a filter.

/// Seconds that a record may wait for its next line.
pub const MAX_TIMEOUT_SECONDS: u64 = 60;

/// Lines of one record when the options do not say: more than most stacks.
pub const DEFAULT_MAX_LINES: usize = 500;

/// The most lines that the options may allow.
pub const MAX_MAX_LINES: usize = 10_000;

/// Bytes of one joined text when the options do not say.
pub const DEFAULT_MAX_BYTES: usize = 128 * 1024;

/// The most bytes that the options may allow: half of what a record may have.
pub const MAX_MAX_BYTES: usize = 512 * 1024;

/// Streams that hold a record at once when the options do not say.
pub const DEFAULT_MAX_STREAMS: usize = 1_000;

/// The most streams that the options may allow.
pub const MAX_MAX_STREAMS: usize = 20_000;

/// Bytes that all streams hold together, in the records of their lines or in what
/// the filter keeps of them, whichever is more.
pub const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that a line takes beside its record, so that there are never more than
/// 50,000 of them.
pub const LINE_OVERHEAD_BYTES: usize = 160;

/// Fields of a stream's key.
pub const MAX_KEY_FIELDS: usize = 32;

/// Bytes of a key. Records with a longer one go on unjoined.
pub const MAX_KEY_BYTES: usize = 4 * 1024;

/// Expressions in `start` and in `continues`.
pub const MAX_PATTERNS: usize = 16;

/// Bytes of one expression.
pub const MAX_PATTERN_BYTES: usize = 4 * 1024;

/// Bytes that one compiled expression takes.
pub const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// Bytes of a line that expressions look at: what a line is shows at its
/// beginning, and an expression takes up to text × expression steps.
pub const MAX_SEARCHED_BYTES: usize = 1024;
