//! The bounds of the pipeline and of what surrounds it, each with its unit and its reason.

use std::time::Duration;

/// Deliveries that may wait for a pipeline thread. Each holds at most one request's records, and
/// ingest bounds their bytes as a whole; this bounds their number.
pub const WAITING_DELIVERIES: usize = 8 * 1024;

/// Records that a pipeline thread takes as one batch. Past a few thousand a filter's call costs
/// nothing next to its work, and a batch that fails is bisected from this size.
pub const BATCH_RECORDS: usize = 4096;

/// Bytes that a pipeline thread takes as one batch, the last delivery not counted. Keeps one batch
/// within a processor's cache and far under a frame of the journal.
pub const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// Records kept in memory to try a new filter on before it is published.
pub const SAMPLE_RECORDS: usize = 64;

/// Bytes of these records together.
pub const SAMPLE_BYTES: usize = 256 * 1024;

/// How often stateful filters are ticked, as the contract with filters says.
pub const TICK: Duration = Duration::from_secs(1);

/// How long a file must have been left alone before it is loaded: a copy in progress makes many
/// events, and half a module would be refused.
pub const SETTLE: Duration = Duration::from_millis(250);

/// How often the configuration file is looked at for changes.
pub const LOOK: Duration = Duration::from_millis(500);

/// How long a stop waits for sinks to take what the journal holds. What is left stays in the
/// journal and is delivered after the next start.
pub const DRAIN: Duration = Duration::from_secs(10);

/// Size of a quarantine file before the next one is begun, in bytes. Age and size bounds work by
/// whole files, so this is also their grain.
pub const QUARANTINE_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Largest module that is read from the filters folder, in bytes: a Python filter is 18 MB.
pub const MODULE_BYTES: u64 = 128 * 1024 * 1024;

/// Modules of each filter that are kept to go back to, the running one among them.
pub const KEPT_VERSIONS: usize = 10;

/// Records that a version in trial has seen before it can be rejected ahead of time: fewer say little about a share.
pub const CANARY_EARLY_RECORDS: u64 = 1_000;

/// Nanoseconds a record below which more time is not held against a version in trial: at so little, another process is
/// what was measured.
pub const CANARY_SLOWER_NS: f64 = 20_000.0;

/// How often a trial looks whether it is over when no batch comes.
pub const CANARY_LOOK: Duration = Duration::from_millis(200);
