//! The activity of a connection: whether it is in use, and whether what it sends belongs to requests.
//!
//! `connection` creates one [`Usage`] per connection, reads through [`CountingStream`] and passes bodies on as
//! [`RequestBody`]. In HTTP/2, a peer can send frames that never become a request (PING, SETTINGS, PRIORITY, streams
//! that are reset immediately). Each costs work and would go unnoticed. So bytes are counted as they are read, and
//! every answer and every piece of a body resets the count. Invariants: no connection reads more than
//! [`limits::FLOOD_BYTES`] without one, or waits longer than [`limits::WRITE_TIMEOUT`] for a peer that takes nothing.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    time::{Instant, Sleep, sleep},
};

use crate::{limits, routes::Endpoint};

/// The activity of a connection.
pub(crate) struct Usage {
    since: Instant,
    /// Requests being answered.
    active: AtomicUsize,
    /// When the last answer was ready, in milliseconds since `since`.
    last_ms: AtomicU64,
    /// Bytes read since the last answer or piece of a body.
    idle_bytes: AtomicU64,
    /// Bytes of its request heads that are in flight.
    pub(crate) head_bytes: AtomicUsize,
    /// It has become a WebSocket: what is read no longer has to belong to requests.
    is_upgraded: AtomicBool,
    /// An answer is a stream of events.
    streams: Notify,
}

impl Usage {
    pub(crate) fn begin() -> Arc<Usage> {
        Arc::new(Usage {
            since: Instant::now(),
            active: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
            idle_bytes: AtomicU64::new(0),
            head_bytes: AtomicUsize::new(0),
            is_upgraded: AtomicBool::new(false),
            streams: Notify::new(),
        })
    }

    /// When the connection will have been quiet for too long; `None` if that time has passed.
    pub(crate) fn quiet_until(&self, bound: Duration) -> Option<Instant> {
        let now = Instant::now();
        if self.active.load(Ordering::Acquire) > 0 {
            return Some(now + bound);
        }
        let until = self.since + Duration::from_millis(self.last_ms.load(Ordering::Acquire)) + bound;
        (until > now).then_some(until)
    }

    /// Whether more was read than requests explain.
    pub(crate) fn is_flooded(&self) -> bool {
        self.idle_bytes.load(Ordering::Relaxed) > limits::FLOOD_BYTES
    }

    /// Marks the connection as one that no longer speaks HTTP.
    pub(crate) fn upgraded(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
    }

    /// Marks the connection as one that sends a stream of events.
    pub(crate) fn streams(&self) {
        self.streams.notify_one();
    }

    /// Waits until the connection sends a stream of events.
    pub(crate) async fn until_it_streams(&self) {
        self.streams.notified().await;
    }

    fn read(&self, bytes: usize) -> io::Result<()> {
        if self.is_upgraded.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.idle_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.is_flooded() { Err(io::Error::other("frames without requests")) } else { Ok(()) }
    }

    fn made_progress(&self) {
        self.idle_bytes.store(0, Ordering::Relaxed);
    }
}

/// A request in progress. Dropped when it is answered, with a streamed answer at its end, or when the client has
/// disconnected.
pub(crate) struct ActiveRequest {
    pub(crate) endpoint: Arc<Endpoint>,
    usage: Arc<Usage>,
    answered: AtomicBool,
}

impl ActiveRequest {
    pub(crate) fn begin(endpoint: &Arc<Endpoint>, usage: &Arc<Usage>) -> ActiveRequest {
        usage.active.fetch_add(1, Ordering::AcqRel);
        endpoint.requests.begin();
        ActiveRequest { endpoint: Arc::clone(endpoint), usage: Arc::clone(usage), answered: AtomicBool::new(false) }
    }

    /// Marks the request as answered. One that its client cancels does not count as use of the connection.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Counts a piece of a streamed answer as activity of the connection.
    pub(crate) fn made_progress(&self) {
        self.usage.made_progress();
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        if self.answered.load(Ordering::Relaxed) {
            self.usage.made_progress();
        }
        let elapsed_ms = u64::try_from(self.usage.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.usage.last_ms.store(elapsed_ms, Ordering::Release);
        self.usage.active.fetch_sub(1, Ordering::AcqRel);
        self.endpoint.requests.end();
    }
}

/// A connection of any kind, as one type, so that the protocols are not compiled again for each kind.
pub(crate) type AnyStream = Box<dyn Duplex>;

/// What [`AnyStream`] holds.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A socket that counts the bytes read from it and fails if they are a flood. It also fails if the peer takes nothing
/// of what is written for too long: who makes an answer isn't asked for more meanwhile, and can't notice.
pub(crate) struct CountingStream {
    stream: TcpStream,
    usage: Arc<Usage>,
    /// When a write that waits for room fails.
    late: Option<Pin<Box<Sleep>>>,
}

impl CountingStream {
    pub(crate) fn new(stream: TcpStream, usage: Arc<Usage>) -> CountingStream {
        CountingStream { stream, usage, late: None }
    }

    /// The first byte that the client sends, which stays to be read; `None` if it sends nothing.
    pub(crate) async fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut first = [0];
        Ok((self.stream.peek(&mut first).await? > 0).then_some(first[0]))
    }

    /// What became of a write, unless it has waited for too long.
    fn in_time(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.late = None;
            return written;
        }
        let late = self.late.get_or_insert_with(|| Box::pin(sleep(limits::WRITE_TIMEOUT)));
        late.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// The client's address, for messages.
    pub(crate) fn peer(&self) -> String {
        self.stream.peer_addr().map_or_else(|error| error.to_string(), |peer| peer.to_string())
    }
}

impl AsyncRead for CountingStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.usage.read(buffer.filled().len() - before))
    }
}

impl AsyncWrite for CountingStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.in_time(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The body of a request. Its bytes count as activity of the connection.
pub(crate) struct RequestBody {
    body: Incoming,
    usage: Arc<Usage>,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, usage: Arc<Usage>) -> RequestBody {
        RequestBody { body, usage }
    }

    pub(crate) fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && frame.data_ref().is_some_and(|data| !data.is_empty())
        {
            self.usage.made_progress();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener, time::timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn writing_to_a_peer_that_takes_nothing_fails_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let mut stream = CountingStream::new(accepted, Usage::begin());
        let write = async {
            loop {
                if let Err(error) = stream.write_all(&[0; 64 * 1024]).await {
                    return error.kind();
                }
            }
        };
        assert_eq!(timeout(limits::WRITE_TIMEOUT * 2, write).await, Ok(io::ErrorKind::TimedOut));
    }
}
