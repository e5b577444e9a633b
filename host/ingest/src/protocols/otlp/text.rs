//! JSON text, read value by value.
//!
//! Used by `json`, which knows what must come next. Invariants: nothing here recurses, and every byte is read a bounded
//! number of times.

use std::borrow::Cow;

/// A text and the place in it.
pub(super) struct Text<'j> {
    bytes: &'j [u8],
    at: usize,
}

/// The result of reading something, or what is wrong at the current place.
pub(super) type Step<T = ()> = Result<T, &'static str>;

/// A number without a fraction.
pub(super) enum Integer {
    Exact(i64),
    Float(f64),
}

/// Floats below it have all integers.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

const NO_INTEGER: &str = "expected an integer of 64 bits";

const END: &str = "the JSON ends too early";

impl<'j> Text<'j> {
    pub(super) fn new(bytes: &'j [u8]) -> Text<'j> {
        Text { bytes, at: 0 }
    }

    /// The place of the next byte, and of an error.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.bytes.get(self.at..)?;
        self.at += rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).unwrap_or(rest.len());
        self.bytes.get(self.at).copied()
    }

    pub(super) fn expect(&mut self, wanted: u8, otherwise: &'static str) -> Step {
        match self.peek() {
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(otherwise),
            None => Err(END),
        }
    }

    /// Whether another item follows, rather than `close`. `is_first`: at the opening bracket.
    pub(super) fn another(&mut self, close: u8, is_first: bool) -> Step<bool> {
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(_) if is_first => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(_) => Err("expected `,` or the end of the list or object"),
            None => Err(END),
        }
    }

    pub(super) fn word(&mut self, word: &'static str) -> Step {
        match self.bytes[self.at..].starts_with(word.as_bytes()) {
            true => self.at += word.len(),
            false => return Err("expected a value"),
        }
        Ok(())
    }

    /// A number, or a text that may be one.
    pub(super) fn number(&mut self) -> Step<Cow<'j, [u8]>> {
        if self.peek() == Some(b'"') {
            return self.string();
        }
        let rest = &self.bytes[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        self.at += length;
        if length == 0 { Err("expected a number") } else { Ok(Cow::Borrowed(&rest[..length])) }
    }

    /// An integer of up to 64 bits, with or without a sign. Above `i64::MAX`, its bits.
    pub(super) fn integer(&mut self) -> Step<i64> {
        let start = self.at;
        match self.integer_or_float()? {
            Integer::Exact(value) => Ok(value),
            Integer::Float(_) => {
                self.at = start;
                let number = self.number()?;
                let wide = str::from_utf8(&number).ok().and_then(|text| text.trim().parse::<u64>().ok());
                wide.map(|value| value as i64).ok_or(NO_INTEGER)
            }
        }
    }

    pub(super) fn integer_or_float(&mut self) -> Step<Integer> {
        let number = self.number()?;
        let text = str::from_utf8(&number).map_err(|_| NO_INTEGER)?.trim();
        if let Ok(value) = text.parse() {
            return Ok(Integer::Exact(value));
        }
        // Such as `1e3` and `5.0`.
        let value: f64 = text.parse().map_err(|_| NO_INTEGER)?;
        match value.fract() == 0.0 {
            true if value.abs() < MAX_EXACT => Ok(Integer::Exact(value as i64)),
            true => Ok(Integer::Float(value)),
            false => Err(NO_INTEGER),
        }
    }

    pub(super) fn double(&mut self) -> Step<f64> {
        let number = self.number()?;
        match &*number {
            b"NaN" => Ok(f64::NAN),
            b"Infinity" => Ok(f64::INFINITY),
            b"-Infinity" => Ok(f64::NEG_INFINITY),
            text => str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).ok_or("expected a number"),
        }
    }

    /// A string, without its quotes and escapes.
    pub(super) fn string(&mut self) -> Step<Cow<'j, [u8]>> {
        self.expect(b'"', "expected text in double quotes")?;
        let plain = self.plain();
        if self.bytes.get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_vec();
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => self.escape(&mut text)?,
                Some(_) => return Err("control character in a string; escape it"),
                None => return Err(END),
            }
            text.extend_from_slice(self.plain());
        }
    }

    /// The text up to a quote, a backslash or a control character.
    fn plain(&mut self) -> &'j [u8] {
        let rest = &self.bytes[self.at..];
        let is_special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
        let length = rest.iter().position(is_special).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Step {
        let byte = match self.bytes.get(self.at + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'u') => return self.unicode_escape(text),
            _ => return Err("unknown escape in a string"),
        };
        self.at += 2;
        text.push(byte);
        Ok(())
    }

    fn unicode_escape(&mut self, text: &mut Vec<u8>) -> Step {
        let unit = |at: usize| {
            let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
            digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
        };
        let first = unit(self.at).ok_or("expected four hexadecimal digits after `\\u`")?;
        let (code, length) = match (first, unit(self.at + 6)) {
            (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) => {
                (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
            }
            _ => (first, 6),
        };
        self.at += length;
        // A remaining surrogate was alone.
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// Skips a value: follows strings and brackets, and checks little else.
    pub(super) fn skip(&mut self) -> Step {
        let mut depth = 0_usize;
        loop {
            match self.peek().ok_or(END)? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    self.at += 1;
                    depth += 1;
                    continue;
                }
                b'}' | b']' if depth > 0 => {
                    self.at += 1;
                    depth -= 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    let rest = &self.bytes[self.at..];
                    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                    let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
                    if length == 0 {
                        return Err("expected a value");
                    }
                    self.at += length;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}
