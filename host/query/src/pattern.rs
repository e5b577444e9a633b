//! Words, globs and regular expressions. All become one regular expression, which searches in linear time and finds
//! literal text with vector instructions.

use regex::{Regex, RegexBuilder};

use crate::limits::{MAX_PATTERN_BYTES, MAX_SEARCH_CACHE_BYTES};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

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
        Pattern::compile(&source, true)
    }

    /// A whole value, in any case, with `*` and `?`.
    pub fn glob(text: &str) -> Result<Pattern, regex::Error> {
        let mut source = String::from(r"\A");
        push_glob(&mut source, text, ".*", Some("."));
        source.push_str(r"\z");
        Pattern::compile(&source, true)
    }

    /// A whole value, in any case.
    pub fn value(text: &str) -> Result<Pattern, regex::Error> {
        Pattern::compile(&format!(r"\A{}\z", regex::escape(text)), true)
    }

    /// A regular expression, as it was written.
    pub fn regex(source: &str) -> Result<Pattern, regex::Error> {
        Pattern::build(&mut RegexBuilder::new(source))
    }

    fn compile(source: &str, ignores_case: bool) -> Result<Pattern, regex::Error> {
        let mut builder = RegexBuilder::new(source);
        Pattern::build(builder.case_insensitive(ignores_case).dot_matches_new_line(true))
    }

    fn build(builder: &mut RegexBuilder) -> Result<Pattern, regex::Error> {
        builder.size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_SEARCH_CACHE_BYTES).build().map(Pattern)
    }

    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
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
