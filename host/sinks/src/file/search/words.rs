//! The words of a block, in a filter that tells which words are certainly not in it.
//!
//! A word is what [`weir_query::whole_words`] requires: a run of ASCII letters, digits and `_`, in any case. The filter is
//! a split-block Bloom filter: each word sets [`BITS`] bits in one line of 64 bytes. It needs no dictionary, so it costs the
//! same for ids, which occur once, as for common words, and a look-up reads one line.
//!
//! A filter begins large enough for any block and is then folded: its lower and upper half are joined, as long as it stays
//! sparse enough. So its size follows the number of different words, which need not be known in advance.
//!
//! **No false negatives.** A block with a letter that matches one of ASCII (`ſ`, the Kelvin sign), or in which JSON escapes
//! a printable character, is *unclear*: its filter means nothing.

/// A line of a filter.
pub type Line = [u64; BITS];

/// Bits that a word sets, one in each eighth of its line.
pub const BITS: usize = 8;
pub const LINE_BYTES: usize = size_of::<Line>();

/// Lines before folding: enough for 40,000 different words.
pub const LINES: usize = 1024;

/// Share of the bits that may be set after folding: more than one percent of absent words would be found beyond it.
const MOST_FILLED: f64 = 0.53;

/// Words that are remembered as already added, since most words of a line are in all lines.
const SEEN: usize = 4096;

/// Turns letters into lower case, and keeps digits and `_` distinct.
const LOWER: u64 = 0x2020_2020_2020_2020;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Separator,
    Part,
    Escape,
    /// The first byte of a character that matches a letter of ASCII, and of others.
    Folding,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Separator; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_' {
            classes[byte] = Class::Part;
        }
        byte += 1;
    }
    classes[b'\\' as usize] = Class::Escape;
    classes[FOLDING[0][0] as usize] = Class::Folding;
    classes[FOLDING[1][0] as usize] = Class::Folding;
    classes
};

/// `ſ` and the Kelvin sign.
const FOLDING: [&[u8]; 2] = ["\u{17f}".as_bytes(), "\u{212a}".as_bytes()];

/// Collects the words of one block after the other.
pub struct Collector {
    seen: Box<[u64]>,
}

impl Default for Collector {
    fn default() -> Collector {
        Collector { seen: vec![0; SEEN].into() }
    }
}

impl Collector {
    /// Adds the words of a block to its filter. False if the block is unclear.
    pub fn add(&mut self, block: &[u8], filter: &mut [Line; LINES]) -> bool {
        self.seen.fill(0);
        words(block, |hash| {
            let seen = &mut self.seen[(hash >> 40) as usize % SEEN];
            if *seen != hash {
                *seen = hash;
                let line = &mut filter[line_of(hash, LINES)];
                line.iter_mut().zip(bits(hash)).for_each(|(part, bit)| *part |= bit);
            }
        })
    }
}

/// Calls back with the hash of each word. False if the text is unclear.
fn words(text: &[u8], mut take: impl FnMut(u64)) -> bool {
    let (mut at, mut is_clear) = (0, true);
    while at < text.len() {
        match CLASSES[usize::from(text[at])] {
            Class::Separator => at += 1,
            Class::Part => {
                let begin = at;
                while at < text.len() && CLASSES[usize::from(text[at])] == Class::Part {
                    at += 1;
                }
                take(hash(text, begin, at));
            }
            // Skipped whole, so that the letter of an escape is no part of the next word.
            Class::Escape => match text[at + 1..] {
                [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => {
                    is_clear &= matches!([a, b, c], [b'0', b'0', b'0' | b'1']);
                    at += 6;
                }
                _ => at += 2,
            },
            Class::Folding => {
                is_clear &= !FOLDING.iter().any(|letter| text[at..].starts_with(letter));
                at += 1;
            }
        }
    }
    is_clear
}

/// The hash of a word in lower case.
pub fn hash_of(word: &str) -> u64 {
    hash(word.as_bytes(), 0, word.len())
}

/// Saved filters depend on it. Never zero.
fn hash(text: &[u8], begin: usize, end: usize) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = (end - begin) as u64;
    let mut at = begin;
    while at < end {
        let wanted = (end - at).min(8);
        let chunk = match text[at..].first_chunk() {
            Some(chunk) => u64::from_le_bytes(*chunk) & (u64::MAX >> (64 - 8 * wanted)),
            None => text[at..end].iter().rev().fold(0, |chunk, byte| chunk << 8 | u64::from(*byte)),
        };
        hash = (hash ^ (chunk | LOWER)).wrapping_mul(FACTOR);
        hash ^= hash >> 29;
        at += wanted;
    }
    hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (hash ^ (hash >> 32)) | UNUSED_BIT
}

/// No line and no bit depends on it.
const UNUSED_BIT: u64 = 1 << 12;

/// The line of a word in a filter of so many lines, a power of two.
pub fn line_of(hash: u64, lines: usize) -> usize {
    hash as usize & (lines - 1)
}

/// The bits of a word in its line.
pub fn bits(hash: u64) -> Line {
    std::array::from_fn(|at| 1 << ((hash >> (16 + 6 * at)) & 63))
}

/// Whether a line has all of these bits.
pub fn has_bits(line: &[u8], bits: &Line) -> bool {
    line.as_chunks().0.iter().zip(bits).all(|(part, bit)| u64::from_le_bytes(*part) & bit != 0)
}

/// Folds filters of the same size as far as they stay sparse enough. Returns the number of lines of each.
pub fn fold(filters: &mut Vec<Line>, mut lines: usize) -> usize {
    while lines > 1 {
        let half = lines / 2;
        let folded: Vec<Line> = filters
            .chunks_exact(lines)
            .flat_map(|filter| {
                let (lower, upper) = filter.split_at(half);
                lower.iter().zip(upper).map(|(one, other)| std::array::from_fn(|at| one[at] | other[at]))
            })
            .collect();
        let set: u64 = folded.iter().flatten().map(|part| u64::from(part.count_ones())).sum();
        if set as f64 > MOST_FILLED * (folded.len() * LINE_BYTES * 8) as f64 {
            break;
        }
        (*filters, lines) = (folded, half);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(block: &[u8]) -> (Vec<Line>, bool) {
        let mut lines = [[0; BITS]; LINES];
        let is_clear = Collector::default().add(block, &mut lines);
        (lines.to_vec(), is_clear)
    }

    fn has(filter: &[Line], word: &str) -> bool {
        let hash = hash_of(word);
        let line = filter[line_of(hash, filter.len())].map(u64::to_le_bytes);
        has_bits(line.as_flattened(), &bits(hash))
    }

    #[test]
    fn words_of_json_are_found_and_letters_of_escapes_are_not_part_of_them() {
        let text =
            r#"{"Trace_Id":"AB-12345678901234567","message":"x\nnew\u001fline\\tab \"said\" caf\u00ff","ü":"größe"}"#;
        let (filter, is_clear) = filter(text.as_bytes());
        assert!(!is_clear, "it escapes a letter");
        for word in
            ["trace_id", "ab", "12345678901234567", "x", "new", "line", "tab", "said", "caf", "message", "gr", "e"]
        {
            assert!(has(&filter, word), "{word}");
        }
        for word in ["nnew", "u001fline", "ttab", "trace", "id", "123", "n", "größe"] {
            assert!(!has(&filter, word), "{word}");
        }
    }

    #[test]
    fn text_with_letters_that_match_others_is_unclear() {
        for (text, is_clear) in [
            ("plain \\n \\u0000 \\u001F é ĸ Ⅷ \\/", true),
            ("\u{17f}ource", false),
            ("\u{212a}elvin", false),
            ("\\u017fource", false),
            ("\\u212Aelvin", false),
            ("\\u0073ource", false),
            ("\\", true),
            ("\\u00", true),
        ] {
            assert_eq!(filter(text.as_bytes()).1, is_clear, "{text}");
        }
    }

    #[test]
    fn an_escape_that_is_none_hides_no_word_of_the_next_line() {
        let (filter, _) = filter(b"broken \\u00\nabcd efgh\\\nijkl\n");
        assert!(["abcd", "efgh", "ijkl"].iter().all(|word| has(&filter, word)));
    }

    #[test]
    fn a_folded_filter_has_all_words_and_about_one_percent_of_others() {
        for count in [1, 50, 700, 6000, 30_000] {
            let text: String = (0..count).map(|number| format!("id{number:08x} ")).collect();
            let (mut filter, is_clear) = filter(text.as_bytes());
            assert!(is_clear);
            let lines = fold(&mut filter, LINES);
            assert_eq!(filter.len(), lines);
            assert!((0..count).all(|number| has(&filter, &format!("id{number:08x}"))));
            let wrong = (0..10_000).filter(|number| has(&filter, &format!("no{number:08x}"))).count();
            assert!(wrong < 250, "{count} words: {wrong} of 10,000 others");
            assert!(lines * LINE_BYTES < 64 + count * 3, "{count} words: {lines} lines");
        }
    }
}
