//! The kinds of sources. A new kind is one file or folder and one line in [`KINDS`]. The tests below hold every kind to the
//! same requirements: documentation, an example that parses and builds, a schema.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;
pub(crate) use weir_document::schema_of;

use crate::source::Source;

/// One kind of source.
pub struct Kind {
    /// The `type` in the configuration.
    pub name: &'static str,
    /// One line on what it does.
    pub summary: &'static str,
    /// A section of the configuration with every important option.
    pub example: &'static str,
    /// The JSON Schema of its options.
    pub schema: fn() -> Value,
    /// Creates a source from its name and its own options (without `type`, `source` and `level`). Opens nothing.
    pub build: Build,
}

/// Creates a source from its name and options.
pub type Build = fn(&str, Value, &BuildContext) -> Result<Box<dyn Source>, String>;

/// What sources may know about the process.
#[derive(Clone, Debug, Default)]
pub struct BuildContext {
    /// The folder that relative paths start from.
    pub base: PathBuf,
}

/// Every kind, in the order of the documentation.
pub static KINDS: &[Kind] = &[
    crate::file::KIND,
    crate::stdin::KIND,
    crate::exec::KIND,
    crate::docker::KIND,
    crate::journald::KIND,
    crate::nats::KIND,
    crate::redis::KIND,
    crate::mqtt::KIND,
    crate::kafka::KIND,
    crate::demo::KIND,
];

/// The kind of that name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Reads the options of a source; an unknown key is an error.
pub(crate) fn options<T: DeserializeOwned>(source: &str, options: Value) -> Result<T, String> {
    let options = if options.is_null() { Value::Object(serde_json::Map::new()) } else { options };
    serde_json::from_value(options).map_err(|error| format!("source `{source}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(kind: &Kind) -> serde_json::Map<String, Value> {
        let text: toml::Table = kind.example.parse().expect("the example is TOML");
        let sources = text["source"].as_table().expect("a [source.name] section");
        assert_eq!(sources.len(), 1, "{}: one section", kind.name);
        let section = sources.values().next().expect("one section").clone();
        let Value::Object(mut options) = serde_json::to_value(section).expect("TOML is JSON") else {
            panic!("a section is a table")
        };
        assert_eq!(options.remove("type"), Some(Value::from(kind.name)));
        options.remove("source");
        options.remove("level");
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
    fn every_example_builds_and_an_unknown_option_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let context = BuildContext { base: folder.path().into() };
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
}
