//! The options of a `kafka` source.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_document::Secret;
use weir_document::units::TimeSpan;

use super::scram::Mechanism;
use crate::limits;
use crate::message::Format;
use crate::socket::Tls;

/// Options of a `kafka` source.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Options {
    /// Some brokers of the cluster, `host:port`; they name the others.
    #[schemars(length(min = 1))]
    pub brokers: Vec<String>,
    /// Topics; `*` stands for any part of a name.
    #[schemars(length(min = 1), example = &["log.*"])]
    pub topics: Vec<String>,
    /// The consumer group. Routers in the same group share the partitions.
    #[schemars(length(min = 1))]
    pub group: String,
    /// Where topics are begun that the group has not read yet.
    pub start: Start,
    /// What a message holds: one JSON object or one MessagePack map is a record (`auto` tells which, and takes anything
    /// else as text); `json` and `msgpack` put anything else into the quarantine; `text` is the message of a record.
    pub format: Format,
    /// A name of this router in the group, different for each. With it, a router that was restarted within `session` has
    /// its partitions again at once, without a rebalance.
    #[schemars(length(min = 1))]
    pub instance: Option<String>,
    /// A router that is silent for this time loses its partitions to others in the group.
    pub session: TimeSpan,
    /// SASL: how `password` is proved.
    pub sasl: Option<Mechanism>,
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// TLS; `tls = {}` trusts the system's authorities.
    pub tls: Option<Tls>,
    /// Time limit for a connection or an answer.
    pub timeout: TimeSpan,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            brokers: vec!["localhost:9092".to_owned()],
            topics: Vec::new(),
            group: "weir".to_owned(),
            start: Start::Beginning,
            format: Format::Auto,
            instance: None,
            session: TimeSpan(limits::KAFKA_SESSION),
            sasl: None,
            user: None,
            password: None,
            tls: None,
            timeout: TimeSpan(limits::KAFKA_TIMEOUT),
        }
    }
}

/// Where a topic is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum Start {
    Beginning,
    End,
}
