//! The sections and keys of the file, with their defaults and descriptions.
//!
//! These types are the only definition of the keys: the JSON Schema, the reference in `examples/config/README.md` and
//! the check for unknown keys are generated from them. Paths, addresses and modules are strings here and parsed in
//! `meaning`. Required keys are an `Option` here and required in the schema, so that a file with errors can still be
//! checked.

mod filter;
mod http;
mod journal;
mod listen;
mod sink;
mod source;
mod token;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_document::units::{Size, TimeSpan};

pub use filter::OnError;
pub(super) use filter::{Canary, Filter};
pub(super) use http::{Http, Tls};
pub use journal::WhenFull;
pub(super) use journal::{Encryption, Journal, KeySource};
pub(super) use listen::Listen;
pub(super) use sink::{Sink, SinkCommon};
pub(super) use source::{Source, SourceCommon};
pub use token::TokenRole;
pub(super) use token::{Limits, Token};

/// Configuration of Weir. Without `Debug`, because options of sinks and filters can be secrets.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    /// Folder for the journal, the quarantine and the SQLite database; relative to this file.
    pub data: String,
    /// Folder with the filter modules, which are reloaded when they change; relative to this file.
    pub filters_folder: String,
    /// Whether modules in the filters folder that have no `[[filter]]` are added to the end of the chain, in order of
    /// their names.
    pub auto_load: bool,
    /// The public keys whose modules may run, as `weir filter new-key` prints them. Bundled filters need no signature;
    /// `[]` allows nothing else. Default: any module may run.
    #[schemars(extend("examples" = [["ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"]]))]
    pub trusted_keys: Option<Vec<String>>,
    /// The HTTP server that receives records, and its limits.
    pub http: Http,
    /// Other addresses to listen on, and what their senders speak. Default: none.
    #[schemars(extend("examples" = [[{ "protocol": "syslog", "address": "udp://127.0.0.1:5140" }]]))]
    pub listen: Vec<Listen>,
    /// Encryption of all connections. Default: none.
    pub tls: Option<Tls>,
    /// The live stream of records, for the page and for programs.
    pub live: Live,
    /// What each address may use; a token can have limits of its own. Changes apply without a restart.
    pub limits: Limits,
    /// Tokens, by name, beside those that `weir token` creates. As soon as there is one, every request needs one.
    pub token: BTreeMap<String, Token>,
    /// The durable log between filters and sinks.
    pub journal: Journal,
    /// Encryption of the journal and the quarantine on disk (AES-256-GCM). Default: none.
    pub encryption: Encryption,
    /// The filters, in the order in which records pass through them. Default: the bundled `redact`.
    pub filter: Option<Vec<Filter>>,
    /// What Weir fetches records from, by name. Default: nothing, Weir only receives. Changes apply without a restart, and
    /// only to the sources that are changed.
    pub source: BTreeMap<String, Value>,
    /// The sinks, by name. Default: `console` and `sqlite`.
    pub sink: Option<BTreeMap<String, Value>>,
    /// Storage for records that a filter or a sink could not process.
    pub quarantine: Quarantine,
    /// How incoming data is converted to records.
    pub ingest: Ingest,
    /// Weir's own log, on standard error.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "weir-data".to_owned(),
            filters_folder: "filters".to_owned(),
            auto_load: false,
            trusted_keys: None,
            http: Http::default(),
            listen: Vec::new(),
            tls: None,
            live: Live::default(),
            limits: Limits::default(),
            token: BTreeMap::new(),
            journal: Journal::default(),
            encryption: Encryption::default(),
            filter: None,
            source: BTreeMap::new(),
            sink: None,
            quarantine: Quarantine::default(),
            ingest: Ingest::default(),
            log: Log::default(),
        }
    }
}

/// The live stream of records, for the page and for programs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Live {
    /// How many recent records are kept in memory for clients that connect or reconnect; up to 16 MiB. Default: 1000.
    /// Environment variable: `LOG_BUFFER_SIZE`.
    #[schemars(range(max = 1_000_000))]
    pub buffer: Option<u64>,
    /// A second address, whose root path is the stream itself, for clients that know an address and no path. Environment
    /// variables: `LOG_SERVICE_HOST` and `LOG_SERVICE_PORT`.
    #[schemars(example = &"127.0.0.1:8765")]
    pub listen: Option<String>,
}

/// Severity of a record. Only the canonical spelling is accepted, so that editors can complete it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub(super) enum LevelName {
    Trace,
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

/// Storage for records that a filter or a sink could not process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Quarantine {
    /// What to keep: the whole `record` with the reason (can be replayed), only the `reason`, or `nothing`. These
    /// records are unredacted.
    pub keep: Keep,
    /// Maximum disk space. Beyond it, Weir deletes the oldest entries of the filter or sink and source that uses the
    /// most, so that one sender can't displace the entries of others.
    pub max_size: Size,
    /// How long entries are kept.
    pub max_age: TimeSpan,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self { keep: Keep::Record, max_size: mib(1024), max_age: seconds(30 * 86_400) }
    }
}

/// How much of a quarantined record is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Keep {
    Record,
    Reason,
    Nothing,
}

/// How incoming data is converted to records.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ingest {
    /// Additional names for the standard keys: `aliases = { sev = "level" }`.
    pub aliases: BTreeMap<String, StandardKey>,
    /// Whether the usual names (`time`, `ts`, `severity`, `msg`, `service` …) are aliases too.
    pub standard_aliases: bool,
    /// `source` of records that have none. Default: the name of the endpoint.
    pub default_source: Option<String>,
    /// `level` of records without one.
    pub default_level: LevelName,
    /// How long the key of a request is remembered: `Idempotency-Key`, `Logplex-Frame-Id`, or the chunk of a message of
    /// Fluent Forward. A request that is repeated in this time arrives once.
    pub repeat_window: TimeSpan,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            aliases: BTreeMap::new(),
            standard_aliases: true,
            default_source: None,
            default_level: LevelName::Info,
            repeat_window: seconds(600),
        }
    }
}

/// A standard key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum StandardKey {
    Timestamp,
    Level,
    Source,
    Message,
}

/// Weir's own log, on standard error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// Minimum level.
    pub level: LogLevel,
    /// `text` for people, `json` for machines.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text }
    }
}

/// Level of Weir's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Format of Weir's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LogFormat {
    Text,
    Json,
}

const fn mib(number: u64) -> Size {
    Size::from_bytes(number << 20)
}

const fn seconds(number: u64) -> TimeSpan {
    TimeSpan::from_duration(Duration::from_secs(number))
}
