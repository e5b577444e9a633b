//! Compiled rules, and the measurements that they make of a record.

use weir_guest::encode::{self, Encode, Open};
use weir_guest::{Encoded, OptionError, Path, Record, Value};

use crate::condition::Condition;
use crate::limits::{MAX_CONDITIONS, MAX_FIELD_PATTERNS, MAX_FIELDS, MAX_ROUTES, MAX_RULES, MAX_TAGS, MAX_TEXT_BYTES};
use crate::options::{Measurement, Named, Options, RuleOptions};
use crate::pattern::Pattern;

fn wrong<T>(option: &str, problem: impl Into<String>) -> Result<T, OptionError> {
    Err(OptionError::new(option, problem))
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    when: Condition,
    measurement: Measurement,
    tags: Vec<(String, Path)>,
    /// The name set by the operator, if any.
    fields: Vec<(Option<String>, Pattern)>,
    numeric_texts: bool,
    count: Option<String>,
}

/// A measurement: a name, and two maps as MessagePack.
#[derive(Debug)]
pub struct Point {
    pub measurement: String,
    pub tags: Encoded,
    pub fields: Encoded,
}

/// Compiles all rules.
pub fn compile(options: Options) -> Result<Vec<Rule>, OptionError> {
    if options.rules.is_empty() {
        return wrong(
            "rules",
            "there is none; write at least one, such as { measurement = \"http\", fields = [\"context.duration_ms\"] }",
        );
    }
    if options.rules.len() > MAX_RULES {
        return wrong("rules", format!("{} are more than the {MAX_RULES} allowed", options.rules.len()));
    }
    if options.routes.len() > MAX_ROUTES || options.routes.iter().any(String::is_empty) {
        return wrong("routes", format!("up to {MAX_ROUTES} labels, none of them empty"));
    }
    let rules = options.rules.into_iter().enumerate();
    rules.map(|(index, rule)| Rule::compile(&format!("rules[{index}]"), rule)).collect()
}

impl Rule {
    fn compile(place: &str, options: RuleOptions) -> Result<Self, OptionError> {
        if options.when.len() > MAX_CONDITIONS {
            return wrong(&format!("{place}.when"), format!("more than the {MAX_CONDITIONS} conditions allowed"));
        }
        if options.when.contains_key("level") {
            return wrong(&format!("{place}.when.level"), "write at_least = \"ERROR\" in the rule for a level");
        }
        match &options.measurement {
            Measurement::Literal(name) if name.is_empty() => {
                return wrong(&format!("{place}.measurement"), "it is empty; give it a name, or { path = \"…\" }");
            }
            _ => {}
        }
        let (mut tags, mut fields) = (Vec::new(), Vec::new());
        for (name, path) in named(options.tags) {
            if path.contains('*') {
                return wrong(
                    &format!("{place}.tags"),
                    format!("`{path}` has a star; list the paths of tags one by one"),
                );
            }
            let path = Path::parse(&path);
            let name = name.or_else(|| path.keys().last().cloned()).unwrap_or_default();
            if tags.iter().any(|(known, _)| *known == name) {
                return wrong(
                    &format!("{place}.tags"),
                    format!("two are called `{name}`; name them: {{ one = \"{path}\", … }}"),
                );
            }
            tags.push((name, path));
        }
        for (name, path) in named(options.fields) {
            let pattern = Pattern::parse(&path);
            if name.is_some() && !pattern.is_path() {
                return wrong(
                    &format!("{place}.fields"),
                    format!("`{path}` may find several values, which can't have one name; write it in a list"),
                );
            }
            fields.push((name, pattern));
        }
        if tags.len() > MAX_TAGS || fields.len() > MAX_FIELD_PATTERNS {
            return wrong(place, format!("up to {MAX_TAGS} tags and {MAX_FIELD_PATTERNS} fields are allowed"));
        }
        if fields.is_empty() && options.count.is_none() {
            return wrong(
                &format!("{place}.fields"),
                "it has no numbers; name paths in `fields`, or set count = \"count\" to count records",
            );
        }
        Ok(Rule {
            when: Condition::new(options.at_least, options.when),
            measurement: options.measurement,
            tags,
            fields,
            numeric_texts: options.numeric_texts,
            count: options.count,
        })
    }

    /// Makes a measurement of a record; `None` if the rule does not apply or
    /// finds no number.
    pub fn apply(&self, record: &Record<'_>) -> Option<Point> {
        if !self.when.holds(record) {
            return None;
        }
        let measurement = self.name(record)?;
        let fields = self.fields(record)?;
        Some(Point { measurement, tags: self.tags(record), fields })
    }

    fn name(&self, record: &Record<'_>) -> Option<String> {
        match &self.measurement {
            Measurement::Literal(name) => Some(name.clone()),
            Measurement::At(at) => {
                let there = record.at(&at.path).and_then(text).filter(|name| !name.is_empty());
                there.or_else(|| at.default.clone())
            }
        }
    }

    fn tags(&self, record: &Record<'_>) -> Encoded {
        let mut out = Vec::new();
        let open = Open::begin(&mut out);
        let mut count = 0;
        for (name, path) in &self.tags {
            // Tags without a value are left out.
            if let Some(value) = record.at(path).and_then(text).filter(|value| !value.is_empty()) {
                encode::str(&mut out, name);
                encode::str(&mut out, &value);
                count += 1;
            }
        }
        open.end_map(&mut out, count);
        Encoded(out)
    }

    fn fields(&self, record: &Record<'_>) -> Option<Encoded> {
        let mut out = Vec::new();
        let open = Open::begin(&mut out);
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: &str, value: Value<'_>| {
            // The first value of a name is used.
            if names.len() < MAX_FIELDS && !names.iter().any(|known| known == name) {
                encode::str(&mut out, name);
                value.encode(&mut out);
                names.push(name.to_owned());
            }
        };
        for (given, pattern) in &self.fields {
            pattern.find(record, |name, value| {
                let is_path = pattern.is_path();
                if let Some(number) = number(value, self.numeric_texts && is_path) {
                    add(given.as_deref().unwrap_or(name), number);
                }
            });
        }
        if let Some(name) = &self.count {
            add(name, Value::Int(1));
        }
        let count = names.len();
        open.end_map(&mut out, count);
        (count > 0).then_some(Encoded(out))
    }
}

fn named(named: Named) -> Vec<(Option<String>, String)> {
    match named {
        Named::List(paths) => paths.into_iter().map(|path| (None, path)).collect(),
        Named::Table(table) => table.into_iter().map(|(name, path)| (Some(name), path)).collect(),
    }
}

/// A number that databases accept: neither NaN nor infinite.
fn number(value: Value<'_>, texts: bool) -> Option<Value<'_>> {
    match value {
        Value::Int(_) | Value::UInt(_) => Some(value),
        Value::Float(number) => number.is_finite().then_some(value),
        Value::Str(text) if texts => {
            let text = text.trim();
            // Rust also parses `inf` and `nan`.
            if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')) {
                return None;
            }
            match text.parse::<i64>() {
                Ok(number) => Some(Value::Int(number)),
                Err(_) => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Float),
            }
        }
        _ => None,
    }
}

/// Formats a value as the text of a tag.
fn text(value: Value<'_>) -> Option<String> {
    let mut text = match value {
        Value::Str(text) => text.to_owned(),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return None,
    };
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    Some(text)
}
