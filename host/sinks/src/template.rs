//! Templates with placeholders, in one syntax for file paths, lines, subjects and headers: `{name}` is a placeholder,
//! `{{` and `}}` are literal braces.
//!
//! The code that parses a template decides what a name means, and the code that renders it decides how a value is
//! escaped: a path must not leave its folder, a subject must keep its number of tokens, a line must stay one line.

use weir_record::{Head, Record};

use crate::text::push_value;

/// A part of a template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<P> {
    /// Literal text, never empty.
    Text(String),
    /// A placeholder.
    Placeholder(P),
}

/// Parses a template into its parts. `placeholder` parses a name. There are never two adjacent texts.
pub(crate) fn parse<P>(
    template: &str,
    mut placeholder: impl FnMut(&str) -> Result<P, String>,
) -> Result<Vec<Part<P>>, String> {
    let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), template);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            text.push_str(&from[..1]);
            rest = after;
            continue;
        }
        let Some((name, after)) = from.strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
            return Err(format!("`{from}` has an unmatched brace; write {{{{ or }}}} for a literal brace"));
        };
        push_text(&mut text, &mut parts);
        parts.push(Part::Placeholder(placeholder(name)?));
        rest = after;
    }
    text.push_str(rest);
    push_text(&mut text, &mut parts);
    Ok(parts)
}

fn push_text<P>(text: &mut String, parts: &mut Vec<Part<P>>) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text)));
    }
}

/// A placeholder for a value of the record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RecordValue {
    Source,
    Level,
    /// The value at a path.
    Field(String),
}

impl RecordValue {
    /// Parses a name in braces.
    pub fn named(name: &str) -> RecordValue {
        match name {
            "source" => RecordValue::Source,
            "level" => RecordValue::Level,
            path => RecordValue::Field(path.to_string()),
        }
    }

    /// The name from which it was parsed.
    pub fn name(&self) -> &str {
        match self {
            RecordValue::Source => "source",
            RecordValue::Level => "level",
            RecordValue::Field(path) => path,
        }
    }

    /// Appends the value, escaped by `escape`; nothing if it is absent. A level needs no escaping.
    pub fn push(&self, record: Record<'_>, head: &Head<'_>, out: &mut String, escape: fn(&str, &mut String)) {
        match self {
            RecordValue::Source => escape(head.source, out),
            RecordValue::Level => out.push_str(head.level.as_str()),
            RecordValue::Field(path) => {
                let mut text = Vec::new();
                if let Some(value) = record.get(path) {
                    push_value(value, &mut text);
                }
                escape(&String::from_utf8_lossy(&text), out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(template: &str) -> Result<Vec<Part<String>>, String> {
        parse(template, |name| match name {
            "" => Err("empty".into()),
            name => Ok(name.into()),
        })
    }

    #[test]
    fn texts_and_placeholders_alternate() {
        let text = |text: &str| Part::Text(text.into());
        let place = |name: &str| Part::Placeholder(name.into());
        assert_eq!(parts("a/{b.c}-{d}"), Ok(vec![text("a/"), place("b.c"), text("-"), place("d")]));
        assert_eq!(parts(""), Ok(vec![]));
        assert_eq!(parts("{a}{b}"), Ok(vec![place("a"), place("b")]));
    }

    #[test]
    fn doubled_braces_are_literal_braces_of_one_text() {
        assert_eq!(parts("x{{y}}z"), Ok(vec![Part::Text("x{y}z".into())]));
        let parts = parts("{{{a}}}").expect("a placeholder between literal braces");
        assert_eq!(parts[1], Part::Placeholder("a".into()));
        assert_eq!((&parts[0], &parts[2]), (&Part::Text("{".into()), &Part::Text("}".into())));
    }

    #[test]
    fn single_braces_and_unknown_names_are_refused() {
        for bad in ["{a", "a}", "{a}}", "}{", "{"] {
            assert!(parts(bad).expect_err(bad).contains("unmatched brace"), "{bad}");
        }
        assert_eq!(parts("a{}b"), Err("empty".into()));
    }
}
