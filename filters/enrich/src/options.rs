//! The options as the operator writes them, before they are given their meaning.
//!
//! `serde` reads them here and refuses what it doesn't know; `plan` checks the
//! rest and makes steps of them.

use std::collections::BTreeMap;

use serde::Deserialize;
use weir_guest::Path;

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whether what is added replaces what the sender said.
    pub overwrite: bool,
    /// Values to add, by path. Maps are written out into paths.
    pub fields: serde_json::Map<String, serde_json::Value>,
    pub host_name: Option<String>,
    pub host_path: Path,
    /// From one path to another.
    pub copy: BTreeMap<String, Path>,
    /// From one path to another.
    pub rename: BTreeMap<String, Path>,
    pub tables: Vec<TableOptions>,
    /// A template.
    pub message: Option<String>,
    pub remove: Vec<Path>,
}

/// One lookup table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableOptions {
    /// Where in the record the value stands that is looked up.
    pub field: Path,
    /// The table itself, its first row the names of the columns.
    pub csv: String,
    /// The column that is searched; the first one when absent.
    pub key: Option<String>,
    /// Under which path the columns are added.
    #[serde(default = "context")]
    pub prefix: Path,
    /// The columns to add; all but the key when absent.
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
