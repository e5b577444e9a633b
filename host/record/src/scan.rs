//! Searches bytes eight at a time. The keys and values of log records are short, so machine words are faster than
//! vectors, which have setup costs.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Sets the high bit of every zero byte; higher bytes may be set wrongly.
#[inline(always)]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Sets the high bit of every byte that JSON strings must escape: quote, backslash, control characters. Exact up to the
/// lowest one.
#[inline(always)]
const fn specials(word: u64) -> u64 {
    zeros(word ^ (ONES * b'"' as u64))
        | zeros(word ^ (ONES * b'\\' as u64))
        | (word.wrapping_sub(ONES * 0x20) & !word & HIGHS)
}

/// Whether a byte must be escaped in a JSON string.
#[inline(always)]
pub(crate) const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The number of bytes at the start of `bytes` that need no escape in a JSON string, and whether all of them are ASCII.
#[inline(always)]
pub(crate) fn plain_prefix(bytes: &[u8]) -> (usize, bool) {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut seen = 0;
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = specials(word);
        if found != 0 {
            let len = found.trailing_zeros() / 8;
            seen |= word & !(u64::MAX << (8 * len));
            return (8 * at + len as usize, seen & HIGHS == 0);
        }
        seen |= word;
    }
    let len = tail.iter().position(|&byte| is_special(byte)).unwrap_or(tail.len());
    let ascii = seen & HIGHS == 0 && tail[..len].is_ascii();
    (bytes.len() - tail.len() + len, ascii)
}

/// The index of the first occurrence of a byte.
pub(crate) fn find_byte(bytes: &[u8], wanted: u8) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    let pattern = ONES * u64::from(wanted);
    for (at, word) in words.iter().enumerate() {
        let found = zeros(u64::from_le_bytes(*word) ^ pattern);
        if found != 0 {
            return Some(8 * at + (found.trailing_zeros() / 8) as usize);
        }
    }
    let before = bytes.len() - tail.len();
    tail.iter().position(|&byte| byte == wanted).map(|at| before + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_stops_exactly_where_a_byte_wise_search_does() {
        for len in 0..20 {
            for at in 0..len {
                for byte in 0..=255u8 {
                    let mut bytes = vec![b'x'; len];
                    bytes[at] = byte;
                    let plain = bytes.iter().position(|&b| is_special(b)).unwrap_or(len);
                    assert_eq!(plain_prefix(&bytes), (plain, bytes[..plain].is_ascii()), "{bytes:?}");
                    assert_eq!(find_byte(&bytes, byte), bytes.iter().position(|&b| b == byte), "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn a_special_byte_is_found_beside_bytes_that_nearly_are() {
        for bytes in [b"!\"!!!!!!", b"\"#\"#\"#\"#", b"]]]]]]]\\", b"\x80\xa2\xff \x1f   "] {
            let plain = bytes.iter().position(|&b| is_special(b)).expect("one is there");
            assert_eq!(plain_prefix(bytes).0, plain, "{bytes:?}");
        }
    }
}
