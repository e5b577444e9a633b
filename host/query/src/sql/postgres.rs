//! Tests of single fields in PostgreSQL, in the default table of a `postgres` sink.
//!
//! A row's record has the columns of the table under their own names, except that `logger_name` is its source, and the
//! entries of `extra_data`, which precede columns of the same name: a value that was too long for its column is there
//! in full.
//!
//! PostgreSQL stores no NUL, so text with a NUL is in no row.

use std::borrow::Cow;

use weir_record::{Level, Value, path, time};

use super::clause::{Clause, Parameter};
use super::sqlite::around;
use super::{Dialect, literal};
use crate::expression::{Expression, Number, Relation, Scalar, Test};
use crate::pattern::Pattern;

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
            ("message", 1) => text("message", test),
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
    Clause::any([text("logger_name", test), long].into_iter())
}

fn in_column(column: &str, test: &Test) -> Clause {
    match test {
        Test::Equals(_) | Test::Matches(_) if TEXT_COLUMNS.contains(&column) => {
            text(&format!("coalesce({column}, '')"), test)
        }
        _ => Clause::superset(format!("{column} IS NOT NULL"), Vec::new()),
    }
}

/// A test of text.
fn text(value: &str, test: &Test) -> Clause {
    match test {
        Test::Exists => Clause::constant(true),
        Test::Equals(scalar) if scalar.text.contains('\0') => Clause::constant(false),
        Test::Equals(scalar) => Clause::exact(format!("{value} = ?"), vec![Parameter::Text(scalar.text.clone())]),
        Test::Matches(pattern) => like(value, pattern),
        // A digit, or the `n` of `inf` and `nan`.
        Test::Number(..) | Test::Time(..) => Clause::superset(format!("{value} ~ '[0-9nN]'"), Vec::new()),
    }
}

fn like(value: &str, pattern: &Pattern) -> Clause {
    match literal::like(pattern) {
        Some(like) => Clause::superset(format!("{value} ILIKE ?"), vec![Parameter::Text(like)]),
        None => Clause::inexact(true),
    }
}

/// A word anywhere.
fn any_field(pattern: &Pattern) -> Clause {
    let Some(needed) = literal::like(pattern) else { return Clause::inexact(true) };
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
    let likes = values.map(|value| Clause::superset(format!("{value} ILIKE ?"), vec![Parameter::Text(needed.clone())]));
    let level = levels(|level| pattern.is_in(level.as_str()));
    let any = Clause::any(likes.into_iter().chain([level]));
    Clause { is_exact: false, ..any }
}

/// A test of a value in `extra_data`.
fn in_json(keys: &[Cow<'_, str>], test: &Test) -> Clause {
    if keys.iter().any(|key| key.contains('\0')) {
        return Clause::constant(false);
    }
    let value = "extra_data #> ?::text[]";
    let path = Parameter::Text(path_of(keys));
    let clause = match test {
        Test::Exists => Clause::exact(format!("coalesce(jsonb_typeof({value}), 'null') <> 'null'"), vec![path]),
        test => {
            let passes = by_type(test);
            let sql = format!(
                "EXISTS (SELECT FROM jsonb_array_elements(CASE jsonb_typeof({value}) WHEN 'array' THEN {value} \
                 ELSE jsonb_build_array({value}) END) AS item(value) WHERE {})",
                passes.sql
            );
            let mut parameters = vec![path.clone(), path.clone(), path];
            parameters.extend(passes.parameters);
            Clause { sql, parameters, is_exact: passes.is_exact }
        }
    };
    // PostgreSQL takes more keys than these for an index.
    let is_index =
        |key: &Cow<'_, str>| key.trim_start().starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'));
    Clause { is_exact: clause.is_exact && !keys[1..].iter().any(is_index), ..clause }
}

/// The keys as an array of text.
fn path_of(keys: &[Cow<'_, str>]) -> String {
    let quoted = keys.iter().map(|key| format!("\"{}\"", key.replace('\\', r"\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

/// A test of the value `item.value`, which is not a list.
fn by_type(test: &Test) -> Clause {
    let boolean = |truth: bool| test.passes(Value::Bool(truth));
    let boolean = match (boolean(true), boolean(false)) {
        (true, false) => Clause::exact("item.value = 'true'::jsonb", Vec::new()),
        (false, true) => Clause::exact("item.value = 'false'::jsonb", Vec::new()),
        (both, _) => Clause::constant(both),
    };
    let branches = [("string", text("(item.value #>> '{}')", test)), ("number", number(test)), ("boolean", boolean)];
    let mut case = Clause::exact("CASE jsonb_typeof(item.value) ", Vec::new());
    for (name, branch) in branches {
        case.sql.push_str(&format!("WHEN '{name}' THEN {} ", branch.sql));
        case.parameters.extend(branch.parameters);
        case.is_exact &= branch.is_exact;
    }
    case.sql.push_str("ELSE FALSE END");
    case
}

fn number(test: &Test) -> Clause {
    let value = "(item.value)::numeric";
    let bound = |operator: &str, bound: f64| {
        Clause::superset(format!("{value} {operator} ?::float8::numeric"), vec![Parameter::Float(bound)])
    };
    match test {
        Test::Equals(Scalar { number: Some(Number::Int(number)), .. }) if number.unsigned_abs() <= MAX_EXACT => {
            Clause::exact(format!("{value} = ?::bigint"), vec![Parameter::Int(*number)])
        }
        Test::Equals(Scalar { number: Some(number), .. }) => {
            let (least, most) = around(number.as_f64());
            Clause::all([bound(">=", least), bound("<=", most)].into_iter())
        }
        Test::Equals(_) | Test::Exists | Test::Time(..) => Clause::constant(false),
        Test::Number(Relation::Less | Relation::AtMost, number) => bound("<=", around(*number).1),
        Test::Number(Relation::Greater | Relation::AtLeast, number) => bound(">=", around(*number).0),
        Test::Number(Relation::Equal, _) => Clause::inexact(true),
        Test::Matches(pattern) if literal::may_be_number(pattern) => Clause::inexact(true),
        Test::Matches(_) => Clause::constant(false),
    }
}
