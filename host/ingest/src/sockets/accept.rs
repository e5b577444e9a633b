//! Accepts connections, within their limits, and ends them when the listener stops.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::{future::Future, pin::pin};

use metrics::{counter, gauge};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::deliver::{Listener, Session};
use super::protocol::Kind;
use super::{Transport, stream};
use crate::limits;
use crate::metrics::{CONNECTIONS, CONNECTIONS_TOTAL, TURNED_AWAY};
use crate::protocols::forward;
use crate::remote::Remote;
use crate::traffic::{AnyStream, CountingStream, Duplex, Usage};

/// A socket that accepts connections.
pub(super) trait Accept {
    type Stream: Connection;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A connection that was accepted.
pub(super) trait Connection: Duplex + 'static {
    /// The address of the other end; that of this machine for a Unix socket.
    fn address(&self) -> IpAddr;

    /// The same as one that TLS can be spoken on; `None` for a Unix socket.
    fn tcp(self) -> Result<TcpStream, Self>
    where
        Self: Sized;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // Answers are small, and a peer that is gone must not keep its place for ever.
        stream.set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(limits::KEEPALIVE).with_interval(limits::KEEPALIVE);
        socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        Ok(stream)
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Connection for TcpStream {
    fn address(&self) -> IpAddr {
        // A connection whose address can't be read any more is over.
        self.peer_addr().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip().to_canonical())
    }

    fn tcp(self) -> Result<TcpStream, Self> {
        Ok(self)
    }
}

impl Connection for UnixStream {
    fn address(&self) -> IpAddr {
        IpAddr::from([127, 0, 0, 1])
    }

    fn tcp(self) -> Result<TcpStream, Self> {
        Err(self)
    }
}

/// Serves connections until `shutdown` completes, and then until each has stored what it has read.
pub(super) async fn serve<A: Accept>(
    listener: &Arc<Listener>,
    socket: &A,
    transport: Transport,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = socket.next() => match accepted {
                Ok(stream) => admit(listener, stream, transport, &stopped, &mut connections),
                Err(error) => {
                    listener.closes("a client", &format!("it can't be accepted: {error}"));
                    sleep(limits::ACCEPT_PAUSE).await;
                }
            },
        }
    }
    _ = stop.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(limits::SOCKET_GRACE, all).await.is_err() {
        connections.shutdown().await;
    }
}

/// Serves a connection if there is a place for it.
fn admit<C: Connection>(
    listener: &Arc<Listener>,
    stream: C,
    transport: Transport,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    let address = stream.address();
    let turn_away = |reason: &str| {
        counter!(TURNED_AWAY).increment(1);
        listener.closes(&address.to_string(), reason);
    };
    if connections.len() >= listener.options.max_connections {
        let most = listener.options.max_connections;
        return turn_away(&format!("all {most} connections are in use; raise `max_connections` of this [[listen]]"));
    }
    let remote = match Remote::of_address(address, &listener.shared.access) {
        Ok(remote) => remote,
        Err(denied) => return turn_away(&denied.to_string()),
    };
    counter!(CONNECTIONS_TOTAL).increment(1);
    let (listener, stopped) = (Arc::clone(listener), stopped.clone());
    connections.spawn(async move {
        let open = gauge!(CONNECTIONS);
        open.increment(1.0);
        // Decrements also if serving is cancelled.
        let _open = Open(open);
        match (transport, stream.tcp()) {
            (Transport::Tls, Ok(stream)) => encrypted(&listener, stream, remote, stopped).await,
            (_, Ok(stream)) => speak(&listener, Box::new(stream), &remote, &stopped).await,
            (_, Err(stream)) => speak(&listener, Box::new(stream), &remote, &stopped).await,
        }
    });
}

struct Open(metrics::Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

async fn encrypted(listener: &Arc<Listener>, stream: TcpStream, remote: Remote, mut stopped: watch::Receiver<bool>) {
    let Some(tls) = listener.shared.tls.clone() else { return };
    let usage = Usage::begin();
    // What follows the handshake doesn't have to be HTTP.
    usage.upgraded();
    let stream = CountingStream::new(stream, usage);
    let accepted = tokio::select! {
        accepted = tls.accept(stream, listener.shared.handshake_timeout) => accepted,
        _ = stopped.changed() => None,
    };
    if let Some((stream, certificate)) = accepted {
        speak(listener, Box::new(stream), &remote.encrypted(certificate), &stopped).await;
    }
}

async fn speak(listener: &Arc<Listener>, stream: AnyStream, remote: &Remote, stopped: &watch::Receiver<bool>) {
    let session = match Session::of_connection(listener, remote, stopped) {
        Ok(session) => session,
        Err(denied) => return listener.closes(&remote.address.to_string(), &denied.to_string()),
    };
    let ended = match &listener.options.protocol.kind {
        Kind::OneWay(protocol) => stream::receive(&session, protocol, stream).await,
        Kind::Forward => forward::serve(&session, stream).await,
    };
    if let Err(reason) = ended {
        listener.closes(&session.peer, &reason);
    }
}
