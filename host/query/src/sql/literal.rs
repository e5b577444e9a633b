//! The text that a pattern needs, as a `LIKE` or `GLOB` pattern.
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
        Form::Words { text, is_literal } => (text.as_str(), *is_literal, false),
        Form::Value { text, is_literal } => (text.as_str(), *is_literal, true),
        Form::Regex { source } => (required(source)?, true, false),
    };
    let in_like = |c: char| match c {
        '*' if !is_literal => '%',
        '?' if !is_literal && is_whole => '_',
        c => in_any_case(c),
    };
    let mut like: String = text.chars().map(in_like).collect();
    if !is_whole {
        like = format!("%{}%", like.trim_matches('%'));
    }
    if like.matches('%').count() > MAX_WILDCARDS {
        let longest = like.split('%').max_by_key(|piece| piece.len()).unwrap_or_default();
        like = format!("%{longest}%");
    }
    Some(like)
}

/// A `LIKE` pattern for the text that a pattern needs, where it stands in JSON as it is.
pub(super) fn in_json(pattern: &Pattern) -> Option<String> {
    like(pattern).filter(|_| is_plain_in_json(pattern))
}

/// Text that is in every text with a match as it is, in the same case.
pub(super) fn same_case(pattern: &Pattern) -> Option<&str> {
    match pattern.form() {
        Form::Regex { source } if !source.starts_with("(?i)") => required(source),
        _ => None,
    }
}

/// A character of a `LIKE` pattern that stands for this one and its other cases.
fn in_any_case(c: char) -> char {
    match c {
        'k' | 'K' | 's' | 'S' | 'i' | 'I' | '%' | '\\' | '\0' => '_',
        c if c.is_ascii() => c,
        _ => '_',
    }
}

/// A `LIKE` pattern that every text passes which contains this one in any case.
pub(super) fn like_text(text: &str) -> String {
    format!("%{}%", text.chars().map(in_any_case).collect::<String>())
}

/// A `GLOB` pattern that every text passes which contains this one as it is. SQLite looks for the first character much
/// faster than it compares the others, so the pattern begins with the rarest one of the first half.
pub(super) fn glob_text(text: &str) -> String {
    // The most common ones in logs first.
    const COMMON: &str = "\" e0123456789ta:,oinsrldcupm./-_{}[]fgbhyvkw";
    let rarity = |c: char| COMMON.find(c).unwrap_or(COMMON.len());
    let first_half = text.char_indices().take_while(|(at, _)| *at <= text.len() / 2);
    // SQLite is slow to find a character that is not ASCII or has a meaning in patterns.
    let is_quick = |c: char| c.is_ascii() && !matches!(c, '*' | '?' | '[');
    let begins = first_half.filter(|(_, c)| is_quick(*c)).max_by_key(|(at, c)| (rarity(*c), std::cmp::Reverse(*at)));
    let begin = begins.map_or(0, |(at, _)| at);
    let mut glob = String::from("*");
    for c in text[begin..].chars() {
        match c {
            '*' | '?' | '[' => glob.extend(['[', c, ']']),
            c => glob.push(c),
        }
    }
    glob.push('*');
    glob
}

/// Whether a number, as text, can have a match.
pub(super) fn may_be_number(pattern: &Pattern) -> bool {
    may_be_of(pattern, |c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E'))
}

/// Whether a text of such characters alone can have a match.
pub(crate) fn may_be_of(pattern: &Pattern, is_such: impl Fn(char) -> bool) -> bool {
    match pattern.form() {
        Form::Words { text, is_literal } => text.chars().all(|c| is_such(c) || (c == '*' && !is_literal)),
        Form::Value { text, is_literal } => text.chars().all(|c| is_such(c) || (matches!(c, '*' | '?') && !is_literal)),
        Form::Regex { source } => required(source).is_none_or(|text| text.chars().all(is_such)),
    }
}

/// Whether the text that a pattern needs stands in JSON as it is, because JSON escapes none of it.
pub(super) fn is_plain_in_json(pattern: &Pattern) -> bool {
    match pattern.form() {
        Form::Words { text, .. } | Form::Value { text, .. } => {
            !text.contains(|c: char| c < ' ' || matches!(c, '"' | '\\'))
        }
        Form::Regex { source } => required(source).is_some(),
    }
}

/// The longest text that every match of a regular expression contains, if that is plain to see: a run of letters, digits
/// and spaces outside of groups and classes. Anything unusual means none.
pub(crate) fn required(source: &str) -> Option<&str> {
    let source = source.strip_prefix("(?i)").unwrap_or(source);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-' | '/' | ':' | '=' | ',' | '@');
    if source.contains("(?") || source.contains("[[") || source.contains("[]") || source.contains("[^]") {
        return None;
    }
    let (mut depth, mut in_class, mut best, mut begin) = (0_usize, false, "", None);
    let mut chars = source.char_indices();
    while let Some((at, c)) = chars.next() {
        let is_part = is_plain(c) && depth == 0 && !in_class;
        if is_part {
            begin = begin.or(Some(at));
            continue;
        }
        // A repetition may make the last character optional.
        let end = if matches!(c, '?' | '*' | '+' | '{') { at.saturating_sub(1) } else { at };
        best = longer(best, begin.take().and_then(|begin| source.get(begin..end)));
        match c {
            '|' if depth == 0 && !in_class => return None,
            // What it escapes or begins is not text, but a class or an assertion.
            '\\' => match chars.next() {
                Some((_, escaped)) if escaped.is_ascii_alphabetic() && !"dDwWsSbBnrt".contains(escaped) => return None,
                _ => {}
            },
            '(' if !in_class => depth += 1,
            ')' if !in_class => depth = depth.checked_sub(1)?,
            // A class within a class.
            '[' if in_class => return None,
            '[' => in_class = true,
            ']' => in_class = false,
            '{' if !in_class => {
                chars.by_ref().find(|(_, c)| *c == '}')?;
            }
            _ => {}
        }
    }
    best = longer(best, begin.and_then(|begin| source.get(begin..)));
    (best.len() > 1).then_some(best)
}

fn longer<'t>(one: &'t str, other: Option<&'t str>) -> &'t str {
    other.filter(|other| other.len() > one.len()).unwrap_or(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_begins_with_a_rare_character() {
        for (text, glob) in [
            ("refund\":", "*fund\":*"),
            ("user4711", "*user4711*"),
            ("a*b?[c]", "*b[?][[]c]*"),
            ("é*é", "*é[*]é*"),
            ("", "**"),
        ] {
            assert_eq!(glob_text(text), glob, "{text}");
        }
    }

    #[test]
    fn the_text_that_a_regular_expression_needs_is_in_every_match() {
        for (source, needed) in [
            (r"took \d+ ms", Some("took ")),
            ("(?i)Time", Some("Time")),
            ("^abc$", Some("abc")),
            ("abcd*ef", Some("abc")),
            ("(optional)? yes", Some(" yes")),
            ("[abc]+def{2}", Some("de")),
            ("[a[bc]de]", None),
            ("[a&&[^b]cd]", None),
            (r"[\[a]bc", Some("bc")),
            ("a|bcd", None),
            (r"\x41bc", None),
            (r"\pLabc", None),
            ("(?x) a b", None),
            ("a(?i)bcd", None),
            ("x{100}yz", Some("yz")),
            (".*", None),
            ("", None),
        ] {
            assert_eq!(required(source), needed, "{source}");
        }
    }
}
