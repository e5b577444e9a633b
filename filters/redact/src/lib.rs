//! `redact`: masks secrets and personal data anywhere in a record.
//!
//! ```toml
//! [[filter]]
//! name = "redact"
//! module = "bundled:redact"
//! options = { keys = ["employee_id"], modes = { card = "partial" } }
//! ```
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `keys` | none | keys whose values are masked, in addition to the default ones (`DEFAULT_KEYS`) |
//! | `only_keys` | none | the same, instead of the default ones |
//! | `detect` | none | what to search for in text, in addition to the default, which is everything but `ip`: `key`, `email`, `card`, `jwt`, `bearer`, `service_key`, `private_key`, `base64`, `ip` |
//! | `only_detect` | none | the same, instead of the default |
//! | `patterns` | none | your own regular expressions, searched for in every text; at most 32, always in linear time |
//! | `mode` | `mask` | `mask`: `********`; `partial`: the same plus the last four characters, for values of twelve or more; `hash`: `hash:` and 16 digits that are equal for equal values |
//! | `modes` | none | modes for single kinds: those of `detect`, and `pattern` |
//! | `hash_key` | none | the secret for `hash`, at least 16 bytes; if you change it, hashes change |
//! | `allow_keys` | none | keys, or paths (with a dot), under which nothing is masked |
//! | `allow_values` | none | values that are never masked; the whole value must match |
//!
//! `extra_keys` is an older name of `keys`. If the options turn off a default, the
//! filter logs a warning when it starts.
//!
//! # What is masked
//! - **By key**: text and numbers under a sensitive key, at any depth, including
//!   lists. A map under such a key is masked as a whole, because its keys may be
//!   secrets too, even if `allow_keys` names something in it. Case and the
//!   separators `_`, `-`, `.` and space are ignored. A `*` at the start or end of a
//!   key matches anything. Null, true, false and empty values stay: they reveal
//!   nothing.
//! - **In text**: e-mail addresses, passwords in URLs, payment cards (checked by
//!   issuer prefix, length and Luhn digit), JWTs, the token after `Bearer`, keys
//!   with a known prefix (AWS, GitHub, GitLab, Slack, Stripe, Google, …), PEM
//!   private keys, and random-looking base64 of 20 characters or more.
//! - **Sensitive keys in text**: `password=hunter2`, `api_key: x`, and JSON inside
//!   text.
//!
//! Integers are checked for card numbers, too. `timestamp` and `level` are left
//! alone. Binary values are searched like text. Keys are only masked below a
//! sensitive key: a map whose keys are e-mail addresses keeps them.
//!
//! # False positives and misses
//! One in ten other 16-digit identifiers that start like a card number is taken for
//! one. In prose, the word after `token:` is masked. Base64 of 20 characters is
//! missed in 8 of 100 cases, of 43 characters in 1. List such fields in
//! `allow_keys` or `keys`.
//!
//! # How it works
//! | module | purpose |
//! |---|---|
//! | `options` | the options and what they mean |
//! | `walk` | walks over MessagePack and writes patches |
//! | `keys`, `allow` | whether a key is sensitive; whether it is allowed |
//! | `scan`, `blocks` | finds candidates in text, 64 bytes at a time |
//! | `classes` | which bytes are letters, digits, parts of tokens |
//! | `patterns` | decides what a candidate is |
//! | `mask` | what is written instead |
//! | `limits` | all limits |
//!
//! The filter works on whole batches, because it sees every byte: an unchanged
//! record costs one walk and no allocation. The time is linear in the bytes,
//! whatever they are. Masked values are counted by kind: `masked_email` and so on.

mod allow;
mod blocks;
mod classes;
mod keys;
mod kind;
mod limits;
mod mask;
mod options;
mod patterns;
mod scan;
#[cfg(test)]
mod tests;
mod walk;

use weir_guest::{BatchFilter, Description, Level, Output, host};

pub use options::Options;
use walk::Redactor;

/// The filter.
pub struct Redact {
    redactor: Redactor,
}

impl BatchFilter for Redact {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "redact",
            version: env!("CARGO_PKG_VERSION"),
            description: "masks secrets and personal data anywhere in a record",
            ..Description::default()
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        let warnings = options.warnings();
        let redactor = options.build()?;
        for warning in warnings {
            host::log_once(Level::Warning, &warning);
        }
        Ok(Redact { redactor })
    }

    fn process_batch(&mut self, batch: &[u8], output: &mut Output) -> Result<(), String> {
        self.redactor.redact(batch, output)?;
        for (kind, count) in self.redactor.take_counts() {
            host::counter(kind.counter(), count);
        }
        Ok(())
    }
}

weir_guest::export!(Redact);
