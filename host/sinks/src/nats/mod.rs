//! The `nats` sink: records as messages of a JetStream stream, each under a subject made from the record.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options, publishing, what the server's answers mean |
//! | `link.rs` | one connection: who Weir is there, and when the connection is no more |
//! | `stream.rs` | the stream that takes the subjects: found or created, and judged |
//! | `subject.rs` | subjects from records |
//!
//! Guarantee: exactly once within the stream's duplicate window. Every message carries `Nats-Msg-Id:
//! {journal}-{sequence}-{index}`, the record's id in the whole world, and the stream takes an id once in its window (two
//! minutes where nobody said otherwise). A delivery is over when the server has acknowledged each of its messages; the
//! journal's cursor moves then. What is sent again, because an acknowledgement was lost or Weir was killed before its
//! cursor was on the disk, is known to the stream and dropped there, also after the server was killed itself.
//!
//! **An outage longer than the window**: messages that were stored but not acknowledged before it (those of the delivery
//! that was under way, or what was delivered in the last second or so before Weir died) come again and are stored twice.
//! Readers can tell by `Nats-Msg-Id`. Nothing is lost either way. So a window longer than the outages one expects
//! makes it exactly once; the server keeps the ids of a window in memory, about 100 bytes each.
//!
//! A copy that this sink takes in another's place has the other's name behind its id.
//!
//! An acknowledgement means that the server has handed the message to its file system; how often that is synced is the
//! server's own affair (`sync_interval`).
//!
//! Order: messages are sent in order over one connection, and stored so, unless the server refuses one for a reason that
//! passes and takes those behind it; that one is then sent again, and stands later.

#[cfg(test)]
mod access_tests;
mod link;
mod stream;
mod subject;
#[cfg(test)]
pub(crate) mod tests;

use std::error::Error;
use std::path::PathBuf;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use weir_record::{Record, write_json};

use self::link::Link;
use self::subject::SubjectTemplate;
use crate::limits;
use crate::post::Tls;
use crate::registry::{BuildContext, Guarantee, Kind, Variable, options, schema_of};
use crate::runner::FALLBACK_MARK;
use crate::sink::{Batching, Delivered, Position, Selected, Sink, SinkError};
use crate::units::Span;

/// The kind's line in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "nats",
    summary: "publishes records to a NATS JetStream stream, each under a subject made from the record",
    guarantee: Guarantee::ExactlyOnce,
    reach: crate::registry::Reach::Anywhere,
    example: r#"[sink.stream]
type = "nats"
url = "nats://localhost:4222"        # or NATS_URL; several: "nats://a:4222,nats://b:4222"
subject = "logs.{source}.{level}"
stream = "LOGS"
create_stream = true                 # when it isn't there
duplicate_window = "10m"             # within it no record is stored twice
"#,
    schema: schema_of::<NatsOptions>,
    variables: &[
        Variable { name: "NATS_URL", option: "url" },
        Variable { name: "NATS_USER", option: "user" },
        Variable { name: "NATS_PASSWORD", option: "password" },
        Variable { name: "NATS_TOKEN", option: "token" },
        Variable { name: "NATS_CREDS", option: "credentials" },
    ],
    min_level: None,
    build,
};

/// Options of a `nats` sink.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsOptions {
    /// The server, `nats://host:4222` or `tls://host:4222`; several with commas between them.
    #[serde(default)]
    pub url: Option<String>,
    /// The subject of a record's message; `{source}`, `{level}` and any path such as `{context.tenant}` are put in as one
    /// token each: dots, spaces and wildcards of a value become `_`.
    #[serde(default = "default_subject")]
    pub subject: String,
    /// The stream that takes these subjects; absent: whichever does.
    #[serde(default)]
    pub stream: Option<String>,
    /// Creates `stream` when it isn't there, with file storage and the subjects of `subject`.
    #[serde(default)]
    pub create_stream: bool,
    /// How long a created stream remembers ids, and less than which of another is warned about.
    #[serde(default = "default_window")]
    pub duplicate_window: Span,
    /// What a message holds: the record as `json` or as `msgpack`.
    #[serde(default)]
    pub format: Format,
    /// The user.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<String>,
    /// A token, in place of user and password.
    #[serde(default)]
    pub token: Option<String>,
    /// A `.creds` file with a JWT and its key.
    #[serde(default)]
    pub credentials: Option<PathBuf>,
    /// TLS, which a `tls://` in `url` asks for too; here `ca` is trusted in place of the system's authorities.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// How long a connection, an answer or an acknowledgement may take.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
}

/// What a message holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Format {
    /// The record as JSON.
    #[default]
    Json,
    /// The record as it is in the journal.
    Msgpack,
}

fn default_subject() -> String {
    "logs.{source}.{level}".into()
}

fn default_window() -> Span {
    Span(limits::NATS_DUPLICATE_WINDOW)
}

fn default_timeout() -> Span {
    Span(limits::NATS_TIMEOUT)
}

fn build(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let options: NatsOptions = options(name, given)?;
    let refuse = |error: String| format!("sink `{name}`: {error}");
    let subject = SubjectTemplate::parse(&options.subject).map_err(refuse)?;
    if options.create_stream && options.stream.is_none() {
        return Err(refuse("`create_stream` needs the name of the stream: give `stream`".into()));
    }
    if let Some(stream) = &options.stream {
        stream::judge_name(stream).map_err(refuse)?;
    }
    if options.timeout.duration().is_zero() {
        return Err(refuse("`timeout` must be more than 0".into()));
    }
    let address = link::Address::new(name, &options)?;
    Ok(Box::new(NatsSink { address, subject, journal: context.journal_id.clone(), options, link: None }))
}

/// For whose sake records are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// This sink's.
    Own,
    /// Another's, which fails.
    StandIn,
}

struct NatsSink {
    address: link::Address,
    subject: SubjectTemplate,
    journal: String,
    options: NatsOptions,
    link: Option<Link>,
}

impl NatsSink {
    async fn take(&mut self, batches: &[Selected], part: Part) -> Result<Delivered, SinkError> {
        // Taken out, so that an error leaves none and `start` makes a new one.
        let Some(mut link) = self.link.take() else {
            return Err(SinkError::Retry(format!("{}: it is not connected", self.address.place())));
        };
        let trouble = link.trouble();
        let rejected = tokio::select! {
            rejected = self.publish(&link, batches, part) => rejected?,
            trouble = trouble => {
                return Err(SinkError::Retry(format!("{}: {trouble}", self.address.place())));
            }
        };
        self.link = Some(link);
        Ok(Delivered { rejected, durable: None })
    }

    /// Sends everything, then waits for the acknowledgements in the order of the messages. Gives the records that no
    /// server will take.
    async fn publish(
        &self,
        link: &Link,
        batches: &[Selected],
        part: Part,
    ) -> Result<Vec<(Position, String)>, SinkError> {
        let mut refused = Vec::new();
        let mut sent = Vec::with_capacity(batches.iter().map(Selected::len).sum());
        for (at, record) in batches.iter().flat_map(Selected::iter) {
            match link.context().send_publish(self.subject.render(record), self.message(at, record, part)).await {
                Ok(acknowledgement) => sent.push((at, acknowledgement)),
                Err(error) => refused.push((at, self.refusal(&error)?)),
            }
        }
        for (at, acknowledgement) in sent {
            if let Err(error) = acknowledgement.await {
                refused.push((at, self.refusal(&error)?));
            }
        }
        refused.sort_unstable_by_key(|(at, _)| *at);
        Ok(refused)
    }

    fn message(&self, at: Position, record: Record<'_>, part: Part) -> PublishMessage {
        let payload = match self.options.format {
            Format::Msgpack => record.as_bytes().to_vec(),
            Format::Json => {
                let mut json = Vec::with_capacity(record.as_bytes().len() + 64);
                write_json(record, &mut json);
                json
            }
        };
        let mut id = format!("{}-{}-{}", self.journal, at.sequence, at.index);
        // A copy is no repetition of the record, which may be in the stream for this sink's own sake.
        if part == Part::StandIn {
            let whose = record.get(FALLBACK_MARK).and_then(|whose| whose.as_str()).unwrap_or_default();
            id.push('-');
            id.extend(whose.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
        }
        PublishMessage::build().payload(payload.into()).message_id(id)
    }

    /// Why a record can never be taken; an error when it can, or when nobody knows.
    fn refusal(&self, error: &PublishError) -> Result<String, SinkError> {
        let place = self.address.place();
        if error.kind() == PublishErrorKind::MaxPayloadExceeded {
            return Ok(format!("{place}: the message is larger than the server takes (its `max_payload`): {error}"));
        }
        let said = error.source().and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
        match said.map(async_nats::jetstream::Error::error_code) {
            Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM) => {
                Ok(format!("{place}: the message is larger than the stream takes (its `max_msg_size`): {error}"))
            }
            _ => Err(SinkError::Retry(match error.kind() {
                PublishErrorKind::StreamNotFound => format!(
                    "{place}: no stream takes `{}`; create one for it, or give `stream` and `create_stream = true`",
                    self.subject.pattern()
                ),
                PublishErrorKind::TimedOut => format!("{place}: no acknowledgement within `timeout`"),
                _ => format!("{place}: {error}"),
            })),
        }
    }
}

#[async_trait]
impl Sink for NatsSink {
    async fn start(&mut self, _: u64) -> Result<Option<u64>, SinkError> {
        self.link = None;
        let link = self.address.connect(&self.options).await?;
        stream::prepare(link.context(), self.address.place(), &self.subject, &self.options).await?;
        self.link = Some(link);
        Ok(None)
    }

    fn batching(&self) -> Batching {
        Batching { records: limits::NATS_IN_FLIGHT, ..Batching::default() }
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        self.take(batches, Part::Own).await
    }

    async fn stand_in(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        self.take(batches, Part::StandIn).await
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
