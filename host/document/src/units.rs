//! Sizes and durations as text: `"10MiB"`, `"1h30m"`, `"7 days"`.
//!
//! The whole configuration uses these types, so that units mean the same everywhere. Both parse a string (a size also a
//! plain number of bytes) and print the shortest exact string, so printed values can be parsed again. Values that don't
//! fit are refused, never rounded.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weir_record::time::{DURATION_UNITS, DurationError, parse_duration};

/// A number of bytes: `"64KiB"`, `"10MB"`, `"8GiB"`, or a plain number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(pub u64);

/// A duration: `"250ms"`, `"1s"`, `"1h30m"`, `"7d"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan(pub Duration);

/// Why a size or a duration could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text is not a size.
    #[error("`{0}` is not a size: write a number and a unit, such as \"500KB\", \"10MiB\" or \"8GiB\"")]
    Size(String),
    /// The text is not a duration.
    #[error("`{0}` is not a duration: write a number and a unit, such as \"250ms\", \"10s\", \"1h30m\" or \"7d\"")]
    TimeSpan(String),
    /// The value doesn't fit in 64 bits.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

impl Size {
    /// A size of that many bytes.
    pub const fn from_bytes(bytes: u64) -> Size {
        Size(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl TimeSpan {
    /// Converts from a duration.
    pub const fn from_duration(duration: Duration) -> TimeSpan {
        TimeSpan(duration)
    }

    /// Converts to a duration.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Size, UnitError> {
        let trimmed = text.trim();
        let (number, unit) = split_number(trimmed).ok_or_else(|| UnitError::Size(text.into()))?;
        let factor = match unit.trim() {
            "" => 1,
            unit => SIZES
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))
                .map(|(_, factor)| *factor)
                .ok_or_else(|| UnitError::Size(text.into()))?,
        };
        number.checked_mul(factor).map(Size).ok_or_else(|| UnitError::TooLarge(text.into()))
    }
}

impl FromStr for TimeSpan {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<TimeSpan, UnitError> {
        match parse_duration(text) {
            Ok(ns) => Ok(TimeSpan(Duration::from_nanos(ns))),
            Err(DurationError::Syntax) => Err(UnitError::TimeSpan(text.into())),
            Err(DurationError::TooLarge) => Err(UnitError::TooLarge(text.into())),
        }
    }
}

/// Splits off the leading digits; `None` if there are none or they don't fit in a `u64`.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZES.iter().filter(|(_, factor)| self.0 != 0 && self.0.is_multiple_of(*factor));
        // The largest unit that divides the value gives the shortest text.
        let (unit, factor) = exact.max_by_key(|(_, factor)| *factor).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left_ns = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        if left_ns == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in DURATION_UNITS.iter().filter(|(unit, _)| *unit != "w") {
            if left_ns >= *factor {
                write!(f, "{}{unit}", left_ns / factor)?;
                left_ns %= factor;
            }
        }
        Ok(())
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"10MiB\" or a number of bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes).map(Size).map_err(|_| E::custom(UnitError::Size(bytes.to_string())))
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = TimeSpan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"10s\" or \"1h30m\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeSpan, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TimeSpan, D::Error> {
        deserializer.deserialize_any(SpanVisitor)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A size: a number and a unit (B, KB, KiB, MB, MiB, GB, GiB, TB, TiB), or a number of bytes.",
            "anyOf": [{ "type": "string", "format": "size" }, { "type": "integer", "minimum": 0 }],
            "examples": ["64KiB", "10MiB", "8GiB"]
        })
    }
}

impl JsonSchema for TimeSpan {
    fn schema_name() -> Cow<'static, str> {
        "TimeSpan".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: numbers with units (ns, us, ms, s, m, h, d, w), such as \"1h30m\".",
            "type": "string",
            "format": "duration",
            "examples": ["250ms", "10s", "1h30m", "7d"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("1KB", 1000), ("1kib", 1024), ("10 MiB", 10 << 20), ("8GiB", 8 << 30)]
        {
            assert_eq!(text.parse::<Size>(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn durations_can_be_sums_of_units() {
        for (text, ms) in
            [("0", 0), ("250ms", 250), ("1s", 1000), ("1h30m", 5_400_000), ("1m 30s", 90_000), ("7d", 604_800_000)]
        {
            assert_eq!(text.parse::<TimeSpan>(), Ok(TimeSpan(Duration::from_millis(ms))), "{text}");
        }
        for (words, text) in [
            ("7 days", "7d"),
            ("1 day", "1d"),
            ("1 hour 30 minutes", "1h30m"),
            ("2hrs", "2h"),
            ("90 sec", "90s"),
            ("250 milliseconds", "250ms"),
            ("1 s", "1s"),
        ] {
            assert_eq!(words.parse::<TimeSpan>(), text.parse::<TimeSpan>(), "{words}");
        }
    }

    #[test]
    fn invalid_text_is_refused_and_quoted() {
        for text in ["", "MiB", "-1", "1.5MiB", "10 apples", "99999999999999999999", "16777216TiB"] {
            let error = text.parse::<Size>().expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
        for text in ["", "10", "s", "days", "1 fortnight", "1 ss", "-1s", "1.5s", "99999999999d", "1sé"] {
            let error = text.parse::<TimeSpan>().expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn values_round_trip_through_text() {
        for bytes in [0, 1, 999, 1000, 1024, 1_500_000, 10 << 20, u64::MAX] {
            assert_eq!(Size(bytes).to_string().parse::<Size>(), Ok(Size(bytes)));
        }
        for ns in [0, 1, 1_000_000, 90_000_000_000, 604_800_000_000_001] {
            let span = TimeSpan(Duration::from_nanos(ns));
            assert_eq!(span.to_string().parse::<TimeSpan>(), Ok(span));
        }
        assert_eq!(Size(10 << 20).to_string(), "10MiB");
        assert_eq!(TimeSpan(Duration::from_secs(5400)).to_string(), "1h30m");
    }

    #[test]
    fn a_plain_number_is_a_size_but_not_a_duration() {
        assert_eq!(serde_json::from_str::<Size>("4096").ok(), Some(Size(4096)));
        assert!(serde_json::from_str::<Size>("-1").is_err());
        assert!(serde_json::from_str::<TimeSpan>("10").is_err());
    }
}
