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
