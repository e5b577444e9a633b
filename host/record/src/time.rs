//! Times: nanoseconds since 1970-01-01 UTC, and the forms in which senders write them.
//!
//! | form | reading |
//! |---|---|
//! | RFC 3339 text: `T`, `t` or a space; any offset; fraction after `.` or `,` | as written; UTC without an offset; digits after the ninth are cut |
//! | a number, or a number in text | below 10¹¹ seconds, below 10¹⁴ milliseconds, below 10¹⁷ microseconds, otherwise nanoseconds; a fraction is kept |
//! | MessagePack timestamp (ext −1 of 4, 8 or 12 bytes) | as specified |
//! | Fluent EventTime (ext 0 of 8 bytes) | seconds and nanoseconds, 32 bits each |
//!
//! A time that 64 bits of nanoseconds can't represent (before 1677, after 2262) is invalid.

use std::time::{SystemTime, UNIX_EPOCH};

use weir_wire::Value;
use weir_wire::token::{Token, token};

const SECOND: i64 = 1_000_000_000;

/// The units of durations, and their lengths in nanoseconds.
pub const DURATION_UNITS: [(&str, u64); 8] = [
    ("w", 7 * 86_400_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationError {
    /// It is not numbers with units.
    Syntax,
    /// It has more nanoseconds than 64 bits hold.
    TooLarge,
}

/// The current time.
pub fn now_ns() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        // A clock set before 1970 is wrong; zero makes that visible.
        Err(_) => 0,
    }
}

/// Appends a time as `2026-11-20T10:00:00.123456789Z`: always UTC, always nine digits.
#[inline]
pub fn format_rfc3339(ns: i64, out: &mut Vec<u8>) {
    let (seconds, nanos) = (ns.div_euclid(SECOND), ns.rem_euclid(SECOND) as u32);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400) as u32);
    let (year, month, day) = civil_from_days(days);
    let mut text = *b"0000-00-00T00:00:00.000000000Z";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], second / 3600);
    digits(&mut text[14..16], second / 60 % 60);
    digits(&mut text[17..19], second % 60);
    digits(&mut text[20..29], nanos);
    out.extend_from_slice(&text);
}

#[inline]
fn digits(out: &mut [u8], mut number: u32) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Reads a duration such as `250ms`, `1h30m`, `7 days` or `0`, in nanoseconds.
pub fn parse_duration(text: &str) -> Result<u64, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Syntax);
    }
    if rest == "0" {
        return Ok(0);
    }
    let mut total_ns = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| DurationError::Syntax)?;
        let after = rest[digits..].trim_start();
        let end = after.find(|c: char| c.is_ascii_digit() || c == ' ').unwrap_or(after.len());
        let unit = short_unit(&after[..end]);
        let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError::Syntax)?;
        let part_ns = number.checked_mul(*factor).ok_or(DurationError::TooLarge)?;
        total_ns = total_ns.checked_add(part_ns).ok_or(DurationError::TooLarge)?;
        rest = after[end..].trim_start();
    }
    Ok(total_ns)
}

/// Maps a word to a unit: `7 days` is `7d`.
fn short_unit(word: &str) -> &str {
    match word.strip_suffix('s').filter(|one| one.len() > 1).unwrap_or(word) {
        "week" => "w",
        "day" => "d",
        "hour" | "hr" => "h",
        "minute" | "min" => "m",
        "second" | "sec" => "s",
        "millisecond" => "ms",
        "microsecond" => "us",
        "nanosecond" => "ns",
        _ => word,
    }
}

/// Reads a time in any text form.
pub fn parse(text: &str) -> Option<i64> {
    let text = text.trim_ascii();
    parse_rfc3339(text.as_bytes()).or_else(|| parse_number(text.as_bytes()))
}

/// Reads a time in RFC 3339, or one of the similar forms in the table above.
pub fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let (civil, mut rest) = text.split_first_chunk::<19>()?;
    let separators = civil[4] == b'-' && civil[7] == b'-' && civil[13] == b':' && civil[16] == b':';
    if !separators || !matches!(civil[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (number(&civil[0..4])?, number(&civil[5..7])?, number(&civil[8..10])?);
    let (hour, minute, second) = (number(&civil[11..13])?, number(&civil[14..16])?, number(&civil[17..19])?);
    // A leap second is the first second of the next minute.
    if !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut nanos = 0;
    if let [b'.' | b',', fraction @ ..] = rest {
        let len = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if len == 0 {
            return None;
        }
        nanos = fraction_ns(&fraction[..len]);
        rest = &fraction[len..];
    }
    let offset = parse_offset(rest.trim_ascii_start())?;
    let seconds =
        days_from_civil(i64::from(year), month, day) * 86_400 + i64::from(hour * 3600 + minute * 60 + second) - offset;
    join(seconds, nanos)
}

/// Combines seconds and nanoseconds. The earliest valid time has seconds that overflow on their own.
#[inline]
fn join(seconds: i64, nanos: i64) -> Option<i64> {
    match seconds.checked_mul(SECOND) {
        Some(ns) => ns.checked_add(nanos),
        None => seconds.checked_add(1)?.checked_mul(SECOND)?.checked_sub(SECOND - nanos),
    }
}

/// The offset at the end of a time, in seconds.
fn parse_offset(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        [] | [b'Z' | b'z'] | b"UTC" | b"GMT" => return Some(0),
        [sign, h1, h2] => (sign, number(&[*h1, *h2])?, 0),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, number(&[*h1, *h2])?, number(&[*m1, *m2])?),
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60);
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// A number of at most nine digits.
fn number(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
}

/// The digits of a fraction as nanoseconds.
fn fraction_ns(fraction: &[u8]) -> i64 {
    (0..9).fold(0, |sum, at| sum * 10 + fraction.get(at).map_or(0, |digit| i64::from(digit - b'0')))
}

/// Reads a number in text exactly, with the unit determined by its size.
fn parse_number(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let point = text.iter().position(|&b| b == b'.').unwrap_or(text.len());
    let (whole, fraction) = (&text[..point], text.get(point + 1..).unwrap_or_default());
    if !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let whole: i64 = std::str::from_utf8(whole).ok()?.parse().ok()?;
    let unit = unit_ns(whole as f64);
    let ns = whole.checked_mul(unit)?.checked_add(fraction_ns(fraction) / (SECOND / unit))?;
    Some(if negative { -ns } else { ns })
}

/// The length in nanoseconds of the unit for a number of this size.
fn unit_ns(number: f64) -> i64 {
    match number.abs() {
        n if n < 1e11 => SECOND,
        n if n < 1e14 => 1_000_000,
        n if n < 1e17 => 1_000,
        _ => 1,
    }
}

/// Reads an integer, with the unit determined by its size.
pub fn from_int(number: i64) -> Option<i64> {
    number.checked_mul(unit_ns(number as f64))
}

/// Reads a float, with the unit determined by its size. A float represents current times in seconds only to about a
/// quarter of a microsecond, so the fraction is rounded to microseconds.
pub fn from_float(number: f64) -> Option<i64> {
    let unit = unit_ns(number);
    let whole = number.trunc();
    if !number.is_finite() || whole.abs() >= i64::MAX as f64 {
        return None;
    }
    let micros = ((number - whole) * unit as f64 / 1e3).round() as i64;
    (whole as i64).checked_mul(unit)?.checked_add(micros * 1_000)
}

/// Reads a MessagePack timestamp (−1) or a Fluent EventTime (0).
pub fn from_ext(kind: i8, body: &[u8]) -> Option<i64> {
    let (seconds, nanos) = match (kind, body.len()) {
        (-1, 4) => (i64::from(u32::from_be_bytes(body.try_into().ok()?)), 0),
        (-1, 8) => {
            let both = u64::from_be_bytes(body.try_into().ok()?);
            ((both & 0x3_ffff_ffff) as i64, (both >> 34) as i64)
        }
        (-1, 12) => {
            let (nanos, seconds) = body.split_first_chunk::<4>()?;
            (i64::from_be_bytes(seconds.try_into().ok()?), i64::from(u32::from_be_bytes(*nanos)))
        }
        (0, 8) => {
            let (seconds, nanos) = body.split_first_chunk::<4>()?;
            (i64::from(u32::from_be_bytes(*seconds)), i64::from(u32::from_be_bytes(nanos.try_into().ok()?)))
        }
        _ => return None,
    };
    if nanos < SECOND { join(seconds, nanos) } else { None }
}

/// Reads a time in any form from the value at the start of `bytes`.
pub(crate) fn from_msgpack(bytes: &[u8]) -> Option<i64> {
    match token(bytes)?.0 {
        Token::Str(text) | Token::Bin(text) => parse(std::str::from_utf8(text).ok()?),
        Token::Int(number) => from_int(number),
        Token::Float(number) => from_float(number),
        Token::Ext(kind, body) => from_ext(kind, body),
        _ => None,
    }
}

/// Reads a time in nanoseconds: an integer, also as text, is nanoseconds; other text is RFC 3339.
pub(crate) fn ns_from_msgpack(bytes: &[u8]) -> Option<i64> {
    match token(bytes)?.0 {
        Token::Str(text) => {
            let text = std::str::from_utf8(text).ok()?.trim_ascii();
            parse_rfc3339(text.as_bytes()).or_else(|| text.parse().ok())
        }
        Token::Int(ns) => Some(ns),
        Token::Ext(kind, body) => from_ext(kind, body),
        _ => None,
    }
}

/// Reads a time in any form from a value.
pub fn from_value(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Str(text) => parse(text),
        Value::Int(number) => from_int(number),
        Value::Float(number) => from_float(number),
        Value::Ext(kind, body) => from_ext(kind, body),
        _ => None,
    }
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the Gregorian calendar. Years start in March, so that the leap day is the last
/// one, and are grouped in eras of 400 years.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse, for years within 64 bits of nanoseconds.
fn civil_from_days(days: i64) -> (u32, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097) as u32;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = (era * 400) as u32 + year_of_era + u32::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
