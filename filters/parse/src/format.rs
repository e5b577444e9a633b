//! The text formats and the order in which they are tried.

use serde::Deserialize;

use crate::access::{self, LogFormat};
use crate::fields::{Fields, ParseError};
use crate::pairs::{self, Separators};
use crate::pattern::{self, Pattern};
use crate::{errors, json, syslog};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Tries the formats that can be told apart, in the order of [`GUESSED`].
    Auto,
    Json,
    Logfmt,
    KeyValue,
    Common,
    Combined,
    NginxError,
    ApacheError,
    Syslog,
    Syslog3164,
    Syslog5424,
    Regex,
    /// The whole text is a time.
    Time,
}

/// What `auto` tries; formats recognised by their first characters come first.
pub const GUESSED: [Format; 6] =
    [Format::Json, Format::Syslog, Format::Common, Format::NginxError, Format::ApacheError, Format::Logfmt];

/// All that is needed to parse a text.
#[derive(Debug)]
pub struct Reader {
    pub formats: Vec<Format>,
    pub patterns: Vec<Pattern>,
    pub separators: Separators,
}

impl Reader {
    /// Parses a text in the first matching format. The error is that of the last
    /// one.
    pub fn read(&self, text: &str, fields: &mut Fields) -> Result<(), ParseError> {
        let mut reason = "no format is configured";
        for format in &self.formats {
            fields.clear();
            match self.read_as(*format, text, fields) {
                Ok(()) => return Ok(()),
                Err(failed) => reason = failed,
            }
        }
        fields.clear();
        Err(if self.formats.len() > 1 { "it has none of the formats" } else { reason })
    }

    fn read_as(&self, format: Format, text: &str, fields: &mut Fields) -> Result<(), ParseError> {
        match format {
            Format::Auto => self.guess(text, fields),
            Format::Json => json::read(text, fields),
            Format::Logfmt => pairs::logfmt(text, false, fields),
            Format::KeyValue => pairs::key_value(text, &self.separators, fields),
            Format::Common => access::read(text, LogFormat::Common, fields),
            Format::Combined => access::read(text, LogFormat::Combined, fields),
            Format::NginxError => errors::nginx(text, fields),
            Format::ApacheError => errors::apache(text, fields),
            Format::Syslog => syslog::either(text, fields),
            Format::Syslog3164 => syslog::rfc3164(text, fields),
            Format::Syslog5424 => syslog::rfc5424(text, fields),
            Format::Regex => pattern::read(&self.patterns, text, fields),
            Format::Time => fields.text("time", text),
        }
    }

    fn guess(&self, text: &str, fields: &mut Fields) -> Result<(), ParseError> {
        if !self.patterns.is_empty() && pattern::read(&self.patterns, text, fields).is_ok() {
            return Ok(());
        }
        for format in GUESSED {
            fields.clear();
            let read = match format {
                Format::Common => access::read(text, LogFormat::Either, fields),
                Format::Logfmt => pairs::logfmt(text, true, fields),
                other => self.read_as(other, text, fields),
            };
            if read.is_ok() {
                return Ok(());
            }
        }
        Err("it has none of the formats that `auto` tries")
    }
}
