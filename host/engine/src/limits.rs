//! Every bound of the engine, with its unit and the reason for its size.

use std::time::Duration;

/// A module larger than this is refused. Python guests come to 18 MB.
pub const MAX_MODULE_BYTES: usize = 128 << 20;

/// Maximum nesting of components and modules. Compilers nest two or three levels.
pub const MAX_NESTING: usize = 8;
/// Components in one module. Each exported interface makes one.
pub const MAX_COMPONENTS: usize = 256;
/// Core modules in one module. Python guests are linked from two dozen.
pub const MAX_CORE_MODULES: usize = 128;
/// Functions in all core modules of one module together. Python guests have tens of thousands.
pub const MAX_FUNCTIONS: u64 = 300_000;
/// Bytes of one function. Compile time grows faster than linearly with these; the loops of interpreters have a quarter
/// of it.
pub const MAX_FUNCTION_BYTES: usize = 1 << 20;

/// Writable memory of a compiler process in bytes. Python guests take 440 MB; the allocator reserves address space by
/// the gigabyte.
pub const COMPILE_MEMORY_BYTES: u64 = 3 << 30;
/// CPU time of a compiler process in seconds. Python guests take 12 s.
pub const COMPILE_SECONDS: u64 = 120;
/// Wall time of a compiler process.
pub const COMPILE_WALL_TIME: Duration = Duration::from_secs(600);
/// A module whose first compilation took longer is never compiled in the router itself. Bundled filters take less than a
/// second, and hostile modules up to 500 MB in this time.
pub const CHEAP_COMPILE_TIME: Duration = if cfg!(test) { Duration::from_secs(1) } else { Duration::from_secs(5) };
/// How often the compiler process is polled.
pub const COMPILE_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Modules whose compile result is remembered.
pub const MAX_COMPILE_NOTES: usize = 1000;

/// Records in one call of a filter. Larger batches are split, so that a guest's memory, which never shrinks, stays
/// small.
pub const MAX_CALL_RECORDS: usize = 4096;
/// Bytes in one call of a filter, for the same reason. A single record may be larger.
pub const MAX_CALL_BYTES: usize = 1 << 20;

/// Records that one call can add to its input. Needed besides the limit on output bytes, because a map of one byte
/// becomes a record of sixty.
pub const MAX_RESULT_RECORDS: usize = 64 << 10;
/// The same in bytes.
pub const MAX_RESULT_BYTES: usize = 64 << 20;
/// Records that all filters of a chain together can add to one batch or one tick. One call may add half of what is
/// left.
pub const MAX_ADDED_RECORDS: usize = 1 << 20;
/// The same in bytes. Equals what the largest body becomes.
pub const MAX_ADDED_BYTES: usize = 128 << 20;
/// Time that all filters of a chain together may take for one batch, including the host's work for them. One filter may
/// take half of what is left, or its own deadline once. Only very large batches and very slow filters come near it:
/// most batches are one call of each filter. Senders wait a minute for an answer.
pub const MAX_BATCH_TIME: Duration = Duration::from_secs(40);
/// Work of the host, in units of about a nanosecond, between two looks at the clock.
pub const CLOCK_UNITS: usize = 64 << 10;
/// Bytes of the paths of all fields in one call of a typed filter. Each field has its whole path, so a long key of a
/// map counts once for everything in it.
pub const MAX_PATH_BYTES: usize = 32 << 20;
/// Memory of a batch that a worker keeps for reuse.
pub const MAX_SPARE_BYTES: usize = 4 << 20;

/// Number of parts that a failed group of records is split into. Successful calls cost little compared with failed
/// ones, so it is more than two: a failing record among a thousand is found with four failed calls instead of ten.
pub const SEARCH_PARTS: usize = 16;
/// Failed calls per batch during the search for offending records. A hundred failing records out of a hundred take 120.
pub const MAX_FAILED_CALLS: u32 = 256;
/// Time for failed calls during the search, as a multiple of the filter's deadline, and the same again for starting new
/// instances: how long one batch can stall its worker. An endless loop on one record among a thousand takes 1.25
/// deadlines, on ten of them 3.5.
pub const MAX_SEARCH_DEADLINES: u32 = 4;
/// Time for trying the records of a sample one by one, when the new version and the running one both fail on them.
pub const MAX_CHECK_TIME: Duration = Duration::from_secs(5);
/// The minimum deadline of a group of records, as a fraction of the whole deadline. Groups get a share by their size.
pub const MIN_DEADLINE_FRACTION: u32 = 16;

/// Time for a stateful filter to save its state, or for a new instance to restore it, as a multiple of the deadline for
/// a batch. Batches wait meanwhile.
pub const SAVE_DEADLINES: u32 = 4;
/// Pause after a failure to save the state. Doubles with each failure.
pub const SAVE_PAUSE_FIRST: Duration = Duration::from_secs(2);
/// The longest such pause.
pub const SAVE_PAUSE_LONGEST: Duration = Duration::from_secs(300);
/// Consecutive failures to save its state after which a filter is shown as failing.
pub const FAILING_AFTER_SAVES: u32 = 3;
/// How much longer than at first a filter may take to restart while batches wait.
pub const RESTART_TIMES: u32 = 8;

/// Records that a filter may emit at each tick beyond those it was given. A filter that aggregates emits one per key.
pub const MAX_OWN_TICK_RECORDS: usize = 1000;
/// The same in bytes.
pub const MAX_OWN_TICK_BYTES: usize = 1 << 20;

/// Consecutive batches with a failure after which a filter is shown as failing.
pub const FAILING_AFTER_BATCHES: u32 = 5;
/// Consecutive batches whose search was given up after which a filter is suspended.
pub const SUSPEND_AFTER_BATCHES: u32 = 3;
/// The first suspension. Doubles with each failed attempt.
pub const SUSPENSION_FIRST: Duration = Duration::from_secs(1);
/// The longest such pause.
pub const SUSPENSION_LONGEST: Duration = Duration::from_secs(30);

/// Records that one filter may hold. `wit/v2` documents the three limits; beyond them, the oldest records continue.
pub const MAX_HELD_RECORDS: usize = 100_000;
/// The same in bytes. A copy is kept in memory for the next instance.
pub const MAX_HELD_BYTES: usize = 16 << 20;
/// How long one record may be held: somewhat longer than a day, for filters that count by the day.
pub const MAX_HELD_AGE: Duration = Duration::from_secs(25 * 3600);
/// Held records that a new instance may fail on before all held records are given up.
pub const MAX_REPLAY_FAILURES: usize = 8;
/// Time for a replay, including failures. Batches wait meanwhile.
pub const MAX_REPLAY_TIME: Duration = Duration::from_secs(10);

/// Interval of the epoch ticks. Deadlines are accurate to two of these.
pub const TICK: Duration = Duration::from_millis(5);
/// Ticks without a call after which the ticker sleeps.
pub const IDLE_TICKS: u32 = 20;
/// Time for `describe`, `configure`, `save` and `restore`. Interpreted languages start slowly.
pub const LIFECYCLE_DEADLINE: Duration = Duration::from_secs(10);

/// Stack of a guest in bytes. It is part of the calling thread's stack, which must have at least four times that.
pub const MAX_STACK_BYTES: usize = 512 << 10;
/// Instances of all filters and workers together. Only address space is reserved for them.
pub const MAX_INSTANCES: u32 = 1024;
/// Core instances, memories and tables in one component. Python guests are linked from two dozen modules.
pub const MAX_CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// Memories in one component.
pub const MAX_MEMORIES_PER_COMPONENT: u32 = 4;
/// Tables in one component.
pub const MAX_TABLES_PER_COMPONENT: u32 = 16;
/// Entries of one table. Interpreters have tens of thousands of functions.
pub const MAX_TABLE_ELEMENTS: usize = 100_000;
/// Maximum memory limit of a filter: what 32-bit WebAssembly can address.
pub const MAX_MEMORY_BYTES: u64 = 4 << 30;
/// An instance is replaced when it uses more than half of its memory limit …
pub const GROWN_FAR_FRACTION: usize = 2;
/// … and more than twice what it started with: memory needed from the start, or for the state, is not growth.
pub const GROWN_FAR_TIMES: usize = 2;
/// Memory of an unused instance that stays mapped for the next one.
pub const KEEP_RESIDENT_BYTES: usize = 64 << 10;
/// Bytes of saved state. It is copied once a second.
pub const MAX_STATE_BYTES: usize = 16 << 20;

/// Entries in the key-value store of one filter.
pub const MAX_KV_ENTRIES: usize = 65_536;
/// Bytes of keys and values in the store of one filter.
pub const MAX_KV_BYTES: usize = 16 << 20;
/// Bytes of one key.
pub const MAX_KEY_BYTES: usize = 1 << 10;
/// Bytes of one value.
pub const MAX_VALUE_BYTES: usize = 64 << 10;

/// Lines a second that one filter may write to Weir's log.
pub const MAX_LOG_LINES: u32 = 20;
/// Bytes of one such line; the rest is cut.
pub const MAX_LOG_LINE_BYTES: usize = 2 << 10;
/// Log lines kept for a filter under test.
pub const MAX_TRIAL_LINES: usize = 100;
/// Counter names of one filter. Each is a time series for the metrics store.
pub const MAX_COUNTERS: usize = 64;
/// Bytes of a counter's name.
pub const MAX_COUNTER_NAME_BYTES: usize = 64;
/// Bytes of a failure reason, which is shown and stored with the failed record.
pub const MAX_REASON_BYTES: usize = 512;
/// Errors in its options that a filter can report at once.
pub const MAX_OPTION_MISTAKES: usize = 20;
/// Bytes of a filter's own name and version, which appear in lists, metrics and every log line about a swap.
pub const MAX_OWN_NAME_BYTES: usize = 64;
/// Bytes of a filter's own description.
pub const MAX_OWN_DESCRIPTION_BYTES: usize = 256;
/// Paths that a filter declares to read, or to write.
pub const MAX_OWN_PATHS: usize = 256;
/// Bytes of one such path.
pub const MAX_OWN_PATH_BYTES: usize = 1 << 10;

/// Batches queued for a version that runs in the shadow of another. It may miss batches, so more would only cost
/// memory.
pub const MAX_TAPPED_BATCHES: usize = 8;
