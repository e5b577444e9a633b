//! `[source.NAME]`, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::LevelName;

/// The keys that all sources have.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct SourceCommon {
    /// `source` of records that have none. Default: the name of this section.
    #[schemars(length(min = 1), example = &"app")]
    pub source: Option<String>,
    /// `level` of records that have none. Default: that of `[ingest]`.
    pub level: Option<LevelName>,
    /// Routes that its records get, in addition to what filters assign. Default: none.
    #[schemars(length(max = 16), inner(length(min = 1, max = 256)), extend("examples" = [["audit"]]))]
    pub routes: Vec<String>,
}

/// A source's table: the common keys, and the options of its type.
#[derive(Deserialize)]
pub(in crate::config) struct Source {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(flatten)]
    pub common: SourceCommon,
    #[serde(flatten)]
    pub options: Map<String, Value>,
}
