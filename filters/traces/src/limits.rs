//! The bounds of this filter. They keep it within the 64 MiB that a filter has by
//! default, also when everything that it holds goes on at once; and within half of
//! the 100,000 records and 16 MiB that Weir holds for a filter.

/// Seconds of the longest window.
pub const MAX_WINDOW_SECONDS: u64 = 600;

/// Traces held at once when the options do not say.
pub const DEFAULT_MAX_TRACES: usize = 10_000;

/// The most traces that the options may allow.
pub const MAX_MAX_TRACES: usize = 50_000;

/// Bytes of records held in all traces together.
pub const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that one trace may hold before it is decided early: an endless one must
/// not push all others out.
pub const MAX_TRACE_BYTES: usize = 1024 * 1024;

/// Bytes that a trace takes beside its records: its places in table and queue.
pub const TRACE_OVERHEAD_BYTES: usize = 160;

/// Bytes that a record takes beside its own, so that there are never more than
/// 50,000 of them.
pub const RECORD_OVERHEAD_BYTES: usize = 160;

/// Bytes of an id. Records with a longer one are as those without one.
pub const MAX_ID_BYTES: usize = 256;

/// Decided traces that are remembered, for records that come late.
pub const MAX_DECIDED: usize = 50_000;

/// Seconds that the clock may be set back before all traces are decided.
pub const MAX_CLOCK_STEP_NS: i64 = 1_000_000_000;
