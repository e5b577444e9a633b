//! Finds the parts of a JSON text without converting them: the values of a body, the entries of an object.
//!
//! For protocols whose envelope decides what happens to its parts. Only brackets and strings are followed; the composer
//! reads each part and finds what is wrong in it. Invariants: no recursion, and every byte is read a bounded number of
//! times.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// The values of a body: the items of a list, or values one after another.
pub(super) struct Values<'j> {
    text: &'j [u8],
    at: usize,
    is_list: bool,
    /// Whether a value must follow, after a comma.
    is_due: bool,
    is_over: bool,
}

/// The values of a body. An item is a value, or the offset of what is none.
pub(super) fn values(text: &[u8]) -> Values<'_> {
    let start = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let start = past_space(text, start);
    let is_list = text.get(start) == Some(&b'[');
    Values { text, at: start + usize::from(is_list), is_list, is_due: false, is_over: false }
}

impl<'j> Iterator for Values<'j> {
    type Item = Result<&'j [u8], usize>;

    fn next(&mut self) -> Option<Result<&'j [u8], usize>> {
        if self.is_over {
            return None;
        }
        self.at = past_space(self.text, self.at);
        match (self.text.get(self.at), self.is_list) {
            (None, false) => return None,
            (Some(b']'), true) if !self.is_due => {
                self.is_over = true;
                let rest = past_space(self.text, self.at + 1);
                return (rest < self.text.len()).then_some(Err(rest));
            }
            _ => {}
        }
        let start = self.at;
        let Some(end) = value_end(self.text, start) else {
            self.is_over = true;
            return Some(Err(start));
        };
        self.at = end;
        if self.is_list {
            self.at = past_space(self.text, end);
            match self.text.get(self.at) {
                Some(b',') => (self.at, self.is_due) = (self.at + 1, true),
                Some(b']') => self.is_due = false,
                _ => {
                    self.is_over = true;
                    return Some(Err(self.at));
                }
            }
        }
        Some(Ok(&self.text[start..end]))
    }
}

/// The entries of an object.
pub(super) struct Entries<'j> {
    text: &'j [u8],
    at: usize,
    is_over: bool,
}

/// An entry of an object: its key, and its value as it is written.
pub(super) type Entry<'j> = (Cow<'j, str>, &'j [u8]);

/// The text is not an object, or not from here on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoObject;

/// The entries of an object.
pub(super) fn entries(text: &[u8]) -> Entries<'_> {
    Entries { text, at: 0, is_over: false }
}

impl<'j> Iterator for Entries<'j> {
    type Item = Result<Entry<'j>, NoObject>;

    fn next(&mut self) -> Option<Result<Entry<'j>, NoObject>> {
        if self.is_over {
            return None;
        }
        let entry = self.entry();
        self.is_over |= entry.is_none();
        match entry {
            None => Some(Err(NoObject)),
            Some(_) if self.is_over => None,
            Some(entry) => Some(Ok(entry)),
        }
    }
}

impl<'j> Entries<'j> {
    /// The next entry; after the end of the object, something, and `is_over` is set.
    fn entry(&mut self) -> Option<Entry<'j>> {
        let is_first = self.at == 0;
        self.at = past_space(self.text, self.at);
        match (is_first, self.text.get(self.at)?) {
            (true, b'{') => {
                self.at = past_space(self.text, self.at + 1);
                if self.text.get(self.at) == Some(&b'}') {
                    return self.close();
                }
            }
            (false, b',') => self.at = past_space(self.text, self.at + 1),
            (false, b'}') => return self.close(),
            _ => return None,
        }
        if self.text.get(self.at) != Some(&b'"') {
            return None;
        }
        let end = string_end(self.text, self.at)?;
        let key = string(&self.text[self.at..end])?;
        let colon = past_space(self.text, end);
        if self.text.get(colon) != Some(&b':') {
            return None;
        }
        let start = past_space(self.text, colon + 1);
        self.at = value_end(self.text, start)?;
        Some((key, &self.text[start..self.at]))
    }

    fn close(&mut self) -> Option<Entry<'j>> {
        self.is_over = true;
        (past_space(self.text, self.at + 1) == self.text.len()).then_some((Cow::Borrowed(""), b""))
    }
}

/// The text of a JSON string, with U+FFFD for what is not UTF-8; `None` for another value.
pub(super) fn string(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let decoded = memchr(b'\\', inner).and_then(|_| serde_json::from_slice(value).ok());
    Some(decoded.map_or_else(|| lossy(inner), Cow::Owned))
}

/// The text of a string or of another value.
pub(super) fn scalar(value: &[u8]) -> Cow<'_, str> {
    string(value).unwrap_or_else(|| lossy(value))
}

fn lossy(text: &[u8]) -> Cow<'_, str> {
    // Much faster than looking for what must be replaced.
    std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed)
}

fn past_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The end of the value that starts at `start`.
fn value_end(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0usize);
    loop {
        match *text.get(at)? {
            b'"' => at = string_end(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => {
                depth.checked_sub(1)?;
                at += 1;
            }
            _ => {
                let ends = |byte: &u8| *byte <= b' ' || matches!(byte, b'"' | b',' | b':' | b'{' | b'}' | b'[' | b']');
                let rest = &text[at..];
                // A control character that is not white space is consumed, so that this always advances.
                at += rest.iter().position(ends).unwrap_or(rest.len()).max(1);
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The end of the string whose opening quote is at `start`.
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Result<&str, usize>> {
        values(text.as_bytes()).map(|value| value.map(|value| std::str::from_utf8(value).unwrap())).collect()
    }

    #[test]
    fn values_are_the_items_of_a_list_or_follow_one_another() {
        assert_eq!(all(""), []);
        assert_eq!(all("\u{feff} [ ] "), []);
        assert_eq!(all(r#"{"a":"}"}{"b":[1,{}]} 3"#), [Ok(r#"{"a":"}"}"#), Ok(r#"{"b":[1,{}]}"#), Ok("3")]);
        assert_eq!(all(r#" [ {"a":"\"]"} , "x" ,null]"#), [Ok(r#"{"a":"\"]"}"#), Ok(r#""x""#), Ok("null")]);
    }

    #[test]
    fn what_is_no_value_ends_them_with_its_offset() {
        assert_eq!(all(r#"{"a":1}{"b""#), [Ok(r#"{"a":1}"#), Err(7)]);
        assert_eq!(all("[1,]"), [Ok("1"), Err(3)]);
        assert_eq!(all("[1 2]"), [Err(3)]);
        assert_eq!(all("[1"), [Err(2)]);
        assert_eq!(all("[1] x"), [Ok("1"), Err(4)]);
        assert_eq!(all("}"), [Err(0)]);
        assert_eq!(all(",1"), [Err(0)]);
    }

    fn of(text: &str) -> Vec<Result<(String, &str), NoObject>> {
        let entries = entries(text.as_bytes());
        entries.map(|entry| entry.map(|(key, value)| (key.into_owned(), std::str::from_utf8(value).unwrap()))).collect()
    }

    #[test]
    fn entries_have_their_keys_decoded_and_their_values_as_written() {
        assert_eq!(of(" { } "), []);
        let due = [Ok(("a".to_owned(), "[1, {}]")), Ok(("b\n".to_owned(), "\"x,\\\"}\""))];
        assert_eq!(of(r#" { "a" : [1, {}] , "b\n":"x,\"}" } "#), due);
    }

    #[test]
    fn what_is_no_entry_ends_them() {
        for text in ["", "[]", "1", "{", "{\"a\"}", "{\"a\":}", "{,}", "{} x", "{a:1}", "{\"a\":1}}"] {
            assert_eq!(of(text).last(), Some(&Err(NoObject)), "{text}");
        }
        assert_eq!(of(r#"{"a":1 "b":2}"#), [Ok(("a".to_owned(), "1")), Err(NoObject)]);
    }
}
