//! Masks secrets and personal data, wherever in a record they are.
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
//! | `keys` | none | keys whose values are masked, beside the usual ones (`DEFAULT_KEYS`) |
//! | `only_keys` | none | the same, but in place of the usual ones |
//! | `detect` | none | what is searched in texts, beside the usual kinds, which are all but `ip`: `key`, `email`, `card`, `jwt`, `bearer`, `service_key`, `private_key`, `base64`, `ip` |
//! | `only_detect` | none | the same, but in place of the usual kinds |
//! | `patterns` | none | own regular expressions, searched in every text; at most 32, always in linear time |
//! | `mode` | `mask` | `mask`: `********`; `partial`: the same and the last four characters, of values of twelve or more; `hash`: `hash:` and 16 digits, the same for the same value |
//! | `modes` | none | a mode for some kinds: those of `detect`, and `pattern` |
//! | `hash_key` | none | the secret that `hash` needs, 16 bytes or more; keep it, or hashes change |
//! | `allow_keys` | none | keys, or paths if they have a dot, under which nothing is masked |
//! | `allow_values` | none | values that are never masked, compared whole |
//!
//! `extra_keys` is an older name of `keys`. Options that leave out what is masked
//! by default are warned of in Weir's log when the filter starts.
//!
//! # What is masked
//! - **By key**: texts and numbers under a sensitive key, at any depth, in lists
//!   too. A map there is masked as a whole, since its keys may be secrets too,
//!   also when `allow_keys` names something in it. Case and the separators `_`,
//!   `-`, `.` and space do not matter. A `*` at an end of a key stands for
//!   anything. Null, true, false and what is empty stay: they tell nothing.
//! - **In texts**: e-mail addresses, passwords in URLs, payment cards (a network's
//!   first digits, its length, the Luhn digit), JWTs, what follows `Bearer`, keys
//!   with a service's mark (AWS, GitHub, GitLab, Slack, Stripe, Google, …), PEM
//!   private keys, and runs of base64 of 20 characters or more that look random.
//! - **Sensitive keys in texts**: `password=hunter2`, `api_key: x`, and JSON inside
//!   a text.
//!
//! Card numbers are searched in integers too. `timestamp` and `level` are left
//! alone. Bytes that are not text are searched like texts. Keys that are not below
//! a sensitive key are not: a map whose keys are e-mail addresses keeps them.
//!
//! # What can go wrong
//! Of other 16-digit identifiers that begin as a card does, one in ten is taken
//! for one. After `token:` in prose the next word is masked. Base64 of 20
//! characters is missed in 8 of 100 cases, of 43 in 1. Name such fields in
//! `allow_keys` or in `keys`.
//!
//! # How it is made
//! | module | what it is for |
//! |---|---|
//! | `options` | what the operator may set, and what it means |
//! | `walk` | walks over MessagePack, writes patches |
//! | `keys`, `allow` | is this key sensitive; is it allowed |
//! | `scan`, `blocks` | finds places in a text worth looking at, 64 bytes at a time |
//! | `classes` | which bytes are letters, digits, parts of tokens |
//! | `patterns` | looks at such a place and says what is there |
//! | `mask` | what is written instead |
//! | `limits` | every bound |
//!
//! It is the filter that sees every byte, so it works on batches: an untouched
//! record costs one walk and no allocation. Time is in proportion to the bytes,
//! whatever they are. What was masked is counted by kind: `masked_email` and so
//! on.

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
            description: "masks secrets and personal data, wherever in a record they are",
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
