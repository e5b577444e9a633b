//! `sample`: keeps a fraction of the records, and every severe one.
//!
//! Which records are kept depends on a hash of the record or of some of its fields,
//! not on chance. So the same records are kept if they arrive again, on every
//! machine; with `hash = ["context.trace_id"]`, either all records of a trace are
//! kept or none.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `rate` | required | the fraction of records to keep: 0.1 keeps one in ten |
//! | `by` | `"source"` | the path whose value selects a rate in `rates` |
//! | `rates` | none | rates for single values: `{ auth = 1.0, cache = 0.01 }` |
//! | `hash` | the whole record | the paths whose values are hashed; if all of them are absent, the whole record is |
//! | `keep_level` | `"ERROR"` | records of this level or higher are always kept; `"off"`: none |
//! | `weight` | `"sample_weight"` | the path for the number of records that a kept one represents; `""`: none |
//!
//! # The weight
//!
//! The weight is 1 / rate. It is left out if it would be 1: on records kept for
//! their level, and at rate 1. If a record already has a weight because it was
//! sampled before, the two are multiplied. The sum of the weights, counting absent
//! ones as 1, estimates the original number of records.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "sample"
//! module = "bundled:sample"
//!
//! [filter.options]
//! rate = 0.1
//! rates = { auth = 1.0, "cache" = 0.01 }
//! hash = ["context.trace_id"]
//! ```
//!
//! # How it works
//!
//! | module | purpose |
//! |---|---|
//! | `options` | the options and their validation |
//! | `key` | the bytes that are hashed |
//! | `limits` | all limits |
//!
//! It keeps no state, so every worker has its own instance. To keep a trace because
//! of what happens later in it, use the filter `traces`.

mod key;
mod limits;
mod options;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use weir_guest::hash::hash;
use weir_guest::{Description, Edit, Filter, Level, Path, Record, Value, Verdict};

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Sample {
    share: SamplingRate,
    by: Path,
    shares: HashMap<String, SamplingRate>,
    hash: Vec<Path>,
    keep_level: Option<Level>,
    weight: Option<Path>,
    /// The hashed bytes of the current record, kept to reuse their memory.
    key: Vec<u8>,
}

/// A rate and the values derived from it.
#[derive(Debug, Clone, Copy)]
struct SamplingRate {
    /// Hashes below this, out of 2^64, are kept.
    below: u128,
    weight: f64,
}

impl SamplingRate {
    fn of(rate: f64) -> Self {
        // From 0 to 2^64; a float represents it exactly.
        SamplingRate { below: (rate * 2_f64.powi(64)) as u128, weight: 1.0 / rate }
    }
}

impl Filter for Sample {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "sample",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &[],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        options.check().map_err(|error| error.to_string())?;
        Ok(Sample {
            share: SamplingRate::of(options.rate.unwrap_or(1.0)),
            by: options.by,
            shares: options.rates.into_iter().map(|(value, rate)| (value, SamplingRate::of(rate))).collect(),
            hash: options.hash,
            keep_level: options.keep_level.0,
            weight: (!options.weight.is_empty()).then(|| Path::parse(&options.weight)),
            key: Vec::new(),
        })
    }

    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
        if self.keep_level.is_some_and(|least| record.level() >= least) {
            return Verdict::Keep;
        }
        let share = self.share_of(record);
        let decides = if key::write_key(&self.hash, record, &mut self.key) { &self.key } else { record.as_bytes() };
        if u128::from(hash(decides)) >= share.below {
            return Verdict::Drop;
        }
        if let Some(path) = &self.weight
            && share.weight > 1.0
        {
            let before = record.at(path).and_then(|value| value.as_f64()).filter(|weight| *weight > 0.0);
            edit.set_at(path, share.weight * before.unwrap_or(1.0));
        }
        Verdict::Keep
    }
}

impl Sample {
    fn share_of(&self, record: &Record<'_>) -> SamplingRate {
        if self.shares.is_empty() {
            return self.share;
        }
        let named = match record.at(&self.by) {
            Some(Value::Str(text)) => self.shares.get(text),
            Some(Value::Int(number)) => self.shares.get(&number.to_string()),
            Some(Value::Bool(truth)) => self.shares.get(if truth { "true" } else { "false" }),
            _ => None,
        };
        named.copied().unwrap_or(self.share)
    }
}

weir_guest::export!(Sample);
