//! `sample`: keeps a share of the records, and every one that is severe.
//!
//! What is kept does not depend on chance but on a hash of the record, or of
//! some of its fields. So the same records are kept when they come again, on
//! every machine, and with `hash = ["context.trace_id"]` either all records of a
//! trace or none.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `rate` | must be given | the share of records that is kept: 0.1 is one in ten |
//! | `by` | `"source"` | the path whose value chooses a rate from `rates` |
//! | `rates` | none | other rates, by value: `{ auth = 1.0, cache = 0.01 }` |
//! | `hash` | the whole record | the paths whose values decide; where none of them holds anything, the whole record does |
//! | `keep_level` | `"ERROR"` | from which level on every record is kept; `"off"`: none for its level |
//! | `weight` | `"sample_weight"` | where it is written for how many records a kept one stands; `""`: nowhere |
//!
//! # The weight
//!
//! It is 1 / rate, and absent where it would be 1: on records kept for their
//! level, and where the rate is 1. A record that has a weight already, because it
//! was sampled before, gets the product. The sum of the weights, absent ones
//! taken as 1, estimates how many records there were.
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
//! | module | what it is for |
//! |---|---|
//! | `options` | the options and their check |
//! | `key` | what decides about a record |
//! | `limits` | every bound |
//!
//! It keeps no state, so every worker has its own. Keeping a trace because of
//! what happens later in it needs to remember: that is the filter `traces`.

mod key;
mod limits;
mod options;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use weir_guest::hash::hash;
use weir_guest::{Description, Edit, Filter, Level, Path, Record, Value, Verdict};

pub use options::{KeepLevel, Options};

/// The filter.
#[derive(Debug)]
pub struct Sample {
    share: Share,
    by: Path,
    shares: HashMap<String, Share>,
    hash: Vec<Path>,
    keep_level: Option<Level>,
    weight: Option<Path>,
    /// What is hashed of the record at hand; kept for its memory.
    key: Vec<u8>,
}

/// A rate with what follows from it.
#[derive(Debug, Clone, Copy)]
struct Share {
    /// Hashes below this are kept; of all 2^64.
    below: u128,
    weight: f64,
}

impl Share {
    fn of(rate: f64) -> Self {
        // From 0 to 2^64; the conversion is exact for such a float.
        Share { below: (rate * 2_f64.powi(64)) as u128, weight: 1.0 / rate }
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
            share: Share::of(options.rate.unwrap_or(1.0)),
            by: options.by,
            shares: options.rates.into_iter().map(|(value, rate)| (value, Share::of(rate))).collect(),
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
    fn share_of(&self, record: &Record<'_>) -> Share {
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
