//! The subject of a record's message: `logs.{source}.{level}`. Each value is exactly one token, so a subscription to
//! `logs.shop.*` gets what it should and a value can never produce another subject.

use weir_record::Record;

use crate::limits;
use crate::template::{self, Part, RecordValue};
use crate::text::needs_escape;

/// A parsed template.
#[derive(Debug)]
pub(super) struct SubjectTemplate {
    parts: Vec<Part<RecordValue>>,
    /// The template with `*` for each token that contains a value.
    pattern: String,
}

impl SubjectTemplate {
    pub fn parse(template: &str) -> Result<SubjectTemplate, String> {
        let refuse = |what: &str| format!("subject `{template}` {what}");
        let parts = template::parse(template, |name| match name {
            "" => Err("has empty braces; use a path, such as {source}".to_string()),
            name => Ok(RecordValue::named(name)),
        });
        let parts = parts.map_err(|error| refuse(&error))?;
        // Field names may contain dots, so a wildcard replaces each value while the template is split into tokens.
        let mut outline = String::new();
        for part in &parts {
            match part {
                Part::Text(text) if is_special(text) => {
                    return Err(refuse("must not contain spaces or the wildcards `*` and `>`"));
                }
                Part::Text(text) => outline.push_str(text),
                Part::Placeholder(_) => outline.push('*'),
            }
        }
        if outline.split('.').any(str::is_empty) {
            return Err(refuse("has an empty token; put something between the dots"));
        }
        if outline.starts_with('$') {
            return Err(refuse("must not begin with `$`"));
        }
        let token = |token: &str| if token.contains('*') { "*".to_string() } else { token.to_string() };
        let pattern = outline.split('.').map(token).collect::<Vec<_>>().join(".");
        Ok(SubjectTemplate { parts, pattern })
    }

    /// A pattern for all its subjects.
    pub fn pattern(&self) -> String {
        self.pattern.clone()
    }

    pub fn render(&self, record: Record<'_>) -> String {
        let head = record.head();
        let mut subject = String::with_capacity(64);
        for part in &self.parts {
            match part {
                Part::Text(text) => subject.push_str(text),
                Part::Placeholder(value) => value.push(record, &head, &mut subject, push_token),
            }
        }
        subject
    }
}

fn is_special(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || needs_escape(c) || "*>".contains(c))
}

/// Appends a value as one token: never empty, never more, and of limited length.
fn push_token(value: &str, out: &mut String) {
    let value = &value[..value.floor_char_boundary(limits::SUBJECT_VALUE_BYTES)];
    if value.is_empty() {
        out.push('_');
    }
    for c in value.chars() {
        let special = c == '.' || c == '*' || c == '>' || c.is_whitespace() || needs_escape(c);
        out.push(if special { '_' } else { c });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    fn render(template: &str, fields: &[(&str, &str)]) -> String {
        let bytes = record(fields, &[]);
        SubjectTemplate::parse(template).expect("a template").render(Record::new(&bytes))
    }

    #[test]
    fn any_value_is_one_token() {
        let fields = [("source", "shop"), ("level", "ERROR"), ("context.tenant", "acme.eu *\n>")];
        assert_eq!(render("logs.{source}.{level}", &fields), "logs.shop.ERROR");
        assert_eq!(render("l.{context.tenant}.x-{source}-y", &fields), "l.acme_eu____.x-shop-y");
        assert_eq!(render("logs.{source}", &[("source", "")]), "logs._");
        assert_eq!(render("logs.{no.such.path}.end", &[]), "logs._.end");
        assert_eq!(render("logs.{source}", &[("source", "\u{202e}é\u{3000}✓")]), "logs._é_✓");
        let long = "ß".repeat(1000);
        assert!(render("logs.{source}", &[("source", &long)]).len() <= 5 + limits::SUBJECT_VALUE_BYTES);
    }

    #[test]
    fn a_template_that_makes_no_valid_subject_is_refused() {
        for bad in
            ["", "logs.", ".logs", "logs..x", "logs.{source", "logs.}", "logs.{}", "logs.*", "a b", "$JS.{source}"]
        {
            let error = SubjectTemplate::parse(bad).expect_err(bad);
            assert!(error.contains(&format!("`{bad}`")), "{error}");
        }
    }

    #[test]
    fn the_pattern_matches_every_subject_of_the_template() {
        let pattern = |template| SubjectTemplate::parse(template).expect("fine").pattern();
        assert_eq!(pattern("logs.{source}.{level}"), "logs.*.*");
        assert_eq!(pattern("logs.x-{context.a.b}.end"), "logs.*.end");
        assert_eq!(pattern("logs"), "logs");
    }
}
