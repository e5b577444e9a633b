//! Reads a whole body, with limits on size, time and bytes in flight.
//!
//! Runs between the request head and decoding. A body that arrives in one piece, as most small ones do, is passed on
//! without a copy. A refused body is only drained for a while, so that a sender that writes first and reads later still
//! gets the answer. Invariant: bytes are counted in flight before they are buffered.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    StatusCode,
    body::{Body, Frame, SizeHint},
    header::EXPECT,
    http::request::Parts,
};
use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until, timeout},
};

use crate::{HttpOptions, budget::HeldBytes, limits, reply::Refused};

/// The limits for one body.
#[derive(Clone, Copy)]
pub(crate) struct BodyBounds {
    pub(crate) max_bytes: usize,
    pub(crate) idle: Duration,
    pub(crate) total: Duration,
}

impl BodyBounds {
    pub(crate) fn of(options: &HttpOptions) -> BodyBounds {
        BodyBounds {
            max_bytes: options.max_body_bytes,
            idle: options.body_idle_timeout,
            total: options.body_total_timeout,
        }
    }
}

/// Reads `body`, counting its bytes in `held`.
pub(crate) async fn read<B>(body: &mut B, bounds: BodyBounds, held: &mut HeldBytes) -> Result<Bytes, Refused>
where
    B: Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
{
    if let Some(declared) = body.size_hint().exact() {
        let declared = usize::try_from(declared).unwrap_or(usize::MAX);
        if declared > bounds.max_bytes {
            return Err(too_large(&format!("the body has {declared} bytes"), bounds.max_bytes));
        }
        if !held.has_room(declared) {
            held.grow(declared)?;
        }
    }
    let mut clock = Clock::start(bounds);
    let mut whole = Vec::new();
    // The first piece is kept without copying until a second one arrives.
    let mut first = Bytes::new();
    let mut count = 0;
    while let Some(piece) = clock.next_piece(body, count).await? {
        count += piece.len();
        if count > bounds.max_bytes {
            return Err(too_large("the body is longer", bounds.max_bytes));
        }
        held.grow(piece.len())?;
        if count == piece.len() {
            first = piece;
        } else {
            if whole.is_empty() {
                let expected = body.size_hint().lower().saturating_add(count as u64);
                whole.reserve(usize::try_from(expected).unwrap_or(count).min(bounds.max_bytes));
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&piece);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if whole.is_empty() { first } else { whole.into() })
}

fn too_large(what: &str, max_bytes: usize) -> Refused {
    let error = format!("{what}, the limit is {max_bytes} bytes; send smaller batches");
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, error)
}

/// Both timeouts of a body: one timer per piece, set to whichever ends first.
struct Clock {
    bounds: BodyBounds,
    end: Instant,
    last_piece: Instant,
}

impl Clock {
    fn start(bounds: BodyBounds) -> Clock {
        let now = Instant::now();
        Clock { bounds, end: now + bounds.total, last_piece: now }
    }

    fn deadline(&self) -> Instant {
        self.end.min(self.last_piece + self.bounds.idle)
    }

    /// The next non-empty piece, or none at the end of the body.
    async fn next_piece<B>(&mut self, body: &mut B, received: usize) -> Result<Option<Bytes>, Refused>
    where
        B: Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
    {
        loop {
            let mut timer = pin!(sleep_until(self.deadline()));
            let frame = poll_fn(|context| match Pin::new(&mut *body).poll_frame(context) {
                Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                Poll::Pending => timer.as_mut().poll(context).map(Err),
            });
            match frame.await {
                Err(()) => return Err(self.too_slow(received)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    let error = format!("the body ended after {received} bytes: {error}");
                    return Err(Refused::new(StatusCode::BAD_REQUEST, error));
                }
                Ok(Some(Ok(frame))) => {
                    // Trailers are ignored. Only bytes count as progress, and only once per piece: reading the clock is
                    // cheap compared with the read itself.
                    if let Ok(piece) = frame.into_data()
                        && !piece.is_empty()
                    {
                        self.last_piece = Instant::now();
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    /// 503, because clients that drop what is answered with a 4xx count 408 among those.
    fn too_slow(&self, received: usize) -> Refused {
        let bounds = self.bounds;
        let what = if Instant::now() >= self.end {
            format!("the body took more than {:?}", bounds.total)
        } else {
            format!("no byte of the body arrived for {:?}", bounds.idle)
        };
        Refused::busy(format!("{what} ({received} bytes received); send it again"))
    }
}

/// Reads and discards the rest of a refused body, for a limited time. Don't call it for a sender that waits for `100
/// Continue`, because reading would request the body.
pub(crate) async fn drain<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let read = async {
        let mut count = 0;
        while count < limits::DRAIN_BYTES {
            match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                Some(Ok(frame)) => count += frame.data_ref().map_or(1, Bytes::len),
                Some(Err(_)) | None => break,
            }
        }
    };
    // If the sender is too slow, its connection is closed.
    _ = timeout(limits::DRAIN_TIMEOUT, read).await;
}

/// A body that is drained if it is dropped before its end. In HTTP/2, such an end would reset the stream, and clients such
/// as curl give up on the answer.
pub(crate) struct DrainedBody<B: Body<Data = Bytes> + Send + Unpin + 'static> {
    body: Option<B>,
    is_awaited: bool,
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> DrainedBody<B> {
    pub(crate) fn new(body: B, parts: &Parts) -> DrainedBody<B> {
        // A sender that waits for `100 Continue` has sent nothing yet, and reading would make it start.
        DrainedBody { body: Some(body), is_awaited: parts.headers.contains_key(EXPECT) }
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Body for DrainedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        // It is taken only when it is dropped.
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl<B: Body<Data = Bytes> + Send + Unpin + 'static> Drop for DrainedBody<B> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && !body.is_end_stream()
            && !self.is_awaited
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(drain(body));
        }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
