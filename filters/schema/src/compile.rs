//! Compiles the schema into nodes.
//!
//! Unknown keywords are refused, because ignoring them would change the schema.
//! `$ref` is resolved within the document; its target is compiled once, so
//! schemas may be recursive.
//!
//! Written by hand, because the crate `jsonschema` makes a module 3.9 MB larger, ten
//! times as large as this whole filter, and validates a tree of JSON values.

use std::collections::HashMap;

use regex_lite::{Regex, RegexBuilder};
use serde_json::Value as Json;
use thiserror::Error;
use weir_guest::{Encode, Value};

use crate::canonical;
use crate::limits::{MAX_NODES, MAX_PATTERN_BYTES, MAX_PATTERNS, MAX_REGEX_BYTES, MAX_SCHEMA_DEPTH};
use crate::node::{Condition, Limit, Node, Range, Schema, Types};
use crate::number::Number;

/// An invalid schema: where, and what would be valid.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("option `schema`: at `{place}`: {wrong}")]
pub struct SchemaError {
    place: String,
    wrong: String,
}

pub fn wrong<T>(place: &str, wrong: impl Into<String>) -> Result<T, SchemaError> {
    Err(SchemaError { place: place.to_owned(), wrong: wrong.into() })
}

/// Keywords that are annotations or not checked.
const NOTES: [&str; 14] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentMediaType",
];

/// The drafts in which the supported keywords have the same meaning as in
/// 2020-12.
const DRAFTS: [&str; 3] = ["2020-12", "2019-09", "draft-07"];

/// Compiles a schema.
pub fn compile(root: &Json) -> Result<Schema, SchemaError> {
    if let Some(draft) = root.get("$schema") {
        let known = draft.as_str().is_some_and(|draft| DRAFTS.iter().any(|known| draft.contains(known)));
        if !known {
            return wrong(
                "#/$schema",
                format!("{draft} is not supported; supported are 2020-12, 2019-09 and draft-07"),
            );
        }
    }
    let mut compiler = Compiler { root, schema: Schema::default(), known: HashMap::new(), patterns: 0 };
    compiler.at("#", root, 0)?;
    compiler.schema.check_cycles()?;
    Ok(compiler.schema)
}

struct Compiler<'s> {
    root: &'s Json,
    schema: Schema,
    /// Nodes by the place that `$ref` names.
    known: HashMap<String, usize>,
    patterns: usize,
}

impl<'s> Compiler<'s> {
    /// Compiles the schema at a place.
    fn at(&mut self, place: &str, schema: &'s Json, depth: usize) -> Result<usize, SchemaError> {
        if let Some(index) = self.known.get(place) {
            return Ok(*index);
        }
        if depth > MAX_SCHEMA_DEPTH {
            return wrong(place, format!("schemas are nested deeper than {MAX_SCHEMA_DEPTH} levels"));
        }
        let index = self.schema.nodes.len();
        if index == MAX_NODES {
            return wrong(place, format!("there are more than {MAX_NODES} schemas"));
        }
        // Registered before it is compiled, because it may refer to itself.
        self.schema.nodes.push(Node::default());
        self.known.insert(place.to_owned(), index);
        let node = match schema {
            Json::Bool(always) => Node { never: !always, ..Node::default() },
            Json::Object(keywords) => {
                let mut node = Node::default();
                for (keyword, value) in keywords {
                    self.keyword(&mut node, place, keyword, value, depth)?;
                }
                self.condition(&mut node, place, keywords, depth)?;
                node
            }
            _ => return wrong(place, "a schema is a table of keywords, true or false"),
        };
        self.schema.nodes[index] = node;
        Ok(index)
    }

    fn keyword(
        &mut self,
        node: &mut Node,
        place: &str,
        keyword: &str,
        value: &'s Json,
        depth: usize,
    ) -> Result<(), SchemaError> {
        let here = &below(place, keyword);
        match keyword {
            "type" => node.types = Some(types(here, value)?),
            "const" => node.one_of = Some([canonical_of(value)].into()),
            "enum" => node.one_of = Some(list(here, value)?.iter().map(canonical_of).collect()),
            "minimum" => node.limits.push((Limit::AtLeast, number(here, value)?)),
            "maximum" => node.limits.push((Limit::AtMost, number(here, value)?)),
            "exclusiveMinimum" => node.limits.push((Limit::Above, number(here, value)?)),
            "exclusiveMaximum" => node.limits.push((Limit::Below, number(here, value)?)),
            "multipleOf" => match number(here, value)? {
                Number::Integer(..1) => return wrong(here, "it must be above 0"),
                Number::Float(float) if float <= 0.0 => return wrong(here, "it must be above 0"),
                number => node.multiple_of = Some(number),
            },
            "minLength" => node.length.least = Some(count(here, value)?),
            "maxLength" => node.length.most = Some(count(here, value)?),
            "pattern" => node.pattern = Some(self.pattern(here, value.as_str())?),
            "prefixItems" => node.items.first = self.schemas(here, value, depth)?,
            "items" if value.is_array() => return wrong(here, "a list of schemas is written as `prefixItems`"),
            "items" => node.items.others = Some(self.at(here, value, depth + 1)?),
            "minItems" => node.items.count.least = Some(count(here, value)?),
            "maxItems" => node.items.count.most = Some(count(here, value)?),
            "uniqueItems" => node.items.unique = boolean(here, value)?,
            "properties" => {
                for (key, schema) in table(here, value)? {
                    let index = self.at(&below(here, key), schema, depth + 1)?;
                    node.object.properties.insert(key.clone(), index);
                }
            }
            "patternProperties" => {
                for (pattern, schema) in table(here, value)? {
                    let place = below(here, pattern);
                    let index = self.at(&place, schema, depth + 1)?;
                    node.object.patterns.push((self.pattern(&place, Some(pattern))?, index));
                }
            }
            "additionalProperties" => node.object.additional = Some(self.at(here, value, depth + 1)?),
            "required" => node.object.required = texts(here, value)?,
            "dependentRequired" => {
                for (key, needed) in table(here, value)? {
                    node.object.dependent.push((key.clone(), texts(&below(here, key), needed)?));
                }
            }
            "minProperties" => node.object.count.least = Some(count(here, value)?),
            "maxProperties" => node.object.count.most = Some(count(here, value)?),
            "allOf" => node.all_of = self.schemas(here, value, depth)?,
            "anyOf" => node.any_of = self.schemas(here, value, depth)?,
            "oneOf" => node.one_of_schemas = self.schemas(here, value, depth)?,
            "not" => node.not = Some(self.at(here, value, depth + 1)?),
            // These three are compiled together.
            "if" | "then" | "else" => {}
            "$ref" => node.reference = Some(self.reference(here, value, depth)?),
            note if NOTES.contains(&note) => {}
            other => {
                return wrong(
                    place,
                    format!(
                        "the keyword `{other}` is not supported, and ignoring it would change the schema; leave it out if you don't need it"
                    ),
                );
            }
        }
        Ok(())
    }

    fn condition(
        &mut self,
        node: &mut Node,
        place: &str,
        keywords: &'s serde_json::Map<String, Json>,
        depth: usize,
    ) -> Result<(), SchemaError> {
        let Some(holds) = keywords.get("if") else {
            return Ok(());
        };
        let holds = self.at(&below(place, "if"), holds, depth + 1)?;
        let mut branch = |keyword| match keywords.get(keyword) {
            Some(schema) => self.at(&below(place, keyword), schema, depth + 1).map(Some),
            None => Ok(None),
        };
        node.condition = Some(Condition { holds, then: branch("then")?, otherwise: branch("else")? });
        Ok(())
    }

    fn schemas(&mut self, place: &str, value: &'s Json, depth: usize) -> Result<Vec<usize>, SchemaError> {
        let schemas = list(place, value)?.iter().enumerate();
        schemas.map(|(index, schema)| self.at(&below(place, &index.to_string()), schema, depth + 1)).collect()
    }

    /// A reference within the document: `#` or `#/$defs/order`.
    fn reference(&mut self, place: &str, value: &'s Json, depth: usize) -> Result<usize, SchemaError> {
        let Some(target) = value.as_str() else {
            return wrong(place, "it must be text");
        };
        let Some(pointer) = target.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'))
        else {
            return wrong(place, format!("`{target}` is not in this document; write it like \"#/$defs/order\""));
        };
        match self.root.pointer(pointer) {
            Some(schema) => self.at(target, schema, depth + 1),
            None => wrong(place, format!("there is nothing at `{target}`")),
        }
    }

    fn pattern(&mut self, place: &str, pattern: Option<&str>) -> Result<Regex, SchemaError> {
        let Some(pattern) = pattern.filter(|pattern| pattern.len() <= MAX_PATTERN_BYTES) else {
            return wrong(place, format!("an expression is a text of up to {MAX_PATTERN_BYTES} bytes"));
        };
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            return wrong(place, format!("there are more than {MAX_PATTERNS} expressions"));
        }
        let regex = RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build();
        regex.or_else(|error| wrong(place, format!("`{pattern}` is not a valid regular expression: {error}")))
    }
}

impl Schema {
    /// Refuses a schema that refers to itself for the same value: it has no
    /// meaning, and validation would not terminate.
    fn check_cycles(&self) -> Result<(), SchemaError> {
        // 0: not visited; 1: in progress; 2: done.
        let mut states = vec![0_u8; self.nodes.len()];
        for start in 0..self.nodes.len() {
            let mut stack = vec![(start, false)];
            while let Some((index, done)) = stack.pop() {
                if done {
                    states[index] = 2;
                    continue;
                }
                match states[index] {
                    2 => continue,
                    1 => return wrong("#", "a `$ref` leads back to itself without going into the value"),
                    _ => states[index] = 1,
                }
                stack.push((index, true));
                for next in self.beside(index) {
                    if states[next] == 1 {
                        return wrong("#", "a `$ref` leads back to itself without going into the value");
                    }
                    stack.push((next, false));
                }
            }
        }
        Ok(())
    }
}

/// The place of a key below another, as a JSON pointer.
fn below(place: &str, key: &str) -> String {
    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn types(place: &str, value: &Json) -> Result<Types, SchemaError> {
    let named = |value: &Json| match value.as_str().and_then(Types::named) {
        Some(types) => Ok(types),
        None => wrong(
            place,
            format!("{value} is not a type; the types are null, boolean, integer, number, string, array, object"),
        ),
    };
    match value {
        Json::Array(list) if !list.is_empty() => {
            list.iter().try_fold(Types::default(), |all, value| Ok(all.and(named(value)?)))
        }
        value => named(value),
    }
}

fn number(place: &str, value: &Json) -> Result<Number, SchemaError> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    let number = Value::read(&bytes).and_then(|(value, _)| Number::of(value));
    number.map_or_else(|| wrong(place, format!("{value} is not a number")), Ok)
}

fn count(place: &str, value: &Json) -> Result<usize, SchemaError> {
    match number(place, value)? {
        Number::Integer(number) if (0..=i128::from(u32::MAX)).contains(&number) => Ok(number as usize),
        _ => wrong(place, format!("{value} is not a count")),
    }
}

fn boolean(place: &str, value: &Json) -> Result<bool, SchemaError> {
    value.as_bool().map_or_else(|| wrong(place, "it must be true or false"), Ok)
}

fn list<'s>(place: &str, value: &'s Json) -> Result<&'s Vec<Json>, SchemaError> {
    match value.as_array() {
        Some(list) if !list.is_empty() => Ok(list),
        _ => wrong(place, "it must be a list that is not empty"),
    }
}

fn table<'s>(place: &str, value: &'s Json) -> Result<&'s serde_json::Map<String, Json>, SchemaError> {
    value.as_object().map_or_else(|| wrong(place, "it must be a table"), Ok)
}

fn texts(place: &str, value: &Json) -> Result<Vec<String>, SchemaError> {
    let texts = value.as_array().and_then(|list| list.iter().map(|one| one.as_str().map(str::to_owned)).collect());
    texts.map_or_else(|| wrong(place, "it must be a list of texts"), Ok)
}

fn canonical_of(value: &Json) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    let mut out = Vec::new();
    if let Some((value, _)) = Value::read(&bytes) {
        canonical::write(value, &mut out);
    }
    out
}

impl Range {
    /// The error for a count outside of the limits.
    pub fn refuses(self, count: usize, what: &str) -> Option<String> {
        match (self.least, self.most) {
            (Some(least), _) if count < least => Some(format!("has {count} {what}, fewer than {least}")),
            (_, Some(most)) if count > most => Some(format!("has {count} {what}, more than {most}")),
            _ => None,
        }
    }
}
