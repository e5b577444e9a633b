//! `[[filter]]`, as written.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use weir_document::units::{Size, TimeSpan};

use super::mib;

/// One filter of the chain.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "module"]))]
pub(in crate::config) struct Filter {
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
pub(in crate::config) struct Canary {
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
