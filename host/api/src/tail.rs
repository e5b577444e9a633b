//! The live stream: its parameters and its messages, however they are sent.

use std::sync::Arc;
use std::time::Instant;

use hyper::header::UPGRADE;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};
use weir_live::message::{Names, write_record};
use weir_live::{Client, Start, Step, Totals};
use weir_record::time::{format_rfc3339, now_ns};

use crate::parameters::{Parameters, entry_id};
use crate::reply::{ApiError, Body};
use crate::{Api, events, limits, websocket};

/// One message to a client.
pub struct Message {
    /// `None` for a single record.
    pub kind: Option<&'static str>,
    /// The last record in it.
    pub id: Option<String>,
    pub text: String,
}

/// A stream to one client: what it has to be told next.
pub struct Tail {
    client: Client,
    session: String,
    names: Names,
    is_batched: bool,
    /// It ends once it has what is in memory.
    ends_early: bool,
    /// What was reported last, and when.
    reported: Totals,
    reported_at: Instant,
}

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
    let permit = api.streams.clone().try_acquire_owned().map_err(|_| full())?;
    let client = api.live.watch(parameters.query_text(), start)?.map_err(|_| full())?;
    let is_batched = parameters.flag("batch", false)?;
    if is_batched {
        client.count_all();
    }
    let tail = Tail {
        client,
        session: api.live.session().to_owned(),
        names: parameters.names()?,
        is_batched,
        ends_early: !parameters.flag("follow", true)?,
        reported: Totals::default(),
        reported_at: Instant::now(),
    };
    let live = api.live.clone();
    if request.headers().contains_key(UPGRADE) {
        websocket::start(tail, live, permit, request)
    } else {
        Ok(events::start(tail, live, permit))
    }
}

impl Tail {
    /// The first messages.
    pub fn greeting(&self) -> Vec<Message> {
        let query = self.client.query();
        let hello =
            || notice("hello", "INFO", "the live stream begins", json!({ "session_id": self.session, "query": query }));
        if self.is_batched { vec![hello()] } else { vec![] }
    }

    /// The next messages; `None` once the stream has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<Message>> {
        if self.ends_early && !self.has_more() {
            return None;
        }
        let step = self.client.next().await?;
        Some(self.messages(step))
    }

    /// Whether there is more to get at once.
    pub fn has_more(&self) -> bool {
        !self.client.is_current()
    }

    fn messages(&self, step: Step) -> Vec<Message> {
        let mut messages = Vec::new();
        if step.is_reset {
            let text = "the record to continue after is no longer in memory; here is the oldest one that is";
            messages.push(notice("reset", "WARNING", text, json!({})));
        }
        if step.missed > 0 {
            let text = format!("{} matching records were not sent, because this client was too slow", step.missed);
            messages.push(notice("gap", "WARNING", &text, json!({ "missed": step.missed })));
        }
        match self.is_batched {
            true => messages.extend(self.batch(&step)),
            false => messages.extend(step.items.iter().map(|item| {
                let mut text = Vec::with_capacity(item.record().as_bytes().len() * 2);
                write_record(&mut text, item.id(), self.session(), item.record(), self.names);
                Message { kind: None, id: Some(item.id().to_string()), text: into_text(text) }
            })),
        }
        messages
    }

    /// One of the names that are added.
    fn session(&self) -> Option<&str> {
        (self.names == Names::Aliases).then_some(&self.session)
    }

    fn batch(&self, step: &Step) -> Option<Message> {
        let last = step.items.last()?;
        let mut text = br#"{"type":"records","records":["#.to_vec();
        for (index, item) in step.items.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            write_record(&mut text, item.id(), None, item.record(), self.names);
        }
        text.extend_from_slice(b"]}");
        Some(Message { kind: Some("records"), id: Some(last.id().to_string()), text: into_text(text) })
    }

    /// The totals, if they are wanted, have changed, and were not reported just now.
    pub fn stats(&mut self) -> Option<Message> {
        if !self.is_batched || self.reported_at.elapsed() < limits::STATS_INTERVAL {
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
            "type": "stats", "seen": totals.seen, "matched": totals.matched, "missed": totals.missed,
            "levels": levels, "sources": sources,
        });
        self.reported = totals;
        self.reported_at = Instant::now();
        Some(Message { kind: Some("stats"), id: None, text: message.to_string() })
    }

    /// Answers a message of the client.
    pub fn receive(&mut self, text: &str) -> Message {
        let message: Value = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => return refusal(&format!("this is not JSON: {error}"), None),
        };
        match message["type"].as_str() {
            Some("ping") => notice("pong", "INFO", "pong", json!({})),
            Some("query") => {
                let Some(query) = message["query"].as_str() else {
                    return refusal("`query` must be a text", None);
                };
                let backlog = message["backlog"].as_u64().unwrap_or_default().min(limits::MAX_BACKLOG as u64);
                self.set_query(query, backlog as usize)
            }
            Some(other) => refusal(&format!("unknown type `{other}`; there are `ping` and `query`"), None),
            None => refusal("a message needs a `type`: `ping` or `query`", None),
        }
    }

    fn set_query(&mut self, query: &str, backlog: usize) -> Message {
        match self.client.set_query(query, backlog) {
            Ok(()) => {
                self.reported = Totals::default();
                notice("query", "INFO", &format!("the query is now: {query}"), json!({ "query": query }))
            }
            Err(error) => refusal(&error.to_string(), Some(error.column)),
        }
    }
}

/// The answer to a message that was not understood.
fn refusal(error: &str, column: Option<usize>) -> Message {
    let mut fields = json!({ "error": error });
    if let Some(column) = column {
        fields["column"] = column.into();
    }
    notice("error", "WARNING", error, fields)
}

/// A message that is no record, with the fields of one, so that clients that know only records show it.
fn notice(kind: &'static str, level: &str, text: &str, mut fields: Value) -> Message {
    let mut timestamp = Vec::new();
    format_rfc3339(now_ns(), &mut timestamp);
    let mut all = json!({
        "type": kind, "timestamp": into_text(timestamp), "level": level, "source": "weir", "service_name": "weir",
        "service": "weir", "message": text, "content": text,
    });
    if let (Some(all), Some(fields)) = (all.as_object_mut(), fields.as_object_mut()) {
        all.append(fields);
    }
    Message { kind: Some(kind), id: None, text: all.to_string() }
}

/// JSON as text.
fn into_text(json: Vec<u8>) -> String {
    // Records are valid UTF-8; a damaged one must not end the stream.
    String::from_utf8(json).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
