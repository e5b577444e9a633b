//! Limits, each with its unit and reason.

use std::time::Duration;

/// Length of a token's name, in bytes: it is shown in lists and logs.
pub const MAX_NAME_BYTES: usize = 64;
/// Sources or routes of one token: each is tested for every record.
pub const MAX_SCOPE: usize = 32;
/// A pattern of a scope, in bytes.
pub const MAX_PATTERN_BYTES: usize = 256;
/// What a request may show as its token, in bytes. Longer ones aren't hashed.
pub const MAX_SHOWN_BYTES: usize = 1024;

/// A session that isn't used for so long ends: a day that somebody was away.
pub const SESSION_IDLE: Duration = Duration::from_secs(24 * 3600);
/// A session ends after this time in any case.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Sessions at a time; beyond it, the one that was not used for the longest time ends.
pub const MAX_SESSIONS: usize = 10_000;
/// How long a ticket can be used. It is used as soon as it is received.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(10);
/// Tickets at a time; beyond it, the oldest is void.
pub const MAX_TICKETS: usize = 10_000;

/// Wrong tokens from one address in [`FAILURES_INTERVAL`]; beyond it, they are refused without being looked up.
pub const MAX_FAILURES: u32 = 20;
/// See [`MAX_FAILURES`].
pub const FAILURES_INTERVAL: Duration = Duration::from_secs(60);
/// Addresses that are remembered for wrong tokens; beyond it, the oldest are forgotten.
pub const MAX_FAILING_ADDRESSES: usize = 10_000;

/// Addresses that are remembered with what they use, besides those that have a connection: a few megabytes.
pub const MAX_ADDRESSES: usize = 10_000;
/// Tokens of one address that take turns by themselves; beyond it, those without a request are forgotten.
pub const TOKENS_OF_ADDRESS: usize = 256;
/// How much of a rate may be used at once if nothing else is configured, as the time in which it accrues.
pub const BURST: Duration = Duration::from_secs(1);
/// Connections of one address of another machine, if nothing else is configured: a quarter of those that a router
/// accepts. A shipper needs a few, a browser six.
pub const ADDRESS_CONNECTIONS: u64 = 256;
/// Live streams of such an address: those of the people of an office, a sixteenth of all.
pub const ADDRESS_STREAMS: u64 = 128;
/// Searches of such an address at a time: all but one of those that a router runs.
pub const ADDRESS_SEARCHES: u64 = 3;
/// Searches of one sender that wait for its others: those of several pages.
pub const WAITING_SEARCHES: u64 = 16;
/// When to try again after too many connections, streams or searches.
pub const RETRY_PLACE: Duration = Duration::from_secs(2);
/// Minimum interval between log lines about refusals.
pub const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of requests in progress that a sender may have for each core while others send: little enough to be processed
/// within milliseconds. A flood of large requests loses some of its throughput meanwhile.
pub const SHARE_BYTES_PER_CORE: usize = 256 << 10;
/// How long a sender counts as one of several after a request of another, in nanoseconds.
pub const SHARE_NS: u64 = 1_000_000_000;
/// How long a request waits for its sender's others.
pub const TURN_WAIT: Duration = Duration::from_secs(10);
