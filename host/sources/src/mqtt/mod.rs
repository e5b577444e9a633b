//! The `mqtt` source: subscribes to topics, and takes their messages as records.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options; from the session to the destination |
//! | `topics.rs` | what the server has subscriptions for |
//! | `session.rs` | a connection, kept alive |
//! | `packet.rs` | the packets of MQTT 3.1.1 and 5 |
//! | `bytes.rs` | bytes to packets |
//!
//! The session has a client id that stays the same, so the server keeps messages for it while the router is away. A message
//! is acknowledged when its record is in the journal; what is not acknowledged, the server sends again. It has no number that
//! would tell a repeated message from a new one, so a message is stored **at least once**.
//!
//! The client library that is used most would add 31 s of processor time to a first build, and it reads ahead.

mod bytes;
mod packet;
mod session;
mod topics;

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::sleep;
use weir_document::Secret;
use weir_document::units::TimeSpan;
use weir_record::{ComposeError, Composer};

use self::packet::{Message, Packet, Version, acknowledgement};
use self::session::Session;
use self::topics::{Topics, is_filter};
use crate::destination::{Delivery, Destination};
use crate::identity::identity;
use crate::limits;
use crate::message::{Format, compose};
use crate::registry::{Kind, options, schema_of};
use crate::socket::{Schemes, Server, Tls};
use crate::source::{End, Source};

/// The registration.
pub(crate) const KIND: Kind = Kind {
    name: "mqtt",
    summary: "subscribes to topics of an MQTT server, version 3.1.1 or 5",
    example: r#"[source.devices]
type = "mqtt"
url = "mqtt://localhost:1883"
topics = ["devices/+/log", "alarms/#"]   # shared by several routers: "$share/weir/devices/+/log"
"#,
    schema: schema_of::<Options>,
    build: |name, value, _| Mqtt::new(name, options(name, value)?).map(|source| Box::new(source) as Box<dyn Source>),
};

const SCHEMES: Schemes = Schemes { plain: ("mqtt", 1883), tls: ("mqtts", 8883) };

/// The key of the position that is this router's client id. Those of topics contain spaces.
const CLIENT: &[u8] = b"client";

/// Options of an `mqtt` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The server, `mqtt://host:1883` or `mqtts://host:8883` for TLS.
    url: Secret,
    /// The topics, with `+` for one level and `#` for all that follow; `$share/GROUP/TOPIC` shares the messages of a topic
    /// with other routers.
    #[schemars(length(min = 1, max = 64))]
    topics: Vec<String>,
    /// The version of the protocol: 5, or 4 for MQTT 3.1.1.
    #[schemars(range(min = 4, max = 5))]
    version: u8,
    /// The client id, which no other client may have. Default: a random one that stays the same as long as the router's data
    /// folder.
    #[schemars(length(min = 1, max = 256))]
    client: Option<String>,
    /// How long the server keeps messages for this router while it is away. With MQTT 3.1.1, the server decides.
    session: TimeSpan,
    /// What a message holds: one JSON object or one MessagePack map is a record (`auto` tells which, and takes anything
    /// else as text); `json` and `msgpack` put anything else into the quarantine; `text` is the message of a record.
    format: Format,
    /// The user. Default: the one in `url`.
    user: Option<String>,
    /// The user's password.
    password: Option<Secret>,
    /// TLS, which an `mqtts://` in `url` requests too; here `ca` replaces the system's authorities.
    tls: Option<Tls>,
    /// Time limit for a connection or an answer.
    timeout: TimeSpan,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: "mqtt://localhost:1883".to_owned().into(),
            topics: Vec::new(),
            version: 5,
            client: None,
            session: TimeSpan(Duration::from_secs(24 * 3600)),
            format: Format::Auto,
            user: None,
            password: None,
            tls: None,
            timeout: TimeSpan(limits::BUS_TIMEOUT),
        }
    }
}

/// How to connect.
struct Access {
    server: Server,
    version: Version,
    session_seconds: u32,
    user: Option<String>,
    password: Option<Secret>,
    tls: Option<Tls>,
    timeout: Duration,
    /// The server: the beginning of errors, without secrets.
    place: String,
}

struct Mqtt {
    access: Access,
    options: Options,
}

impl Mqtt {
    fn new(name: &str, options: Options) -> Result<Mqtt, String> {
        let refuse = |error: &str| Err(format!("source `{name}`: {error}"));
        let Some(server) = Server::parse(&options.url, &SCHEMES).filter(|server| server.path.is_empty()) else {
            return refuse("`url` must be `mqtt://host:1883` or `mqtts://host:8883`");
        };
        if options.topics.is_empty() {
            return refuse("set `topics`");
        }
        if let Some(wrong) = options.topics.iter().find(|topic| !is_filter(topic)) {
            return refuse(&format!("`{wrong}` is not a topic: `+` stands for a whole level, `#` for all that follow"));
        }
        let version = match options.version {
            4 => Version::V4,
            5 => Version::V5,
            _ => return refuse("`version` must be 5, or 4 for MQTT 3.1.1"),
        };
        let session_seconds = u32::try_from(options.session.duration().as_secs()).unwrap_or(u32::MAX);
        if options.timeout.duration().is_zero() || session_seconds == 0 {
            return refuse("`timeout` must be more than 0, and `session` at least 1s");
        }
        if !options.tls.as_ref().is_none_or(Tls::is_complete) {
            return refuse("`tls` needs both `certificate` and `key`, or neither");
        }
        let user = options.user.clone().or_else(|| server.user.clone());
        let password = options.password.clone().or_else(|| server.password.clone());
        let texts = [user.as_deref(), options.client.as_deref(), password.as_ref().map(Secret::expose)];
        if texts.iter().flatten().any(|text| text.len() > usize::from(u16::MAX)) {
            return refuse("`user`, `password` and `client` have at most 65535 bytes");
        }
        if user.is_none() && password.is_some() {
            return refuse("`password` needs a `user`");
        }
        let access = Access {
            place: format!("MQTT at {}", server.place()),
            server,
            version,
            session_seconds,
            user,
            password,
            tls: options.tls.clone(),
            timeout: options.timeout.duration(),
        };
        Ok(Mqtt { access, options })
    }

    async fn take(&self, to: &Destination) -> Result<(), End> {
        let mut positions = to.positions().await;
        let client = match &self.options.client {
            Some(client) => client.clone(),
            None => identity(to, &positions, CLIENT).await?,
        };
        let mut session = tokio::select! {
            session = Session::open(&self.access, &client) => session?,
            () = to.stopped() => return Err(End::Stopping),
        };
        // Another server, or another client, has other subscriptions.
        let key = format!("{} {client}", self.access.server.place());
        positions.retain(|position| position.key != CLIENT);
        let mut topics = Topics::begin(&self.options.topics, key, positions, session.is_resumed);
        // Before the server has them: a subscription that is not known would never end.
        topics.store(to).await?;
        session.send(&topics.packets(self.access.version)).await?;
        loop {
            let mut messages = Vec::new();
            let mut bytes = 0;
            let mut next = match self.next(to, &mut session, topics.is_waiting()).await? {
                Some(packet) => Some(packet),
                None => {
                    session.close().await;
                    return Err(End::Stopping);
                }
            };
            while let Some(packet) = next {
                match packet {
                    Packet::Publish(message) => {
                        bytes += message.byte_len();
                        messages.push(message);
                    }
                    packet => topics.note(packet, to).await?,
                }
                let is_full = messages.len() >= limits::BATCH_RECORDS || bytes >= limits::BATCH_BYTES;
                next = if is_full { None } else { session.next_now()? };
            }
            self.store(to, &mut session, &messages).await?;
        }
    }

    /// Waits for a packet, which has to arrive in time if it is due. `None`: the source is to stop.
    async fn next(&self, to: &Destination, session: &mut Session<'_>, is_due: bool) -> Result<Option<Packet>, String> {
        tokio::select! {
            biased;
            () = to.stopped() => Ok(None),
            packet = session.next() => packet.map(Some),
            () = sleep(self.access.timeout), if is_due => {
                Err(format!("{}: no answer to SUBSCRIBE", self.access.place))
            }
        }
    }

    /// Stores messages and acknowledges them.
    async fn store(&self, to: &Destination, session: &mut Session<'_>, messages: &[Message]) -> Result<(), End> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut delivering = pin!(to.deliver(self.delivery(to, messages)?));
        loop {
            tokio::select! {
                biased;
                delivered = &mut delivering => break delivered?,
                // It may take long until there is room.
                () = sleep(session.quiet()) => session.ping().await?,
            }
        }
        let acknowledgements: Vec<u8> =
            messages.iter().filter_map(|message| message.id).flat_map(acknowledgement).collect();
        Ok(session.send(&acknowledgements).await?)
    }

    fn delivery(&self, to: &Destination, messages: &[Message]) -> Result<Delivery, String> {
        to.compose(|composer| {
            for message in messages {
                let origin = |composer: &mut Composer<'_, '_>| origin(composer, message);
                let composed = compose(composer, self.options.format, &message.payload, origin);
                composed.map_err(|error| format!("{}: can't read messages: {error}", self.access.place))?;
            }
            Ok(())
        })
    }
}

fn origin(composer: &mut Composer<'_, '_>, message: &Message) -> Result<(), ComposeError> {
    composer.entry(b"mqtt", |value| {
        value.map(|map| {
            map.entry(b"topic").text(message.topic.as_bytes());
            if message.is_retained {
                map.entry(b"retained").bool(true);
            }
            Ok(())
        })
    })
}

#[async_trait]
impl Source for Mqtt {
    async fn run(&self, to: Destination) -> Result<(), String> {
        self.take(&to).await.or_else(End::into_result)
    }
}
