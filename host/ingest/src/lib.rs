//! Ingest: reads requests over HTTP and messages over sockets, turns them into batches of canonical records, and answers
//! them.
//!
//! The path of a request: `server` accepts the connection, `connection` runs HTTP/1.1 or HTTP/2 on it, and `routes`
//! maps the path to a handler. `post` reads the body, has the protocol turn it into a batch, submits that to the
//! [`Intake`] (the pipeline) and waits until the records are durable. `reply` writes the answer.
//!
//! | file | purpose |
//! |---|---|
//! | `server` | accept loop, bound on connections, graceful shutdown |
//! | `connection` | one connection: HTTP versions and their limits, idle timeout, drain |
//! | `traffic` | activity of a connection: requests, bytes, floods |
//! | `hosts` | the host names that a server on a loopback address answers to |
//! | `origins` | the other origins whose pages may send records |
//! | `routes` | path and method to answer; `/health`, `/ready`, `/metrics`, `/` |
//! | `rules` | what applies to all that one listener receives |
//! | `post` | a posted body, from its head to the answer |
//! | `request` | headers: content type, encoding, whether a web page sent the request; sniffing |
//! | `body` | reading a body within size and time |
//! | `decompress`, `snappy` | gzip, deflate, zstd, Snappy, within a bound on what comes out |
//! | `tls`, `tls/` | TLS: certificates, keys, handshakes |
//! | `remote` | the other end of a connection: its address, its certificate, and among whose connections it is counted |
//! | `credentials` | what a request shows to say who sent it |
//! | `context` | query parameters and tracing headers that fill what records lack |
//! | `protocols` | one file per protocol and the slice that lists them |
//! | `sockets`, `sockets/` | listeners for protocols that are not HTTP |
//! | `reply` | answers and refusals, as JSON |
//! | `budget` | limits on bytes held by all requests and answers together |
//! | `key` | keys of requests that senders may repeat |
//! | `intake` | the interface to the pipeline |
//! | `pages` | the interface to what is read: the page, the API |
//! | `limits`, `options` | every limit with its reason; those that can be configured |
//! | `client`, `client/trust` | queries a running router, for the commands; which certificates it trusts |
//! | `metrics`, `log_limit` | counters; rate limit of log lines |
//!
//! Invariants: a 2xx is sent only after the intake has confirmed; every buffer is bounded; every request is answered
//! once, in the protocol of its sender; nothing here accesses the disk.

mod body;
mod budget;
pub mod client;
mod connection;
mod context;
mod credentials;
mod decompress;
mod hosts;
mod intake;
mod key;
pub mod limits;
mod log_limit;
mod metrics;
mod options;
mod origins;
mod pages;
mod post;
mod protocols;
mod remote;
mod reply;
mod request;
mod routes;
mod rules;
mod server;
mod snappy;
mod sockets;
mod tls;
mod traffic;

pub use intake::{Delivery, DeliveryKey, Intake, Receipt, RecordError, Refusal};
pub use metrics::describe_metrics;
pub use options::{HttpOptions, check_allowed_host, check_allowed_origin};
pub use pages::{PageBody, PageFuture, Pages};
pub use post::REPLAY_HEADER;
pub use protocols::protocol_names;
pub use rules::ListenRules;
pub use server::{Boxed, IngestError, Requests, serve};
pub use sockets::{Bound, ListenAddress, Place, SOCKET_PROTOCOLS, SocketOptions, SocketProtocol, Sockets, Transport};
pub use tls::{Certificate, Loaded, SelfSigned, Tls, TlsError, TlsFiles};
