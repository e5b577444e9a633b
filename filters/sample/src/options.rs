//! The options as the operator writes them, and their check.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;
use weir_guest::{Level, LevelOrOff, Path};

use crate::limits::{MAX_HASH_FIELDS, MAX_RATES};

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The share of records that is kept, 0 to 1.
    pub rate: Option<f64>,
    /// The path whose value chooses a rate from `rates`.
    pub by: Path,
    /// Rates of values at `by`.
    pub rates: BTreeMap<String, f64>,
    /// The paths whose values decide: records alike in them share their fate.
    pub hash: Vec<Path>,
    /// From which level on every record is kept.
    pub keep_level: LevelOrOff,
    /// Where it is written how many records a kept one stands for.
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

/// An option that can't be followed.
#[derive(Debug, Error, PartialEq)]
pub enum OptionError {
    #[error("option `rate`: it must be given, the share of records to keep: 0.1 keeps one in ten")]
    NoRate,
    #[error("option `{0}`: {1}; a rate is 0 to 1, and 0.1 keeps one in ten")]
    Rate(String, f64),
    #[error("option `rates`: {0} rates are more than the {MAX_RATES} allowed")]
    TooManyRates(usize),
    #[error("option `hash`: {0} paths are more than the {MAX_HASH_FIELDS} allowed")]
    TooManyFields(usize),
    #[error("option `weight`: `{0}` means something to Weir; name another path, or \"\" for none")]
    Weight(String),
}

impl Options {
    /// Whether they can be followed.
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
