//! Every bound of the journal, with its unit and its reason. Nothing else in this crate holds a magic number.

use std::time::Duration;

/// Largest payload of one frame. Twice the largest decompressed request body, so that one request always
/// fits; small enough that a length field gone bad can't ask for gigabytes.
pub const MAX_PAYLOAD_BYTES: usize = 128 << 20;

/// Bytes that may wait for the writer. About what a disk writes in a tenth of a second: more waiting would
/// add delay, not throughput. One append is always taken when nothing waits, whatever its size.
pub const MAX_WAITING_BYTES: usize = 32 << 20;

/// Appends that may wait for the writer, for senders of many tiny payloads: each costs about 100 bytes
/// beside its payload.
pub const MAX_WAITING_APPENDS: usize = 64 << 10;

/// Bytes written under one fdatasync. Bounds how long the first append of a group waits for the last.
pub const MAX_GROUP_BYTES: usize = 8 << 20;

/// Payloads up to this size are copied next to their header, larger ones are written from where they lie:
/// below it a copy is cheaper than two more entries of a vectored write.
pub const COPY_BELOW_BYTES: usize = 4 << 10;

/// Scratch buffers of the writer that grew beyond this are given back after the group.
pub const KEEP_SCRATCH_BYTES: usize = 1 << 20;

/// Default size at which a segment is closed: large enough that creating one (two fsyncs) is rare, small
/// enough that disk space comes back soon after the slowest reader has passed.
pub const DEFAULT_SEGMENT_BYTES: u64 = 64 << 20;

/// Smallest and largest size of a segment that may be configured. The largest bounds [`SEQUENCE_JUMP`].
pub const MIN_SEGMENT_BYTES: u64 = 4 << 10;
/// See [`MIN_SEGMENT_BYTES`].
pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// A segment takes at most this part of the disk budget, so that a small budget still frees space in steps.
pub const SEGMENTS_IN_BUDGET: u64 = 4;

/// Smallest disk budget: four of the smallest segments.
pub const MIN_SIZE_BYTES: u64 = SEGMENTS_IN_BUDGET * MIN_SEGMENT_BYTES;

/// Default disk budget.
pub const DEFAULT_MAX_SIZE_BYTES: u64 = 8 << 30;

/// Default size of the memory of recent entries that readers who keep up read from.
pub const DEFAULT_RECENT_BYTES: usize = 16 << 20;

/// Cursors are written at most this often: a crash repeats at most this much delivery to sinks that can't
/// hold a position themselves, and an fsync every half second costs nothing.
pub const CURSOR_INTERVAL: Duration = Duration::from_millis(500);

/// How far the journal has come is stored with the cursors, so soon after an append; by then sinks that keep up have
/// usually moved theirs, and both are stored together.
pub const MARK_DELAY: Duration = Duration::from_millis(20);

/// Readers, open or remembered. A configuration has tens of sinks.
pub const MAX_READERS: usize = 4096;

/// Length of a reader's name in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// Largest piece of a segment file read in one go by a reader (unless one frame is larger).
pub const MAX_READ_BYTES: usize = 1 << 20;

/// Piece in which segment files are read when they are checked.
pub const SCAN_BYTES: usize = 256 << 10;

/// A position in the segment is remembered every so many bytes, for readers that start in the middle.
pub const INDEX_EVERY_BYTES: u64 = 256 << 10;

/// How far sequence numbers jump after `sync = "off"` may have lost frames that readers had already seen:
/// more than the frames that fit into the largest segment (2^30 / 52 < 2^25), and only the last segment
/// can lose any. So a number is never given to two different frames.
pub const SEQUENCE_JUMP: u64 = 1 << 25;

/// With `sync = "100ms"`, fsync comes early when so much waits for it: until then it is held in memory.
pub const MAX_UNSYNCED_BYTES: u64 = 16 << 20;

/// Positions a reader remembers between handing an entry out and its commit, to count records exactly. Beyond it
/// the newest takes the place of the one before; then the lag may be shown a little larger than it is.
pub const MAX_HANDED_OUT: usize = 4096;
