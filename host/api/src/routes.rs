//! Which path is answered by what.

use std::sync::Arc;

use hyper::header::{ACCEPT, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};

use crate::parameters::Parameters;
use crate::reply::{ApiError, Body};
use crate::{Api, limits, openapi, page, search, tail};

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
    Description,
}

/// A path of the API, with everything that its description says.
pub struct Endpoint {
    /// `{id}` stands for the rest of the path.
    pub path: &'static str,
    pub route: Route,
    pub summary: &'static str,
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

const QUERY: Parameter = parameter("query", Kind::Text, "Which records, in the query language; all without one.");
const SINK: Parameter =
    parameter("sink", Kind::Text, "The sink to search; the first one that can be searched, a database before files.");
const ALIASES: Parameter = parameter("aliases", Kind::Flag, "Whether to add the names of other log services.");
const JSON: &[&str] = &["application/json"];

/// Every path of the API.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/api/tail",
        route: Route::Tail,
        summary: "The records as they arrive, as server-sent events or over a WebSocket.",
        answers: &["text/event-stream"],
        parameters: &[
            QUERY,
            parameter("backlog", Kind::Number { most: limits::MAX_BACKLOG }, "How many recent records to send first."),
            parameter("after", Kind::Text, "The `entry_id` after which to continue."),
            parameter("batch", Kind::Flag, "Whether one message holds many records."),
            parameter("follow", Kind::Flag, "Whether to go on after what is in memory."),
            ALIASES,
        ],
    },
    Endpoint {
        path: "/api/logs",
        route: Route::Logs,
        summary: "The newest records that match, page by page.",
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
        path: "/api/logs/{id}",
        route: Route::Log,
        summary: "One record.",
        answers: JSON,
        parameters: &[SINK, ALIASES],
    },
    Endpoint {
        path: "/api/histogram",
        route: Route::Histogram,
        summary: "How many records matched, over time, by level or source.",
        answers: JSON,
        parameters: &[
            QUERY,
            SINK,
            parameter("by", Kind::OneOf(&["level", "source"]), "What is distinguished."),
            parameter("buckets", Kind::Number { most: limits::MAX_BUCKETS }, "About how many steps of time."),
        ],
    },
    Endpoint {
        path: "/api/fields",
        route: Route::Fields,
        summary: "The fields of matching records with their most frequent values.",
        answers: JSON,
        parameters: &[QUERY, SINK, parameter("field", Kind::Text, "Only this one, with more of its values.")],
    },
    Endpoint {
        path: "/api/export",
        route: Route::Export,
        summary: "All matching records, as NDJSON or CSV.",
        answers: &["application/x-ndjson", "text/csv"],
        parameters: &[QUERY, SINK, parameter("format", Kind::OneOf(&["ndjson", "csv"]), "The form."), ALIASES],
    },
    Endpoint {
        path: "/api/sinks",
        route: Route::Sinks,
        summary: "The sinks that can be searched.",
        answers: JSON,
        parameters: &[],
    },
    Endpoint {
        path: "/api/openapi.json",
        route: Route::Description,
        summary: "This description.",
        answers: JSON,
        parameters: &[],
    },
];

/// What there is at a path.
pub fn find(path: &str) -> Option<&'static Endpoint> {
    let fits = |pattern: &str| match pattern.strip_suffix("{id}") {
        Some(begin) => path.strip_prefix(begin).is_some_and(|id| !id.is_empty() && !id.contains('/')),
        None => pattern == path,
    };
    ENDPOINTS.iter().find(|endpoint| fits(endpoint.path))
}

/// Answers a request for a path that is there.
pub async fn answer(api: &Arc<Api>, request: Request<()>) -> Response<Body> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let message = format!("{} doesn't support {}; use GET", request.uri().path(), request.method());
        return ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).answer();
    }
    let path = request.uri().path();
    let endpoint = find(path).or_else(|| find("/api/tail").filter(|_| asks_for_stream(&request)));
    let Some(endpoint) = endpoint else { return page::answer(&request) };
    answer_endpoint(api, endpoint, request).await.unwrap_or_else(|error| error.answer())
}

async fn answer_endpoint(
    api: &Arc<Api>,
    endpoint: &Endpoint,
    request: Request<()>,
) -> Result<Response<Body>, ApiError> {
    let parameters = Parameters::read(request.uri().query(), endpoint.parameters)?;
    match endpoint.route {
        Route::Tail => tail::answer(api, &parameters, request),
        Route::Logs => search::logs(api, &parameters).await,
        Route::Log => search::log(api, &parameters, request.uri().path()).await,
        Route::Histogram => search::histogram(api, &parameters).await,
        Route::Fields => search::fields(api, &parameters).await,
        Route::Export => search::export(api, &parameters).await,
        Route::Sinks => Ok(search::sinks(api)),
        Route::Description => Ok(openapi::answer()),
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
        let route = |path| find(path).map(|endpoint| endpoint.route);
        assert_eq!(route("/api/tail"), Some(Route::Tail));
        assert_eq!(route("/api/logs"), Some(Route::Logs));
        assert_eq!(route("/api/logs/1-0"), Some(Route::Log));
        for nothing in ["/api", "/api/", "/api/logs/", "/api/logs/1/2", "/api/tail/", "/"] {
            assert_eq!(route(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn the_page_for_users_has_every_path_and_parameter() {
        let page = include_str!("../README.md");
        for endpoint in ENDPOINTS {
            let path = endpoint.path.replace("{id}", "ID");
            assert!(page.contains(&format!("| `GET {path}` |")), "{path}");
            for Parameter { name, .. } in endpoint.parameters {
                assert!(page.contains(&format!("`{name}`")) || page.contains(&format!("`{name}=")), "{path}: {name}");
            }
        }
    }
}
