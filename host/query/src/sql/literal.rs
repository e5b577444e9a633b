//! The text that a pattern needs, as a `LIKE` pattern.
//!
//! `LIKE` ignores the case of ASCII letters and nothing else, while patterns ignore the case of every letter. A letter
//! whose other case is not ASCII (`k` has the Kelvin sign, `s` the long s, `i` the dotless one in Turkish locales) is
//! any one character here, and so is every other character that isn't ASCII: letters differ from their other case in
//! one character only.

use crate::pattern::{Form, Pattern};

/// More wildcards would make `LIKE` try too many ways.
const MAX_WILDCARDS: usize = 6;

/// A `LIKE` pattern that every text with a match passes, unless it contains a NUL, where SQLite's `LIKE` stops.
pub(super) fn like(pattern: &Pattern) -> Option<String> {
    let (text, is_literal, is_whole) = match pattern.form() {
        Form::Words { text, is_literal } => (text, *is_literal, false),
        Form::Value { text, is_literal } => (text, *is_literal, true),
        Form::Regex => return None,
    };
    let mut like = String::new();
    for c in text.chars() {
        match c {
            '*' if !is_literal => like.push('%'),
            '?' if !is_literal && is_whole => like.push('_'),
            'k' | 'K' | 's' | 'S' | 'i' | 'I' | '%' | '\\' => like.push('_'),
            c if c.is_ascii() && c != '\0' => like.push(c),
            _ => like.push('_'),
        }
    }
    if !is_whole {
        like = format!("%{}%", like.trim_matches('%'));
    }
    if like.matches('%').count() > MAX_WILDCARDS {
        let longest = like.split('%').max_by_key(|piece| piece.len()).unwrap_or_default();
        like = format!("%{longest}%");
    }
    Some(like)
}

/// Whether a number, as text, can have a match.
pub(super) fn may_be_number(pattern: &Pattern) -> bool {
    let in_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    match pattern.form() {
        Form::Words { text, is_literal } => text.chars().all(|c| in_number(c) || (c == '*' && !is_literal)),
        Form::Value { text, is_literal } => {
            text.chars().all(|c| in_number(c) || (matches!(c, '*' | '?') && !is_literal))
        }
        Form::Regex => true,
    }
}

/// Whether the text that a pattern needs stands in JSON as it is, because JSON escapes none of it.
pub(super) fn is_plain_in_json(pattern: &Pattern) -> bool {
    match pattern.form() {
        Form::Words { text, .. } | Form::Value { text, .. } => {
            !text.contains(|c: char| c < ' ' || matches!(c, '"' | '\\'))
        }
        Form::Regex => false,
    }
}
