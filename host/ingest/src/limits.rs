//! Every bound of this crate, each with its unit and its reason. Those in [`HttpOptions`](crate::HttpOptions) are
//! defaults that a configuration can change; the others are fixed.

use std::time::Duration;

/// Bytes of one body as sent. Shippers batch 1–5 MB; this leaves room and bounds what one request can hold.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of one body after decompression: logs compress about 4 to 1, bombs 1,000 to 1.
pub const MAX_DECOMPRESSED_BYTES: usize = 64 * 1024 * 1024;

/// Bytes held for all requests together, from the first of a body until the answer. Several of the largest
/// bodies fit; memory stays bounded when the disk stalls under full load.
pub const MAX_IN_FLIGHT_BYTES: usize = 256 * 1024 * 1024;

/// Bytes counted in flight at least for a request besides its body: head, task and answer.
pub const REQUEST_OVERHEAD_BYTES: usize = 2 * 1024;

/// Bytes of that which are not the head.
pub const REQUEST_TASK_BYTES: usize = 1024;

/// Bytes that a header costs besides its name and value: its place in the map.
pub const HEADER_BYTES: usize = 128;

/// Bytes of answers that clients have not taken yet, and of the heads of requests that are read rather than posted to.
/// Apart from [`MAX_IN_FLIGHT_BYTES`], so that `/health` answers while senders fill that.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of an answer that is not counted. At most [`MAX_STREAMS`] of them wait on one connection.
pub const SMALL_ANSWER_BYTES: usize = 256;

/// Bytes that a page costs while it is made.
pub const PAGE_BYTES: usize = 4 * 1024;

/// Connections open at a time. Each costs a file descriptor and, beyond what is counted above, at most 0.6 MiB:
///
/// | a connection with | KiB, measured at 400 and at 800 connections |
/// |---|---|
/// | nothing, HTTP/2 | 13 |
/// | a head of 60 KB that is being read, HTTP/1.1 ([`READ_BUFFER_BYTES`]) | 65 |
/// | [`MAX_STREAMS`] streams, all but one with an answer that the client doesn't take, HTTP/2 | 546–590 |
///
/// So what clients can make Weir hold is at most `max_in_flight` + [`MAX_ANSWER_BYTES`] + 0.6 MiB × `max_connections`.
/// A window of [`CONNECTION_WINDOW_BYTES`] comes on top only while the machine lags behind.
pub const MAX_CONNECTIONS: usize = 1024;

/// Connections over the bound that are being told so at a time; beyond it they are just closed. Each costs a file
/// descriptor, like those within the bound.
pub const MAX_TURNED_AWAY: usize = 64;

/// How long a connection over the bound may take to hear why.
pub const TURNED_AWAY_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection may be without a request: between two requests, while the head of one trickles in, or before
/// it has said which HTTP it speaks. Keep-alive clients reconnect by themselves; slow heads free their place.
pub const QUIET_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a body may stay without a single new byte.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a whole body may take. 16 MiB in this time is 2.2 Mbit/s: slower senders should send smaller batches.
pub const BODY_TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the pipeline may take to confirm. A stalled disk looks like this; the sender is then told to send again.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long decoding a body may take, as far as a stop is concerned: the largest take about a second, and wait for each
/// other.
pub const DECODE_TIME: Duration = Duration::from_secs(5);

/// How long an HTTP/2 connection closed for silence may take to say goodbye, and how long a connection without a request
/// is kept when the server stops.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause after a failed accept (usually: out of file descriptors), so that the loop doesn't spin. It ends early when a
/// connection does, which frees a descriptor.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often a line of one kind may be logged about what clients do.
pub const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that a connection may send without an answered request or a byte of a body among them, before it is ended as
/// a flood: a quarter of a million PING frames. All requests that may be open at once fit, with the largest heads.
pub const FLOOD_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of the read buffer of an HTTP/1.1 connection, which also bounds a request's head (431 beyond it). Big enough
/// to take most batches in few reads.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Headers of a request: hyper's own bound for HTTP/1.1, kept because any other costs an allocation a request. More
/// are answered with 431.
pub const MAX_HEADERS: usize = 100;

/// Bytes of all headers of an HTTP/2 request, as HPACK counts them; more are answered with 431.
pub const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;

/// Requests open at a time on one HTTP/2 connection. Clients take 100 for granted until they are told.
pub const MAX_STREAMS: u32 = 128;

/// Streams that a client has reset before we looked at them, and streams that we had to reset because of what a client
/// sent: beyond it the connection is ended as a flood.
pub const MAX_RESET_STREAMS: usize = 128;

/// Bytes an HTTP/2 sender may be ahead of us, in one request and on one connection: 20 Mbit/s at a round trip of 100 ms.
pub const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// How often a quiet HTTP/2 connection is asked whether it lives, and how long it has to answer.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Bytes of a refused body that are read and thrown away, so that a sender who writes first and reads later sees the
/// answer and not a reset connection.
pub const DRAIN_BYTES: usize = 32 * 1024 * 1024;

/// How long a refused body is read for.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of plain content up to which a body is parsed on the network thread: about 0.3 ms. Above it, a thread made
/// for blocking work does it, so that other connections don't wait.
pub const INLINE_BYTES: usize = 256 * 1024;

/// Bytes of a compressed body up to which decompressing on the network thread is tried (within [`INLINE_BYTES`]).
pub const INLINE_COMPRESSED_BYTES: usize = 64 * 1024;

/// Bytes the decompression buffer grows by at first; it doubles later, within the bound.
pub const DECOMPRESS_STEP_BYTES: usize = 32 * 1024;

/// Logarithm of the largest zstd window accepted: 8 MiB, the bound that RFC 9659 sets for HTTP. The window is memory
/// that a frame of a few bytes can ask for.
pub const ZSTD_WINDOW_LOG: u32 = 23;

/// Bytes of a URI's query that are read; longer ones are refused.
pub const MAX_QUERY_BYTES: usize = 8 * 1024;

/// Bytes of a measurement's message, which is there to be read by people.
pub const MAX_MEASURED_BYTES: usize = 1024;

/// Bytes of a host's name, which is what DNS allows.
pub const MAX_HOST_BYTES: usize = 255;

/// Names in `allowed_hosts`.
pub const MAX_ALLOWED_HOSTS: usize = 64;

/// Bytes of `?source=` and of `X-Request-ID`: they are copied into every record that lacks one.
pub const MAX_LABEL_BYTES: usize = 256;

/// Errors listed in one answer; the rest is counted.
pub const MAX_ERRORS_LISTED: usize = 100;

/// Characters of one listed error.
pub const MAX_ERROR_CHARS: usize = 500;

/// Seconds after which a sender should try again when too much is in flight.
pub const RETRY_BUSY_S: u32 = 1;

/// Seconds after which a sender should try again when the journal is full: somebody has to make room first.
pub const RETRY_FULL_S: u32 = 10;
