//! The `redis` source: takes the entries of Redis streams, through a consumer group, as records.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options |
//! | `taking.rs` | from the group to the destination |
//! | `group.rs` | what is asked of the server |
//! | `resp.rs` | the protocol |
//! | `entry.rs` | an entry as a record |
//! | `seen.rs` | the entries of a stream that are stored |
//!
//! The server gives each entry to one consumer of the group, and keeps it as pending until that acknowledges it, which
//! happens when its record is in the journal. A router that starts first reads what it had not acknowledged, then what
//! others leave behind for some time, then new entries. The ids of what is stored are kept in the same frame as the
//! records, so **one router stores each entry once**, whoever was killed. What a dead router leaves may have been stored
//! there; so for several routers with one database, the record carries its id too (`redis.id`), and the `postgres` sink
//! can be told to store each once (`unique = "redis.id"`).

mod entry;
mod group;
mod resp;
mod seen;
mod taking;

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use weir_document::Secret;
use weir_document::units::TimeSpan;

use self::taking::Taking;
use crate::destination::Destination;
use crate::limits;
use crate::message::Format;
use crate::registry::{Kind, options, schema_of};
use crate::socket::{Schemes, Server, Tls};
use crate::source::{End, Source};

/// The registration.
pub(crate) const KIND: Kind = Kind {
    name: "redis",
    summary: "takes the entries of Redis streams through a consumer group",
    example: r#"[source.bus]
type = "redis"
url = "redis://localhost:6379"
streams = ["events"]
group = "weir"                   # created if missing; routers with the same name share the entries
# field = "event"                # the field that holds the record
"#,
    schema: schema_of::<Options>,
    build: |name, value, _| Redis::new(name, options(name, value)?).map(|source| Box::new(source) as Box<dyn Source>),
};

const SCHEMES: Schemes = Schemes { plain: ("redis", 6379), tls: ("rediss", 6379) };

/// Options of a `redis` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The server, `redis://host:6379` or `rediss://host:6379` for TLS, with `/1` at the end for another database.
    url: Secret,
    /// The streams whose entries are taken.
    #[schemars(length(min = 1, max = 64))]
    streams: Vec<String>,
    /// The consumer group, created if missing, and the streams with it. Routers with the same group share the entries.
    #[schemars(length(min = 1, max = 256))]
    group: String,
    /// The name of this router in the group. Default: a random name that stays the same as long as its data folder.
    #[schemars(length(min = 1, max = 256))]
    consumer: Option<String>,
    /// Where a group begins that is created: with the first entry of the stream, or with the next.
    start: Start,
    /// The field that holds the record; others are left out. Default: the only field of an entry, if that is a JSON object
    /// or a MessagePack map; otherwise, all fields are entries of the record.
    #[schemars(length(min = 1))]
    field: Option<String>,
    /// What the field holds: one JSON object or one MessagePack map is a record (`auto` tells which, and takes anything
    /// else as text); `json` and `msgpack` put anything else into the quarantine; `text` is the message of a record.
    format: Format,
    /// Entries that a consumer did not acknowledge for this time are taken over: longer than a router is away for a restart
    /// or may wait for its sinks.
    take_over: TimeSpan,
    /// The user. Default: the one in `url`, or Redis' default user.
    user: Option<String>,
    /// The password.
    password: Option<Secret>,
    /// TLS, which a `rediss://` in `url` requests too; here `ca` replaces the system's authorities.
    tls: Option<Tls>,
    /// Time limit for a connection or an answer.
    timeout: TimeSpan,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: "redis://localhost:6379".to_owned().into(),
            streams: Vec::new(),
            group: "weir".to_owned(),
            consumer: None,
            start: Start::Beginning,
            field: None,
            format: Format::Auto,
            take_over: TimeSpan(Duration::from_secs(60)),
            user: None,
            password: None,
            tls: None,
            timeout: TimeSpan(limits::BUS_TIMEOUT),
        }
    }
}

/// Where a group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Start {
    Beginning,
    New,
}

/// How to connect.
struct Access {
    server: Server,
    database: String,
    user: Option<String>,
    password: Option<Secret>,
    tls: Option<Tls>,
    timeout: Duration,
    /// How long a read waits for new entries.
    wait: Duration,
    /// The server: the beginning of errors, without secrets.
    place: String,
}

struct Redis {
    access: Access,
    options: Options,
}

impl Redis {
    fn new(name: &str, options: Options) -> Result<Redis, String> {
        let refuse = |error: &str| Err(format!("source `{name}`: {error}"));
        let Some(server) = Server::parse(&options.url, &SCHEMES) else {
            return refuse("`url` must be `redis://host:6379` or `rediss://host:6379`");
        };
        let database = server.path.clone();
        if !database.bytes().all(|byte| byte.is_ascii_digit()) {
            return refuse("what follows the host in `url` must be the number of a database");
        }
        let streams = &options.streams;
        if streams.is_empty() || streams.iter().any(|stream| stream.is_empty() || stream.len() > 256) {
            return refuse("set `streams`, whose names have at most 256 bytes");
        }
        if (1..streams.len()).any(|at| streams[..at].contains(&streams[at])) {
            return refuse("a stream is there twice in `streams`");
        }
        if options.timeout.duration().is_zero() || options.take_over.duration() < limits::REDIS_MIN_TAKE_OVER {
            return refuse("`timeout` must be more than 0, and `take_over` at least 1s");
        }
        if !options.tls.as_ref().is_none_or(Tls::is_complete) {
            return refuse("`tls` needs both `certificate` and `key`, or neither");
        }
        let (user, password) = match &options.password {
            Some(password) => (options.user.clone(), Some(password.clone())),
            None => (options.user.clone().or_else(|| server.user.clone()), server.password.clone()),
        };
        if user.is_some() && password.is_none() {
            return refuse("`user` needs a `password`");
        }
        let access = Access {
            place: format!("Redis at {}", server.place()),
            server,
            database,
            user,
            password,
            tls: options.tls.clone(),
            timeout: options.timeout.duration(),
            wait: limits::REDIS_WAIT.min(options.take_over.duration() / 2),
        };
        Ok(Redis { access, options })
    }

    /// The key of a stream's position. Another server, or another group, has other entries.
    fn key(&self, stream: &str) -> Vec<u8> {
        format!("{}/{} {} {stream}", self.access.server.place(), self.access.database, self.options.group).into_bytes()
    }
}

#[async_trait]
impl Source for Redis {
    async fn run(&self, to: Destination) -> Result<(), String> {
        let taking = async { Taking::begin(self, &to).await?.go_on().await };
        tokio::select! {
            biased;
            // What was read and is not stored is this consumer's, and is read again by the next run.
            () = to.stopped() => Ok(()),
            ended = taking => ended.or_else(End::into_result),
        }
    }
}
