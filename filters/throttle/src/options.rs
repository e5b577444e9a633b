//! The options and their validation.

use serde::Deserialize;
use thiserror::Error;
use weir_guest::{Level, Path};

use crate::limits::{
    DEFAULT_MAX_KEYS, MAX_BURST, MAX_KEY_FIELDS, MAX_MAX_KEYS, MAX_RATE, MAX_SUMMARY_SECONDS, MIN_RATE,
};

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Records per second and key.
    pub rate: Option<f64>,
    /// Maximum number of records at once after a pause.
    pub burst: Option<u32>,
    /// The paths whose values form the key.
    pub key: Vec<Path>,
    /// The level from which on every record goes on.
    pub keep_level: Option<Level>,
    /// Seconds from the first dropped record to the summary.
    pub summary: u64,
    /// Maximum number of keys with a bucket of their own.
    pub max_keys: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            rate: None,
            burst: None,
            key: vec![Path::parse("source")],
            keep_level: None,
            summary: 10,
            max_keys: DEFAULT_MAX_KEYS,
        }
    }
}

/// An invalid option.
#[derive(Debug, Error, PartialEq)]
pub enum OptionError {
    #[error("option `rate`: it is required, the records per second and key, such as 100")]
    NoRate,
    #[error("option `rate`: {0}; it must be {MIN_RATE} to {MAX_RATE} records a second")]
    Rate(f64),
    #[error("option `burst`: {0}; it must be 1 to {MAX_BURST} records")]
    Burst(u32),
    #[error("option `key`: {0} fields are more than the {MAX_KEY_FIELDS} allowed")]
    TooManyFields(usize),
    #[error("option `key`: `timestamp` differs in nearly every record; leave it out")]
    Timestamp,
    #[error("option `summary`: {0} seconds; it must be 1 to {MAX_SUMMARY_SECONDS}")]
    Summary(u64),
    #[error("option `max_keys`: {0}; it must be 1 to {MAX_MAX_KEYS}")]
    MaxKeys(usize),
}

impl Options {
    /// Validates the options; returns the rate and the burst.
    pub fn check(&self) -> Result<(f64, u32), OptionError> {
        let rate = self.rate.ok_or(OptionError::NoRate)?;
        if !(MIN_RATE..=MAX_RATE).contains(&rate) {
            return Err(OptionError::Rate(rate));
        }
        // One second's worth, but at least one record.
        let burst = self.burst.unwrap_or((rate.ceil() as u32).max(1));
        if !(1..=MAX_BURST).contains(&burst) {
            return Err(OptionError::Burst(burst));
        }
        if self.key.len() > MAX_KEY_FIELDS {
            return Err(OptionError::TooManyFields(self.key.len()));
        }
        if self.key.contains(&Path::parse("timestamp")) {
            return Err(OptionError::Timestamp);
        }
        if !(1..=MAX_SUMMARY_SECONDS).contains(&self.summary) {
            return Err(OptionError::Summary(self.summary));
        }
        if !(1..=MAX_MAX_KEYS).contains(&self.max_keys) {
            return Err(OptionError::MaxKeys(self.max_keys));
        }
        Ok((rate, burst))
    }
}
