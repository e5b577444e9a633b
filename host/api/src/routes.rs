//! Which path is answered by what.

use std::sync::Arc;

use hyper::header::{ACCEPT, ALLOW, HeaderValue, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use weir_access::{Peer, Role};

use crate::acts::Act;
use crate::parameters::Parameters;
use crate::reply::{ApiError, Body};
use crate::{Api, acts, limits, openapi, page, search, session, status, tail};

/// What answers a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Tail,
    Logs,
    Log,
    Histogram,
    Fields,
    Export,
    Sinks,
    Pipeline,
    Quarantine,
    Levels,
    /// How far an erasure is.
    Erasure,
    Description,
    /// Who the caller is.
    Session,
    LogIn,
    LogOut,
    Ticket,
    /// Changes something.
    Act(Act),
}

impl Route {
    /// What its caller must be allowed to do; `None`: nothing.
    fn role(self) -> Option<Role> {
        match self {
            Route::Session | Route::LogIn | Route::LogOut => None,
            Route::Tail
            | Route::Logs
            | Route::Log
            | Route::Histogram
            | Route::Fields
            | Route::Export
            | Route::Sinks
            | Route::Pipeline
            | Route::Levels
            | Route::Erasure
            | Route::Description
            | Route::Ticket => Some(Role::Read),
            // Its records are not redacted.
            Route::Quarantine | Route::Act(_) => Some(Role::Admin),
        }
    }
}

/// A path of the API, with everything that its description says.
pub struct Endpoint {
    pub method: Method,
    /// A name in braces stands for one part of the path.
    pub path: &'static str,
    pub route: Route,
    pub summary: &'static str,
    /// The content type of the request's body, if it has one.
    pub body: Option<&'static str>,
    /// The content types of its answer.
    pub answers: &'static [&'static str],
    pub parameters: &'static [Parameter],
}

/// A parameter of a request.
pub struct Parameter {
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
}

/// What a parameter's value is.
#[derive(Clone, Copy)]
pub enum Kind {
    Text,
    Number { most: usize },
    Flag,
    OneOf(&'static [&'static str]),
}

const fn parameter(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, about, kind }
}

/// A request that reads and has no parameters.
const fn get(path: &'static str, route: Route, summary: &'static str) -> Endpoint {
    Endpoint { method: Method::GET, path, route, summary, body: None, answers: JSON, parameters: &[] }
}

/// A request that changes something.
const fn act(method: Method, path: &'static str, act: Act, body: &'static str, summary: &'static str) -> Endpoint {
    Endpoint { method, path, route: Route::Act(act), summary, body: Some(body), answers: JSON, parameters: &[] }
}

const QUERY: Parameter = parameter("query", Kind::Text, "Which records, in the query language; all without one.");
const SINK: Parameter =
    parameter("sink", Kind::Text, "The sink to search; the first one that can be searched, a database before files.");
const ALIASES: Parameter = parameter("aliases", Kind::Flag, "Whether to add the names of other log services.");
const JSON: &[&str] = &["application/json"];
const IN_JSON: &str = "application/json";
const IN_WASM: &str = "application/wasm";

/// Every path of the API.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Method::GET,
        path: "/api/tail",
        route: Route::Tail,
        summary: "The records as they arrive, as server-sent events or over a WebSocket.",
        body: None,
        answers: &["text/event-stream"],
        parameters: &[
            QUERY,
            parameter("backlog", Kind::Number { most: limits::MAX_BACKLOG }, "How many recent records to send first."),
            parameter("after", Kind::Text, "The `entry_id` after which to continue."),
            parameter("batch", Kind::Flag, "Whether one message holds many records."),
            parameter("follow", Kind::Flag, "Whether to go on after what is in memory."),
            parameter("ticket", Kind::Text, "A ticket instead of a token."),
            ALIASES,
        ],
    },
    Endpoint {
        method: Method::GET,
        path: "/api/logs",
        route: Route::Logs,
        summary: "The newest records that match, page by page.",
        body: None,
        answers: JSON,
        parameters: &[
            QUERY,
            SINK,
            parameter("limit", Kind::Number { most: limits::MAX_RECORDS }, "How many records."),
            parameter("cursor", Kind::Text, "`next` of the previous answer."),
            parameter("around", Kind::Text, "An `entry_id`: the records next to it."),
            ALIASES,
        ],
    },
    Endpoint {
        method: Method::GET,
        path: "/api/logs/{id}",
        route: Route::Log,
        summary: "One record.",
        body: None,
        answers: JSON,
        parameters: &[SINK, ALIASES],
    },
    Endpoint {
        method: Method::GET,
        path: "/api/histogram",
        route: Route::Histogram,
        summary: "How many records matched, over time, by level or source.",
        body: None,
        answers: JSON,
        parameters: &[
            QUERY,
            SINK,
            parameter("by", Kind::OneOf(&["level", "source"]), "What is distinguished."),
            parameter("buckets", Kind::Number { most: limits::MAX_BUCKETS }, "About how many steps of time."),
        ],
    },
    Endpoint {
        method: Method::GET,
        path: "/api/fields",
        route: Route::Fields,
        summary: "The fields of matching records with their most frequent values.",
        body: None,
        answers: JSON,
        parameters: &[QUERY, SINK, parameter("field", Kind::Text, "Only this one, with more of its values.")],
    },
    Endpoint {
        method: Method::GET,
        path: "/api/export",
        route: Route::Export,
        summary: "All matching records, as NDJSON or CSV.",
        body: None,
        answers: &["application/x-ndjson", "text/csv"],
        parameters: &[QUERY, SINK, parameter("format", Kind::OneOf(&["ndjson", "csv"]), "The form."), ALIASES],
    },
    get("/api/sinks", Route::Sinks, "The sinks that can be searched."),
    get("/api/pipeline", Route::Pipeline, "The protocols, filters and sinks with their counts, states and versions."),
    Endpoint {
        method: Method::GET,
        path: "/api/quarantine",
        route: Route::Quarantine,
        summary: "The records that could not be processed, newest first.",
        body: None,
        answers: JSON,
        parameters: &[
            parameter("from", Kind::Text, "Only entries of this origin, such as `filter:redact`."),
            parameter("limit", Kind::Number { most: limits::MAX_ENTRIES }, "How many entries."),
            parameter("cursor", Kind::Text, "`next` of the previous answer."),
        ],
    },
    get("/api/levels", Route::Levels, "The minimum levels."),
    get("/api/erase", Route::Erasure, "Whether records are being erased, and how far that is."),
    get("/api/openapi.json", Route::Description, "This description."),
    get("/api/session", Route::Session, "Who the caller is, and what the caller may do."),
    Endpoint {
        method: Method::POST,
        path: "/api/session",
        route: Route::LogIn,
        summary: "Starts a session with a token; the answer sets a cookie.",
        body: Some(IN_JSON),
        answers: JSON,
        parameters: &[],
    },
    Endpoint {
        method: Method::DELETE,
        path: "/api/session",
        route: Route::LogOut,
        summary: "Ends the session.",
        body: None,
        answers: JSON,
        parameters: &[],
    },
    Endpoint {
        method: Method::POST,
        path: "/api/ticket",
        route: Route::Ticket,
        summary: "Makes a ticket, with which one live stream can be opened within seconds.",
        body: None,
        answers: JSON,
        parameters: &[],
    },
    act(
        Method::POST,
        "/api/filters/{name}/try",
        Act::TryFilter,
        IN_WASM,
        "Compares a module with the running filter on recent records. Changes nothing.",
    ),
    act(Method::POST, "/api/filters/{name}/swap", Act::SwapFilter, IN_JSON, "Runs a module that was tried."),
    act(Method::POST, "/api/filters/{name}/rollback", Act::RollBackFilter, IN_JSON, "Runs an earlier version."),
    act(Method::POST, "/api/quarantine/replay", Act::Replay, IN_JSON, "Processes entries of the quarantine again."),
    act(Method::POST, "/api/quarantine/delete", Act::Delete, IN_JSON, "Deletes entries of the quarantine."),
    act(Method::PATCH, "/api/levels", Act::SetLevels, IN_JSON, "Changes minimum levels."),
    act(Method::POST, "/api/erase", Act::Erase, IN_JSON, "Erases the records that a query selects, wherever they are."),
];

/// What there is at a path, for each method.
pub fn find(path: &str) -> impl Iterator<Item = &'static Endpoint> + '_ {
    ENDPOINTS.iter().filter(move |endpoint| values(endpoint.path, path).is_some())
}

/// What the path has in place of the names in braces; `None` if it is not of this form.
fn values<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut values = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(values),
            (Some(name), Some(value)) if name.starts_with('{') && !value.is_empty() => values.push(value),
            (Some(part), Some(same)) if part == same => {}
            _ => return None,
        }
    }
}

/// Answers a request for a path that is there.
pub async fn answer(api: &Arc<Api>, request: Request<Body>, peer: &Peer) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts, ());
    let mut found: Vec<&Endpoint> = find(request.uri().path()).collect();
    if asks_for_stream(&request) {
        found = find("/api/tail").collect();
    }
    let is_page = found.is_empty();
    // HEAD is answered like GET; hyper leaves out the body.
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    match found.iter().find(|endpoint| endpoint.method == method) {
        Some(endpoint) => {
            answer_endpoint(api, endpoint, request, body, peer).await.unwrap_or_else(|error| error.answer())
        }
        None if is_page && method == Method::GET => page::answer(&request),
        None => wrong_method(&request, &found),
    }
}

fn wrong_method(request: &Request<()>, found: &[&Endpoint]) -> Response<Body> {
    let mut methods: Vec<&str> = found.iter().map(|endpoint| endpoint.method.as_str()).collect();
    if found.is_empty() || methods.contains(&"GET") {
        methods.retain(|method| *method != "GET");
        methods.splice(0..0, ["GET", "HEAD"]);
    }
    let methods = methods.join(", ");
    let message = format!("{} doesn't support {}; use {methods}", request.uri().path(), request.method());
    let mut answer = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).answer();
    if let Ok(methods) = HeaderValue::from_str(&methods) {
        answer.headers_mut().insert(ALLOW, methods);
    }
    answer
}

async fn answer_endpoint(
    api: &Arc<Api>,
    endpoint: &Endpoint,
    request: Request<()>,
    body: Body,
    peer: &Peer,
) -> Result<Response<Body>, ApiError> {
    let path = request.uri().path().to_owned();
    let values = values(endpoint.path, &path).unwrap_or_default();
    let about = values.first().copied().unwrap_or_default();
    let caller = match (endpoint.route, endpoint.route.role()) {
        (Route::LogIn, _) => return session::log_in(api, &request, body, peer).await,
        (Route::LogOut, _) => return Ok(session::log_out(api, &request, peer)),
        (_, None) => return Ok(session::answer(api, peer)),
        (Route::Act(act), Some(role)) => {
            peer.permitted(role).inspect_err(|denied| acts::refused(api, act, about, peer, denied))?
        }
        (_, Some(role)) => peer.permitted(role)?,
    };
    let parameters = Parameters::read(request.uri().query(), endpoint.parameters, caller)?;
    match endpoint.route {
        Route::Tail => tail::answer(api, &parameters, request),
        Route::Logs => search::logs(api, &parameters).await,
        Route::Log => search::log(api, &parameters, request.uri().path()).await,
        Route::Histogram => search::histogram(api, &parameters).await,
        Route::Fields => search::fields(api, &parameters).await,
        Route::Export => search::export(api, &parameters).await,
        Route::Sinks => Ok(search::sinks(api)),
        Route::Pipeline => status::pipeline(api).await,
        Route::Quarantine => status::quarantine(api, &parameters).await,
        Route::Levels => status::levels(api, &parameters.caller).await,
        Route::Erasure => status::erasure(api).await,
        Route::Description => Ok(openapi::answer()),
        Route::Act(act) => acts::answer(api, act, about, &request, body, &parameters.caller).await,
        Route::Ticket => session::ticket(api, &parameters.caller),
        Route::Session | Route::LogIn | Route::LogOut => Ok(session::answer(api, peer)),
    }
}

/// Clients of other log services know an address and no path: at `/`, too, they get the stream.
fn asks_for_stream(request: &Request<()>) -> bool {
    let headers = request.headers();
    let is_events = || headers.get(ACCEPT).is_some_and(|accept| accept == "text/event-stream");
    request.uri().path() == "/" && (headers.contains_key(UPGRADE) || is_events())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found() {
        let route = |path| find(path).next().map(|endpoint| endpoint.route);
        assert_eq!(route("/api/tail"), Some(Route::Tail));
        assert_eq!(route("/api/logs"), Some(Route::Logs));
        assert_eq!(route("/api/logs/1-0"), Some(Route::Log));
        assert_eq!(route("/api/filters/redact/swap"), Some(Route::Act(Act::SwapFilter)));
        assert_eq!(find("/api/levels").count(), 2, "to read and to change");
        assert_eq!(values("/api/filters/{name}/try", "/api/filters/redact/try"), Some(vec!["redact"]));
        for nothing in ["/api", "/api/", "/api/logs/", "/api/logs/1/2", "/api/tail/", "/api/filters//try", "/"] {
            assert_eq!(route(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_page_for_users_has_every_path_and_parameter() {
        let page = include_str!("../README.md");
        for endpoint in ENDPOINTS {
            let path = endpoint.path.replace("{id}", "ID").replace("{name}", "NAME");
            assert!(page.contains(&format!("| `{} {path}` |", endpoint.method)), "{path}");
            for Parameter { name, .. } in endpoint.parameters {
                assert!(page.contains(&format!("`{name}`")) || page.contains(&format!("`{name}=")), "{path}: {name}");
            }
        }
    }
}
