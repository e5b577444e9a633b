//! Which path of a record feeds which column: what the options say, the default, and the tree that finds the values of
//! a record in one walk over it.

use std::collections::{BTreeMap, HashMap};

use schemars::JsonSchema;
use serde::Deserialize;
use weir_record::path::keys;

/// The path of everything that feeds no column of its own.
const REST: &str = "*";

/// What feeds a column.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Feed {
    /// A dotted path.
    Path(String),
    /// The first of these paths that a record has.
    First(Vec<String>),
    /// The same, with the type that the column gets when Weir makes the table.
    Typed(Typed),
}

/// A path and a type.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Typed {
    /// A dotted path, or several.
    pub path: Paths,
    /// The type in a table that Weir makes.
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
    /// The first of these paths that a record has.
    First(Vec<String>),
}

/// Types that Weir makes columns of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Type {
    /// True and false.
    Boolean,
    /// 32 bits.
    Integer,
    /// 64 bits.
    Bigint,
    /// A float of 64 bits.
    Double,
    /// Text of any length.
    Text,
    /// A moment.
    Timestamp,
    /// Anything.
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
pub struct Wanted {
    pub name: String,
    /// The best first; `*` stands alone.
    pub paths: Vec<String>,
    /// What it is made as.
    pub sql: &'static str,
}

impl Wanted {
    /// True for the column of everything else.
    pub fn is_rest(&self) -> bool {
        self.paths == [REST]
    }

    /// True when that path feeds it.
    pub fn takes(&self, path: &str) -> bool {
        self.paths.iter().any(|own| own == path)
    }
}

/// The columns of the default table that records feed: name, type, paths.
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

/// The columns that the options ask for.
pub fn wanted(columns: Option<&BTreeMap<String, Feed>>) -> Result<Vec<Wanted>, String> {
    let Some(columns) = columns else {
        let column = |(name, sql, paths): &(&str, &'static str, &[&str])| Wanted {
            name: (*name).into(),
            paths: paths.iter().map(ToString::to_string).collect(),
            sql,
        };
        return Ok(DEFAULT.iter().map(column).collect());
    };
    let wanted: Vec<Wanted> = columns.iter().map(|(name, feed)| of(name, feed)).collect::<Result<_, _>>()?;
    match wanted.iter().filter(|column| column.is_rest()).count() {
        _ if wanted.is_empty() => Err("`columns` names no column; leave it out for the default ones".into()),
        0 | 1 => Ok(wanted),
        _ => Err("`columns`: only one column can be fed by `*`".into()),
    }
}

fn of(name: &str, feed: &Feed) -> Result<Wanted, String> {
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
        return Err(format!("`columns.{name}`: `*` is everything else, and no other path goes with it"));
    }
    let sql = match kind {
        Feed::Typed(typed) => typed.kind.sql(),
        _ => DEFAULT.iter().find(|(default, ..)| *default == name).map_or_else(|| usual(paths), |(_, sql, _)| *sql),
    };
    Ok(Wanted { name: name.into(), paths: paths.to_vec(), sql })
}

/// The type of a column that is not one of the default's, when none is given.
fn usual(paths: &[String]) -> &'static str {
    match paths[0].as_str() {
        REST => "jsonb",
        "timestamp" => "timestamptz NOT NULL",
        "level" | "source" | "message" => "text NOT NULL",
        _ => "text",
    }
}

/// Paths as a tree over keys.
#[derive(Debug, Default)]
pub struct Tree {
    /// Columns that the path to here feeds, with its place among the column's paths.
    pub feeds: Vec<(usize, usize)>,
    /// What is asked for inside.
    pub inside: HashMap<Box<str>, Tree>,
}

impl Tree {
    /// The tree of all paths; columns go by their place.
    pub fn of(columns: &[Wanted]) -> Tree {
        let mut root = Tree::default();
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

    fn read(given: Value) -> Result<Vec<Wanted>, String> {
        let columns: BTreeMap<String, Feed> = serde_json::from_value(given).map_err(|error| error.to_string())?;
        wanted(Some(&columns))
    }

    #[test]
    fn a_column_is_fed_by_a_path_a_list_or_with_a_type() {
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
    fn what_makes_no_sense_is_refused_with_the_columns_name() {
        for (given, named) in [
            (json!({}), "no column"),
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
    fn the_tree_leads_by_keys_to_columns_and_ranks() {
        let columns = read(json!({ "a": ["x.y", "z"], "b": "x", "c": "k\\.l" })).expect("fine");
        let tree = Tree::of(&columns);
        assert_eq!(tree.inside["x"].feeds, [(1, 0)]);
        assert_eq!(tree.inside["x"].inside["y"].feeds, [(0, 0)]);
        assert_eq!(tree.inside["z"].feeds, [(0, 1)]);
        assert_eq!(tree.inside["k.l"].feeds, [(2, 0)]);
    }
}
