//! A connection: HTTP/1.1 or HTTP/2 (with prior knowledge or by ALPN), its limits, and when to close it.
//!
//! `server` starts one of these per accepted socket; `routes` handles every request on it. A connection closes when
//! the client ends it, when the server stops (after its requests are answered), when it has been quiet for too long,
//! or when the client takes nothing of an answer for too long (`traffic`). Quiet means that no request is being
//! answered: between requests, within a head, before the first byte. One timer per connection checks this, so requests
//! need no timers. A connection that sends a lot without making requests is closed too (`traffic`). Invariant: a
//! connection occupies its place only while it is used.

use std::{convert::Infallible, panic::resume_unwind, pin::pin, sync::Arc};

use hyper::{
    Request, Response, StatusCode, Version,
    body::Incoming,
    header::{CONNECTION, CONTENT_TYPE, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    limits,
    remote::{self, Remote},
    reply,
    routes::{self, Endpoint},
    traffic::{ActiveRequest, AnyStream, CountingStream, RequestBody, Usage},
};

/// Serves a connection until it ends. A change of `stop` asks it to end soon.
///
/// A connection with a stream of events continues on the runtime for those, since writing them must not take time from
/// receiving records.
pub(crate) async fn serve(endpoint: Arc<Endpoint>, stream: TcpStream, remote: Remote, stop: watch::Receiver<bool>) {
    let usage = Usage::begin();
    let runtime = endpoint.options.pages.as_ref().map(|pages| pages.streams());
    let mut serving = Box::pin(serve_here(endpoint, stream, remote, stop, Arc::clone(&usage)));
    let runtime = tokio::select! {
        biased;
        () = &mut serving => return,
        () = usage.until_it_streams() => match runtime {
            Some(runtime) => runtime,
            None => return serving.await,
        },
    };
    // Ends with this future.
    let mut moved = JoinSet::new();
    moved.spawn_on(serving, &runtime);
    if let Some(Err(ended)) = moved.join_next().await
        && ended.is_panic()
    {
        resume_unwind(ended.into_panic());
    }
}

async fn serve_here(
    endpoint: Arc<Endpoint>,
    stream: TcpStream,
    remote: Remote,
    mut stop: watch::Receiver<bool>,
    usage: Arc<Usage>,
) {
    // An answer is one small write, so Nagle's algorithm would only delay it.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "can't set TCP_NODELAY");
    }
    let stream = CountingStream::new(stream, Arc::clone(&usage));
    let (stream, remote): (AnyStream, Remote) = match &endpoint.options.tls {
        None => (Box::new(stream), remote),
        Some(tls) => {
            let accepted = tokio::select! {
                accepted = tls.accept(stream, endpoint.options.quiet_timeout) => accepted,
                _ = stop.changed() => None,
            };
            let Some((stream, certificate)) = accepted else { return };
            (Box::new(stream), remote.encrypted(certificate))
        }
    };
    speak(endpoint, stream, remote, stop, usage).await;
}

/// Speaks HTTP on a connection until it ends.
async fn speak(
    endpoint: Arc<Endpoint>,
    stream: AnyStream,
    remote: Remote,
    mut stop: watch::Receiver<bool>,
    usage: Arc<Usage>,
) {
    let mut quiet_timeout = endpoint.options.quiet_timeout;
    let address = remote.address;
    let remote = Arc::new(remote);
    let service = {
        let (endpoint, usage) = (Arc::clone(&endpoint), Arc::clone(&usage));
        service_fn(move |request: Request<Incoming>| {
            let busy = ActiveRequest::begin(&endpoint, &usage);
            let request = request.map(|body| RequestBody::new(body, Arc::clone(&usage)));
            let (usage, remote) = (Arc::clone(&usage), Arc::clone(&remote));
            async move {
                let is_strict = remote.is_strict(&request);
                let is_one_at_a_time = request.version() < Version::HTTP_2;
                let mut answer = routes::answer(&busy.endpoint, request, &remote).await;
                if is_strict {
                    remote::set_strict(answer.headers_mut());
                }
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                    usage.upgraded();
                }
                if is_one_at_a_time && is_stream(&answer) {
                    // Later requests of this connection would be served there, too.
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    usage.streams();
                }
                Ok::<_, Infallible>(reply::sent(answer, busy))
            }
        })
    };
    let http = http();
    let mut connection = pin!(http.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut quiet = pin!(sleep(quiet_timeout));
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    endpoint.meters.failed.increment(1);
                    tracing::debug!(%error, "a connection failed");
                    if usage.is_flooded() && let Some(others) = endpoint.flooding_connections.line() {
                        tracing::warn!(
                            "closed the connection from {address}: it sent {} MiB without a request ({others} others \
                             before it)",
                            limits::FLOOD_BYTES >> 20
                        );
                    }
                }
                return;
            }
            _ = stop.changed(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
                // A slow head, or an HTTP/2 client that doesn't respond, must not delay the stop.
                quiet_timeout = quiet_timeout.min(limits::CLOSE_TIMEOUT);
                quiet.as_mut().reset(Instant::now() + quiet_timeout);
            }
            () = quiet.as_mut() => match usage.quiet_until(quiet_timeout) {
                Some(until) => quiet.as_mut().reset(until),
                None => break,
            },
        }
    }
    connection.as_mut().graceful_shutdown();
    // It may be within a head and never end by itself.
    if timeout(limits::CLOSE_TIMEOUT, connection).await.is_err() {
        endpoint.meters.failed.increment(1);
        tracing::debug!("closed a connection within a request head");
    }
}

fn is_stream<T>(answer: &Response<T>) -> bool {
    answer.headers().get(CONTENT_TYPE).is_some_and(|content_type| content_type == "text/event-stream")
}

/// Both versions of HTTP with their limits.
fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        // `quiet` does this, including between requests and for HTTP/2.
        .header_read_timeout(None)
        .max_buf_size(limits::READ_BUFFER_BYTES)
        // `max_headers` stays at hyper's default, see `limits::MAX_HEADERS`. `pipeline_flush` is not used: it delays an
        // answer while part of the next request is in the buffer, and loses the 400 or 431 for a head that can't be
        // parsed.
        // `printf … | nc` closes its side after the request and still expects the answer.
        .half_close(true);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::MAX_STREAMS)
        .max_header_list_size(limits::MAX_HEADER_LIST_BYTES)
        .max_pending_accept_reset_streams(limits::MAX_RESET_STREAMS)
        .max_local_error_reset_streams(limits::MAX_RESET_STREAMS)
        .initial_stream_window_size(limits::CONNECTION_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(limits::PING_INTERVAL)
        .keep_alive_timeout(limits::PING_INTERVAL);
    http
}
