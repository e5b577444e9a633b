//! The options as the operator writes them.

use std::collections::BTreeMap;

use serde::Deserialize;
use weir_guest::{Level, Path};

/// All options of the filter.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How measurements are made.
    pub rules: Vec<RuleOptions>,
    /// Whether measurements are new records or written into the original.
    pub mode: Mode,
    /// The labels of new records.
    pub routes: Vec<String>,
}

/// Where measurements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Into a new record after the original.
    #[default]
    Emit,
    /// Into the original record.
    Annotate,
    /// Into a new record that replaces the original.
    Replace,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleOptions {
    /// The values that a record must have.
    #[serde(default)]
    pub when: BTreeMap<String, ExpectedValue>,
    /// The minimum level of the record.
    pub at_least: Option<Level>,
    /// The measurement's name, or its path.
    pub measurement: Measurement,
    /// Paths, or names and paths.
    #[serde(default)]
    pub tags: Named,
    /// Paths and patterns, or names and paths.
    #[serde(default)]
    pub fields: Named,
    /// Whether numeric text counts as a number.
    #[serde(default)]
    pub numeric_texts: bool,
    /// The name of a field that is always 1.
    pub count: Option<String>,
}

/// A value, a list of values, or `{ exists = … }`.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged, expecting = "a condition is a value, a list of values, or { exists = true }")]
pub enum ExpectedValue {
    Exists(Exists),
    One(Scalar),
    Any(Vec<Scalar>),
}

/// Whether the path must exist.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Exists {
    pub exists: bool,
}

/// A value to compare with.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Scalar {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

/// A name, or the path of the name.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a measurement is a name, or { path = \"…\", default = \"…\" }")]
pub enum Measurement {
    Literal(String),
    At(MeasurementAt),
}

/// The path of a measurement's name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurementAt {
    pub path: Path,
    /// The name if the path has no value.
    pub default: Option<String>,
}

/// `["a.b", "c"]`, or `{ name = "a.b" }`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a list of paths, or a table of names and paths: { region = \"context.region\" }")]
pub enum Named {
    List(Vec<String>),
    Table(BTreeMap<String, String>),
}

impl Default for Named {
    fn default() -> Self {
        Named::List(Vec::new())
    }
}
