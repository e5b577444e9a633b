//! Validates the tree of a file against a JSON Schema and reports every error at once: unknown and missing keys, wrong
//! types, values that are not allowed, numbers out of range, invalid sizes and durations.
//!
//! The check knows nothing about Weir's keys; a sink's options are checked against the sink's own schema. Values that
//! fail become [`Value::Unusable`]; text from the environment is converted to the number or boolean that the schema
//! requires. Invariant: schemas use only the keywords in `keywords::KEYWORDS` (enforced by a test), so no constraint is
//! silently ignored.

pub(crate) mod keywords;
mod value;

use serde_json::{Map, Value as Json};

use keywords::{allowed_values, alternatives, example_of, tag_of, types_of};
use value::{coerce, is_of_type, length_problem, name_of, range_problem, text_problem, toml_name};

use crate::diagnostics::Diagnostic;
use crate::limits::MAX_SCHEMA_HOPS;
use crate::suggest::{list, nearest};
use crate::tree::{Node, TableEntry, Value};

/// Validates `root` and returns the problems found.
pub(super) fn check(root: &mut Node, schema: &Json) -> Vec<Diagnostic> {
    let mut checker = Checker { schema, problems: Vec::new(), example: None };
    checker.node(root, schema, "");
    checker.problems
}

struct Checker<'s> {
    schema: &'s Json,
    problems: Vec<Diagnostic>,
    /// Example value from the schema of the key being checked.
    example: Option<String>,
}

impl<'s> Checker<'s> {
    /// Checks one value; `place` is its table header, such as `sink.archive`.
    fn node(&mut self, node: &mut Node, schema: &'s Json, place: &str) {
        let schema = self.resolve(schema);
        if node.is_unusable() {
            return;
        }
        if let Some(parts) = schema["allOf"].as_array() {
            parts.iter().for_each(|part| self.node(node, part, place));
        }
        if let Some(choices) = alternatives(schema) {
            self.choose(node, choices, place);
            return;
        }
        coerce(node, &types_of(schema));
        if let Some(allowed) = allowed_values(schema) {
            self.among(node, &allowed);
            return;
        }
        let types = types_of(schema);
        if !types.is_empty() && !types.iter().any(|name| is_of_type(&node.value, name)) {
            self.wrong_type(node, &types, schema, place);
            return;
        }
        self.contents(node, schema, place);
    }

    /// Follows references. Keywords next to a `$ref` are only descriptive.
    fn resolve(&self, schema: &'s Json) -> &'s Json {
        let mut schema = schema;
        for _ in 0..MAX_SCHEMA_HOPS {
            let target = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
            match target.and_then(|pointer| self.schema.pointer(pointer)) {
                Some(found) => schema = found,
                None => break,
            }
        }
        schema
    }

    fn contents(&mut self, node: &mut Node, schema: &'s Json, place: &str) {
        let problem = match &mut node.value {
            Value::Table(_) => return self.table(node, schema, place),
            Value::List(items) => {
                let problem = length_problem(items.len(), schema, "Items", "items");
                // As in a table header, `[[filter]]`.
                let place = format!("[{place}]");
                for item in items.iter_mut() {
                    self.node(item, &schema["items"], &place);
                }
                problem
            }
            Value::Text { text, expanded } => text_problem(text, *expanded, schema, self.example.as_deref()),
            Value::Integer(number) => range_problem(*number as f64, schema),
            Value::Float(number) => range_problem(*number, schema),
            _ => None,
        };
        if let Some((message, help)) = problem {
            let problem = Diagnostic::at(node.span.clone(), message);
            self.refuse(node, with_help(problem, help));
        }
    }

    fn table(&mut self, node: &mut Node, schema: &'s Json, place: &str) {
        let Value::Table(entries) = &mut node.value else {
            return;
        };
        let known = schema["properties"].as_object();
        let mut unknown = Vec::new();
        for entry in entries.iter_mut() {
            let inner = join(place, &entry.key);
            let property = known.and_then(|known| known.get(&entry.key));
            match (property, &schema["additionalProperties"]) {
                (Some(property), _) => {
                    self.example = example_of(property);
                    self.node(&mut entry.node, property, &inner);
                }
                (None, Json::Bool(false)) => unknown.push(self.unknown_key(entry, known, place)),
                (None, rest @ Json::Object(_)) => {
                    self.example = example_of(rest);
                    self.node(&mut entry.node, rest, &inner);
                }
                (None, _) => {}
            }
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let names = required.filter_map(Json::as_str);
        let missing: Vec<&str> = names.filter(|name| !entries.iter().any(|entry| entry.key == *name)).collect();
        for name in missing {
            // A misspelled key is one problem, not two.
            if unknown.iter().any(|suggested| suggested.as_deref() == Some(name)) {
                continue;
            }
            let property = &schema["properties"][name];
            let problem = Diagnostic::at(node.span.clone(), format!("`{name}` is missing {}", shown_place(place)));
            let help = example_of(property).map(|example| format!("for example `{name} = {example}`"));
            self.problems.push(with_help(problem, help));
            // Later stages must see that this key was already reported.
            entries.push(TableEntry {
                key: name.to_owned(),
                key_span: node.span.clone(),
                node: Node { span: node.span.clone(), value: Value::Unusable },
            });
        }
    }

    /// Reports an unknown key and returns the key that was probably meant.
    fn unknown_key(
        &mut self,
        entry: &mut TableEntry,
        known: Option<&'s Map<String, Json>>,
        place: &str,
    ) -> Option<String> {
        let names = known.into_iter().flat_map(Map::keys);
        let mut keys: Vec<&str> = names.map(String::as_str).collect();
        keys.sort_unstable();
        let meant = nearest(&entry.key, keys.iter().copied());
        let message = format!("unknown key `{}` {}", entry.key, shown_place(place));
        let mut problem = Diagnostic::at(entry.key_span.clone(), message);
        if let Some(meant) = meant {
            problem = problem.label(format!("did you mean `{meant}`?"));
        } else if let Some(elsewhere) = self.elsewhere(&entry.key, place) {
            problem = problem.help(elsewhere);
        } else if !keys.is_empty() {
            problem = problem.help(format!("allowed here: {}", list(keys, "and")));
        }
        self.problems.push(problem);
        entry.node.value = Value::Unusable;
        meant.map(str::to_owned)
    }

    /// Finds where a misplaced key belongs: in TOML, a key after `[section]` is in that section.
    fn elsewhere(&self, key: &str, place: &str) -> Option<String> {
        let top = self.schema["properties"].as_object()?;
        if !place.is_empty() && top.contains_key(key) {
            return Some(format!("`{key}` belongs at the top of the file, before the first `[section]`"));
        }
        let section = top.iter().find(|(_, section)| {
            let properties = &self.resolve(section)["properties"];
            properties.get(key).is_some()
        });
        section.map(|(name, _)| format!("`{key}` is a key of `[{name}]`"))
    }

    /// Checks a value against several alternatives.
    fn choose(&mut self, node: &mut Node, choices: &'s [Json], place: &str) {
        let choices: Vec<&Json> = choices.iter().map(|choice| self.resolve(choice)).collect();
        if let Some(tag) = tag_of(&choices)
            && matches!(node.value, Value::Table(_))
        {
            self.tagged(node, &choices, tag, place);
            return;
        }
        let accepted: Vec<&str> = choices.iter().flat_map(|choice| types_of(choice)).collect();
        coerce(node, &accepted);
        let mut best: Option<(Node, Vec<Diagnostic>)> = None;
        for choice in &choices {
            let types = types_of(choice);
            if !types.is_empty() && !types.iter().any(|name| is_of_type(&node.value, name)) {
                continue;
            }
            let mut tried = node.clone();
            let mut checker = Checker { schema: self.schema, problems: Vec::new(), example: self.example.clone() };
            checker.node(&mut tried, choice, place);
            let found = checker.problems;
            if best.as_ref().is_none_or(|(_, least)| found.len() < least.len()) {
                best = Some((tried, found));
            }
        }
        match best {
            Some((tried, found)) => {
                *node = tried;
                self.problems.extend(found);
            }
            None => self.wrong_type(node, &accepted, choices.first().copied().unwrap_or(self.schema), place),
        }
    }

    /// Checks a table whose schema depends on the value of one key, as for sinks and `type`.
    fn tagged(&mut self, node: &mut Node, choices: &[&'s Json], tag: &str, place: &str) {
        let words = || choices.iter().filter_map(|c| c["properties"][tag]["const"].as_str());
        let Some(entry) = node.entry(tag).cloned() else {
            let message = format!("`{tag}` is missing {}", shown_place(place));
            let problem = Diagnostic::at(node.span.clone(), message);
            self.refuse(node, problem.help(format!("it is one of {}", list(words(), "or"))));
            return;
        };
        let chosen = match &entry.node.value {
            Value::Text { text, .. } => choices.iter().find(|c| c["properties"][tag]["const"] == text.as_str()),
            _ => None,
        };
        if let Some(chosen) = chosen {
            self.node(node, chosen, place);
            return;
        }
        let mut word = entry.node;
        let allowed: Vec<Json> = words().map(Json::from).collect();
        if !word.is_unusable() {
            self.among(&mut word, &allowed.iter().collect::<Vec<_>>());
        }
        node.value = Value::Unusable;
    }

    /// Checks a value against an enumeration.
    fn among(&mut self, node: &mut Node, allowed: &[&Json]) {
        if allowed.iter().any(|value| **value == node.to_json()) {
            return;
        }
        let words: Vec<&str> = allowed.iter().filter_map(|value| value.as_str()).collect();
        let problem = match &node.value {
            Value::Text { text, expanded } => {
                let message = format!("{} is not one of the allowed values", quoted(text, *expanded));
                let problem = Diagnostic::at(node.span.clone(), message)
                    .help(format!("allowed are {}", list(words.iter().copied(), "and")));
                // A suggestion would reveal part of a secret.
                match nearest(text, words) {
                    Some(meant) if !expanded => problem.label(format!("did you mean `{meant}`?")),
                    _ => problem,
                }
            }
            other => {
                let found = name_of(other);
                Diagnostic::at(node.span.clone(), format!("expected a string, found {found}"))
                    .help(format!("allowed are {}", list(words, "and")))
            }
        };
        self.refuse(node, problem);
    }

    fn wrong_type(&mut self, node: &mut Node, types: &[&str], schema: &'s Json, place: &str) {
        let mut names: Vec<&str> = types.iter().map(|name| toml_name(name)).collect();
        names.dedup();
        let found = match &node.value {
            Value::Text { expanded: true, .. } => "other text",
            other => name_of(other),
        };
        let message = format!("expected {}, found {found}", names.join(" or "));
        let holds_tables = self.resolve(&schema["items"])["properties"].is_object();
        let inner = self.resolve(&schema["additionalProperties"]);
        let named_tables = inner["properties"].is_object() || alternatives(inner).is_some();
        let help = match (&node.value, place.rsplit_once('.')) {
            (Value::Table(_), _) if holds_tables => {
                Some(format!("write `[[{place}]]`, with two brackets: each such table is one item of the list"))
            }
            (Value::List(_), _) if named_tables => {
                Some(format!("write `[{place}.NAME]`: each such table has a name of its own"))
            }
            (_, Some((parent, _))) if types.len() > 1 && types.iter().all(|name| *name == "object") => Some(format!(
                "this must be a table: write `[{parent}.NAME]`, with a name of your choice, above its keys"
            )),
            _ => self.example.as_ref().map(|example| format!("for example `{example}`")),
        };
        self.refuse(node, with_help(Diagnostic::at(node.span.clone(), message), help));
    }

    fn refuse(&mut self, node: &mut Node, problem: Diagnostic) {
        self.problems.push(problem);
        node.value = Value::Unusable;
    }
}

/// Quotes a string for a message, unless it came from the environment, because it may be a secret.
pub fn quoted(text: &str, expanded: bool) -> String {
    if expanded { "the value from the environment".to_owned() } else { format!("`{text}`") }
}

fn with_help(problem: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}

/// Appends a key to a place, in the syntax of a table header.
fn join(place: &str, key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let place = place.trim_matches(['[', ']']);
    let dot = if place.is_empty() { "" } else { "." };
    if !key.is_empty() && key.chars().all(bare) {
        format!("{place}{dot}{key}")
    } else {
        format!("{place}{dot}\"{key}\"")
    }
}

fn shown_place(place: &str) -> String {
    if place.is_empty() { "at the top level".to_owned() } else { format!("in `[{place}]`") }
}
