//! Random changes to bodies, for the tests of what reads them.

use std::{
    env,
    time::{Duration, Instant},
};

/// Calls `take` with changed copies of `seeds` and the seed's index, and returns how often it returned true. Takes a
/// moment, or as many seconds as `WEIR_MUTATE_S` says.
pub(crate) fn run(seeds: &[&[u8]], mut take: impl FnMut(usize, &[u8]) -> bool) -> usize {
    let seconds = env::var("WEIR_MUTATE_S").ok().and_then(|seconds| seconds.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut taken, mut tried) = (0, 0);
    while until.map_or(tried < 5000, |until| Instant::now() < until) {
        let seed = tried % seeds.len();
        let body = random.changed(seeds[seed], seeds);
        taken += usize::from(take(seed, &body));
        tried += 1;
    }
    if until.is_some() {
        println!("{tried} bodies, {taken} taken");
    }
    taken
}

/// xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn changed(&mut self, seed: &[u8], seeds: &[&[u8]]) -> Vec<u8> {
        const INTERESTING: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'{', b'}', b'[', b',', b'0'];
        let mut body = seed.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(body.len());
            let length = self.below(24).min(body.len() - at);
            match self.below(7) {
                0 if !body.is_empty() => body[at] ^= 1 << self.below(8),
                1 if !body.is_empty() => body[at] = INTERESTING[self.below(INTERESTING.len())],
                2 => drop(body.drain(at..at + length)),
                3 => body.insert(at, INTERESTING[self.below(INTERESTING.len())]),
                4 => body.extend_from_within(at..at + length),
                5 => body.truncate(at),
                _ => {
                    let other = seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    let piece = &other[from..(from + length).min(other.len())];
                    body.splice(at..at, piece.iter().copied());
                }
            }
        }
        body
    }
}
