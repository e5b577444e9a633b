//! What the file says: its sections and keys, with their defaults and one-line descriptions.
//!
//! These types are the one place where a key exists: the JSON Schema, the reference in
//! `examples/config/README.md` and the check for unknown keys are all made from them. Paths, addresses
//! and modules are still text here; `meaning` reads them. What is required is an `Option` here (and required in
//! the schema), so that a file with mistakes can be judged as far as it is readable.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_document::units::{Size, Span};

/// Configuration of Weir.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    /// Folder for everything Weir keeps: journal, quarantine, database. Relative to this file.
    pub data: String,
    /// Folder where modules are found, and from which they are taken up when they change. Relative to this
    /// file.
    pub filters_folder: String,
    /// Whether modules in the filters folder that no `[[filter]]` names are appended to the chain, by name.
    pub auto_load: bool,
    /// Where and within which bounds records are received.
    pub http: Http,
    /// The durable log between filters and sinks.
    pub journal: Journal,
    /// The filters, in the order in which records pass them. Without any: the bundled `redact`.
    pub filter: Option<Vec<Filter>>,
    /// The sinks, by name. Without any: `console` and `sqlite`.
    pub sink: Option<BTreeMap<String, Value>>,
    /// Where records go that a filter or a sink could not take.
    pub quarantine: Quarantine,
    /// How what senders send becomes a record.
    pub ingest: Ingest,
    /// Weir's own log, on standard error.
    pub log: Log,
}

/// Where and within which bounds records are received.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Http {
    /// Address and port to listen on; `0.0.0.0:8080` is reachable from other machines.
    #[schemars(example = &"127.0.0.1:8080")]
    pub listen: String,
    /// Names besides `localhost` by which a Weir that listens on a loopback address may be asked, such as the public
    /// one that a proxy on this machine passes on. Requests for other hosts get a 403, because a web page could have
    /// sent them. On other addresses any name will do.
    #[schemars(inner(length(min = 1)), extend("examples" = [["logs.example.com"]]))]
    pub allowed_hosts: Vec<String>,
    /// Largest request body, as it arrives.
    pub max_body: Size,
    /// Largest request body once it is decompressed; at least `max_body`.
    pub max_decompressed: Size,
    /// Most bytes of all requests together that are not answered yet; over it, senders get a 503.
    pub max_in_flight: Size,
    /// Most connections at a time; over it, clients get a 503 and are closed. Fewer when the limit of open files leaves
    /// less, which the log says.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: u64,
    /// How long a client may take to send the head of a request.
    pub header_timeout: Span,
    /// How long a client may take to send the body of a request.
    pub body_timeout: Span,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            allowed_hosts: Vec::new(),
            max_body: mib(16),
            max_decompressed: mib(64),
            max_in_flight: mib(256),
            max_connections: 1024,
            header_timeout: seconds(10),
            body_timeout: seconds(30),
        }
    }
}

/// The durable log between filters and sinks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Journal {
    /// When what is written is forced to the disk: `always` (before a sender is answered), a duration (at
    /// most that much is lost in a power cut), or `off` (whenever the system does).
    #[schemars(example = &"always", example = &"100ms", example = &"off")]
    pub sync: String,
    /// Most disk space; at least two segments.
    pub max_size: Size,
    /// How long records stay that every sink has, for `weir journal replay`; never beyond `max_size`.
    #[schemars(example = &"24h")]
    pub keep: Span,
    /// What happens when `max_size` is reached: `refuse` new records with a 503 until a sink has caught up,
    /// or `drop_oldest`, so that slow sinks miss them.
    pub when_full: WhenFull,
    /// Size at which the next file is begun; disk space is freed in such steps.
    pub segment_size: Size,
    /// Whether records are compressed (LZ4) on disk.
    pub compress: bool,
    /// Memory for the newest batches, from which sinks that keep up are served.
    pub recent: Size,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            sync: "always".to_owned(),
            max_size: mib(8 * 1024),
            keep: seconds(0),
            when_full: WhenFull::Refuse,
            segment_size: mib(64),
            compress: false,
            recent: mib(32),
        }
    }
}

/// What the journal does when its disk budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum WhenFull {
    Refuse,
    DropOldest,
}

/// One filter of the chain.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    /// Name in the log, the metrics and the quarantine; every filter has its own.
    #[schemars(required, example = &"redact")]
    pub name: Option<String>,
    /// `bundled:NAME`, or the path of a `.wasm` file relative to the filters folder.
    #[schemars(required, example = &"bundled:redact", example = &"my_filter.wasm")]
    pub module: Option<String>,
    /// What happens to records on which the filter fails: `quarantine` keeps them aside, `pass` lets them
    /// through as they were, `reject` answers the sender with an error.
    #[serde(default)]
    pub on_error: OnError,
    /// Longest time for one batch.
    #[serde(default = "filter_timeout")]
    pub timeout: Span,
    /// Most memory for one instance; each worker has its own.
    #[serde(default = "filter_memory")]
    pub memory: Size,
    /// Most bytes that may come back for one batch.
    #[serde(default = "filter_output")]
    pub max_output: Size,
    /// The only paths that the filter may see: `message`, `context.*`. Without it: what it says that it reads.
    #[schemars(inner(length(min = 1)), extend("examples" = [["message", "context.*"]]))]
    pub reads: Option<Vec<String>>,
    /// The only paths that the filter may change; `[]` is none. Records in which it changes anything else are
    /// treated as `on_error` says. Without it: any.
    #[schemars(inner(length(min = 1)), extend("examples" = [["message"]]))]
    pub writes: Option<Vec<String>>,
    /// How a new version of the module is tried before it takes the place of the one that runs. Without it: on a few
    /// recent records.
    pub canary: Option<Canary>,
    /// The filter's own options, given to it as they are.
    #[serde(default)]
    pub options: serde_json::Map<String, Value>,
}

impl Filter {
    /// A filter with every default.
    pub fn named(name: &str, module: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            module: Some(module.to_owned()),
            on_error: OnError::default(),
            timeout: filter_timeout(),
            memory: filter_memory(),
            max_output: filter_output(),
            reads: None,
            writes: None,
            canary: None,
            options: serde_json::Map::new(),
        }
    }
}

/// A trial of a new version in the shadow of the one that runs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Canary {
    /// The share of the batches that both versions are given copies of.
    #[schemars(required, example = &"5%")]
    pub share: Option<String>,
    /// How long the trial lasts.
    #[serde(rename = "for")]
    #[schemars(required, example = &"60s")]
    pub time: Option<Span>,
    /// It is rejected when it fails on so much more of the records.
    #[serde(default = "canary_errors")]
    pub errors: String,
    /// It is rejected when so much less of the records comes out of it.
    #[serde(default = "canary_drops")]
    pub drops: String,
    /// It is rejected when it takes so many times as long.
    #[serde(default = "canary_slowdown")]
    pub slowdown: f64,
}

fn canary_errors() -> String {
    "1%".to_owned()
}

fn canary_drops() -> String {
    "5%".to_owned()
}

fn canary_slowdown() -> f64 {
    3.0
}

fn filter_timeout() -> Span {
    Span::from_duration(Duration::from_millis(250))
}

fn filter_memory() -> Size {
    mib(64)
}

fn filter_output() -> Size {
    mib(64)
}

/// What happens to a record on which a filter fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OnError {
    #[default]
    Quarantine,
    Pass,
    Reject,
}

/// The keys that every sink has, whatever its type.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct SinkCommon {
    /// Takes only records that a filter gave one of these routes. Without it: every record.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("examples" = [["audit"]]))]
    pub routes: Option<Vec<String>>,
    /// Takes only records of this level and above. Without it: every level.
    pub min_level: Option<LevelName>,
    /// Takes no record of its own, only what another sink can't deliver that names it as its `fallback`.
    pub standby: bool,
    /// The sink that takes marked copies of its records while it fails. They stay in the journal for it all the same.
    #[schemars(length(min = 1), example = &"console")]
    pub fallback: Option<String>,
    /// How long it must have failed before its `fallback` is given anything.
    pub fallback_after: Span,
}

/// The names of those keys, beside `type`.
pub(super) const SINK_COMMON: [&str; 5] = ["routes", "min_level", "standby", "fallback", "fallback_after"];

impl Default for SinkCommon {
    fn default() -> Self {
        Self { routes: None, min_level: None, standby: false, fallback: None, fallback_after: fallback_after() }
    }
}

pub(super) fn fallback_after() -> Span {
    seconds(30)
}

/// Severity of a record, as the file writes it: only the canonical spelling, so that editors can offer it.
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

/// Where records go that a filter or a sink could not take.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Quarantine {
    /// How much is kept: the whole `record` with the reason (it can be replayed), the `reason` alone, or
    /// `nothing`. No filter has cleaned these records.
    pub keep: Keep,
    /// Most disk space. Beyond it the oldest goes first of the filter or sink and source that takes most, so that one sender does not push out what others have there.
    pub max_size: Size,
    /// Longest time that anything is kept.
    pub max_age: Span,
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

/// How what senders send becomes a record.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ingest {
    /// Further names under which senders send the standard keys: `aliases = { sev = "level" }`.
    pub aliases: BTreeMap<String, StandardKey>,
    /// Whether the usual names (`time`, `ts`, `severity`, `msg`, `service` …) count as aliases too.
    pub standard_aliases: bool,
    /// `source` of records that have none. Without it: the name of the endpoint.
    pub default_source: Option<String>,
    /// `level` of records that have none.
    pub default_level: LevelName,
}

impl Default for Ingest {
    fn default() -> Self {
        Self { aliases: BTreeMap::new(), standard_aliases: true, default_source: None, default_level: LevelName::Info }
    }
}

/// A key that means something to Weir.
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
    /// Least level that is written.
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

/// Form of Weir's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "weir-data".to_owned(),
            filters_folder: "filters".to_owned(),
            auto_load: false,
            http: Http::default(),
            journal: Journal::default(),
            filter: None,
            sink: None,
            quarantine: Quarantine::default(),
            ingest: Ingest::default(),
            log: Log::default(),
        }
    }
}

const fn mib(number: u64) -> Size {
    Size::from_bytes(number << 20)
}

const fn seconds(number: u64) -> Span {
    Span::from_duration(Duration::from_secs(number))
}
