//! The server as its clients see it: real sockets, raw bytes, a real HTTP client, and a fake intake.
//!
//! | file | scenarios |
//! |---|---|
//! | `answers` | the answers to requests of all kinds, every status |
//! | `bounds` | bodies, heads and bytes in flight at and over their limits |
//! | `connections` | slow, many, pipelined, half-closed, disconnecting clients; the server's stop |
//! | `counts` | the metrics |
//! | `sockets` | listeners for sockets, when records can't be stored |
//! | `support` | the server under test, the fake intake, a raw client |

mod answers;
mod bounds;
mod connections;
mod counts;
mod sockets;
mod support;
