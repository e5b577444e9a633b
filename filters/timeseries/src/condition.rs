//! When a rule applies: the minimum level of the record, and values at paths.

use std::collections::BTreeMap;

use weir_guest::{Level, Path, Record, Value};

use crate::options::{ExpectedValue, Scalar};

/// A condition on a record.
#[derive(Debug)]
pub struct Condition {
    at_least: Option<Level>,
    values: Vec<(Path, ExpectedValue)>,
}

impl Condition {
    /// True for records of at least this level that have these values.
    pub fn new(at_least: Option<Level>, when: BTreeMap<String, ExpectedValue>) -> Self {
        let values = when.into_iter().map(|(path, wanted)| (Path::parse(&path), wanted)).collect();
        Condition { at_least, values }
    }

    pub fn holds(&self, record: &Record<'_>) -> bool {
        let holds =
            |(path, wanted): &(Path, ExpectedValue)| wanted.holds(record.at(path).filter(|value| !value.is_nil()));
        self.at_least.is_none_or(|least| record.level() >= least) && self.values.iter().all(holds)
    }
}

impl ExpectedValue {
    fn holds(&self, value: Option<Value<'_>>) -> bool {
        match self {
            ExpectedValue::Exists(wanted) => value.is_some() == wanted.exists,
            ExpectedValue::One(wanted) => value.is_some_and(|value| wanted.is(value)),
            ExpectedValue::Any(wanted) => value.is_some_and(|value| wanted.iter().any(|wanted| wanted.is(value))),
        }
    }
}

impl Scalar {
    fn is(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Scalar::Boolean(wanted), Value::Bool(truth)) => *wanted == truth,
            (Scalar::Integer(wanted), Value::Int(number)) => *wanted == number,
            (Scalar::Integer(wanted), Value::Float(number)) => *wanted as f64 == number,
            (Scalar::Float(wanted), value) => value.as_f64() == Some(*wanted),
            (Scalar::Text(wanted), Value::Str(text)) => wanted == text,
            _ => false,
        }
    }
}
