//! The limits of this filter: the operator writes schemas, but anyone can send
//! records.

/// Maximum number of subschemas.
pub const MAX_NODES: usize = 4096;

/// Maximum nesting of schemas.
pub const MAX_SCHEMA_DEPTH: usize = 64;

/// Maximum number of expressions in a schema.
pub const MAX_PATTERNS: usize = 256;

/// Maximum length of an expression in bytes.
pub const MAX_PATTERN_BYTES: usize = 4 * 1024;

/// Maximum size of a compiled expression in bytes.
pub const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// Maximum length in bytes of a text that expressions are tried on; longer ones
/// don't match.
pub const MAX_PATTERN_TEXT_BYTES: usize = 64 * 1024;

/// Maximum number of schemas evaluated per record. With `anyOf` in a recursive
/// schema, the time would otherwise double with every level of a record.
pub const MAX_STEPS: usize = 250_000;

/// Maximum depth of evaluation. It keeps the recursion within the stack of a
/// module.
pub const MAX_CHECK_DEPTH: usize = 192;

/// Default maximum number of errors.
pub const DEFAULT_ERRORS: usize = 5;

/// Upper limit of `max_errors`.
pub const MAX_ERRORS: usize = 32;

/// Maximum length of an error in bytes.
pub const MAX_ERROR_BYTES: usize = 512;
