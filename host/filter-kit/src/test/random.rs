//! Random numbers for generated records: the same sequence for the same seed.

use fastrand::Rng;

/// A generator.
#[derive(Debug, Clone)]
pub struct Random(Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// Less than `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound.max(1))
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of several; none of none.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        self.0.choice(among)
    }

    /// Mostly small, now and then up to `most`.
    pub fn size(&mut self, most: usize) -> usize {
        let mut bound = 4;
        while bound < most && self.percent(40) {
            bound *= 4;
        }
        self.below(bound.min(most) + 1)
    }
}
