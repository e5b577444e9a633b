//! Decompresses blocks of Snappy, the format without frames that Prometheus and Loki use.
//!
//! Used by `decompress`, which makes room first. Invariants: no more than the declared length is produced, and a declared
//! length that the block can't have is refused before anything is allocated.

/// The bytes that the shortest element, a copy of three bytes, can become.
const MOST_PER_BYTE: usize = 64 / 3 + 1;

/// The length that a block declares for its content.
pub(crate) fn declared_length(block: &[u8]) -> Result<usize, &'static str> {
    let (length, header) = header(block)?;
    match length <= (block.len() - header).saturating_mul(MOST_PER_BYTE) {
        true => Ok(length),
        false => Err("it declares more than it can have"),
    }
}

/// The declared length, and the bytes that it has itself.
fn header(block: &[u8]) -> Result<(usize, usize), &'static str> {
    let mut length = 0_u64;
    for (at, byte) in block.iter().enumerate().take(5) {
        length |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            return match u32::try_from(length) {
                Ok(length) => Ok((length as usize, at + 1)),
                Err(_) => break,
            };
        }
    }
    Err("it has no length")
}

/// Appends the content of a block to `out`, which should have room for the declared length.
pub(crate) fn decompress(block: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    const CUT: &str = "it is truncated";
    let (length, header) = header(block)?;
    let begin = out.len();
    let mut rest = &block[header..];
    while let Some((tag, after)) = rest.split_first() {
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let high = usize::from(tag >> 2);
        // The bytes of a number that follow the tag.
        let more = match tag & 3 {
            0 => high.saturating_sub(59),
            1 => 1,
            2 => 2,
            _ => 4,
        };
        let (digits, after) = after.split_at_checked(more).ok_or(CUT)?;
        let written = out.len() - begin;
        let count = match tag & 3 {
            0 if more == 0 => high + 1,
            0 => number(digits) + 1,
            1 => 4 + (high & 7),
            _ => high + 1,
        };
        if count > length - written {
            return Err("it is longer than it declares");
        }
        rest = after;
        if tag & 3 == 0 {
            let (literal, after) = rest.split_at_checked(count).ok_or(CUT)?;
            out.extend_from_slice(literal);
            rest = after;
            continue;
        }
        let back = if tag & 3 == 1 { (high >> 3) << 8 | number(digits) } else { number(digits) };
        if back == 0 || back > written {
            return Err("it copies from outside of its content");
        }
        // What is copied may overlap what it is copied to, and repeats then.
        let from = out.len() - back;
        let end = out.len() + count;
        while out.len() < end {
            let step = (end - out.len()).min(out.len() - from);
            out.extend_from_within(from..from + step);
        }
    }
    match out.len() - begin == length {
        true => Ok(()),
        false => Err(CUT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(block: &[u8]) -> Result<Vec<u8>, &'static str> {
        declared_length(block)?;
        let mut out = b"before".to_vec();
        decompress(block, &mut out)?;
        Ok(out[6..].to_vec())
    }

    #[test]
    fn literals_and_copies_of_each_kind_are_understood() {
        // A literal of a length in two bytes, then copies with offsets of 11, 16 and 32 bits, the last one overlapping.
        let total: usize = 300 + 4 + 64 + 7;
        let mut block = vec![0x80 | (total & 0x7f) as u8, (total >> 7) as u8, 61 << 2, 0x2b, 0x01];
        block.extend_from_slice(&[b'a'; 300]);
        block.extend_from_slice(&[1 | (1 << 5), 0x04]);
        block.extend_from_slice(&[2 | (63 << 2), 0x2c, 0x01]);
        block.extend_from_slice(&[3 | (6 << 2), 1, 0, 0, 0]);
        assert_eq!(content(&block), Ok(vec![b'a'; total]));
        // `ab`, then `ab` again and again.
        assert_eq!(content(&[12, 1 << 2, b'a', b'b', 2 | (9 << 2), 2, 0]).as_deref(), Ok(&b"abababababab"[..]));
        assert_eq!(content(&[0]).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for (block, reason) in [
            (&[][..], "no length"),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 1], "no length"),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f, 0], "more than it can have"),
            (&[3, 1 << 2, b'a', b'b'], "truncated"),
            (&[3, 2 << 2, b'a', b'b'], "truncated"),
            (&[3, 60 << 2], "truncated"),
            (&[1, 1 << 2, b'a', b'b'], "longer"),
            (&[5, 0, b'a', 1, 2], "outside"),
            (&[5, 0, b'a', 1, 0], "outside"),
        ] {
            let error = content(block).expect_err(reason);
            assert!(error.contains(reason), "{block:?}: {error}");
        }
    }
}
