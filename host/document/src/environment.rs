//! `${NAME}` and `${NAME:-default}` inside string values.
//!
//! Variables are expanded after parsing, so the content of a variable is always part of one string: it can't add keys,
//! tables or quotes, and is not expanded again. Keys are not expanded. `$${` is a literal `${`. As in a shell, `:-`
//! also replaces an empty variable.

use std::ops::Range;

use crate::diagnostics::Diagnostic;
use crate::tree::{Node, Value};

/// Looks up a variable; `None` if it is not set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands every string below `node`. A string that can't be expanded is reported and becomes unusable.
pub(super) fn expand(node: &mut Node, source: &str, environment: Environment<'_>, problems: &mut Vec<Diagnostic>) {
    match &mut node.value {
        Value::Text { text, .. } if text.contains("${") => {
            match expand_text(text, environment) {
                Ok((text, expanded)) => node.value = Value::Text { text, expanded },
                Err(mistakes) => {
                    let span = node.span.clone();
                    let place = |mistake| locate(mistake, source, &span);
                    problems.extend(mistakes.into_iter().map(place));
                    node.value = Value::Unusable;
                }
            };
        }
        Value::List(items) => {
            for item in items {
                expand(item, source, environment, problems);
            }
        }
        Value::Table(entries) => {
            for entry in entries {
                expand(&mut entry.node, source, environment, problems);
            }
        }
        _ => {}
    }
}

/// A reference that can't be expanded, as written in the value.
#[derive(Debug, PartialEq)]
enum Mistake {
    Missing { name: String },
    Unclosed { rest: String },
    BadName { reference: String },
}

/// Returns the expanded text and whether it contained a reference.
fn expand_text(text: &str, environment: Environment<'_>) -> Result<(String, bool), Vec<Mistake>> {
    let mut out = String::with_capacity(text.len());
    let mut mistakes = Vec::new();
    let mut expanded = false;
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let Some(length) = rest[at..].find('}') else {
            mistakes.push(Mistake::Unclosed { rest: rest[at..].to_owned() });
            rest = "";
            break;
        };
        let reference = &rest[at..=at + length];
        rest = &rest[at + length + 1..];
        expanded = true;
        match resolve(reference, environment) {
            Ok(value) => out.push_str(&value),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    out.push_str(rest);
    if mistakes.is_empty() { Ok((out, expanded)) } else { Err(mistakes) }
}

fn resolve(reference: &str, environment: Environment<'_>) -> Result<String, Mistake> {
    let inner = &reference[2..reference.len() - 1];
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if !is_variable_name(name) {
        return Err(Mistake::BadName { reference: reference.to_owned() });
    }
    match (environment(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Mistake::Missing { name: name.to_owned() }),
    }
}

fn is_variable_name(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Locates the problem at the reference, if the source contains it literally.
fn locate(mistake: Mistake, source: &str, span: &Range<usize>) -> Diagnostic {
    let find = |written: &str| {
        let inside = source.get(span.clone())?;
        let start = span.start + inside.find(written)?;
        Some(start..start + written.len())
    };
    match mistake {
        Mistake::Missing { name } => {
            let at = find(&format!("${{{name}}}")).unwrap_or_else(|| span.clone());
            Diagnostic::at(at, format!("the environment variable `{name}` is not set"))
                .help(format!("set it, or give a default: `${{{name}:-default}}`"))
        }
        Mistake::Unclosed { rest } => {
            let at = find(&rest).unwrap_or_else(|| span.clone());
            Diagnostic::at(at, "`${` without its `}`").help("write `$${` for a literal `${`")
        }
        Mistake::BadName { reference } => {
            let at = find(&reference).unwrap_or_else(|| span.clone());
            // Not quoted, because it may be part of a secret.
            Diagnostic::at(at, "this does not name a variable")
                .help("a name has letters, digits and `_`; write `$${` for a literal `${`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn references_defaults_and_escapes_expand_as_documented() {
        for (text, expected) in [
            ("${HOST}", "db"),
            ("a ${HOST}:${PORT:-5432} z", "a db:5432 z"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("$${HOST}", "${HOST}"),
            ("$$${HOST}", "$${HOST}"),
            ("${NESTED}", "${HOST}"),
            ("${NONE:-ünï}${HOST}", "ünïdb"),
        ] {
            let (got, _) = expand_text(text, &variables).expect(text);
            assert_eq!(got, expected, "{text}");
        }
    }

    #[test]
    fn all_invalid_references_are_reported() {
        let mistakes = expand_text("${A} ${a b} ${HOST} ${B", &variables).unwrap_err();
        assert_eq!(
            mistakes,
            [
                Mistake::Missing { name: "A".into() },
                Mistake::BadName { reference: "${a b}".into() },
                Mistake::Unclosed { rest: "${B".into() },
            ]
        );
    }

    #[test]
    fn an_escape_alone_does_not_make_a_value_count_as_expanded() {
        assert_eq!(expand_text("$${A}", &variables), Ok(("${A}".to_owned(), false)));
    }
}
