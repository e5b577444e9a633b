//! Compares output records with expected ones. Pure.
//!
//! An expectation lists keys with their values, deeply. Other keys are ignored unless the comparison is exact. Lists
//! must have the expected length. `null` also matches an absent key; 1 and 1.0 are the same number; a `timestamp` may
//! be written in any form that a sender may use.

use serde_json::{Map, Value};
use weir_record::path;

/// Both sides of a diff. Keys that were not compared have their actual values in `expected`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mismatch {
    pub what: String,
    pub diff: Option<Diff>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Diff {
    pub expected: String,
    pub found: String,
}

impl Mismatch {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), diff: None }
    }
}

/// Compares records in order. `whence` describes their origin, such as `came out`.
pub fn records(expected: &[Value], found: &[Value], exact: bool, whence: &str) -> Vec<Mismatch> {
    if expected.len() != found.len() {
        let what = format!("{} {whence}, expected {}", count(found.len()), expected.len());
        let text =
            |records: &[Value]| records.iter().map(|record| format!("{record:#}")).collect::<Vec<_>>().join("\n");
        // Compared in pairs as far as possible, so that keys without an expectation are not a difference.
        let shown: Vec<Value> = (0..expected.len())
            .map(|at| found.get(at).map_or_else(|| expected[at].clone(), |found| overlay(&expected[at], found, exact)))
            .collect();
        return vec![Mismatch { what, diff: Some(Diff { expected: text(&shown), found: text(found) }) }];
    }
    let mut mismatches = Vec::new();
    for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
        let expected = &with_canonical_timestamp(expected);
        if let Some(difference) = first_difference(expected, found, exact, "") {
            let diff = Diff { expected: format!("{:#}", overlay(expected, found, exact)), found: format!("{found:#}") };
            let what = format!("record {} of those that {whence}: {difference}", at + 1);
            mismatches.push(Mismatch { what, diff: Some(diff) });
        }
    }
    mismatches
}

fn count(records: usize) -> String {
    match records {
        0 => "no record".to_owned(),
        1 => "1 record".to_owned(),
        more => format!("{more} records"),
    }
}

/// The expected record, with its `timestamp` in canonical form.
fn with_canonical_timestamp(expected: &Value) -> Value {
    let mut expected = expected.clone();
    let ns = match expected.get("timestamp") {
        Some(Value::String(text)) => weir_record::time::parse(text),
        Some(Value::Number(number)) => number.as_i64().and_then(weir_record::time::from_int),
        _ => None,
    };
    if let Some(ns) = ns {
        let mut text = Vec::new();
        weir_record::time::format_rfc3339(ns, &mut text);
        expected["timestamp"] = String::from_utf8_lossy(&text).into_owned().into();
    }
    expected
}

/// Describes the first difference.
fn first_difference(expected: &Value, found: &Value, exact: bool, path: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, expected) in expected {
                let path = join(path, key);
                let difference = match found.get(key) {
                    Some(found) => first_difference(expected, found, exact, &path),
                    None if expected.is_null() => None,
                    None => Some(format!("`{path}` is missing, expected {expected}")),
                };
                if difference.is_some() {
                    return difference;
                }
            }
            let extra = found.keys().find(|key| exact && !expected.contains_key(*key))?;
            Some(format!("`{}` is present, but was not expected", join(path, extra)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            if expected.len() != found.len() {
                return Some(format!("`{path}` has {} items, expected {}", found.len(), expected.len()));
            }
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.find_map(|(at, (e, f))| first_difference(e, f, exact, &join(path, &at.to_string())))
        }
        _ if is_same(expected, found) => None,
        _ => Some(format!("`{path}` is {}, expected {}", short(found), short(expected))),
    }
}

/// Whether two values that are not containers are equal.
fn is_same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => a.as_f64() == b.as_f64(),
        _ => expected == found,
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(crate::limits::SHOWN_VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn join(path: &str, key: &str) -> String {
    let mut joined = path.to_owned();
    path::push_key(&mut joined, key);
    joined
}

/// The actual value, with the expected one overlaid.
fn overlay(expected: &Value, found: &Value, exact: bool) -> Value {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let mut whole = if exact { Map::new() } else { found.clone() };
            for (key, expected) in expected {
                match found.get(key) {
                    Some(found) => whole.insert(key.clone(), overlay(expected, found, exact)),
                    None if expected.is_null() => None,
                    None => whole.insert(key.clone(), expected.clone()),
                };
            }
            Value::Object(whole)
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            expected.iter().zip(found).map(|(expected, found)| overlay(expected, found, exact)).collect()
        }
        _ if is_same(expected, found) => found.clone(),
        _ => expected.clone(),
    }
}

/// Whether there is a value at a dotted path.
pub fn has(record: &Value, path: &str) -> bool {
    let mut at = record;
    for key in path::keys(path) {
        let next = match at {
            Value::Object(map) => map.get(&*key),
            Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differs(expected: Value, found: Value, exact: bool) -> Option<String> {
        records(&[expected], &[found], exact, "came out").first().map(|mismatch| mismatch.what.clone())
    }

    #[test]
    fn only_expected_keys_are_compared() {
        let found = json!({ "a": 1, "b": { "c": "x", "d": [1, { "e": 2, "f": 3 }] } });
        assert_eq!(differs(json!({ "b": { "c": "x" } }), found.clone(), false), None);
        assert_eq!(differs(json!({ "b": { "d": [1, { "f": 3 }] } }), found.clone(), false), None);
        assert_eq!(differs(json!({ "gone": null }), found.clone(), false), None);
        let said = differs(json!({ "b": { "d": [1, { "f": 4 }] } }), found.clone(), false).expect("it differs");
        assert!(said.ends_with("`b.d.1.f` is 3, expected 4"), "{said}");
        let said = differs(json!({ "b": { "d": [1] } }), found.clone(), false).expect("it differs");
        assert!(said.ends_with("`b.d` has 2 items, expected 1"), "{said}");
        let said = differs(json!({ "a": null }), found, false).expect("it differs");
        assert!(said.ends_with("`a` is 1, expected null"), "{said}");
    }

    #[test]
    fn an_exact_comparison_names_unexpected_keys() {
        let said = differs(json!({ "a": { "b": 1 } }), json!({ "a": { "b": 1, "c.d": 2 } }), true).expect("it differs");
        assert!(said.contains(r"`a.c\.d` is present"), "{said}");
        assert_eq!(differs(json!({ "a": 1.0 }), json!({ "a": 1 }), true), None);
    }

    #[test]
    fn expected_timestamps_may_have_any_form() {
        let found = json!({ "timestamp": "2026-01-02T03:04:05.000000000Z" });
        for moment in [json!("2026-01-02T03:04:05Z"), json!("2026-01-02T04:04:05+01:00"), json!(1_767_323_045)] {
            assert_eq!(differs(json!({ "timestamp": moment }), found.clone(), true), None);
        }
    }

    #[test]
    fn a_diff_shows_only_compared_keys() {
        let mismatches = records(&[json!({ "a": 2 })], &[json!({ "a": 1, "other": "x" })], false, "came out");
        let diff = mismatches[0].diff.clone().expect("there is one");
        assert_eq!(diff.expected, format!("{:#}", json!({ "a": 2, "other": "x" })));
        let mismatches = records(&[json!({ "a": 1 })], &[], false, "came out");
        assert_eq!(mismatches[0].what, "no record came out, expected 1");
    }

    #[test]
    fn paths_reach_into_maps_and_lists() {
        let record = json!({ "a.b": [{ "c": null }] });
        assert!(has(&record, r"a\.b.0.c") && !has(&record, "a.b") && !has(&record, r"a\.b.1"));
    }
}
