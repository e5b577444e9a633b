//! The limits of sources.

use std::time::Duration;

/// Records that are delivered at once, at most: enough to share the cost of an fsync.
pub const BATCH_RECORDS: usize = 1_000;

/// Bytes of records that are delivered at once; the last record may exceed it.
pub const BATCH_BYTES: usize = 512 << 10;

/// The pause before records that the router has no room for are offered again; it doubles up to the next.
pub const RETRY_FIRST: Duration = Duration::from_millis(50);

/// The longest of these pauses.
pub const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// Log lines about records that have to wait: one per source in this time.
pub const WAITING_LINE: Duration = Duration::from_secs(10);

/// Bytes of a position.
pub const MAX_POSITION_BYTES: usize = 64 << 10;

/// Default for the time limit of NATS operations: longer than a stalled disk needs, short enough to notice a dead server.
pub const NATS_TIMEOUT: Duration = Duration::from_secs(10);

/// The shortest `ack_wait`: storing a batch takes longer than less.
pub const NATS_MIN_ACK_WAIT: Duration = Duration::from_secs(1);

/// Messages of a consumer that may be on their way to routers: enough for several.
pub const NATS_PENDING: i64 = 20_000;

/// Runs of messages that one router remembers, of a stream that several share: 16 bytes each, in every frame.
pub const NATS_RANGES: usize = 1_000;

/// Files of a source of type `file`; each takes about 2 KiB of memory.
pub const FILES: usize = 20_000;

/// Files that a source keeps open, so that what is written after they were deleted is read, too. Far below the usual
/// limit of a process, and enough for the files that are written at the same time.
pub const OPEN_FILES: usize = 1_000;

/// How deep folders are looked into.
pub const FOLDER_DEPTH: usize = 32;

/// Patterns that one with `{a,b}` may stand for.
pub const ALTERNATIVES: usize = 100;

/// How often open files are looked at: the delay of a line, and the fsyncs of a file that is written all the time.
pub const POLL: Duration = Duration::from_millis(250);

/// How often files are looked for, unless the configuration says otherwise.
pub const SCAN: Duration = Duration::from_secs(1);

/// The most often that files are looked for: listing large folders takes time.
pub const SHORTEST_SCAN: Duration = Duration::from_millis(100);

/// How long a file that was renamed or deleted is read without a change: programs open the new one some time later.
pub const LEAVING: Duration = Duration::from_secs(5);

/// How long a position is kept after its file is gone: until then, its content may come back compressed, or a network
/// file system be away.
pub const GONE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Positions of files that are gone, at most; the oldest are deleted first.
pub const GONE_FILES: usize = 10_000;

/// Positions that are stored at once without records.
pub const POSITIONS: usize = 1_000;

/// Bytes of a line, unless the configuration says otherwise.
pub const LINE_BYTES: u64 = 256 << 10;

/// The smallest and the largest limit of a line: a record has at most 1 MiB.
pub const SHORTEST_LINE_BYTES: u64 = 64;
pub const LONGEST_LINE_BYTES: u64 = 1 << 20;

/// How long a line without an end is waited for: longer than a program that writes whole blocks usually needs for the next.
pub const PARTIAL_LINE: Duration = Duration::from_secs(600);

/// How long the lines of a record may be apart: they are usually written at once.
pub const GROUP_TIMEOUT: Duration = Duration::from_secs(1);

/// Lines of a record: more than the deepest stack traces have.
pub const GROUP_LINES: usize = 500;

/// Files whose errors are remembered, so that each is said once.
pub const COMPLAINTS: usize = 1_000;

/// Bytes behind at which a file gets a gauge of its own, and how many do.
pub const FAR_BEHIND: u64 = 1 << 20;
pub const GAUGES: usize = 100;

/// Bytes that are read from a pipe at once: what a pipe holds.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Bytes of a line; a longer one becomes several records. Half of them may be invalid, each of which takes three bytes in
/// a record of at most 1 MiB.
pub const MAX_LINE_BYTES: usize = 256 << 10;

/// Chunks of standard input that are read ahead, while earlier ones become durable.
pub const STDIN_CHUNKS: usize = 8;

/// At a stop, what arrives on standard input within this time of each other is still read: an application that got the
/// same Ctrl-C says why it ends.
pub const STDIN_QUIET: Duration = Duration::from_secs(1);

/// But for no longer than this.
pub const STDIN_LAST: Duration = Duration::from_secs(2);

/// At a stop, a command gets SIGTERM, and after this time SIGKILL. Less than the router waits for a source.
pub const COMMAND_STOP: Duration = Duration::from_secs(5);

/// How long the output of a command is read that has ended, while processes that it has started still have it.
pub const COMMAND_LINGER: Duration = Duration::from_secs(1);

/// The shortest interval at which a command is run: starting a process takes milliseconds.
pub const COMMAND_INTERVAL: Duration = Duration::from_millis(100);
