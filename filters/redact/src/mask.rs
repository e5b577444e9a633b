//! Replaces findings.

use std::collections::HashSet;

use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

use crate::kind::Kind;
use crate::limits::MIN_PARTIAL_CHARS;

/// The replacement.
pub const MASK: &str = "********";

/// How a finding is masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// `********`
    #[default]
    Mask,
    /// `********` and the last four characters, if there are twelve or more.
    Partial,
    /// `hash:` and 16 hexadecimal digits that are equal for equal values.
    Hash,
}

/// Masks findings.
pub struct Masker {
    modes: [Mode; Kind::ALL.len()],
    hash: Option<Hmac<Sha256>>,
    /// Values that are never masked.
    allowed: HashSet<Box<[u8]>>,
    /// Number of masked findings by kind since the last call of `take_counts`.
    counts: [u64; Kind::ALL.len()],
}

impl Masker {
    /// Creates a masker; the mode `hash` needs a key.
    pub fn new(
        modes: [Mode; Kind::ALL.len()],
        hash_key: Option<&[u8]>,
        allowed: HashSet<Box<[u8]>>,
    ) -> Result<Self, String> {
        let hash = hash_key.map(Hmac::new_from_slice).transpose();
        let hash = hash.map_err(|error| format!("option `hash_key`: {error}"))?;
        Ok(Masker { modes, hash, allowed, counts: [0; Kind::ALL.len()] })
    }

    /// Whether a value is in the allow-list.
    #[inline]
    pub fn allows(&self, value: &[u8]) -> bool {
        !self.allowed.is_empty() && self.allowed.contains(value)
    }

    /// Appends the replacement of a value.
    pub fn mask(&mut self, value: &[u8], kind: Kind, out: &mut Vec<u8>) {
        self.counts[kind as usize] += 1;
        match (self.modes[kind as usize], &self.hash) {
            (Mode::Partial, _) => {
                out.extend_from_slice(MASK.as_bytes());
                out.extend_from_slice(last_four(value));
            }
            (Mode::Hash, Some(hash)) => {
                out.extend_from_slice(b"hash:");
                let digest = hash.clone().chain_update(value).finalize().into_bytes();
                for byte in &digest[..8] {
                    out.push(hex_digit(byte >> 4));
                    out.push(hex_digit(byte & 15));
                }
            }
            _ => out.extend_from_slice(MASK.as_bytes()),
        }
    }

    /// Appends the replacement of a map under a sensitive key; the mode `partial` shows no end.
    pub fn mask_map(&mut self, map: &[u8], out: &mut Vec<u8>) {
        match self.modes[Kind::Key as usize] {
            Mode::Hash => self.mask(map, Kind::Key, out),
            _ => self.mask(&[], Kind::Key, out),
        }
    }

    /// Number of masked findings by kind since the last call.
    pub fn take_counts(&mut self) -> impl Iterator<Item = (Kind, u64)> + use<> {
        let counts = std::mem::take(&mut self.counts);
        Kind::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

/// The last four characters, if the value is long enough to show them.
fn last_four(value: &[u8]) -> &[u8] {
    let Ok(text) = std::str::from_utf8(value) else {
        return &[];
    };
    let mut ends = text.char_indices().rev();
    match (ends.nth(3), ends.nth(MIN_PARTIAL_CHARS - 5)) {
        (Some((at, _)), Some(_)) => &value[at..],
        _ => &[],
    }
}
