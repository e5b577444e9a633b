//! The live stream over a WebSocket (RFC 6455).

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::runtime::Handle;
use tokio::time::{Instant, interval, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use crate::limits;
use crate::reply::{ApiError, Body};
use crate::tail::{Permit, Tail};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Accepts the WebSocket, and starts the stream on it.
pub fn start(
    runtime: &Handle,
    tail: Tail,
    permit: Permit,
    mut request: Request<()>,
) -> Result<Response<Body>, ApiError> {
    let accept = accept_key(&request)?;
    let upgrade = hyper::upgrade::on(&mut request);
    runtime.spawn(async move {
        let _permit = permit;
        match upgrade.await {
            Ok(upgraded) => {
                let config = WebSocketConfig::default()
                    .read_buffer_size(limits::READ_BUFFER_BYTES)
                    .write_buffer_size(limits::WRITE_BUFFER_BYTES)
                    .max_message_size(Some(limits::MAX_MESSAGE_BYTES))
                    .max_frame_size(Some(limits::MAX_MESSAGE_BYTES));
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
                if let Err(error) = run(socket, tail).await {
                    tracing::debug!("a live stream ended: {error}");
                }
            }
            Err(error) => tracing::debug!("a connection did not become a WebSocket: {error}"),
        }
    });
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(answer)
}

/// Checks the request, and returns the answer to its key.
fn accept_key(request: &Request<()>) -> Result<HeaderValue, ApiError> {
    let headers = request.headers();
    let is_websocket = headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !is_websocket {
        return Err(ApiError::bad("the only upgrade is to `websocket`"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(ApiError::new(StatusCode::UPGRADE_REQUIRED, "`Sec-WebSocket-Version` must be 13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or_else(|| ApiError::bad("`Sec-WebSocket-Key` is missing"))?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|error| ApiError::bad(error.to_string()))
}

/// Sends until the client or the stream ends.
async fn run(mut socket: Socket, mut tail: Tail) -> Result<(), Error> {
    send(&mut socket, tail.greeting()).await?;
    let mut keep_alive = interval_at(Instant::now() + limits::KEEP_ALIVE, limits::KEEP_ALIVE);
    let mut stats = interval(limits::STATS_INTERVAL);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            messages = tail.next() => match messages {
                Some(messages) => send(&mut socket, messages).await?,
                None => return close(&mut socket, CloseCode::Away, "weir is stopping").await,
            },
            frame = socket.next() => {
                heard = Instant::now();
                match frame {
                    Some(Ok(Frame::Text(text))) => send(&mut socket, vec![tail.receive(&text)]).await?,
                    Some(Ok(Frame::Binary(bytes))) => {
                        let text = String::from_utf8_lossy(&bytes);
                        send(&mut socket, vec![tail.receive(&text)]).await?;
                    }
                    // The answers to pings and to the end are written with the next flush.
                    Some(Ok(Frame::Ping(_) | Frame::Close(_))) => flush(&mut socket).await?,
                    Some(Ok(_)) => {}
                    Some(Err(Error::Capacity(_))) => {
                        return close(&mut socket, CloseCode::Size, "a message may have up to 64 KiB").await;
                    }
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                }
            }
            _ = stats.tick() => {
                if !tail.is_permitted() {
                    return close(&mut socket, CloseCode::Policy, "the token is no longer valid").await;
                }
                if let Some(message) = tail.stats() {
                    send(&mut socket, vec![message]).await?;
                }
            }
            _ = keep_alive.tick() => {
                if heard.elapsed() > limits::CLIENT_TIMEOUT {
                    return close(&mut socket, CloseCode::Policy, "no answer to pings").await;
                }
                socket.feed(Frame::Ping(Bytes::new())).await?;
                flush(&mut socket).await?;
            }
        }
    }
}

async fn send(socket: &mut Socket, messages: Vec<Bytes>) -> Result<(), Error> {
    for message in messages {
        timed(socket.feed(Frame::Text(message.try_into()?))).await?;
    }
    flush(socket).await
}

async fn flush(socket: &mut Socket) -> Result<(), Error> {
    timed(socket.flush()).await
}

async fn close(socket: &mut Socket, code: CloseCode, reason: &'static str) -> Result<(), Error> {
    timed(socket.close(Some(CloseFrame { code, reason: reason.into() }))).await
}

async fn timed(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    timeout(limits::WRITE_TIMEOUT, work).await.unwrap_or_else(|late| Err(Error::Io(late.into())))
}
