//! Every bound of the engine, with its unit and the reason for its size.

use std::time::Duration;

/// A module larger than this is refused. Python guests come to 18 MB.
pub const MAX_MODULE_BYTES: usize = 128 << 20;

/// Components and modules inside one another. Compilers for languages nest two or three.
pub const MAX_NESTING: usize = 8;
/// Components in one module. Each interface that is exported makes one.
pub const MAX_COMPONENTS: usize = 256;
/// Core modules in one module. Python guests are linked from two dozen.
pub const MAX_CORE_MODULES: usize = 128;
/// Functions in one module, of all its core modules together. Python guests have tens of thousands.
pub const MAX_FUNCTIONS: u64 = 300_000;
/// Bytes of one function. What a compiler takes grows faster than these; the loops of interpreters have a quarter of it.
pub const MAX_FUNCTION_BYTES: usize = 1 << 20;

/// Writable memory of a process that compiles a module, in bytes. Python guests take 440 MB; the allocator takes address
/// space by the gigabyte.
pub const COMPILE_MEMORY_BYTES: u64 = 3 << 30;
/// Its processor time, in seconds. Python guests take 12 s.
pub const COMPILE_SECONDS: u64 = 120;
/// Its time, however little of the processor it gets.
pub const COMPILE_WALL_TIME: Duration = Duration::from_secs(600);
/// How often is looked whether it has ended.
pub const COMPILE_LOOK: Duration = Duration::from_millis(5);
/// Modules of which is remembered how their compilation went.
pub const MAX_COMPILE_NOTES: usize = 1000;

/// Records in one call of a filter. Larger batches are passed in pieces, so that a guest's memory, which never
/// shrinks again, stays small.
pub const MAX_CALL_RECORDS: usize = 4096;
/// Bytes in one call of a filter, for the same reason. One record alone may be larger.
pub const MAX_CALL_BYTES: usize = 1 << 20;

/// Records that a filter can add in one call to those that it is called with. A map of one byte becomes a record of sixty,
/// so the bound on what it returns is not enough.
pub const MAX_RESULT_RECORDS: usize = 64 << 10;
/// The same in bytes.
pub const MAX_RESULT_BYTES: usize = 64 << 20;
/// Records that all filters of a chain together can add to one batch, or in one tick. One call may add half of what is
/// left.
pub const MAX_ADDED_RECORDS: usize = 1 << 20;
/// The same in bytes. The largest body becomes as much.
pub const MAX_ADDED_BYTES: usize = 128 << 20;
/// The time that all filters of a chain together may take for one batch, the host's work for them included; one filter
/// may take half of what is left, or its own deadline once. Only very large batches and very slow filters come near it:
/// most batches are one call of each filter. A sender waits a minute for its answer.
pub const MAX_BATCH_TIME: Duration = Duration::from_secs(40);
/// Work of the host, in units of about a nanosecond, after which it looks whether its time is over.
pub const CLOCK_UNITS: usize = 64 << 10;
/// Bytes of the paths of all fields in one call of a typed filter. Each field has the whole of its path, so a long key
/// of a map counts once for everything in it.
pub const MAX_PATH_BYTES: usize = 32 << 20;
/// Memory of a batch that a worker keeps for the next one.
pub const MAX_SPARE_BYTES: usize = 4 << 20;

/// Parts into which records are split that fail together. Calls that succeed cost little beside those that fail, so there
/// are more parts than two: a failing record among a thousand is found with four failing calls, not with ten.
pub const SEARCH_PARTS: usize = 16;
/// Calls that may fail while the offending records of one batch are looked for. Every record of a hundred is found with
/// a hundred and twenty.
pub const MAX_FAILED_CALLS: u32 = 256;
/// How many times its deadline a filter may take for calls that fail while offending records are looked for, and as long
/// again to be started anew after them: the stall that one batch can cause its worker. An endless loop on one record
/// among a thousand takes one and a quarter, on ten of them three and a half.
pub const MAX_SEARCH_DEADLINES: u32 = 4;
/// How long the records of a sample are looked at one by one when a new version and the running one both fail on them.
pub const MAX_CHECK_TIME: Duration = Duration::from_secs(5);
/// A group of records gets a deadline by its share of the batch, and at least this fraction of the whole one.
pub const MIN_DEADLINE_FRACTION: u32 = 16;

/// How many times its deadline for a batch a stateful filter may take to save its state, and a filter that is started
/// anew to take it up again. Its batches wait meanwhile.
pub const SAVE_DEADLINES: u32 = 4;
/// How long a filter is not asked for its state after it failed to save it; it doubles with each failure.
pub const SAVE_PAUSE_FIRST: Duration = Duration::from_secs(2);
/// The longest such pause.
pub const SAVE_PAUSE_LONGEST: Duration = Duration::from_secs(300);
/// Consecutive failures to save its state after which a filter is shown as failing.
pub const FAILING_AFTER_SAVES: u32 = 3;
/// How many times as long as at first a filter may take to start when it is started anew, while batches wait for it.
pub const RESTART_TIMES: u32 = 8;

/// Records that a filter may emit at each tick beyond those that it was given before. A filter that sums up emits one for
/// each key.
pub const MAX_OWN_TICK_RECORDS: usize = 1000;
/// The same in bytes.
pub const MAX_OWN_TICK_BYTES: usize = 1 << 20;

/// Consecutive batches with a failure after which a filter is shown as failing.
pub const FAILING_AFTER_BATCHES: u32 = 5;
/// Consecutive batches whose search was given up after which a filter is not called for a while.
pub const SUSPEND_AFTER_BATCHES: u32 = 3;
/// The first such pause; it doubles with each attempt that fails.
pub const SUSPENSION_FIRST: Duration = Duration::from_secs(1);
/// The longest such pause.
pub const SUSPENSION_LONGEST: Duration = Duration::from_secs(30);

/// Records that one filter may hold back. `wit/v2` names the three; beyond them what was held longest goes on.
pub const MAX_HELD_RECORDS: usize = 100_000;
/// The same in bytes. A copy of them is kept in memory, for the filter's next instance.
pub const MAX_HELD_BYTES: usize = 16 << 20;
/// How long one record may be held: somewhat longer than a day, for filters that count by the day.
pub const MAX_HELD_AGE: Duration = Duration::from_secs(25 * 3600);
/// Held records that a new instance may fail on before all that is held is given up.
pub const MAX_REPLAY_FAILURES: usize = 8;
/// How long a new instance may take for what is held, failures included: batches wait meanwhile.
pub const MAX_REPLAY_TIME: Duration = Duration::from_secs(10);

/// How often deadlines are looked at: they are kept to within two of these.
pub const TICK: Duration = Duration::from_millis(5);
/// Ticks without any call after which the ticker sleeps until the next call.
pub const IDLE_TICKS: u32 = 20;
/// Time for `describe`, `configure`, `save` and `restore`. Interpreted languages start slowly.
pub const LIFECYCLE_DEADLINE: Duration = Duration::from_secs(10);

/// Stack of a guest, in bytes. It lies on the calling thread's stack, which must have at least four times that.
pub const MAX_STACK_BYTES: usize = 512 << 10;
/// Instances that exist at once, of all filters and workers together. Only address space is reserved for them.
pub const MAX_INSTANCES: u32 = 1024;
/// Core instances, memories and tables in one component. Python guests are linked from two dozen modules.
pub const MAX_CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// Memories in one component.
pub const MAX_MEMORIES_PER_COMPONENT: u32 = 4;
/// Tables in one component.
pub const MAX_TABLES_PER_COMPONENT: u32 = 16;
/// Entries of one table. Interpreters have tens of thousands of functions.
pub const MAX_TABLE_ELEMENTS: usize = 100_000;
/// The most memory that a filter can be given: what 32-bit WebAssembly can address.
pub const MAX_MEMORY_BYTES: u64 = 4 << 30;
/// An instance is exchanged for a new one when it has come to half the memory that it may have …
pub const GROWN_FAR_FRACTION: usize = 2;
/// … if that is twice what it began with: what a filter needs from the start, or for its state, is not growth.
pub const GROWN_FAR_TIMES: usize = 2;
/// Memory of an unused instance that is kept for the next one instead of being given back.
pub const KEEP_RESIDENT_BYTES: usize = 64 << 10;
/// Bytes of state that a filter may save for its successor. It is copied once a second.
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
/// Bytes of one such line; the rest is cut off.
pub const MAX_LOG_LINE_BYTES: usize = 2 << 10;
/// Lines of a filter on trial that are kept to be shown.
pub const MAX_TRIAL_LINES: usize = 100;
/// Names of counters of one filter: each is a series for whoever stores the metrics.
pub const MAX_COUNTERS: usize = 64;
/// Bytes of a counter's name.
pub const MAX_COUNTER_NAME_BYTES: usize = 64;
/// Bytes of a reason that is shown and stored with a failed record.
pub const MAX_REASON_BYTES: usize = 512;
/// Mistakes in its options that are taken of one filter at once.
pub const MAX_OPTION_MISTAKES: usize = 20;
/// Bytes of the name and of the version that a filter gives itself: they stand in lists, in metrics and in every log line
/// about a swap.
pub const MAX_OWN_NAME_BYTES: usize = 64;
/// Bytes of the sentence in which a filter says what it does.
pub const MAX_OWN_DESCRIPTION_BYTES: usize = 256;
/// Paths that a filter says it reads, or writes.
pub const MAX_OWN_PATHS: usize = 256;
/// Bytes of one of them.
pub const MAX_OWN_PATH_BYTES: usize = 1 << 10;

/// Copies of batches that wait for a version that is tried in the shadow of another. More would only be memory: what it
/// is too slow for it need not see.
pub const MAX_TAPPED_BATCHES: usize = 8;
