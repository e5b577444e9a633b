//! Tests of single fields in SQLite. A row has the columns `timestamp`, `level`, `source` and `message`, and everything
//! else as JSON in `fields`.
//!
//! SQLite reads a float from JSON with an error of the last bit, so floats are compared with a tolerance, except with
//! integers that a float holds exactly.

use std::borrow::Cow;

use weir_record::{Level, path};

use super::clause::{Clause, Parameter};
use super::{Dialect, Table, literal};
use crate::expression::{Expression, Number, Relation, Scalar, Test};
use crate::literals;
use crate::pattern::{Form, Pattern};

/// Keys that are numbers may be keys of maps or indexes of lists; each doubles the paths to try.
const MAX_NUMERIC_KEYS: usize = 2;
/// The largest integer below which a float is exactly that integer.
const MAX_EXACT: u64 = 1 << 53;

pub(super) struct Sqlite<'t> {
    pub table: &'t Table,
}

impl Dialect for Sqlite<'_> {
    fn field(&self, path: &str, test: &Test) -> Clause {
        let keys: Vec<_> = path::keys(path).collect();
        match (keys[0].as_ref(), keys.len()) {
            ("message", 1) => text_column("message", test),
            ("source", 1) => self.source(test),
            ("level", 1) => levels(|level| test.passes_text(level.as_str())),
            ("timestamp", 1) if matches!(test, Test::Exists) => Clause::constant(true),
            ("timestamp", 1) => Clause::inexact(true),
            // Text and numbers have nothing inside.
            ("message" | "source" | "level" | "timestamp", _) => Clause::constant(false),
            _ => in_json(path, &keys, test),
        }
    }

    fn leaf(&self, expression: &Expression) -> Clause {
        match expression {
            Expression::Time { since_ns, until_ns } => {
                let since = match *since_ns {
                    i64::MIN => Clause::constant(true),
                    since => Clause::exact("timestamp >= ?", vec![Parameter::Int(since)]),
                };
                let until = until_ns.map(|until| Clause::exact("timestamp < ?", vec![Parameter::Int(until)]));
                Clause::all([since].into_iter().chain(until))
            }
            Expression::Level(relation, level) => levels(|found| relation.holds(found.cmp(level))),
            Expression::AnyField(pattern) => self.any_field(pattern),
            _ => Clause::inexact(true),
        }
    }
}

impl Sqlite<'_> {
    fn source(&self, test: &Test) -> Clause {
        let Some(sources) = &self.table.sources else { return text_column("source", test) };
        let passing: Vec<_> = sources.iter().filter(|source| test.passes_text(source)).cloned().collect();
        if passing.len() == sources.len() {
            return Clause::constant(true);
        }
        one_of("source", passing)
    }

    /// A word anywhere. Numbers and truth values in `fields` look like their own text.
    fn any_field(&self, pattern: &Pattern) -> Clause {
        if literal::may_be_number(pattern) || !literal::is_plain_in_json(pattern) {
            return Clause::inexact(true);
        }
        let Some(fields) = before_nul("fields", pattern) else { return Clause::inexact(true) };
        let source = self.source(&Test::Matches(pattern.clone()));
        let level = levels(|level| pattern.is_in(level.as_str()));
        let any = Clause::any([matching("message", pattern), fields, source, level].into_iter());
        Clause { is_exact: false, ..any }
    }
}

fn one_of(column: &str, values: Vec<String>) -> Clause {
    if values.is_empty() {
        return Clause::constant(false);
    }
    let places = vec!["?"; values.len()].join(",");
    Clause::exact(format!("{column} IN ({places})"), values.into_iter().map(Parameter::Text).collect())
}

fn levels(passes: impl Fn(Level) -> bool) -> Clause {
    let passing: Vec<_> = Level::ALL.into_iter().filter(|level| passes(*level)).collect();
    if passing.len() == Level::ALL.len() {
        return Clause::constant(true);
    }
    one_of("level", passing.into_iter().map(|level| level.as_str().to_owned()).collect())
}

/// A test of a column that always has text.
fn text_column(column: &str, test: &Test) -> Clause {
    match test {
        Test::Exists => Clause::constant(true),
        Test::Equals(scalar) => Clause::exact(format!("{column} = ?"), vec![Parameter::Text(scalar.text.clone())]),
        Test::Matches(pattern) => matching(column, pattern),
        Test::Number(..) | Test::Time(..) => digits(column),
    }
}

/// A text that contains what a pattern needs.
fn matching(value: &str, pattern: &Pattern) -> Clause {
    match before_nul(value, pattern) {
        Some(Clause { sql, parameters, .. }) => {
            // The lengths are the same in most texts without a NUL, and sooner known than that there is none.
            let nul = format!("length({value}) <> octet_length({value}) AND instr({value}, char(0)) > 0");
            Clause::superset(format!("({sql} OR {nul})"), parameters)
        }
        None => Clause::inexact(true),
    }
}

/// What a pattern needs of a text that contains no NUL, where SQLite's `LIKE` and `GLOB` stop.
fn before_nul(value: &str, pattern: &Pattern) -> Option<Clause> {
    match pattern.form() {
        Form::Regex { source } if !source.contains("(?") => Some(contains(value, literal::required(source)?, false)),
        _ => Some(Clause::superset(format!("{value} LIKE ?"), vec![Parameter::Text(literal::like(pattern)?)])),
    }
}

fn contains(value: &str, text: &str, any_case: bool) -> Clause {
    let (operator, pattern) = match any_case {
        true => ("LIKE", literal::like_text(text)),
        false => ("GLOB", literal::glob_text(text)),
    };
    Clause::superset(format!("{value} {operator} ?"), vec![Parameter::Text(pattern)])
}

/// A text that may be a number or a time: it has a digit, or the `n` of `inf` and `nan`.
fn digits(value: &str) -> Clause {
    Clause::superset(format!("{value} GLOB '*[0-9nN]*'"), Vec::new())
}

/// A test of a value in `fields`.
fn in_json(path: &str, keys: &[Cow<'_, str>], test: &Test) -> Clause {
    let Some(paths) = json_paths(keys) else { return Clause::inexact(true) };
    // The value is at one of the paths at most: it is in a map or in a list.
    let value = Clause::any(paths.into_iter().map(|path| at_path(&path, test)));
    // Spares most rows from being parsed. Sink and SQLite write JSON in the same way.
    let needed = match literals::in_field(path, test) {
        Some(texts) => Clause::any(texts.iter().map(|literal| contains("fields", &literal.text, literal.any_case))),
        None => contains("fields", &format!("\"{}\":", keys[0]), false),
    };
    // Every row that passes has one of the texts, so they select nothing less.
    let is_exact = value.is_exact;
    Clause { is_exact, ..Clause::all([needed, value].into_iter()) }
}

fn at_path(path: &str, test: &Test) -> Clause {
    let path = Parameter::Text(path.to_owned());
    if matches!(test, Test::Exists) {
        return Clause::exact("coalesce(json_type(fields, ?), 'null') <> 'null'", vec![path]);
    }
    let passes = by_type(test);
    let sql = format!(
        "CASE json_type(fields, ?) WHEN 'object' THEN FALSE \
         WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each(fields, ?) AS item WHERE {passes}) \
         ELSE (SELECT {passes} FROM (SELECT json_type(fields, ?) AS type, json_extract(fields, ?) AS atom) AS item) END",
        passes = passes.sql
    );
    let mut parameters = vec![path.clone(), path.clone()];
    parameters.extend_from_slice(&passes.parameters);
    parameters.extend(passes.parameters);
    parameters.extend([path.clone(), path.clone()]);
    let value = Clause { sql, parameters, is_exact: passes.is_exact };
    Clause::all(quick(path, test).into_iter().chain([value]))
}

/// What most values that don't pass don't pass either, sooner known. Any text, also the JSON of a list, is greater than
/// a number for SQLite, and passes.
fn quick(path: Parameter, test: &Test) -> Option<Clause> {
    let Test::Number(relation, number) = test else { return None };
    let (least, most) = around(*number);
    let (sql, bound) = match relation {
        Relation::Greater | Relation::AtLeast => ("coalesce(json_extract(fields, ?) >= ?, FALSE)", least),
        Relation::Less | Relation::AtMost if most < f64::MAX => {
            ("coalesce(json_extract(fields, ?) NOT BETWEEN ? AND 9e999, FALSE)", most)
        }
        _ => return None,
    };
    Some(Clause::superset(sql, vec![path, Parameter::Float(bound)]))
}

/// A test of the value `item`, which is not a list.
fn by_type(test: &Test) -> Clause {
    let value = "item.atom";
    let branches = [
        ("text", text_column(value, test)),
        ("integer", integer(value, test)),
        ("real", real(value, test)),
        ("true", truth(true, test)),
        ("false", truth(false, test)),
    ];
    let mut case = Clause::exact("CASE item.type ", Vec::new());
    for (name, branch) in branches {
        case.sql.push_str(&format!("WHEN '{name}' THEN {} ", branch.sql));
        case.parameters.extend(branch.parameters);
        case.is_exact &= branch.is_exact;
    }
    case.sql.push_str("ELSE FALSE END");
    case
}

fn integer(value: &str, test: &Test) -> Clause {
    match test {
        Test::Equals(Scalar { number: Some(Number::Int(number)), .. }) => {
            Clause::exact(format!("{value} = ?"), vec![Parameter::Int(*number)])
        }
        // Beyond 63 bits, SQLite makes a float of it.
        Test::Equals(Scalar { number: Some(number), .. }) => about(value, *number),
        Test::Equals(_) | Test::Exists | Test::Time(..) => Clause::constant(false),
        Test::Number(relation, number) => compared(value, *relation, *number),
        Test::Matches(pattern) => number_text(pattern),
    }
}

fn real(value: &str, test: &Test) -> Clause {
    match test {
        Test::Equals(Scalar { number: Some(Number::Int(number)), .. }) if number.unsigned_abs() <= MAX_EXACT => {
            Clause::exact(format!("{value} = ?"), vec![Parameter::Int(*number)])
        }
        Test::Equals(Scalar { number: Some(number), .. }) => about(value, *number),
        Test::Equals(_) | Test::Exists | Test::Time(..) => Clause::constant(false),
        Test::Number(relation, number) => compared(value, *relation, *number),
        Test::Matches(pattern) => number_text(pattern),
    }
}

fn truth(truth: bool, test: &Test) -> Clause {
    Clause::constant(test.passes(weir_record::Value::Bool(truth)))
}

fn number_text(pattern: &Pattern) -> Clause {
    match literal::may_be_number(pattern) {
        true => Clause::inexact(true),
        false => Clause::constant(false),
    }
}

fn about(value: &str, number: Number) -> Clause {
    let (least, most) = around(number.as_f64());
    Clause::superset(format!("{value} BETWEEN ? AND ?"), vec![Parameter::Float(least), Parameter::Float(most)])
}

fn compared(value: &str, relation: Relation, number: f64) -> Clause {
    let (least, most) = around(number);
    match relation {
        Relation::Less | Relation::AtMost => Clause::superset(format!("{value} <= ?"), vec![Parameter::Float(most)]),
        Relation::Greater | Relation::AtLeast => {
            Clause::superset(format!("{value} >= ?"), vec![Parameter::Float(least)])
        }
        Relation::Equal => Clause::inexact(true),
    }
}

/// A range that contains what SQLite reads instead of a number, and every float near it.
pub(crate) fn around(number: f64) -> (f64, f64) {
    let slack = (number.abs() * 1e-12).max(1e-300);
    ((number - slack).max(f64::MIN), (number + slack).min(f64::MAX))
}

/// The paths in SQLite's notation at which a value may be. `None` if a key can't be written in it.
fn json_paths(keys: &[Cow<'_, str>]) -> Option<Vec<String>> {
    let mut paths = vec![String::from("$")];
    let mut numeric = 0;
    for (depth, key) in keys.iter().enumerate() {
        if key.is_empty() || key.contains(|c: char| c < ' ' || matches!(c, '"' | '\\')) {
            return None;
        }
        let index = key.parse::<usize>().ok().filter(|_| depth > 0);
        numeric += usize::from(index.is_some());
        if numeric > MAX_NUMERIC_KEYS {
            return None;
        }
        paths = paths
            .into_iter()
            .flat_map(|path| {
                let item = index.filter(|index| *index <= u32::MAX as usize).map(|index| format!("{path}[{index}]"));
                [Some(format!("{path}.\"{key}\"")), item]
            })
            .flatten()
            .collect();
    }
    Some(paths)
}
