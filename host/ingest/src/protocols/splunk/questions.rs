//! What clients of the collector ask: whether it is healthy, and which events are stored.

use hyper::{Method, StatusCode, http::request::Parts};
use serde_json::{Map, Value, json};
use weir_access::Role;

use super::{INVALID_FORMAT, NO_CHANNEL, has_channel, refusal, refused};
use crate::{
    protocols::Ask,
    reply::{self, Answer},
};

/// What Docker asks before it starts a container.
const OPTIONS: &[Method] = &[Method::OPTIONS];

const HEALTH: &[Method] = &[Method::GET, Method::HEAD];

/// Load balancers ask for the health, without a token.
pub(super) const ASKS: &[Ask] = &[
    Ask { methods: OPTIONS, path: "/services/collector", role: None, answer: healthy },
    Ask { methods: OPTIONS, path: "/services/collector/*", role: None, answer: healthy },
    Ask { methods: OPTIONS, path: "/services/collector/*/1.0", role: None, answer: healthy },
    Ask { methods: HEALTH, path: "/services/collector/health", role: None, answer: healthy },
    Ask { methods: HEALTH, path: "/services/collector/health/1.0", role: None, answer: healthy },
    Ask { methods: &[Method::POST], path: "/services/collector/ack", role: Some(Role::Ingest), answer: acknowledged },
    Ask {
        methods: &[Method::POST],
        path: "/services/collector/ack/1.0",
        role: Some(Role::Ingest),
        answer: acknowledged,
    },
];

fn healthy(_: &Parts, _: &[u8]) -> Option<Answer> {
    Some(reply::json(StatusCode::OK, json!({"text": "HEC is healthy", "code": 17}).to_string()))
}

/// Every id is confirmed: an answer that had one followed the fsync.
fn acknowledged(parts: &Parts, body: &[u8]) -> Option<Answer> {
    if !has_channel(parts) {
        return Some(refusal(parts, &refused(NO_CHANNEL, None, "send X-Splunk-Request-Channel")));
    }
    let asked: Option<Vec<u64>> = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|body| body["acks"].as_array()?.iter().map(Value::as_u64).collect());
    let Some(ids) = asked else {
        return Some(refusal(parts, &refused(INVALID_FORMAT, None, r#"send {"acks":[…]} with the ids"#)));
    };
    let acks: Map<String, Value> = ids.into_iter().map(|id| (id.to_string(), Value::Bool(true))).collect();
    Some(reply::json(StatusCode::OK, json!({ "acks": acks }).to_string()))
}
