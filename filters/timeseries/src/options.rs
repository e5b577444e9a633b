//! The options as the operator writes them.

use std::collections::BTreeMap;

use serde::Deserialize;
use weir_guest::{Level, Path};

/// All options of the filter.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What measurements are made of.
    pub rules: Vec<RuleOptions>,
    /// Whether measurements are records of their own or part of the one they are
    /// made of.
    pub mode: Mode,
    /// Labels that measurements of their own get.
    pub routes: Vec<String>,
}

/// Where measurements go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Into a record of their own, behind the one that they are made of.
    #[default]
    Emit,
    /// Into the record itself.
    Annotate,
    /// Into a record that goes on instead.
    Replace,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleOptions {
    /// What must stand where.
    #[serde(default)]
    pub when: BTreeMap<String, Wanted>,
    /// From which level on.
    pub at_least: Option<Level>,
    /// The measurement's name, or where it stands.
    pub measurement: Measurement,
    /// Paths, or names and paths.
    #[serde(default)]
    pub tags: Named,
    /// Paths and patterns, or names and paths.
    #[serde(default)]
    pub fields: Named,
    /// Whether texts that are numbers count as such.
    #[serde(default)]
    pub numeric_texts: bool,
    /// The name of a field that is 1 in every measurement.
    pub count: Option<String>,
}

/// A value, `true` for anything, or a list of values.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(
    untagged,
    expecting = "a condition is a value that must stand there, a list of such values, or { exists = true }"
)]
pub enum Wanted {
    Exists(Exists),
    One(Scalar),
    Any(Vec<Scalar>),
}

/// Whether anything stands there.
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

/// A name, or a path at which the name stands.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a measurement is a name, or { path = \"…\", default = \"…\" }")]
pub enum Measurement {
    Literal(String),
    At(MeasurementAt),
}

/// Where the name of a measurement stands.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurementAt {
    pub path: Path,
    /// The name where nothing stands.
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
