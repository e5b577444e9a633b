//! The level of a record.

use serde::{Deserialize, Deserializer};

/// The severity of a record, from least to most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `TRACE`
    Trace,
    /// `DEBUG`
    Debug,
    /// `INFO`, which a record without a level has.
    #[default]
    Info,
    /// `WARNING`
    Warning,
    /// `ERROR`
    Error,
    /// `CRITICAL`
    Critical,
}

impl Level {
    /// All levels, from least to most severe.
    pub const ALL: [Level; 6] =
        [Level::Trace, Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Critical];

    /// The level as records write it, such as `WARNING`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
            Level::Critical => "CRITICAL",
        }
    }

    /// Parses a level in any case, including `WARN` and `FATAL`.
    pub fn parse(word: &str) -> Option<Self> {
        // The standard spelling first, then any case.
        let known = Self::ALL.into_iter().find(|level| level.as_str() == word);
        let known = known.or_else(|| Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(word)));
        known.or_else(|| match word {
            w if w.eq_ignore_ascii_case("warn") => Some(Level::Warning),
            w if w.eq_ignore_ascii_case("fatal") => Some(Level::Critical),
            _ => None,
        })
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Level::parse(&word).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "unknown level `{word}`; use TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL"
            ))
        })
    }
}

/// An option that is a level or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelOrOff(pub Option<Level>);

impl<'de> Deserialize<'de> for LevelOrOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        if word.eq_ignore_ascii_case("off") {
            return Ok(LevelOrOff(None));
        }
        let level = Level::parse(&word).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "unknown level `{word}`; use TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL or off"
            ))
        })?;
        Ok(LevelOrOff(Some(level)))
    }
}
