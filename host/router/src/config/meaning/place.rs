//! Positions of values in the file, for error reports.

use std::ops::Range;

use weir_document::quoted;
use weir_document::{Node, Value};

/// A position in the file: the value, or for a missing key, its parent.
#[derive(Clone)]
pub(super) struct Location<'a> {
    pub node: Option<&'a Node>,
    pub span: Range<usize>,
}

impl<'a> Location<'a> {
    pub fn root(node: &'a Node) -> Self {
        Self { node: Some(node), span: node.span.clone() }
    }

    pub fn nowhere() -> Self {
        Self { node: None, span: 0..0 }
    }

    pub fn key(&self, key: &str) -> Self {
        let entry = self.node.and_then(|node| node.entry(key));
        Self {
            span: entry.map_or_else(|| self.span.clone(), |entry| entry.node.span.clone()),
            node: entry.map(|entry| &entry.node),
        }
    }

    /// The usable items of a list, in the order in which serde received them.
    pub fn items(&self) -> Vec<Self> {
        match self.node.map(|node| &node.value) {
            Some(Value::List(items)) => {
                let usable = items.iter().filter(|item| !item.is_unusable());
                usable.map(Self::root).collect()
            }
            _ => Vec::new(),
        }
    }

    pub fn is_given(&self) -> bool {
        self.node.is_some_and(|node| !node.is_unusable())
    }

    pub fn is_refused(&self) -> bool {
        self.node.is_some_and(Node::is_unusable)
    }

    pub fn or(self, other: Self) -> Self {
        if self.is_given() { self } else { other }
    }

    /// Quotes the text for messages.
    pub fn shown(&self, text: &str) -> String {
        let value = self.node.map(|node| &node.value);
        quoted(text, matches!(value, Some(Value::Text { expanded: true, .. })))
    }
}

pub(super) fn has_unusable(node: &Node) -> bool {
    match &node.value {
        Value::Unusable => true,
        Value::List(items) => items.iter().any(has_unusable),
        Value::Table(entries) => entries.iter().any(|entry| has_unusable(&entry.node)),
        _ => false,
    }
}

/// Removes values from the environment from a message, because they may be secrets.
pub(super) fn hide_expanded(node: &Node, message: &mut String) {
    match &node.value {
        Value::Text { text, expanded } if *expanded && !text.is_empty() => {
            *message = message.replace(text, "…");
        }
        Value::List(items) => items.iter().for_each(|item| hide_expanded(item, message)),
        Value::Table(entries) => entries.iter().for_each(|entry| hide_expanded(&entry.node, message)),
        _ => {}
    }
}
