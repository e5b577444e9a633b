//! Warnings for settings that are valid but probably unintended: routes that nothing sets, keys that no record has,
//! constant time formats.
//!
//! Runs last, on a configuration without errors. Values from the environment are skipped, because a warning would quote
//! them.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use weir_query::Query;
use weir_record::{Aliases, Role};

use super::super::settings::{Module, Settings, StandardKey};
use weir_document::Diagnostic;
use weir_document::{Node, Value};
use weir_document::{list, nearest};

/// The standard keys of records.
const OWN_KEYS: [&str; 7] = ["timestamp", "level", "source", "message", "context", "metadata", "routes"];

/// Other placeholders in templates of sinks.
const WORDS: [&str; 5] = ["week_start", "week_end", "session", "fields", "record"];

/// Options of sinks that are templates. `path` also contains time formats.
const TEMPLATES: [&str; 3] = ["path", "template", "subject"];

/// A warning, and whether it is certain enough to be logged at each start.
pub(in crate::config) struct Hint {
    pub problem: Diagnostic,
    pub is_sure: bool,
}

/// Returns all warnings.
pub(in crate::config) fn hints(settings: &Settings, root: &Node) -> Vec<Hint> {
    let mut hints = Hints { settings, aliases: aliases(settings), mentioned: BTreeSet::new(), found: Vec::new() };
    let filters = root.entry("filter").map(|entry| entry.node.items()).unwrap_or_default();
    let sinks = match root.entry("sink").map(|entry| &entry.node.value) {
        Some(Value::Table(sinks)) => sinks.as_slice(),
        _ => &[],
    };
    for filter in filters {
        mention(filter, &mut hints.mentioned);
    }
    let listeners = root.entry("listen").map(|entry| entry.node.items()).unwrap_or_default();
    let sources = match root.entry("source").map(|entry| &entry.node.value) {
        Some(Value::Table(sources)) => sources.as_slice(),
        _ => &[],
    };
    let given = filters.iter().chain(listeners).chain(sources.iter().map(|source| &source.node));
    hints.routes(given, sinks.iter().map(|sink| &sink.node));
    filters.iter().for_each(|filter| hints.conditions(filter));
    for sink in sinks {
        hints.conditions(&sink.node);
        hints.templates(&sink.node);
    }
    hints.found
}

struct Hints<'s> {
    settings: &'s Settings,
    aliases: HashMap<String, &'static str>,
    /// Words in the options of filters: keys that the filters may set.
    mentioned: BTreeSet<String>,
    found: Vec<Hint>,
}

impl Hints<'_> {
    fn add(&mut self, span: &Range<usize>, is_sure: bool, message: String, help: String) {
        self.found.push(Hint { problem: Diagnostic::at(span.clone(), message).help(help), is_sure });
    }

    /// Checks for routes of sinks that no filter, listener or source sets, and those of filters, listeners and sources that
    /// are similar to those of a sink.
    fn routes<'n>(&mut self, given_by: impl Iterator<Item = &'n Node>, sinks: impl Iterator<Item = &'n Node>) {
        let (mut given, mut taken) = (Vec::new(), Vec::new());
        given_by.for_each(|node| labels(node, &mut given));
        for sink in sinks {
            let routes = sink.entry("routes").map(|entry| entry.node.items()).unwrap_or_default();
            taken.extend(routes.iter().filter_map(label));
        }
        let others: Vec<&str> = self
            .settings
            .filters
            .iter()
            .filter(|filter| matches!(filter.module, Module::File(_)))
            .map(|filter| filter.name.as_str())
            .collect();
        // The routes of other filters are unknown, and those of containers' labels.
        let has_labels = self.settings.sources.iter().any(|source| source.kind == "docker");
        let all_is_known = others.is_empty() && !self.settings.auto_load && !has_labels;
        let is_given = |label: &str| given.iter().any(|(text, _)| *text == label);
        let mut meant = BTreeSet::new();
        for (text, span) in taken.iter().filter(|(text, _)| !is_given(text)) {
            let near = nearest(text, given.iter().map(|(text, _)| *text));
            let unless = if others.is_empty() {
                String::new()
            } else {
                format!(", unless {} does", list(others.iter().copied(), "or"))
            };
            let message = format!("no rule sets the route `{text}`{unless}");
            match near {
                Some(near) => {
                    meant.insert(near);
                    self.add(span, true, message, format!("did you mean `{near}`?"));
                }
                None if all_is_known => {
                    let help = format!(
                        "a `[[filter]]` with `module = \"bundled:route\"` does, with a rule such as \
                         `{{ when = {{ source = \"auth\" }}, routes = [\"{text}\"] }}`"
                    );
                    self.add(span, true, message, help);
                }
                None => {}
            }
        }
        for (text, span) in &given {
            let near = nearest(text, taken.iter().map(|(text, _)| *text)).filter(|near| is_given(near));
            let is_taken = taken.iter().any(|(taken, _)| taken == text);
            if let (Some(near), false, false) = (near, is_taken, meant.contains(text)) {
                let help = format!("did you mean `{near}`?");
                self.add(span, true, format!("no sink accepts the route `{text}`"), help);
            }
        }
    }

    /// Checks the paths in every `when`, a query or a table, at any depth.
    fn conditions(&mut self, node: &Node) {
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| self.conditions(item)),
            Value::Table(entries) => {
                for entry in entries {
                    match &entry.node.value {
                        Value::Table(_) | Value::Text { .. } if entry.key == "when" => self.condition(&entry.node),
                        _ => self.conditions(&entry.node),
                    }
                }
            }
            _ => {}
        }
    }

    /// Checks the paths in a query, or in a table of conditions.
    fn condition(&mut self, node: &Node) {
        match &node.value {
            Value::Text { text, expanded: false } => {
                for path in Query::parse(text, 0).iter().flat_map(Query::fields) {
                    self.path(path, &node.span, None);
                }
            }
            Value::Table(entries) => {
                for entry in entries {
                    match (entry.key.as_str(), &entry.node.value) {
                        ("all" | "any", Value::List(items)) => items.iter().for_each(|item| self.condition(item)),
                        ("not", Value::Table(_) | Value::Text { .. }) => self.condition(&entry.node),
                        (path, _) => self.path(path, &entry.key_span, None),
                    }
                }
            }
            _ => {}
        }
    }

    /// Checks a path into records. `else_is` is the placeholder for a missing value; without it, a missing value is
    /// normal.
    fn path(&mut self, path: &str, span: &Range<usize>, else_is: Option<&str>) {
        let key = path.split('.').next().unwrap_or(path);
        if OWN_KEYS.contains(&key) || key.contains('\\') || self.mentioned.contains(key) {
            return;
        }
        if let Some(meaning) = self.aliases.get(key) {
            let help = format!("write `{}`", path.replacen(key, meaning, 1));
            self.add(span, true, format!("records have no `{key}`: a sender's `{key}` becomes `{meaning}`"), help);
        } else if let Some(near) =
            nearest(key, OWN_KEYS.into_iter().chain(else_is.map_or(&[][..], |_| &WORDS).iter().copied()))
        {
            let help = format!("did you mean `{}`?", path.replacen(key, near, 1));
            self.add(span, true, format!("records have no `{path}` unless a sender sets it"), help);
        } else if let Some(placeholder) = else_is {
            let help = format!("if senders don't set it, it is replaced by `{placeholder}`");
            self.add(span, false, format!("no filter or alias sets the key `{key}`"), help);
        }
    }

    /// Checks the templates of a sink.
    fn templates(&mut self, sink: &Node) {
        let kind = sink.entry("type").and_then(|entry| label(&entry.node)).map_or("", |(text, _)| text);
        if !matches!(kind, "file" | "nats") {
            return;
        }
        for option in TEMPLATES {
            let Some((template, span)) = sink.entry(option).and_then(|entry| label(&entry.node)) else { continue };
            let placeholder = if option == "template" { "-" } else { "_" };
            let mut times = Vec::new();
            for (at, part) in template.split('{').enumerate() {
                let (field, text) = part.split_once('}').unwrap_or(("", part));
                let (name, format) = field.split_once(':').unwrap_or((field, ""));
                times.push(format);
                if option == "path" {
                    times.push(text);
                }
                if at > 0 && !name.is_empty() && !WORDS.contains(&name) {
                    self.path(name, span, Some(placeholder));
                }
            }
            let zone = times.iter().find_map(|text| time_zone(text));
            if let Some(specifier) = zone {
                let help = "times are in UTC; omit it, or use one of `%Y`, `%m`, `%d`, `%H`, `%M`, `%S`";
                self.add(span, true, format!("`{specifier}` is the time zone, which is always UTC"), help.to_owned());
            }
        }
    }
}

/// The text of a node, unless it came from the environment.
fn label(node: &Node) -> Option<(&str, &Range<usize>)> {
    match &node.value {
        Value::Text { text, expanded: false } => Some((text, &node.span)),
        _ => None,
    }
}

/// Collects the labels that are set: `routes` of listeners and sources, and `routes`, `route` and `fail_route` in the
/// options of the bundled filters.
fn labels<'n>(node: &'n Node, found: &mut Vec<(&'n str, &'n Range<usize>)>) {
    match &node.value {
        Value::List(items) => items.iter().for_each(|item| labels(item, found)),
        Value::Table(entries) => {
            for entry in entries {
                match entry.key.as_str() {
                    "routes" => found.extend(entry.node.items().iter().filter_map(label)),
                    "route" | "fail_route" => found.extend(label(&entry.node)),
                    "when" => {}
                    _ => labels(&entry.node, found),
                }
            }
        }
        _ => {}
    }
}

/// Collects the first key of everything in a filter's table that could be a path.
fn mention(node: &Node, words: &mut BTreeSet<String>) {
    let first = |text: &str| text.split('.').next().unwrap_or_default().to_owned();
    match &node.value {
        Value::Text { text, .. } => {
            words.insert(first(text));
        }
        Value::List(items) => items.iter().for_each(|item| mention(item, words)),
        Value::Table(entries) => {
            for entry in entries.iter().filter(|entry| entry.key != "when") {
                words.insert(first(&entry.key));
                mention(&entry.node, words);
            }
        }
        _ => {}
    }
}

/// The time zone specifier in a time format, if there is one.
fn time_zone(format: &str) -> Option<String> {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let after = &rest[at + 1..];
        let end = after.find(|c: char| c.is_ascii_alphabetic() || c == '%')?;
        if matches!(after.as_bytes()[end], b'Q' | b'Z' | b'z') {
            return Some(rest[at..at + end + 2].to_owned());
        }
        rest = &after[end + 1..];
    }
    None
}

/// Maps aliases to the standard keys.
fn aliases(settings: &Settings) -> HashMap<String, &'static str> {
    let standard = if settings.ingest.standard_aliases { Aliases::default() } else { Aliases::none() };
    let of_role = |role| match role {
        Role::Timestamp | Role::Nanoseconds => "timestamp",
        Role::Level(_) => "level",
        Role::Source => "source",
        Role::Message => "message",
    };
    let mut aliases: HashMap<_, _> = standard.iter().map(|(name, role)| (name.to_owned(), of_role(role))).collect();
    aliases.extend(settings.ingest.aliases.iter().map(|(name, key)| {
        let meaning = match key {
            StandardKey::Timestamp => "timestamp",
            StandardKey::Level => "level",
            StandardKey::Source => "source",
            StandardKey::Message => "message",
        };
        (name.clone(), meaning)
    }));
    aliases
}
