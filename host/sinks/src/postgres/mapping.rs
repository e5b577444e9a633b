//! Which path of a record is written to which column: the options, the default, and the tree that finds all values of a
//! record in one pass.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;
use weir_record::path::keys;

/// The path for everything that has no column of its own.
const REST: &str = "*";

/// The source of a column's value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Feed {
    /// A dotted path.
    Path(String),
    /// The first of these paths that exists in the record.
    First(Vec<String>),
    /// Path and column type, for tables that Weir creates.
    Typed(Typed),
}

/// A path and a type.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Typed {
    /// A dotted path, or several.
    pub path: Paths,
    /// The type in a table that Weir creates.
    #[serde(rename = "type")]
    pub kind: Type,
}

/// One path or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Paths {
    /// A dotted path.
    Path(String),
    /// The first of these paths that exists in the record.
    First(Vec<String>),
}

/// Column types of tables that Weir creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Type {
    /// True or false.
    Boolean,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Bigint,
    /// A float of 64 bits.
    Double,
    /// Text of any length.
    Text,
    /// A point in time.
    Timestamp,
    /// Any JSON value.
    Json,
}

impl Type {
    fn sql(self) -> &'static str {
        match self {
            Type::Boolean => "boolean",
            Type::Integer => "integer",
            Type::Bigint => "bigint",
            Type::Double => "double precision",
            Type::Text => "text",
            Type::Timestamp => "timestamptz",
            Type::Json => "jsonb",
        }
    }
}

/// A column that the table must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    pub name: String,
    /// The preferred path first; `*` must be the only one.
    pub paths: Vec<String>,
    /// The type if Weir creates it.
    pub sql: &'static str,
}

impl ColumnSpec {
    /// True for the column of everything else.
    pub fn is_rest(&self) -> bool {
        self.paths == [REST]
    }

    /// True if that path feeds it.
    pub fn takes(&self, path: &str) -> bool {
        self.paths.iter().any(|own| own == path)
    }
}

/// The columns of the default table that are filled from records: name, type, paths.
const DEFAULT: &[(&str, &str, &[&str])] = &[
    ("timestamp", "timestamptz NOT NULL", &["timestamp"]),
    ("level", "varchar(10) NOT NULL", &["level"]),
    ("logger_name", "varchar(255) NOT NULL", &["source"]),
    ("process_id", "integer", &["process_id", "pid", "process", "context.process_id", "context.pid"]),
    ("thread_id", "bigint", &["thread_id", "thread", "context.thread_id"]),
    ("thread_name", "varchar(255)", &["thread_name", "threadName", "context.thread_name"]),
    ("hostname", "varchar(255)", &["hostname", "host", "context.hostname", "context.host"]),
    ("message", "text NOT NULL", &["message"]),
    ("exception", "text", &["exception", "exc_info", "exc_text", "stack_trace", "context.exception"]),
    ("function_name", "varchar(255)", &["function_name", "funcName", "function", "context.function"]),
    ("module", "varchar(255)", &["module", "context.module"]),
    ("filename", "varchar(500)", &["filename", "file", "context.filename"]),
    ("lineno", "integer", &["lineno", "line", "context.lineno"]),
    ("pathname", "text", &["pathname", "context.pathname"]),
    ("extra_data", "jsonb", &[REST]),
];

/// The columns configured in the options.
pub fn wanted(columns: Option<&BTreeMap<String, Feed>>) -> Result<Vec<ColumnSpec>, String> {
    let Some(columns) = columns else {
        let column = |(name, sql, paths): &(&str, &'static str, &[&str])| ColumnSpec {
            name: (*name).into(),
            paths: paths.iter().map(ToString::to_string).collect(),
            sql,
        };
        return Ok(DEFAULT.iter().map(column).collect());
    };
    let wanted: Vec<ColumnSpec> = columns.iter().map(|(name, feed)| of(name, feed)).collect::<Result<_, _>>()?;
    match wanted.iter().filter(|column| column.is_rest()).count() {
        _ if wanted.is_empty() => Err("`columns` is empty; leave it out for the default columns".into()),
        0 | 1 => Ok(wanted),
        _ => Err("`columns`: only one column can have the path `*`".into()),
    }
}

fn of(name: &str, feed: &Feed) -> Result<ColumnSpec, String> {
    let (paths, kind) = match feed {
        Feed::Path(path) | Feed::Typed(Typed { path: Paths::Path(path), .. }) => (std::slice::from_ref(path), feed),
        Feed::First(paths) | Feed::Typed(Typed { path: Paths::First(paths), .. }) => (&paths[..], feed),
    };
    if name.is_empty() || name.contains('\0') {
        return Err("`columns`: a column has no name".into());
    }
    if paths.is_empty() || paths.iter().any(|path| path.is_empty()) {
        return Err(format!("`columns.{name}` needs a path, such as \"context.user.id\""));
    }
    if paths.len() > 1 && paths.iter().any(|path| path == REST) {
        return Err(format!("`columns.{name}`: `*` means everything else and can't be combined with other paths"));
    }
    let sql = match kind {
        Feed::Typed(typed) => typed.kind.sql(),
        _ => DEFAULT.iter().find(|(default, ..)| *default == name).map_or_else(|| usual(paths), |(_, sql, _)| *sql),
    };
    Ok(ColumnSpec { name: name.into(), paths: paths.to_vec(), sql })
}

/// The default type of a column that is not in the default table.
fn usual(paths: &[String]) -> &'static str {
    match paths[0].as_str() {
        REST => "jsonb",
        "timestamp" => "timestamptz NOT NULL",
        "level" | "source" | "message" => "text NOT NULL",
        _ => "text",
    }
}

/// Paths as a tree of keys.
#[derive(Debug, Default)]
pub struct PathTree {
    /// Columns that the path to this node feeds, with its rank among the column's paths.
    pub feeds: Vec<(usize, usize)>,
    /// Nodes for nested keys.
    pub inside: HashMap<Box<str>, PathTree>,
}

impl PathTree {
    /// The tree of all paths. Columns are identified by index.
    pub fn of(columns: &[ColumnSpec]) -> PathTree {
        let mut root = PathTree::default();
        for (at, column) in columns.iter().enumerate().filter(|(_, column)| !column.is_rest()) {
            for (rank, path) in column.paths.iter().enumerate() {
                let mut node = &mut root;
                for key in keys(path) {
                    node = node.inside.entry(key.into()).or_default();
                }
                node.feeds.push((at, rank));
            }
        }
        root
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(given: Value) -> Result<Vec<ColumnSpec>, String> {
        let columns: BTreeMap<String, Feed> = serde_json::from_value(given).map_err(|error| error.to_string())?;
        wanted(Some(&columns))
    }

    #[test]
    fn a_column_can_have_a_path_a_list_of_paths_or_a_type() {
        let columns = read(json!({
            "level": "level",
            "who": ["context.user.id", "user"],
            "took": { "path": "metadata.ms", "type": "double" },
            "data": "*",
        }))
        .expect("fine");
        let told: Vec<_> =
            columns.iter().map(|column| (column.name.as_str(), column.sql, column.paths.len())).collect();
        assert_eq!(
            told,
            [
                ("data", "jsonb", 1),
                ("level", "varchar(10) NOT NULL", 1),
                ("took", "double precision", 1),
                ("who", "text", 2)
            ]
        );
        assert!(columns[0].is_rest());
    }

    #[test]
    fn invalid_columns_are_refused_by_name() {
        for (given, named) in [
            (json!({}), "is empty"),
            (json!({ "who": "" }), "columns.who"),
            (json!({ "who": [] }), "columns.who"),
            (json!({ "who": ["*", "user"] }), "columns.who"),
            (json!({ "a": "*", "b": "*" }), "only one"),
        ] {
            let error = read(given).expect_err(named);
            assert!(error.contains(named), "{error}");
        }
        assert!(read(json!({ "took": { "path": "ms", "type": "money); DROP TABLE x" } })).is_err());
    }

    #[test]
    fn the_path_tree_leads_to_columns_and_ranks() {
        let columns = read(json!({ "a": ["x.y", "z"], "b": "x", "c": "k\\.l" })).expect("fine");
        let tree = PathTree::of(&columns);
        assert_eq!(tree.inside["x"].feeds, [(1, 0)]);
        assert_eq!(tree.inside["x"].inside["y"].feeds, [(0, 0)]);
        assert_eq!(tree.inside["z"].feeds, [(0, 1)]);
        assert_eq!(tree.inside["k.l"].feeds, [(2, 0)]);
    }
}
