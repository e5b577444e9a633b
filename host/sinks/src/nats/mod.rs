//! The `nats` sink: publishes records to a JetStream stream, each under a subject made from the record.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options, publishing, what the server's answers mean |
//! | `stream.rs` | finds or creates the stream that takes the subjects, and checks its settings |
//! | `subject.rs` | subjects from records |
//!
//! Guarantee: exactly once within the stream's duplicate window. Every message carries `Nats-Msg-Id:
//! {journal}-{sequence}-{index}`, the globally unique id of the record, and the stream accepts an id once within its
//! window (two minutes by default). A delivery succeeds when the server has acknowledged all its messages; then the
//! journal's cursor moves. If a message is sent again, because an acknowledgement was lost or Weir was killed before
//! its cursor was on disk, the stream recognises and drops it, even after the server itself was killed.
//!
//! **In an outage longer than the window**, messages that were stored but not acknowledged (those of the delivery in
//! progress, or of about the last second before Weir died) are stored twice. Readers can recognise them by
//! `Nats-Msg-Id`. Nothing is lost either way. For exactly once, choose a window longer than the outages that you
//! expect; the server keeps the ids of a window in memory, about 100 bytes each.
//!
//! When this sink stands in for another, the id of a copy ends with the other sink's name.
//!
//! An acknowledgement means that the server has written the message to its file system; how often the server syncs is
//! configured there (`sync_interval`).
//!
//! Order: messages are sent and stored in order over one connection. The exception is a message that the server refuses
//! for a temporary reason while it accepts later ones: it is sent again and stored after them.

#[cfg(test)]
mod access_tests;
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
use weir_document::Secret;
use weir_nats::{Access, Address, Certificates, Link};
use weir_record::{Record, write_json};

use self::subject::SubjectTemplate;
use crate::limits;
use crate::post::Tls;
use crate::registry::{BuildContext, Guarantee, Kind, Variable, options, schema_of};
use crate::runner::FALLBACK_MARK;
use crate::sink::{Batching, Delivered, Position, Selected, Sink, SinkError};
use crate::units::TimeSpan;

/// The kind's entry in the registry.
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
duplicate_window = "10m"             # within it, no record is stored twice
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
    search: None,
};

/// Options of a `nats` sink.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsOptions {
    /// The server, `nats://host:4222` or `tls://host:4222`; several separated by commas.
    #[serde(default)]
    pub url: Option<Secret>,
    /// The subject of a record's message. `{source}`, `{level}` and any path such as `{context.tenant}` become one
    /// token each: dots, spaces and wildcards in a value become `_`.
    #[serde(default = "default_subject")]
    pub subject: String,
    /// The stream for these subjects; absent: whichever accepts them.
    #[serde(default)]
    pub stream: Option<String>,
    /// Creates `stream` if it doesn't exist, with file storage and the subjects of `subject`.
    #[serde(default)]
    pub create_stream: bool,
    /// How long a created stream remembers ids; an existing stream with a shorter window causes a warning.
    #[serde(default = "default_window")]
    pub duplicate_window: TimeSpan,
    /// The format of a message: the record as `json` or as `msgpack`.
    #[serde(default)]
    pub format: Format,
    /// The user.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A token, in place of user and password.
    #[serde(default)]
    pub token: Option<Secret>,
    /// A `.creds` file with a JWT and its key.
    #[serde(default)]
    pub credentials: Option<PathBuf>,
    /// TLS, which a `tls://` in `url` requests too; here `ca` replaces the system's authorities.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Time limit for a connection, an answer or an acknowledgement.
    #[serde(default = "default_timeout")]
    pub timeout: TimeSpan,
}

/// The format of a message.
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

fn default_window() -> TimeSpan {
    TimeSpan(limits::NATS_DUPLICATE_WINDOW)
}

fn default_timeout() -> TimeSpan {
    TimeSpan(limits::NATS_TIMEOUT)
}

fn build(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let options: NatsOptions = options(name, given)?;
    let refuse = |error: String| format!("sink `{name}`: {error}");
    let subject = SubjectTemplate::parse(&options.subject).map_err(refuse)?;
    if options.create_stream && options.stream.is_none() {
        return Err(refuse("`create_stream` needs the name of the stream: set `stream`".into()));
    }
    if let Some(stream) = &options.stream {
        stream::judge_name(stream).map_err(refuse)?;
    }
    if options.timeout.duration().is_zero() {
        return Err(refuse("`timeout` must be more than 0".into()));
    }
    let tls = options.tls.clone().map(|Tls { ca, certificate, key }| Certificates { ca, certificate, key });
    let access = Access {
        url: options.url.clone(),
        user: options.user.clone(),
        password: options.password.clone(),
        token: options.token.clone(),
        credentials: options.credentials.clone(),
        tls,
        timeout: options.timeout.duration(),
    };
    let address = Address::new(&format!("sink `{name}`"), access)?;
    Ok(Box::new(NatsSink { address, subject, journal: context.journal_id.clone(), options, link: None }))
}

/// Whose records are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This sink's.
    Own,
    /// Those of another, failing sink.
    StandIn,
}

struct NatsSink {
    address: Address,
    subject: SubjectTemplate,
    journal: String,
    options: NatsOptions,
    link: Option<Link>,
}

impl NatsSink {
    async fn take(&mut self, batches: &[Selected], part: Origin) -> Result<Delivered, SinkError> {
        // Taken, so that an error leaves none and `start` opens a new one.
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

    /// Sends everything, then waits for the acknowledgements in the order of the messages. Returns the records that no
    /// server will accept.
    async fn publish(
        &self,
        link: &Link,
        batches: &[Selected],
        part: Origin,
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

    fn message(&self, at: Position, record: Record<'_>, part: Origin) -> PublishMessage {
        let payload = match self.options.format {
            Format::Msgpack => record.as_bytes().to_vec(),
            Format::Json => {
                let mut json = Vec::with_capacity(record.as_bytes().len() + 64);
                write_json(record, &mut json);
                json
            }
        };
        let mut id = format!("{}-{}-{}", self.journal, at.sequence, at.index);
        // A copy is not a repetition of the record, which may also be in the stream as this sink's own.
        if part == Origin::StandIn {
            let whose = record.get(FALLBACK_MARK).and_then(|whose| whose.as_str()).unwrap_or_default();
            id.push('-');
            id.extend(whose.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
        }
        PublishMessage::build().payload(payload.into()).message_id(id)
    }

    /// Why a record can never be accepted; an error if it may be accepted later.
    fn refusal(&self, error: &PublishError) -> Result<String, SinkError> {
        let place = self.address.place();
        if error.kind() == PublishErrorKind::MaxPayloadExceeded {
            return Ok(format!("{place}: the message exceeds the server's `max_payload`: {error}"));
        }
        let said = error.source().and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
        match said.map(async_nats::jetstream::Error::error_code) {
            Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM) => {
                Ok(format!("{place}: the message exceeds the stream's `max_msg_size`: {error}"))
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
        // Twice the size of a delivery, so that permits of a failed delivery never block the next one.
        let link = self.address.connect(2 * limits::NATS_IN_FLIGHT).await.map_err(SinkError::Retry)?;
        stream::prepare(link.context(), self.address.place(), &self.subject, &self.options).await?;
        self.link = Some(link);
        Ok(None)
    }

    fn batching(&self) -> Batching {
        Batching { records: limits::NATS_IN_FLIGHT, ..Batching::default() }
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        self.take(batches, Origin::Own).await
    }

    async fn stand_in(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        self.take(batches, Origin::StandIn).await
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}
