//! Compiled conditions and their evaluation.
//!
//! `compile` creates them once. A field of a table is looked up at most once per
//! record, however many rules use it, as long as it is among the first
//! `CACHED_FIELDS`. A query looks up its fields each time, which is why tables are
//! not queries in another form: of 20 rules on one nested field, tables took 0.3 µs
//! per record and queries 3.0 µs.

use std::cmp::Ordering;
use std::collections::HashSet;

use regex::Regex;
use weir_guest::{Level, Path, Record, Value};
use weir_query::Query;

use crate::glob::Glob;
use crate::number::Number;

/// Number of fields whose values are cached per record; others are looked up each
/// time. The cache is on the stack.
const CACHED_FIELDS: usize = 16;

/// A condition on a record.
#[derive(Debug)]
pub enum Condition {
    All(Box<[Condition]>),
    Any(Box<[Condition]>),
    Not(Box<Condition>),
    Query(Box<Query>),
    /// The level is one of these, however the test was written.
    Level(LevelSet),
    /// Whether the field exists and is not null.
    Exists {
        field: usize,
        expected: bool,
    },
    /// All checks pass for the value, or for one item of the list.
    Field {
        field: usize,
        checks: Box<[Check]>,
    },
}

/// A check of one value.
#[derive(Debug)]
pub enum Check {
    OneOf(Values),
    Glob(Glob),
    Regex(Regex),
    Compare { with: Number, how: Comparison },
}

/// A comparison of numbers.
#[derive(Debug, Clone, Copy)]
pub enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Comparison {
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Above => order.is_gt(),
            Comparison::AtLeast => order.is_ge(),
            Comparison::Below => order.is_lt(),
            Comparison::AtMost => order.is_le(),
        }
    }
}

/// A set of levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelSet(u8);

impl LevelSet {
    /// The levels that satisfy a predicate.
    pub fn of(holds: impl Fn(Level) -> bool) -> Self {
        let chosen = Level::ALL.into_iter().filter(|level| holds(*level));
        LevelSet(chosen.fold(0, |set, level| set | 1 << level as u8))
    }

    pub fn contains(self, level: Level) -> bool {
        self.0 & 1 << level as u8 != 0
    }
}

/// Values to compare for equality. A number also equals one sent as text.
#[derive(Debug, Default)]
pub struct Values {
    pub texts: HashSet<Box<str>>,
    /// Integers, including those written as floats.
    pub integers: HashSet<i128>,
    /// Other numbers.
    pub floats: Vec<f64>,
    pub booleans: Vec<bool>,
}

impl Values {
    fn contains(&self, value: Value<'_>) -> bool {
        match value {
            Value::Str(text) => {
                self.texts.contains(text)
                    || self.has_numbers() && Number::from_text(text).is_some_and(|number| self.has(number))
            }
            Value::Bool(boolean) => self.booleans.contains(&boolean),
            other => number(other).is_some_and(|number| self.has(number)),
        }
    }

    fn has_numbers(&self) -> bool {
        !(self.integers.is_empty() && self.floats.is_empty())
    }

    fn has(&self, number: Number) -> bool {
        match number.whole() {
            Some(integer) => self.integers.contains(&integer),
            None => self.floats.iter().any(|float| {
                let order = Number::Float(*float).compare(number);
                order == Some(Ordering::Equal)
            }),
        }
    }
}

impl Check {
    fn holds(&self, value: Value<'_>) -> bool {
        match self {
            Check::OneOf(values) => values.contains(value),
            Check::Glob(glob) => value.as_str().is_some_and(|text| glob.is_match(text)),
            Check::Regex(regex) => value.as_str().is_some_and(|text| regex.is_match(text)),
            Check::Compare { with, how } => {
                let number = match value {
                    Value::Str(text) => Number::from_text(text),
                    other => number(other),
                };
                let order = number.and_then(|number| number.compare(*with));
                order.is_some_and(|order| how.holds(order))
            }
        }
    }
}

/// The number of a value.
fn number(value: Value<'_>) -> Option<Number> {
    match value {
        Value::Int(integer) => Some(Number::Integer(integer.into())),
        Value::UInt(integer) => Some(Number::Integer(integer.into())),
        Value::Float(float) => Some(Number::Float(float)),
        _ => None,
    }
}

impl Condition {
    pub fn holds(&self, record: &mut FieldCache<'_>) -> bool {
        match self {
            Condition::All(conditions) => conditions.iter().all(|one| one.holds(record)),
            Condition::Any(conditions) => conditions.iter().any(|one| one.holds(record)),
            Condition::Not(condition) => !condition.holds(record),
            Condition::Query(query) => query.matches(weir_record::Record::new(record.record.as_bytes())),
            Condition::Level(levels) => levels.contains(record.level()),
            Condition::Exists { field, expected } => {
                let value = record.field(*field);
                value.is_some_and(|value| !value.is_nil()) == *expected
            }
            Condition::Field { field, checks } => {
                let holds = |value| checks.iter().all(|check| check.holds(value));
                match record.field(*field) {
                    None => false,
                    Some(Value::Array(list)) => list.iter().any(holds),
                    Some(value) => holds(value),
                }
            }
        }
    }
}

/// A record during evaluation, with cached lookups.
pub struct FieldCache<'r> {
    record: Record<'r>,
    paths: &'r [Path],
    level: Option<Level>,
    /// `None` if not looked up yet.
    values: [Option<Option<Value<'r>>>; CACHED_FIELDS],
}

impl<'r> FieldCache<'r> {
    /// `paths` are the fields, which conditions refer to by index.
    pub fn new(record: Record<'r>, paths: &'r [Path]) -> Self {
        FieldCache { record, paths, level: None, values: [None; CACHED_FIELDS] }
    }

    pub fn level(&mut self) -> Level {
        *self.level.get_or_insert_with(|| self.record.level())
    }

    fn field(&mut self, field: usize) -> Option<Value<'r>> {
        let look = || self.paths.get(field).and_then(|path| self.record.at(path));
        match self.values.get_mut(field) {
            Some(value) => *value.get_or_insert_with(look),
            None => look(),
        }
    }
}
