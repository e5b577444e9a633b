//! The labels of a stream: `{job="shop", level="warn"}` in protobuf, an object in JSON.

use std::borrow::Cow;

use weir_record::Level;

/// Names and values, in the order in which they were sent.
pub(super) type Pairs<'a> = Vec<(Cow<'a, [u8]>, Cow<'a, [u8]>)>;

/// The labels that say where records come from, the best first.
const SOURCES: [&str; 5] = ["service_name", "service", "app", "job", "container"];

/// The names that have a level, the best first.
const LEVELS: [&str; 3] = ["level", "detected_level", "severity"];

/// The source that labels name.
pub(super) fn source<'p>(labels: &'p Pairs<'_>) -> Option<&'p [u8]> {
    SOURCES.iter().find_map(|name| value(labels, name)).filter(|source| !source.is_empty())
}

/// The level that labels or metadata name.
pub(super) fn level(pairs: &Pairs<'_>) -> Option<Level> {
    LEVELS.iter().find_map(|name| Level::parse(str::from_utf8(value(pairs, name)?).ok()?))
}

fn value<'p>(pairs: &'p Pairs<'_>, name: &str) -> Option<&'p [u8]> {
    pairs.iter().rev().find(|(known, _)| **known == *name.as_bytes()).map(|(_, value)| &**value)
}

/// Reads `{name="value", …}`. A value has the escapes of Go; between backquotes, it has none.
pub(super) fn read(text: &[u8]) -> Option<Pairs<'_>> {
    let mut labels = Pairs::new();
    let mut rest = text.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"}")?.trim_ascii();
    while !rest.is_empty() {
        let (label, after) = label(rest)?;
        labels.push(label);
        rest = match after.trim_ascii_start() {
            [] => break,
            [b',', more @ ..] => more.trim_ascii_start(),
            _ => return None,
        };
    }
    Some(labels)
}

type Label<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// A label, and what follows it.
fn label(text: &[u8]) -> Option<(Label<'_>, &[u8])> {
    let (name, rest) = match text {
        [b'"', quoted @ ..] => self::quoted(quoted)?,
        _ => {
            let end = text.iter().position(|byte| matches!(byte, b'=' | b' ' | b',' | b'"'))?;
            (Cow::Borrowed(&text[..end]), &text[end..])
        }
    };
    let value = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (value, rest) = match value {
        [b'"', quoted @ ..] => self::quoted(quoted)?,
        [b'`', raw @ ..] => {
            let end = raw.iter().position(|byte| *byte == b'`')?;
            (Cow::Borrowed(&raw[..end]), &raw[end + 1..])
        }
        _ => return None,
    };
    (!name.is_empty()).then_some(((name, value), rest))
}

/// A text after its opening quote, without its escapes, and what follows its closing quote.
fn quoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    if text[end] == b'"' {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut value = text[..end].to_vec();
    let mut rest = &text[end..];
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some((Cow::Owned(value), after)),
            [b'\\', after @ ..] => escape(after, &mut value)?,
            [byte, after @ ..] => {
                value.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

/// Appends what an escape means, and returns what follows it.
fn escape<'a>(text: &'a [u8], value: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (kind, rest) = text.split_first()?;
    let plain = match kind {
        b'"' | b'\\' | b'\'' => *kind,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'a' => 7,
        b'b' => 8,
        b'v' => 11,
        b'f' => 12,
        b'x' | b'u' | b'U' | b'0'..=b'7' => return number_escape(*kind, text, value),
        _ => return None,
    };
    value.push(plain);
    Some(rest)
}

/// `x41` and `101` are bytes, `u0041` and `U00000041` characters.
fn number_escape<'a>(kind: u8, text: &'a [u8], value: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (from, count, radix) = match kind {
        b'x' => (1, 2, 16),
        b'u' => (1, 4, 16),
        b'U' => (1, 8, 16),
        _ => (0, 3, 8),
    };
    let digits = text.get(from..from + count)?;
    let code = digits.iter().try_fold(0, |sum: u32, digit| {
        Some(sum.wrapping_mul(radix).wrapping_add(char::from(*digit).to_digit(radix)?))
    })?;
    match kind {
        b'u' | b'U' => {
            let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        _ => value.push(u8::try_from(code).ok()?),
    }
    text.get(from + count..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Option<Vec<(String, String)>> {
        let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let labels = read(text.as_bytes())?;
        Some(labels.iter().map(|(name, value)| (text_of(name), text_of(value))).collect())
    }

    #[test]
    fn labels_are_read_with_all_escapes() {
        let due = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(pairs("{}"), due(&[]));
        assert_eq!(pairs(r#"{a="b", c="d\"e"}"#), due(&[("a", "b"), ("c", "d\"e")]));
        assert_eq!(pairs(r#" { a = "b" ,c="}", } "#), due(&[("a", "b"), ("c", "}")]));
        assert_eq!(pairs("{a=`\\d+\"`,_x1=\"\"}"), due(&[("a", "\\d+\""), ("_x1", "")]));
        let escaped = r#"{a="\n\t\r\\\'\x41\101\u00e9\U0001f600\a\b\v\f", "quoted.name"="x"}"#;
        assert_eq!(pairs(escaped), due(&[("a", "\n\t\r\\'AAé😀\x07\x08\x0b\x0c"), ("quoted.name", "x")]));
    }

    #[test]
    fn what_is_no_set_of_labels_is_refused() {
        for text in
            ["", "{", "a=\"b\"", "{a}", "{a=b}", r#"{a="b}"#, r#"{a="b" c="d"}"#, r#"{="b"}"#, r#"{a="\q"}"#, "{,}"]
        {
            assert_eq!(pairs(text), None, "{text}");
        }
    }

    #[test]
    fn source_and_level_come_from_the_best_label() {
        let labels = read(br#"{job="j", app="a", level="", detected_level="WARN", severity="info"}"#).expect("labels");
        assert_eq!(source(&labels), Some(&b"a"[..]));
        assert_eq!(level(&labels), Some(Level::Warning));
        let labels = read(br#"{container="c", level="loud"}"#).expect("labels");
        assert_eq!((source(&labels), level(&labels)), (Some(&b"c"[..]), None));
    }
}
