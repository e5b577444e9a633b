//! The compiled schema.

use std::collections::{BTreeSet, HashMap};

use regex_lite::Regex;

use crate::number::Number;

/// A schema with its subschemas, the root first. They refer to each other by
/// index.
#[derive(Debug, Default)]
pub struct Schema {
    pub nodes: Vec<Node>,
}

/// One schema: the constraints of a value. Absent constraints are not checked.
#[derive(Debug, Default)]
pub struct Node {
    /// The schema `false`.
    pub never: bool,
    pub types: Option<Types>,
    /// `const` and `enum`, in canonical encoding.
    pub one_of: Option<BTreeSet<Vec<u8>>>,
    pub limits: Vec<(Limit, Number)>,
    pub multiple_of: Option<Number>,
    pub length: Range,
    pub pattern: Option<Regex>,
    pub items: Items,
    pub object: Object,
    pub all_of: Vec<usize>,
    pub any_of: Vec<usize>,
    pub one_of_schemas: Vec<usize>,
    pub not: Option<usize>,
    pub condition: Option<Condition>,
    pub reference: Option<usize>,
}

/// A limit of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// Minimum and maximum of a count.
#[derive(Debug, Default, Clone, Copy)]
pub struct Range {
    pub least: Option<usize>,
    pub most: Option<usize>,
}

/// Constraints of arrays.
#[derive(Debug, Default)]
pub struct Items {
    /// Schemas of the first items.
    pub first: Vec<usize>,
    /// The schema of all other items.
    pub others: Option<usize>,
    pub count: Range,
    pub unique: bool,
}

/// Constraints of objects.
#[derive(Debug, Default)]
pub struct Object {
    pub properties: HashMap<String, usize>,
    pub patterns: Vec<(Regex, usize)>,
    /// The schema of all other keys.
    pub additional: Option<usize>,
    pub required: Vec<String>,
    /// Which keys are required if a key is present.
    pub dependent: Vec<(String, Vec<String>)>,
    pub count: Range,
}

/// `if`, `then` and `else`.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    pub holds: usize,
    pub then: Option<usize>,
    pub otherwise: Option<usize>,
}

/// A set of JSON types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Types(u8);

const NAMES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

impl Types {
    pub const NULL: Types = Types(1);
    pub const BOOLEAN: Types = Types(2);
    pub const INTEGER: Types = Types(4);
    pub const NUMBER: Types = Types(8);
    pub const STRING: Types = Types(16);
    pub const ARRAY: Types = Types(32);
    pub const OBJECT: Types = Types(64);

    pub fn named(name: &str) -> Option<Types> {
        let at = NAMES.iter().position(|known| *known == name)?;
        Some(Types(1 << at))
    }

    pub fn and(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    /// Whether the sets have a type in common.
    pub fn meets(self, other: Types) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::fmt::Display for Types {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = (0..NAMES.len()).filter(|at| self.0 & (1 << at) != 0).map(|at| NAMES[at]);
        f.write_str(&names.collect::<Vec<_>>().join(" or "))
    }
}

impl Range {
    pub fn is_none(self) -> bool {
        self.least.is_none() && self.most.is_none()
    }
}

impl Schema {
    /// The subschemas that apply to the same value.
    pub fn beside(&self, index: usize) -> Vec<usize> {
        let node = &self.nodes[index];
        let mut beside: Vec<usize> =
            [&node.all_of, &node.any_of, &node.one_of_schemas].into_iter().flatten().copied().collect();
        beside.extend(node.not);
        beside.extend(node.reference);
        if let Some(condition) = node.condition {
            beside.push(condition.holds);
            beside.extend(condition.then);
            beside.extend(condition.otherwise);
        }
        beside
    }
}
