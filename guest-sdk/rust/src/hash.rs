//! A hash that is the same on every machine and in every version, for filters that
//! keep a fraction of something: the decision must not depend on the machine, the
//! instance or the version.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// A pseudorandom number that is always the same for the same bytes.
pub fn hash(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = (bytes.len() as u64).wrapping_mul(FACTOR);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = step(state, u64::from_le_bytes(word));
    }
    let mut last = [0; 8];
    let rest = chunks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    // Two more rounds, so that every bit of the input affects every bit of the
    // result.
    step(step(state, u64::from_le_bytes(last)), FACTOR)
}

fn step(state: u64, word: u64) -> u64 {
    let mixed = (state ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53).rotate_left(29)
}

/// The hasher of a table whose keys senders choose: the standard hash, seeded
/// with a number that senders don't know, so that they can't choose keys that
/// collide.
#[derive(Debug, Clone, Copy)]
pub struct Seeded(pub u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_known_bytes_never_changes() {
        for (bytes, expected) in EXPECTED {
            assert_eq!(hash(bytes), expected, "{bytes:?}");
        }
    }

    /// A different hash would change which records are kept, in the middle of traces.
    const EXPECTED: [(&[u8], u64); 3] = [
        (b"", 10_290_820_201_059_383_269),
        (b"a", 3_985_997_155_416_660_351),
        (b"0123456789abcdef0123456789abcdef", 6_311_076_146_408_122_993),
    ];

    #[test]
    fn hashes_of_similar_keys_are_spread_evenly() {
        const BUCKETS: usize = 64;
        let mut counts = [0_u32; BUCKETS];
        for n in 0..64_000_u32 {
            counts[(hash(n.to_string().as_bytes()) >> 58) as usize] += 1;
        }
        // 1,000 each; six standard deviations are 190.
        assert!(counts.iter().all(|count| (810..1190).contains(count)), "{counts:?}");
    }

    #[test]
    fn every_bit_of_the_input_changes_the_hash() {
        let text = b"the quick brown fox jumps over the lazy dog";
        for length in 0..text.len() {
            let whole = hash(&text[..length]);
            assert_ne!(whole, hash(&text[..length + 1]), "{length} bytes and one more");
            for bit in 0..length * 8 {
                let mut other = text[..length].to_vec();
                other[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(whole, hash(&other), "{length} bytes, bit {bit}");
            }
        }
    }
}
