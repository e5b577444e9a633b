//! The options and their validation.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;
use weir_guest::{Level, LevelOrOff, Path};

use crate::limits::{MAX_HASH_FIELDS, MAX_RATES};

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The fraction of records to keep, 0 to 1.
    pub rate: Option<f64>,
    /// The path whose value selects a rate from `rates`.
    pub by: Path,
    /// Rates by value at `by`.
    pub rates: BTreeMap<String, f64>,
    /// The paths whose values are hashed: records with equal values are kept or dropped together.
    pub hash: Vec<Path>,
    /// The level from which on every record is kept.
    pub keep_level: LevelOrOff,
    /// The path for the number of records that a kept one represents.
    pub weight: String,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            rate: None,
            by: Path::parse("source"),
            rates: BTreeMap::new(),
            hash: Vec::new(),
            keep_level: LevelOrOff(Some(Level::Error)),
            weight: "sample_weight".to_owned(),
        }
    }
}

/// An invalid option.
#[derive(Debug, Error, PartialEq)]
pub enum OptionError {
    #[error("option `rate`: it is required, the fraction of records to keep: 0.1 keeps one in ten")]
    NoRate,
    #[error("option `{0}`: {1}; a rate is 0 to 1, and 0.1 keeps one in ten")]
    Rate(String, f64),
    #[error("option `rates`: {0} rates are more than the {MAX_RATES} allowed")]
    TooManyRates(usize),
    #[error("option `hash`: {0} paths are more than the {MAX_HASH_FIELDS} allowed")]
    TooManyFields(usize),
    #[error("option `weight`: `{0}` is a reserved field; name another path, or \"\" for none")]
    Weight(String),
}

impl Options {
    /// Validates the options.
    pub fn check(&self) -> Result<(), OptionError> {
        let rate = self.rate.ok_or(OptionError::NoRate)?;
        let named = self.rates.iter().map(|(name, rate)| (format!("rates.{name}"), *rate));
        for (option, rate) in [("rate".to_owned(), rate)].into_iter().chain(named) {
            // NaN is in no range.
            if !(0.0..=1.0).contains(&rate) {
                return Err(OptionError::Rate(option, rate));
            }
        }
        if self.rates.len() > MAX_RATES {
            return Err(OptionError::TooManyRates(self.rates.len()));
        }
        if self.hash.len() > MAX_HASH_FIELDS {
            return Err(OptionError::TooManyFields(self.hash.len()));
        }
        match self.weight.as_str() {
            "timestamp" | "level" | "source" | "message" | "routes" => Err(OptionError::Weight(self.weight.clone())),
            _ => Ok(()),
        }
    }
}
