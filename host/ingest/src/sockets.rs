//! Listeners for protocols that are not HTTP: TCP, TLS, UDP and Unix sockets.
//!
//! | file | purpose |
//! |---|---|
//! | `address` | where to listen, and binding it |
//! | `protocol` | what a protocol of sockets is, and the slice that lists them |
//! | `accept` | accepts connections, within their limits |
//! | `stream` | a connection whose sender is not answered: frames to records |
//! | `datagrams` | datagrams to records |
//! | `chunks` | parts of messages, as GELF has them |
//! | `deliver` | records to the pipeline, and who sent them |
//!
//! Senders over HTTP are told to come back later. Most of these can't be told anything, so a connection is not read
//! further until what it has sent is stored; the sender's own buffers fill up then. Datagrams can't wait: they do so in
//! a bounded queue, and what does not fit is dropped and counted.
//!
//! Invariants: an acknowledgement is sent only for durable records; every buffer is bounded and counted; a listener that
//! is stopped first stores what it has read, and frees its address.

mod accept;
mod address;
mod chunks;
mod datagrams;
mod deliver;
mod protocol;
mod stream;
#[cfg(test)]
pub(crate) mod test_session;

use std::sync::Arc;

use weir_access::Access;
use weir_record::{Aliases, Level};

use crate::{Boxed, HttpOptions, Intake, ListenRules, Requests, Tls, budget::ByteBudget, limits, log_limit::LogLimit};

pub use address::{Bound, ListenAddress, Place, Transport};
pub(crate) use deliver::{Decoded, Listener, NotStored, Session};
pub(crate) use protocol::{Framing, Kind, OneWay};
pub use protocol::{SOCKET_PROTOCOLS, SocketProtocol};
pub(crate) use stream::Reader;

/// Options of one listener.
#[derive(Clone)]
pub struct SocketOptions {
    /// What its senders speak.
    pub protocol: &'static SocketProtocol,
    /// The `source` of records that have none.
    pub source: String,
    /// See [`limits::MAX_MESSAGE_BYTES`].
    pub max_message_bytes: usize,
    /// See [`limits::MAX_SOCKET_CONNECTIONS`].
    pub max_connections: usize,
    /// What applies to everything that is received here.
    pub rules: ListenRules,
    /// The key that senders must know, for protocols that have one.
    pub shared_key: Option<Arc<str>>,
    /// The names and passwords of senders, for protocols that have them; empty: senders need none.
    pub users: Arc<[(String, String)]>,
}

/// What all listeners of a router share.
#[derive(Clone)]
pub struct Sockets {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) access: Arc<Access>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) aliases: Arc<Aliases>,
    pub(crate) level: Level,
    pub(crate) flight: Arc<ByteBudget>,
    pub(crate) max_decompressed_bytes: usize,
    pub(crate) handshake_timeout: std::time::Duration,
    /// Deliveries in progress, for observers.
    pub(crate) requests: Requests,
    pub(crate) waiting_lines: LogLimit,
    pub(crate) closed_lines: LogLimit,
}

impl Sockets {
    /// Listeners with the options of the HTTP server, as far as they apply.
    #[must_use]
    pub fn new(options: &HttpOptions, intake: Arc<dyn Intake>, requests: Requests) -> Sockets {
        let largest = limits::MAX_MESSAGE_BYTES + options.max_decompressed_bytes;
        let flight = ByteBudget::shared(options.max_in_flight_bytes, options.max_connections, largest);
        let shared = Shared {
            intake,
            access: Arc::clone(&options.access),
            tls: options.tls.clone(),
            aliases: Arc::clone(&options.aliases),
            level: options.level,
            flight,
            max_decompressed_bytes: options.max_decompressed_bytes,
            handshake_timeout: options.quiet_timeout,
            requests,
            waiting_lines: LogLimit::default(),
            closed_lines: LogLimit::default(),
        };
        Sockets { shared: Arc::new(shared) }
    }

    /// Serves a bound address until `shutdown` completes, and then until what was read is stored, for at most
    /// [`limits::SOCKET_GRACE`].
    #[must_use]
    pub fn serve(&self, bound: Bound, options: SocketOptions, shutdown: Boxed<()>) -> Boxed<()> {
        use address::Socket::{Tcp, Udp, Unix, UnixDatagram};
        let listener = Arc::new(Listener::new(Arc::clone(&self.shared), options));
        Box::pin(async move {
            match bound.0 {
                Udp(socket) => datagrams::serve(&listener, &socket, shutdown).await,
                UnixDatagram(socket, _path) => datagrams::serve(&listener, &socket, shutdown).await,
                Tcp(socket, transport) => accept::serve(&listener, &socket, transport, shutdown).await,
                Unix(socket, _path) => accept::serve(&listener, &socket, Transport::Unix, shutdown).await,
            }
        })
    }
}
