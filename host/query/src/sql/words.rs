//! The expression for SQLite's search index (FTS5, `unicode61 remove_diacritics 2`) over the columns `message` and
//! `fields`, which has the texts and integers of the other fields.
//!
//! A whole word in a text implies the phrase of its tokens in the index, if the tokenizer ends tokens at least where
//! words end, and folds letters at least as the pattern does. Both hold for the letters of [`folds_alike`] in all
//! texts that the sink has marked as searchable (`sqlite/blocks.rs` in `weir-sinks`). `_` is part of a word but
//! separates tokens, which only makes the phrase less strict. An exact text is in the index as it is, so any character
//! will do there.

use weir_record::Level;
use weir_record::path;

use super::{Table, literal};
use crate::expression::{Expression, Scalar, Test};
use crate::pattern::{Form, Pattern};

/// Longer texts are not looked up.
const MAX_TEXT_BYTES: usize = 512;
/// Shorter beginnings would be found in too many words.
const MIN_PREFIX_CHARS: usize = 3;

pub(super) fn expression(expression: &Expression, table: &Table) -> Option<String> {
    match expression {
        Expression::All(all) => {
            let parts: Vec<_> = all.iter().filter_map(|one| self::expression(one, table)).collect();
            joined(parts, " AND ")
        }
        Expression::Any(any) => {
            let parts: Option<Vec<_>> = any.iter().map(|one| self::expression(one, table)).collect();
            joined(parts?, " OR ")
        }
        Expression::Field { path, test } => field(path, test),
        Expression::AnyField(pattern) => {
            let elsewhere = is_in_scalar(pattern)
                || Level::ALL.iter().any(|level| pattern.is_in(level.as_str()))
                || table.sources.as_ref()?.iter().any(|source| pattern.is_in(source));
            if elsewhere || !literal::is_plain_in_json(pattern) { None } else { phrase_of(pattern) }
        }
        Expression::Not(_) | Expression::Time { .. } | Expression::Level(..) => None,
    }
}

fn joined(mut parts: Vec<String>, operator: &str) -> Option<String> {
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(format!("({})", parts.join(operator))),
    }
}

fn field(path: &str, test: &Test) -> Option<String> {
    let keys: Vec<_> = path::keys(path).collect();
    let column = match (keys[0].as_ref(), keys.len()) {
        ("message", 1) => "message",
        ("message" | "source" | "level" | "timestamp", _) => return None,
        _ => "fields",
    };
    let phrase = match test {
        // Floats and truth values are not in the index.
        Test::Equals(Scalar { number: Some(_), .. }) if column == "fields" => return None,
        Test::Equals(scalar) if column == "fields" && matches!(scalar.text.as_str(), "true" | "false") => return None,
        Test::Equals(scalar) => exact_phrase(&scalar.text)?,
        Test::Matches(pattern) if column == "fields" && is_in_scalar(pattern) => return None,
        Test::Matches(pattern) => phrase_of(pattern)?,
        Test::Exists | Test::Number(..) | Test::Time(..) => return None,
    };
    Some(format!("{column} : {phrase}"))
}

/// Whether it may be in a value that is not in the index.
fn is_in_scalar(pattern: &Pattern) -> bool {
    literal::may_be_number(pattern) || pattern.is_in("true") || pattern.is_in("false")
}

/// The phrase that a text with a match contains.
fn phrase_of(pattern: &Pattern) -> Option<String> {
    let (text, is_literal, one) = match pattern.form() {
        Form::Words { text, is_literal } => (text.as_str(), *is_literal, None),
        Form::Value { text, is_literal } => (text.as_str(), *is_literal, Some('?')),
        Form::Regex { .. } => return None,
    };
    let is_wildcard = |c: char| !is_literal && (c == '*' || Some(c) == one);
    // What follows a wildcard begins within a word.
    let end = text.find(is_wildcard);
    let text = &text[..end.unwrap_or(text.len())];
    if !text.chars().all(folds_alike) {
        return None;
    }
    match end {
        None => quoted(text),
        Some(_) => {
            let last = text.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let is_long = last.is_empty() || last.chars().count() >= MIN_PREFIX_CHARS;
            if is_long { quoted(text).map(|phrase| format!("{phrase} *")) } else { None }
        }
    }
}

fn exact_phrase(text: &str) -> Option<String> {
    if text.chars().any(char::is_control) { None } else { quoted(text) }
}

/// A string of FTS5. One without a token would find nothing.
fn quoted(text: &str) -> Option<String> {
    let fits = text.len() <= MAX_TEXT_BYTES && text.contains(|c: char| c.is_ascii_alphanumeric());
    fits.then(|| format!("\"{}\"", text.replace('"', "\"\"")))
}

/// Whether the tokenizer folds a character and its other cases to the same. A test of `weir-sinks` asks the tokenizer.
pub fn folds_alike(c: char) -> bool {
    let is_latin = matches!(c, '\u{a0}'..='\u{17e}')
        && !matches!(c, 'µ' | 'ª' | 'º' | '²' | '³' | '¹' | '¼'..='¾' | 'İ' | 'ı' | 'ŉ');
    (c.is_ascii() && !c.is_ascii_control()) || is_latin || matches!(c, 'А'..='я' | 'Ё' | 'ё' | 'α'..='ρ' | 'τ'..='ω')
}
