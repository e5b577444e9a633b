//! Generates the tables of `examples/config/README.md` from the schema, one row per key.

use std::fmt::Write as _;

use serde_json::Value;

/// All sections: top-level keys, each section, the common keys of sources and sinks, and each
/// of their types.
pub(super) fn reference(schema: &Value) -> String {
    let mut out = String::new();
    let mut top = schema.clone();
    if let Some(properties) = top["properties"].as_object_mut() {
        properties.retain(|_, property| target(schema, property).is_none());
        properties.remove("sink");
        properties.remove("source");
        properties.remove("token");
    }
    section(&mut out, schema, "Outside any section", "", &top, &[]);
    for (name, header) in [
        ("http", "`[http]`"),
        ("listen", "`[[listen]]`"),
        ("tls", "`[tls]`"),
        ("live", "`[live]`"),
        ("limits", "`[limits]`"),
        ("token", "`[token.NAME]`"),
        ("journal", "`[journal]`"),
        ("encryption", "`[encryption]`"),
        ("filter", "`[[filter]]`"),
        ("quarantine", "`[quarantine]`"),
        ("ingest", "`[ingest]`"),
        ("log", "`[log]`"),
    ] {
        let property = &schema["properties"][name];
        let text = property["description"].as_str().unwrap_or_default();
        let named = || target(schema, &property["additionalProperties"]);
        let keys = target(schema, property).or_else(named).unwrap_or(property);
        section(&mut out, schema, header, text, keys, &[]);
    }
    kinds(&mut out, schema, "source", "Source", &common_keys_of_sources());
    kinds(&mut out, schema, "sink", "Sink", &common_keys_of_sinks());
    out
}

/// The keys that all sinks have.
pub(super) fn common_keys_of_sinks() -> Vec<String> {
    common_keys(&schemars::schema_for!(crate::config::raw::SinkCommon).to_value())
}

/// The keys that all sources have.
pub(super) fn common_keys_of_sources() -> Vec<String> {
    common_keys(&schemars::schema_for!(crate::config::raw::SourceCommon).to_value())
}

fn common_keys(common: &Value) -> Vec<String> {
    let keys = common["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone());
    keys.chain(["type".to_owned()]).collect()
}

/// The sections of all types of sinks or sources.
fn kinds(out: &mut String, schema: &Value, what: &str, definition: &str, common: &[String]) {
    let kinds = schema["$defs"][definition]["oneOf"].as_array();
    let common: Vec<&str> = common.iter().map(String::as_str).collect();
    for (index, kind) in kinds.into_iter().flatten().enumerate() {
        if index == 0 {
            let mut shared = kind.clone();
            shared["properties"]["type"] = serde_json::json!({
                "type": "string", "description": format!("The kind of {what}: one of those below."),
            });
            if let Some(properties) = shared["properties"].as_object_mut() {
                properties.retain(|key, _| common.contains(&key.as_str()));
            }
            let text = schema["properties"][what]["description"].as_str();
            let header = format!("`[{what}.NAME]`, whatever the type");
            section(out, schema, &header, text.unwrap_or_default(), &shared, &[]);
        }
        let name = kind["title"].as_str().unwrap_or_default();
        let text = kind["description"].as_str().unwrap_or_default();
        let header = format!("`[{what}.NAME]` with `type = \"{name}\"`");
        section(out, schema, &header, text, kind, &common);
    }
}

fn section(out: &mut String, whole: &Value, header: &str, text: &str, keys: &Value, skip: &[&str]) {
    _ = writeln!(out, "### {header}\n");
    if !text.is_empty() {
        _ = writeln!(out, "{}\n", one_line(text));
    }
    out.push_str("| key | value | default | |\n|---|---|---|---|\n");
    rows(out, whole, "", keys, skip);
    out.push('\n');
}

fn rows(out: &mut String, whole: &Value, prefix: &str, keys: &Value, skip: &[&str]) {
    let required: Vec<&str> = keys["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut names: Vec<&String> = keys["properties"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
    names.sort_by_key(|name| (!required.contains(&name.as_str()), *name));
    for name in names {
        if skip.contains(&name.as_str()) {
            continue;
        }
        let property = &keys["properties"][name];
        let default = match property.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            Some(Value::Object(table)) if table.is_empty() => "none".to_owned(),
            Some(Value::Object(_)) | None => "none".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let text = one_line(property["description"].as_str().unwrap_or_default());
        let value = value_words(whole, property);
        _ = writeln!(out, "| `{prefix}{name}` | {value} | {default} | {text} |");
        if let Some(table) = table_of(whole, property) {
            rows(out, whole, &format!("{prefix}{name}."), table, &[]);
        }
    }
}

/// Resolves a `$ref`, also inside a list.
fn target<'a>(whole: &'a Value, property: &'a Value) -> Option<&'a Value> {
    let target = property["$ref"].as_str().or(property["items"]["$ref"].as_str())?;
    whole.pointer(target.trim_start_matches('#'))
}

/// The keys of a table or of a list of tables.
fn table_of<'a>(whole: &'a Value, property: &'a Value) -> Option<&'a Value> {
    let property = target(whole, property).unwrap_or(property);
    if property["properties"].is_object() {
        return Some(property);
    }
    let choices = property["anyOf"].as_array().into_iter().flatten();
    choices.chain(property.get("items")).find_map(|inner| table_of(whole, inner))
}

/// The type of value as text.
fn value_words(whole: &Value, property: &Value) -> String {
    let schema = match property["$ref"].as_str() {
        Some(_) => target(whole, property).unwrap_or(property),
        None => property,
    };
    let words: Vec<&Value> = match (&schema["enum"], &schema["oneOf"]) {
        (Value::Array(words), _) => words.iter().collect(),
        (_, Value::Array(choices)) => choices.iter().filter_map(|choice| choice.get("const")).collect(),
        _ => Vec::new(),
    };
    if !words.is_empty() {
        let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        return quoted.join(", ");
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        if choices.iter().any(|choice| choice["format"] == "size") {
            return "size".to_owned();
        }
        let mut kinds: Vec<String> = choices.iter().map(|choice| value_words(whole, choice)).collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    match (schema["format"].as_str(), schema["type"].as_str()) {
        (Some("size"), _) => "size".to_owned(),
        (Some("duration"), _) => "duration".to_owned(),
        (Some("password"), _) => "secret string".to_owned(),
        (_, Some("array")) => match value_words(whole, &schema["items"]).as_str() {
            "string" => "list of strings".to_owned(),
            _ => "list".to_owned(),
        },
        (_, Some("object")) => "table".to_owned(),
        (_, Some(name)) => name.to_owned(),
        _ => "any".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}
