//! Byte classes in a table. Where bytes are read one by one, a chain of
//! comparisons for each would dominate the cost.

/// Letters and digits.
pub const WORD: u8 = 1;
/// Letters, digits and `-_+/`: the characters of tokens.
pub const TOKEN: u8 = 2;
/// Characters before the `@` of an e-mail address.
pub const LOCAL: u8 = 4;
/// Letters, digits, `-` and `.`
pub const DOMAIN: u8 = 8;
/// Digits.
pub const DIGIT: u8 = 16;
/// Characters of the user and password in a URL.
pub const USER: u8 = 32;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        classes[index] = match byte {
            b'0'..=b'9' => WORD | TOKEN | LOCAL | DOMAIN | DIGIT,
            _ if byte.is_ascii_alphabetic() => WORD | TOKEN | LOCAL | DOMAIN,
            b'-' => TOKEN | LOCAL | DOMAIN,
            b'_' | b'+' => TOKEN | LOCAL,
            b'/' => TOKEN,
            b'.' => LOCAL | DOMAIN,
            b'%' | b'\'' => LOCAL,
            _ => 0,
        };
        if !matches!(byte, b'/' | b' ' | b'"' | b'\n' | b'@') {
            classes[index] |= USER;
        }
        index += 1;
    }
    classes
};

/// Whether a byte is in a class.
#[inline]
pub fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// The length of the longest prefix of a text in a class.
#[inline]
pub fn run(text: &[u8], class: u8) -> usize {
    let (eights, rest) = text.as_chunks::<8>();
    for (index, eight) in eights.iter().enumerate() {
        let outside = outside(eight, class);
        if outside != 0 {
            return index * 8 + outside.trailing_zeros() as usize;
        }
    }
    text.len() - rest.len() + rest.iter().position(|byte| !is(*byte, class)).unwrap_or(rest.len())
}

/// The length of the longest suffix of a text in a class.
#[inline]
pub fn run_back(text: &[u8], class: u8) -> usize {
    let (rest, eights) = text.as_rchunks::<8>();
    for (index, eight) in eights.iter().rev().enumerate() {
        let outside = outside(eight, class);
        if outside != 0 {
            return index * 8 + (outside << 24).leading_zeros() as usize;
        }
    }
    text.len() - rest.len() + rest.iter().rev().position(|byte| !is(*byte, class)).unwrap_or(rest.len())
}

/// Which of eight bytes are not in a class, one bit each. Eight at a time,
/// because an iteration costs more than the lookup of a byte.
#[inline]
fn outside(eight: &[u8; 8], class: u8) -> u32 {
    let bit = |index: usize| u32::from(!is(eight[index], class)) << index;
    bit(0) | bit(1) | bit(2) | bit(3) | bit(4) | bit(5) | bit(6) | bit(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_at_the_first_byte_of_another_class_however_long_they_are() {
        for len in 0..30 {
            for after in 0..12 {
                let mut text = vec![b'7'; len];
                text.extend(std::iter::repeat_n(b'!', after));
                assert_eq!(run(&text, DIGIT), len);
                text.reverse();
                assert_eq!(run_back(&text, DIGIT), len);
            }
        }
    }
}
