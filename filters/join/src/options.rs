//! The options and their validation.

use regex_lite::{Regex, RegexBuilder};
use serde::Deserialize;
use thiserror::Error;
use weir_guest::Path;

use crate::limits::{
    DEFAULT_MAX_BYTES, DEFAULT_MAX_LINES, DEFAULT_MAX_STREAMS, MAX_KEY_FIELDS, MAX_MAX_BYTES, MAX_MAX_LINES,
    MAX_MAX_STREAMS, MAX_PATTERN_BYTES, MAX_PATTERNS, MAX_REGEX_BYTES, MAX_TIMEOUT_SECONDS,
};
use crate::lines::LineRules;

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The path of the line.
    pub field: Path,
    /// The paths whose values identify a stream.
    pub key: Vec<Path>,
    /// Expressions for lines that start a record.
    pub start: Vec<String>,
    /// Expressions for lines that continue a record.
    pub continues: Vec<String>,
    /// Seconds that a record waits for its next line.
    pub timeout: u64,
    /// Maximum number of lines per record.
    pub max_lines: usize,
    /// Maximum length of a joined text in bytes.
    pub max_bytes: usize,
    /// Maximum number of streams that hold a record at once.
    pub max_streams: usize,
    /// The path for the number of lines.
    pub lines: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            field: Path::parse("message"),
            key: vec![Path::parse("source")],
            start: Vec::new(),
            continues: Vec::new(),
            timeout: 2,
            max_lines: DEFAULT_MAX_LINES,
            max_bytes: DEFAULT_MAX_BYTES,
            max_streams: DEFAULT_MAX_STREAMS,
            lines: "joined_lines".to_owned(),
        }
    }
}

/// An invalid option.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OptionError {
    #[error("option `{option}`: `{pattern}` is not a valid regular expression: {reason}")]
    Pattern { option: String, pattern: String, reason: String },
    #[error("option `{0}`: an expression may have at most {MAX_PATTERN_BYTES} bytes")]
    LongPattern(String),
    #[error("option `{0}`: {1} expressions are more than the {MAX_PATTERNS} allowed")]
    TooManyPatterns(&'static str, usize),
    #[error("options `start` and `continues`: they exclude each other; set only one of them")]
    Both,
    #[error("option `key`: {0} fields are more than the {MAX_KEY_FIELDS} allowed")]
    TooManyFields(usize),
    #[error("option `key`: `{0}` differs in nearly every line; leave it out")]
    OwnKey(Path),
    #[error("option `{0}`: {1}; it must be {2} to {3}")]
    Range(&'static str, usize, usize, usize),
    #[error("option `{0}`: `{1}` is a reserved field; name another path")]
    Own(&'static str, String),
}

impl Options {
    /// Validates the options and compiles the expressions.
    pub fn check(&self) -> Result<LineRules, OptionError> {
        for (option, value, most) in [
            ("timeout", self.timeout as usize, MAX_TIMEOUT_SECONDS as usize),
            ("max_lines", self.max_lines, MAX_MAX_LINES),
            ("max_bytes", self.max_bytes, MAX_MAX_BYTES),
            ("max_streams", self.max_streams, MAX_MAX_STREAMS),
        ] {
            if !(1..=most).contains(&value) {
                return Err(OptionError::Range(option, value, 1, most));
            }
        }
        if self.key.len() > MAX_KEY_FIELDS {
            return Err(OptionError::TooManyFields(self.key.len()));
        }
        let own = self.key.iter().find(|path| **path == self.field || **path == Path::parse("timestamp"));
        if let Some(path) = own {
            return Err(OptionError::OwnKey(path.clone()));
        }
        let field = self.field.to_string();
        if matches!(field.as_str(), "timestamp" | "level" | "source" | "routes" | "") {
            return Err(OptionError::Own("field", field));
        }
        if matches!(self.lines.as_str(), "timestamp" | "level" | "source" | "message" | "routes") {
            return Err(OptionError::Own("lines", self.lines.clone()));
        }
        match (self.start.is_empty(), self.continues.is_empty()) {
            (false, false) => Err(OptionError::Both),
            (false, true) => Ok(LineRules::Start(patterns("start", &self.start)?)),
            (true, false) => Ok(LineRules::Continues(patterns("continues", &self.continues)?)),
            (true, true) => Ok(LineRules::Traces),
        }
    }
}

fn patterns(option: &'static str, patterns: &[String]) -> Result<Vec<Regex>, OptionError> {
    if patterns.len() > MAX_PATTERNS {
        return Err(OptionError::TooManyPatterns(option, patterns.len()));
    }
    let compile = |(index, pattern): (usize, &String)| {
        let option = format!("{option}[{index}]");
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(OptionError::LongPattern(option));
        }
        let regex = RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build();
        regex.map_err(|error| OptionError::Pattern { option, pattern: pattern.clone(), reason: error.to_string() })
    };
    patterns.iter().enumerate().map(compile).collect()
}
