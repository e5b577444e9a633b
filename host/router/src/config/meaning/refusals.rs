//! Reports the errors of filters about their options, at the position of the option.
//!
//! A filter receives its options as JSON, and its errors name the option: ``option `rules[1].when`: …``.

use std::ops::Range;

use super::super::settings::{FilterSettings, Settings};
use super::super::{FilterCheck, FilterError};
use super::place::{has_unusable, hide_expanded};
use weir_document::Diagnostic;
use weir_document::{Node, TableEntry, Value};

/// Calls `ask` for every filter that has no problems yet.
pub(in crate::config) fn ask(settings: &Settings, root: &Node, ask: FilterCheck<'_>, problems: &mut Vec<Diagnostic>) {
    let nodes: Vec<&Node> = match root.entry("filter") {
        Some(entry) => entry.node.items().iter().filter(|item| !item.is_unusable()).collect(),
        None => Vec::new(),
    };
    let already_reported = problems.len();
    for (index, filter) in settings.filters.iter().enumerate() {
        let node = nodes.get(index).copied();
        if node.is_some_and(|node| {
            has_unusable(node) || problems[..already_reported].iter().any(|problem| is_in(problem, node))
        }) {
            continue;
        }
        match ask(settings, filter) {
            None => {}
            Some(FilterError::Filter(reason)) => {
                let module = node.and_then(|node| node.entry("module"));
                problems.push(at(module.map(|module| &module.node.span), reason));
            }
            Some(FilterError::Options(mistakes)) => {
                problems.extend(mistakes.iter().map(|mistake| in_options(filter, node, mistake)));
            }
        }
    }
}

fn at(span: Option<&Range<usize>>, message: String) -> Diagnostic {
    match span {
        Some(span) => Diagnostic::at(span.clone(), message),
        None => Diagnostic::of_file(message),
    }
}

/// Whether the problem is inside the node.
fn is_in(problem: &Diagnostic, node: &Node) -> bool {
    problem.start().is_some_and(|start| node.span.contains(&start))
        || match &node.value {
            Value::List(items) => items.iter().any(|item| is_in(problem, item)),
            Value::Table(entries) => entries.iter().any(|entry| {
                problem.start().is_some_and(|start| entry.key_span.contains(&start)) || is_in(problem, &entry.node)
            }),
            _ => false,
        }
}

fn in_options(filter: &FilterSettings, node: Option<&Node>, mistake: &str) -> Diagnostic {
    let options = node.and_then(|node| node.entry("options"));
    let (text, meant) = match mistake.rsplit_once("; did you mean ") {
        Some((text, meant)) => (text, Some(format!("did you mean {meant}"))),
        None => (mistake, None),
    };
    let mut message = format!("filter `{}`: {text}", filter.name);
    if let Some(options) = options {
        hide_expanded(&options.node, &mut message);
    }
    let path = text.split_once('`').and_then(|(_, rest)| rest.split_once('`')).map_or("", |(path, _)| path);
    let span = options.map(|options| {
        let is_strange =
            text.contains("unknown field") || text.contains("unknown option") || text.contains("no option");
        match find(&options.node, path) {
            Some(Found::Entry(entry)) if is_strange => &entry.key_span,
            Some(Found::Entry(TableEntry { node, .. }) | Found::Item(node)) => &node.span,
            // The option is missing, or the error names none.
            None => &options.key_span,
        }
    });
    let problem = at(span.or(node.map(|node| &node.span)), message);
    match meant {
        Some(meant) => problem.label(meant),
        None => problem,
    }
}

enum Found<'n> {
    Entry(&'n TableEntry),
    Item(&'n Node),
}

/// Finds the node at a path such as `tables[0].csv`, or its closest existing ancestor.
fn find<'n>(node: &'n Node, path: &str) -> Option<Found<'n>> {
    let (found, inner, rest) = match &node.value {
        Value::Table(entries) => {
            // Keys can contain dots, so the longest match counts.
            let fits = |entry: &&TableEntry| {
                path.strip_prefix(&*entry.key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            let entry = entries.iter().filter(fits).max_by_key(|entry| entry.key.len())?;
            (Found::Entry(entry), &entry.node, &path[entry.key.len()..])
        }
        Value::List(items) => {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            let item = items.get(index.parse::<usize>().ok()?)?;
            (Found::Item(item), item, rest)
        }
        _ => return None,
    };
    find(inner, rest.strip_prefix('.').unwrap_or(rest)).or(Some(found))
}
