//! Limits of the router, each with its unit and reason.

use std::time::Duration;

/// Deliveries that may wait for a pipeline thread. Each holds the records of at most one request. Ingest limits their
/// total size; this limits their number.
pub const WAITING_DELIVERIES: usize = 8 * 1024;

/// Records that a pipeline thread takes as one batch. With a few thousand records the cost of a filter call is
/// negligible, and a failing batch is bisected starting from this size.
pub const BATCH_RECORDS: usize = 4096;

/// Bytes that a pipeline thread takes as one batch, not counting the last delivery. Keeps a batch within the CPU cache
/// and far below the size limit of a journal frame.
pub const BATCH_BYTES: usize = 2 * 1024 * 1024;

/// Keys of deliveries that are remembered: about 200 bytes each. Beyond it, the oldest are forgotten before their time.
pub const MAX_REMEMBERED_KEYS: usize = 100_000;

/// Records kept in memory to test a new filter before it is published.
pub const SAMPLE_RECORDS: usize = 64;

/// Total bytes of these records.
pub const SAMPLE_BYTES: usize = 256 * 1024;

/// How long a source may take to stop. What it has read by then and is not stored is read again.
pub const SOURCE_END: Duration = Duration::from_secs(10);

/// How often a source that starts looks whether records of its predecessor are still on their way.
pub const SOURCE_LOOK: Duration = Duration::from_millis(20);

/// How often stateful filters get a tick, as the filter contract specifies.
pub const TICK: Duration = Duration::from_secs(1);

/// Room that is reserved in the journal before a tick for the records that filters emit, in bytes. They may emit more.
pub const TICK_BYTES: u64 = 64 * 1024;

/// How long the final tick waits for room in the journal.
pub const LAST_TICK_WAIT: Duration = Duration::from_secs(5);

/// How often it checks for room.
pub const LAST_TICK_LOOK: Duration = Duration::from_millis(50);

/// How long a file must be unchanged before it is loaded: a copy in progress causes many events, and an incomplete
/// module would be refused.
pub const SETTLE: Duration = Duration::from_millis(250);

/// How often the files with tokens and certificates are looked at: a revoked token must be void within a second.
pub const TOKENS_INTERVAL: Duration = Duration::from_millis(300);

/// How long before its end a certificate is reported; see `certificates.rs` for those with a short life.
pub const CERTIFICATE_ENDS_SOON: Duration = Duration::from_secs(14 * 86_400);

/// Length of a token from the environment or a file, in bytes. Shorter ones can be guessed.
pub const MIN_TOKEN_BYTES: usize = 20;

/// How often the configuration file is polled for changes.
pub const LOOK: Duration = Duration::from_millis(500);

/// How long a stop waits for sinks to deliver the records in the journal. The rest stays in the journal and is
/// delivered after the next start.
pub const DRAIN: Duration = Duration::from_secs(10);

/// File descriptors reserved for the journal, the quarantine, the log, the watched folders, the runtime, and
/// connections that are being refused.
pub const DESCRIPTORS: usize = 64;

/// File descriptors reserved for each sink: a file sink holds 64 files by default, and opens others in addition.
pub const DESCRIPTORS_PER_SINK: usize = 96;

/// Signals within this time after the first are repeats, not requests to stop immediately. Process managers send two
/// within milliseconds.
pub const SIGNAL_REPEAT: Duration = Duration::from_secs(1);

/// The first pause before a thread that ended unexpectedly is restarted; it doubles each time.
pub const RESTART_FIRST: Duration = Duration::from_millis(500);

/// The longest pause: a record that ends a thread each time it is retried must not keep a CPU busy.
pub const RESTART_LAST: Duration = Duration::from_secs(10);

/// How long a thread must run for the pause to be reset.
pub const RESTART_CALM: Duration = Duration::from_secs(60);

/// How often the threads of sinks and journal are checked.
pub const WATCH: Duration = Duration::from_secs(1);

/// How long a stop waits for the pipeline: for queued deliveries and the final tick of the filters. By then only
/// requests that were cut off are left; the limits of filters are far lower.
pub const PIPELINE_END: Duration = Duration::from_secs(60);

/// How long a stop waits for the journal to write pending frames. If it takes longer, the disk hangs.
pub const JOURNAL_END: Duration = Duration::from_secs(30);

/// Size at which a new quarantine file is started, in bytes. The limits on age and size remove whole files, so this is
/// also their granularity.
pub const QUARANTINE_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// A quarantine file takes at most this fraction of `max_size`, so that the largest origin loses entries in small
/// steps.
pub const QUARANTINE_FILES_IN_BUDGET: u64 = 32;

/// Origins (filter or sink, and source) with their own files; further origins share files. Each origin has one
/// incomplete file.
pub const QUARANTINE_ORIGINS: usize = 64;

/// Quarantine files open for writing, each a file descriptor.
pub const QUARANTINE_OPEN_FILES: usize = 8;

/// Maximum size of a file with a key that signs modules, in bytes: a key is a short line.
pub const KEY_FILE_BYTES: u64 = 4096;

/// Maximum size of a history or pin file, in bytes: ten versions take a few kilobytes.
pub const VERSION_FILE_BYTES: u64 = 1024 * 1024;

/// Modules kept per filter for rollbacks, including the running one.
pub const KEPT_VERSIONS: usize = 10;

/// Records that a trial needs before it can reject a version early: a share of fewer records is not significant.
pub const CANARY_EARLY_RECORDS: u64 = 1_000;

/// Nanoseconds per record below which a slowdown doesn't count in a trial: such small differences are noise from other
/// processes.
pub const CANARY_SLOWER_NS: f64 = 20_000.0;

/// How often a trial checks whether it is over while no batch arrives.
pub const CANARY_LOOK: Duration = Duration::from_millis(200);

/// Attempts to deliver the same records in a replay before it gives up and reports where to continue.
pub const REPLAY_ATTEMPTS: u32 = 6;

/// Unused modules in the filters folder that are logged; more would be noise.
pub const LEFT_OUT_MODULES: usize = 100;

/// Frames before the end of the journal that are read for the live stream at startup: as many batches as people look
/// back at, read before clients are served.
pub const LIVE_FRAMES_AT_START: u64 = 1000;

/// How long a start waits for them. That is enough for a thousand usual batches; with larger ones, senders come first.
pub const LIVE_START: Duration = Duration::from_secs(5);

/// Bytes that are read from the journal for the live stream at a time.
pub const LIVE_READ_BYTES: usize = 1 << 20;

/// Pause before the live stream continues after a part of the journal that can't be read.
pub const LIVE_RETRY: Duration = Duration::from_secs(1);

/// Sources with a minimum level of their own.
pub const LEVELS: usize = 1000;

/// Length of the name of such a source, as of one given in a request, in bytes.
pub const LEVEL_SOURCE_BYTES: usize = 256;

/// Differences that a trial of a module shows.
pub const SHOWN_DIFFERENCES: usize = 50;

/// How long a module may run on recent records in such a trial; the rest is left out.
pub const PREVIEW_TIME: Duration = Duration::from_secs(10);

/// Bytes of records that a replay of the quarantine passes through the filters at a time.
pub const REPLAY_BYTES: usize = 1 << 20;

/// Records that a replay gives to a sink at a time: few enough that a slow server answers in time, also if it refuses
/// many of them and is asked about each.
pub const REPLAY_SINK_RECORDS: usize = 100;

/// How long a replay waits until such records are stored.
pub const REPLAY_ANSWER: Duration = Duration::from_secs(30);

/// Different errors that a replay reports.
pub const REPLAY_ERRORS: usize = 10;

/// Default for the time that an erasure may take.
pub const ERASE_TIME: Duration = Duration::from_secs(600);

/// Longest time that an erasure may take: meanwhile no configuration is loaded.
pub const MAX_ERASE_TIME: Duration = Duration::from_secs(24 * 3600);

/// How much longer than its time the answer to an erasure may take: the step in progress is finished first.
pub const ERASE_GRACE: Duration = Duration::from_secs(180);

/// How often a terminal shows how far an erasure is.
pub const ERASE_PROGRESS: Duration = Duration::from_secs(1);

/// How long a stop waits for clients of the live stream to take its end.
pub const STREAMS_END: Duration = Duration::from_secs(1);

/// Bytes that `weir exec` reads at once: what a pipe holds.
pub const EXEC_CHUNK_BYTES: usize = 64 << 10;

/// Records that it sends at once.
pub const EXEC_BATCH_RECORDS: usize = 1_000;

/// Bytes that it sends at once; the last record may exceed it.
pub const EXEC_BATCH_BYTES: usize = 512 << 10;

/// What a record takes in its memory besides its own bytes.
pub const EXEC_RECORD_BYTES: usize = 64;

/// Its pause before a request is repeated; it doubles up to the next.
pub const EXEC_RETRY_FIRST: Duration = Duration::from_millis(100);

/// The longest of these pauses.
pub const EXEC_RETRY_LONGEST: Duration = Duration::from_secs(5);

/// How long it reads output after the end of the application, while processes that this has started still have it.
pub const EXEC_LINGER: Duration = Duration::from_secs(2);

/// How long it sends after that. A router that is away must not keep whoever waits for the application.
pub const EXEC_FLUSH: Duration = Duration::from_secs(5);

/// Signals that wait to be passed on.
pub const EXEC_SIGNALS: usize = 64;
