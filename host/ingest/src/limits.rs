//! Every limit of this crate, with its unit and its reason. Those in [`HttpOptions`](crate::HttpOptions) are defaults
//! that can be configured; the others are fixed.

use std::time::Duration;

/// Bytes of one body as sent. Log shippers batch 1–5 MB; this leaves room and bounds what one request can hold.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of one body after decompression: logs compress about 4 to 1, bombs 1,000 to 1.
pub const MAX_DECOMPRESSED_BYTES: usize = 64 * 1024 * 1024;

/// Bytes held by all requests together, from the first byte of a body to the answer. Several of the largest bodies fit,
/// and memory stays bounded if the disk stalls under full load.
pub const MAX_IN_FLIGHT_BYTES: usize = 256 * 1024 * 1024;

/// How many times as long a compressed body counts as while senders take turns.
pub const USUAL_COMPRESSION: usize = 4;

/// Minimum bytes counted per request besides its body: head, task and answer.
pub const REQUEST_OVERHEAD_BYTES: usize = 2 * 1024;

/// The part of it that is not the head.
pub const REQUEST_TASK_BYTES: usize = 1024;

/// Bytes counted per header besides its name and value, for its entry in the map.
pub const HEADER_BYTES: usize = 128;

/// Bytes of answers that clients have not read yet, and of the heads of GET requests. Separate from
/// [`MAX_IN_FLIGHT_BYTES`], so that `/health` works while senders use all of that.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Answers up to this size are not counted. At most [`MAX_STREAMS`] of them wait on one connection.
pub const SMALL_ANSWER_BYTES: usize = 256;

/// Bytes counted for a page while it is created.
pub const PAGE_BYTES: usize = 4 * 1024;

/// Pages that are created at a time, others wait: each needs a thread and, for the metrics, up to 2 MiB.
pub const PAGES_AT_A_TIME: usize = 2;

/// Concurrent connections. Each costs a file descriptor and, beyond what is counted above, at most 0.6 MiB:
///
/// | a connection with | KiB, measured at 400 and at 800 connections |
/// |---|---|
/// | nothing, HTTP/2 | 13 |
/// | a head of 60 KB that is being read, HTTP/1.1 ([`READ_BUFFER_BYTES`]) | 65 |
/// | [`MAX_STREAMS`] streams, all but one with an answer that the client doesn't take, HTTP/2 | 546–590 |
/// | TLS, more than without, and up to 64 of encrypted bytes that the client doesn't take | 12 |
///
/// So clients can make Weir hold at most `max_in_flight` + [`MAX_ANSWER_BYTES`] + 0.6 MiB × `max_connections`. A window
/// of [`CONNECTION_WINDOW_BYTES`] per connection is added only while the machine lags behind. The allocator keeps some of
/// what was freed: with many large compressed bodies at a time, as much again.
pub const MAX_CONNECTIONS: usize = 1024;

/// Connections over the limit that are being answered with the reason at a time; more are closed without an answer.
/// Each costs a file descriptor, like those within the limit.
pub const MAX_REFUSED_CONNECTIONS: usize = 64;

/// Time for a connection over the limit to receive the reason.
pub const REFUSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a connection may be without a request: between two requests, within a slow head, or before it has sent a
/// byte. Keep-alive clients reconnect by themselves, and slow heads free their place.
pub const QUIET_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum time without a new byte of a body.
pub const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time for a whole body. 16 MiB in this time is 2.2 Mbit/s; slower senders should send smaller batches.
pub const BODY_TOTAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum time for the pipeline to confirm. If a stalled disk exceeds it, the sender is told to retry.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum time without a peer taking a byte of what is written to it. One that takes nothing for longer would keep its
/// place among connections and streams, and the memory of its answer, for as long as it likes.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time that a stop allows for decoding a body. The largest take about a second, and wait for each other.
pub const DECODE_TIME: Duration = Duration::from_secs(5);

/// Time for an HTTP/2 connection closed for inactivity to finish its shutdown handshake, and for a connection without a
/// request when the server stops.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause after a failed accept (usually because of exhausted file descriptors), so that the loop doesn't spin. It ends
/// early when a connection closes, which frees a descriptor.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Minimum interval between log lines of one kind about clients.
pub const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that a connection may send without an answered request or a byte of a body among them, before it is closed as
/// a flood: a quarter of a million PING frames. All concurrent requests fit, with the largest heads.
pub const FLOOD_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of the read buffer of an HTTP/1.1 connection. It also limits the head of a request (431 beyond it). Large
/// enough to read most batches in few reads.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Headers per request. This is hyper's default for HTTP/1.1; any other value costs an allocation per request. More are
/// answered with 431.
pub const MAX_HEADERS: usize = 100;

/// Bytes of all headers of an HTTP/2 request, as HPACK counts them. More are answered with 431.
pub const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;

/// Concurrent requests on one HTTP/2 connection. Clients assume 100 until they receive the setting.
pub const MAX_STREAMS: u32 = 128;

/// Streams that a client reset before we handled them, and streams that we had to reset because of what a client sent.
/// More close the connection as a flood.
pub const MAX_RESET_STREAMS: usize = 128;

/// HTTP/2 flow-control window in bytes, per request and per connection: 20 Mbit/s at a round trip of 100 ms.
pub const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// Interval of PINGs on a quiet HTTP/2 connection, and the time to answer them.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Bytes of a refused body that are read and discarded, so that a sender that writes first and reads later gets the
/// answer and not a reset connection.
pub const DRAIN_BYTES: usize = 32 * 1024 * 1024;

/// How long a refused body is drained.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an uncompressed body up to which it is parsed on the network thread: about 0.3 ms. Larger ones are parsed
/// on a blocking thread, so that other connections don't wait.
pub const INLINE_BYTES: usize = 256 * 1024;

/// Bytes of a compressed body up to which decompression on the network thread is tried (within [`INLINE_BYTES`]).
pub const INLINE_COMPRESSED_BYTES: usize = 64 * 1024;

/// Initial growth of the decompression buffer in bytes. Later it doubles, up to the limit.
pub const DECOMPRESS_STEP_BYTES: usize = 32 * 1024;

/// Base-2 logarithm of the largest zstd window accepted: 8 MiB, the limit that RFC 9659 sets for HTTP. A frame of a few
/// bytes can request this much memory.
pub const ZSTD_WINDOW_LOG: u32 = 23;

/// Names of a client's certificate that a token may have, and the bytes of each: as for a URI of SPIFFE.
pub const MAX_CERTIFICATE_NAMES: usize = 32;
/// See [`MAX_CERTIFICATE_NAMES`].
pub const MAX_CERTIFICATE_NAME_BYTES: usize = 2048;

/// Bytes of a query. Longer ones are refused.
pub const MAX_QUERY_BYTES: usize = 8 * 1024;

/// Bytes of one message over a socket: of a Fluent Forward message, a line, a syslog message. Shippers batch up to 2 MiB.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Maximum time without a new byte of a message that was begun: its bytes are held meanwhile.
pub const MESSAGE_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Connections of one listener for sockets. Shippers keep one or a few.
pub const MAX_SOCKET_CONNECTIONS: usize = 512;

/// Bytes that are read from a connection at once: about 0.3 ms of decoding.
pub const SOCKET_READ_BYTES: usize = 64 * 1024;

/// Digits of the length at the start of a syslog message: more than [`MAX_MESSAGE_BYTES`] needs.
pub const MAX_COUNT_DIGITS: usize = 9;

/// Bytes of the path of a Unix socket, as Linux limits them.
pub const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Time after which the system asks a quiet peer whether it is still there.
pub const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long a listener that is stopped has to store what it has read.
pub const SOCKET_GRACE: Duration = Duration::from_secs(5);

/// The first pause before records that were refused are offered again; it doubles up to [`RETRY_LONGEST`].
pub const RETRY_FIRST: Duration = Duration::from_millis(20);
/// See [`RETRY_FIRST`].
pub const RETRY_LONGEST: Duration = Duration::from_secs(1);

/// Bytes of a datagram: the most that UDP can carry.
pub const MAX_DATAGRAM_BYTES: usize = 64 * 1024;

/// Bytes of datagrams that the system keeps for a listener, if its own limit allows as much: some milliseconds of a
/// flood.
pub const DATAGRAM_BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of datagrams that wait to be stored by one listener, while a disk stalls.
pub const MAX_WAITING_DATAGRAM_BYTES: usize = 16 * 1024 * 1024;

/// Datagrams that wait to be stored by one listener: as many as one batch can set aside, if none is good.
pub const MAX_WAITING_DATAGRAMS: usize = weir_record::limits::MAX_BAD_PER_BODY;

/// Datagrams that are read before others have a turn.
pub const DATAGRAMS_AT_ONCE: usize = 256;

/// Bytes of them, decompressed: compressed ones become up to 1,000 times as large.
pub const DATAGRAM_BYTES_AT_ONCE: usize = 1024 * 1024;

/// Parts of one GELF message, as its specification limits them.
pub const MAX_CHUNKS: usize = 128;

/// How long the parts of a GELF message may take, as its specification says.
pub const CHUNKS_WAIT: Duration = Duration::from_secs(5);

/// GELF messages that wait for their parts, of one listener.
pub const MAX_CHUNKED_MESSAGES: usize = 1024;

/// Bytes of them together.
pub const MAX_CHUNKED_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of a question that a protocol's client asks, which are a few dozen.
pub const MAX_ASK_BYTES: usize = 64 * 1024;

/// Bytes of an index name, as in Elasticsearch.
pub const MAX_INDEX_BYTES: usize = 255;

/// Bytes of the id of a document, as in Elasticsearch.
pub const MAX_ID_BYTES: usize = 512;

/// Bytes of the items in the answer to a bulk request, 70 and more for each. Clients send 500 to 10,000 documents.
pub const MAX_BULK_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of a body that ids of its documents are made from. They contain the time of the first record.
pub const HASHED_BYTES: usize = 4 * 1024;

/// Bytes of a measurement's message, which is meant for people.
pub const MAX_MEASURED_BYTES: usize = 1024;

/// Bytes of a resource and a scope of OTLP, and of the labels of a stream of Loki, which are copied into each of their
/// records. Usual ones have some hundred.
pub const MAX_SHARED_BYTES: usize = 256 * 1024;

/// Labels of a stream of Loki, entries of structured metadata, parameters of an element of syslog. Each needs up to 48
/// bytes while it is read.
pub const MAX_PAIRS: usize = 16 * 1024;

/// Bytes of `grpc-message`, which is a header.
pub const MAX_GRPC_MESSAGE_BYTES: usize = 256;

/// Bytes of a host name, as in DNS.
pub const MAX_HOST_BYTES: usize = 255;

/// Names in `allowed_hosts`.
pub const MAX_ALLOWED_HOSTS: usize = 64;

/// Origins in `allowed_origins`.
pub const MAX_ALLOWED_ORIGINS: usize = 64;

/// Seconds for which a browser need not ask again whether a page may send records; the most that Chromium allows.
pub const PREFLIGHT_MAX_AGE_S: u32 = 7200;

/// Bytes of `?source=` and of `X-Request-ID`, which are copied into every record that lacks them.
pub const MAX_LABEL_BYTES: usize = 256;

/// Errors listed in one answer; the rest are only counted.
pub const MAX_ERRORS_LISTED: usize = 100;

/// Characters of one listed error.
pub const MAX_ERROR_CHARS: usize = 500;

/// Bytes of a notification of Alertmanager that are kept with each of its alerts. They are a few hundred, and what one
/// request makes Weir copy must not grow with the square of its size.
pub const MAX_ENVELOPE_BYTES: usize = 64 * 1024;

/// How often `envelope_` is put before a name of an event of Splunk that is taken. Names repeat once or twice, and what
/// one that is repeated throughout a body costs must not grow with the square of its number.
pub const MAX_ENVELOPE_PREFIXES: usize = 4;

/// Characters of a line that the error about it quotes: enough to find it.
pub const MAX_QUOTED_CHARS: usize = 100;

/// Value of `Retry-After` in seconds when too much is in flight.
pub const RETRY_BUSY_S: u32 = 1;

/// Value of `Retry-After` in seconds when the journal is full, which takes longer to resolve.
pub const RETRY_FULL_S: u32 = 10;
