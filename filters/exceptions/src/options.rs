//! The options and their validation.

use serde::Deserialize;
use thiserror::Error;
use weir_guest::{Level, Path};

use crate::limits::{DEFAULT_FRAMES, MAX_HASHED_FRAMES, MAX_LISTED};

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The paths to search for a stack trace; the first one found is used.
    pub fields: Vec<Path>,
    /// The path of the result.
    pub into: Path,
    /// Prefixes of functions, or parts of file names, in the program's own code.
    pub in_app: Vec<String>,
    /// The same for libraries.
    pub library: Vec<String>,
    /// Number of frames in the fingerprint.
    pub frames: usize,
    /// The minimum level of a record with a stack trace.
    pub level: Option<Level>,
}

const FIELDS: [&str; 12] = [
    "message",
    "exception",
    "stack",
    "stack_trace",
    "stacktrace",
    "traceback",
    "error.stack",
    "err.stack",
    "error",
    "exc_info",
    "context.exception",
    "context.stack",
];

impl Default for Options {
    fn default() -> Self {
        Options {
            fields: FIELDS.map(Path::parse).into(),
            into: Path::parse("error"),
            in_app: Vec::new(),
            library: Vec::new(),
            frames: DEFAULT_FRAMES,
            level: None,
        }
    }
}

/// An invalid option.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OptionError {
    #[error("option `fields`: the list is empty; name at least one path, such as \"message\"")]
    NoFields,
    #[error("option `{0}`: {1} are more than the {MAX_LISTED} allowed")]
    TooMany(&'static str, usize),
    #[error("option `{0}`: an empty text matches every name; leave it out")]
    Empty(&'static str),
    #[error("option `into`: `{0}` is a reserved field; name another path, such as \"error\"")]
    Reserved(String),
    #[error("option `frames`: {0}; it must be 1 to {MAX_HASHED_FRAMES}")]
    Frames(usize),
}

impl Options {
    /// Validates the options.
    pub fn check(&self) -> Result<(), OptionError> {
        if self.fields.is_empty() {
            return Err(OptionError::NoFields);
        }
        for (option, count) in
            [("fields", self.fields.len()), ("in_app", self.in_app.len()), ("library", self.library.len())]
        {
            if count > MAX_LISTED {
                return Err(OptionError::TooMany(option, count));
            }
        }
        for (option, list) in [("in_app", &self.in_app), ("library", &self.library)] {
            if list.iter().any(String::is_empty) {
                return Err(OptionError::Empty(option));
            }
        }
        let into = self.into.to_string();
        if matches!(into.as_str(), "timestamp" | "level" | "source" | "message" | "routes" | "") {
            return Err(OptionError::Reserved(into));
        }
        if !(1..=MAX_HASHED_FRAMES).contains(&self.frames) {
            return Err(OptionError::Frames(self.frames));
        }
        Ok(())
    }
}
