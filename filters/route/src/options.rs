//! The options as the operator writes them, before they are compiled.
//!
//! `serde` reads them here and refuses unknown keys; `compile` turns them into
//! rules.
//!
//! A condition is a query, or a table. The keys of a table are paths with tests, or
//! `any`, `all` and `not`; all its entries must be true.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// All options of the filter.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whether only the first matching rule applies.
    #[serde(rename = "match")]
    pub matching: Matching,
    pub rules: Vec<Rule>,
}

/// How many rules apply to a record.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    #[default]
    All,
    First,
}

/// A rule: a condition and its actions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Matches every record when absent.
    pub when: Option<Condition>,
    #[serde(default)]
    pub routes: Vec<String>,
    pub level: Option<String>,
    #[serde(default)]
    pub drop: bool,
}

/// What is wrong with a condition that tests nothing.
pub const EMPTY: &str = "the condition is empty; leave `when` out for a rule that matches every record";

/// A condition on a record.
#[derive(Debug)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Field { path: String, test: Box<Test> },
    Query(String),
}

/// Tests of the value at a path; all given ones must be true.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    pub equals: Option<Scalar>,
    #[serde(rename = "in")]
    pub one_of: Option<Vec<Scalar>>,
    pub glob: Option<String>,
    pub regex: Option<String>,
    pub above: Option<Scalar>,
    pub at_least: Option<Scalar>,
    pub below: Option<Scalar>,
    pub at_most: Option<Scalar>,
    pub exists: Option<bool>,
}

impl Test {
    /// A test only of existence.
    pub fn exists(expected: bool) -> Self {
        Test { exists: Some(expected), ..Test::default() }
    }
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Boolean(bool),
    Integer(i128),
    Float(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Condition;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a condition such as \"level>=WARN source:api-*\", { source = \"auth\" } or { any = [{ … }, { … }] }")
            }

            fn visit_str<E>(self, query: &str) -> Result<Condition, E> {
                Ok(Condition::Query(query.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Condition, A::Error> {
                let mut entries = Vec::new();
                while let Some(path) = map.next_key::<String>()? {
                    entries.push(match path.as_str() {
                        "all" => Condition::All(map.next_value()?),
                        "any" => Condition::Any(map.next_value()?),
                        "not" => Condition::Not(map.next_value()?),
                        _ => {
                            let Tested(test) = map.next_value()?;
                            Condition::Field { path, test: Box::new(test) }
                        }
                    });
                }
                match entries.pop() {
                    None => Err(Error::custom(EMPTY)),
                    Some(only) if entries.is_empty() => Ok(only),
                    Some(last) => {
                        entries.push(last);
                        Ok(Condition::All(entries))
                    }
                }
            }
        }

        deserializer.deserialize_any(Entries)
    }
}

/// The test of a path: a table, or a value to be equal to.
struct Tested(Test);

impl<'de> Deserialize<'de> for Tested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TestOrValue;

        impl TestOrValue {
            fn equal<E>(value: Scalar) -> Result<Tested, E> {
                Ok(Tested(Test { equals: Some(value), ..Test::default() }))
            }
        }

        impl<'de> Visitor<'de> for TestOrValue {
            type Value = Tested;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a value, or a test such as { glob = \"api-*\" } or { in = [\"a\", \"b\"] }")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Tested, E> {
                Self::equal(Scalar::Boolean(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Tested, E> {
                Self::equal(Scalar::Integer(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Tested, E> {
                Self::equal(Scalar::Integer(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Tested, E> {
                Self::equal(Scalar::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Tested, E> {
                Self::equal(Scalar::Text(value.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Tested, A::Error> {
                Test::deserialize(MapAccessDeserializer::new(map)).map(Tested)
            }
        }

        deserializer.deserialize_any(TestOrValue)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar;

        impl Visitor<'_> for AnyScalar {
            type Value = Scalar;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a text, a number, true or false")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Boolean(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::Float(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(value.to_owned()))
            }
        }

        deserializer.deserialize_any(AnyScalar)
    }
}
