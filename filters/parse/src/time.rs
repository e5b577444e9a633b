//! Times as logs write them: `strptime` formats, tried in order.

use thiserror::Error;
use weir_guest::Value;

use crate::civil::{Civil, year_of};
use crate::epoch::{Unit, fraction, number, scaled};
use crate::limits::MAX_TIME_BYTES;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const LONG_MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const LONG_DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The formats that are tried by default: those of the text formats that this
/// filter supports, and RFC 3339 with its usual variants.
const BUILT_IN: [&str; 9] = [
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%d/%b/%Y:%H:%M:%S %z",
    "%Y/%m/%d %H:%M:%S%.f",
    "%a %b %d %H:%M:%S%.f %Y",
    "%b %d %H:%M:%S",
];

#[derive(Debug)]
enum Format {
    Number(Unit),
    Written(Box<[Item]>),
}

/// An element of a time format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Literal(char),
    Space,
    Year,
    ShortYear,
    Month,
    MonthName,
    Day,
    DayName,
    Hour,
    Hour12,
    HalfDay,
    Minute,
    Second,
    /// Digits of a fraction.
    Fraction,
    /// An optional point or comma with digits.
    PointFraction,
    Zone,
}

/// An invalid time format.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FormatError {
    #[error(
        "`%{0}` is not supported; supported are %Y %y %m %b %B %d %e %a %A %H %I %p %M %S %f %.f %z %Z %T %F %D %R %%"
    )]
    Unknown(char),
    #[error("it ends with `%`; write `%%` for a literal `%`")]
    Ends,
    #[error(
        "it has no `%`, and is none of rfc3339, unix, unix_s, unix_ms, unix_us, unix_ns; write it like \
         \"%Y-%m-%d %H:%M:%S\""
    )]
    Plain,
    #[error("it has no day; add %d or %e")]
    NoDay,
}

/// The formats to try, and the default zone.
#[derive(Debug)]
pub struct Times {
    formats: Vec<Format>,
    offset_seconds: i64,
}

impl Times {
    /// Without `formats`, uses the built-in ones and numbers in any unit.
    pub fn new(formats: &[String], offset_seconds: i64) -> Result<Self, (usize, FormatError)> {
        let mut parsed = Vec::new();
        for (index, format) in formats.iter().enumerate() {
            add(format, &mut parsed).map_err(|error| (index, error))?;
        }
        if formats.is_empty() {
            parsed.push(Format::Number(Unit::Any));
            for format in BUILT_IN {
                parsed.push(Format::Written(items(format).map_err(|error| (0, error))?));
            }
        }
        Ok(Times { formats: parsed, offset_seconds })
    }

    /// Parses a value into nanoseconds since 1970. A time without a year gets the
    /// year that brings it closest to `near_ns`.
    pub fn read(&self, value: Value<'_>, near_ns: i64) -> Option<i64> {
        match value {
            Value::Str(text) => self.read_text(text.trim(), near_ns),
            value => {
                let number = value.as_f64()?;
                let unit = self.formats.iter().find_map(|format| match format {
                    Format::Number(unit) => Some(*unit),
                    Format::Written(_) => None,
                })?;
                match value {
                    Value::Int(whole) => scaled(whole, 0, unit),
                    _ => scaled(number.floor() as i64, ((number - number.floor()) * 1e9) as i64, unit),
                }
            }
        }
    }

    fn read_text(&self, text: &str, near_ns: i64) -> Option<i64> {
        if text.is_empty() || text.len() > MAX_TIME_BYTES {
            return None;
        }
        self.formats.iter().find_map(|format| match format {
            Format::Number(unit) => number(text, *unit),
            Format::Written(items) => Partial::default().read(items, text)?.finish(self.offset_seconds, near_ns),
        })
    }
}

/// Parses `+02:00`, `-0330`, `UTC` or `Z` into seconds.
pub fn offset(text: &str) -> Option<i64> {
    match zone(text)? {
        (seconds, "") => Some(seconds),
        _ => None,
    }
}

fn add(format: &str, to: &mut Vec<Format>) -> Result<(), FormatError> {
    let unit = match format {
        "rfc3339" => {
            for format in &BUILT_IN[..2] {
                to.push(Format::Written(items(format)?));
            }
            return Ok(());
        }
        "unix" => Unit::Any,
        "unix_s" => Unit::Seconds,
        "unix_ms" => Unit::Millis,
        "unix_us" => Unit::Micros,
        "unix_ns" => Unit::Nanos,
        written => {
            to.push(Format::Written(items(written)?));
            return Ok(());
        }
    };
    to.push(Format::Number(unit));
    Ok(())
}

fn items(format: &str) -> Result<Box<[Item]>, FormatError> {
    if !format.contains('%') {
        return Err(FormatError::Plain);
    }
    let mut items = Vec::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            items.push(if c.is_whitespace() { Item::Space } else { Item::Literal(c) });
            continue;
        }
        let (date, clock) = ([Item::Year, Item::Month, Item::Day], [Item::Hour, Item::Minute, Item::Second]);
        match chars.next().ok_or(FormatError::Ends)? {
            'Y' => items.push(Item::Year),
            'y' => items.push(Item::ShortYear),
            'm' => items.push(Item::Month),
            'b' | 'B' | 'h' => items.push(Item::MonthName),
            'd' | 'e' => items.push(Item::Day),
            'a' | 'A' => items.push(Item::DayName),
            'H' | 'k' => items.push(Item::Hour),
            'I' | 'l' => items.push(Item::Hour12),
            'p' | 'P' => items.push(Item::HalfDay),
            'M' => items.push(Item::Minute),
            'S' => items.push(Item::Second),
            'f' | 'N' => items.push(Item::Fraction),
            '.' => match chars.next() {
                Some('f') => items.push(Item::PointFraction),
                other => return Err(FormatError::Unknown(other.unwrap_or('.'))),
            },
            'z' | 'Z' => items.push(Item::Zone),
            'F' => items.extend(joined(date, '-')),
            'T' => items.extend(joined(clock, ':')),
            'D' => items.extend(joined([Item::Month, Item::Day, Item::ShortYear], '/')),
            'R' => items.extend([Item::Hour, Item::Literal(':'), Item::Minute]),
            '%' => items.push(Item::Literal('%')),
            other => return Err(FormatError::Unknown(other)),
        }
    }
    if items.contains(&Item::Day) { Ok(items.into()) } else { Err(FormatError::NoDay) }
}

fn joined([a, b, c]: [Item; 3], by: char) -> [Item; 5] {
    [a, Item::Literal(by), b, Item::Literal(by), c]
}

/// The parts of a time parsed so far.
#[derive(Debug, Default)]
struct Partial {
    year: Option<i64>,
    month: Option<i64>,
    day: i64,
    hour: i64,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    ns: i64,
    offset_seconds: Option<i64>,
}

impl Partial {
    /// Parses the whole text; `None` if it does not have this format.
    fn read(mut self, items: &[Item], text: &str) -> Option<Self> {
        let mut rest = text;
        for item in items {
            rest = self.step(*item, rest)?;
        }
        rest.is_empty().then_some(self)
    }

    /// Parses one item and returns the rest.
    fn step<'t>(&mut self, item: Item, text: &'t str) -> Option<&'t str> {
        let (value, rest) = match item {
            Item::Literal(c) => return text.strip_prefix(c),
            // Any white space, because one-digit days may be padded.
            Item::Space => {
                let rest = text.trim_start();
                return (rest.len() < text.len()).then_some(rest);
            }
            Item::DayName => return name(text, &LONG_DAYS, &DAYS).map(|(_, rest)| rest),
            Item::MonthName => name(text, &LONG_MONTHS, &MONTHS)?,
            Item::Zone => zone(text)?,
            Item::Fraction => fraction(text)?,
            Item::PointFraction => match text.strip_prefix(['.', ',']) {
                Some(digits) => fraction(digits)?,
                None => return Some(text),
            },
            Item::HalfDay => match text.get(..2)? {
                half if half.eq_ignore_ascii_case("am") => (0, &text[2..]),
                half if half.eq_ignore_ascii_case("pm") => (1, &text[2..]),
                _ => return None,
            },
            Item::Year => digits(text, 4, 4)?,
            Item::Day | Item::Hour | Item::Hour12 => digits(text.trim_start_matches(' '), 1, 2)?,
            Item::ShortYear => digits(text, 2, 2)?,
            Item::Month | Item::Minute | Item::Second => digits(text, 1, 2)?,
        };
        match item {
            Item::Year => self.year = Some(value),
            Item::ShortYear => self.year = Some(if value < 69 { 2000 + value } else { 1900 + value }),
            Item::Month | Item::MonthName => self.month = Some(value),
            Item::Day => self.day = value,
            Item::Hour => self.hour = within(value, 0, 23)?,
            Item::Hour12 => self.hour = within(value, 1, 12)? % 12,
            Item::HalfDay => self.afternoon = Some(value == 1),
            Item::Minute => self.minute = within(value, 0, 59)?,
            // A leap second counts as the second before it.
            Item::Second => self.second = within(value, 0, 60)?.min(59),
            Item::Fraction | Item::PointFraction => self.ns = value,
            Item::Zone => self.offset_seconds = Some(value),
            Item::Literal(_) | Item::Space | Item::DayName => {}
        }
        Some(rest)
    }

    fn finish(self, offset_seconds: i64, near_ns: i64) -> Option<i64> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            _ => self.hour,
        };
        let in_year = |year| {
            let time = Civil {
                year,
                month: self.month?,
                day: self.day,
                second_of_day: hour * 3600 + self.minute * 60 + self.second,
                ns: self.ns,
                offset_seconds: self.offset_seconds.unwrap_or(offset_seconds),
            };
            time.to_ns()
        };
        match self.year {
            Some(year) => in_year(year),
            None => {
                let year = year_of(near_ns);
                let years = [year - 1, year, year + 1].into_iter().filter_map(in_year);
                years.min_by_key(|ns| ns.abs_diff(near_ns))
            }
        }
    }
}

fn within(value: i64, least: i64, most: i64) -> Option<i64> {
    (least..=most).contains(&value).then_some(value)
}

fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(count);
    (count >= least).then_some((number.parse().ok()?, rest))
}

fn name<'t>(text: &'t str, long: &[&str], short: &[&str]) -> Option<(i64, &'t str)> {
    let starts = |name: &&str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let found = |names: &[&str]| names.iter().position(starts).map(|at| (at, names[at].len()));
    let (at, length) = found(long).or_else(|| found(short))?;
    Some((at as i64 + 1, &text[length..]))
}

/// Parses a zone into seconds east of UTC. Zone names other than UTC are
/// ambiguous.
fn zone(text: &str) -> Option<(i64, &str)> {
    for utc in ["UTC", "GMT", "Z", "z"] {
        if let Some(rest) = text.strip_prefix(utc) {
            return Some((0, rest));
        }
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = digits(&text[1..], 2, 2)?;
    let (minutes, rest) = match digits(rest.strip_prefix(':').unwrap_or(rest), 2, 2) {
        Some(minutes) => minutes,
        None => (0, rest),
    };
    let seconds = within(hours, 0, 23)? * 3600 + within(minutes, 0, 59)? * 60;
    Some((sign * seconds, rest))
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
