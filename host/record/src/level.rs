//! Levels: the six of a canonical record, and the names and number scales of senders that map to them.

use std::fmt;

/// How severe a record is, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// The finest detail.
    Trace,
    /// Detail for debugging.
    Debug,
    /// Normal operation.
    Info,
    /// Needs attention.
    Warning,
    /// Something failed.
    Error,
    /// Something failed that others depend on.
    Critical,
}

/// The scale of a numeric level, where the key determines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// The key does not determine it; see [`Level::from_number`].
    Any,
    /// 0 emergency to 7 debug, or a whole PRI (facility × 8 + severity).
    Syslog,
    /// 1 trace to 24 fatal, four numbers a level.
    Otlp,
    /// 10 debug to 50 critical.
    Python,
}

impl Level {
    /// All levels, from least to most severe.
    pub const ALL: [Level; 6] =
        [Level::Trace, Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Critical];

    /// The canonical name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
            Level::Critical => "CRITICAL",
        }
    }

    /// The level for a canonical name; `None` for anything else.
    #[inline]
    pub(crate) fn from_canonical(name: &[u8]) -> Option<Level> {
        Some(match name {
            b"INFO" => Level::Info,
            b"ERROR" => Level::Error,
            b"DEBUG" => Level::Debug,
            b"WARNING" => Level::Warning,
            b"TRACE" => Level::Trace,
            b"CRITICAL" => Level::Critical,
            _ => return None,
        })
    }

    /// Reads any common name, in any case, with white space or brackets around it, or a number in digits as in
    /// [`Level::from_number`].
    pub fn parse(text: &str) -> Option<Level> {
        Level::parse_in(text, Scale::Any)
    }

    pub(crate) fn parse_in(text: &str, scale: Scale) -> Option<Level> {
        if let Some(level) = Level::from_canonical(text.as_bytes()) {
            return Some(level);
        }
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || matches!(c, '[' | ']' | '<' | '>' | ':'));
        if text.is_empty() || text.len() > 16 {
            return None;
        }
        if let Ok(number) = text.parse::<i64>() {
            return Level::from_number_in(number, scale);
        }
        let mut lower = [0u8; 16];
        let lower = &mut lower[..text.len()];
        lower.copy_from_slice(text.as_bytes());
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"trace" | b"trc" | b"t" | b"finest" | b"finer" | b"verbose" | b"v" | b"silly" | b"all" | b"trace2"
            | b"trace3" | b"trace4" => Level::Trace,
            b"debug" | b"dbg" | b"d" | b"fine" | b"config" | b"debug2" | b"debug3" | b"debug4" => Level::Debug,
            b"info" | b"inf" | b"i" | b"information" | b"informational" | b"notice" | b"note" | b"log" | b"default"
            | b"success" | b"http" | b"info2" | b"info3" | b"info4" => Level::Info,
            b"warning" | b"warn" | b"wrn" | b"w" | b"warn2" | b"warn3" | b"warn4" => Level::Warning,
            b"error" | b"err" | b"e" | b"eror" | b"severe" | b"failure" | b"error2" | b"error3" | b"error4" => {
                Level::Error
            }
            b"critical" | b"crit" | b"c" | b"fatal" | b"ftl" | b"f" | b"alert" | b"emerg" | b"emergency" | b"panic"
            | b"dpanic" | b"fatal2" | b"fatal3" | b"fatal4" => Level::Critical,
            _ => return None,
        })
    }

    /// Reads a number whose scale is unknown. The scales overlap, so the number alone decides: 0–7 is syslog; 10, 20,
    /// and 25 to 100 are bunyan and pino (rounded down to tens: 35 is INFO); the rest of 8 to 24 is OTLP. Python's
    /// numbers are recognised under the key `levelno`, the lower half of OTLP's under `severity_number`.
    pub fn from_number(number: i64) -> Option<Level> {
        Level::from_number_in(number, Scale::Any)
    }

    /// Reads a number on a given scale.
    pub fn from_number_in(number: i64, scale: Scale) -> Option<Level> {
        Some(match (scale, number) {
            (Scale::Any, 0..=7) => return Level::from_number_in(number, Scale::Syslog),
            (Scale::Any, 10) => Level::Trace,
            (Scale::Any, 20 | 25..=29) => Level::Debug,
            (Scale::Any, 30..=39) => Level::Info,
            (Scale::Any, 40..=49) => Level::Warning,
            (Scale::Any, 50..=59) => Level::Error,
            (Scale::Any, 60..=100) => Level::Critical,
            (Scale::Any, 8..=24) => return Level::from_number_in(number, Scale::Otlp),
            (Scale::Syslog, 0..=191) => match number & 7 {
                0..=2 => Level::Critical,
                3 => Level::Error,
                4 => Level::Warning,
                5 | 6 => Level::Info,
                _ => Level::Debug,
            },
            (Scale::Otlp, 1..=4) => Level::Trace,
            (Scale::Otlp, 5..=8) => Level::Debug,
            (Scale::Otlp, 9..=12) => Level::Info,
            (Scale::Otlp, 13..=16) => Level::Warning,
            (Scale::Otlp, 17..=20) => Level::Error,
            (Scale::Otlp, 21..=24) => Level::Critical,
            (Scale::Python, 1..=9) => Level::Trace,
            (Scale::Python, 10..=19) => Level::Debug,
            (Scale::Python, 20..=29) => Level::Info,
            (Scale::Python, 30..=39) => Level::Warning,
            (Scale::Python, 40..=49) => Level::Error,
            (Scale::Python, 50..=100) => Level::Critical,
            _ => return None,
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_canonical_name_reads_back_as_its_level() {
        for level in Level::ALL {
            assert_eq!(Level::parse(level.as_str()), Some(level));
            assert_eq!(Level::parse(&level.as_str().to_lowercase()), Some(level));
        }
    }

    #[test]
    fn spellings_of_common_loggers_are_understood() {
        for (text, level) in [
            ("warn", Level::Warning),
            (" Warn ", Level::Warning),
            ("[error]", Level::Error),
            ("FATAL", Level::Critical),
            ("emerg", Level::Critical),
            ("notice", Level::Info),
            ("30", Level::Info),
            ("3", Level::Error),
        ] {
            assert_eq!(Level::parse(text), Some(level), "{text}");
        }
        for text in ["", "loud", "-1", "a very long word that is no level", "é"] {
            assert_eq!(Level::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_means_one_thing_on_each_scale() {
        let any = |n| Level::from_number(n).map(Level::as_str);
        assert_eq!(any(0), Some("CRITICAL"));
        assert_eq!(any(3), Some("ERROR"));
        assert_eq!(any(7), Some("DEBUG"));
        assert_eq!(any(8), Some("DEBUG"));
        assert_eq!(any(9), Some("INFO"));
        assert_eq!(any(10), Some("TRACE"));
        assert_eq!(any(17), Some("ERROR"));
        assert_eq!(any(20), Some("DEBUG"));
        assert_eq!(any(24), Some("CRITICAL"));
        assert_eq!(any(35), Some("INFO"));
        assert_eq!(any(60), Some("CRITICAL"));
        assert_eq!(any(101), None);
        assert_eq!(any(-1), None);
        assert_eq!(Level::from_number_in(20, Scale::Python), Some(Level::Info));
        assert_eq!(Level::from_number_in(3, Scale::Otlp), Some(Level::Trace));
        assert_eq!(Level::from_number_in(14 * 8 + 4, Scale::Syslog), Some(Level::Warning));
    }

    #[test]
    fn levels_order_from_least_to_most_severe() {
        assert!(Level::Trace < Level::Debug && Level::Error < Level::Critical);
    }
}
