//! Sensitive keys in text: `password=hunter2`, `"api_key": "…"`, and the token
//! after `Bearer`.

use crate::blocks::is_token;
use crate::classes;
use crate::keys::KeySet;
use crate::kind::{Finding, Kind};
use crate::limits::MAX_NAME_LOOKBACK_BYTES;

/// Words between an authorization key and its secret.
const SCHEMES: [&[u8]; 5] = [b"bearer", b"basic", b"digest", b"token", b"apikey"];

/// Values that reveal nothing.
const EMPTY: [&[u8]; 7] = [b"null", b"none", b"nil", b"true", b"false", b"undefined", b"-"];

/// The value assigned by the `=` or `:` at `at`, if the name before it is a
/// sensitive key.
#[inline(never)]
pub fn find(text: &[u8], at: usize, keys: &KeySet) -> Option<Finding> {
    let name = name_before(&text[at.saturating_sub(MAX_NAME_LOOKBACK_BYTES)..at])?;
    if !keys.contains(name) {
        return None;
    }
    let mut start = at + 1;
    // `:=`, `==`, `=>`
    start += text[start..].iter().take_while(|byte| matches!(byte, b'=' | b'>')).count();
    start += spaces(&text[start..]);
    let (opening, quote) = quote(&text[start..]);
    start += opening;
    let mut end = match text.get(start) {
        // JSON: the whole map or list belongs to the key.
        Some(b'{' | b'[') if quote.is_none() => start + nested_len(&text[start..]),
        _ => start + value_len(&text[start..], quote),
    };
    if quote.is_none() && is_scheme(&text[start..end]) {
        let gap = spaces(&text[end..]);
        let len = value_len(&text[end + gap..], None);
        if len > 0 {
            end += gap + len;
        }
    }
    let value = &text[start..end];
    let empty = value.is_empty()
        || value.iter().all(|byte| *byte == b'*')
        || EMPTY.iter().any(|word| value.eq_ignore_ascii_case(word));
    (!empty).then_some(Finding { start, end, kind: Kind::Key })
}

/// The token after `Bearer`; `at` is the space between them.
#[inline(never)]
pub fn find_bearer(text: &[u8], at: usize) -> Option<Finding> {
    let word = at.checked_sub(6)?;
    // A quick test that rejects most other words ending in `r`.
    if text[word] | 0x20 != b'b' {
        return None;
    }
    if !text[word..at].eq_ignore_ascii_case(b"bearer") || word > 0 && text[word - 1].is_ascii_alphanumeric() {
        return None;
    }
    let start = at + spaces(&text[at..]);
    let is_part = |byte: &&u8| is_token(**byte) || matches!(byte, b'.' | b'~' | b'=');
    let token = &text[start..start + text[start..].iter().take_while(is_part).count()];
    // "the bearer of this letter" is prose; tokens are longer or contain digits.
    let plausible = token.len() >= 16 || token.len() >= 6 && token.iter().any(u8::is_ascii_digit);
    plausible.then_some(Finding { start, end: start + token.len(), kind: Kind::Bearer })
}

/// The name at the end of a text, without spaces, quotes and backslashes after
/// it.
fn name_before(text: &[u8]) -> Option<&[u8]> {
    let is_around = |byte: &u8| matches!(byte, b' ' | b'"' | b'\'' | b'\\' | b'`' | b']');
    let end = text.iter().rposition(|byte| !is_around(byte))? + 1;
    let is_name = |byte: &&u8| classes::is(**byte, classes::WORD) || matches!(byte, b'_' | b'-');
    let len = text[..end].iter().rev().take_while(is_name).count();
    (len > 0).then(|| &text[end - len..end])
}

fn spaces(text: &[u8]) -> usize {
    text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// The length of an opening quote, and the quote that closes it. In JSON inside
/// text, the quote is preceded by a backslash.
fn quote(text: &[u8]) -> (usize, Option<u8>) {
    match text {
        [quote @ (b'"' | b'\'' | b'`'), ..] => (1, Some(*quote)),
        [b'\\', b'"', ..] => (2, Some(b'\\')),
        _ => (0, None),
    }
}

fn value_len(text: &[u8], quote: Option<u8>) -> usize {
    let ends = |byte: u8| match quote {
        Some(quote) => byte == quote,
        None => {
            byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'&' | b')' | b']' | b'}' | b'"' | b'\'' | b'<')
        }
    };
    let mut escaped = false;
    for (index, byte) in text.iter().enumerate() {
        if !escaped && ends(*byte) {
            return index;
        }
        escaped = *byte == b'\\' && !escaped && quote.is_some_and(|quote| quote != b'\\');
    }
    text.len()
}

/// The length of a JSON map or list, ignoring brackets in strings; a truncated
/// one extends to the end.
fn nested_len(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut in_text = false;
    let mut escaped = false;
    for (index, byte) in text.iter().enumerate() {
        match byte {
            b'"' if !escaped => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
        if depth == 0 {
            return index + 1;
        }
    }
    text.len()
}

fn is_scheme(word: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}
