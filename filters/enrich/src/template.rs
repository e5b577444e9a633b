//! Message templates: `{source}: {message} ({context.user.id})`.
//!
//! Parsed at configuration into literals and placeholders. `{path}` is replaced
//! with the value at that path, `{path|text}` with the text if there is no value;
//! without a text, with nothing. `{{` and `}}` are literal braces. The caller
//! formats values, see `text`.
//!
//! Invariant: a template has at most `MAX_TEMPLATE_PIECES` pieces, and no
//! placeholder has an empty path.

use thiserror::Error;
use weir_guest::Path;

use crate::limits::{MAX_TEMPLATE_BYTES, MAX_TEMPLATE_PIECES};

/// A syntax error in a template.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TemplateError {
    #[error("a `{{` is not closed; write `{{{{` for a literal brace")]
    Open,
    #[error("a `}}` has no `{{` before it; write `}}}}` for a literal brace")]
    Stray,
    #[error("`{{}}` has no path; write for example `{{message}}`")]
    NoPath,
    #[error("it is longer than {MAX_TEMPLATE_BYTES} bytes or {MAX_TEMPLATE_PIECES} pieces; make it shorter")]
    TooLong,
}

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place { path: Path, otherwise: String },
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::TooLong);
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err(TemplateError::Stray);
            }
            let end = rest.find(['{', '}']).ok_or(TemplateError::Open)?;
            if rest[end..].starts_with('{') {
                return Err(TemplateError::Open);
            }
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(place(&rest[..end])?);
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        if pieces.len() > MAX_TEMPLATE_PIECES {
            return Err(TemplateError::TooLong);
        }
        Ok(Template { pieces })
    }

    /// Appends the text to `out`. `write` appends the value at a path and returns
    /// whether there is one.
    pub fn render(&self, out: &mut String, mut write: impl FnMut(&Path, &mut String) -> bool) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Place { path, otherwise } => {
                    if !write(path, out) {
                        out.push_str(otherwise);
                    }
                }
            }
        }
    }

    /// The paths that the template reads.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Place { path, .. } => Some(path),
        })
    }
}

/// Parses the content of a placeholder.
fn place(inside: &str) -> Result<Piece, TemplateError> {
    let (path, otherwise) = inside.split_once('|').unwrap_or((inside, ""));
    let path = path.trim();
    if path.is_empty() {
        return Err(TemplateError::NoPath);
    }
    Ok(Piece::Place { path: Path::parse(path), otherwise: otherwise.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rendered(template: &str) -> String {
        let mut out = String::new();
        Template::parse(template).expect("the template is valid").render(&mut out, |path, out| {
            let value = match path.to_string().as_str() {
                "source" => "auth",
                "context.user.id" => "u-7 {x}",
                "größe" => "東",
                _ => return false,
            };
            out.push_str(value);
            true
        });
        out
    }

    #[test]
    fn places_are_filled_and_the_text_between_them_stays() {
        assert_eq!(rendered("{source}: ({context.user.id}) {größe}"), "auth: (u-7 {x}) 東");
        assert_eq!(rendered("no places"), "no places");
        assert_eq!(rendered(""), "");
    }

    #[test]
    fn where_nothing_is_the_text_given_for_that_stands_or_none() {
        assert_eq!(rendered("<{absent}> <{absent|-}> <{ source |x}>"), "<> <-> <auth>");
        assert_eq!(rendered("{absent|a|b}"), "a|b");
    }

    #[test]
    fn two_braces_are_one() {
        assert_eq!(rendered("{{{source}}} {{}}"), "{auth} {}");
    }

    #[test]
    fn a_template_that_means_nothing_is_refused_with_what_is_wrong() {
        for (template, expected) in [
            ("{source", TemplateError::Open),
            ("{source {x}", TemplateError::Open),
            ("source}", TemplateError::Stray),
            ("{ }", TemplateError::NoPath),
            ("{|x}", TemplateError::NoPath),
        ] {
            let error = Template::parse(template).expect_err(template);
            assert_eq!(error, expected, "{template}");
        }
        let many = "{a}".repeat(MAX_TEMPLATE_PIECES + 1);
        assert_eq!(Template::parse(&many).err(), Some(TemplateError::TooLong));
        let long = "a".repeat(MAX_TEMPLATE_BYTES + 1);
        assert_eq!(Template::parse(&long).err(), Some(TemplateError::TooLong));
    }

    proptest! {
        #[test]
        fn text_with_its_braces_doubled_is_written_as_it_was(text in "[a{}é|]{0,20}") {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(rendered(&doubled), text);
        }
    }
}
