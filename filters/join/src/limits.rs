//! The limits of this filter. They keep it within the 64 MiB that a filter has by
//! default, even when all waiting records go on at once, and within half of the
//! 100,000 records and 16 MiB that Weir holds for a filter.

/// Maximum time that a record waits for its next line, in seconds.
pub const MAX_TIMEOUT_SECONDS: u64 = 60;

/// Default maximum number of lines per record: more than most stack traces have.
pub const DEFAULT_MAX_LINES: usize = 500;

/// Upper limit of `max_lines`.
pub const MAX_MAX_LINES: usize = 10_000;

/// Default maximum length of a joined text in bytes.
pub const DEFAULT_MAX_BYTES: usize = 128 * 1024;

/// Upper limit of `max_bytes`: half of what a record may have.
pub const MAX_MAX_BYTES: usize = 512 * 1024;

/// Maximum bytes of a joined record: what a record may have, less what the longer
/// header of its text and the number of lines add.
pub const MAX_JOINED_BYTES: usize = 1024 * 1024 - 4 * 1024;

/// Default maximum number of streams that hold a record at once.
pub const DEFAULT_MAX_STREAMS: usize = 1_000;

/// Upper limit of `max_streams`.
pub const MAX_MAX_STREAMS: usize = 20_000;

/// Maximum bytes of all streams together: of the held records or of the filter's
/// own copies, whichever is larger.
pub const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Overhead of a line in bytes, besides its record. It limits the lines to
/// 50,000.
pub const LINE_OVERHEAD_BYTES: usize = 160;

/// Maximum number of key fields.
pub const MAX_KEY_FIELDS: usize = 32;

/// Maximum length of a key in bytes. Records with a longer key go on unjoined.
pub const MAX_KEY_BYTES: usize = 4 * 1024;

/// Maximum number of expressions in `start` and in `continues`.
pub const MAX_PATTERNS: usize = 16;

/// Maximum length of an expression in bytes.
pub const MAX_PATTERN_BYTES: usize = 4 * 1024;

/// Maximum size of a compiled expression in bytes.
pub const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// How much of a line the expressions see, in bytes: the beginning is enough to
/// recognise a line, and a match takes up to text × expression steps.
pub const MAX_SEARCHED_BYTES: usize = 1024;
