//! The validated settings: complete, with resolved paths, and sizes and durations as numbers. The rest of the binary
//! uses only these types.
//!
//! A reload compares settings with `==`. `Debug` shows only the keys of filter and sink options, since the values may
//! be passwords.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use weir_access::{Quota, TokenHash};
use weir_engine::PublicKey;
use weir_ingest::{ListenAddress, SocketProtocol, TlsFiles, Transport};
use weir_record::Level;

use super::diff::AtStart;
pub use super::raw::{Keep, LogFormat, LogLevel, OnError, StandardKey, WhenFull};
use super::{meaning, raw};
use weir_document::Diagnostics;
use weir_document::Environment;
use weir_document::{Node, Secret, Value as Written};

/// All settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The folder of the file; relative paths of sinks start here.
    pub folder: PathBuf,
    pub data: PathBuf,
    pub filters_folder: PathBuf,
    pub auto_load: bool,
    /// Whose modules may run; `None`: everyone's.
    pub trusted_keys: Option<Vec<PublicKey>>,
    pub http: HttpSettings,
    pub listeners: Vec<ListenSettings>,
    pub live: LiveSettings,
    /// Of each address.
    pub limits: Quota,
    pub tokens: Vec<TokenSettings>,
    pub tls: Option<TlsFiles>,
    pub journal: JournalSettings,
    pub encryption: EncryptionSettings,
    /// In the order in which records pass through them.
    pub filters: Vec<FilterSettings>,
    /// In file order.
    pub sinks: Vec<SinkSettings>,
    pub sources: Vec<SourceSettings>,
    pub quarantine: QuarantineSettings,
    pub ingest: IngestSettings,
    pub log: LogSettings,
    /// Keys that take effect only after a restart.
    pub(super) at_start: AtStart,
    /// Probably unintended settings.
    pub warnings: Vec<String>,
    /// Possibly unintended settings, which only `weir validate` shows.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HttpSettings {
    pub listen: SocketAddr,
    /// Everything is open although others reach the address and there is no token.
    pub insecure_open: bool,
    pub allowed_hosts: Vec<String>,
    pub allowed_origins: Vec<String>,
    pub max_body_bytes: u64,
    pub max_decompressed_bytes: u64,
    pub max_in_flight_bytes: u64,
    pub max_connections: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
}

/// Another address to listen on.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenSettings {
    pub protocol: Spoken,
    pub address: ListenAddress,
    /// `None`: the name of the protocol.
    pub source: Option<String>,
    pub routes: Vec<String>,
    /// What its senders may send together.
    pub quota: Option<Quota>,
    pub max_message_bytes: u64,
    pub max_connections: usize,
    pub shared_key: Option<Secret>,
    pub users: Vec<(String, Secret)>,
}

/// What the senders of a listener speak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spoken {
    /// Everything that is received over HTTP, or the one protocol of this name.
    Http(Option<&'static str>),
    Socket(&'static SocketProtocol),
}

impl Spoken {
    /// What it can be spoken over, the usual one first.
    pub fn transports(self) -> &'static [Transport] {
        match self {
            Spoken::Http(_) => &[Transport::Tcp, Transport::Tls],
            Spoken::Socket(protocol) => protocol.transports,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Spoken::Http(only) => only.unwrap_or("http"),
            Spoken::Socket(protocol) => protocol.name,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct LiveSettings {
    /// Recent records in memory.
    pub buffer: usize,
    /// A second address to listen on.
    pub listen: Option<SocketAddr>,
}

/// A token of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenSettings {
    pub name: String,
    pub role: weir_access::Role,
    pub sources: Vec<String>,
    pub routes: Vec<String>,
    pub secret: TokenSecret,
    pub limits: Quota,
}

/// Where a token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSecret {
    Hash(TokenHash),
    Environment(String),
    File(PathBuf),
}

/// Where the keys for stored data come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncryptionSettings {
    pub key: Option<KeySource>,
    pub previous_keys: Vec<KeySource>,
}

/// Where a key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    File(PathBuf),
    Environment(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct JournalSettings {
    pub sync: Sync,
    pub max_size_bytes: u64,
    pub keep: Duration,
    pub when_full: WhenFull,
    pub segment_bytes: u64,
    pub compress: bool,
    pub recent_bytes: u64,
}

/// When the journal is synced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    Always,
    Every(Duration),
    Off,
}

#[derive(Clone, PartialEq)]
pub struct FilterSettings {
    pub name: String,
    pub module: Module,
    pub on_error: OnError,
    pub timeout: Duration,
    pub memory_bytes: u64,
    pub output_bytes: u64,
    /// The only paths that the filter may see.
    pub reads: Option<Vec<String>>,
    /// The only paths that the filter may change.
    pub writes: Option<Vec<String>>,
    pub canary: Option<CanarySettings>,
    /// Always an object.
    pub options: Value,
}

/// The settings of a canary trial.
#[derive(Debug, Clone, PartialEq)]
pub struct CanarySettings {
    /// Share of the batches, in parts per million.
    pub share_ppm: u32,
    pub time: Duration,
    /// Maximum difference to the running version in failed records, as a fraction.
    pub errors: f64,
    /// Maximum difference to the running version in missing output records, as a fraction.
    pub drops: f64,
    pub slowdown: f64,
}

impl FilterSettings {
    /// A filter with default settings, as for a module in the filters folder.
    pub fn with_defaults(name: &str, module: Module) -> Self {
        meaning::filter_with_defaults(raw::Filter::default(), name, module)
    }
}

/// Where a filter's module comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Module {
    /// A module embedded in the binary.
    Bundled(String),
    /// A file, relative to the filters folder and never outside it.
    File(PathBuf),
}

#[derive(Clone, PartialEq)]
pub struct SinkSettings {
    pub name: String,
    /// The sink type.
    pub kind: String,
    /// `None`: all records; empty: only records from failing sinks.
    pub routes: Option<Vec<String>>,
    pub min_level: Option<Level>,
    /// The sinks that receive its records after `fallback_after`, in order; the first one that works is used.
    pub fallback: Vec<String>,
    pub fallback_after: Duration,
    /// The options of the sink type, an object that matches its schema.
    pub options: Value,
}

#[derive(Clone, PartialEq)]
pub struct SourceSettings {
    pub name: String,
    /// The source type.
    pub kind: String,
    /// `source` of records that have none; `None`: the name.
    pub source: Option<String>,
    pub level: Level,
    /// Routes that its records get.
    pub routes: Vec<String>,
    /// The options of the source type, an object that matches its schema.
    pub options: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub struct QuarantineSettings {
    pub keep: Keep,
    pub max_size_bytes: u64,
    pub max_age: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct IngestSettings {
    /// Additional names of the standard keys, by name.
    pub aliases: Vec<(String, StandardKey)>,
    pub standard_aliases: bool,
    pub default_source: Option<String>,
    pub default_level: Level,
    pub repeat_window: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    pub level: LogLevel,
    pub format: LogFormat,
}

/// Command-line options that override the file. Paths are relative to the working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub data: Option<PathBuf>,
    pub filters_folder: Option<PathBuf>,
    pub insecure_open: bool,
    /// Types of sources that run with default settings, beside those of the file. They are named after their type.
    pub sources: Vec<&'static str>,
}

impl Settings {
    /// The settings without a configuration file: loopback, the bundled `redact`, all modules in the filters folder,
    /// and the sinks `console` and `sqlite` or those that the environment selects. Folders are created in `folder`.
    pub fn default_for(folder: &Path, environment: Environment<'_>) -> Result<Self, Diagnostics> {
        let nothing = Node { span: 0..0, value: Written::Table(Vec::new()) };
        let mut problems = Vec::new();
        let mut settings = meaning::read(raw::Config::default(), &nothing, folder, environment, &mut problems);
        settings.auto_load = true;
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(Diagnostics::new("the environment".into(), String::new(), problems))
        }
    }

    /// Applies the command-line options.
    pub fn with_overrides(mut self, overrides: &Overrides) -> Self {
        if let Some(listen) = overrides.listen {
            self.http.listen = listen;
            self.at_start.remove("http.listen");
        }
        if let Some(data) = &overrides.data {
            self.data.clone_from(data);
            self.at_start.remove("data");
        }
        if let Some(folder) = &overrides.filters_folder {
            self.filters_folder.clone_from(folder);
        }
        self.http.insecure_open = overrides.insecure_open;
        for kind in &overrides.sources {
            let mut options = Map::new();
            if *kind == "stdin" {
                options.insert("pass_through".to_owned(), self.leave_stdout().into());
            }
            self.sources.retain(|source| source.name != *kind);
            self.sources.push(SourceSettings {
                name: (*kind).to_owned(),
                kind: (*kind).to_owned(),
                source: None,
                level: self.ingest.default_level,
                routes: Vec::new(),
                options: Value::Object(options),
            });
        }
        self
    }

    /// Removes the console from the default sinks, so that another can write to standard output. Returns whether no sink
    /// writes there.
    fn leave_stdout(&mut self) -> bool {
        if let [console, sqlite] = &self.sinks[..]
            && *console == SinkSettings::with_defaults("console")
            && sqlite.name == "sqlite"
        {
            self.sinks.remove(0);
        }
        self.sinks.iter().all(|sink| sink.kind != "console")
    }
}

impl SinkSettings {
    /// A sink with default settings, named after its type.
    pub(super) fn with_defaults(kind: &str) -> Self {
        Self {
            name: kind.to_owned(),
            kind: kind.to_owned(),
            routes: None,
            min_level: None,
            fallback: Vec::new(),
            fallback_after: raw::SinkCommon::default().fallback_after.duration(),
            options: Value::Object(Map::new()),
        }
    }
}

impl fmt::Debug for FilterSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterSettings")
            .field("name", &self.name)
            .field("module", &self.module)
            .field("on_error", &self.on_error)
            .field("timeout", &self.timeout)
            .field("memory_bytes", &self.memory_bytes)
            .field("output_bytes", &self.output_bytes)
            .field("reads", &self.reads)
            .field("writes", &self.writes)
            .field("canary", &self.canary)
            .field("options", &KeysOf(&self.options))
            .finish()
    }
}

impl fmt::Debug for SinkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkSettings")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("routes", &self.routes)
            .field("min_level", &self.min_level)
            .field("fallback", &self.fallback)
            .field("fallback_after", &self.fallback_after)
            .field("options", &KeysOf(&self.options))
            .finish()
    }
}

impl fmt::Debug for SourceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSettings")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("source", &self.source)
            .field("level", &self.level)
            .field("options", &KeysOf(&self.options))
            .finish()
    }
}

/// Formats only the keys of an object.
struct KeysOf<'a>(&'a Value);

impl fmt::Debug for KeysOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.as_object().into_iter().flat_map(Map::keys);
        f.debug_set().entries(keys).finish()
    }
}
