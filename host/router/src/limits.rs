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

/// Room that is reserved in the journal for what filters say in a tick, in bytes. More is stored, too; this much must
/// be there before they are asked.
pub const TICK_BYTES: u64 = 64 * 1024;

/// How long the last tick, before Weir stops, waits for room in the journal.
pub const LAST_TICK_WAIT: Duration = Duration::from_secs(5);

/// How often it looks for room meanwhile.
pub const LAST_TICK_LOOK: Duration = Duration::from_millis(50);

/// How long a file must have been left alone before it is loaded: a copy in progress makes many
/// events, and half a module would be refused.
pub const SETTLE: Duration = Duration::from_millis(250);

/// How often the configuration file is looked at for changes.
pub const LOOK: Duration = Duration::from_millis(500);

/// How long a stop waits for sinks to take what the journal holds. What is left stays in the
/// journal and is delivered after the next start.
pub const DRAIN: Duration = Duration::from_secs(10);

/// File descriptors kept from connections for the journal, the quarantine, the log, the watched folders, the runtime, and
/// connections that are just being turned away.
pub const DESCRIPTORS: usize = 64;

/// The same for each sink: a file sink holds 64 files when its options don't say, and opens others beside them.
pub const DESCRIPTORS_PER_SINK: usize = 96;

/// How long after a signal that asks for a stop another one is a repeat of it, and no demand to stop at once. Process
/// managers send two within milliseconds.
pub const SIGNAL_REPEAT: Duration = Duration::from_secs(1);

/// The first pause before a thread that ended unexpectedly is started again; it doubles.
pub const RESTART_FIRST: Duration = Duration::from_millis(500);

/// The longest such pause: a record that brings a thread down each time it is sent again must not keep a processor busy.
pub const RESTART_LAST: Duration = Duration::from_secs(10);

/// How long a thread must have run for the next pause to be the first again.
pub const RESTART_CALM: Duration = Duration::from_secs(60);

/// How often sinks and journal are looked at, whether their threads run.
pub const WATCH: Duration = Duration::from_secs(1);

/// How long a stop waits for the pipeline: for what waits there, and for the last tick of the filters. It has nothing
/// to do by then but for requests that were cut off; a filter's own bounds are far below this.
pub const PIPELINE_END: Duration = Duration::from_secs(60);

/// How long a stop waits for the journal to write what it has taken. Longer, a disk hangs.
pub const JOURNAL_END: Duration = Duration::from_secs(30);

/// Size of a quarantine file before the next one is begun, in bytes. Age and size bounds work by
/// whole files, so this is also their grain.
pub const QUARANTINE_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// A quarantine file takes at most this part of `max_size`: the origin that takes most gives way in small steps.
pub const QUARANTINE_FILES_IN_BUDGET: u64 = 32;

/// Origins (filter or sink, and source) with files of their own; the ones beyond share theirs. Each has a file that is
/// not full.
pub const QUARANTINE_ORIGINS: usize = 64;

/// Quarantine files open for writing, each a file descriptor.
pub const QUARANTINE_OPEN_FILES: usize = 8;

/// Largest history or pin of a filter that is read, in bytes: ten versions are a few kilobytes.
pub const VERSION_FILE_BYTES: u64 = 1024 * 1024;

/// Modules of each filter that are kept to go back to, the running one among them.
pub const KEPT_VERSIONS: usize = 10;

/// Records that a version in trial has seen before it can be rejected ahead of time: fewer say little about a share.
pub const CANARY_EARLY_RECORDS: u64 = 1_000;

/// Nanoseconds a record below which more time is not held against a version in trial: at so little, another process is
/// what was measured.
pub const CANARY_SLOWER_NS: f64 = 20_000.0;

/// How often a trial looks whether it is over when no batch comes.
pub const CANARY_LOOK: Duration = Duration::from_millis(200);

/// Attempts at delivering the same records in a replay before it gives up and says where to go on.
pub const REPLAY_ATTEMPTS: u32 = 6;

/// Modules in the filters folder of which is said that they are left out: with more of them nobody reads on.
pub const LEFT_OUT_MODULES: usize = 100;
