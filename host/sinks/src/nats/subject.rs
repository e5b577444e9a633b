//! The subject of a record's message: `logs.{source}.{level}`, each value exactly one token whatever the record says, so
//! that a subscription to `logs.shop.*` sees what it should and a value never reaches another subject.

use weir_record::Record;

use crate::limits;
use crate::text::{is_harmful, push_value};

/// A parsed template.
#[derive(Debug)]
pub(super) struct SubjectTemplate {
    pieces: Vec<Piece>,
    /// The template with `*` for each token that has a value in it.
    pattern: String,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Source,
    Level,
    Field(String),
}

impl SubjectTemplate {
    pub fn parse(template: &str) -> Result<SubjectTemplate, String> {
        let refuse = |what: &str| format!("subject `{template}` {what}");
        let mut pieces = Vec::new();
        // Values hold dots, so tokens are told apart with a character in their place.
        let (mut rest, mut outline) = (template, String::new());
        while let Some(open) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(open);
            let Some((name, after)) = from.strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
                return Err(refuse("has a brace without its partner"));
            };
            pieces.push(Piece::Text(before.to_string()));
            pieces.push(match name {
                "source" => Piece::Source,
                "level" => Piece::Level,
                "" => return Err(refuse("has empty braces; put a path between them, such as {source}")),
                field => Piece::Field(field.to_string()),
            });
            outline.push_str(before);
            outline.push('{');
            rest = after;
        }
        outline.push_str(rest);
        pieces.push(Piece::Text(rest.to_string()));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        if outline.split('.').any(str::is_empty) {
            return Err(refuse("has an empty token; put something between the dots"));
        }
        if outline.starts_with('$')
            || outline.contains(|c: char| c.is_whitespace() || is_harmful(c) || "*>".contains(c))
        {
            return Err(refuse("must not begin with `$`, nor hold spaces or the wildcards `*` and `>`"));
        }
        let token = |token: &str| if token.contains('{') { "*".to_string() } else { token.to_string() };
        let pattern = outline.split('.').map(token).collect::<Vec<_>>().join(".");
        Ok(SubjectTemplate { pieces, pattern })
    }

    /// All subjects that it makes.
    pub fn pattern(&self) -> String {
        self.pattern.clone()
    }

    pub fn render(&self, record: Record<'_>) -> String {
        let head = record.head();
        let mut subject = String::with_capacity(64);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => subject.push_str(text),
                Piece::Source => push_token(head.source, &mut subject),
                Piece::Level => subject.push_str(head.level.as_str()),
                Piece::Field(path) => {
                    let mut value = Vec::new();
                    if let Some(found) = record.get(path) {
                        push_value(found, &mut value);
                    }
                    push_token(&String::from_utf8_lossy(&value), &mut subject);
                }
            }
        }
        subject
    }
}

/// Appends a value as one token: never empty, never more, and bounded.
fn push_token(value: &str, out: &mut String) {
    let value = &value[..value.floor_char_boundary(limits::SUBJECT_VALUE_BYTES)];
    if value.is_empty() {
        out.push('_');
    }
    for c in value.chars() {
        let special = c == '.' || c == '*' || c == '>' || c.is_whitespace() || is_harmful(c);
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
    fn a_value_is_one_token_whatever_it_holds() {
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
    fn a_template_that_makes_no_subject_is_refused() {
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
