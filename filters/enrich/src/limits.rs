//! The bounds of this filter. All hold while it is configured, so that what is
//! left to do for a record is bounded too.

/// Lookup tables. Each is one search a record.
pub const MAX_TABLES: usize = 16;

/// Bytes of CSV in one table; with its index it takes about three times that
/// of the filter's memory.
pub const MAX_TABLE_BYTES: usize = 4 * 1024 * 1024;

/// Columns of one table, its key included.
pub const MAX_TABLE_COLUMNS: usize = 64;

/// Static fields, and as many paths in each of `rename`, `copy` and `remove`.
pub const MAX_PATHS: usize = 256;

/// Levels of a path. Records themselves have at most 64.
pub const MAX_PATH_DEPTH: usize = 32;

/// Bytes of a message template.
pub const MAX_TEMPLATE_BYTES: usize = 4096;

/// Texts and places of a message template.
pub const MAX_TEMPLATE_PIECES: usize = 128;

/// Bytes of a message made from a template; what is longer is cut. A record
/// itself has at most 1 MiB.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
