//! What a power cut leaves of the unsynced bytes of a file, for the [simulated disk](crate::simulated). The same seed
//! always gives the same result.

/// The effect of a power cut on unsynced data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tear {
    /// All of it is lost.
    Lost,
    /// All of it is kept.
    Kept,
    /// The first part of the new bytes is kept, in thousandths.
    Prefix(u64),
    /// The file has its new length, with random bytes after a random offset.
    Garbage(u64),
    /// The file has its new length, with some of its 512-byte blocks still zero.
    Holes(u64),
}

/// A number that depends only on the seed (splitmix64).
pub(crate) fn next_random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The content of a file after a power cut.
pub(crate) fn torn(now: &[u8], durable: &[u8], tear: Tear, seed: &mut u64) -> Vec<u8> {
    let kept = durable.iter().zip(now).take_while(|(old, new)| old == new).count();
    let grew = kept == durable.len();
    match tear {
        Tear::Lost => durable.to_vec(),
        Tear::Kept => now.to_vec(),
        // An unsynced truncation or rewrite: either it happened or it did not.
        _ if !grew && next_random(seed).is_multiple_of(2) => now.to_vec(),
        _ if !grew => durable.to_vec(),
        Tear::Prefix(per_mille) => {
            let new_bytes = (now.len() - kept) as u64;
            now[..kept + (new_bytes * per_mille / 1000) as usize].to_vec()
        }
        Tear::Garbage(_) => {
            let mut bytes = now.to_vec();
            let new_bytes = (now.len() - kept) as u64;
            let from = if new_bytes == 0 { 0 } else { next_random(seed) % new_bytes };
            for byte in &mut bytes[kept + from as usize..] {
                *byte = next_random(seed) as u8;
            }
            bytes
        }
        Tear::Holes(_) => {
            let mut bytes = now.to_vec();
            for block in bytes[kept..].chunks_mut(512) {
                if next_random(seed).is_multiple_of(3) {
                    block.fill(0);
                }
            }
            bytes
        }
    }
}
