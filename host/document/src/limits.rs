//! Limits, each with its unit and reason.

/// Size of a file, in bytes: enough for a configuration with hundreds of filters; a log file given by mistake is
/// refused.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// Nesting depth of tables and lists: far deeper than any option needs, and safe for the stack.
pub const MAX_DEPTH: usize = 32;
/// Problems shown in one report: more would not help the reader.
pub const MAX_PROBLEMS: usize = 50;
/// Width of a report in columns: a longer line is cut around the mistake, so that it stays on one row of a terminal.
pub const SHOWN_LINE_CHARS: usize = 110;
/// References followed at one place of the schema: protects against a schema that refers to itself.
pub const MAX_SCHEMA_HOPS: usize = 16;
