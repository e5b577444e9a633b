//! Decides whether a key is sensitive.
//!
//! This runs for every key of every record, so the usual answer "no" must cost
//! almost nothing. Case and the separators `_`, `-`, `.` and space are ignored,
//! so `api_key` is also `apiKey`, `API-KEY` and `Api Key`. A table of the last
//! three letters rejects nearly every other key at once; only the rest is
//! normalised and looked up.

use crate::limits::MAX_KEY_BYTES;

const TABLE_BITS: usize = 4096;

/// A set of keys. A `*` at the start or end of a key matches anything:
/// `*password`.
#[derive(Debug)]
pub struct KeySet {
    /// Whole keys, normalised, ordered by length and then by letters.
    whole: Vec<Box<[u8]>>,
    /// Suffixes of keys, normalised.
    ends: Vec<Box<[u8]>>,
    /// Prefixes of keys, normalised.
    starts: Vec<Box<[u8]>>,
    /// Substrings of keys, normalised.
    parts: Vec<Box<[u8]>>,
    /// Which combinations of the last three letters occur. If empty, every key is
    /// looked up.
    table: Vec<u64>,
    /// Which combinations of the last two letters occur, by five bits of each:
    /// rejects most keys without regard to case and separators.
    pairs: [u32; 32],
}

impl KeySet {
    /// Creates a set of these keys; an error names the invalid one.
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<Self, String> {
        let mut set = KeySet {
            whole: Vec::new(),
            ends: Vec::new(),
            starts: Vec::new(),
            parts: Vec::new(),
            table: vec![0; TABLE_BITS / 64],
            pairs: [0; 32],
        };
        // Separators may be anywhere; bytes with the same five bits are accepted.
        for separator in SEPARATORS.map(|separator| separator & 31) {
            set.pairs[usize::from(separator)] = u32::MAX;
            set.pairs.iter_mut().for_each(|lasts| *lasts |= 1 << separator);
        }
        for key in keys {
            set.add(key)?;
        }
        set.whole.sort_unstable_by(|a, b| by_length(a, b));
        Ok(set)
    }

    fn add(&mut self, key: &str) -> Result<(), String> {
        let inner = key.strip_prefix('*').unwrap_or(key);
        let open_start = inner.len() < key.len();
        let bare = inner.strip_suffix('*').unwrap_or(inner);
        let open_end = bare.len() < inner.len();
        let mut buffer = [0; MAX_KEY_BYTES];
        let normal = match normalise(bare.as_bytes(), &mut buffer) {
            Some([]) => return Err(format!("`{key}` has no letter to compare")),
            None => return Err(format!("`{key}` is longer than {MAX_KEY_BYTES} bytes")),
            Some(_) if bare.contains('*') => {
                return Err(format!("`{key}` has a `*` inside; it is only allowed at the start or end"));
            }
            Some(normal) => normal,
        };
        if let [.., second, last] = normal {
            self.pairs[usize::from(second & 31)] |= 1 << (last & 31);
        }
        // The end of the key is unknown, or too short for the table.
        if open_end || normal.len() < 3 {
            self.table.clear();
        } else if let (Some(index), false) = (table_index(normal), self.table.is_empty()) {
            self.table[index / 64] |= 1 << (index % 64);
        }
        match (open_start, open_end) {
            (false, false) => self.whole.push(normal.into()),
            (true, false) => self.ends.push(normal.into()),
            (false, true) => self.starts.push(normal.into()),
            (true, true) => self.parts.push(normal.into()),
        }
        Ok(())
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        let all = [&self.whole, &self.ends, &self.starts, &self.parts];
        all.iter().all(|keys| keys.is_empty())
    }

    /// Whether a key is in the set. Inlined, because a call would cost as much as
    /// the lookup.
    #[inline(always)]
    pub fn contains(&self, key: &[u8]) -> bool {
        if !self.table.is_empty() {
            if let [.., second, last] = key
                && self.pairs[usize::from(second & 31)] >> (last & 31) & 1 == 0
            {
                return false;
            }
            match table_index(key) {
                // All entries of the set have at least three letters.
                None if key.len() < 3 => return false,
                Some(index) if self.table[index / 64] >> (index % 64) & 1 == 0 => return false,
                _ => {}
            }
        }
        self.look_up(key)
    }

    #[cold]
    fn look_up(&self, key: &[u8]) -> bool {
        let mut buffer = [0; MAX_KEY_BYTES];
        // Only the last part of a very long key can match.
        let tail = &key[key.len().saturating_sub(4 * MAX_KEY_BYTES)..];
        let normal = match normalise(tail, &mut buffer) {
            Some(normal) => normal,
            None => return self.look_up_long(tail),
        };
        self.whole.binary_search_by(|whole| by_length(whole, normal)).is_ok()
            || self.ends.iter().any(|end| end.last() == normal.last() && normal.ends_with(end))
            || self.starts.iter().any(|start| normal.starts_with(start))
            || self.parts.iter().any(|part| normal.windows(part.len()).any(|w| w == &**part))
    }

    /// A key longer than any in the set can match only in parts.
    fn look_up_long(&self, key: &[u8]) -> bool {
        let normal: Vec<u8> = key.iter().filter_map(|byte| letter(*byte)).collect();
        self.ends.iter().any(|end| normal.ends_with(end))
            || self.starts.iter().any(|start| normal.starts_with(start))
            || self.parts.iter().any(|part| normal.windows(part.len()).any(|w| w == &**part))
    }
}

/// Compares lengths first, because they usually differ.
fn by_length(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// A separator between the words of a key.
const SEPARATORS: [u8; 4] = *b"_-. ";

/// Bytes of keys in normalised form; 0 for separators.
static LETTERS: [u8; 256] = {
    let mut letters = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        letters[byte] = match byte as u8 {
            b'_' | b'-' | b'.' | b' ' => 0,
            byte => byte.to_ascii_lowercase(),
        };
        byte += 1;
    }
    letters
};

/// A byte of a key in normalised form; `None` for a separator.
#[inline]
fn letter(byte: u8) -> Option<u8> {
    let letter = LETTERS[usize::from(byte)];
    (letter != 0).then_some(letter)
}

fn normalise<'b>(key: &[u8], buffer: &'b mut [u8; MAX_KEY_BYTES]) -> Option<&'b [u8]> {
    let mut len = 0;
    for letter in key.iter().filter_map(|byte| letter(*byte)) {
        *buffer.get_mut(len)? = letter;
        len += 1;
    }
    Some(&buffer[..len])
}

/// The index of a key's last three letters in the table, skipping one separator;
/// `None` if that is not enough to decide.
#[inline]
fn table_index(key: &[u8]) -> Option<usize> {
    let n = key.len();
    if n < 3 {
        return None;
    }
    let last = letter(key[n - 1])?;
    let (second, third) = match (letter(key[n - 2]), letter(key[n - 3])) {
        (Some(second), Some(third)) => (second, third),
        (Some(second), None) if n > 3 => (second, letter(key[n - 4])?),
        (None, Some(second)) if n > 3 => (second, letter(key[n - 4])?),
        _ => return None,
    };
    let mixed = usize::from(last) ^ usize::from(second) << 3 ^ usize::from(third) << 7;
    Some(mixed % TABLE_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_separators_do_not_matter() {
        let set = KeySet::new(["api_key", "Authorization", "pwd"]).unwrap();
        for key in ["api_key", "apiKey", "API-KEY", "Api.Key", "a_p_i_k_e_y", "authorization", "p_w_d", "PWD"] {
            assert!(set.contains(key.as_bytes()), "{key}");
        }
        for key in ["", "k", "ey", "key", "api_keys", "my_api_key", "xpwd", "wd", "p_d", "___", "authorizatio"] {
            assert!(!set.contains(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn a_star_stands_for_anything_at_its_end() {
        let set = KeySet::new(["*password"]).unwrap();
        assert!(set.contains(b"password") && set.contains(b"DB_PASSWORD"));
        assert!(!set.contains(b"password_hint"));
        let set = KeySet::new(["secret*", "*card*"]).unwrap();
        assert!(set.contains(b"secret") && set.contains(b"secretSauce"));
        assert!(set.contains(b"the_card_number") && !set.contains(b"a_secret"));
        let long = format!("{}password", "x_".repeat(500));
        assert!(KeySet::new(["*password"]).unwrap().contains(long.as_bytes()));
    }

    #[test]
    fn short_keys_are_found_too() {
        let set = KeySet::new(["pw", "password"]).unwrap();
        assert!(set.contains(b"pw") && set.contains(b"P_W") && set.contains(b"password"));
        assert!(!set.contains(b"w"));
    }

    #[test]
    fn keys_that_can_not_be_compared_are_refused() {
        for key in ["", "*", "_-", "pass*word", &"x".repeat(65)] {
            assert!(KeySet::new([key]).is_err(), "{key}");
        }
    }
}
