//! Regular expressions, searched for in linear time.

use regex::{Regex, RegexBuilder};
use thiserror::Error;

use crate::limits::{MAX_PATTERN_BYTES, MAX_REGEX_BYTES, MAX_REGEX_CACHE_BYTES};

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

/// Compiles a regular expression.
pub fn parse(pattern: &str) -> Result<Regex, PatternError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(PatternError::TooLong(pattern.len()));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(MAX_REGEX_BYTES).dfa_size_limit(MAX_REGEX_CACHE_BYTES).build().map_err(|error| {
        if matches!(error, regex::Error::CompiledTooBig(_)) {
            return PatternError::TooLarge;
        }
        // The error shows the pattern and the position over several lines; the last line gives the reason.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        PatternError::Syntax { pattern: pattern.to_owned(), reason: reason.to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_expression_or_too_much_of_one_is_refused_with_the_reason() {
        let error = |pattern: &str| parse(pattern).expect_err("refused").to_string();
        assert_eq!(error("a("), "`a(` is not a valid regular expression: unclosed group");
        assert!(error("(?=a)").contains("look-around"), "{}", error("(?=a)"));
        assert_eq!(
            parse("\\w{500}{500}").map(|_| ()),
            Err(PatternError::TooLarge),
            "the bound holds while it is compiled"
        );
        let long = "a".repeat(MAX_PATTERN_BYTES + 1);
        assert_eq!(parse(&long).map(|_| ()), Err(PatternError::TooLong(long.len())));
    }
}
