//! The server as its clients see it: real sockets, raw bytes and a real HTTP client, an intake that only remembers.
//!
//! | file | scenarios |
//! |---|---|
//! | `answers` | what comes back for what was sent, every status |
//! | `bounds` | bodies, heads and bytes in flight at and over their bounds |
//! | `connections` | slow, many, pipelined, half-closed, vanishing clients; the server's stop |
//! | `counts` | what a Prometheus server sees |
//! | `support` | the server under test, the intake, a client of raw bytes |

mod answers;
mod bounds;
mod connections;
mod counts;
mod support;
