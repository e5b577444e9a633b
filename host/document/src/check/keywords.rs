//! Accessors for the parts of a JSON Schema, independent of how a schema expresses them.

use serde_json::Value as Json;

/// The JSON Schema keywords that the check supports; the second half is descriptive.
pub const KEYWORDS: &[&str] = &[
    "$ref",
    "type",
    "enum",
    "const",
    "oneOf",
    "anyOf",
    "allOf",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "format",
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
];

pub(crate) fn alternatives(schema: &Json) -> Option<&[Json]> {
    let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array())?;
    // Alternatives that are all constants are an enumeration.
    let words = choices.iter().all(|choice| choice.get("const").is_some());
    (!words).then_some(choices.as_slice())
}

/// The values of an enumeration.
pub(super) fn allowed_values(schema: &Json) -> Option<Vec<&Json>> {
    if let Some(only) = schema.get("const") {
        return Some(vec![only]);
    }
    if let Some(values) = schema["enum"].as_array() {
        return Some(values.iter().collect());
    }
    let choices = schema["oneOf"].as_array()?;
    choices.iter().map(|choice| choice.get("const")).collect()
}

/// The key that has a different constant in every alternative.
pub(super) fn tag_of<'s>(choices: &[&'s Json]) -> Option<&'s str> {
    let properties = choices.first()?["properties"].as_object()?;
    properties
        .keys()
        .map(String::as_str)
        .find(|key| choices.iter().all(|choice| choice["properties"][*key].get("const").is_some()))
}

pub(super) fn types_of(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::String(name) => vec![name.as_str()],
        Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
        // An enumeration of strings without a `type` is still a string.
        _ => Vec::new(),
    }
}

pub(super) fn example_of(schema: &Json) -> Option<String> {
    let examples = schema["examples"].as_array().and_then(|all| all.first());
    let example = examples.or_else(|| schema.get("default"))?;
    (!example.is_object()).then(|| example.to_string())
}
