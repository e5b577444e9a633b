//! Who may do what: tokens with their roles, sessions of the page, and tickets for streams.
//!
//! | file | purpose |
//! |---|---|
//! | `token` | random tokens, and what is stored of one |
//! | `grant` | what a token permits |
//! | `access` | from what a request shows to its [`Caller`] |
//! | `passes` | sessions and tickets: secrets that stand for a token for a while |
//! | `failures` | too many wrong tokens from one address |
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

mod access;
mod failures;
mod grant;
mod limits;
mod passes;
mod token;

pub use access::{Access, Caller, Credential, Denied, Peer};
pub use grant::{Grant, GrantError, Role, TokenEntry};
pub use limits::SESSION_LIFETIME;
pub use passes::SESSION_COOKIE;
pub use token::{Token, TokenHash};
