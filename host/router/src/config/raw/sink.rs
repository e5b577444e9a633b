//! `[sink.NAME]`, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_document::units::TimeSpan;

use super::{LevelName, seconds};

/// The keys that all sinks have.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct SinkCommon {
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
pub(in crate::config) struct Sink {
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
