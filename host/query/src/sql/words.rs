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
use crate::expression::{Expression, Test};
use crate::pattern::{Form, Pattern};

/// Longer texts are not looked up.
const MAX_TEXT_BYTES: usize = 512;
/// Shorter beginnings would be found in too many words.
const MIN_PREFIX_CHARS: usize = 3;

/// An expression for the search index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub expression: String,
    /// The [`key_bit`]s of fields that are compared with an integer. A float that equals it is not in the index.
    pub integers: u64,
}

pub(super) fn expression(expression: &Expression, table: &Table) -> Option<Words> {
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
            if elsewhere || !literal::is_plain_in_json(pattern) {
                return None;
            }
            phrase_of(pattern).map(|expression| Words { expression, integers: 0 })
        }
        Expression::Not(_) | Expression::Time { .. } | Expression::Level(..) => None,
    }
}

fn joined(mut parts: Vec<Words>, operator: &str) -> Option<Words> {
    if parts.len() < 2 {
        return parts.pop();
    }
    let integers = parts.iter().fold(0, |bits, part| bits | part.integers);
    let expressions: Vec<_> = parts.into_iter().map(|part| part.expression).collect();
    Some(Words { expression: format!("({})", expressions.join(operator)), integers })
}

fn field(path: &str, test: &Test) -> Option<Words> {
    let keys: Vec<_> = path::keys(path).collect();
    let column = match (keys[0].as_ref(), keys.len()) {
        ("message", 1) => "message",
        ("message" | "source" | "level" | "timestamp", _) => return None,
        _ => "fields",
    };
    let mut integers = 0;
    let phrase = match test {
        Test::Equals(scalar) if column == "message" => exact_phrase(&scalar.text)?,
        // Floats and truth values are not in the index.
        Test::Equals(scalar) => {
            if scalar.number.is_some() {
                // The key of a list is that of its items.
                let named = keys.iter().rposition(|key| key.parse::<usize>().is_err()).unwrap_or_default();
                integers = keys[named..].iter().fold(0, |bits, key| bits | key_bit(key));
            }
            match scalar.text.as_str() {
                "true" | "false" => return None,
                text if scalar.number.is_some() && !is_integer(text) => return None,
                text => exact_phrase(text)?,
            }
        }
        Test::Matches(pattern) if column == "fields" && is_in_scalar(pattern) => match pattern.form() {
            // No float looks like an integer.
            Form::Value { text, .. } if is_integer(text) => exact_phrase(text)?,
            _ => return None,
        },
        Test::Matches(pattern) => phrase_of(pattern)?,
        Test::Exists | Test::Number(..) | Test::Time(..) => return None,
    };
    Some(Words { expression: format!("{column} : {phrase}"), integers })
}

/// Whether a text is an integer as records write it.
fn is_integer(text: &str) -> bool {
    text.parse::<i64>().is_ok_and(|number| number.to_string() == text)
        || text.parse::<u64>().is_ok_and(|number| number.to_string() == text)
}

/// A bit that stands for a key, and for others. A store notes with them which fields have floats without a fraction.
pub fn key_bit(key: &str) -> u64 {
    // FNV-1a; its upper bits depend on every byte.
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    1 << (hash >> 58)
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
        Form::Regex { source } => return phrase_in(literal::required(source)?),
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

/// The phrase within an ASCII text that stands somewhere in others: its first and last word may be parts of words.
fn phrase_in(text: &str) -> Option<String> {
    let is_between = |c: char| !c.is_ascii_alphanumeric();
    let text = &text[text.find(is_between)?..];
    let (whole, last) = text.split_at(text.rfind(is_between)? + 1);
    match last.len() >= MIN_PREFIX_CHARS {
        true => quoted(text).map(|phrase| format!("{phrase} *")),
        false => quoted(whole),
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
