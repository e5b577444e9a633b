//! Whole words that the JSON of every matching record contains, so that a store of JSON lines skips most of them with an
//! index of their words.
//!
//! A word is a run of ASCII letters, digits and `_` that is as long as possible, in any case. Everything else separates
//! words, also every other letter and what JSON escapes. A piece of a query is a required word only if the match, as
//! [`write_json`](weir_record::write_json) writes it, certainly ends on both sides of it: at a character of the query
//! that is no part of a word, at the end of a word or value, but not at a wildcard.
//!
//! Patterns ignore case beyond ASCII: `ſ` (U+017F) matches `s`, and the Kelvin sign (U+212A) matches `k`. A store must
//! not skip a text with one of these two characters, or one in which JSON escapes a printable character.

use weir_record::Level;

use crate::Query;
use crate::expression::{Expression, Relation, Scalar, Test};
use crate::literals::{digits, may_be_time};
use crate::pattern::{Form, Pattern};
use crate::sql::required;

/// Words that are required together or alternatively.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// A word in lower case.
    One(String),
    All(Vec<Words>),
    Any(Vec<Words>),
}

impl Query {
    /// The words that the JSON of every matching record contains. `None` if there are no such words.
    pub fn json_words(&self) -> Option<Words> {
        of(&self.0)
    }
}

fn of(expression: &Expression) -> Option<Words> {
    match expression {
        Expression::All(several) => all(several.iter().filter_map(of).collect()),
        Expression::Any(several) => several.iter().map(of).collect::<Option<_>>().map(Words::Any),
        // Values first: they are rarer than names.
        Expression::Field { path, test } => all(of_value(path, test).into_iter().chain(of_names(path)).collect()),
        // The time is a number for a pattern, but not in JSON.
        Expression::AnyField(pattern) if may_be_time(pattern) => None,
        Expression::AnyField(pattern) => of_pattern(pattern),
        Expression::Level(relation, level) => Some(of_level(*relation, *level)),
        Expression::Not(_) | Expression::Time { .. } => None,
    }
}

fn all(mut words: Vec<Words>) -> Option<Words> {
    if words.len() > 1 { Some(Words::All(words)) } else { words.pop() }
}

fn of_level(relation: Relation, level: Level) -> Words {
    let passing = Level::ALL.into_iter().filter(|found| relation.holds(found.cmp(&level)));
    Words::Any(passing.map(|level| Words::One(level.as_str().to_ascii_lowercase())).collect())
}

/// The keys of a path, except those that every record has and those that may be the index of a list.
fn of_names(path: &str) -> Vec<Words> {
    if path.contains('\\') || matches!(path, "timestamp" | "level" | "source" | "message") {
        return Vec::new();
    }
    let is_plain = |key: &&str| key.chars().all(is_part) && key.chars().any(|c| !c.is_ascii_digit());
    path.split('.').filter(is_plain).map(|key| Words::One(key.to_ascii_lowercase())).collect()
}

fn of_value(path: &str, test: &Test) -> Option<Words> {
    if path.replace('\\', "") == "timestamp" {
        return None;
    }
    match test {
        Test::Matches(pattern) => of_pattern(pattern),
        Test::Equals(scalar) => of_scalar(scalar),
        Test::Exists | Test::Number(..) | Test::Time(..) => None,
    }
}

fn of_pattern(pattern: &Pattern) -> Option<Words> {
    match pattern.form() {
        Form::Words { text, is_literal: false } => whole(text, &['*'], true),
        Form::Value { text, is_literal: false } => whole(text, &['*', '?'], true),
        Form::Words { text, .. } | Form::Value { text, .. } => whole(text, &[], true),
        Form::Regex { source } => whole(required(source)?, &[], false),
    }
}

/// A number may be written with or without a fraction, and as text.
fn of_scalar(scalar: &Scalar) -> Option<Words> {
    let text = whole(&scalar.text, &[], true)?;
    let Some(number) = scalar.number else { return Some(text) };
    let number = whole(&digits(number)?, &[], true)?;
    Some(if number == text { text } else { Words::Any(vec![text, number]) })
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The whole words of a text.
fn whole(text: &str, wildcards: &[char], is_bounded: bool) -> Option<Words> {
    // The two match a letter of ASCII.
    let is_open = |c: char| wildcards.contains(&c) || matches!(c, '\u{17f}' | '\u{212a}');
    all(bounded_words(text.chars(), is_open, is_bounded).into_iter().map(Words::One).collect())
}

/// The words of a text, in lower case, that certainly end on both sides. What touches a character that `is_open` may go
/// on there, and what touches the beginning or end if they are not bounded.
pub(crate) fn bounded_words(
    text: impl Iterator<Item = char>,
    is_open: impl Fn(char) -> bool,
    is_bounded: bool,
) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut begins) = (String::new(), is_bounded);
    for c in text {
        if is_part(c) {
            word.push(c.to_ascii_lowercase());
            continue;
        }
        let word = std::mem::take(&mut word);
        if begins && !word.is_empty() && !is_open(c) {
            words.push(word);
        }
        begins = !is_open(c);
    }
    if begins && !word.is_empty() && is_bounded {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a&(b|c)`
    fn shown(words: &Words) -> String {
        let joined = |several: &[Words], by| several.iter().map(shown).collect::<Vec<_>>().join(by);
        match words {
            Words::One(word) => word.clone(),
            Words::All(several) => joined(several, "&"),
            Words::Any(several) => format!("({})", joined(several, "|")),
        }
    }

    fn words(text: &str) -> Option<String> {
        Query::parse(text, 0).expect("a query").json_words().as_ref().map(shown)
    }

    #[test]
    fn words_that_end_on_both_sides_are_required() {
        for (query, required) in [
            ("Timeout", "timeout"),
            ("\"after 500 ms\"", "after&500&ms"),
            ("user-4711", "user&4711"),
            ("40%", "40"),
            ("reset peer", "reset&peer"),
            ("reset OR peer", "(reset|peer)"),
            ("conn* refused", "refused"),
            ("\"time* out\"", "time&out"),
            ("Zürich", "z&rich"),
            ("*:needle", "needle"),
            ("source:api-*", "api"),
            ("trace_id=ab-12", "ab&12&trace_id"),
            ("context.user.0.id=x", "x&context&user&id"),
            ("status=500", "500&status"),
            ("status=5e2", "(5e2|500)&status"),
            ("status:500", "(500&status|500&status)"),
            ("a.took>250", "a&took"),
            ("refund:*", "refund"),
            ("level>=ERROR", "(error|critical)"),
            ("message~\"in 5 ms, took \\d+\"", "5&ms&took"),
            ("-slow timeout since:1h", "timeout"),
        ] {
            assert_eq!(words(query).as_deref(), Some(required), "{query}");
        }
    }

    #[test]
    fn nothing_is_required_where_a_match_may_go_on() {
        for query in [
            "",
            "time*",
            "*out",
            "t*t",
            "source:ap?",
            "message~timeout",
            "message~\"^timeout\"",
            "NOT timeout",
            "timeout OR -slow",
            "since:1h",
            "*:1700000000",
            "ſource",
            "日本",
            "0=18446744073709551615",
        ] {
            assert_eq!(words(query), None, "{query}");
        }
    }
}
