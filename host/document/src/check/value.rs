//! Checks of one value: type, range, length and format; also type names for messages.

use crate::units::{Size, TimeSpan};
use serde_json::Value as Json;

use super::quoted;
use crate::tree::{Node, Value};

/// Converts text from the environment to the type that the schema requires, if it parses.
pub(super) fn coerce(node: &mut Node, types: &[&str]) {
    let Value::Text { text, expanded: true } = &node.value else {
        return;
    };
    if types.is_empty() || types.contains(&"string") {
        return;
    }
    let text = text.trim();
    let integer = || text.parse().ok().map(Value::Integer);
    let number = || text.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::Float);
    let boolean = || text.parse().ok().map(Value::Boolean);
    let value = types.iter().find_map(|name| match *name {
        "integer" => integer(),
        "number" => integer().or_else(number),
        "boolean" => boolean(),
        _ => None,
    });
    if let Some(value) = value {
        node.value = value;
    }
}

pub(super) fn is_of_type(value: &Value, name: &str) -> bool {
    match value {
        Value::Text { .. } => name == "string",
        Value::Integer(_) => name == "integer" || name == "number",
        Value::Float(_) => name == "number",
        Value::Boolean(_) => name == "boolean",
        Value::List(_) => name == "array",
        Value::Table(_) => name == "object",
        Value::Date(_) | Value::Unusable => false,
    }
}

pub(super) fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Text { .. } => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "a boolean",
        Value::Date(_) => "a date",
        Value::List(_) => "a list",
        Value::Table(_) => "a table",
        Value::Unusable => "nothing",
    }
}

pub(super) fn toml_name(name: &str) -> &str {
    match name {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}

/// A message, and optionally a hint.
pub(super) type ValueProblem = Option<(String, Option<String>)>;

pub(super) fn range_problem(number: f64, schema: &Json) -> ValueProblem {
    let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    if least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most) {
        return None;
    }
    let bounds = match (least, most) {
        (Some(least), Some(most)) => format!("from {least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (_, most) => format!("at most {}", most.unwrap_or_default()),
    };
    Some((format!("{number} is out of range: it must be {bounds}"), None))
}

pub(super) fn length_problem(length: usize, schema: &Json, keyword: &str, what: &str) -> ValueProblem {
    let bound = |side: &str| schema[format!("{side}{keyword}")].as_u64();
    let length = length as u64;
    match (bound("min"), bound("max")) {
        (Some(least), _) if length < least => {
            let message = match (length, least) {
                (0, 1) => "this is empty".to_owned(),
                _ => format!("{length} {what} here, at least {least} are needed"),
            };
            Some((message, None))
        }
        (_, Some(most)) if length > most => Some((format!("{length} {what} here, at most {most} are allowed"), None)),
        _ => None,
    }
}

/// `example`: the example value from the key's schema.
pub(super) fn text_problem(text: &str, expanded: bool, schema: &Json, example: Option<&str>) -> ValueProblem {
    let length = length_problem(text.chars().count(), schema, "Length", "characters");
    if length.is_some() {
        return length;
    }
    let what = match schema["format"].as_str() {
        Some("size") if text.parse::<Size>().is_err() => "is not a size",
        Some("duration") if text.parse::<TimeSpan>().is_err() => "is not a duration",
        _ => return None,
    };
    let example = example.map(|example| format!("for example `{example}`"));
    Some((format!("{} {what}", quoted(text, expanded)), example))
}
