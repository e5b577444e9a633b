//! Converts one JSON value to MessagePack in one pass, without a tree or a tape. Strings are scanned a machine word at
//! a time and copied once.
//!
//! Invariants: recursion is limited to [`MAX_DEPTH`]; skipping does not recurse; every byte of a body is read a bounded
//! number of times.
//!
//! It accepts more than the standard where the meaning is clear: `NaN`, `Infinity` and `-Infinity` (as Python writes
//! them) are floats. Invalid UTF-8 and lone surrogates become U+FFFD. A number that neither 64 bits nor a float can
//! represent is kept as its text, see [`wide_float`].

use crate::arrival::{ReadError, RecordFault};
use crate::keys::{ARRAY, Fingerprints, KeySet, MAP, fingerprint, patch_header};
use crate::limits::MAX_DEPTH;
use crate::scan::{is_special, plain_prefix};
use crate::write;

pub(crate) struct Json<'j> {
    input: &'j [u8],
    at: usize,
    /// The last string with escapes or invalid UTF-8, decoded.
    unescaped: Vec<u8>,
}

const END: &str = "JSON ends too early";

impl<'j> Json<'j> {
    pub(crate) fn new(input: &'j [u8]) -> Json<'j> {
        Json { input, at: 0, unescaped: Vec::new() }
    }

    /// The current position, which is that of the error after a [`ReadError`].
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn move_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Returns the next byte that is not white space, without consuming it.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let byte = *self.input.get(self.at)?;
        if byte > b' ' { Some(byte) } else { self.peek_past_space() }
    }

    fn peek_past_space(&mut self) -> Option<u8> {
        loop {
            let byte = *self.input.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Consumes the next byte after white space, which must be `wanted`.
    #[inline(always)]
    pub(crate) fn expect(&mut self, wanted: u8, otherwise: &'static str) -> Result<(), ReadError> {
        match self.peek() {
            Some(byte) if byte == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(ReadError::Syntax(otherwise)),
            None => Err(ReadError::Syntax(END)),
        }
    }

    /// After an item: returns true if another one follows, false at the closing bracket.
    #[inline(always)]
    pub(crate) fn another(&mut self, close: u8, otherwise: &'static str) -> Result<bool, ReadError> {
        let byte = self.peek().ok_or(ReadError::Syntax(END))?;
        if byte != b',' && byte != close {
            return Err(ReadError::Syntax(otherwise));
        }
        self.at += 1;
        Ok(byte == b',')
    }

    /// After an opening bracket: consumes the closing bracket if it is next.
    #[inline(always)]
    pub(crate) fn closes_immediately(&mut self, close: u8) -> bool {
        let closes = self.peek() == Some(close);
        self.at += usize::from(closes);
        closes
    }

    /// Reads a key and its colon.
    #[inline(always)]
    pub(crate) fn key(&mut self, scratch: &mut Vec<u8>) -> Result<Key<'j>, ReadError> {
        self.expect(b'"', "expected a key in double quotes")?;
        let key = match self.plain_string()? {
            Some(key) => Key::Plain(key),
            None => {
                std::mem::swap(scratch, &mut self.unescaped);
                Key::Scratch
            }
        };
        self.expect(b':', "expected `:` after a key")?;
        Ok(key)
    }

    /// Reads one value and appends it. `depth` is the depth of the value if it is a list or map.
    pub(crate) fn value(
        &mut self,
        out: &mut Vec<u8>,
        fingerprints: &mut Fingerprints,
        depth: usize,
    ) -> Result<(), ReadError> {
        match self.peek().ok_or(ReadError::Syntax(END))? {
            b'"' => {
                self.at += 1;
                let start = self.at;
                match self.plain_string()? {
                    Some(text) => write::str_prefix(out, &self.input[start..], text.len()),
                    None => write::str_bytes(out, &self.unescaped),
                }
                Ok(())
            }
            b'{' | b'[' if depth > MAX_DEPTH => Err(ReadError::Record(RecordFault::TooDeep)),
            b'{' => self.object(out, fingerprints, depth),
            b'[' => self.array(out, fingerprints, depth),
            b'0'..=b'9' | b'-' => self.number(out),
            b't' => self.literal(b"true").map(|()| write::bool(out, true)),
            b'f' => self.literal(b"false").map(|()| write::bool(out, false)),
            b'n' => self.literal(b"null").map(|()| write::nil(out)),
            b'N' => self.literal(b"NaN").map(|()| write::float(out, f64::NAN)),
            b'I' => self.literal(b"Infinity").map(|()| write::float(out, f64::INFINITY)),
            _ => Err(ReadError::Syntax("expected a value")),
        }
    }

    fn object(&mut self, out: &mut Vec<u8>, fingerprints: &mut Fingerprints, depth: usize) -> Result<(), ReadError> {
        self.at += 1;
        let header = out.len();
        out.push(MAP[0]);
        if self.closes_immediately(b'}') {
            return Ok(());
        }
        let mut keys = KeySet::new(fingerprints);
        loop {
            self.expect(b'"', "expected a key in double quotes")?;
            let start = self.at;
            let print = match self.plain_string()? {
                Some(key) => {
                    write::str_prefix(out, &self.input[start..], key.len());
                    fingerprint(key)
                }
                None => {
                    write::str_bytes(out, &self.unescaped);
                    fingerprint(&self.unescaped)
                }
            };
            self.expect(b':', "expected `:` after a key")?;
            keys.add(print, fingerprints);
            self.value(out, fingerprints, depth + 1)?;
            if !self.another(b'}', "expected `,` or `}`")? {
                break;
            }
        }
        let count = keys.finish(fingerprints, out, header + 1);
        patch_header(out, header, count, MAP);
        Ok(())
    }

    fn array(&mut self, out: &mut Vec<u8>, fingerprints: &mut Fingerprints, depth: usize) -> Result<(), ReadError> {
        self.at += 1;
        let header = out.len();
        out.push(ARRAY[0]);
        if self.closes_immediately(b']') {
            return Ok(());
        }
        let mut count = 1;
        loop {
            self.value(out, fingerprints, depth + 1)?;
            if !self.another(b']', "expected `,` or `]`")? {
                break;
            }
            count += 1;
        }
        patch_header(out, header, count, ARRAY);
        Ok(())
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), ReadError> {
        if !self.input[self.at..].starts_with(word) {
            return Err(ReadError::Syntax("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads a string after its opening quote. `None` means that it was decoded to `unescaped`.
    #[inline(always)]
    fn plain_string(&mut self) -> Result<Option<&'j [u8]>, ReadError> {
        let rest = &self.input[self.at..];
        let (len, ascii) = plain_prefix(rest);
        if rest.get(len) == Some(&b'"') && (ascii || std::str::from_utf8(&rest[..len]).is_ok()) {
            self.at += len + 1;
            return Ok(Some(&rest[..len]));
        }
        self.changed_string().map(|()| None)
    }

    #[inline(never)]
    fn changed_string(&mut self) -> Result<(), ReadError> {
        self.unescaped.clear();
        loop {
            let rest = &self.input[self.at..];
            let (len, ascii) = plain_prefix(rest);
            // Text is only split at ASCII bytes, so each part can be validated separately.
            if ascii {
                self.unescaped.extend_from_slice(&rest[..len]);
            } else {
                self.unescaped.extend_from_slice(String::from_utf8_lossy(&rest[..len]).as_bytes());
            }
            self.at += len;
            match self.input.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(ReadError::Syntax("control character in a string; escape it")),
                None => return Err(ReadError::Syntax("string without an end")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), ReadError> {
        let plain = match self.input.get(self.at + 1) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(ReadError::Syntax("unknown escape in a string")),
        };
        self.at += 2;
        self.unescaped.push(plain);
        Ok(())
    }

    fn unicode_escape(&mut self) -> Result<(), ReadError> {
        let first = self.hex4(self.at + 2).ok_or(ReadError::Syntax("expected four hexadecimal digits after `\\u`"))?;
        self.at += 6;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first)
            && self.input[self.at..].starts_with(b"\\u")
            && let Some(second @ 0xdc00..=0xdfff) = self.hex4(self.at + 2)
        {
            self.at += 6;
            code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        }
        // A remaining surrogate was alone.
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.unescaped.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.input.get(at..at + 4)?;
        digits.iter().try_fold(0, |sum, &digit| Some(sum << 4 | char::from(digit).to_digit(16)?))
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let start = self.at;
        let rest = &self.input[start..];
        let negative = rest[0] == b'-';
        let digits_at = usize::from(negative);
        let mut len = digits_at;
        let mut whole = 0u64;
        while let Some(digit @ b'0'..=b'9') = rest.get(len) {
            whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            len += 1;
        }
        let digits = len - digits_at;
        if digits == 0 {
            if negative && rest[1..].starts_with(b"Infinity") {
                self.at += 1 + b"Infinity".len();
                write::float(out, f64::NEG_INFINITY);
                return Ok(());
            }
            return Err(ReadError::Syntax("expected a digit after `-`"));
        }
        if digits > 1 && rest[digits_at] == b'0' {
            return Err(ReadError::Syntax("number with a leading zero"));
        }
        let fraction = matches!(rest.get(len), Some(b'.' | b'e' | b'E'));
        if fraction && let Some((size, len)) = short_float(rest, len, digits, whole) {
            self.at += len;
            write::float(out, if negative { -size } else { size });
            return Ok(());
        }
        if fraction || digits > 18 || (negative && whole == 0) {
            return self.wide_number(out);
        }
        self.at += len;
        write::int(out, if negative { -(whole as i64) } else { whole as i64 });
        Ok(())
    }

    /// A number with a fraction or an exponent, with many digits, or minus zero.
    fn wide_number(&mut self, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let rest = &self.input[self.at..];
        let digits = |from: usize| rest[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut len = usize::from(rest[0] == b'-');
        len += digits(len);
        let whole = len;
        if rest.get(len) == Some(&b'.') {
            let fraction = digits(len + 1);
            if fraction == 0 {
                return Err(ReadError::Syntax("expected a digit after `.`"));
            }
            len += 1 + fraction;
        }
        if let Some(b'e' | b'E') = rest.get(len) {
            len += 1 + usize::from(matches!(rest.get(len + 1), Some(b'+' | b'-')));
            let exponent = digits(len);
            if exponent == 0 {
                return Err(ReadError::Syntax("expected a digit in the exponent"));
            }
            len += exponent;
        }
        // Only ASCII was consumed.
        let text = std::str::from_utf8(&rest[..len]).map_err(|_| ReadError::Syntax("expected a number"))?;
        self.at += len;
        if len == whole && text != "-0" {
            if let Ok(number) = text.parse::<i64>() {
                write::int(out, number);
                return Ok(());
            }
            if let Ok(number) = text.parse::<u64>() {
                write::uint(out, number);
                return Ok(());
            }
        }
        match wide_float(text, len == whole) {
            Some(number) => write::float(out, number),
            None => write::str(out, text),
        }
        Ok(())
    }

    /// Skips one value without parsing it: follows strings and brackets, and checks nothing else.
    pub(crate) fn skip_value(&mut self) -> Result<(), ReadError> {
        let mut depth = 0usize;
        loop {
            match self.peek().ok_or(ReadError::Syntax(END))? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                b'}' | b']' | b',' | b':' => return Err(ReadError::Syntax("expected a value")),
                _ => {
                    let ends = |b: &u8| *b <= b' ' || matches!(b, b'"' | b',' | b':' | b'{' | b'}' | b'[' | b']');
                    let rest = &self.input[self.at..];
                    // A control character that is not white space is consumed, so that this always advances.
                    self.at += rest.iter().position(ends).unwrap_or(rest.len()).max(1);
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), ReadError> {
        self.at += 1;
        loop {
            self.at += plain_prefix(&self.input[self.at..]).0;
            match self.input.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.at = (self.at + 2).min(self.input.len()),
                Some(&byte) if is_special(byte) => {
                    return Err(ReadError::Syntax("control character in a string; escape it"));
                }
                _ => return Err(ReadError::Syntax("string without an end")),
            }
        }
    }
}

/// Reads the rest of a number with a decimal point and at most fifteen digits, whose first digits have been read. Both
/// parts of the quotient are then exact floats, so the result is the nearest float. Also returns the length of the
/// number.
fn short_float(rest: &[u8], point: usize, digits: usize, mut whole: u64) -> Option<(f64, usize)> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let decimals = rest.get(point + 1..)?;
    let mut len = 0;
    while let Some(digit @ b'0'..=b'9') = decimals.get(len) {
        whole = whole.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        len += 1;
    }
    let short = rest[point] == b'.' && len > 0 && digits + len <= 15;
    if !short || matches!(decimals.get(len), Some(b'e' | b'E')) {
        return None;
    }
    Some((whole as f64 / POWERS[len], point + 1 + len))
}

/// The float for a JSON number, if there is one. For a number with a fraction or an exponent: the nearest float, unless
/// that is infinity, or zero for a number that isn't. For an integer beyond 64 bits: only a float with the same digits,
/// because such integers are identifiers more often than measurements.
fn wide_float(text: &str, is_integer: bool) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    if !number.is_finite() {
        return None;
    }
    if is_integer {
        return (number == 0.0 || number.to_string() == text).then_some(number);
    }
    let digits = text.split(['e', 'E']).next().unwrap_or(text);
    let is_zero = !digits.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    (number != 0.0 || is_zero).then_some(number)
}

/// A key, either in the input or in the given scratch space.
pub(crate) enum Key<'j> {
    Plain(&'j [u8]),
    Scratch,
}
