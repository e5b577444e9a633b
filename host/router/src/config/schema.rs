//! The JSON Schema of the whole file: Weir's sections from the `raw` types, and under `sink` and `source` one alternative
//! for each type, distinguished by `type`.
//!
//! Used to check every file, by `weir config schema` for editors, and for the reference in `examples/config/README.md`.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use weir_sinks::Kind;

use weir_document::without_null;

use super::raw;

/// The complete schema.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The schema, built once, since every load uses it.
pub(super) static SCHEMA: LazyLock<Value> = LazyLock::new(build);

fn build() -> Value {
    let mut whole = schemars::schema_for!(raw::Config).to_value();
    let mut shared = Map::new();
    let common = schemars::schema_for!(raw::SinkCommon).to_value();
    let sinks: Vec<Value> = weir_sinks::KINDS
        .iter()
        .map(|kind| {
            let mut own = (kind.schema)();
            describe_variables(kind, &mut own);
            of_kind("sink", kind.name, kind.summary, own, &common, &mut shared)
        })
        .collect();
    let common = schemars::schema_for!(raw::SourceCommon).to_value();
    let sources: Vec<Value> = weir_sources::KINDS
        .iter()
        .map(|kind| of_kind("source", kind.name, kind.summary, (kind.schema)(), &common, &mut shared))
        .collect();
    if let Some(object) = whole.as_object_mut() {
        let defs = object.entry("$defs").or_insert_with(|| json!({}));
        if let Some(defs) = defs.as_object_mut() {
            defs.extend(shared);
            defs.insert("Sink".to_owned(), json!({ "oneOf": sinks }));
            defs.insert("Source".to_owned(), json!({ "oneOf": sources }));
        }
    }
    whole["title"] = "Weir".into();
    for (key, def) in [("sink", "Sink"), ("source", "Source")] {
        let property = &mut whole["properties"][key];
        let description = property["description"].take();
        *property = json!({
            "description": description,
            "type": "object",
            "additionalProperties": { "$ref": format!("#/$defs/{def}") },
        });
    }
    without_null(&mut whole);
    whole
}

fn describe_variables(kind: &Kind, own: &mut Value) {
    for variable in kind.variables {
        let description = &mut own["properties"][variable.option]["description"];
        let text = description.as_str().unwrap_or_default();
        *description = format!("{text} Environment variable: `{}`.", variable.name).into();
    }
}

/// The schema of one type of sink or source: `type`, the common keys, and its own options. `what` it is goes before the
/// names of shared definitions.
fn of_kind(
    what: &str,
    name: &str,
    summary: &str,
    mut own: Value,
    common: &Value,
    shared: &mut Map<String, Value>,
) -> Value {
    let prefix = format!("{what}.{name}");
    if let Some(defs) = own.as_object_mut().and_then(|own| own.remove("$defs")) {
        let defs = defs.as_object().cloned().unwrap_or_default();
        for (key, mut def) in defs {
            qualify(&mut def, &prefix);
            shared.insert(format!("{prefix}.{key}"), def);
        }
    }
    qualify(&mut own, &prefix);
    let mut properties = Map::new();
    properties
        .insert("type".to_owned(), json!({ "description": format!("The kind of {what}: {summary}"), "const": name }));
    for part in [common, &own] {
        let part = part["properties"].as_object().cloned().unwrap_or_default();
        properties.extend(part);
    }
    let mut required = vec![Value::from("type")];
    required.extend(own["required"].as_array().cloned().unwrap_or_default());
    json!({
        "title": name,
        "description": summary,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// Prefixes the definitions of a type, since several types may have an `Options`.
fn qualify(schema: &mut Value, kind: &str) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get_mut("$ref")
                && let Some(name) = target.strip_prefix("#/$defs/")
            {
                *target = format!("#/$defs/{kind}.{name}");
            }
            object.values_mut().for_each(|value| qualify(value, kind));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| qualify(item, kind)),
        _ => {}
    }
}
