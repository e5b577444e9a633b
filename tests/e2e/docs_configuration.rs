//! The configurations in the documentation are valid, and the keys and options that it names exist. `docs.rs` checks
//! the other names.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde_json::Value;

use super::clients::run;
use super::pages::{self, Page, found_nothing_wrong};
use super::router::{Home, module, repository, weir};

/// Names before ` = ` that are neither a key of the configuration nor an option of a bundled filter.
const OTHER_KEYS: &[(&str, &str)] =
    &[("stateful", "filter.toml"), ("holds", "filter.toml"), ("column", "any column of a table in PostgreSQL")];

fn schema() -> Value {
    let printed = run(weir().args(["config", "schema"])).stdout;
    serde_json::from_slice(&printed).unwrap()
}

fn bundled() -> Vec<String> {
    let folder = repository().join("filters/bundled");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let modules = files.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    modules.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_shown_configuration_is_valid() {
    let home = Home::new();
    let (mut problems, mut shown, bundled) = (Vec::new(), 0, bundled());
    let heads = pages::heads();
    assert_eq!(heads.len(), bundled.len());
    for page in pages::pages().into_iter().chain(heads) {
        for block in page.blocks().into_iter().filter(|block| block.language == "toml") {
            shown += 1;
            if let Err(reason) = validate(&home, &block, &bundled) {
                problems.push(format!("{}: {reason}", page.at(block.line)));
            }
        }
    }
    assert!(shown > 28, "only {shown} were found");
    found_nothing_wrong(problems);
}

/// Validates a block. A part of a `[[filter]]` is completed: for the bundled filter in the heading, or for any.
fn validate(home: &Home, block: &pages::Block, bundled: &[String]) -> Result<(), String> {
    if block.text.contains("[[case]]") {
        return validate_cases(home, &block.text);
    }
    let starts = |line: &str| ["options = ", "canary = ", "[filter."].iter().any(|start| line.starts_with(start));
    let text = if !block.text.contains("[[filter]]") && block.text.lines().any(starts) {
        let name = bundled.iter().find(|name| **name == block.heading).map_or("level", String::as_str);
        format!("[[filter]]\nname = \"{name}\"\nmodule = \"bundled:{name}\"\n{}", block.text)
    } else {
        block.text.clone()
    };
    let wasm = Regex::new(r#""(\w+)\.wasm""#).unwrap();
    for named in wasm.captures_iter(&text) {
        home.put_filter(&named[1], &std::fs::read(module("level")).unwrap());
    }
    home.configure(&text);
    let mut command = weir();
    command.current_dir(home.path("")).args(["validate", "weir.toml"]).env("HOSTNAME", "web-1");
    let output = command.output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Validates that the keys of test cases exist. Their content is not tested.
fn validate_cases(home: &Home, text: &str) -> Result<(), String> {
    std::fs::write(home.path("cases.toml"), text).unwrap();
    let test = ["filter", "test", "bundled:level", "--cases", "cases.toml"];
    let output = weir().current_dir(home.path("")).args(test).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("problem in cases.toml") || said.contains("problems in cases.toml") { Err(said) } else { Ok(()) }
}

/// The tables of option names in filters/README.md: the heading of their first column, and where the keys belong.
const KEY_TABLES: [(&str, &str); 2] = [("option", "[filter.options]"), ("key of a rule", "[[filter.options.rules]]")];

#[test]
fn every_option_in_the_tables_of_bundled_filters_exists() {
    let page = Page::read(Path::new("filters/README.md"));
    let (home, bundled) = (Home::new(), bundled());
    for (head, section) in KEY_TABLES {
        let tables = page.first_column(head);
        let is_described = |filter: &&String| head != "option" || tables.iter().any(|(heading, _)| heading == *filter);
        assert_eq!(bundled.iter().find(|filter| !is_described(filter)), None, "has no table of its options");
        for (filter, keys) in tables.iter().filter(|(heading, _)| bundled.contains(heading)) {
            let (unknown, said) = unknown_keys(&home, filter, section, keys);
            assert_eq!(unknown, [NO_KEY], "`{filter}` in filters/README.md has keys that the filter doesn't: {said}");
        }
    }
}

/// A key that no filter has: whoever refuses it refuses unknown keys.
const NO_KEY: &str = "no_such_key";

/// The keys, of some and [`NO_KEY`], that a filter does not know.
fn unknown_keys(home: &Home, filter: &str, section: &str, keys: &[String]) -> (Vec<String>, String) {
    let mut text = format!("[[filter]]\nname = \"{filter}\"\nmodule = \"bundled:{filter}\"\n{section}\n");
    for key in keys.iter().map(String::as_str).chain([NO_KEY]) {
        text += &format!("{key} = {{}}\n");
    }
    home.configure(&text);
    let output = weir().current_dir(home.path("")).args(["validate", "weir.toml"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let unknown = said.lines().filter_map(|line| line.split("unknown field `").nth(1));
    let names = unknown.filter_map(|rest| rest.split('`').next()).map(str::to_owned).collect();
    (names, said)
}

#[test]
fn every_named_section_and_key_is_in_the_schema() {
    let schema = schema();
    let known = known_keys(&schema);
    let section = Regex::new(r"^\[\[?([a-z_]+)[\w.]*\]\]?(?: ([a-z_]+) = .*)?$").unwrap();
    let dotted = Regex::new(r"^(http|journal|quarantine|ingest|log)\.([a-z_]+)$").unwrap();
    let assigned = Regex::new(r"^([a-z_]+) = ").unwrap();
    let mut problems = Vec::new();
    for page in pages::pages() {
        for span in page.spans() {
            let is_there = if let Some(found) = section.captures(&span.text) {
                let keys = keys_of(&schema, &found[1]);
                keys.is_some_and(|keys| found.get(2).is_none_or(|key| keys.contains(key.as_str())))
            } else if let Some(found) = dotted.captures(&span.text) {
                keys_of(&schema, &found[1]).is_some_and(|keys| keys.contains(&found[2]))
            } else if let Some(found) = assigned.captures(&span.text) {
                known.contains(&found[1])
            } else {
                true
            };
            if !is_there {
                problems.push(format!("{}: the configuration has no `{}`", page.at(span.line), span.text));
            }
        }
    }
    found_nothing_wrong(problems);
}

/// The keys of a section.
fn keys_of(schema: &Value, section: &str) -> Option<BTreeSet<String>> {
    let property = &schema["properties"][section];
    let target = property["$ref"].as_str().or(property["items"]["$ref"].as_str());
    match target.and_then(|target| schema.pointer(target.trim_start_matches('#'))) {
        Some(table) => Some(table["properties"].as_object()?.keys().cloned().collect()),
        None => (!property.is_null()).then(BTreeSet::new),
    }
}

/// The names that may be before ` = `. Another test checks the options of filters.
fn known_keys(schema: &Value) -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = OTHER_KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    property_names(schema, &mut keys);
    let filters = Page::read(Path::new("filters/README.md"));
    for (head, _) in KEY_TABLES {
        keys.extend(filters.first_column(head).into_iter().flat_map(|(_, options)| options));
    }
    keys
}

fn property_names(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(keywords) => {
            for (keyword, inner) in keywords {
                if let ("properties", Some(properties)) = (keyword.as_str(), inner.as_object()) {
                    found.extend(properties.keys().cloned());
                }
                property_names(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| property_names(item, found)),
        _ => {}
    }
}
