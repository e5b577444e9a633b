//! Limits, each with its unit and reason.

use std::time::Duration;

/// Bytes of records in memory. Records for slow clients are kept up to here, beyond the configured number.
pub const MAX_BUFFER_BYTES: usize = 16 << 20;
/// Clients at a time. Each takes a few KiB here, and what its connection takes.
pub const MAX_CLIENTS: usize = 4096;
/// Frames looked at for a client at a time.
pub const STEP_FRAMES: usize = 1024;
/// Records handed to a client at a time.
pub const STEP_RECORDS: usize = 1024;
/// Bytes of records handed to a client at a time: what a connection writes before it looks for news.
pub const STEP_BYTES: usize = 256 << 10;
/// Sources counted for one client. Records of further ones are counted in the total only.
pub const MAX_SOURCES: usize = 1000;
/// New frames are shown to clients at most this often: more often than a screen is drawn would only cost processor time.
pub const MIN_INTERVAL: Duration = Duration::from_millis(20);
/// This much is added to the interval for each client, so that a thousand clients together take a small part of a core.
pub const INTERVAL_PER_CLIENT: Duration = Duration::from_micros(250);
/// The memory that is left when it was full: a quarter leaves at once. So overtaken clients continue at few different
/// places, and those at the same place share what they get.
pub const SHRUNK_BUFFER_BYTES: usize = MAX_BUFFER_BYTES / 4 * 3;
/// Steps kept for other clients at the same place. More are only needed by clients with different queries, which share
/// nothing.
pub const KEPT_STEPS: usize = 64;
/// Bytes of rendered messages kept with them, beyond those of the newest step.
pub const KEPT_BYTES: usize = 16 << 20;
