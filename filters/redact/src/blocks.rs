//! Scans text in blocks of 64 bytes for anything that may start a finding.
//!
//! This is the innermost loop: most strings contain nothing, and for those it is
//! all the work. A block becomes bit masks with one bit per byte; runs are found
//! by shifting a mask against itself. In WebAssembly the masks are computed with
//! 128-bit vectors; natively with an equivalent loop over bytes.

use crate::classes;

/// Bytes in a block.
pub const BLOCK: usize = 64;

/// Distance between the starts of two blocks. Blocks overlap by the length of the
/// longest run that is searched for, so that no run is split.
pub const STEP: usize = BLOCK - 16;

/// The byte classes of a block; bit `i` is for byte `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    /// Letters, digits and `-_+/`: the characters of tokens.
    pub token: u64,
    /// Hexadecimal digits and `-`: the characters of UUIDs and digests.
    pub hex: u64,
    /// Digits, space and `-`: the characters of card numbers.
    pub number: u64,
    /// `@`, `=` and `:`
    pub mark: u64,
    /// `r` and `R`.
    r: u64,
}

impl Masks {
    /// The masks of up to [`BLOCK`] bytes of `bytes`, from `from` to `end`. Bytes
    /// after `end` are read if they exist, and ignored: copying the tail of every
    /// text would cost more than all the rest.
    #[inline(always)]
    pub fn of(bytes: &[u8], from: usize, end: usize) -> Self {
        let len = (end - from).min(BLOCK);
        let mut masks = match bytes[from..].first_chunk::<BLOCK>() {
            Some(block) => Self::of_block(block, len),
            None => {
                let mut block = [0; BLOCK];
                block[..len].copy_from_slice(&bytes[from..from + len]);
                Self::of_block(&block, len)
            }
        };
        // `len` is 1 to 64.
        let valid = u64::MAX >> (BLOCK - len);
        masks.token &= valid;
        masks.hex &= valid;
        masks.number &= valid;
        masks.mark &= valid;
        masks
    }

    /// The masks of the first `len` bytes of a block, 16 bytes at a time.
    #[inline(always)]
    fn of_block(block: &[u8; BLOCK], len: usize) -> Self {
        let mut masks = Masks::default();
        let (chunks, _) = block.as_chunks::<16>();
        masks.add(classify(&chunks[0]), 0);
        if len > 16 {
            masks.add(classify(&chunks[1]), 16);
        }
        if len > 32 {
            masks.add(classify(&chunks[2]), 32);
        }
        if len > 48 {
            masks.add(classify(&chunks[3]), 48);
        }
        masks
    }

    #[inline(always)]
    fn add(&mut self, classes: Classes, shift: usize) {
        self.token |= u64::from(classes.token) << shift;
        self.hex |= u64::from(classes.hex) << shift;
        self.number |= u64::from(classes.number) << shift;
        self.mark |= u64::from(classes.mark) << shift;
        self.r |= u64::from(classes.r) << shift;
    }

    /// Spaces after `r`, any byte and `r`, as in `Bearer `.
    #[inline]
    pub fn after_r(&self) -> u64 {
        let space = self.number & !self.hex;
        space & self.r << 1 & self.r << 3
    }

    /// The starts and continuations of runs of at least 16 token bytes; none if
    /// all of them are hex.
    #[inline]
    pub fn long_tokens(&self) -> u64 {
        if self.token & !self.hex == 0 {
            return 0;
        }
        let mut run = self.token & self.token >> 1;
        run &= run >> 2;
        run &= run >> 4;
        run & run >> 8
    }

    /// The starts and continuations of runs of at least 13 bytes of numbers.
    #[inline]
    pub fn long_numbers(&self) -> u64 {
        let mut run = self.number & self.number >> 1;
        run &= run >> 2;
        run &= run >> 4;
        run & run >> 5
    }
}

/// The classes of 16 bytes, one bit per byte.
struct Classes {
    token: u16,
    hex: u16,
    number: u16,
    mark: u16,
    r: u16,
}

#[cfg(target_arch = "wasm32")]
#[inline(always)]
fn classify(chunk: &[u8; 16]) -> Classes {
    use core::arch::wasm32::{i8x16_bitmask, u8x16_eq, u8x16_le, u8x16_splat, u8x16_sub, u64x2, v128, v128_or};
    let half = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&chunk[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let bytes: v128 = u64x2(half(0), half(8));
    let is = |byte: u8| u8x16_eq(bytes, u8x16_splat(byte));
    let lower = v128_or(bytes, u8x16_splat(0x20));
    let letters = u8x16_le(u8x16_sub(lower, u8x16_splat(b'a')), u8x16_splat(25));
    let hex_letters = u8x16_le(u8x16_sub(lower, u8x16_splat(b'a')), u8x16_splat(5));
    let digits = u8x16_le(u8x16_sub(bytes, u8x16_splat(b'0')), u8x16_splat(9));
    let dash = is(b'-');
    let marks = v128_or(v128_or(is(b'_'), is(b'+')), v128_or(is(b'/'), dash));
    Classes {
        token: i8x16_bitmask(v128_or(v128_or(letters, digits), marks)),
        hex: i8x16_bitmask(v128_or(v128_or(hex_letters, digits), dash)),
        number: i8x16_bitmask(v128_or(digits, v128_or(is(b' '), dash))),
        mark: i8x16_bitmask(v128_or(is(b'@'), v128_or(is(b'='), is(b':')))),
        r: i8x16_bitmask(u8x16_eq(lower, u8x16_splat(b'r'))),
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[inline(always)]
fn classify(chunk: &[u8; 16]) -> Classes {
    let mask = |is: fn(u8) -> bool| chunk.iter().rev().fold(0_u16, |mask, byte| mask << 1 | u16::from(is(*byte)));
    Classes {
        token: mask(is_token),
        hex: mask(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
        number: mask(|byte| matches!(byte, b'0'..=b'9' | b' ' | b'-')),
        mark: mask(|byte| matches!(byte, b'@' | b'=' | b':')),
        r: mask(|byte| matches!(byte, b'r' | b'R')),
    }
}

/// Whether a byte may be part of a token.
#[inline]
pub fn is_token(byte: u8) -> bool {
    classes::is(byte, classes::TOKEN)
}

/// The positions of the set bits of a mask, lowest first.
pub fn bits(mask: u64) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let at = rest.trailing_zeros() as usize;
        rest &= rest - 1;
        Some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_in_its_classes_wherever_it_stands() {
        for byte in 0..=255_u8 {
            for at in [0, 1, 15, 16, 40, 63] {
                let mut text = [0; 64];
                text[at] = byte;
                let masks = Masks::of(&text, 0, 64);
                let bit = |is: bool| if is { 1 << at } else { 0 };
                assert_eq!(masks.token, bit(is_token(byte)), "token {byte} {at}");
                assert_eq!(masks.mark, bit(matches!(byte, b'@' | b'=' | b':')));
                let number = byte.is_ascii_digit() || byte == b' ' || byte == b'-';
                assert_eq!(masks.number, bit(number));
            }
        }
    }

    #[test]
    fn a_space_after_bearer_is_seen_across_chunks() {
        let text = b"0123456789Bearer token";
        assert_eq!(Masks::of(text, 0, text.len()).after_r(), 1 << 16);
        assert_eq!(Masks::of(text, 10, text.len()).after_r(), 1 << 6);
    }

    #[test]
    fn a_run_is_long_from_its_very_length_on() {
        for (len, long) in [(15, false), (16, true), (17, true)] {
            let text = format!(".{}.", "x".repeat(len));
            assert_eq!(Masks::of(text.as_bytes(), 0, text.len()).long_tokens() != 0, long, "{len}");
        }
        for (len, long) in [(12, false), (13, true)] {
            let text = format!("x{}x", "1".repeat(len));
            assert_eq!(Masks::of(text.as_bytes(), 0, text.len()).long_numbers() != 0, long, "{len}");
        }
    }

    #[test]
    fn what_follows_the_end_is_left_out() {
        let text = [b'@'; 200];
        for end in 1..=80 {
            let seen = Masks::of(&text, 0, end).mark;
            assert_eq!(seen, u64::MAX >> (BLOCK - end.min(BLOCK)), "{end}");
            assert_eq!(Masks::of(&text[..end], 0, end).mark, seen);
        }
    }

    #[test]
    fn no_run_falls_between_two_blocks() {
        for start in 0..150 {
            let text = format!("{}{}{}", ".".repeat(start), "x".repeat(16), ".".repeat(70));
            let found = (0..text.len())
                .step_by(STEP)
                .any(|from| Masks::of(text.as_bytes(), from, text.len()).long_tokens() != 0);
            assert!(found, "{start}");
        }
    }
}
