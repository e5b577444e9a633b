//! The live stream: its parameters and its messages, however they are sent.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::header::UPGRADE;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use weir_access::{Access, Caller, Grant, Place};
use weir_live::{Client, Form, Next, Scope, Start, Totals};

use crate::parameters::{Parameters, entry_id};
use crate::reply::{ApiError, Body};
use crate::{Api, events, form, limits, websocket};

/// A stream to one client: what it has to be told next.
pub struct Tail {
    client: Client,
    access: Arc<Access>,
    caller: Caller,
    /// Only some records may be read, so it isn't told how many there are.
    is_scoped: bool,
    session: String,
    form: Form,
    /// It ends once it has what is in memory.
    ends_early: bool,
    /// What was reported last, and when.
    reported: Totals,
    reported_at: Instant,
}

/// A place among all streams, and one among those of its caller.
pub type Permit = (OwnedSemaphorePermit, Option<Place>);

/// Starts a stream.
pub fn answer(api: &Arc<Api>, parameters: &Parameters, request: Request<()>) -> Result<Response<Body>, ApiError> {
    let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let after = match last {
        Some(last) => Some(entry_id("Last-Event-ID", last)?),
        None => parameters.id("after")?,
    };
    let start = match after {
        Some(after) => Start::After(after),
        None => Start::Backlog(parameters.number("backlog", 0, limits::MAX_BACKLOG)?),
    };
    let full = || ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "there are too many clients of the live stream");
    let caller = parameters.caller.clone();
    let own = api.access.stream(&caller)?;
    let permit = (api.streams.clone().try_acquire_owned().map_err(|_| full())?, own);
    let scope = caller.grant().and_then(|grant| scope(grant));
    let is_scoped = scope.is_some();
    let client = api.live.watch(parameters.query_text(), scope, start)?.map_err(|_| full())?;
    let is_batched = parameters.flag("batch", false)?;
    // The totals are those of all records.
    if is_batched && !is_scoped {
        client.count_all();
    }
    let is_websocket = request.headers().contains_key(UPGRADE);
    let tail = Tail {
        client,
        access: api.access.clone(),
        caller,
        is_scoped,
        session: api.live.session().to_owned(),
        form: Form { is_events: !is_websocket, is_batched, names: parameters.names()? },
        ends_early: !parameters.flag("follow", true)?,
        reported: Totals::default(),
        reported_at: Instant::now(),
    };
    let runtime = &api.stream_runtime;
    match is_websocket {
        true => websocket::start(runtime, tail, permit, request),
        false => Ok(events::start(runtime, tail, permit)),
    }
}

/// The records that a token is limited to. Named by what limits it, since a token can get other limits while clients
/// share queries in the earlier ones.
fn scope(grant: &Grant) -> Option<Scope> {
    let name = format!("{:?} {:?}", grant.entry.sources, grant.entry.routes);
    grant.scope().map(|query| Scope { name, query: query.clone() })
}

impl Tail {
    /// The first messages.
    pub fn greeting(&self) -> Vec<Bytes> {
        let hello = || {
            let fields = json!({ "session_id": self.session, "query": self.client.query() });
            self.notice("hello", "INFO", "the live stream begins", fields)
        };
        if self.form.is_batched { vec![hello()] } else { vec![] }
    }

    /// The next messages; `None` once the stream has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<Bytes>> {
        if self.ends_early && self.client.is_current() {
            return None;
        }
        let next = self.client.next().await?;
        Some(self.messages(&next))
    }

    fn messages(&self, next: &Next) -> Vec<Bytes> {
        let mut messages = Vec::new();
        if next.is_reset {
            let text = "the record to continue after is no longer in memory; here is the oldest one that is";
            messages.push(self.notice("reset", "WARNING", text, json!({})));
        }
        if next.missed > 0 {
            let text = format!("{} matching records were not sent, because this client was too slow", next.missed);
            messages.push(self.notice("gap", "WARNING", &text, json!({ "missed": next.missed })));
        }
        if next.skipped > 0 {
            let text = format!("{} records could not be read, so nobody knows whether they match", next.skipped);
            messages.push(self.notice("skipped", "WARNING", &text, json!({ "records": next.skipped })));
        }
        messages.extend_from_slice(&form::records(self.form, &self.session, &next.step));
        messages
    }

    fn notice(&self, kind: &str, level: &str, text: &str, fields: Value) -> Bytes {
        form::notice(self.form, kind, level, text, fields)
    }

    /// Whether the token was neither revoked nor has expired.
    pub fn is_permitted(&self) -> bool {
        self.access.is_current(&self.caller)
    }

    /// The totals, if they are wanted, have changed, and were not reported just now.
    pub fn stats(&mut self) -> Option<Bytes> {
        if !self.form.is_batched || self.reported_at.elapsed() < limits::STATS_INTERVAL {
            return None;
        }
        let totals = self.client.totals();
        if totals == self.reported {
            return None;
        }
        let levels: serde_json::Map<String, Value> =
            totals.levels().map(|(level, count)| (level.as_str().to_owned(), count.into())).collect();
        let sources: serde_json::Map<String, Value> = totals
            .sources(limits::STATS_SOURCES)
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count.into()))
            .collect();
        let message = json!({
            "type": "stats", "seen": if self.is_scoped { totals.matched } else { totals.seen }, "matched": totals.matched, "missed": totals.missed,
            "levels": levels, "sources": sources,
        });
        self.reported = totals;
        self.reported_at = Instant::now();
        Some(form::message(self.form, "stats", &message))
    }

    /// Answers a message of the client.
    pub fn receive(&mut self, text: &str) -> Bytes {
        let message: Value = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => return self.refusal(&format!("this is not JSON: {error}"), None),
        };
        match message["type"].as_str() {
            Some("ping") => self.notice("pong", "INFO", "pong", json!({})),
            Some("query") => {
                let Some(query) = message["query"].as_str() else {
                    return self.refusal("`query` must be a text", None);
                };
                let backlog = message["backlog"].as_u64().unwrap_or_default().min(limits::MAX_BACKLOG as u64);
                self.set_query(query, backlog as usize)
            }
            Some(other) => self.refusal(&format!("unknown type `{other}`; there are `ping` and `query`"), None),
            None => self.refusal("a message needs a `type`: `ping` or `query`", None),
        }
    }

    fn set_query(&mut self, query: &str, backlog: usize) -> Bytes {
        match self.client.set_query(query, backlog) {
            Ok(()) => {
                self.reported = Totals::default();
                self.notice("query", "INFO", &format!("the query is now: {query}"), json!({ "query": query }))
            }
            Err(error) => self.refusal(&error.to_string(), Some(error.column)),
        }
    }

    /// The answer to a message that was not understood.
    fn refusal(&self, error: &str, column: Option<usize>) -> Bytes {
        let mut fields = json!({ "error": error });
        if let Some(column) = column {
            fields["column"] = column.into();
        }
        self.notice("error", "WARNING", error, fields)
    }
}

#[cfg(test)]
mod tests {
    use weir_access::{Role, TokenEntry, TokenHash};

    use super::*;

    /// The name of a token's scope. The token is always the same.
    fn name_of(sources: &[&str], routes: &[&str]) -> Option<String> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let entry = TokenEntry {
            name: "team".to_owned(),
            role: Role::Read,
            sources: texts(sources),
            routes: texts(routes),
            hash: TokenHash::of(b"token"),
            created_ns: 0,
            expires_ns: None,
        };
        scope(&Grant::new(entry).expect("it is usable")).map(|scope| scope.name)
    }

    #[test]
    fn streams_share_a_query_only_if_their_tokens_are_limited_alike() {
        assert_eq!(name_of(&[], &[]), None);
        assert_eq!(name_of(&["a", "b"], &[]), name_of(&["a", "b"], &[]));
        let names = [
            name_of(&["a", "b"], &[]),
            name_of(&["a"], &[]),
            name_of(&["a, b"], &[]),
            name_of(&["a"], &["b"]),
            name_of(&[], &["a"]),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(name.is_some() && !names[..index].contains(name), "{name:?}");
        }
    }
}
