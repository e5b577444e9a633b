//! The accept loop: bound on connections, and a stop that lets requests finish.
//!
//! The way in: the binary binds a socket and calls [`serve`], tests do the same on port 0. Each connection is a task of
//! its own (`connection`). Invariants: at most `max_connections` are served at a time; after `serve` returned no request
//! is answered any more and the port is free.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use crate::{HttpOptions, Intake, connection, limits, routes::Endpoint};

/// Why a server could not run, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A setting can't be used.
    #[error("http: {0}")]
    Options(String),
    /// The socket is not what it should be.
    #[error("http: can't tell the address of the listening socket: {0}")]
    Listener(io::Error),
    /// The stop took longer than it may.
    #[error(
        "http: {requests} requests were not answered within the {grace:?} that a stop may take; their senders will send again"
    )]
    Unanswered {
        /// How many.
        requests: usize,
        /// The bound.
        grace: std::time::Duration,
    },
}

/// How many requests are being answered, for whoever wants to know while a server runs.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<AtomicUsize>);

impl Requests {
    /// Requests being answered now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn begin(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn end(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves HTTP on `listener` until `shutdown` completes: then no connection is accepted any more, requests in flight are
/// answered for at most `options.shutdown_grace`, and what is left is closed. `requests` counts those being answered.
///
/// # Errors
/// [`IngestError::Options`] before anything is accepted, [`IngestError::Unanswered`] after a stop that ran out of time.
pub async fn serve(
    listener: TcpListener,
    options: HttpOptions,
    intake: Arc<dyn Intake>,
    requests: Requests,
    shutdown: impl Future<Output = ()>,
) -> Result<(), IngestError> {
    options.check().map_err(IngestError::Options)?;
    let address = listener.local_addr().map_err(IngestError::Listener)?;
    let endpoint = Arc::new(Endpoint::new(options, intake, requests, address));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    accept(&listener, &endpoint, &stopped, &mut connections, shutdown).await;
    drop(listener);
    _ = stop.send(true);
    finish(&endpoint, connections).await
}

async fn accept(
    listener: &TcpListener,
    endpoint: &Arc<Endpoint>,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let turned_away = Arc::new(AtomicUsize::new(0));
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            Some(ended) = connections.join_next() => gone(endpoint, ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < endpoint.options.max_connections => {
                    endpoint.meters.connections_total.increment(1);
                    endpoint.meters.connections.increment(1.0);
                    connections.spawn(connection::serve(Arc::clone(endpoint), stream, stopped.clone()));
                }
                Ok((stream, _)) => {
                    endpoint.meters.turned_away.increment(1);
                    turn_away(stream, &turned_away, endpoint.options.max_connections);
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection; raise the limit of open files if it is that");
                    sleep(limits::ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

fn gone(endpoint: &Endpoint, ended: Result<(), JoinError>) {
    endpoint.meters.connections.decrement(1.0);
    if let Err(error) = ended
        && error.is_panic()
    {
        endpoint.meters.failed.increment(1);
        tracing::error!(%error, "serving a connection failed unexpectedly; only this connection was closed");
    }
}

/// Lets requests in flight finish within the grace, closes what is left.
async fn finish(endpoint: &Endpoint, mut connections: JoinSet<()>) -> Result<(), IngestError> {
    let options = &endpoint.options;
    let grace = options.shutdown_grace.unwrap_or_else(|| options.longest_request());
    let all = async {
        while let Some(ended) = connections.join_next().await {
            gone(endpoint, ended);
        }
    };
    if timeout(grace, all).await.is_ok() {
        return Ok(());
    }
    let requests = endpoint.requests.open();
    connections.abort_all();
    while let Some(ended) = connections.join_next().await {
        gone(endpoint, ended);
    }
    if requests == 0 { Ok(()) } else { Err(IngestError::Unanswered { requests, grace }) }
}

/// Tells a client that there are too many, without holding a place for it; silently beyond a small number, so that a
/// flood costs nothing.
fn turn_away(mut stream: TcpStream, count: &Arc<AtomicUsize>, bound: usize) {
    if count.fetch_add(1, Ordering::AcqRel) >= limits::MAX_TURNED_AWAY {
        count.fetch_sub(1, Ordering::AcqRel);
        return;
    }
    let count = Arc::clone(count);
    tokio::spawn(async move {
        let body = format!(r#"{{"error":"all {bound} connections are in use; try again in a moment"}}"#);
        let answer = format!(
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             retry-after: {}\r\nconnection: close\r\n\r\n{body}",
            body.len(),
            limits::RETRY_BUSY_S
        );
        let told = async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            // Closing with unread bytes would reset the connection and take the answer with it.
            let mut rest = [0; 4096];
            while stream.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        };
        _ = timeout(limits::TURNED_AWAY_TIMEOUT, told).await;
        count.fetch_sub(1, Ordering::AcqRel);
    });
}
