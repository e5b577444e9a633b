//! The limits for building and testing filters, each with its unit and its reason.

use std::time::Duration;

/// Size of a module in bytes. A Python filter has 18 MB.
pub const MODULE_BYTES: u64 = 128 * 1024 * 1024;

/// Records in one call of a filter under test, like the batches of a busy router.
pub const TEST_CALL_RECORDS: usize = 1000;

/// Bytes in one such call, the same as in a router.
pub const TEST_CALL_BYTES: usize = 1024 * 1024;

/// Size of a file of cases in bytes: more than anyone writes by hand.
pub const CASES_FILE_BYTES: u64 = 1024 * 1024;

/// Size of a file of samples in bytes. They are kept in memory.
pub const SAMPLES_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Characters shown of a value in a difference, so that it fits on one line of a terminal.
pub const SHOWN_VALUE_CHARS: usize = 80;

/// Bytes shown of a record found by fuzzing. Its file has all of it.
pub const SHOWN_RECORD_BYTES: usize = 400;

/// Differing records shown when comparing two versions. The rest are counted.
pub const SHOWN_DIFFERENCES: usize = 10;

/// Seconds of one fuzzing run: a year, which a clock can still count.
pub const FUZZ_SECONDS: u64 = 365 * 24 * 60 * 60;

/// Kinds of faults that one fuzzing run keeps. Each is examined for seconds.
pub const FUZZ_KINDS: usize = 20;

/// Deadline of a call during fuzzing: four times the default, which large records exceed on a busy machine. Calls that
/// are slow for their size are reported separately.
pub const FUZZ_TIMEOUT: Duration = Duration::from_secs(1);

/// Records before a fault that are remembered, in case they are needed to reproduce it.
pub const FUZZ_HISTORY: usize = 128;

/// Calls between two ticks of a stateful filter during fuzzing.
pub const FUZZ_TICK_CALLS: u64 = 200;

/// Nesting of maps and lists in ordinary generated records. A few are nested much deeper.
pub const FUZZ_DEPTH: usize = 6;

/// Keys or items in one generated map or list.
pub const FUZZ_KEYS: usize = 5000;

/// Bytes of the longest generated text, less than the limit of a record.
pub const FUZZ_TEXT_BYTES: usize = 500 * 1024;

/// Words extracted from a module. An interpreter has a hundred thousand.
pub const FUZZ_WORDS: usize = 4000;

/// How many times longer than usual a call must take to count as slow.
pub const SLOW_TIMES: u32 = 30;

/// Minimum duration of a slow call. Shorter ones may be pauses of the machine.
pub const SLOW_LEAST: Duration = Duration::from_millis(2);

/// Calls for minimising one finding.
pub const SHRINK_TESTS: u32 = 20_000;

/// Divisor of the deadline during minimisation, for findings that take a whole deadline each time.
pub const SHRINK_DEADLINE_DIVISOR: u32 = 20;

/// Time for minimising one finding.
pub const SHRINK_TIME: Duration = Duration::from_secs(5);

/// Records for checking whether a filter's memory grows. Enough to notice a leak of sixteen bytes per record.
pub const GROWTH_RECORDS: usize = 32_000;

/// Bytes of the batches used in this check.
pub const GROWTH_BYTES: usize = 16 * 1024;

/// Time for one such check.
pub const GROWTH_TIME: Duration = Duration::from_secs(10);

/// Rounds of a measurement. The fastest is used, because only the rest of the machine makes a round slower.
pub const TEST_BENCH_ROUNDS: usize = 7;

/// Minimum duration of one round.
pub const TEST_BENCH_ROUND: Duration = Duration::from_millis(4);

/// Deadline of a measured call. Long, because slow calls are what is measured.
pub const TEST_BENCH_TIMEOUT: Duration = Duration::from_secs(30);

/// Time without a change before a build starts. Editors cause many events per save.
pub const SETTLE: Duration = Duration::from_millis(250);

/// Attempts to remove a cache folder to which a thread of wasmtime still writes. The thread writes two small files for
/// each loaded filter, and each can make one attempt fail.
pub const CACHE_REMOVALS: usize = 1000;
