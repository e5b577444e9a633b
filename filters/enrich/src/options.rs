//! The options as the operator writes them, before they are compiled.
//!
//! `serde` reads them here and refuses unknown keys; `plan` validates the rest
//! and compiles it.

use std::collections::BTreeMap;

use serde::Deserialize;
use weir_guest::Path;

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whether added values replace the sender's.
    pub overwrite: bool,
    /// Values to add, by path. Nested maps are paths.
    pub fields: serde_json::Map<String, serde_json::Value>,
    pub host_name: Option<String>,
    pub host_path: Path,
    /// Source paths and target paths.
    pub copy: BTreeMap<String, Path>,
    /// Source paths and target paths.
    pub rename: BTreeMap<String, Path>,
    pub tables: Vec<TableOptions>,
    /// The message template.
    pub message: Option<String>,
    pub remove: Vec<Path>,
}

/// One lookup table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableOptions {
    /// The path of the value to look up.
    pub field: Path,
    /// The table as CSV; its first line has the column names.
    pub csv: String,
    /// The column to search; by default the first one.
    pub key: Option<String>,
    /// The path under which columns are added.
    #[serde(default = "context")]
    pub prefix: Path,
    /// The columns to add; by default all but the key.
    pub columns: Option<Vec<String>>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            overwrite: false,
            fields: serde_json::Map::new(),
            host_name: None,
            host_path: Path::parse("context.host"),
            copy: BTreeMap::new(),
            rename: BTreeMap::new(),
            tables: Vec::new(),
            message: None,
            remove: Vec::new(),
        }
    }
}

fn context() -> Path {
    Path::parse("context")
}
