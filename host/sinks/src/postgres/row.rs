//! Converts a record to a row: each column's value in its type, and everything else as JSON.
//!
//! Nothing of a record is lost. A value that its column can't hold completely, because it is too long or of another
//! type, is kept with everything else, and the column gets what fits: text cut with `…`, or null. Only if there is no
//! such column, or null is not allowed, the record is refused.

use weir_record::{Record, Value, time, write_json_value};

use super::mapping::{ColumnSpec, PathTree};
use super::wire;

/// Maximum number of characters of a number, boolean or time as text.
const SCALAR_CHARACTERS: usize = 32;

/// The values that a column can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Text with a maximum number of characters.
    Text { most: Option<usize> },
    /// Integers in this range.
    Int { least: i64, most: i64 },
    /// Floats up to this magnitude.
    Float { most: f64 },
    /// Any number.
    Numeric,
    /// True or false.
    Bool,
    /// Points in time.
    Time,
    /// Days.
    Date,
    /// `json` and `jsonb`.
    Json,
    /// Any other type: the server parses the text, and refuses invalid values.
    Other,
}

impl Kind {
    /// The kind of a type name and modifier from the catalogue.
    pub fn of(name: &str, modifier: i32) -> Kind {
        match name {
            // The modifier includes a header of four bytes.
            "varchar" | "bpchar" => Kind::Text { most: usize::try_from(modifier - 4).ok().filter(|_| modifier > 4) },
            "text" | "citext" => Kind::Text { most: None },
            "int2" => Kind::Int { least: i16::MIN.into(), most: i16::MAX.into() },
            "int4" => Kind::Int { least: i32::MIN.into(), most: i32::MAX.into() },
            "int8" => Kind::Int { least: i64::MIN, most: i64::MAX },
            "float4" => Kind::Float { most: f32::MAX.into() },
            "float8" => Kind::Float { most: f64::MAX },
            "numeric" => Kind::Numeric,
            "bool" => Kind::Bool,
            "timestamptz" | "timestamp" => Kind::Time,
            "date" => Kind::Date,
            "json" | "jsonb" => Kind::Json,
            _ => Kind::Other,
        }
    }
}

/// A column of the table that is filled from records.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// Must not be null.
    pub required: bool,
}

/// A value to store.
#[derive(Clone, Copy, Debug)]
enum Item<'a> {
    /// The record's own time.
    Moment(i64),
    Value(Value<'a>),
}

/// The value of a record for a column.
#[derive(Clone, Copy)]
struct Found<'a> {
    rank: usize,
    item: Item<'a>,
    /// True if the column can hold all of it.
    whole: bool,
}

/// Converts records to rows.
pub struct Rows {
    columns: Vec<Column>,
    tree: PathTree,
    /// The column of everything else.
    rest: Option<usize>,
    /// Columns filled from the four keys that every record has.
    heads: Vec<(usize, &'static str)>,
    json: Vec<u8>,
}

impl Rows {
    /// For the table's columns and their configured sources, both in the same order.
    pub fn new(columns: Vec<Column>, wanted: &[ColumnSpec]) -> Rows {
        let names = ["timestamp", "level", "source", "message"];
        let fed =
            |(at, column): (usize, &ColumnSpec)| names.iter().find(|name| column.takes(name)).map(|name| (at, *name));
        Rows {
            tree: PathTree::of(wanted),
            rest: wanted.iter().position(ColumnSpec::is_rest),
            heads: wanted.iter().enumerate().filter_map(fed).collect(),
            columns,
            json: Vec::new(),
        }
    }

    /// Appends a record as a line of COPY. On an error, `out` is unchanged.
    pub fn push(&mut self, record: Record<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let begin = out.len();
        let mut json = std::mem::take(&mut self.json);
        json.clear();
        let outcome = self.line(record, &mut json, out);
        if outcome.is_err() {
            out.truncate(begin);
        }
        self.json = json;
        outcome
    }

    fn line(&self, record: Record<'_>, json: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), String> {
        let mut found = vec![None; self.columns.len()];
        let entry = |(key, value)| (key, value, self.tree.inside.get(key));
        let entries: Vec<KeyValue<'_, '_>> = record.entries().map(entry).collect();
        for (key, value, node) in &entries {
            let item = match value {
                Value::Int(ns) if *key == "timestamp" => Item::Moment(*ns),
                value => Item::Value(*value),
            };
            if let Some(node) = node {
                self.collect(node, item, &mut found);
            }
        }
        for (at, name) in &self.heads {
            found[*at].get_or_insert_with(|| Found { rank: usize::MAX, item: head(record, name), whole: true });
        }
        let any = write_rest(&mut entries.iter().copied(), &found, json);
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            if self.rest == Some(at) && (any || column.required) {
                wire::json(json, out);
                continue;
            }
            match found[at] {
                Some(Found { whole: false, .. }) if self.rest.is_none() => {
                    return Err(format!(
                        "column `{}` can't hold the complete value, and no column takes everything else (`*`)",
                        column.name
                    ));
                }
                Some(value) => write_item(&column.kind, value.item, out),
                None if column.required => {
                    return Err(format!(
                        "column `{}` must not be null, and the record has no value that fits it",
                        column.name
                    ));
                }
                None => out.extend_from_slice(wire::NULL),
            }
        }
        out.push(b'\n');
        Ok(())
    }

    /// Stores a value for the columns that it feeds, and descends into it.
    fn collect<'a>(&self, node: &PathTree, item: Item<'a>, found: &mut [Option<Found<'a>>]) {
        for (at, rank) in node.feeds.iter().copied() {
            if let Some(whole) = fit(&self.columns[at].kind, item)
                && found[at].is_none_or(|before| rank < before.rank)
            {
                found[at] = Some(Found { rank, item, whole });
            }
        }
        if node.inside.is_empty() {
            return;
        }
        match item {
            Item::Value(Value::Map(map)) => {
                for (key, value) in map.iter() {
                    if let Some(node) = node.inside.get(key) {
                        self.collect(node, Item::Value(value), found);
                    }
                }
            }
            Item::Value(Value::Array(list)) => {
                for (index, value) in list.iter().enumerate() {
                    if let Some(node) = node.inside.get(index.to_string().as_str()) {
                        self.collect(node, Item::Value(value), found);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The values that every record has, even if its bytes lack them.
fn head<'a>(record: Record<'a>, name: &str) -> Item<'a> {
    let head = record.head();
    match name {
        "timestamp" => Item::Moment(head.timestamp),
        "level" => Item::Value(Value::Str(head.level.as_str())),
        "source" => Item::Value(Value::Str(head.source)),
        _ => Item::Value(Value::Str(head.message)),
    }
}

/// A key, its value, and the tree below it.
type KeyValue<'a, 't> = (&'a str, Value<'a>, Option<&'t PathTree>);

/// Appends an object of everything that no column holds completely. Returns false and appends nothing if there is
/// nothing.
fn write_rest<'a, 't>(
    entries: &mut dyn Iterator<Item = KeyValue<'a, 't>>,
    found: &[Option<Found<'_>>],
    out: &mut Vec<u8>,
) -> bool {
    let begin = out.len();
    let mut any = false;
    out.push(b'{');
    for (key, value, node) in entries {
        let before = out.len();
        if any {
            out.push(b',');
        }
        write_json_value(Value::Str(key), out);
        out.push(b':');
        let holds = |(at, rank): &(usize, usize)| found[*at].is_some_and(|f| f.whole && f.rank == *rank);
        let written = match (node, value) {
            (Some(node), _) if node.feeds.iter().any(holds) => false,
            (Some(node), Value::Map(map)) if !node.inside.is_empty() && !map.is_empty() => {
                let mut inner = map.iter().map(|(key, value)| (key, value, node.inside.get(key)));
                write_rest(&mut inner, found, out)
            }
            (_, value) => {
                write_json_value(value, out);
                true
            }
        };
        match written {
            true => any = true,
            false => out.truncate(before),
        }
    }
    out.push(b'}');
    if !any {
        out.truncate(begin);
        out.extend_from_slice(if begin == 0 { b"{}" } else { b"" });
    }
    any
}

/// `None` if a column can't hold a value; otherwise whether it can hold all of it.
fn fit(kind: &Kind, item: Item<'_>) -> Option<bool> {
    let value = match item {
        Item::Value(Value::Nil) => return None,
        Item::Value(value) => value,
        Item::Moment(ns) => {
            return match kind {
                Kind::Time | Kind::Json | Kind::Numeric | Kind::Other => Some(true),
                Kind::Text { most } => Some(most.is_none_or(|most| most >= SCALAR_CHARACTERS)),
                Kind::Date => Some(false),
                Kind::Int { least, most } => (*least..=*most).contains(&ns).then_some(true),
                Kind::Float { .. } | Kind::Bool => None,
            };
        }
    };
    match (kind, value) {
        (Kind::Json | Kind::Other, _) => Some(true),
        (Kind::Text { most: None }, _) => Some(true),
        (Kind::Text { most: Some(most) }, Value::Str(text)) => {
            Some(text.len() <= *most || text.chars().nth(*most).is_none())
        }
        (Kind::Text { most: Some(most) }, value) => {
            let long = matches!(value, Value::Map(_) | Value::Array(_) | Value::Bin(_) | Value::Ext(..));
            Some(!long && *most >= SCALAR_CHARACTERS)
        }
        (Kind::Int { least, most }, value) => {
            integer(value).is_some_and(|n| (*least..=*most).contains(&n)).then_some(true)
        }
        (Kind::Float { most }, Value::Float(number)) => (!number.is_finite() || number.abs() <= *most).then_some(true),
        // Beyond 53 bits, a float is only approximate.
        (Kind::Float { .. }, Value::Int(number)) => Some(number.unsigned_abs() <= 1 << 53),
        (Kind::Float { .. }, Value::UInt(_)) => Some(false),
        (Kind::Numeric, Value::Int(_) | Value::UInt(_)) => Some(true),
        (Kind::Numeric, Value::Float(number)) => number.is_finite().then_some(true),
        (Kind::Bool, Value::Bool(_)) => Some(true),
        (Kind::Time, value) => time::from_value(value).map(|_| true),
        (Kind::Date, value) => time::from_value(value).map(|_| false),
        _ => None,
    }
}

/// Integers, also as a float without a fraction or as text.
fn integer(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(number),
        // Up to 53 bits, a float without a fraction is exactly that integer.
        Value::Float(number) if number.fract() == 0.0 && number.abs() <= (1u64 << 53) as f64 => Some(number as i64),
        Value::Str(text) => text.parse().ok(),
        _ => None,
    }
}

/// Writes a value that fits.
fn write_item(kind: &Kind, item: Item<'_>, out: &mut Vec<u8>) {
    match (kind, item) {
        (Kind::Int { .. } | Kind::Numeric, Item::Moment(ns)) => write_json_value(Value::Int(ns), out),
        (Kind::Json, Item::Moment(ns)) => {
            out.push(b'"');
            wire::moment(ns, out);
            out.push(b'"');
        }
        (Kind::Text { most }, Item::Moment(ns)) => {
            let mut text = Vec::new();
            time::format_rfc3339(ns, &mut text);
            wire::text_cut(&String::from_utf8_lossy(&text), *most, out);
        }
        (_, Item::Moment(ns)) => wire::moment(ns, out),
        (Kind::Time | Kind::Date, Item::Value(value)) => wire::moment(time::from_value(value).unwrap_or_default(), out),
        (Kind::Int { .. }, Item::Value(value)) => write_json_value(Value::Int(integer(value).unwrap_or_default()), out),
        (Kind::Float { .. }, Item::Value(Value::Float(number))) if !number.is_finite() => {
            out.extend_from_slice(if number.is_nan() {
                b"NaN"
            } else if number > 0.0 {
                b"Infinity"
            } else {
                b"-Infinity"
            });
        }
        (Kind::Json, Item::Value(value)) => {
            let mut json = Vec::new();
            write_json_value(value, &mut json);
            wire::json(&json, out);
        }
        (Kind::Text { most }, Item::Value(Value::Str(text))) => wire::text_cut(text, *most, out),
        (Kind::Text { most }, Item::Value(value)) => {
            let mut json = Vec::new();
            write_json_value(value, &mut json);
            wire::text_cut(&String::from_utf8_lossy(&json), *most, out);
        }
        (_, Item::Value(Value::Str(text))) => wire::text(text, out),
        (_, Item::Value(value)) => {
            let mut json = Vec::new();
            write_json_value(value, &mut json);
            wire::text(&String::from_utf8_lossy(&json), out);
        }
    }
}
