//! The accept loop: limits connections, and stops gracefully.
//!
//! The binary binds a socket and calls [`serve`]; tests do the same on port 0. Each connection is a task
//! (`connection`). Invariants: at most `max_connections` are served at a time; a failing accept, for example when file
//! descriptors run out, causes a pause but never ends the server; after `serve` has returned, no request is answered
//! and the port is free.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
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
    time::{Instant, sleep, timeout},
};

use crate::{HttpOptions, Intake, connection, limits, remote::Remote, reply::Refused, routes::Endpoint};

/// Why a server could not run or stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// An option can't be used.
    #[error("http: {0}")]
    Options(String),
    /// The address of the socket can't be read.
    #[error("http: can't get the address of the listening socket: {0}")]
    Listener(io::Error),
    /// The stop exceeded its time limit.
    #[error(
        "http: {requests} requests were not answered within the {grace:?} that a stop waits; their senders have to retry"
    )]
    Unanswered {
        /// Number of requests.
        requests: usize,
        /// The time limit.
        grace: std::time::Duration,
    },
}

/// Counts the requests being answered, for observers of a running server.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<AtomicUsize>);

impl Requests {
    /// Number of requests being answered.
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

/// A boxed future. Without the box, each crate that awaits it would compile the whole HTTP server again.
pub type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Serves HTTP on `listener` until `shutdown` completes. Then it accepts no more connections, waits up to
/// `options.shutdown_grace` for requests in progress, and closes the rest. `requests` counts those being answered.
///
/// # Errors
/// [`IngestError::Options`] before anything is accepted, [`IngestError::Unanswered`] if the stop timed out.
#[must_use]
pub fn serve(
    listener: TcpListener,
    options: HttpOptions,
    intake: Arc<dyn Intake>,
    requests: Requests,
    shutdown: Boxed<()>,
) -> Boxed<Result<(), IngestError>> {
    Box::pin(async move {
        options.check().map_err(IngestError::Options)?;
        let address = listener.local_addr().map_err(IngestError::Listener)?;
        let endpoint = Arc::new(Endpoint::new(options, intake, requests, address));
        let (stop, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        accept(&listener, &endpoint, &stopped, &mut connections, shutdown).await;
        drop(listener);
        _ = stop.send(true);
        finish(&endpoint, connections).await
    })
}

/// A source of connections. Tests use one that fails.
trait Listen {
    async fn next(&self) -> io::Result<TcpStream>;
}

impl Listen for TcpListener {
    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

async fn accept(
    listener: &impl Listen,
    endpoint: &Arc<Endpoint>,
    stopped: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let turned_away = Arc::new(AtomicUsize::new(0));
    let mut pause = pin!(sleep(limits::ACCEPT_PAUSE));
    let mut is_paused = false;
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            Some(ended) = connections.join_next() => {
                gone(endpoint, ended);
                is_paused = false;
            }
            () = pause.as_mut(), if is_paused => is_paused = false,
            accepted = listener.next(), if !is_paused => match accepted {
                Ok(stream) if connections.len() < endpoint.options.max_connections => {
                    match Remote::of(&stream, &endpoint.options.access) {
                        Ok(remote) => {
                            endpoint.meters.connections_total.increment(1);
                            endpoint.meters.connections.increment(1.0);
                            connections.spawn(connection::serve(Arc::clone(endpoint), stream, remote, stopped.clone()));
                        }
                        Err(denied) => {
                            endpoint.meters.turned_away.increment(1);
                            refuse_connection(endpoint, stream, &turned_away, &denied.into());
                        }
                    }
                }
                Ok(stream) => {
                    endpoint.meters.turned_away.increment(1);
                    if let Some(others) = endpoint.refused_connections.line() {
                        tracing::warn!(
                            "all {} connections are in use: refused one ({others} others before it); raise \
                             `max_connections` under [http] if they are wanted",
                            endpoint.options.max_connections
                        );
                    }
                    let all = endpoint.options.max_connections;
                    let refused = Refused::busy(format!("all {all} connections are in use; try again in a moment"));
                    refuse_connection(endpoint, stream, &turned_away, &refused);
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if let Some(others) = endpoint.accept_errors.line() {
                        tracing::warn!(
                            "can't accept a connection: {error} ({others} failures before it); raise the limit of open \
                             files if it is that"
                        );
                    }
                    is_paused = true;
                    pause.as_mut().reset(Instant::now() + limits::ACCEPT_PAUSE);
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
        tracing::error!(%error, "serving a connection panicked; only this connection was closed");
    }
}

/// Waits for requests in progress within the time limit, then closes the rest.
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

/// Tells a client why its connection is refused, without using one of the places. Closes without an answer beyond
/// a small number, so that a flood costs little.
fn refuse_connection(endpoint: &Endpoint, mut stream: TcpStream, count: &Arc<AtomicUsize>, refused: &Refused) {
    // With TLS, the reason would need a handshake.
    if endpoint.options.tls.is_some() {
        return;
    }
    if count.fetch_add(1, Ordering::AcqRel) >= limits::MAX_REFUSED_CONNECTIONS {
        count.fetch_sub(1, Ordering::AcqRel);
        return;
    }
    let count = Arc::clone(count);
    let body = serde_json::json!({ "error": refused.error }).to_string();
    let answer = format!(
        "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nretry-after: {}\r\nconnection: \
         close\r\n\r\n{body}",
        refused.status,
        body.len(),
        refused.retry_after_s.unwrap_or(limits::RETRY_BUSY_S)
    );
    tokio::spawn(async move {
        let told = async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
            // Closing with unread bytes would reset the connection and lose the answer.
            let mut rest = [0; 4096];
            while stream.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        };
        _ = timeout(limits::REFUSE_TIMEOUT, told).await;
        count.fetch_sub(1, Ordering::AcqRel);
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sockets::test_session::Confirming;

    /// A listener that fails for lack of file descriptors the first few times.
    struct FailingListener {
        listener: TcpListener,
        failures: usize,
        tries: AtomicUsize,
    }

    impl Listen for FailingListener {
        async fn next(&self) -> io::Result<TcpStream> {
            const EMFILE: i32 = 24;
            if self.tries.fetch_add(1, Ordering::Relaxed) < self.failures {
                return Err(io::Error::from_raw_os_error(EMFILE));
            }
            self.listener.next().await
        }
    }

    async fn failing(failures: usize) -> (FailingListener, Arc<Endpoint>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint =
            Arc::new(Endpoint::new(HttpOptions::default(), Arc::new(Confirming), Requests::default(), address));
        (FailingListener { listener, failures, tries: AtomicUsize::new(0) }, endpoint)
    }

    #[tokio::test(start_paused = true)]
    async fn without_descriptors_accept_is_retried_and_logged_once_a_second() {
        let (failing, endpoint) = failing(usize::MAX).await;
        let (_stop, stopped) = watch::channel(false);
        let time = Duration::from_secs(10);
        accept(&failing, &endpoint, &stopped, &mut JoinSet::new(), sleep(time)).await;
        let tries = failing.tries.load(Ordering::Relaxed) as u128;
        let pauses = time.as_millis() / limits::ACCEPT_PAUSE.as_millis();
        assert!((pauses / 2..=pauses + 2).contains(&tries), "{tries} tries in {pauses} pauses");
        tokio::time::advance(limits::LOG_INTERVAL).await;
        let left_out = endpoint.accept_errors.line().expect("a line after a second without any");
        assert!(left_out <= 10, "{left_out} left out since the last line");
    }

    #[tokio::test]
    async fn connections_are_served_again_once_descriptors_are_free() {
        let (failing, endpoint) = failing(3).await;
        let (_stop, stopped) = watch::channel(false);
        let address = endpoint.address;
        let asked = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        };
        accept(&failing, &endpoint, &stopped, &mut JoinSet::new(), asked).await;
        assert!(failing.tries.load(Ordering::Relaxed) > 3);
    }
}
