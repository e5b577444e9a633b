//! The bounds of this filter: whatever a text holds, it costs time in proportion
//! to its length and becomes a record that Weir can take.

/// Fields that one text may become. Each is looked for among the others, so that
/// this also bounds the work.
pub const MAX_FIELDS: usize = 256;

/// How deep JSON may nest. A record may nest to 64; this leaves room for `into`.
pub const MAX_DEPTH: usize = 32;

/// Bytes of a text that expressions are tried on; a longer one fails. They take
/// up to text × expression steps.
pub const MAX_PATTERN_TEXT_BYTES: usize = 64 * 1024;

/// Expressions in `patterns`.
pub const MAX_PATTERNS: usize = 32;

/// Bytes of one expression.
pub const MAX_PATTERN_BYTES: usize = 4 * 1024;

/// Bytes that one compiled expression takes.
pub const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// Time formats, built-in ones not counted.
pub const MAX_TIME_FORMATS: usize = 32;

/// Bytes of a text that may be a time. None that people write is longer.
pub const MAX_TIME_BYTES: usize = 64;

/// Keys on the way of a path.
pub const MAX_PATH_DEPTH: usize = 16;
