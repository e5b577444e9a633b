//! What clients of Elasticsearch ask before they send, and the answer to everything that Weir doesn't have.
//!
//! `/` is Weir's own front page. It is Elasticsearch's only for a client that says that it is one of its clients, which
//! all official ones and Elastic's shippers do.

use hyper::{
    Method, StatusCode,
    header::{ACCEPT, HeaderName, USER_AGENT},
    http::request::Parts,
};
use serde_json::json;
use weir_access::Role;

use super::{answer, compatible_with, refusal};
use crate::{
    protocols::Ask,
    reply::{Answer, Refused},
    request,
};

const READ: &[Method] = &[Method::GET, Method::HEAD];
const ANY: &[Method] = &[Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE];

/// The last ones match every path of Elasticsearch's API with up to three segments.
pub(super) const ASKS: &[Ask] = &[
    ask(READ, "/", version),
    ask(READ, "/_license", |parts, _| Some(answer(parts, StatusCode::OK, LICENSE.to_owned()))),
    ask(READ, "/_cluster/health", |parts, _| Some(answer(parts, StatusCode::OK, HEALTH.to_owned()))),
    ask(READ, "/_cat/health", |parts, _| Some(answer(parts, StatusCode::OK, format!("[{HEALTH}]")))),
    ask(ANY, "/_*", unknown),
    ask(ANY, "/_*/*", unknown),
    ask(ANY, "/_*/*/*", unknown),
    ask(ANY, "/*/_*", unknown),
    ask(ANY, "/*/_*/*", unknown),
    ask(READ, "/*", |parts, _| if accepts_ours(parts) { unknown(parts, b"") } else { None }),
];

const LICENSE: &str = r#"{"license":{"status":"active","uid":"weir","type":"basic","issued_to":"weir","issuer":"weir","max_nodes":null,"start_date_in_millis":-1}}"#;

const HEALTH: &str = r#"{"cluster_name":"weir","cluster":"weir","status":"green","timed_out":false,"number_of_nodes":1,"number_of_data_nodes":1}"#;

const fn ask(methods: &'static [Method], path: &'static str, answer: fn(&Parts, &[u8]) -> Option<Answer>) -> Ask {
    Ask { methods, path, role: Some(Role::Ingest), answer }
}

/// The version whose answers are given: that of the client.
fn version(parts: &Parts, _: &[u8]) -> Option<Answer> {
    if !is_client(parts) {
        return None;
    }
    let (number, lucene, oldest_node, oldest_index) = match compatible_with(&parts.headers) {
        Some(9) => ("9.0.0", "10.1.0", "8.18.0", "8.0.0"),
        _ => ("8.19.0", "9.12.2", "7.17.0", "7.0.0"),
    };
    let text = json!({
        "name": "weir",
        "cluster_name": "weir",
        "cluster_uuid": "weir",
        "version": {
            "number": number,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": "weir",
            "build_date": "2025-07-01T00:00:00.000000000Z",
            "build_snapshot": false,
            "lucene_version": lucene,
            "minimum_wire_compatibility_version": oldest_node,
            "minimum_index_compatibility_version": oldest_index,
        },
        "tagline": "You Know, for Search",
    });
    Some(answer(parts, StatusCode::OK, text.to_string()))
}

fn unknown(parts: &Parts, _: &[u8]) -> Option<Answer> {
    let (method, path) = (&parts.method, parts.uri.path());
    let refused = if path.trim_end_matches('/').ends_with("/_bulk") {
        let error = format!("{path} doesn't support {method}; use POST");
        Refused { allow: Some("POST, PUT"), ..Refused::new(StatusCode::METHOD_NOT_ALLOWED, error) }
    } else {
        let error = format!("weir has no {method} {path}: of Elasticsearch, it has only the bulk API");
        Refused::new(StatusCode::NOT_FOUND, error)
    };
    Some(refusal(parts, &refused))
}

/// Whether a client of Elasticsearch asks: by its types, by the header of official clients, or by the name of a shipper.
fn is_client(parts: &Parts) -> bool {
    let name = parts.headers.get(USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let name = name.to_ascii_lowercase();
    accepts_ours(parts) || ["elastic", "logstash", "vector/"].iter().any(|known| name.contains(known))
}

fn accepts_ours(parts: &Parts) -> bool {
    const CLIENT_META: HeaderName = HeaderName::from_static("x-elastic-client-meta");
    let accepted = parts.headers.get(ACCEPT);
    parts.headers.contains_key(CLIENT_META)
        || accepted.is_some_and(|types| request::contains(types.as_bytes(), "application/vnd.elasticsearch+"))
}
