//! The limits of this filter. All are checked at configuration, so the work per
//! record is limited, too.

/// Maximum number of rules. Each is evaluated for every record.
pub const MAX_RULES: usize = 256;

/// Maximum nesting of conditions (`any`, `all`, `not`).
pub const MAX_CONDITION_DEPTH: usize = 16;

/// Maximum number of tests in all rules together.
pub const MAX_TESTS: usize = 4096;

/// Maximum number of values of one `in`. Lookups use a hash, so this limits only
/// memory.
pub const MAX_VALUES: usize = 10_000;

/// Maximum length in bytes of a glob or regular expression. Matching a glob takes
/// at most this many steps per byte of text.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// Maximum size of a compiled regular expression in bytes; it refuses `\w{1000}`
/// and the like.
pub const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// Memory in bytes that searches for one regular expression may use to be faster.
/// All expressions share the filter's memory, by default 64 MiB.
pub const MAX_REGEX_CACHE_BYTES: usize = 256 * 1024;

/// Maximum number of labels of a rule.
pub const MAX_LABELS: usize = 32;

/// Maximum length of a label in bytes.
pub const MAX_LABEL_BYTES: usize = 128;
