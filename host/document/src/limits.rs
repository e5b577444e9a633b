//! The bounds of a file that people write, each with its unit and its reason.

/// Bytes of a file: hundreds of filters fit into a configuration; a log file given by mistake is refused unread.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// Tables and lists inside one another: far deeper than any option needs, far from exhausting a stack.
pub const MAX_DEPTH: usize = 32;
/// Problems shown at once: past this, reading on helps nobody.
pub const MAX_PROBLEMS: usize = 50;
/// Width of a report in columns: a longer line is cut around the mistake, so that it stays on one row of a terminal.
pub const SHOWN_LINE_CHARS: usize = 110;
/// References followed within one place of the schema: a guard against a schema that refers to itself.
pub const MAX_SCHEMA_HOPS: usize = 16;
