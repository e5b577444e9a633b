//! Words, globs and regular expressions. All become one regular expression, which searches in linear time and finds
//! literal text with vector instructions.

use regex::{Regex, RegexBuilder};

use crate::limits::{MAX_PATTERN_BYTES, MAX_SEARCH_CACHE_BYTES};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    form: Form,
}

/// What a pattern was made from. Stores find candidates by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Words in a row, anywhere in the text.
    Words { text: String, is_literal: bool },
    /// The whole text.
    Value { text: String, is_literal: bool },
    /// A regular expression.
    Regex { source: String },
}

impl Pattern {
    /// Words in a row, in any case. In a literal, `*` has no meaning.
    pub fn words(text: &str, is_literal: bool) -> Result<Pattern, regex::Error> {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let mut source = String::new();
        if is_word(text.chars().next()) {
            source.push_str(r"\b");
        }
        if is_literal {
            source.push_str(&regex::escape(text));
        } else {
            push_glob(&mut source, text.trim_matches('*'), r"\w*", None);
        }
        if is_word(text.chars().next_back()) {
            source.push_str(r"\b");
        }
        Pattern::compile(&source, Form::Words { text: text.to_owned(), is_literal })
    }

    /// A whole value, in any case, with `*` and `?`.
    pub fn glob(text: &str) -> Result<Pattern, regex::Error> {
        let mut source = String::from(r"\A");
        push_glob(&mut source, text, ".*", Some("."));
        source.push_str(r"\z");
        Pattern::compile(&source, Form::Value { text: text.to_owned(), is_literal: false })
    }

    /// A whole value, in any case.
    pub fn value(text: &str) -> Result<Pattern, regex::Error> {
        let form = Form::Value { text: text.to_owned(), is_literal: true };
        Pattern::compile(&format!(r"\A{}\z", regex::escape(text)), form)
    }

    /// A regular expression, as it was written.
    pub fn regex(source: &str) -> Result<Pattern, regex::Error> {
        Pattern::build(&mut RegexBuilder::new(source), Form::Regex { source: source.to_owned() })
    }

    fn compile(source: &str, form: Form) -> Result<Pattern, regex::Error> {
        Pattern::build(RegexBuilder::new(source).case_insensitive(true).dot_matches_new_line(true), form)
    }

    fn build(builder: &mut RegexBuilder, form: Form) -> Result<Pattern, regex::Error> {
        let regex = builder.size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_SEARCH_CACHE_BYTES).build()?;
        Ok(Pattern { regex, form })
    }

    pub fn is_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    pub fn form(&self) -> &Form {
        &self.form
    }
}

/// Appends a glob as a regular expression. Without a meaning for `?`, that is a question mark.
fn push_glob(source: &mut String, glob: &str, any: &str, one: Option<&str>) {
    for part in glob.split_inclusive(['*', '?']) {
        let (literal, wildcard) = match (part.strip_suffix('*'), part.strip_suffix('?'), one) {
            (Some(literal), _, _) => (literal, any),
            (_, Some(literal), Some(one)) => (literal, one),
            _ => (part, ""),
        };
        source.push_str(&regex::escape(literal));
        source.push_str(wildcard);
    }
}
