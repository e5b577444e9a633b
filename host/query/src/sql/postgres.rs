//! Tests of single fields in PostgreSQL, in the default table of a `postgres` sink.
//!
//! A row's record has the columns of the table under their own names, except that `logger_name` is its source, and the
//! entries of `extra_data`, which precede columns of the same name: a value that was too long for its column is there
//! in full.
//!
//! PostgreSQL stores no NUL, so text with a NUL is in no row.

use std::borrow::Cow;

use weir_record::{Level, Value, path, time, write_json_value};

use super::clause::{Clause, Parameter};
use super::sqlite::around;
use super::{Dialect, literal};
use crate::expression::{Expression, Number, Relation, Test};
use crate::parse::number;
use crate::pattern::{Form, Pattern};

/// Columns with text, whose names are also their fields.
pub const TEXT_COLUMNS: &[&str] =
    &["thread_name", "hostname", "exception", "function_name", "module", "filename", "pathname"];
/// Columns with integers, whose names are also their fields.
pub const INTEGER_COLUMNS: &[&str] = &["process_id", "thread_id", "lineno"];

/// The largest integer below which a float is exactly that integer.
const MAX_EXACT: u64 = 1 << 53;

pub(super) struct Postgres;

impl Dialect for Postgres {
    fn field(&self, path: &str, test: &Test) -> Clause {
        let keys: Vec<_> = path::keys(path).collect();
        match (keys[0].as_ref(), keys.len()) {
            ("message", 1) => text(&Operand::new("message"), test),
            ("source", 1) => source(test),
            ("level", 1) => levels(|level| test.passes_text(level.as_str())),
            ("timestamp", 1) if matches!(test, Test::Exists) => Clause::constant(true),
            ("timestamp", 1) => Clause::inexact(true),
            // Text and numbers have nothing inside.
            ("message" | "source" | "level" | "timestamp", _) => Clause::constant(false),
            (column, 1) if is_column(column) => {
                let any = Clause::any([in_column(column, test), in_json(&keys, test)].into_iter());
                Clause { is_exact: false, ..any }
            }
            _ => in_json(&keys, test),
        }
    }

    fn leaf(&self, expression: &Expression) -> Clause {
        match expression {
            Expression::Time { since_ns, until_ns } => {
                let since = if *since_ns == i64::MIN { Clause::constant(true) } else { at(">=", *since_ns) };
                Clause::all([since].into_iter().chain(until_ns.map(|until| at("<", until))))
            }
            Expression::Level(relation, level) => levels(|found| relation.holds(found.cmp(level))),
            Expression::AnyField(pattern) => any_field(pattern),
            _ => Clause::inexact(true),
        }
    }
}

fn is_column(name: &str) -> bool {
    TEXT_COLUMNS.contains(&name) || INTEGER_COLUMNS.contains(&name)
}

/// Times in the table are whole microseconds: one is at or after a time if it is at or after the next of those.
fn at(operator: &str, ns: i64) -> Clause {
    let micros = ns.div_euclid(1000) + i64::from(ns.rem_euclid(1000) > 0);
    let Some(rounded) = micros.checked_mul(1000) else { return Clause::inexact(true) };
    let mut moment = Vec::new();
    time::format_rfc3339(rounded, &mut moment);
    let moment = String::from_utf8_lossy(&moment).replace("000Z", "Z");
    Clause::exact(format!("timestamp {operator} ?::timestamptz"), vec![Parameter::Text(moment)])
}

fn levels(passes: impl Fn(Level) -> bool) -> Clause {
    let passing: Vec<_> = Level::ALL.into_iter().filter(|level| passes(*level)).collect();
    match passing.len() {
        0 => Clause::constant(false),
        all if all == Level::ALL.len() => Clause::constant(true),
        some => {
            let values = passing.into_iter().map(|level| Parameter::Text(level.as_str().to_owned())).collect();
            Clause::exact(format!("level IN ({})", vec!["?"; some].join(",")), values)
        }
    }
}

/// A source that is longer than its column is in `extra_data`.
fn source(test: &Test) -> Clause {
    if matches!(test, Test::Exists) {
        return Clause::constant(true);
    }
    let long = Clause::superset("coalesce(extra_data->'source' IS NOT NULL, FALSE)", Vec::new());
    Clause::any([text(&Operand::new("logger_name"), test), long].into_iter())
}

/// What is tested: an expression with its parameters.
struct Operand {
    sql: String,
    parameters: Vec<Parameter>,
}

impl Operand {
    fn new(sql: impl Into<String>) -> Operand {
        Operand { sql: sql.into(), parameters: Vec::new() }
    }

    /// A test that may select too much: what precedes the expression, and what follows it with its parameters.
    fn superset(&self, before: &str, after: &str, parameters: Vec<Parameter>) -> Clause {
        let sql = format!("{before}{}{after}", self.sql);
        Clause::superset(sql, [self.parameters.clone(), parameters].concat())
    }

    fn exact(&self, after: &str, parameters: Vec<Parameter>) -> Clause {
        Clause { is_exact: true, ..self.superset("", after, parameters) }
    }
}

fn in_column(column: &str, test: &Test) -> Clause {
    match test {
        Test::Equals(_) | Test::Matches(_) if TEXT_COLUMNS.contains(&column) => {
            text(&Operand::new(format!("coalesce({column}, '')")), test)
        }
        _ => Clause::superset(format!("{column} IS NOT NULL"), Vec::new()),
    }
}

/// A test of text.
fn text(value: &Operand, test: &Test) -> Clause {
    match test {
        Test::Exists => Clause::constant(true),
        Test::Equals(scalar) if scalar.text.contains('\0') => Clause::constant(false),
        Test::Equals(scalar) => value.exact(" = ?", vec![Parameter::Text(scalar.text.clone())]),
        Test::Matches(pattern) => matching(value, pattern),
        // A digit, or the `n` of `inf` and `nan`.
        Test::Number(..) | Test::Time(..) => value.superset("", " ~ '[0-9nN]'", Vec::new()),
    }
}

/// Text that contains what a pattern needs. The collation `C` spares the server from folding every letter: patterns for
/// `LIKE` need it for ASCII only.
fn matching(value: &Operand, pattern: &Pattern) -> Clause {
    if let Some(needed) = literal::same_case(pattern) {
        return value.superset("strpos(", " COLLATE \"C\", ?) > 0", vec![Parameter::Text(needed.to_owned())]);
    }
    match literal::like(pattern) {
        Some(like) => value.superset("", " COLLATE \"C\" ILIKE ?", vec![Parameter::Text(like)]),
        None => Clause::inexact(true),
    }
}

/// A word anywhere.
fn any_field(pattern: &Pattern) -> Clause {
    if literal::may_be_number(pattern) || !literal::is_plain_in_json(pattern) {
        return Clause::inexact(true);
    }
    let columns = [TEXT_COLUMNS, INTEGER_COLUMNS].concat().join(", ");
    let values = [
        "message".to_owned(),
        "logger_name".to_owned(),
        "coalesce(extra_data::text, '')".to_owned(),
        format!("concat_ws(' ', {columns})"),
    ];
    let likes = values.map(|value| matching(&Operand::new(value), pattern));
    let level = levels(|level| pattern.is_in(level.as_str()));
    let any = Clause::any(likes.into_iter().chain([level]));
    Clause { is_exact: false, ..any }
}

/// A test of a value in `extra_data`. It contains no subquery, which would keep the server from using all processors.
fn in_json(keys: &[Cow<'_, str>], test: &Test) -> Clause {
    if keys.iter().any(|key| key.contains('\0')) {
        return Clause::constant(false);
    }
    // An array that is parsed from text would be parsed again for every row.
    let path = format!("ARRAY[{}]::text[]", vec!["?"; keys.len()].join(","));
    let at_path = |operator: &str| Operand {
        sql: format!("(extra_data {operator} {path})"),
        parameters: keys.iter().map(|key| Parameter::Text(key.to_string())).collect(),
    };
    let value = at_path("#>");
    let clause = match test {
        Test::Exists => {
            let exists = value.superset("coalesce(jsonb_typeof(", "), 'null') <> 'null'", Vec::new());
            Clause { is_exact: true, ..exists }
        }
        Test::Equals(scalar) => equal(&value, &scalar.text),
        Test::Matches(pattern) => match same_in_any_case(pattern) {
            Some(text) => Clause { is_exact: false, ..equal(&value, text) },
            None => like(&value, &at_path("#>>"), pattern),
        },
        Test::Number(relation, number) => {
            with_item(&value, &format!("{} || {DIGITS}", in_relation(*relation, *number)))
        }
        Test::Time(..) => with_item(&value, DIGITS),
    };
    // PostgreSQL takes more keys than these for an index.
    let is_index =
        |key: &Cow<'_, str>| key.trim_start().starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
    Clause { is_exact: clause.is_exact && !keys[1..].iter().any(is_index), ..clause }
}

/// The same text, number or truth value, or a list with it: JSON contains another value only if that is equal to it or to
/// an item.
fn equal(value: &Operand, text: &str) -> Clause {
    match equal_values(text) {
        Some(values) => {
            let any =
                Clause::any(values.into_iter().map(|json| value.exact(" @> ?::jsonb", vec![Parameter::Text(json)])));
            if any.sql == "FALSE" { any } else { Clause { sql: format!("coalesce({}, FALSE)", any.sql), ..any } }
        }
        None => {
            let number = number(text).map_or(0.0, Number::as_f64);
            let text = if text.contains('\0') { "" } else { text };
            let text = json(Value::Str(text));
            with_item(value, &format!("@ == {text} || ({})", in_relation(Relation::Equal, number)))
        }
    }
}

/// Every JSON that is equal to a value that is written like this. `None` if they can't be listed, since many digits may
/// be the same float.
pub(super) fn equal_values(text: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    if !text.contains('\0') {
        values.push(json(Value::Str(text)));
    }
    match number(text) {
        Some(Number::Int(integer)) if integer.unsigned_abs() <= MAX_EXACT => values.push(integer.to_string()),
        Some(_) => return None,
        None if matches!(text, "true" | "false") => values.push(text.to_owned()),
        None => {}
    }
    Some(values)
}

/// The text that a pattern matches as a whole and in no other case, if there is just one.
pub(super) fn same_in_any_case(pattern: &Pattern) -> Option<&str> {
    let Form::Value { text, is_literal } = pattern.form() else { return None };
    let is_caseless = |c: char| c.is_ascii() && !c.is_ascii_alphabetic() && (*is_literal || !matches!(c, '*' | '?'));
    text.chars().all(is_caseless).then_some(text.as_str())
}

pub(super) fn json(value: Value<'_>) -> String {
    let mut json = Vec::new();
    write_json_value(value, &mut json);
    String::from_utf8_lossy(&json).into_owned()
}

/// What a pattern needs, in a text or in the JSON of a list.
fn like(value: &Operand, as_text: &Operand, pattern: &Pattern) -> Clause {
    let text = matching(as_text, pattern);
    let list = literal::in_json(pattern).map(|needed| {
        let needed = Parameter::Text(format!("[%{needed}%]"));
        as_text.superset("", " COLLATE \"C\" ILIKE ?", vec![needed])
    });
    // The server writes some numbers in another way.
    let is_number = literal::may_be_number(pattern);
    if let (Some(list), false, false) = (&list, is_number, text.is_everything()) {
        let any = Clause::any([text, list.clone()].into_iter());
        return Clause { sql: format!("coalesce({}, FALSE)", any.sql), ..any };
    }
    let is_boolean = pattern.is_in("true") || pattern.is_in("false");
    let mut case = value.superset("CASE jsonb_typeof(", ") ", Vec::new());
    for (name, branch) in [
        ("string", text),
        ("array", list.unwrap_or(Clause::inexact(true))),
        ("number", Clause::inexact(is_number)),
        ("boolean", Clause::inexact(is_boolean)),
    ] {
        case.sql.push_str(&format!("WHEN '{name}' THEN {} ", branch.sql));
        case.parameters.extend(branch.parameters);
    }
    case.sql.push_str("ELSE FALSE END");
    case
}

/// In JSON paths, a text that may be a number or a time: it has a digit, or the `n` of `inf` and `nan`.
const DIGITS: &str = "@ like_regex \"[0-9nN]\"";

/// A value, or an item of a list, with this condition of JSON paths.
fn with_item(value: &Operand, condition: &str) -> Clause {
    let path = Parameter::Text(format!("$[*] ? ({condition})"));
    value.superset("coalesce(jsonb_path_exists(", ", ?::jsonpath), FALSE)", vec![path])
}

/// A number about in a relation to another one, in JSON paths.
fn in_relation(relation: Relation, number: f64) -> String {
    let (least, most) = around(number);
    let [least, most] = [least, most].map(|bound| json(Value::Float(bound)));
    match relation {
        Relation::Less | Relation::AtMost => format!("@ <= {most}"),
        Relation::Greater | Relation::AtLeast => format!("@ >= {least}"),
        Relation::Equal => format!("@ >= {least} && @ <= {most}"),
    }
}
