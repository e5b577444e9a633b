//! Keys with values: logfmt, and the less strict `key=value`.

use std::borrow::Cow;

use crate::fields::{Fields, ParseError};

const NO_PAIR: ParseError = "it has no key with a value";

/// The characters that separate pairs, and the one between key and value.
#[derive(Debug)]
pub struct Separators {
    pub pairs: Box<[char]>,
    pub key: char,
}

/// logfmt: `key=value key="a value" flag`, separated by white space. A key
/// without a value is true. With `strict`, which is for guessing, every word must
/// be a pair and there must be at least two.
pub fn logfmt(text: &str, strict: bool, fields: &mut Fields) -> Result<(), ParseError> {
    let mut rest = text.trim();
    let mut pairs = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        if key.is_empty() || strict && !is_name(key) {
            return Err("it is not logfmt");
        }
        match after.strip_prefix('=') {
            Some(after) => {
                let (value, after) = value(after, char::is_whitespace)?;
                match value {
                    Written::Bare(text) => fields.guess(key, text)?,
                    Written::Quoted(text) => fields.text(key, &text)?,
                }
                pairs += 1;
                rest = after.trim_start();
            }
            None if strict => return Err("it is not logfmt"),
            None => {
                fields.add(key, true)?;
                rest = after.trim_start();
            }
        }
    }
    if pairs < if strict { 2 } else { 1 } { Err(NO_PAIR) } else { Ok(()) }
}

/// Reads every `key=value` in a text; other words are skipped.
pub fn key_value(text: &str, separators: &Separators, fields: &mut Fields) -> Result<(), ParseError> {
    let parts = |c: char| separators.pairs.contains(&c);
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(parts);
        let Some(end) = rest.find(|c| c == separators.key || parts(c)) else {
            break;
        };
        let (key, after) = rest.split_at(end);
        match after.strip_prefix(separators.key) {
            Some(after) if !key.trim().is_empty() => {
                let (value, after) = value(after, parts)?;
                match value {
                    Written::Bare(text) => fields.guess(key.trim(), text.trim())?,
                    Written::Quoted(text) => fields.text(key.trim(), &text)?,
                }
                rest = after;
            }
            Some(after) => rest = after,
            None => rest = after,
        }
    }
    if fields.is_empty() { Err(NO_PAIR) } else { Ok(()) }
}

enum Written<'t> {
    Bare(&'t str),
    Quoted(Cow<'t, str>),
}

/// Splits the value at the start of a text from the rest.
fn value(text: &str, ends: impl Fn(char) -> bool) -> Result<(Written<'_>, &str), ParseError> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(ends).unwrap_or(text.len());
        let (value, after) = text.split_at(end);
        return Ok((Written::Bare(value), after));
    };
    let (value, after) = quoted(inner).ok_or("a quoted value is not closed")?;
    if after.chars().next().is_some_and(|c| !ends(c)) {
        return Err("there is text directly after a quoted value");
    }
    Ok((Written::Quoted(value), after))
}

/// Reads up to the next quote, with escapes decoded, and returns the rest.
pub fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let plain = text.find(['"', '\\'])?;
    if text[plain..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..plain]), &text[plain + 1..]));
    }
    let mut out = text[..plain].to_owned();
    let mut chars = text[plain..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(out), &text[plain + at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                escaped @ ('"' | '\\' | '/') => out.push(escaped),
                // Unknown escapes are kept as written.
                other => out.extend(['\\', other]),
            },
            c => out.push(c),
        }
    }
    None
}

/// Whether it may be a key: a word, not the punctuation of a sentence.
fn is_name(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@' | b'/'))
}
