//! Who may do what, and how much of it: tokens with their roles, sessions of the page, tickets for streams, and limits
//! of tokens and addresses.
//!
//! | file | purpose |
//! |---|---|
//! | `token` | random tokens, and what is stored of one |
//! | `grant` | what a token permits |
//! | `access` | from what a request shows to its [`Caller`] |
//! | `certificate` | client certificates that stand for tokens |
//! | `passes` | sessions and tickets: secrets that stand for a token for a while |
//! | `failures` | too many wrong tokens from one address |
//! | `quota` | what an address or a token may use |
//! | `account` | what it uses at present; the addresses that are remembered |
//! | `bucket` | token buckets, for rates |
//! | `charge` | charges callers, and refuses what exceeds their quota |
//! | `share` | fair sharing among senders |
//! | `limits` | all limits |
//!
//! A token is 256 random bits. It is never stored: its BLAKE3 hash is, and a request's token is found by its hash. So
//! neither the data folder nor the time that a comparison takes tells anything about a token.
//!
//! Invariants
//! - **Without tokens, nothing is checked only where that was said to be safe** ([`Access::new`]): on a loopback address
//!   or by an operator's explicit wish. If the last token is revoked elsewhere, nobody has access.
//! - A revoked or expired token ends its sessions and tickets at once.
//! - A scope is a query, so it means the same wherever records are read.
//! - Changing a limit, or the tokens, forgets nothing of what is in use.

mod access;
mod account;
mod bucket;
mod certificate;
mod charge;
mod failures;
mod grant;
mod limits;
mod passes;
mod quota;
mod share;
mod token;

pub use access::{Access, Caller, Credential, Denied, Peer};
pub use account::{Account, Place};
pub use certificate::{ClientCertificate, FINGERPRINT_PREFIX, certificate_hash};
pub use charge::{ListenerQuota, describe_metrics};
pub use grant::{Grant, GrantError, Role, TokenEntry};
pub use limits::SESSION_LIFETIME;
pub use passes::SESSION_COOKIE;
pub use quota::{Quota, Resource};
pub use share::Turn;
pub use token::{Token, TokenHash};
