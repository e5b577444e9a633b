//! Parses TOML to a tree with the span of every key and value.
//!
//! This is the first stage. Later stages (environment, check) change the tree in place; a value they refuse becomes
//! [`Value::Unusable`], so that it is reported once and the rest can still be checked. Invariants: entries are in file
//! order; depth is at most `MAX_DEPTH`; numbers are finite and fit in 64 bits.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostics::Diagnostic;
use crate::limits::MAX_DEPTH;

/// A value and its byte range in the file.
#[derive(Debug, Clone)]
pub struct Node {
    pub span: Range<usize>,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub enum Value {
    /// `expanded`: contains a value from the environment, so it may be a secret, and may represent a number or boolean;
    /// or it is a secret.
    Text {
        text: String,
        expanded: bool,
    },
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Date(String),
    List(Vec<Node>),
    Table(Vec<TableEntry>),
    /// Refused and already reported.
    Unusable,
}

#[derive(Debug, Clone)]
pub struct TableEntry {
    pub key: String,
    pub key_span: Range<usize>,
    pub node: Node,
}

impl Node {
    pub fn entry(&self, key: &str) -> Option<&TableEntry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The items of a list; empty for other values.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub fn is_unusable(&self) -> bool {
        matches!(self.value, Value::Unusable)
    }

    /// The tree as JSON, without unusable values.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text { text, .. } | Value::Date(text) => text.as_str().into(),
            Value::Integer(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Boolean(boolean) => (*boolean).into(),
            Value::List(items) => items.iter().filter(|item| !item.is_unusable()).map(Node::to_json).collect(),
            Value::Table(entries) => entries
                .iter()
                .filter(|entry| !entry.node.is_unusable())
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect(),
            Value::Unusable => serde_json::Value::Null,
        }
    }
}

/// Parses a file, or reports its syntax errors.
///
/// Duplicate keys are reported together with the problems of later stages. After any other syntax error the rest of the
/// file is unreliable, so only syntax errors are reported.
pub(super) fn parse(source: &str, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    let (table, errors) = DeTable::parse_recoverable(source);
    let mut readable = true;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let problem = if error.message() == "duplicate key" {
            let key = source.get(span.clone()).unwrap_or_default();
            let problem = Diagnostic::at(span, format!("`{key}` is set twice"));
            match key {
                "filter" => problem.help("write `[[filter]]`, with two brackets: each is one filter of the chain"),
                _ => problem.label("already set above"),
            }
        } else {
            readable = false;
            syntax_problem(source, span, error.message())
        };
        problems.push(problem);
    }
    if !readable {
        return None;
    }
    let mut reader = Reader { problems };
    let value = reader.table(table.get_ref(), 1);
    Some(Node { span: 0..0, value })
}

/// The parser's message, with a hint for the most common cause: text without quotes.
fn syntax_problem(source: &str, span: Range<usize>, message: &str) -> Diagnostic {
    let word = source.get(span.clone()).unwrap_or_default();
    let problem = Diagnostic::at(span, format!("this is not TOML: {message}"));
    let reads_as_number = message.starts_with("invalid") && !message.contains("string");
    if reads_as_number && word.starts_with(|c: char| c.is_alphabetic()) {
        problem.label("text needs quotes")
    } else {
        problem
    }
}

struct Reader<'a> {
    problems: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Value {
        let mut entries: Vec<TableEntry> = table
            .iter()
            .map(|(key, value)| TableEntry {
                key: key.get_ref().to_string(),
                key_span: key.span(),
                node: self.node(value, depth),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        Value::Table(entries)
    }

    fn node(&mut self, spanned: &Spanned<DeValue<'_>>, depth: usize) -> Node {
        let span = spanned.span();
        let value = match spanned.get_ref() {
            _ if depth > MAX_DEPTH => {
                self.refuse(&span, format!("tables and lists are nested more than {MAX_DEPTH} deep"))
            }
            DeValue::String(text) => Value::Text { text: text.to_string(), expanded: false },
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => self.refuse(&span, "this integer does not fit into 64 bits"),
            },
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::Float(number),
                _ => self.refuse(&span, "this is not a finite number"),
            },
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.node(item, depth + 1)).collect()),
            DeValue::Table(table) => self.table(table, depth + 1),
        };
        Node { span, value }
    }

    fn refuse(&mut self, span: &Range<usize>, message: impl Into<String>) -> Value {
        self.problems.push(Diagnostic::at(span.clone(), message));
        Value::Unusable
    }
}
