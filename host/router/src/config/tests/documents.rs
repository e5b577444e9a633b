//! The schema, the examples and the reference match the code: everything documented exists, and everything is
//! documented.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::reference::{common_keys_of_sinks, common_keys_of_sources, reference};
use super::{good, load_text};
use crate::config::{load, schema};
use weir_document::KEYWORDS;

fn examples() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/config"))
}

/// Calls `visit` for every subschema, with its path.
fn each_schema(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let below = format!("{path}/{keyword}");
        match keyword.as_str() {
            "properties" | "$defs" => {
                for (name, schema) in value.as_object().into_iter().flatten() {
                    each_schema(schema, &format!("{below}/{name}"), visit);
                }
            }
            "oneOf" | "anyOf" | "allOf" => {
                for (index, schema) in value.as_array().into_iter().flatten().enumerate() {
                    each_schema(schema, &format!("{below}/{index}"), visit);
                }
            }
            "items" | "additionalProperties" => each_schema(value, &below, visit),
            _ => {}
        }
    }
}

#[test]
fn the_schema_uses_only_supported_keywords() {
    each_schema(&schema(), "#", &mut |path, schema| {
        for keyword in schema.as_object().into_iter().flatten().map(|(key, _)| key) {
            assert!(KEYWORDS.contains(&keyword.as_str()), "{path}: `{keyword}`");
        }
    });
}

#[test]
fn every_schema_reference_resolves() {
    let whole = schema();
    each_schema(&whole, "#", &mut |path, schema| {
        if let Some(target) = schema["$ref"].as_str() {
            let pointer = target.strip_prefix('#').unwrap_or(target);
            assert!(whole.pointer(pointer).is_some(), "{path}: {target}");
        }
        assert_ne!(schema["type"], "null", "{path}: TOML has no null");
    });
}

#[test]
fn every_key_has_a_description() {
    each_schema(&schema(), "#", &mut |path, schema| {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let described = property["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described, "{path}/properties/{name}");
        }
    });
}

#[test]
fn sinks_and_sources_do_not_define_common_keys() {
    for kind in weir_sinks::KINDS {
        let own = (kind.schema)();
        for key in common_keys_of_sinks() {
            assert!(own["properties"].get(&key).is_none(), "{}: {key}", kind.name);
        }
    }
    for kind in weir_sources::KINDS {
        let own = (kind.schema)();
        for key in common_keys_of_sources() {
            assert!(own["properties"].get(&key).is_none(), "{}: {key}", kind.name);
        }
    }
}

#[test]
fn the_example_of_every_sink_type_is_valid() {
    for kind in weir_sinks::KINDS {
        let settings = good(kind.example);
        assert_eq!(settings.sinks[0].kind, kind.name);
    }
}

#[test]
fn the_example_of_every_source_type_is_valid() {
    for kind in weir_sources::KINDS {
        let settings = good(kind.example);
        assert_eq!(settings.sources[0].kind, kind.name);
    }
}

#[test]
fn every_example_is_valid() {
    let mut seen = 0;
    for entry in fs::read_dir(examples()).expect("the folder of examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let settings = load(&path, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
            assert_eq!(settings.warnings, [""; 0], "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 6, "only {seen} examples");
}

#[test]
fn the_starting_configuration_equals_the_defaults() {
    let start = good(crate::config::START);
    let empty = good("");
    assert_eq!((&start.filters, &start.http, &start.quarantine), (&empty.filters, &empty.http, &empty.quarantine));
    assert_eq!((&start.sinks, &start.data), (&empty.sinks, &empty.data));
    // The commented-out parts are valid, too.
    let all: String = crate::config::START
        .lines()
        .map(|line| {
            line.strip_prefix("# ").filter(|rest| rest.starts_with('[') || rest.contains(" = ")).unwrap_or(line)
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let all = good(all);
    assert_eq!((all.filters.len(), all.sinks.len(), all.warnings.len()), (3, 4, 0), "{:?}", all.warnings);
}

/// The text of full.toml; optional keys are commented out.
fn full() -> String {
    fs::read_to_string(examples().join("full.toml")).expect("full.toml")
}

#[test]
fn the_full_example_has_every_key_of_every_section() {
    let text = full();
    let mut given = BTreeSet::new();
    let mut section = String::new();
    for line in text.lines() {
        let line = line.trim_start_matches('#').trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_start_matches('[').split(']').next().unwrap_or("").to_owned();
        } else if let Some((key, _)) = line.split_once(" = ") {
            given.insert(format!("{section}.{key}"));
        }
    }
    let whole = schema();
    for (name, property) in whole["properties"].as_object().expect("keys") {
        let named = &property["additionalProperties"];
        let target = [property, &property["items"], named].iter().find_map(|place| place["$ref"].as_str());
        let section = target.and_then(|target| whole.pointer(target.trim_start_matches('#')));
        match section {
            _ if name == "sink" || name == "source" => {}
            Some(section) => {
                let in_file = |key: &String| {
                    given.iter().any(|one| {
                        let (section, given) = one.rsplit_once('.').unwrap_or_default();
                        given == key && section.split('.').next() == Some(name)
                    })
                };
                for key in section["properties"].as_object().expect("keys").keys() {
                    assert!(in_file(key), "{name}.{key}");
                }
            }
            None => assert!(given.contains(&format!(".{name}")), "{name}"),
        }
    }
}

#[test]
fn the_full_example_shows_the_defaults() {
    let full = good(full());
    let empty = good("");
    assert_eq!(
        (&full.http, &full.journal, &full.quarantine, &full.ingest, &full.log),
        (&empty.http, &empty.journal, &empty.quarantine, &empty.ingest, &empty.log)
    );
    assert_eq!((full.data, full.filters_folder, full.auto_load), (empty.data, empty.filters_folder, false));
    assert_eq!(full.filters, empty.filters);
}

#[test]
fn the_schema_accepts_its_own_defaults() {
    let defaults = crate::config::raw::Config::default();
    let mut json = serde_json::to_value(defaults).expect("plain data");
    // Keys without a default are omitted in TOML.
    let sections = json.as_object_mut().expect("an object");
    sections.retain(|_, value| !value.is_null());
    for section in sections.values_mut().filter_map(Value::as_object_mut) {
        section.retain(|_, value| !value.is_null());
    }
    let text = toml_text(&json);
    load_text(&text).unwrap_or_else(|problems| panic!("{problems}"));
}

/// Converts JSON with two levels to TOML.
fn toml_text(json: &Value) -> String {
    let mut text = String::new();
    for (key, value) in json.as_object().into_iter().flatten() {
        match value.as_object() {
            None => text.push_str(&format!("{key} = {value}\n")),
            Some(section) => {
                for (inner, value) in section {
                    text.push_str(&format!("{key}.{inner} = {value}\n"));
                }
            }
        }
    }
    text
}

/// `WEIR_REWRITE=1 cargo test -p weir the_reference` regenerates it.
#[test]
fn the_reference_matches_the_schema() {
    const START: &str = "<!-- made from the schema: keys -->\n";
    const END: &str = "<!-- end of keys -->";
    let path = examples().join("README.md");
    let text = fs::read_to_string(&path).expect("README.md");
    let (before, rest) = text.split_once(START).expect("the start of the keys");
    let (keys, after) = rest.split_once(END).expect("the end of the keys");
    let expected = format!("\n{}", reference(&schema()));
    if std::env::var_os("WEIR_REWRITE").is_some() {
        fs::write(&path, format!("{before}{START}{expected}{END}{after}")).expect("writable");
        return;
    }
    assert_eq!(keys, expected, "the reference is out of date: WEIR_REWRITE=1 cargo test -p weir the_reference");
}
