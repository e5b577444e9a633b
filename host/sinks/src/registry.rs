//! The kinds of sinks. A new kind is one file or folder and one line in [`KINDS`]. The tests below hold every kind to
//! the same requirements: documentation, an example that parses and builds, a schema, and the compliance test against a
//! real server or disk.

use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
pub(crate) use weir_document::schema_of;
use weir_query::search::Search;
use weir_record::Level;

use crate::exposition::Exposition;
use crate::owners::Owners;
use crate::scrub::{Scrubbed, Secrets};
use crate::sink::Sink;
use crate::text::push_safe;

/// What a sink guarantees about a record in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Every record arrives, and after a crash none arrives again.
    ExactlyOnce,
    /// Every record arrives; after a crash or a failure some may arrive again.
    AtLeastOnce,
    /// Records are shown; some may be dropped while the output is blocked.
    BestEffort,
}

/// How many processes may deliver to the destination of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any number of processes at a time.
    Anywhere,
    /// One process at a time.
    OneProcess,
    /// Only the router: the destination is part of it.
    Router,
}

/// One kind of sink.
pub struct Kind {
    /// The `type` in the configuration.
    pub name: &'static str,
    /// One line on what it does.
    pub summary: &'static str,
    /// Its delivery guarantee.
    pub guarantee: Guarantee,
    /// How many processes may deliver to its destination.
    pub reach: Reach,
    /// A section of the configuration with every important option.
    pub example: &'static str,
    /// The JSON Schema of its options.
    pub schema: fn() -> Value,
    /// Environment variables for options that the configuration leaves out.
    pub variables: &'static [Variable],
    /// The minimum level when the configuration names none; `None` takes every level.
    pub min_level: Option<Level>,
    /// Creates a sink from its name and its own options (without `type`, `routes` and `min_level`). Opens nothing.
    pub(crate) build: Build,
    /// Opens what the sink has stored for searching, from the same name and options. `None`: it can't be searched. It
    /// uses nothing of a running sink, so it also works without one.
    pub(crate) search: Option<OpenSearch>,
}

impl Kind {
    /// Creates a sink from its name and its own options. Opens nothing. Neither this error nor those of the sink contain
    /// secrets of the options, even if a server repeats them in its answers.
    pub fn create(&self, name: &str, options: Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
        let secrets = Arc::new(Secrets::of(&(self.schema)(), &options));
        match (self.build)(name, options, context) {
            Ok(sink) => Ok(Box::new(Scrubbed::new(sink, secrets))),
            Err(error) => Err(secrets.scrub(&error)),
        }
    }

    /// Opens what the sink has stored for searching; `None` if it can't be searched. Errors contain no secrets.
    pub fn open_search(
        &self,
        name: &str,
        options: Value,
        context: &BuildContext,
    ) -> Option<Result<Arc<dyn Search>, String>> {
        let open = self.search?;
        let secrets = Arc::new(Secrets::of(&(self.schema)(), &options));
        Some(match open(name, options, context) {
            Ok(search) => Ok(Arc::new(Scrubbed::new(search, secrets))),
            Err(error) => Err(secrets.scrub(&error)),
        })
    }

    /// The order in which sinks are searched if none is named: databases, which have indexes, before files.
    pub fn search_order(&self) -> u8 {
        u8::from(self.name == "file")
    }
}

/// An environment variable, under its usual name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// `DD_API_KEY`.
    pub name: &'static str,
    /// The option that it sets; its value is parsed by the option's schema.
    pub option: &'static str,
}

/// Creates a sink from its name and options.
pub type Build = fn(&str, Value, &BuildContext) -> Result<Box<dyn Sink>, String>;

/// Makes the search of a sink from its name and options. Connects to nothing before the first search.
pub type OpenSearch = fn(&str, Value, &BuildContext) -> Result<Arc<dyn Search>, String>;

/// What sinks may know about the process.
#[derive(Clone, Default)]
pub struct BuildContext {
    /// The data folder.
    pub data: PathBuf,
    /// The id of the journal, letters and digits. It differs from that of any other journal, even of a later one in the
    /// same folder, so together with it a record's position is globally unique.
    pub journal_id: String,
    /// When this run began, in nanoseconds since 1970 UTC.
    pub started_ns: i64,
    /// The folder that relative paths of a `file` sink start from.
    pub base: PathBuf,
    /// True when standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// True when the environment has a `NO_COLOR` that is not empty.
    pub no_color: bool,
    /// Opens what the console writes to; `None` for standard output.
    pub stdout: Option<OpenOutput>,
    /// The metrics that sinks derive from records.
    pub exposition: Exposition,
    /// Which sink owns a file; shared by all sinks of a process.
    pub owners: Owners,
    /// Whether searches prepare later ones in the background. Only for the process whose sinks write the data.
    pub prepares_searches: bool,
}

impl BuildContext {
    /// A file in the data folder for a sink's persistent state.
    pub(crate) fn own_file(&self, sink: &str, ending: &str) -> PathBuf {
        let mut name = String::new();
        push_safe(sink, &mut name);
        self.data.join("sinks").join(format!("{name}.{ending}"))
    }

    /// A folder in the data folder for what makes searches of a sink fast. It may be deleted at any time.
    pub(crate) fn own_search_folder(&self, sink: &str) -> PathBuf {
        let mut name = String::new();
        push_safe(sink, &mut name);
        self.data.join("search").join(name)
    }
}

/// Opens a replacement for standard output.
pub type OpenOutput = Arc<dyn Fn() -> Box<dyn std::io::Write + Send> + Send + Sync>;

/// Every kind, in the order of the documentation.
pub static KINDS: &[Kind] = &[
    crate::console::KIND,
    crate::file::KIND,
    crate::sqlite::KIND,
    crate::postgres::KIND,
    crate::http::KIND,
    crate::nats::KIND,
    crate::influxdb::KIND,
    crate::datadog::KIND,
    crate::slack::KIND,
    crate::prometheus::KIND,
];

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Reads the options of a sink; an unknown key is an error.
pub(crate) fn options<T: DeserializeOwned>(sink: &str, options: Value) -> Result<T, String> {
    let options = if options.is_null() { Value::Object(serde_json::Map::new()) } else { options };
    serde_json::from_value(options).map_err(|error| format!("sink `{sink}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance;

    fn example(kind: &Kind) -> serde_json::Map<String, Value> {
        let text: toml::Table = kind.example.parse().expect("the example is TOML");
        let sinks = text["sink"].as_table().expect("a [sink.name] section");
        assert_eq!(sinks.len(), 1, "{}: one section", kind.name);
        let section = sinks.values().next().expect("one section").clone();
        let Value::Object(mut options) = serde_json::to_value(section).expect("TOML is JSON") else {
            panic!("a section is a table")
        };
        assert_eq!(options.remove("type"), Some(Value::from(kind.name)));
        options.remove("routes");
        options.remove("min_level");
        options
    }

    #[test]
    fn kinds_are_unique_and_documented() {
        for (at, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..at].iter().all(|other| other.name != kind.name), "{} twice", kind.name);
            assert!(kind.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            assert!(kind.summary.len() > 20 && !kind.summary.ends_with('.'), "{}", kind.name);
            assert!(std::ptr::eq(super::kind(kind.name).expect("found"), kind));
        }
        assert!(kind("nonesuch").is_none());
    }

    #[test]
    fn every_variable_sets_an_option_that_the_configuration_may_omit() {
        for kind in KINDS {
            let schema = (kind.schema)();
            for variable in kind.variables {
                assert!(schema["properties"][variable.option].is_object(), "{}.{}", kind.name, variable.option);
                let required = schema["required"].as_array().cloned().unwrap_or_default();
                assert!(!required.contains(&variable.option.into()), "{}.{}", kind.name, variable.option);
            }
        }
    }

    #[test]
    fn every_example_builds_and_an_unknown_option_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let context = BuildContext { data: folder.path().into(), base: folder.path().into(), ..Default::default() };
        for kind in KINDS {
            let mut options = example(kind);
            (kind.build)("example", options.clone().into(), &context).map(drop).expect(kind.name);
            options.insert("no_such_option".into(), 1.into());
            let error = (kind.build)("example", options.into(), &context).map(drop).expect_err(kind.name);
            assert!(error.contains("no_such_option") && error.contains("example"), "{error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0, "building opens nothing");
    }

    #[test]
    fn every_schema_describes_every_option_and_contains_those_of_the_example() {
        for kind in KINDS {
            let schema = (kind.schema)();
            let properties = schema["properties"].as_object().expect("properties");
            for (name, property) in properties {
                assert!(property["description"].is_string(), "{}.{name} has no description", kind.name);
            }
            for name in example(kind).keys() {
                assert!(properties.contains_key(name), "{}.{name} is not in the schema", kind.name);
            }
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{}", kind.name);
        }
    }

    /// The options that are texts, and no secrets.
    const PLAIN: &[&str] = &[
        "datadog.ddsource",
        "datadog.env",
        "datadog.hostname",
        "datadog.record_id",
        "datadog.service",
        "datadog.site",
        "datadog.tags",
        "datadog.tls.ca",
        "datadog.tls.certificate",
        "datadog.tls.key",
        "datadog.version",
        "file.path",
        "file.template",
        "http.idempotency_header",
        "http.record_id",
        "http.tls.ca",
        "http.tls.certificate",
        "http.tls.key",
        "http.user",
        "influxdb.bucket",
        "influxdb.count",
        "influxdb.database",
        "influxdb.fields",
        "influxdb.measurement",
        "influxdb.org",
        "influxdb.retention_policy",
        "influxdb.tags",
        "influxdb.tls.ca",
        "influxdb.tls.certificate",
        "influxdb.tls.key",
        "influxdb.user",
        "nats.credentials",
        "nats.stream",
        "nats.subject",
        "nats.tls.ca",
        "nats.tls.certificate",
        "nats.tls.key",
        "nats.user",
        "postgres.ca",
        "postgres.columns",
        "postgres.columns.path",
        "postgres.database",
        "postgres.host",
        "postgres.prefix",
        "postgres.schema",
        "postgres.table",
        "postgres.unique",
        "postgres.user",
        "prometheus.rule.at_least",
        "prometheus.rule.help",
        "prometheus.rule.labels",
        "prometheus.rule.name",
        "prometheus.rule.value",
        "prometheus.rule.when",
        "slack.tls.ca",
        "slack.tls.certificate",
        "slack.tls.key",
        "sqlite.path",
    ];

    /// Whoever adds an option has to say whether it is a secret: `weir_document::Secret`, or a line in [`PLAIN`].
    #[test]
    fn every_text_option_is_a_secret_or_known_to_be_none() {
        fn texts(path: &str, schema: &Value, found: &mut Vec<String>) {
            if !schema.is_object() {
                return;
            }
            let is_text = schema["type"] == "string"
                || schema["type"].as_array().is_some_and(|all| all.contains(&"string".into()));
            let is_free = schema.get("enum").is_none()
                && schema.get("const").is_none()
                && !matches!(schema["format"].as_str(), Some("password" | "size" | "duration"));
            if is_text && is_free {
                found.push(path.to_owned());
            }
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                texts(&format!("{path}.{name}"), property, found);
            }
            let choices = ["anyOf", "oneOf", "allOf"].iter().filter_map(|keyword| schema[keyword].as_array()).flatten();
            let inner = [&schema["items"], &schema["additionalProperties"]];
            choices.chain(inner).for_each(|schema| texts(path, schema, found));
            for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
                texts(&format!("{path}.{name}"), definition, found);
            }
        }
        let mut found = Vec::new();
        KINDS.iter().for_each(|kind| texts(kind.name, &(kind.schema)(), &mut found));
        found.dedup();
        let unknown: Vec<_> = found.iter().filter(|path| !PLAIN.contains(&path.as_str())).collect();
        assert!(unknown.is_empty(), "is one of these a secret? {unknown:#?}");
        let gone: Vec<_> = PLAIN.iter().filter(|path| !found.iter().any(|found| found == *path)).collect();
        assert!(gone.is_empty(), "{gone:?}");
    }

    #[test]
    fn every_kind_complies() {
        for kind in KINDS {
            compliance::check(kind);
        }
    }
}
