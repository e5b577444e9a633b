//! The sections and keys of the file, with their defaults and descriptions.
//!
//! These types are the only definition of the keys: the JSON Schema, the reference in `examples/config/README.md` and
//! the check for unknown keys are generated from them. Paths, addresses and modules are strings here and parsed in
//! `meaning`. Required keys are an `Option` here and required in the schema, so that a file with errors can still be
//! checked.

mod listen;
mod source;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_document::Secret;
use weir_document::units::{Size, TimeSpan};

pub(super) use listen::Listen;
pub(super) use source::{Source, SourceCommon};

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

/// The HTTP server that receives records, and its limits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Http {
    /// Address and port to listen on; `0.0.0.0:8080` is reachable from other machines, and needs a token.
    #[schemars(example = &"127.0.0.1:8080")]
    pub listen: String,
    /// Host names besides `localhost` that requests may use when Weir listens on a loopback address, such as the public
    /// name that a local proxy passes on. Requests for other hosts get a 403, because a web page could have sent them.
    /// On other addresses, any name is accepted.
    #[schemars(inner(length(min = 1)), extend("examples" = [["logs.example.com"]]))]
    pub allowed_hosts: Vec<String>,
    /// Other origins whose web pages may send records, as browsers write them: scheme, host, and the port if it isn't
    /// the usual one. `"*"` lets every page anywhere send, so use it only if everybody may. Pages of other origins never
    /// read anything but the answers.
    #[schemars(inner(length(min = 1)), extend("examples" = [["https://app.example.com"]]))]
    pub allowed_origins: Vec<String>,
    /// Maximum size of a request body, as received.
    pub max_body: Size,
    /// Maximum size of a request body after decompression; at least `max_body`.
    pub max_decompressed: Size,
    /// Maximum total size of all unanswered requests; beyond it, senders get a 503.
    pub max_in_flight: Size,
    /// Maximum number of connections; beyond it, clients get a 503 and are disconnected. Lowered, with a warning, if
    /// the limit on open files doesn't allow as many.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: u64,
    /// How long a client may take to send the headers of a request, and before that for a TLS handshake.
    pub header_timeout: TimeSpan,
    /// Time limit for receiving the body of a request.
    pub body_timeout: TimeSpan,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            max_body: mib(16),
            max_decompressed: mib(64),
            max_in_flight: mib(256),
            max_connections: 1024,
            header_timeout: seconds(10),
            body_timeout: seconds(30),
        }
    }
}

/// Encryption of all connections with TLS 1.2 or 1.3. Changed files are taken up while the router runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["certificate", "key"]))]
pub(super) struct Tls {
    /// PEM file with the server's certificate, and after it those between it and its authority; relative to this file.
    #[schemars(length(min = 1), example = &"/etc/weir/certificate.pem")]
    pub certificate: Option<String>,
    /// PEM file with its key, without a password; relative to this file.
    #[schemars(length(min = 1), example = &"/etc/weir/key.pem")]
    pub key: Option<String>,
    /// PEM file with the authorities of clients' certificates, which tokens can name; relative to this file. Default:
    /// clients are not asked for a certificate.
    #[schemars(length(min = 1), example = &"/etc/weir/clients.pem")]
    pub client_certificates: Option<String>,
    /// Whether clients without a certificate can't connect.
    pub require_client_certificate: bool,
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

/// Limits of a sender; beyond one, requests get a 429 with `Retry-After`. What is configured applies to every address;
/// the defaults only to those of other machines, since on this one, a proxy speaks for many. 0 is no limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// Requests that send records, per second. Default: no limit.
    pub requests_per_second: Option<u64>,
    /// Records per second. Default: no limit.
    pub records_per_second: Option<u64>,
    /// Bytes of request bodies per second, as received. Default: no limit.
    #[schemars(example = &"10MiB")]
    pub bytes_per_second: Option<Size>,
    /// How much of these rates may be used at once, as the time in which it accrues; from 100 ms to an hour. Default:
    /// 1s.
    pub burst: Option<TimeSpan>,
    /// Connections at a time. Default: 256.
    pub connections: Option<u64>,
    /// Clients of the live stream at a time. Default: 128.
    pub streams: Option<u64>,
    /// Searches at a time; others wait up to 10 s. Default: 3, of 4 for everybody.
    pub searches: Option<u64>,
}

/// A token: who may send, read or change what. It has one of `hash`, `env`, `file` and `certificate`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["role"]))]
pub(super) struct Token {
    /// What it permits: to send records (`ingest`), to read them and the state of the router (`read`), or everything
    /// (`admin`).
    pub role: Option<TokenRole>,
    /// Only records of these sources, in any case; `*` is any text, `?` one character. Default: all.
    #[schemars(inner(length(min = 1)), extend("examples" = [["shop*", "checkout"]]))]
    pub sources: Vec<String>,
    /// Only records with one of these routes, for `read`. Default: all.
    #[schemars(inner(length(min = 1)), extend("examples" = [["audit"]]))]
    pub routes: Vec<String>,
    /// Its hash, as `weir token new --hash` prints it. No report shows it, because it could be the token by mistake.
    pub hash: Option<Secret>,
    /// The environment variable that contains it.
    #[schemars(length(min = 1), example = &"CI_TOKEN")]
    pub env: Option<String>,
    /// The file that contains it; relative to this file.
    #[schemars(length(min = 1), example = &"/run/secrets/ci-token")]
    pub file: Option<String>,
    /// Its own limits, which replace those of the addresses that use it, one by one. Default: those of the address.
    pub limits: Limits,
    /// In place of a token, a client certificate: its common name, one of its alternative names (DNS, email or URI), or
    /// its fingerprint, `sha256:` and 64 hexadecimal digits. Needs `client_certificates` in `[tls]`.
    #[schemars(length(min = 1), example = &"ci.example.com")]
    pub certificate: Option<String>,
}

/// What a token permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum TokenRole {
    Ingest,
    Read,
    Admin,
}

/// The durable log between filters and sinks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Journal {
    /// When writes are synced to disk: `always` (before a sender is answered), an interval (a power failure loses at
    /// most that much), or `off` (left to the operating system).
    #[schemars(example = &"always", example = &"100ms", example = &"off")]
    pub sync: String,
    /// Maximum disk space; at least two segments.
    pub max_size: Size,
    /// How long to keep records that every sink has, for `weir journal replay`; `max_size` takes precedence.
    #[schemars(example = &"24h")]
    pub keep: TimeSpan,
    /// What happens when `max_size` is reached: `refuse` answers 503 until the sinks catch up, `drop_oldest` deletes
    /// the oldest records even if a slow sink hasn't read them.
    pub when_full: WhenFull,
    /// Size at which a new segment file is started; disk space is freed one segment at a time.
    pub segment_size: Size,
    /// Whether records are compressed (LZ4) on disk.
    pub compress: bool,
    /// Memory for the newest batches; sinks that keep up read from it instead of from disk.
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

/// Encryption of the journal and the quarantine on disk (AES-256-GCM).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Encryption {
    /// The key for new files. Default: none, new files are not encrypted.
    pub key: Option<KeySource>,
    /// The keys of files that were written before `key` was changed or removed.
    pub previous_keys: Vec<KeySource>,
}

/// Where a key comes from: `file` or `env`. A key has 32 bytes, as 64 hexadecimal digits or as Base64.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KeySource {
    /// The file that contains it, as `weir journal new-key` makes one; relative to this file.
    #[schemars(length(min = 1), example = &"/etc/weir/data.key")]
    pub file: Option<String>,
    /// The environment variable that contains it.
    #[schemars(length(min = 1), example = &"WEIR_DATA_KEY")]
    pub env: Option<String>,
}

/// What the journal does when it reaches its size limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum WhenFull {
    Refuse,
    DropOldest,
}

/// One filter of the chain.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "module"]))]
pub(super) struct Filter {
    /// Name in the log, the metrics and the quarantine; must be unique.
    #[schemars(example = &"redact")]
    pub name: Option<String>,
    /// `bundled:NAME`, or the path of a `.wasm` file relative to the filters folder.
    #[schemars(example = &"bundled:redact", example = &"my_filter.wasm")]
    pub module: Option<String>,
    /// What happens to records on which the filter fails: `quarantine` stores them in the quarantine, `pass` lets them
    /// through unchanged, `reject` answers the sender with an error.
    pub on_error: OnError,
    /// Time limit for one batch.
    pub timeout: TimeSpan,
    /// Memory limit for one instance; each worker has its own instance.
    pub memory: Size,
    /// Maximum size of the output for one batch.
    pub max_output: Size,
    /// The only paths that the filter may see, such as `message` or `context.*`. Default: the paths that the filter
    /// declares.
    #[schemars(inner(length(min = 1)), extend("examples" = [["message", "context.*"]]))]
    pub reads: Option<Vec<String>>,
    /// The only paths that the filter may change; `[]` means none. If it changes anything else in a record, `on_error`
    /// applies. Default: any path.
    #[schemars(inner(length(min = 1)), extend("examples" = [["message"]]))]
    pub writes: Option<Vec<String>>,
    /// How a new version of the module is tested before it replaces the running one. Default: on a few recent records.
    pub canary: Option<Canary>,
    /// Options that are passed to the filter.
    pub options: serde_json::Map<String, Value>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            name: None,
            module: None,
            on_error: OnError::default(),
            timeout: TimeSpan::from_duration(Duration::from_millis(250)),
            memory: mib(64),
            max_output: mib(64),
            reads: None,
            writes: None,
            canary: None,
            options: serde_json::Map::new(),
        }
    }
}

/// A trial of a new version next to the running one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["share", "for"]))]
pub(super) struct Canary {
    /// The percentage of batches that both versions receive copies of.
    #[schemars(example = &"5%")]
    pub share: Option<String>,
    /// Duration of the test.
    #[serde(rename = "for")]
    #[schemars(example = &"60s")]
    pub time: Option<TimeSpan>,
    /// Reject the new version if its percentage of failed records exceeds the running version's by more than this.
    pub errors: String,
    /// Reject the new version if its output falls short of the running version's by more than this percentage of the
    /// records.
    pub drops: String,
    /// Reject the new version if it takes more than this many times as long.
    pub slowdown: f64,
}

impl Default for Canary {
    fn default() -> Self {
        Self { share: None, time: None, errors: "1%".to_owned(), drops: "5%".to_owned(), slowdown: 3.0 }
    }
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

/// The keys that all sinks have.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct SinkCommon {
    /// Only accept records to which a filter assigned one of these routes. Default: all records.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("examples" = [["audit"]]))]
    pub routes: Option<Vec<String>>,
    /// Only accept records of this level or above. Default: all levels.
    pub min_level: Option<LevelName>,
    /// Only receive records from sinks that name this sink as their `fallback`.
    pub standby: bool,
    /// The sink that receives marked copies of the records while this sink is failing. The originals stay in the
    /// journal for this sink.
    #[schemars(length(min = 1), example = &"console")]
    pub fallback: Option<String>,
    /// How long the sink must have been failing before its `fallback` receives records.
    pub fallback_after: TimeSpan,
}

/// A sink's table: the common keys, and the options of its type.
#[derive(Deserialize)]
pub(super) struct Sink {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(flatten)]
    pub common: SinkCommon,
    #[serde(flatten)]
    pub options: serde_json::Map<String, Value>,
}

impl Default for SinkCommon {
    fn default() -> Self {
        Self { routes: None, min_level: None, standby: false, fallback: None, fallback_after: seconds(30) }
    }
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

const fn mib(number: u64) -> Size {
    Size::from_bytes(number << 20)
}

const fn seconds(number: u64) -> TimeSpan {
    TimeSpan::from_duration(Duration::from_secs(number))
}
