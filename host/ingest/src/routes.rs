//! Maps methods and paths to answers.
//!
//! Posts go to `post` with their protocol, the few fixed pages are answered here, other paths by [`Pages`], and what
//! remains gets a hint. Browsers get the front page from `Pages`, too.
//! Invariants: every error says what to do next; a request for another host gets nothing but that error.

use std::{fmt::Write, net::SocketAddr, sync::Arc, thread};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Body,
    header::{ACCEPT, CONTENT_LENGTH, HeaderValue, UPGRADE},
    http::request::Parts,
};
use tokio::sync::Semaphore;
use weir_access::{Peer, Role};

use crate::{
    HttpOptions, Intake, Pages,
    body::{self, BodyBounds, DrainedBody},
    budget::ByteBudget,
    credentials,
    hosts::Hosts,
    limits,
    log_limit::LogLimit,
    metrics::Meters,
    origins::Origins,
    pages, post,
    protocols::{self, PROTOCOLS, Protocol},
    remote::Remote,
    reply::{self, Answer, AnyAnswer, Refused},
    request,
    server::Requests,
    traffic::{RequestBody, Usage},
};

/// State shared by all requests of a server.
pub(crate) struct Endpoint {
    pub(crate) options: HttpOptions,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) flight: Arc<ByteBudget>,
    /// The budget for answers that clients have not read yet.
    pub(crate) answers: Arc<ByteBudget>,
    pub(crate) hosts: Hosts,
    pub(crate) origins: Origins,
    pub(crate) meters: Meters,
    /// Permits for decoding large bodies: one per core, because more would only compete.
    pub(crate) decoders: Arc<Semaphore>,
    /// Permits for creating pages.
    pages: Semaphore,
    /// Requests being answered.
    pub(crate) requests: Requests,
    /// The server's address, for the example on its front page.
    pub(crate) address: SocketAddr,
    /// Limits log lines about connections closed as floods.
    pub(crate) flooding_connections: LogLimit,
    /// Limits log lines about connections over the limit.
    pub(crate) refused_connections: LogLimit,
    /// Limits log lines about failures of accept.
    pub(crate) accept_errors: LogLimit,
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
            flight: ByteBudget::shared(
                options.max_in_flight_bytes,
                options.max_connections,
                options.largest_request_bytes(),
            ),
            answers: ByteBudget::shared(limits::MAX_ANSWER_BYTES, options.max_connections, limits::MAX_ANSWER_BYTES),
            hosts: Hosts::new(address, &options.allowed_hosts),
            origins: Origins::new(&options.allowed_origins),
            options,
            intake,
            meters: Meters::new(),
            decoders: Arc::new(Semaphore::new(cores)),
            pages: Semaphore::new(limits::PAGES_AT_A_TIME),
            requests,
            address,
            flooding_connections: LogLimit::default(),
            refused_connections: LogLimit::default(),
            accept_errors: LogLimit::default(),
        }
    }
}

/// The pages that are read with GET.
#[derive(Clone, Copy)]
enum Page {
    Front,
    Health,
    Ready,
    Metrics,
}

impl Page {
    /// Who may read it; `None`: everybody. Load balancers ask whether a router is ready, and have no token.
    fn role(self) -> Option<Role> {
        match self {
            Page::Front | Page::Ready => None,
            Page::Health | Page::Metrics => Some(Role::Read),
        }
    }
}

const PAGES: &[(&str, Page)] =
    &[("/", Page::Front), ("/health", Page::Health), ("/ready", Page::Ready), ("/metrics", Page::Metrics)];

/// Those that there are where only one protocol is taken, or all.
fn fixed_pages(only: Option<&str>) -> impl Iterator<Item = &'static (&'static str, Page)> + Clone {
    let takes_all = only.is_none();
    PAGES.iter().filter(move |(_, page)| takes_all || matches!(page, Page::Ready))
}

/// Answers a request.
pub(crate) async fn answer(endpoint: &Arc<Endpoint>, request: Request<RequestBody>, remote: &Remote) -> AnyAnswer {
    let (mut parts, body) = request.into_parts();
    let rules = &endpoint.options.rules;
    let protocol = protocols::find(parts.uri.path()).filter(|(_, protocol)| rules.takes(protocol.name));
    let admitted = protocol.and_then(|_| endpoint.origins.admit(&mut parts, remote.is_encrypted()));
    let caller = credentials::caller(&endpoint.options.access, &parts, remote, admitted.is_some());
    let peer =
        Peer { address: remote.address, account: remote.account.clone(), is_encrypted: remote.is_encrypted(), caller };
    if let Some((_, protocol)) = protocol
        && let Some(mut answer) = endpoint.origins.preflight(protocol, &parts, admitted.as_ref())
        && endpoint.hosts.check(&parts).is_ok()
    {
        endpoint.origins.share(&mut answer, admitted);
        endpoint.meters.other().answered(answer.status().as_u16());
        return answer.map(Either::Left);
    }
    if let Some((index, protocol)) = protocol
        && protocol.methods.contains(&parts.method)
    {
        let mut answer = post::answer(endpoint, index, parts, body, &peer).await;
        endpoint.origins.share(&mut answer, admitted);
        return answer.map(Either::Left);
    }
    let connection = Arc::clone(body.usage());
    let body = match asked_of(endpoint, &parts, body, &peer).await {
        Ok(answer) => {
            endpoint.meters.other().answered(answer.status().as_u16());
            return answer.map(Either::Left);
        }
        Err(body) => DrainedBody::new(body, &parts),
    };
    let answer = match (endpoint.hosts.check(&parts), pages_for(endpoint, &parts)) {
        (Err(foreign), _) => reply::refused_answer(&foreign).map(Either::Left),
        (Ok(()), Some(pages)) => match pages::check(&parts, peer.is_encrypted) {
            Ok(()) => {
                let body = body.map_err(Into::into).boxed_unsync();
                pages.answer(Request::from_parts(parts, body), peer).await.map(Either::Right)
            }
            Err(refused) => reply::refused_answer(&refused).map(Either::Left),
        },
        (Ok(()), None) => read(endpoint, parts, protocol.is_some(), &peer, &connection).await.map(Either::Left),
    };
    endpoint.meters.other().answered(reply::counted_status(&answer));
    answer
}

/// Answers a question of a protocol's client, in the protocol's words; returns the body if it is none.
async fn asked_of(
    endpoint: &Endpoint,
    parts: &Parts,
    mut body: RequestBody,
    peer: &Peer,
) -> Result<Answer, RequestBody> {
    let asks = protocols::find_ask(&parts.method, parts.uri.path());
    let asks: Vec<_> = asks.filter(|(protocol, _)| endpoint.options.rules.takes(protocol.name)).collect();
    let Some((protocol, _)) = asks.first().copied() else { return Err(body) };
    let refused = |refused| (protocol.reply)(parts, &Err(refused));
    let mut content = Bytes::new();
    if parts.method != Method::GET && parts.method != Method::HEAD {
        let bounds = BodyBounds { max_bytes: limits::MAX_ASK_BYTES, ..BodyBounds::of(&endpoint.options) };
        let checked = endpoint.hosts.check(parts).and_then(|()| request::refuse_cross_site(parts, peer.is_encrypted));
        let held = checked.and_then(|()| endpoint.answers.hold(0));
        let read = match held {
            Ok(mut held) => body::read(&mut body, bounds, &mut held).await,
            Err(refused) => Err(refused),
        };
        content = match read {
            Ok(content) => content,
            Err(reason) => {
                tokio::spawn(body::drain(body));
                return Ok(refused(reason));
            }
        };
    }
    let answer = asks.into_iter().find_map(|(_, ask)| {
        let allowed = endpoint.hosts.check(parts).and_then(|()| match ask.role {
            Some(role) => peer.permitted(role).map(drop).map_err(Refused::from),
            None => Ok(()),
        });
        // Whether it is this question at all is not a secret.
        let answer = (ask.answer)(parts, &content)?;
        Some(allowed.map_or_else(refused, |()| answer))
    });
    answer.ok_or(body)
}

/// Who answers a path that is no protocol's and no fixed page's. At `/`, programs such as curl get plain text.
fn pages_for<'e>(endpoint: &'e Endpoint, parts: &Parts) -> Option<&'e Arc<dyn Pages>> {
    let path = parts.uri.path();
    let asks_for_more = || {
        let accepts = |kind| parts.headers.get(ACCEPT).is_some_and(|types| request::contains(types.as_bytes(), kind));
        parts.headers.contains_key(UPGRADE) || accepts("text/html") || accepts("text/event-stream")
    };
    let is_claimed = PAGES.iter().any(|(page, _)| *page == path) && (path != "/" || !asks_for_more());
    let takes_all = endpoint.options.rules.only.is_none();
    endpoint.options.pages.as_ref().filter(|pages| takes_all && !is_claimed && pages.has(path))
}

/// Answers a request for a fixed page.
async fn read(
    endpoint: &Arc<Endpoint>,
    parts: Parts,
    is_protocol: bool,
    peer: &Peer,
    connection: &Arc<Usage>,
) -> Answer {
    let path = parts.uri.path();
    let only = endpoint.options.rules.only;
    let page = fixed_pages(only).find(|(page, _)| *page == path).map(|(_, page)| *page);
    let is_head = parts.method == Method::HEAD;
    let mut answer = match page {
        _ if protocols::is_grpc(&parts.headers) => protocols::unknown_method(path),
        Some(page) if is_head || parts.method == Method::GET => {
            // The head is not held while the page is created.
            drop(parts);
            let shown = match page.role().map_or(Ok(()), |role| peer.permitted(role).map(drop)) {
                Ok(()) => show(endpoint, page, connection).await,
                Err(denied) => Err(denied.into()),
            };
            shown.unwrap_or_else(|refused| reply::refused_answer(&refused))
        }
        Some(_) => wrong_method(&parts.method, path, "GET, HEAD"),
        None if is_protocol => wrong_method(&parts.method, path, "POST"),
        None => not_found(path, only),
    };
    if is_head {
        // The length of the body for GET, without sending it.
        let length = answer.body().size_hint().lower();
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        *answer.body_mut() = Full::default();
    }
    answer
}

fn wrong_method(method: &Method, path: &str, allowed: &'static str) -> Answer {
    let error = format!("{path} doesn't support {method}; use {allowed}");
    let refused = Refused { allow: Some(allowed), ..Refused::new(StatusCode::METHOD_NOT_ALLOWED, error) };
    reply::refused_answer(&refused)
}

fn not_found(path: &str, only: Option<&str>) -> Answer {
    let protocols = PROTOCOLS.iter().filter(|protocol| only.is_none_or(|only| only == protocol.name));
    let posts = protocols.flat_map(|protocol| protocol.paths.iter().copied());
    let known = posts.chain(fixed_pages(only).map(|(page, _)| *page));
    let bare = path.trim_end_matches('/').to_ascii_lowercase();
    let error = match known.clone().find(|known| known.eq_ignore_ascii_case(&bare)) {
        Some(meant) => format!("there is nothing at {path}; did you mean {meant}?"),
        None => format!("there is nothing at {path}; there is {}", known.collect::<Vec<_>>().join(", ")),
    };
    reply::refused_answer(&Refused::new(StatusCode::NOT_FOUND, error))
}

async fn show(endpoint: &Arc<Endpoint>, page: Page, connection: &Arc<Usage>) -> Result<Answer, Refused> {
    // A connection with many requests leaves room for others.
    let held = endpoint.answers.hold_head(limits::PAGE_BYTES, connection, None).map_err(|_| too_many_answers())?;
    let text = |content_type, text| reply::with_type(StatusCode::OK, HeaderValue::from_static(content_type), text);
    let answer = match page {
        Page::Front => text("text/plain; charset=utf-8", front_page(endpoint)),
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
    };
    reply::held(answer, held).ok_or_else(too_many_answers)
}

fn too_many_answers() -> Refused {
    Refused::busy("too many answers are waiting to be read by their clients; retry in a moment")
}

/// Prometheus counts in floating point.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn metric(bytes: usize) -> f64 {
    bytes as f64
}

/// Calls the intake on a blocking thread, because it queries every component of Weir.
async fn asked<T: Send + 'static>(
    endpoint: &Endpoint,
    question: impl FnOnce(&dyn Intake) -> T + Send + 'static,
) -> Option<T> {
    let _permit = endpoint.pages.acquire().await.ok()?;
    let intake = Arc::clone(&endpoint.intake);
    tokio::task::spawn_blocking(move || question(&*intake)).await.ok()
}

fn failed() -> Answer {
    let error = "internal error; see weir's log";
    reply::refused_answer(&Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error))
}

fn front_page(endpoint: &Endpoint) -> String {
    let scheme = if endpoint.options.tls.is_some() { "https" } else { "http" };
    example_page(scheme, endpoint.address)
}

fn example_page(scheme: &str, address: SocketAddr) -> String {
    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let mut page = String::from(
        "This is Weir, a log router: it receives logs, filters them with WebAssembly, and stores them durably.\n\n\
         Send it a record:\n",
    );
    for Protocol { paths, summary, example, .. } in PROTOCOLS {
        let path = paths.first().copied().unwrap_or_default();
        // Writing to a String can't fail.
        _ = write!(
            page,
            "\n{summary}:\n\n    curl -H 'Content-Type: {}' -d '{}' {scheme}://{host}:{}{path}\n",
            example.content_type,
            example.body,
            address.port()
        );
    }
    page.push_str(
        "\nSee also /health, /ready and /metrics, and open this address in a browser to see records arrive.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_page_shows_a_command_that_reaches_this_server() {
        let page = example_page("http", SocketAddr::from(([0, 0, 0, 0], 8080)));
        assert!(page.contains("curl ") && page.contains("http://127.0.0.1:8080/ingest"), "{page}");
        let page = example_page("https", "[::1]:81".parse().unwrap());
        assert!(page.contains("https://[::1]:81/ingest"), "{page}");
    }
}
