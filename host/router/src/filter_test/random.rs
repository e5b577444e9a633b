//! A small generator of random numbers (xorshift64*): the same sequence for the same seed on every machine, which is
//! all that is wanted of it.

/// The generator's state; never zero.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Seeds that people give are small and alike; this spreads them.
        let mut spread = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        spread = (spread ^ (spread >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        spread = (spread ^ (spread >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((spread ^ (spread >> 31)).max(1))
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Less than `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound.max(1)
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of several; none of none.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        among.get(self.below(among.len()))
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
