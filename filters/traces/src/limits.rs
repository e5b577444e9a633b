//! The limits of this filter. They keep it within the 64 MiB that a filter has by
//! default, even when all held records go on at once, and within half of the
//! 100,000 records and 16 MiB that Weir holds for a filter.

/// The longest window, in seconds.
pub const MAX_WINDOW_SECONDS: u64 = 600;

/// Default maximum number of held traces.
pub const DEFAULT_MAX_TRACES: usize = 10_000;

/// Upper limit of `max_traces`.
pub const MAX_MAX_TRACES: usize = 50_000;

/// Maximum bytes of the held records of all traces together.
pub const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Maximum bytes of one trace before it is decided early: an endless trace must
/// not displace all others.
pub const MAX_TRACE_BYTES: usize = 1024 * 1024;

/// Overhead of a trace in bytes, besides its records: its entries in table and
/// queue.
pub const TRACE_OVERHEAD_BYTES: usize = 160;

/// Overhead of a record in bytes. It limits the records to 50,000.
pub const RECORD_OVERHEAD_BYTES: usize = 160;

/// Maximum bytes of a record that gets a weight: what a record may have, less what
/// the weight adds.
pub const MAX_WEIGHED_BYTES: usize = 1024 * 1024 - 4 * 1024;

/// Maximum length of an id in bytes. Records with a longer one count as without
/// an id.
pub const MAX_ID_BYTES: usize = 256;

/// Number of remembered decisions, for records that arrive late.
pub const MAX_DECIDED: usize = 50_000;

/// How far the clock may be set back before all traces are decided, in seconds.
pub const MAX_CLOCK_STEP_NS: i64 = 1_000_000_000;
