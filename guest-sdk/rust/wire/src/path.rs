//! Dotted paths into a record: `context.user.email`, `tags.0`.
//!
//! A path consists of keys separated by dots; in an array, a key is an index.
//! Escape a dot or a backslash inside a key with a backslash: `a\.b` is the key
//! `a.b`. A backslash at the very end of a path stands for itself. So every
//! string is a path; the empty one has one key, the empty string.
//!
//! The SDKs in other languages follow the same rule.

use alloc::borrow::Cow;
use alloc::string::String;

/// The keys of a path, unescaped, outermost first. There is always one.
pub fn keys(path: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(path);
    core::iter::from_fn(move || {
        let (key, after) = next_key(rest?);
        rest = after;
        Some(key)
    })
}

/// The first key of a path, unescaped, and the path after its dot.
pub fn next_key(path: &str) -> (Cow<'_, str>, Option<&str>) {
    // Keys are short: a loop over their bytes is faster than a search.
    match path.bytes().position(|byte| matches!(byte, b'.' | b'\\')) {
        None => (Cow::Borrowed(path), None),
        Some(end) if path.as_bytes()[end] == b'.' => (Cow::Borrowed(&path[..end]), Some(&path[end + 1..])),
        Some(_) => {
            let (key, rest) = unescape(path);
            (Cow::Owned(key), rest)
        }
    }
}

/// The same for a path with a backslash in its first key.
fn unescape(path: &str) -> (String, Option<&str>) {
    let mut key = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => return (key, Some(chars.as_str())),
            '\\' => key.push(chars.next().unwrap_or('\\')),
            c => key.push(c),
        }
    }
    (key, None)
}

/// Appends a key to a path, escaped. The empty string is a path without keys.
pub fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    escape(path, key);
}

/// Appends a key with a backslash before each dot and backslash in it.
pub fn escape(out: &mut String, key: &str) {
    if !key.contains(['.', '\\']) {
        return out.push_str(key);
    }
    for c in key.chars() {
        if matches!(c, '.' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn paths_are_split_at_unescaped_dots() {
        for (path, expected) in [
            ("message", &["message"][..]),
            ("context.user.email", &["context", "user", "email"]),
            ("tags.0", &["tags", "0"]),
            (r"a\.b.c", &["a.b", "c"]),
            (r"a\\.b", &[r"a\", "b"]),
            (r"\n.\é", &["n", "é"]),
            (r"a.b\", &["a", r"b\"]),
            (r"\", &[r"\"]),
            ("", &[""]),
            (".", &["", ""]),
            ("a..b.", &["a", "", "b", ""]),
        ] {
            assert_eq!(keys(path).collect::<Vec<_>>(), expected, "{path}");
        }
    }

    #[test]
    fn escaped_keys_round_trip() {
        let keys_before = ["context", "a.b", r"c\", "é", "0", r"\."];
        let mut path = String::new();
        keys_before.iter().for_each(|key| push_key(&mut path, key));
        assert_eq!(path, r"context.a\.b.c\\.é.0.\\\.");
        assert_eq!(keys(&path).collect::<Vec<_>>(), keys_before);
    }
}
