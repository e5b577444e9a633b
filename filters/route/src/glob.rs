//! Globs: patterns that match a whole text, simpler than regular expressions.
//!
//! | in a pattern | matches |
//! |---|---|
//! | `*` | any characters or none, including dots and slashes |
//! | `?` | one character |
//! | `[a-z_]` | one of these characters; `[!a-z]` one that is not among them |
//! | `\` | the next character literally |
//!
//! Parsed at configuration; matching does not allocate. Invariant: matching takes
//! at most pattern × text steps, because only the last `*` is ever tried again.
//!
//! Written by hand, because `globset` makes a module 770 KB larger, this file 3 KB,
//! and in the small `fast-glob` (5 KB) a `*` stops at a slash and a mistake in a
//! pattern is not reported.

use thiserror::Error;

use crate::limits::MAX_PATTERN_BYTES;

/// A syntax error in a glob.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GlobError {
    #[error("a `[` has no closing `]`; write `\\[` for a literal `[`")]
    OpenSet,
    #[error("`[]` is an empty set; write `\\[` for a literal `[`")]
    EmptySet,
    #[error("the range `{0}-{1}` is reversed")]
    Range(char, char),
    #[error("`\\` is the last character; write `\\\\` for a literal backslash")]
    LoneBackslash,
    #[error("it has {0} bytes, more than the {MAX_PATTERN_BYTES} allowed")]
    TooLong(usize),
}

/// A parsed glob.
#[derive(Debug, Clone)]
pub struct Glob {
    tokens: Box<[Token]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    AnyRun,
    AnyOne,
    One(char),
    Set { negated: bool, ranges: Box<[(char, char)]> },
}

impl Token {
    /// Whether it matches this character. Not called for `AnyRun`.
    fn takes(&self, character: char) -> bool {
        match self {
            Token::AnyRun => false,
            Token::AnyOne => true,
            Token::One(one) => *one == character,
            Token::Set { negated, ranges } => {
                let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                inside != *negated
            }
        }
    }
}

impl Glob {
    pub fn parse(pattern: &str) -> Result<Self, GlobError> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(GlobError::TooLong(pattern.len()));
        }
        let mut tokens = Vec::new();
        let mut rest = pattern.chars();
        while let Some(character) = rest.next() {
            let token = match character {
                '*' => Token::AnyRun,
                '?' => Token::AnyOne,
                '[' => set(&mut rest)?,
                '\\' => Token::One(rest.next().ok_or(GlobError::LoneBackslash)?),
                other => Token::One(other),
            };
            // Two stars in a row are the same as one.
            if !(token == Token::AnyRun && tokens.last() == Some(&Token::AnyRun)) {
                tokens.push(token);
            }
        }
        Ok(Glob { tokens: tokens.into_boxed_slice() })
    }

    /// Whether the pattern matches the whole text.
    pub fn is_match(&self, text: &str) -> bool {
        let (mut token, mut rest) = (0, text);
        // Where to resume if the characters after the last star don't match:
        // after that star, with one more character consumed by it.
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let mut after = rest.chars();
            let next = after.next();
            match (self.tokens.get(token), next) {
                (Some(Token::AnyRun), _) => {
                    token += 1;
                    retry = Some((token, rest));
                    continue;
                }
                (Some(one), Some(character)) if one.takes(character) => {
                    token += 1;
                    rest = after.as_str();
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            let Some((behind_star, from)) = retry else {
                return false;
            };
            let mut shorter = from.chars();
            if shorter.next().is_none() {
                return false;
            }
            retry = Some((behind_star, shorter.as_str()));
            token = behind_star;
            rest = shorter.as_str();
        }
    }
}

/// Parses a set after its `[`.
fn set(rest: &mut std::str::Chars<'_>) -> Result<Token, GlobError> {
    let mut ranges = Vec::new();
    let negated = rest.as_str().starts_with(['!', '^']);
    if negated {
        rest.next();
    }
    loop {
        let low = match rest.next().ok_or(GlobError::OpenSet)? {
            ']' if ranges.is_empty() => return Err(GlobError::EmptySet),
            ']' => break,
            '\\' => rest.next().ok_or(GlobError::OpenSet)?,
            other => other,
        };
        // A `-` forms a range unless it is the last character of the set.
        let mut ahead = rest.clone();
        let high = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(high)) if high != ']' => {
                let high = if high == '\\' { ahead.next().ok_or(GlobError::OpenSet)? } else { high };
                *rest = ahead;
                high
            }
            _ => low,
        };
        if low > high {
            return Err(GlobError::Range(low, high));
        }
        ranges.push((low, high));
    }
    Ok(Token::Set { negated, ranges: ranges.into_boxed_slice() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::Regex;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(text)
    }

    #[test]
    fn a_pattern_stands_for_the_whole_text() {
        assert!(matches("api", "api"));
        assert!(!matches("api", "api-2"));
        assert!(!matches("api", "my api"));
        assert!(matches("", ""));
        assert!(!matches("", "a"));
    }

    #[test]
    fn stars_take_any_run_of_characters_dots_and_slashes_included() {
        assert!(matches("*", ""));
        assert!(matches("api-*", "api-"));
        assert!(matches("api-*", "api-eu/v1.2"));
        assert!(matches("*.db.*", "eu.db.orders"));
        assert!(!matches("*.db.*", "eu.dbs.orders"));
        assert!(matches("a*b**c", "a-b-b-c"));
        assert!(!matches("a*b*c", "a-b-b-d"));
    }

    #[test]
    fn a_question_mark_takes_one_character_of_any_script() {
        assert!(matches("?", "é"));
        assert!(matches("東?", "東京"));
        assert!(!matches("?", ""));
        assert!(!matches("?", "ab"));
    }

    #[test]
    fn sets_take_one_character_and_can_be_negated() {
        assert!(matches("v[0-9]", "v7"));
        assert!(!matches("v[!0-9]", "v7"));
        assert!(matches("v[^0-9]", "vx"));
        assert!(matches("[a\\]-]", "]"));
        assert!(matches("[a\\]-]", "-"));
        assert!(matches("[α-ω]*", "λόγος"));
    }

    #[test]
    fn a_backslash_takes_the_special_meaning_away() {
        assert!(matches("\\*\\?\\[\\\\", "*?[\\"));
        assert!(!matches("\\*", "a"));
    }

    #[test]
    fn a_pattern_that_means_nothing_is_refused_with_what_is_wrong() {
        for (pattern, expected) in [
            ("[abc", GlobError::OpenSet),
            ("[]", GlobError::EmptySet),
            ("[z-a]", GlobError::Range('z', 'a')),
            ("a\\", GlobError::LoneBackslash),
            ("[a\\", GlobError::OpenSet),
        ] {
            let error = Glob::parse(pattern).expect_err(pattern);
            assert_eq!(error, expected, "{pattern}");
        }
        let long = "a".repeat(MAX_PATTERN_BYTES + 1);
        assert!(matches!(Glob::parse(&long), Err(GlobError::TooLong(_))));
    }

    /// The same pattern as a regular expression, built independently of the
    /// parser.
    fn as_regex(pattern: &[&str]) -> Regex {
        let body: String = pattern
            .iter()
            .map(|token| match *token {
                "*" => ".*".to_owned(),
                "?" => ".".to_owned(),
                "[!a-b]" => "[^a-b]".to_owned(),
                set if set.len() > 1 => set.to_owned(),
                one => regex::escape(one),
            })
            .collect();
        Regex::new(&format!("^(?s:{body})$")).expect("escaped literals make a valid expression")
    }

    proptest! {
        #[test]
        fn a_glob_decides_as_the_regular_expression_of_the_same_meaning(
            pattern in prop::collection::vec(
                prop::sample::select(vec!["*", "?", "a", "b", "c", ".", "é", "[a-b]", "[!a-b]", "[é.]"]),
                0..10,
            ),
            text in "[abc.é\n]{0,14}",
        ) {
            prop_assert_eq!(matches(&pattern.concat(), &text), as_regex(&pattern).is_match(&text));
        }

        #[test]
        fn no_pattern_causes_a_panic(pattern in ".{0,20}", text in ".{0,20}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                let _ = glob.is_match(&text);
            }
        }
    }
}
