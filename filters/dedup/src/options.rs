//! The options and their validation.

use serde::Deserialize;
use thiserror::Error;
use weir_guest::Path;

use crate::limits::{DEFAULT_MAX_KEYS, MAX_KEY_FIELDS, MAX_MAX_KEYS, MAX_WINDOW_SECONDS};
use crate::shape::BOOKKEEPING_KEY;

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Seconds from the first record of a key until its count is emitted.
    pub window: u64,
    /// The paths whose values form the key.
    pub fields: Vec<Path>,
    /// Maximum number of open windows.
    pub max_keys: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            window: 30,
            fields: ["source", "level", "message"].map(Path::parse).into(),
            max_keys: DEFAULT_MAX_KEYS,
        }
    }
}

/// An invalid option.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum OptionError {
    #[error("option `window`: {0} seconds; it must be 1 to {MAX_WINDOW_SECONDS}")]
    Window(u64),
    #[error("option `fields`: an empty key makes all records equal; name at least one field")]
    NoFields,
    #[error("option `fields`: {0} fields are more than the {MAX_KEY_FIELDS} allowed")]
    TooManyFields(usize),
    #[error("option `fields`: `{0}` is listed twice; list it once")]
    Twice(Path),
    #[error("option `fields`: `timestamp` differs in nearly every record; leave it out (`window` limits the time)")]
    Timestamp,
    #[error("option `fields`: `{0}` is reserved for this filter; name another path")]
    Bookkeeping(Path),
    #[error("option `max_keys`: {0}; it must be 1 to {MAX_MAX_KEYS}")]
    MaxKeys(usize),
}

impl Options {
    /// Validates the options.
    pub fn check(&self) -> Result<(), OptionError> {
        if !(1..=MAX_WINDOW_SECONDS).contains(&self.window) {
            return Err(OptionError::Window(self.window));
        }
        if !(1..=MAX_MAX_KEYS).contains(&self.max_keys) {
            return Err(OptionError::MaxKeys(self.max_keys));
        }
        match self.fields.len() {
            0 => return Err(OptionError::NoFields),
            1..=MAX_KEY_FIELDS => {}
            count => return Err(OptionError::TooManyFields(count)),
        }
        for (index, field) in self.fields.iter().enumerate() {
            if *field == Path::parse("timestamp") {
                return Err(OptionError::Timestamp);
            }
            if field.keys().first().is_some_and(|key| key == BOOKKEEPING_KEY) {
                return Err(OptionError::Bookkeeping(field.clone()));
            }
            if self.fields[..index].contains(field) {
                return Err(OptionError::Twice(field.clone()));
            }
        }
        Ok(())
    }
}
