//! The bounds of what makes and tests filters, each with its unit and its reason.

use std::time::Duration;

/// Largest module that is read from the filters folder, in bytes: a Python filter is 18 MB.
pub const MODULE_BYTES: u64 = 128 * 1024 * 1024;

/// Records in one call of a filter under test: batches as a busy router makes them.
pub const TEST_CALL_RECORDS: usize = 1000;

/// Bytes in one such call: what a router passes at once.
pub const TEST_CALL_BYTES: usize = 1024 * 1024;

/// Largest file of cases, in bytes: more than anyone writes by hand.
pub const CASES_FILE_BYTES: u64 = 1024 * 1024;

/// Largest file of samples, in bytes: they are held in memory.
pub const SAMPLES_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Characters of a value that a difference shows: it stays on one row of a terminal.
pub const SHOWN_VALUE_CHARS: usize = 80;

/// Bytes of a record that fuzzing found that are shown; its file has all of it.
pub const SHOWN_RECORD_BYTES: usize = 400;

/// Records on which two versions differ that are shown; the others are counted.
pub const SHOWN_DIFFERENCES: usize = 10;

/// Sorts of faults that one run of fuzzing keeps: each is looked into for seconds.
pub const FUZZ_KINDS: usize = 20;

/// Deadline of a call while a filter is fuzzed: four times the usual one, which large records miss on a busy machine.
/// What is slow for its size is told anyway.
pub const FUZZ_TIMEOUT: Duration = Duration::from_secs(1);

/// Records before a fault that are remembered, in case it needs them.
pub const FUZZ_HISTORY: usize = 128;

/// Calls between two ticks of a stateful filter while it is fuzzed.
pub const FUZZ_TICK_CALLS: u64 = 200;

/// Levels of maps and lists in ordinary generated records; a few are made much deeper.
pub const FUZZ_DEPTH: usize = 6;

/// Most keys or items in one generated map or list.
pub const FUZZ_KEYS: usize = 5000;

/// Bytes of the longest generated text, under what a record may have.
pub const FUZZ_TEXT_BYTES: usize = 500 * 1024;

/// Words taken from a module; an interpreter has a hundred thousand.
pub const FUZZ_WORDS: usize = 4000;

/// How many times the usual a call must take to count as slow.
pub const SLOW_TIMES: u32 = 30;

/// What it must take at least: under this the machine's own pauses show.
pub const SLOW_LEAST: Duration = Duration::from_millis(2);

/// Calls that may be spent on making one finding smaller.
pub const SHRINK_TESTS: u32 = 20_000;

/// By how much the deadline is shorter meanwhile, for findings that cost a whole one each time they show.
pub const HURRY: u32 = 20;

/// Time for making one finding smaller.
pub const SHRINK_TIME: Duration = Duration::from_secs(5);

/// Records that a filter is given to see whether its memory grows: what leaves sixteen bytes of each shows.
pub const GROWTH_RECORDS: usize = 32_000;

/// Bytes of a batch whose records are among these.
pub const GROWTH_BYTES: usize = 16 * 1024;

/// Time for one such look.
pub const GROWTH_TIME: Duration = Duration::from_secs(10);

/// Rounds of a measurement, of which the quickest is taken: what slows a round down is the rest of the machine.
pub const TEST_BENCH_ROUNDS: usize = 7;

/// How long one round takes at least.
pub const TEST_BENCH_ROUND: Duration = Duration::from_millis(4);

/// Deadline of a call that is measured: slow is what is to be seen.
pub const TEST_BENCH_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a source must have been left alone before it is built: an editor makes many events of one save.
pub const SETTLE: Duration = Duration::from_millis(250);
