//! Regular expressions, searched for in linear time.
//!
//! The engine simulates all paths through the expression at once, so a search takes at most expression × text steps. It
//! is the fallback engine of `regex`; using it alone makes the module much smaller.
//!
//! Parsed at configuration; searches reuse its memory and don't allocate.

use std::cell::RefCell;
use std::error::Error;

use regex_automata::nfa::thompson::pikevm::{Cache, PikeVM};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use thiserror::Error;

use crate::limits::{MAX_PATTERN_BYTES, MAX_REGEX_BYTES};

/// An invalid regular expression.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    #[error("it has {0} bytes, more than the {MAX_PATTERN_BYTES} allowed")]
    TooLong(usize),
    #[error("the compiled expression is larger than {MAX_REGEX_BYTES} bytes; use smaller repetitions")]
    TooLarge,
    #[error("`{pattern}` is not a valid regular expression: {reason}")]
    Syntax { pattern: String, reason: String },
}

/// A compiled regular expression and its reusable search memory.
#[derive(Debug)]
pub struct Pattern {
    engine: PikeVM,
    cache: RefCell<Cache>,
}

impl Pattern {
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong(pattern.len()));
        }
        let bounds = thompson::Config::new().nfa_size_limit(Some(MAX_REGEX_BYTES)).which_captures(WhichCaptures::None);
        let engine = PikeVM::builder().thompson(bounds).build(pattern).map_err(|error| {
            if error.size_limit().is_some() {
                return PatternError::TooLarge;
            }
            // The error shows the pattern and the position over several lines; the last line gives the reason.
            let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            PatternError::Syntax { pattern: pattern.to_owned(), reason: reason.to_owned() }
        })?;
        let cache = RefCell::new(engine.create_cache());
        Ok(Pattern { engine, cache })
    }

    /// Whether the text contains a match.
    pub fn is_match(&self, text: &str) -> bool {
        self.engine.is_match(&mut self.cache.borrow_mut(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_expression_or_too_much_of_one_is_refused_with_the_reason() {
        let error = |pattern: &str| Pattern::parse(pattern).map(|_| ()).expect_err("refused").to_string();
        assert_eq!(error("a("), "`a(` is not a valid regular expression: unclosed group");
        assert!(error("(?=a)").contains("look-around"), "{}", error("(?=a)"));
        assert_eq!(
            Pattern::parse("\\w{500}{500}").map(|_| ()),
            Err(PatternError::TooLarge),
            "the bound holds while it is compiled"
        );
        let long = "a".repeat(MAX_PATTERN_BYTES + 1);
        assert_eq!(Pattern::parse(&long).map(|_| ()), Err(PatternError::TooLong(long.len())));
    }

    proptest! {
        #[test]
        fn it_finds_what_the_crate_regex_finds(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "É", "(?i:é)", ".", "\\w", "\\b", "^", "$", "[^a]", "a*", "(a|bc)+", "\\d?", "b{1,2}",
                ]),
                0..6,
            ),
            text in "[abcéÉ1 \n]{0,12}",
        ) {
            let pattern = parts.concat();
            let expected = regex::Regex::new(&pattern).expect("the parts are valid").is_match(&text);
            let found = Pattern::parse(&pattern).expect("the parts are valid").is_match(&text);
            prop_assert_eq!(found, expected, "{}", pattern);
        }
    }
}
