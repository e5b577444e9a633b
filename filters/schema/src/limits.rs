//! The bounds of this filter: schemas are the operator's, records anybody's.

/// Schemas within a schema.
pub const MAX_NODES: usize = 4096;

/// How deep schemas stand in each other.
pub const MAX_SCHEMA_DEPTH: usize = 64;

/// Expressions in a schema.
pub const MAX_PATTERNS: usize = 256;

/// Bytes of one expression.
pub const MAX_PATTERN_BYTES: usize = 4 * 1024;

/// Bytes that one compiled expression takes.
pub const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// Bytes of a text that expressions are tried on; a longer one does not match.
pub const MAX_PATTERN_TEXT_BYTES: usize = 64 * 1024;

/// Schemas that one record may be held against. `anyOf` within a recursive schema
/// would else take time that doubles with every level of a record.
pub const MAX_STEPS: usize = 250_000;

/// How deep schemas are followed into a record. Keeps the recursion within the
/// stack of a module.
pub const MAX_CHECK_DEPTH: usize = 192;

/// Reasons that are written when the options do not say.
pub const DEFAULT_ERRORS: usize = 5;

/// The most reasons that the options may ask for.
pub const MAX_ERRORS: usize = 32;

/// Bytes of one reason.
pub const MAX_ERROR_BYTES: usize = 512;
