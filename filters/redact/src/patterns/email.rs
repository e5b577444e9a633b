//! E-mail addresses, and passwords in URLs.

use crate::classes;
use crate::kind::{Finding, Kind};
use crate::limits::{MAX_DOMAIN_BYTES, MAX_EMAIL_LOCAL_BYTES, MAX_USERINFO_BYTES};

/// The address or password around the `@` at `at`.
#[inline(never)]
pub fn find(text: &[u8], at: usize) -> Option<Finding> {
    url_password(text, at).or_else(|| address(text, at))
}

fn address(text: &[u8], at: usize) -> Option<Finding> {
    let before = &text[at.saturating_sub(MAX_EMAIL_LOCAL_BYTES)..at];
    let local = classes::run_back(before, classes::LOCAL);
    // Leading dots belong to the sentence, not to the address.
    let dots = before[before.len() - local..].iter().take_while(|byte| **byte == b'.').count();
    if local == dots {
        return None;
    }
    let end = at + 1 + domain(&text[at + 1..])?;
    Some(Finding { start: at - local + dots, end, kind: Kind::Email })
}

/// The length of the domain at the start of a text: labels of letters, digits and
/// dashes, the last of two letters or more.
fn domain(text: &[u8]) -> Option<usize> {
    let text = &text[..text.len().min(MAX_DOMAIN_BYTES)];
    let run = &text[..classes::run(text, classes::DOMAIN)];
    // Trailing punctuation is not part of the domain: a full stop, a dash.
    let name = &run[..run.iter().rposition(|byte| classes::is(*byte, classes::WORD))? + 1];
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let top = &name[dot + 1..];
    let labels = &name[..=dot];
    let empty_label = labels[0] == b'.' || labels.windows(2).any(|two| two == b"..");
    let punycode = top.starts_with(b"xn--");
    let letters = top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic);
    (!empty_label && (letters || punycode)).then_some(name.len())
}

/// The password of `scheme://user:password@host`. It may contain an `@`: the last one before the path ends it.
fn url_password(text: &[u8], at: usize) -> Option<Finding> {
    let from = at.saturating_sub(MAX_USERINFO_BYTES);
    let before = &text[from..at];
    let user = (before.len() - classes::run_back(before, classes::USER)).checked_sub(1)?;
    if before[user] != b'/' || !before[..=user].ends_with(b"://") {
        return None;
    }
    let colon = before[user..].iter().position(|byte| *byte == b':')? + user;
    let start = from + colon + 1;
    let ends_host = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'`<>\\".contains(byte);
    let rest = &text[at..text.len().min(at + MAX_USERINFO_BYTES)];
    let rest = &rest[..rest.iter().position(ends_host).unwrap_or(rest.len())];
    let end = at + rest.iter().rposition(|byte| *byte == b'@')?;
    (start < end).then_some(Finding { start, end, kind: Kind::Email })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        let at = text.find('@')?;
        let finding = find(text.as_bytes(), at)?;
        Some(&text[finding.start..finding.end])
    }

    #[test]
    fn addresses_are_found_without_the_punctuation_around_them() {
        for (text, address) in [
            ("ada@example.com", "ada@example.com"),
            ("from <a.b+c@mail.example.co.uk>, ok", "a.b+c@mail.example.co.uk"),
            ("write to ada@example.com.", "ada@example.com"),
            ("...ada@example.com...", "ada@example.com"),
            ("ü:ada@example.org–", "ada@example.org"),
            ("x@1.2.io/", "x@1.2.io"),
            ("mailto:o'brien@example.ie?x", "o'brien@example.ie"),
            ("ada@xn--bcher-kva.xn--p1ai", "ada@xn--bcher-kva.xn--p1ai"),
        ] {
            assert_eq!(found(text), Some(address), "{text}");
        }
    }

    #[test]
    fn other_uses_of_the_sign_are_left_alone() {
        for text in [
            "@ada",
            "ada@",
            "react@18.2.0",
            "a @ b.com",
            "x@host",
            "x@.com",
            "x@a..com",
            "5@3.7",
            "x@a.b",
            "...@example.com",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn the_password_in_a_url_is_found_alone() {
        assert_eq!(found("postgres://weir:hunter2@db.internal:5432/x"), Some("hunter2"));
        assert_eq!(found("redis://:hunter2@cache"), Some("hunter2"));
        assert_eq!(found("postgres://app:p@ssw0rd@db:5432/x"), Some("p@ssw0rd"));
        assert_eq!(found("https://ada:x@host/@ada said ada@example.com"), Some("x"));
        assert_eq!(found("https://example.com/@ada"), None);
        assert_eq!(found("see https://example.com ada@example.com"), Some("ada@example.com"));
    }
}
