//! Validates a value against a schema.
//!
//! Errors are collected up to the requested number; inside `anyOf`, `oneOf`,
//! `not` and `if` none are, because a failing schema is not an error there. Work
//! and depth are limited; a value that exceeds the limits is invalid.

use std::cmp::Ordering;

use weir_guest::{Array, Map, Value};

use crate::canonical;
use crate::limits::{MAX_CHECK_DEPTH, MAX_ERROR_BYTES, MAX_PATTERN_TEXT_BYTES, MAX_STEPS};
use crate::node::{Limit, Node, Schema, Types};
use crate::number::Number;

/// The state of a validation.
#[derive(Debug)]
pub struct Validation<'s> {
    schema: &'s Schema,
    /// The path of the current value.
    path: Vec<String>,
    errors: Vec<String>,
    /// Maximum number of errors to collect; 0 while only the result matters.
    wanted: usize,
    steps: usize,
    depth: usize,
}

impl<'s> Validation<'s> {
    /// Returns the errors of a value, up to `wanted`, at least 1; none if it is
    /// valid.
    pub fn run(schema: &'s Schema, value: Value<'_>, path: &[String], wanted: usize) -> Vec<String> {
        let mut check = Validation { schema, path: path.to_vec(), errors: Vec::new(), wanted, steps: 0, depth: 0 };
        check.node(0, value);
        if check.steps >= MAX_STEPS {
            check.errors = vec![format!("it takes more than the {MAX_STEPS} steps allowed")];
        }
        check.errors
    }

    /// Whether a value is valid against one schema.
    fn node(&mut self, index: usize, value: Value<'_>) -> bool {
        self.steps += 1;
        if self.steps >= MAX_STEPS {
            return false;
        }
        if self.depth == MAX_CHECK_DEPTH {
            return self.fail(|| "is nested too deeply".to_owned());
        }
        self.depth += 1;
        let node = &self.schema.nodes[index];
        let fits = self.kind(node, value)
            && self.scalar(node, value)
            && match value {
                Value::Array(list) => self.list(node, list),
                Value::Map(map) => self.map(node, map),
                _ => true,
            };
        // A value of the wrong type gets no further errors.
        let fits = fits & (!fits && self.is_full() || self.beside(node, value));
        self.depth -= 1;
        fits
    }

    fn kind(&mut self, node: &Node, value: Value<'_>) -> bool {
        if node.never {
            return self.fail(|| "is not allowed".to_owned());
        }
        match node.types {
            Some(types) if !types.meets(types_of(value)) => self.fail(|| format!("is not {types}")),
            _ => true,
        }
    }

    fn scalar(&mut self, node: &Node, value: Value<'_>) -> bool {
        let mut fits = true;
        if let Some(known) = &node.one_of {
            let mut bytes = Vec::new();
            canonical::write(value, &mut bytes);
            if !known.contains(&bytes) {
                fits = self.fail(|| match known.len() {
                    1 => "is not the allowed value".to_owned(),
                    count => format!("is not one of the {count} allowed values"),
                });
            }
        }
        if let Some(number) = Number::of(value) {
            for (limit, bound) in &node.limits {
                if !limit.holds(number, *bound) {
                    fits = self.fail(|| format!("is {number}, not {} {bound}", limit.as_str()));
                }
            }
            if let Some(unit) = node.multiple_of.filter(|unit| !number.is_multiple_of(*unit)) {
                fits = self.fail(|| format!("is {number}, not a multiple of {unit}"));
            }
        }
        if let Value::Str(text) = value {
            if !node.length.is_none()
                && let Some(reason) = node.length.refuses(text.chars().count(), "characters")
            {
                fits = self.fail(|| reason);
            }
            if let Some(pattern) = &node.pattern
                && (text.len() > MAX_PATTERN_TEXT_BYTES || !pattern.is_match(text))
            {
                fits = self.fail(|| format!("does not match `{}`", pattern.as_str()));
            }
        }
        fits
    }

    fn list(&mut self, node: &Node, list: Array<'_>) -> bool {
        let items = &node.items;
        let mut fits = true;
        if let Some(reason) = items.count.refuses(list.len(), "items") {
            fits = self.fail(|| reason);
        }
        if items.unique && !are_unique(list) {
            fits = self.fail(|| "has duplicate items".to_owned());
        }
        if items.first.is_empty() && items.others.is_none() {
            return fits;
        }
        for (at, value) in list.iter().enumerate() {
            let Some(index) = items.first.get(at).copied().or(items.others) else {
                break;
            };
            fits &= self.below(&at.to_string(), index, value);
            if !fits && self.is_full() {
                break;
            }
        }
        fits
    }

    fn map(&mut self, node: &Node, map: Map<'_>) -> bool {
        let object = &node.object;
        let mut fits = true;
        if let Some(reason) = object.count.refuses(map.len(), "keys") {
            fits = self.fail(|| reason);
        }
        for key in &object.required {
            if map.get(key).is_none() {
                fits = self.fail(|| format!("has no `{key}`"));
            }
        }
        for (key, needed) in &object.dependent {
            if map.get(key).is_some() {
                for other in needed.iter().filter(|other| map.get(other).is_none()) {
                    fits = self.fail(|| format!("has `{key}` but no `{other}`"));
                }
            }
        }
        if object.properties.is_empty() && object.patterns.is_empty() && object.additional.is_none() {
            return fits;
        }
        for (key, value) in map.iter() {
            if !fits && self.is_full() {
                break;
            }
            let mut known = false;
            if let Some(index) = object.properties.get(key) {
                known = true;
                fits &= self.below(key, *index, value);
            }
            for (pattern, index) in &object.patterns {
                if key.len() <= MAX_PATTERN_TEXT_BYTES && pattern.is_match(key) {
                    known = true;
                    fits &= self.below(key, *index, value);
                }
            }
            if let Some(index) = object.additional.filter(|_| !known) {
                fits &= self.below(key, index, value);
            }
        }
        fits
    }

    /// Validates the value against its subschemas.
    fn beside(&mut self, node: &Node, value: Value<'_>) -> bool {
        let mut fits = true;
        for index in node.reference.iter().chain(&node.all_of) {
            fits &= self.node(*index, value);
        }
        if !node.any_of.is_empty() && !node.any_of.iter().any(|index| self.quietly(*index, value)) {
            fits = self.fail(|| format!("matches none of the {} schemas of `anyOf`", node.any_of.len()));
        }
        if !node.one_of_schemas.is_empty() {
            let count = node.one_of_schemas.iter().filter(|index| self.quietly(**index, value)).count();
            if count != 1 {
                fits = self.fail(|| format!("matches {count} of the schemas of `oneOf`, not exactly one"));
            }
        }
        if let Some(not) = node.not
            && self.quietly(not, value)
        {
            fits = self.fail(|| "matches the schema of `not`".to_owned());
        }
        if let Some(condition) = node.condition {
            let branch = if self.quietly(condition.holds, value) { condition.then } else { condition.otherwise };
            if let Some(index) = branch {
                fits &= self.node(index, value);
            }
        }
        fits
    }

    /// Whether a value is valid, without collecting errors.
    fn quietly(&mut self, index: usize, value: Value<'_>) -> bool {
        let wanted = std::mem::take(&mut self.wanted);
        let fits = self.node(index, value);
        self.wanted = wanted;
        fits
    }

    fn below(&mut self, key: &str, index: usize, value: Value<'_>) -> bool {
        // The path is only needed for errors.
        if self.wanted == 0 {
            return self.node(index, value);
        }
        self.path.push(key.replace('\\', "\\\\").replace('.', "\\."));
        let fits = self.node(index, value);
        self.path.pop();
        fits
    }

    /// Whether enough errors were collected.
    fn is_full(&self) -> bool {
        self.errors.len() >= self.wanted
    }

    fn fail(&mut self, reason: impl FnOnce() -> String) -> bool {
        if !self.is_full() {
            let place =
                if self.path.is_empty() { "the record".to_owned() } else { format!("`{}`", self.path.join(".")) };
            let mut error = format!("{place} {}", reason());
            error.truncate(error.floor_char_boundary(MAX_ERROR_BYTES));
            self.errors.push(error);
        }
        false
    }
}

impl Limit {
    fn holds(self, number: Number, bound: Number) -> bool {
        let order = number.compare(bound);
        match self {
            Limit::AtLeast => order.is_some_and(Ordering::is_ge),
            Limit::AtMost => order.is_some_and(Ordering::is_le),
            Limit::Above => order.is_some_and(Ordering::is_gt),
            Limit::Below => order.is_some_and(Ordering::is_lt),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Limit::AtLeast => "at least",
            Limit::AtMost => "at most",
            Limit::Above => "above",
            Limit::Below => "below",
        }
    }
}

/// The types of a value. Bytes have no JSON type.
fn types_of(value: Value<'_>) -> Types {
    match value {
        Value::Nil => Types::NULL,
        Value::Bool(_) => Types::BOOLEAN,
        Value::Str(_) => Types::STRING,
        Value::Array(_) => Types::ARRAY,
        Value::Map(_) => Types::OBJECT,
        Value::Bin(_) | Value::Ext(..) => Types::default(),
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => match Number::of(value) {
            Some(number) if number.is_whole() => Types::INTEGER.and(Types::NUMBER),
            _ => Types::NUMBER,
        },
    }
}

fn are_unique(list: Array<'_>) -> bool {
    let canonical = |value| {
        let mut bytes = Vec::new();
        canonical::write(value, &mut bytes);
        bytes
    };
    let mut items: Vec<Vec<u8>> = list.iter().map(canonical).collect();
    items.sort_unstable();
    items.windows(2).all(|pair| pair[0] != pair[1])
}
