//! The limits of this filter: whatever a text contains, it takes time
//! proportional to its length and becomes a valid record.

/// Maximum number of fields per text. Lookups are linear, so this also limits the
/// time.
pub const MAX_FIELDS: usize = 256;

/// Maximum nesting of JSON. A record may have 64 levels; this leaves room for
/// `into`.
pub const MAX_DEPTH: usize = 32;

/// Maximum length in bytes of a text that expressions are tried on; longer ones
/// fail. A search takes up to text × expression steps.
pub const MAX_PATTERN_TEXT_BYTES: usize = 64 * 1024;

/// Maximum number of expressions in `patterns`.
pub const MAX_PATTERNS: usize = 32;

/// Maximum length of an expression in bytes.
pub const MAX_PATTERN_BYTES: usize = 4 * 1024;

/// Maximum size of a compiled expression in bytes.
pub const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// Maximum number of time formats, without the built-in ones.
pub const MAX_TIME_FORMATS: usize = 32;

/// Maximum length in bytes of a text that may be a time. No common format is
/// longer.
pub const MAX_TIME_BYTES: usize = 64;

/// Maximum number of keys in a path.
pub const MAX_PATH_DEPTH: usize = 16;
