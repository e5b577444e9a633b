//! The bounds of this filter. All hold while it is configured, so that what is
//! left to do for a record is bounded too.

/// Rules. Each is looked at for every record.
pub const MAX_RULES: usize = 256;

/// How deep conditions stand in conditions (`any`, `all`, `not`).
pub const MAX_CONDITION_DEPTH: usize = 16;

/// Tests in all rules together.
pub const MAX_TESTS: usize = 4096;

/// Values of one `in`. It is searched by hash, so this bounds memory only.
pub const MAX_VALUES: usize = 10_000;

/// Bytes of a glob or a regular expression as written. A glob takes at most
/// this times the length of the text it is matched with.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// Bytes of a compiled regular expression; `\w{1000}` and its like end here.
pub const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// Labels of one rule.
pub const MAX_LABELS: usize = 32;

/// Bytes of a label.
pub const MAX_LABEL_BYTES: usize = 128;
