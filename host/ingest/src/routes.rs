//! What a path and a method mean.
//!
//! Between `connection` and the answers: posts go to `post` with their protocol, the few fixed pages are answered here,
//! everything else gets a hint. Invariant: every request is answered with something that says what to do next.

use std::{fmt::Write, net::SocketAddr, sync::Arc, thread};

use http_body_util::Full;
use hyper::{
    Method, Request, StatusCode,
    body::{Body, Incoming},
    header::{CONTENT_LENGTH, HeaderValue},
};
use tokio::sync::Semaphore;

use crate::{
    HttpOptions, Intake,
    flight::Flight,
    metrics::Meters,
    post,
    protocols::{self, PROTOCOLS, Protocol},
    reply::{self, Answer, Refused},
    server::Requests,
};

/// What all requests of one server share.
pub(crate) struct Endpoint {
    pub(crate) options: HttpOptions,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) flight: Arc<Flight>,
    pub(crate) meters: Meters,
    /// Permits for decoding large bodies: one per core, since more would only take turns.
    pub(crate) decoders: Arc<Semaphore>,
    /// Requests being answered now.
    pub(crate) requests: Requests,
    /// Where the server listens, for the example on its front page.
    pub(crate) address: SocketAddr,
}

impl Endpoint {
    pub(crate) fn new(
        options: HttpOptions,
        intake: Arc<dyn Intake>,
        requests: Requests,
        address: SocketAddr,
    ) -> Endpoint {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Endpoint {
            flight: Flight::new(options.max_in_flight_bytes),
            options,
            intake,
            meters: Meters::new(),
            decoders: Arc::new(Semaphore::new(cores)),
            requests,
            address,
        }
    }
}

/// The pages that are read rather than posted to.
#[derive(Clone, Copy)]
enum Page {
    Front,
    Health,
    Ready,
    Metrics,
}

const PAGES: &[(&str, Page)] =
    &[("/", Page::Front), ("/health", Page::Health), ("/ready", Page::Ready), ("/metrics", Page::Metrics)];

/// Answers a request.
pub(crate) async fn answer(endpoint: &Arc<Endpoint>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
    let protocol = protocols::find(path);
    if let Some((index, _)) = protocol
        && request.method() == Method::POST
    {
        let (parts, body) = request.into_parts();
        return post::answer(endpoint, index, parts, body).await;
    }
    let page = PAGES.iter().find(|(page, _)| *page == path).map(|(_, page)| *page);
    let method = request.method();
    let reads = method == Method::GET || method == Method::HEAD;
    let mut answer = match (page, protocol) {
        (Some(page), _) if reads => show(endpoint, page).await,
        (Some(_), _) => wrong_method(method, path, "GET, HEAD"),
        (None, Some(_)) => wrong_method(method, path, "POST"),
        (None, None) => not_found(path),
    };
    if method == Method::HEAD {
        // The length of what GET would send, without sending it.
        let length = answer.body().size_hint().lower();
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        *answer.body_mut() = Full::default();
    }
    endpoint.meters.other().answered(answer.status().as_u16());
    answer
}

fn wrong_method(method: &Method, path: &str, allowed: &'static str) -> Answer {
    let error = format!("{path} doesn't answer {method}; use {allowed}");
    let refused = Refused { allow: Some(allowed), ..Refused::new(StatusCode::METHOD_NOT_ALLOWED, error) };
    reply::refused_answer(&refused)
}

fn not_found(path: &str) -> Answer {
    let posts = PROTOCOLS.iter().flat_map(|protocol| protocol.paths.iter().copied());
    let known = posts.chain(PAGES.iter().map(|(page, _)| *page));
    let bare = path.trim_end_matches('/').to_ascii_lowercase();
    let error = match known.clone().find(|known| known.eq_ignore_ascii_case(&bare)) {
        Some(meant) => format!("there is nothing at {path}; did you mean {meant}?"),
        None => format!("there is nothing at {path}; there is {}", known.collect::<Vec<_>>().join(", ")),
    };
    reply::refused_answer(&Refused::new(StatusCode::NOT_FOUND, error))
}

async fn show(endpoint: &Arc<Endpoint>, page: Page) -> Answer {
    let text = |content_type, text| reply::with_type(StatusCode::OK, HeaderValue::from_static(content_type), text);
    match page {
        Page::Front => text("text/plain; charset=utf-8", front_page(endpoint.address)),
        Page::Health => asked(endpoint, |intake| intake.health().to_string())
            .await
            .map_or_else(failed, |health| reply::json(StatusCode::OK, health)),
        Page::Ready => match asked(endpoint, Intake::ready).await {
            Some(Ok(())) => reply::json(StatusCode::OK, r#"{"ready":true}"#.to_owned()),
            Some(Err(reason)) => reply::refused_answer(&Refused::busy(reason)),
            None => failed(),
        },
        Page::Metrics => {
            endpoint.meters.in_flight_bytes.set(metric(endpoint.flight.held_bytes()));
            let metrics = asked(endpoint, Intake::metrics).await;
            metrics.map_or_else(failed, |metrics| text("text/plain; version=0.0.4; charset=utf-8", metrics))
        }
    }
}

/// Prometheus counts in floating point; below 2^53 nothing is lost.
#[expect(clippy::cast_precision_loss)]
fn metric(bytes: usize) -> f64 {
    bytes as f64
}

/// Asks the intake on a thread where it may take its time: it looks at every part of Weir.
async fn asked<T: Send + 'static>(
    endpoint: &Endpoint,
    question: impl FnOnce(&dyn Intake) -> T + Send + 'static,
) -> Option<T> {
    let intake = Arc::clone(&endpoint.intake);
    tokio::task::spawn_blocking(move || question(&*intake)).await.ok()
}

fn failed() -> Answer {
    let error = "weir could not answer this; its own log says why";
    reply::refused_answer(&Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error))
}

fn front_page(address: SocketAddr) -> String {
    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let mut page = String::from(
        "This is Weir, a log router: it takes logs, filters them through WebAssembly, and stores them durably.\n\n\
         Send it a record:\n",
    );
    for Protocol { paths, summary, example, .. } in PROTOCOLS {
        let path = paths.first().copied().unwrap_or_default();
        // Writing to a String can't fail.
        _ = write!(
            page,
            "\n{summary}:\n\n    curl -H 'Content-Type: {}' -d '{}' http://{host}:{}{path}\n",
            example.content_type,
            example.body,
            address.port()
        );
    }
    page.push_str("\nLook at /health, /ready and /metrics.\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_page_shows_a_command_that_reaches_this_server() {
        let page = front_page(SocketAddr::from(([0, 0, 0, 0], 8080)));
        assert!(page.contains("curl ") && page.contains("http://127.0.0.1:8080/ingest"), "{page}");
        let page = front_page("[::1]:81".parse().unwrap());
        assert!(page.contains("http://[::1]:81/ingest"), "{page}");
    }
}
