//! Random numbers for generated records. The same seed gives the same sequence.

use fastrand::Rng;

/// A random number generator.
#[derive(Debug, Clone)]
pub struct Random(Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number less than `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound.max(1))
    }

    /// Returns true with this probability in percent.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// A random element; `None` if there are none.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        self.0.choice(among)
    }

    /// Usually a small number, sometimes up to `most`.
    pub fn size(&mut self, most: usize) -> usize {
        let mut bound = 4;
        while bound < most && self.percent(40) {
            bound *= 4;
        }
        self.below(bound.min(most) + 1)
    }
}
