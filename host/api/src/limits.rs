//! Limits, each with its unit and reason.

use std::time::Duration;

/// Streams at a time; beyond it, clients get a 503. Each takes a task and up to about 300 KiB when its client is slow.
pub const MAX_STREAMS: usize = 2048;
/// Records of the backlog: all that can be in memory.
pub const MAX_BACKLOG: usize = 1_000_000;
/// Size of a client's message over a WebSocket: a query is at most 16 KiB.
pub const MAX_MESSAGE_BYTES: usize = 64 << 10;
/// Buffers of a WebSocket for sending. Larger steps are written in pieces.
pub const WRITE_BUFFER_BYTES: usize = 64 << 10;
/// Buffer of a WebSocket for reading. Clients send little.
pub const READ_BUFFER_BYTES: usize = 4 << 10;
/// A client that takes nothing for so long is disconnected, so that it doesn't cost counting what it misses.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a quiet connection is used, so that proxies keep it open and a client that is gone is noticed.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A WebSocket's client that sends nothing for so long, not even the answer to a ping, is disconnected.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(60);
/// How often totals are sent.
pub const STATS_INTERVAL: Duration = Duration::from_secs(1);
/// Sources in the totals.
pub const STATS_SOURCES: usize = 100;

/// Searches at a time: each uses a connection and a core; beyond it, they wait.
pub const MAX_SEARCHES: usize = 4;
/// How long a search waits for its turn before it is answered with 503.
pub const SEARCH_WAIT: Duration = Duration::from_secs(10);
/// How long a search may take.
pub const SEARCH_TIMEOUT: Duration = Duration::from_secs(30);
/// Records of one answer.
pub const MAX_RECORDS: usize = 1000;
pub const DEFAULT_RECORDS: usize = 100;
/// Bytes of records in one answer. It ends early beyond it, and `next` continues.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Entries of the quarantine in one answer.
pub const MAX_ENTRIES: usize = 1000;
pub const DEFAULT_ENTRIES: usize = 100;
/// Size of a module that is tried, as of one in the filters folder.
pub const MAX_MODULE_BYTES: usize = 128 << 20;
/// Size of the body of any other request: a list of a thousand entries of the quarantine.
pub const MAX_BODY_BYTES: usize = 256 << 10;
/// How long a body may take.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Requests at a time that change something. One that tries a module has that in memory; beyond it, they wait.
pub const MAX_ACTS: usize = 2;
/// Requests at a time that ask how the router is. Each has a thread; beyond it, they wait.
pub const MAX_STATUS_REQUESTS: usize = 4;
/// How long such requests wait for their turn before they are answered with 503.
pub const TURN_WAIT: Duration = Duration::from_secs(10);
/// Buckets of a histogram: as many as a wide screen can tell apart.
pub const MAX_BUCKETS: usize = 500;
pub const DEFAULT_BUCKETS: usize = 60;
/// Sources that a histogram names.
pub const HISTOGRAM_SOURCES: usize = 10;
/// Records that fields and their values are counted in.
pub const SAMPLE_RECORDS: usize = 10_000;
/// Bytes of records in a sample.
pub const SAMPLE_BYTES: usize = 32 << 20;
/// Records of a sample that are read at a time.
pub const SAMPLE_PAGE: usize = 1000;
/// Fields of a sample.
pub const MAX_FIELDS: usize = 500;
/// Different values counted for a field; a field with more is not worth a list.
pub const MAX_VALUES: usize = 1000;
/// Values listed for each field, unless one field is asked for.
pub const LISTED_VALUES: usize = 20;
/// Longer values are not counted: nobody filters for them.
pub const MAX_VALUE_BYTES: usize = 256;
/// Records of an export that are read at a time.
pub const EXPORT_PAGE: usize = 1000;
