//! What the configuration means: validated, complete, with paths resolved and sizes and durations as
//! numbers. The rest of the binary knows only this.
//!
//! Every part compares with `==`, which is how a reload finds what changed. `Debug` shows the options of
//! filters and sinks by key only, since they hold passwords.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use weir_record::Level;

pub use super::raw::{Keep, LogFormat, LogLevel, OnError, StandardKey, WhenFull};
use super::{meaning, raw};
use weir_document::Environment;
use weir_document::Problems;
use weir_document::{Node, Value as Written};

/// Everything that the configuration decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the file lies: what relative paths of sinks begin at.
    pub folder: PathBuf,
    pub data: PathBuf,
    pub filters_folder: PathBuf,
    pub auto_load: bool,
    pub http: HttpSettings,
    pub journal: JournalSettings,
    /// In the order in which records pass them.
    pub filters: Vec<FilterSettings>,
    /// In the order of the file.
    pub sinks: Vec<SinkSettings>,
    pub quarantine: QuarantineSettings,
    pub ingest: IngestSettings,
    pub log: LogSettings,
    /// What is not as it was meant and stops nothing.
    pub warnings: Vec<String>,
    /// What may not be as it was meant: for whoever asks what is wrong.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HttpSettings {
    pub listen: SocketAddr,
    pub allowed_hosts: Vec<String>,
    pub max_body_bytes: u64,
    pub max_decompressed_bytes: u64,
    pub max_in_flight_bytes: u64,
    pub max_connections: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
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

/// When the journal is forced to the disk.
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
    /// The only paths that it may see.
    pub reads: Option<Vec<String>>,
    /// The only paths that it may change.
    pub writes: Option<Vec<String>>,
    pub canary: Option<CanarySettings>,
    /// Always an object.
    pub options: Value,
}

/// How a new version is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct CanarySettings {
    /// Of the batches, in millionths.
    pub share_ppm: u32,
    pub time: Duration,
    /// More failed records than the running version's that are too many, of one.
    pub errors: f64,
    /// Fewer records that come out than of the running version that are too few, of one.
    pub drops: f64,
    pub slowdown: f64,
}

impl FilterSettings {
    /// A filter with every default, as for a module that lies in the filters folder.
    pub fn with_defaults(name: &str, module: Module) -> Self {
        let written = raw::Filter::named(name, "");
        meaning::filter_with_defaults(written, name, module)
    }
}

/// Where a filter's module comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Module {
    /// One that comes inside the binary.
    Bundled(String),
    /// A file, relative to the filters folder and never outside it.
    File(PathBuf),
}

#[derive(Clone, PartialEq)]
pub struct SinkSettings {
    pub name: String,
    /// The name of a kind in the registry of sinks.
    pub kind: String,
    /// `None`: every record; empty: none but those of a sink that fails.
    pub routes: Option<Vec<String>>,
    pub min_level: Option<Level>,
    /// Who takes its records once it has failed for so long: the first that can.
    pub fallback: Vec<String>,
    pub fallback_after: Duration,
    /// The kind's own options, an object that its schema accepts.
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
    /// Further names of the standard keys, by name.
    pub aliases: Vec<(String, StandardKey)>,
    pub standard_aliases: bool,
    pub default_source: Option<String>,
    pub default_level: Level,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LogSettings {
    pub level: LogLevel,
    pub format: LogFormat,
}

/// What the command line decides over the file. Paths are relative to the working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub data: Option<PathBuf>,
    pub filters_folder: Option<PathBuf>,
}

impl Settings {
    /// What Weir does with no configuration at all: loopback, the bundled `redact`, every module in the
    /// filters folder, records to the console and into SQLite, or to the sinks that the environment chooses. Folders
    /// are made below `folder`.
    pub fn default_for(folder: &Path, environment: Environment<'_>) -> Result<Self, Problems> {
        let nothing = Node { span: 0..0, value: Written::Table(Vec::new()) };
        let mut problems = Vec::new();
        let mut settings = meaning::read(raw::Config::default(), &nothing, folder, environment, &mut problems);
        settings.auto_load = true;
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(Problems::new("the environment".into(), String::new(), problems))
        }
    }

    /// The same with what the command line says.
    pub fn with_overrides(mut self, overrides: &Overrides) -> Self {
        if let Some(listen) = overrides.listen {
            self.http.listen = listen;
        }
        if let Some(data) = &overrides.data {
            self.data.clone_from(data);
        }
        if let Some(folder) = &overrides.filters_folder {
            self.filters_folder.clone_from(folder);
        }
        self
    }
}

impl SinkSettings {
    /// A sink of a kind with every default, named like it.
    pub(super) fn with_defaults(kind: &str) -> Self {
        Self {
            name: kind.to_owned(),
            kind: kind.to_owned(),
            routes: None,
            min_level: None,
            fallback: Vec::new(),
            fallback_after: raw::fallback_after().duration(),
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

/// Shows an object without its values.
struct KeysOf<'a>(&'a Value);

impl fmt::Debug for KeysOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.as_object().into_iter().flat_map(Map::keys);
        f.debug_set().entries(keys).finish()
    }
}
