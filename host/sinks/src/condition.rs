//! Conditions on records in sink options: required values by path, and a minimum level.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_record::{Level, Record, Value};

/// A condition on the value at a path.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a condition is a required value, a list of allowed values, or { exists = true }")]
#[schemars(inline)]
pub(crate) enum ExpectedValue {
    /// Any value, or no value.
    Exists(Exists),
    /// This value.
    One(Scalar),
    /// One of these values.
    Any(Vec<Scalar>),
}

/// Whether there must be a value at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct Exists {
    /// `true` if there must be a value, `false` if there must be none.
    pub exists: bool,
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(crate) enum Scalar {
    /// True or false.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
}

/// A condition on a record: all its values must be there.
#[derive(Debug)]
pub(crate) struct Condition {
    values: Vec<(String, ExpectedValue)>,
    min_level: Option<Level>,
}

impl Condition {
    /// Takes values by path, and the minimum level.
    pub fn new(values: BTreeMap<String, ExpectedValue>, min_level: Option<Level>) -> Condition {
        Condition { values: values.into_iter().collect(), min_level }
    }

    /// True if the record meets every condition.
    pub fn holds(&self, record: Record<'_>) -> bool {
        self.min_level.is_none_or(|least| record.level() >= least)
            && self.values.iter().all(|(path, wanted)| is_met(wanted, record.get(path)))
    }
}

fn is_met(wanted: &ExpectedValue, found: Option<Value<'_>>) -> bool {
    match wanted {
        ExpectedValue::Exists(wanted) => wanted.exists == found.is_some(),
        ExpectedValue::One(scalar) => found.is_some_and(|value| equals(scalar, value)),
        ExpectedValue::Any(scalars) => found.is_some_and(|value| scalars.iter().any(|scalar| equals(scalar, value))),
    }
}

fn equals(scalar: &Scalar, value: Value<'_>) -> bool {
    match scalar {
        Scalar::Text(text) => value.as_str() == Some(text),
        Scalar::Boolean(truth) => value.as_bool() == Some(*truth),
        Scalar::Integer(number) => value.as_i64() == Some(*number) || value == Value::Float(*number as f64),
        Scalar::Float(number) => value.as_f64() == Some(*number),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::record;

    #[test]
    fn a_record_must_meet_every_condition() {
        let bytes = record(&[("level", "ERROR"), ("source", "shop"), ("context.kind", "a")], &[]);
        let meets = |values: serde_json::Value, min_level| {
            let values = serde_json::from_value(values).expect("conditions");
            Condition::new(values, min_level).holds(Record::new(&bytes))
        };
        assert!(meets(json!({}), None));
        assert!(meets(json!({ "source": "shop", "context.kind": ["a", "b"] }), Some(Level::Error)));
        assert!(meets(json!({ "context.user": { "exists": false }, "context": { "exists": true } }), None));
        assert!(!meets(json!({ "source": "shop", "context.kind": "b" }), None));
        assert!(!meets(json!({ "context.user": { "exists": true } }), None));
        assert!(!meets(json!({ "source": "shop" }), Some(Level::Critical)));
    }
}
