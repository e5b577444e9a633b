//! Conditions on records in sink options: a query, or a table of required values, which means a query too.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_query::Query;
use weir_record::{Level, time};

/// Which records an option applies to.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a condition is a query such as \"source:shop took_ms>250\", or a table of paths and required values, \
                 lists of allowed values, or { exists = true }"
)]
#[schemars(inline)]
pub(crate) enum Condition {
    /// A query.
    Query(String),
    /// Required values by path.
    Values(BTreeMap<String, ExpectedValue>),
}

/// A condition on the value at a path.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a required value, a list of allowed values, or { exists = true }")]
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

impl Default for Condition {
    /// Every record.
    fn default() -> Condition {
        Condition::Values(BTreeMap::new())
    }
}

impl Condition {
    /// The query that it means, for records of at least this level.
    pub fn query(&self, min_level: Option<Level>) -> Result<Query, String> {
        let own = match self {
            Condition::Query(query) => query.clone(),
            Condition::Values(values) => values
                .iter()
                .map(|(path, expected)| expected.query(&weir_query::field(path)))
                .collect::<Vec<_>>()
                .join(" "),
        };
        // Parsed alone first: in parentheses, a stray one of its own would have a partner.
        let now_ns = time::now_ns();
        let query = Query::parse(&own, now_ns).map_err(|error| format!("`when`: {error}"))?;
        match min_level {
            None => Ok(query),
            Some(level) if own.trim().is_empty() => Query::parse(&format!("level>={level}"), now_ns),
            Some(level) => Query::parse(&format!("level>={level} ({own})"), now_ns),
        }
        .map_err(|error| error.to_string())
    }
}

impl ExpectedValue {
    fn query(&self, field: &str) -> String {
        match self {
            ExpectedValue::Exists(Exists { exists: true }) => format!("{field}:*"),
            ExpectedValue::Exists(Exists { exists: false }) => format!("-{field}:*"),
            ExpectedValue::One(scalar) => scalar.query(field),
            // None of no values.
            ExpectedValue::Any(scalars) if scalars.is_empty() => "-*".to_owned(),
            ExpectedValue::Any(scalars) => {
                let any: Vec<_> = scalars.iter().map(|scalar| scalar.query(field)).collect();
                format!("({})", any.join(" OR "))
            }
        }
    }
}

impl Scalar {
    fn query(&self, field: &str) -> String {
        match self {
            Scalar::Boolean(truth) => format!("{field}={truth}"),
            Scalar::Integer(number) => format!("{field}={number}"),
            Scalar::Float(number) => format!("{field}={number}"),
            Scalar::Text(text) => format!("{field}={}", weir_query::quoted(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_record::Record;

    use super::*;
    use crate::testing::record;

    fn condition(value: serde_json::Value) -> Condition {
        serde_json::from_value(value).expect("a condition")
    }

    #[test]
    fn a_record_must_meet_every_condition() {
        let bytes = record(&[("level", "ERROR"), ("source", "shop \"1\""), ("context.kind", "a"), ("-x: y", "1")], &[]);
        let meets = |value: serde_json::Value, min_level| {
            condition(value).query(min_level).expect("a query").matches(Record::new(&bytes))
        };
        assert!(meets(json!({}), None));
        assert!(meets(json!({}), Some(Level::Error)));
        assert!(!meets(json!({}), Some(Level::Critical)));
        assert!(meets(json!({ "source": "shop \"1\"", "context.kind": ["a", "b"] }), Some(Level::Error)));
        assert!(meets(json!({ "context.user": { "exists": false }, "context": { "exists": true } }), None));
        assert!(meets(json!({ "-x: y": "1", "since": { "exists": false } }), None));
        assert!(!meets(json!({ "source": "shop \"1\"", "context.kind": "b" }), None));
        assert!(!meets(json!({ "context.user": { "exists": true } }), None));
        assert!(!meets(json!({ "context.kind": [] }), None));
        assert!(!meets(json!({ "context.kind": "a" }), Some(Level::Critical)));
        assert!(meets(json!("source:shop* context.kind:a OR nothing:*"), Some(Level::Error)));
        assert!(!meets(json!("source:shop* context.kind:a OR nothing:*"), Some(Level::Critical)));
    }

    #[test]
    fn an_invalid_query_is_refused_with_its_column() {
        for wrong in ["source: (", "a) OR (b", "level>=loud"] {
            let error = condition(json!(wrong)).query(Some(Level::Error)).expect_err(wrong);
            assert!(error.starts_with("`when`: column "), "{error}");
        }
    }
}
