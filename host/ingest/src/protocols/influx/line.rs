//! Lines of the line protocol: `measurement,tag=value field=1i,other="text" 1700000000000`.
//!
//! Read as by `InfluxDB` 1 and 2: in names and tag values, a comma, a space or a `=` is part of the name after a
//! backslash, and every other backslash is one. In a measurement, `=` needs none. In a quoted field, `\"` and `\\`
//! are escapes, and line ends are part of the text. Of fields with the same name, the last one counts; tags with the
//! same name are an error. Lines that begin with `#` are comments. What is not UTF-8 becomes U+FFFD.
//!
//! Invariant: each byte is read a bounded number of times.

use std::{borrow::Cow, collections::HashSet};

/// A line that can be read.
#[derive(Debug)]
pub(super) struct Line<'l> {
    pub(super) measurement: Cow<'l, str>,
    pub(super) tags: Vec<(Cow<'l, str>, Cow<'l, str>)>,
    /// At least one.
    pub(super) fields: Vec<(Cow<'l, str>, Field<'l>)>,
    /// In the unit of the request.
    pub(super) time: Option<i64>,
}

/// The value of a field.
#[derive(Debug, PartialEq)]
pub(super) enum Field<'l> {
    Float(f64),
    Int(i64),
    UInt(u64),
    Bool(bool),
    Text(Cow<'l, str>),
}

/// The lines of a body, without comments and empty lines.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_ascii_start();
            let is_comment = *rest.first()? == b'#';
            let end = if is_comment { rest.iter().position(|byte| *byte == b'\n') } else { line_end(rest) };
            let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            if !is_comment {
                return Some(line.trim_ascii_end());
            }
        }
    })
}

/// The end of the first line: a line end outside of the text of a field.
fn line_end(bytes: &[u8]) -> Option<usize> {
    let (mut is_text, mut has_fields) = (false, false);
    // A text begins where a field has a `=` but no comma after it.
    let (mut equals, mut commas) = (0, 0);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b' ' => has_fields = true,
            b'=' if has_fields && !is_text => equals += 1,
            b',' if has_fields && !is_text => commas += 1,
            b'"' if has_fields && equals > commas => is_text = !is_text,
            b'\n' if !is_text => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

impl<'l> Line<'l> {
    /// Reads a line without white space around it.
    pub(super) fn read(line: &'l [u8]) -> Result<Line<'l>, &'static str> {
        let (name, mut rest) = word(line, b", ");
        if name.is_empty() {
            return Err("missing measurement");
        }
        let mut tags = Vec::new();
        while let Some(after) = rest.strip_prefix(b",") {
            let (key, after) = word(after, b",= ");
            if key.is_empty() {
                return Err("missing tag key");
            }
            let after = after.strip_prefix(b"=").ok_or("missing tag value")?;
            let (value, after) = word(after, b",= ");
            if value.is_empty() {
                return Err("missing tag value");
            }
            if after.first() == Some(&b'=') {
                return Err("invalid tag format");
            }
            tags.push((unescaped(key, b",= "), unescaped(value, b",= ")));
            rest = after;
        }
        if !all_differ(&tags) {
            return Err("duplicate tags");
        }
        let (fields, rest) = fields(rest.trim_ascii_start())?;
        let time = match std::str::from_utf8(rest.trim_ascii()) {
            Ok("") => None,
            Ok(digits) => Some(digits.parse().map_err(|_| "bad timestamp")?),
            Err(_) => return Err("bad timestamp"),
        };
        Ok(Line { measurement: unescaped(name, b",= "), tags, fields: last_of_each(fields), time })
    }
}

/// Fields by name.
type Fields<'l> = Vec<(Cow<'l, str>, Field<'l>)>;

/// The fields at the start of `rest`, and what follows them.
fn fields(mut rest: &[u8]) -> Result<(Fields<'_>, &[u8]), &'static str> {
    let mut fields = Vec::new();
    loop {
        let (key, after) = word(rest, b",= ");
        if key.is_empty() {
            return Err(if fields.is_empty() && rest.is_empty() { "missing fields" } else { "missing field key" });
        }
        let after = after.strip_prefix(b"=").ok_or("invalid field format")?;
        let (value, after) = value(after)?;
        fields.push((unescaped(key, b",= "), value));
        match after.split_first() {
            None => return Ok((fields, after)),
            Some((b',', next)) => rest = next,
            Some((byte, _)) if byte.is_ascii_whitespace() => return Ok((fields, after)),
            Some(_) => return Err("invalid field format"),
        }
    }
}

/// The value of a field, and what follows it.
fn value(bytes: &[u8]) -> Result<(Field<'_>, &[u8]), &'static str> {
    if let Some(text) = bytes.strip_prefix(b"\"") {
        let mut end = 0;
        while *text.get(end).ok_or("unbalanced quotes")? != b'"' {
            end += if text[end] == b'\\' { 2 } else { 1 };
        }
        return Ok((Field::Text(unescaped(&text[..end], b"\"\\")), &text[end + 1..]));
    }
    let is_end = |byte: &u8| *byte == b',' || byte.is_ascii_whitespace();
    let (value, after) = bytes.split_at(bytes.iter().position(is_end).unwrap_or(bytes.len()));
    let text = std::str::from_utf8(value).map_err(|_| "invalid field format")?;
    let field = match text {
        "" => return Err("missing field value"),
        "t" | "T" | "true" | "True" | "TRUE" => Field::Bool(true),
        "f" | "F" | "false" | "False" | "FALSE" => Field::Bool(false),
        _ => number(text)?,
    };
    Ok((field, after))
}

fn number(text: &str) -> Result<Field<'_>, &'static str> {
    let wide = "a number is out of range";
    let is_of =
        |text: &str, more: &str| text.bytes().all(|byte| byte.is_ascii_digit() || more.as_bytes().contains(&byte));
    if let Some(digits) = text.strip_suffix('i').filter(|digits| is_of(digits.trim_start_matches('-'), "")) {
        return digits.parse().map(Field::Int).map_err(|_| wide);
    }
    if let Some(digits) = text.strip_suffix('u').filter(|digits| is_of(digits, "")) {
        return digits.parse().map(Field::UInt).map_err(|_| wide);
    }
    if !is_of(text, ".eE+-") || text.starts_with('+') {
        return Err("invalid field value: it is no number or truth value, and has no quotes");
    }
    let number: f64 = text.parse().map_err(|_| "invalid number")?;
    if number.is_finite() { Ok(Field::Float(number)) } else { Err(wide) }
}

/// The bytes before the first of `ends` that has no backslash before it, and the rest.
fn word<'l>(bytes: &'l [u8], ends: &[u8]) -> (&'l [u8], &'l [u8]) {
    let is_end = |at: &usize| ends.contains(&bytes[*at]) && (*at == 0 || bytes[*at - 1] != b'\\');
    let end = (0..bytes.len()).find(is_end);
    bytes.split_at(end.unwrap_or(bytes.len()))
}

/// Removes the backslashes before these bytes.
fn unescaped<'l>(bytes: &'l [u8], escaped: &[u8]) -> Cow<'l, str> {
    if !bytes.contains(&b'\\') {
        return String::from_utf8_lossy(bytes);
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        match after {
            [next, beyond @ ..] if *first == b'\\' && escaped.contains(next) => {
                plain.push(*next);
                rest = beyond;
            }
            _ => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned().into()
}

fn all_differ<V>(named: &[(Cow<'_, str>, V)]) -> bool {
    let mut seen = HashSet::new();
    named.len() < 2 || named.iter().all(|(name, _)| seen.insert(&**name))
}

fn last_of_each<V>(mut named: Vec<(Cow<'_, str>, V)>) -> Vec<(Cow<'_, str>, V)> {
    if !all_differ(&named) {
        let mut seen = HashSet::new();
        let is_last: Vec<bool> = named.iter().rev().map(|(name, _)| seen.insert(&**name)).collect();
        let mut is_last = is_last.into_iter().rev();
        named.retain(|_| is_last.next().unwrap_or_default());
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Line<'_> {
        Line::read(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn field(value: &str) -> Result<Field<'_>, &'static str> {
        let line: &str = Box::leak(format!("m f={value}").into_boxed_str());
        Line::read(line.as_bytes()).map(|mut line| line.fields.remove(0).1)
    }

    #[test]
    fn values_have_every_type_in_every_spelling() {
        for (text, due) in [
            ("1", Field::Float(1.0)),
            ("-1.5e3", Field::Float(-1500.0)),
            ("1E+2", Field::Float(100.0)),
            (".5", Field::Float(0.5)),
            ("1i", Field::Int(1)),
            ("-9223372036854775808i", Field::Int(i64::MIN)),
            ("18446744073709551615u", Field::UInt(u64::MAX)),
            (r#""a \"b\" \\ \c, =""#, Field::Text(r#"a "b" \ \c, ="#.into())),
            (r#""""#, Field::Text("".into())),
            ("\"a\nb\"", Field::Text("a\nb".into())),
        ] {
            assert_eq!(field(text), Ok(due), "{text}");
        }
        for (truth, spellings) in [(true, "t T true True TRUE"), (false, "f F false False FALSE")] {
            for text in spellings.split(' ') {
                assert_eq!(field(text), Ok(Field::Bool(truth)), "{text}");
            }
        }
        let wrong = [
            "",
            "abc",
            "NaN",
            "inf",
            "+1",
            "1e400",
            "9223372036854775808i",
            "18446744073709551616u",
            "-1u",
            "1.5i",
            "i",
            "--1i",
            "tRUE",
            "\"a",
            "\"a\"b",
            "1,",
            "\"a\\\"",
            "0x1",
            "1e",
            "-",
        ];
        for text in wrong {
            assert!(field(text).is_err(), "{text}: {:?}", field(text));
        }
    }

    #[test]
    fn names_and_tags_are_unescaped() {
        let line = parsed(r"my\ m\,\=x,t\,a\=g\ =v\ 1\,2\=3,path=C:\dir f\ \==2 -5");
        assert_eq!(line.measurement, "my m,=x");
        assert_eq!(line.tags, [("t,a=g ".into(), "v 1,2=3".into()), (Cow::from("path"), Cow::from(r"C:\dir"))]);
        assert_eq!(line.fields, [("f =".into(), Field::Float(2.0))]);
    }

    #[test]
    fn times_and_white_space() {
        assert_eq!(parsed("m f=1 -5").time, Some(-5));
        assert_eq!(parsed("m   f=1   5 ").time, Some(5));
        assert_eq!(parsed("m f=1").time, None);
        for wrong in ["m f=1 x", "m f=1 1.5", "m f=1 5 5", "m f=1 9223372036854775808", "m f=1 g=2"] {
            assert_eq!(Line::read(wrong.as_bytes()).err(), Some("bad timestamp"), "{wrong}");
        }
    }

    #[test]
    fn errors_are_those_of_influxdb() {
        for (line, error) in [
            ("cpu", "missing fields"),
            ("cpu ", "missing fields"),
            (",a=b f=1", "missing measurement"),
            ("cpu, f=1", "missing tag key"),
            ("cpu,=b f=1", "missing tag key"),
            ("cpu,a f=1", "missing tag value"),
            ("cpu,a= f=1", "missing tag value"),
            ("cpu,a=b=c f=1", "invalid tag format"),
            ("cpu,a=b,a=c f=1", "duplicate tags"),
            ("cpu,a=b", "missing fields"),
            ("cpu f", "invalid field format"),
            ("cpu =1", "missing field key"),
            ("cpu f=1,", "missing field key"),
            ("cpu f=", "missing field value"),
            ("cpu f=\"a", "unbalanced quotes"),
        ] {
            assert_eq!(Line::read(line.as_bytes()).err(), Some(error), "{line}");
        }
    }

    #[test]
    fn of_equal_fields_the_last_counts() {
        let line = parsed("m a=1,b=2,a=3");
        assert_eq!(line.fields, [("b".into(), Field::Float(2.0)), ("a".into(), Field::Float(3.0))]);
    }

    #[test]
    fn bodies_have_comments_empty_lines_and_texts_of_several_lines() {
        let body = "# a \"comment, x=\"\n\n  a f=1\r\nb f=\"x\ny=\\\"\n\",g=2 5\n \n\"c\",\"t=x f=1\nd f=\"\\\\\"\n#";
        let lines: Vec<_> = lines(body.as_bytes()).map(|line| std::str::from_utf8(line).expect("text")).collect();
        assert_eq!(lines, ["a f=1", "b f=\"x\ny=\\\"\n\",g=2 5", "\"c\",\"t=x f=1", "d f=\"\\\\\""]);
    }
}
