//! Every limit of the journal, with its unit and its reason. No other file of this crate contains a magic number.

use std::time::Duration;

/// Largest payload of one frame. Twice the largest decompressed request body, so that one request always fits; small
/// enough that a corrupt length field can't request gigabytes.
pub const MAX_PAYLOAD_BYTES: usize = 128 << 20;

/// Bytes that may wait for the writer. About what a disk writes in a tenth of a second: a longer queue would add delay,
/// not throughput. If nothing is waiting, one append of any size is accepted.
pub const MAX_WAITING_BYTES: usize = 32 << 20;

/// Appends that may wait for the writer, for senders of many tiny payloads: each costs about 100 bytes in addition to
/// its payload.
pub const MAX_WAITING_APPENDS: usize = 64 << 10;

/// Bytes written under one fdatasync. Bounds how long the first append of a group waits for the last.
pub const MAX_GROUP_BYTES: usize = 8 << 20;

/// Payloads up to this size are copied next to their header, larger ones are written from where they are: below this
/// size, a copy is cheaper than two more entries of a vectored write.
pub const COPY_BELOW_BYTES: usize = 4 << 10;

/// Scratch buffers of the writer that grew beyond this are freed after the group.
pub const KEEP_SCRATCH_BYTES: usize = 1 << 20;

/// Default size at which a segment is closed: large enough that creating one (two fsyncs) is rare, small enough that
/// disk space is freed soon after the slowest reader has passed.
pub const DEFAULT_SEGMENT_BYTES: u64 = 64 << 20;

/// Smallest and largest segment size that can be configured. The largest bounds [`SEQUENCE_JUMP`].
pub const MIN_SEGMENT_BYTES: u64 = 4 << 10;
/// See [`MIN_SEGMENT_BYTES`].
pub const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// A segment takes at most this fraction (1/4) of the disk budget, so that even a small budget is freed in steps.
pub const SEGMENTS_IN_BUDGET: u64 = 4;

/// Smallest disk budget: four of the smallest segments.
pub const MIN_SIZE_BYTES: u64 = SEGMENTS_IN_BUDGET * MIN_SEGMENT_BYTES;

/// Default disk budget.
pub const DEFAULT_MAX_SIZE_BYTES: u64 = 8 << 30;

/// Default memory for recent entries, which serves readers that keep up.
pub const DEFAULT_RECENT_BYTES: usize = 16 << 20;

/// Minimum time between two writes of the cursors. A crash repeats at most this much delivery to sinks that can't store
/// a position themselves, and an fsync every half second costs nothing.
pub const CURSOR_INTERVAL: Duration = Duration::from_millis(500);

/// The last durable frame is stored with the cursors this long after an append. By then, sinks that keep up have
/// usually moved their cursors, so that both are stored together.
pub const DURABLE_SAVE_DELAY: Duration = Duration::from_millis(20);

/// Readers, open or closed. A configuration has tens of sinks.
pub const MAX_READERS: usize = 4096;

/// Length of a reader's name in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// Most bytes of a segment file that a reader reads at once (unless one frame is larger).
pub const MAX_READ_BYTES: usize = 1 << 20;

/// Bytes read at once when segment files are checked.
pub const SCAN_BYTES: usize = 256 << 10;

/// Every so many bytes, a position in the segment is remembered for readers that start in the middle.
pub const INDEX_EVERY_BYTES: u64 = 256 << 10;

/// How far sequence numbers jump after `sync = "off"` may have lost frames that readers had already seen: more than the
/// number of frames that fit into the largest segment (2^30 / 52 < 2^25). Only the last segment can lose any, so no
/// number is ever given to two different frames.
pub const SEQUENCE_JUMP: u64 = 1 << 25;

/// With `sync = "100ms"`, bytes that cause an early fsync: until then they are held in memory.
pub const MAX_UNSYNCED_BYTES: u64 = 16 << 20;

/// Positions that a reader remembers between handing out an entry and its commit, to count records exactly. Beyond it,
/// the newest replaces the one before, and the lag may be reported slightly too large.
pub const MAX_HANDED_OUT: usize = 4096;
