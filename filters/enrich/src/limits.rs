//! The limits of this filter. All are checked at configuration, so the work per
//! record is limited, too.

/// Maximum number of lookup tables. Each costs one lookup per record.
pub const MAX_TABLES: usize = 16;

/// Maximum size of a CSV table in bytes; with its index it takes about three
/// times that of the filter's memory.
pub const MAX_TABLE_BYTES: usize = 4 * 1024 * 1024;

/// Maximum number of columns of a table, including the key.
pub const MAX_TABLE_COLUMNS: usize = 64;

/// Maximum number of static fields, and of paths in each of `rename`, `copy` and
/// `remove`.
pub const MAX_PATHS: usize = 256;

/// Maximum number of keys in a path. Records have at most 64 levels.
pub const MAX_PATH_DEPTH: usize = 32;

/// Maximum length of a message template in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 4096;

/// Maximum number of literals and placeholders in a message template.
pub const MAX_TEMPLATE_PIECES: usize = 128;

/// Maximum length of a message made from a template in bytes; longer ones are
/// cut. A record has at most 1 MiB.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;
