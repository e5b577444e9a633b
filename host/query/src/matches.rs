//! Evaluates an expression on a record, in place.

use std::borrow::Cow;
use std::cmp::Ordering;

use weir_record::{Record, Value, time, write_json_value};

use crate::expression::{Expression, Number, Scalar, Test};
use crate::pattern::Pattern;

impl Expression {
    pub fn matches(&self, record: Record<'_>) -> bool {
        match self {
            Expression::All(all) => all.iter().all(|one| one.matches(record)),
            Expression::Any(any) => any.iter().any(|one| one.matches(record)),
            Expression::Not(not) => !not.matches(record),
            Expression::Field { path, test } if path == "message" => test.passes(Value::Str(record.message())),
            Expression::Field { path, test } => record.get(path).is_some_and(|value| test.passes_any(value)),
            Expression::AnyField(pattern) => record.entries().any(|(_, value)| pattern.is_within(value)),
            Expression::Time { since_ns, until_ns } => {
                let at = record.timestamp();
                *since_ns <= at && until_ns.is_none_or(|until| at < until)
            }
            Expression::Level(relation, level) => relation.holds(record.level().cmp(level)),
        }
    }
}

impl Test {
    /// Whether the value passes, or one of its items if it is a list.
    fn passes_any(&self, value: Value<'_>) -> bool {
        match value {
            Value::Array(items) if !matches!(self, Test::Exists) => items.iter().any(|item| self.passes(item)),
            value => self.passes(value),
        }
    }

    pub fn passes(&self, value: Value<'_>) -> bool {
        match self {
            Test::Exists => !value.is_nil(),
            Test::Equals(scalar) => scalar.equals(value),
            Test::Matches(pattern) => text(value).is_some_and(|text| pattern.is_in(&text)),
            Test::Number(relation, number) => compare(value, *number).is_some_and(|order| relation.holds(order)),
            Test::Time(relation, ns) => value
                .as_str()
                .and_then(|text| time::parse_rfc3339(text.as_bytes()))
                .is_some_and(|found| relation.holds(found.cmp(ns))),
        }
    }
}

impl Scalar {
    fn equals(&self, value: Value<'_>) -> bool {
        match (value, self.number) {
            (Value::Str(text), _) => text == self.text,
            (Value::Bool(truth), _) => self.text == if truth { "true" } else { "false" },
            (Value::Int(found), Some(Number::Int(number))) => found == number,
            (Value::UInt(found), Some(Number::UInt(number))) => found == number,
            (Value::Int(_) | Value::UInt(_), Some(Number::Float(number))) => value.as_f64() == Some(number),
            (Value::Float(found), Some(number)) => found == number.as_f64(),
            _ => false,
        }
    }
}

impl Number {
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(number) => number as f64,
            Number::UInt(number) => number as f64,
            Number::Float(number) => number,
        }
    }
}

impl Pattern {
    /// Whether it is in the value, or in a value inside it.
    fn is_within(&self, value: Value<'_>) -> bool {
        match value {
            Value::Array(items) => items.iter().any(|item| self.is_within(item)),
            Value::Map(map) => map.iter().any(|(_, value)| self.is_within(value)),
            value => text(value).is_some_and(|text| self.is_in(&text)),
        }
    }
}

/// The text of a text, number or truth value.
fn text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Str(text) => Some(Cow::Borrowed(text)),
        Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => {
            let mut json = Vec::new();
            write_json_value(value, &mut json);
            String::from_utf8(json).ok().map(Cow::Owned)
        }
        _ => None,
    }
}

/// How a number, or a text that is one, compares.
fn compare(value: Value<'_>, number: f64) -> Option<Ordering> {
    let found = match value {
        Value::Str(text) => text.parse().ok()?,
        value => value.as_f64()?,
    };
    found.partial_cmp(&number)
}
