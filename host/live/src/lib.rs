//! The live stream: recent records in memory, and clients that watch them with a query each.
//!
//! The router feeds it from the journal ([`Live::push`]), so only durable records are shown, and the pipeline never
//! waits. A client is a position in the memory, so there are no queues: a client that is too slow is overtaken by the end
//! of the memory, and then the records that it would have got are counted, exactly.
//!
//! | file | purpose |
//! |---|---|
//! | `live` | the memory: what enters, what leaves, who is overtaken |
//! | `client` | one client: where it begins, what it gets next |
//! | `progress` | how far a client is, and what it missed |
//! | `step` | what all clients of a query get at a place: found, counted and rendered once |
//! | `frame` | one frame of the journal, with what clients found out about it |
//! | `totals` | what passed, counted |
//! | `query` | queries that several clients share |
//! | [`message`] | records as JSON |
//! | [`limits`] | all limits |
//!
//! Invariants: of what was pushed, records received + records missed = records that match, for each client, in the order
//! of the journal; memory is bounded, whatever clients do: frames and what was rendered of them have a limit each; without
//! clients, no record is looked at.

mod client;
mod frame;
pub mod limits;
mod live;
pub mod message;
mod progress;
mod query;
mod step;
#[cfg(test)]
mod tests;
mod totals;

pub use client::{Client, Next, Start};
pub use live::{Edit, Live, TooManyClients};
pub use query::Scope;
pub use step::{Form, Item, Messages, Step};
pub use totals::Totals;
