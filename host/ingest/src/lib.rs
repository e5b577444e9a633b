//! HTTP ingest: bytes from any sender in, one batch of canonical records out, one answer back.
//!
//! A request's way: `server` accepts the connection, `connection` runs HTTP/1.1 or HTTP/2 on it, `routes` finds what
//! the path means, `post` reads the body within bounds, lets the protocol turn it into a batch, hands that to the
//! [`Intake`] (the pipeline) and waits until the records are durable; `reply` words the answer.
//!
//! | file | purpose |
//! |---|---|
//! | `server` | accept loop, bound on connections, graceful shutdown |
//! | `connection` | one connection: HTTP versions and their bounds, silence, drain |
//! | `traffic` | how a connection is used: requests, bytes, floods |
//! | `hosts` | the names that a server on a loopback address answers to |
//! | `routes` | path and method to answer; `/health`, `/ready`, `/metrics`, `/` |
//! | `post` | the way of one posted body, from its head to the answer |
//! | `request` | what a head says: content type, encoding, whether a web page sent it; sniffing |
//! | `body` | reading a body within size and time |
//! | `decompress` | gzip, deflate, zstd, within a bound on what comes out |
//! | `context` | query parameters and tracing headers that fill what records lack |
//! | `protocols` | one file per protocol and the slice that lists them |
//! | `reply` | answers and refusals, as JSON |
//! | `flight` | the bounds on bytes held for all requests and answers together |
//! | `intake` | the door to the pipeline: what is handed over, what comes back |
//! | `limits`, `options` | every bound with its reason; those an operator can change |
//! | `client` | asks a running router, for the commands |
//! | `metrics`, `log_limit` | what is counted; how often something is logged |
//!
//! Invariants: a 2xx is sent only after the intake confirmed; nothing is buffered without a bound; a request is answered
//! once, in its sender's protocol; nothing here touches the disk.
#![forbid(unsafe_code)]

mod body;
pub mod client;
mod connection;
mod context;
mod decompress;
mod flight;
mod hosts;
mod intake;
pub mod limits;
mod log_limit;
mod metrics;
mod options;
mod post;
mod protocols;
mod reply;
mod request;
mod routes;
mod server;
mod traffic;

pub use intake::{Delivery, Intake, Problem, Receipt, Refusal};
pub use metrics::describe_metrics;
pub use options::{HttpOptions, check_allowed_host};
pub use post::REPLAY_HEADER;
pub use server::{IngestError, Requests, serve};
