//! Finds everything in one text.
//!
//! The block scanner finds candidates, and the patterns examine each. A text
//! without candidates is clean and takes no further work. Findings are returned
//! in order and don't overlap: overlapping ones are merged.

use regex::Regex;

use crate::blocks::{self, Masks, STEP};
use crate::keys::KeySet;
use crate::kind::{Finding, Kind, Kinds};
use crate::limits::MIN_TEXT_BYTES;
use crate::patterns::{assignment, card, email, ip, pem, token};

/// What to search for in text.
#[derive(Debug)]
pub struct Scanner {
    kinds: Kinds,
    /// Sensitive keys in text.
    keys: KeySet,
    /// The operator's own patterns.
    own: Vec<Regex>,
    /// Whether text is scanned again for what the block scan can't find.
    again: bool,
}

/// How far a text was examined. Examined parts are skipped, so that the time is
/// proportional to the length of the text.
#[derive(Default)]
struct Progress {
    tokens_to: usize,
    assigned_to: usize,
    /// Where the next number may start.
    numbers_from: usize,
    /// The end of the previous block: blocks overlap.
    blocks_to: usize,
}

impl Scanner {
    /// Creates a scanner for these kinds, keys and patterns.
    pub fn new(kinds: Kinds, keys: KeySet, own: Vec<Regex>) -> Self {
        let again = kinds.has(Kind::Ip) || !own.is_empty();
        Scanner { kinds, keys, own, again }
    }

    /// Whether card numbers are searched for.
    #[inline]
    pub fn finds_cards(&self) -> bool {
        self.kinds.has(Kind::Card)
    }

    /// Stores all findings in the text from `start` to `end` in `found`, ordered
    /// by position. `bytes` may be longer than the text, which makes reading
    /// faster.
    #[inline]
    pub fn scan(&self, bytes: &[u8], start: usize, end: usize, found: &mut Vec<Finding>) {
        found.clear();
        if end - start < MIN_TEXT_BYTES && !self.again {
            return;
        }
        let mut from = start;
        let mut seen = Progress::default();
        while from < end {
            let masks = Masks::of(bytes, from, end);
            let tokens = masks.long_tokens();
            if tokens | masks.long_numbers() | masks.mark | masks.after_r() != 0 {
                self.look(&bytes[start..end], from - start, &masks, tokens, &mut seen, found);
            }
            if end - from <= blocks::BLOCK {
                break;
            }
            from += STEP;
        }
        if self.again {
            self.scan_again(&bytes[start..end], found);
        }
        if found.len() > 1 {
            settle(found);
        }
    }

    /// Examines the candidates in one block.
    #[cold]
    fn look(
        &self,
        text: &[u8],
        from: usize,
        masks: &Masks,
        tokens: u64,
        seen: &mut Progress,
        found: &mut Vec<Finding>,
    ) {
        let mut tokens = tokens;
        while tokens != 0 {
            let bit = tokens.trailing_zeros();
            // The run goes on to the end of the block, or ends in it.
            let len = (masks.token >> bit).trailing_ones();
            let run = u64::MAX >> (64 - len) << bit;
            tokens &= !run;
            let whole = (bit > 0 || from == 0) && bit + len < 64;
            let at = from + bit as usize;
            if at < seen.tokens_to || whole && run & !masks.hex == 0 {
                continue;
            }
            if seen.tokens_to == 0 && self.kinds.has(Kind::PrivateKey) {
                pem::find(text, found);
            }
            let (start, end) = if whole { (at, at + len as usize) } else { token::run_around(text, at) };
            seen.tokens_to = token::find(text, start, end, self.kinds, found);
        }
        if self.kinds.has(Kind::Card) {
            for at in blocks::bits(masks.long_numbers()).map(|bit| from + bit) {
                if at >= seen.numbers_from {
                    seen.numbers_from = at + 1;
                    found.extend(card::find(text, at));
                }
            }
        }
        let fresh = |bit: &usize| from + bit >= seen.blocks_to;
        for at in blocks::bits(masks.after_r()).filter(fresh).map(|bit| from + bit) {
            if self.kinds.has(Kind::Bearer) {
                found.extend(assignment::find_bearer(text, at));
            }
        }
        for at in blocks::bits(masks.mark).filter(fresh).map(|bit| from + bit) {
            if text[at] == b'@' {
                if self.kinds.has(Kind::Email) {
                    found.extend(email::find(text, at));
                }
            } else if self.kinds.has(Kind::Key)
                && at >= seen.assigned_to
                && let Some(finding) = assignment::find(text, at, &self.keys)
            {
                seen.assigned_to = finding.end;
                found.push(finding);
            }
        }
        seen.blocks_to = from + blocks::BLOCK;
    }

    /// Optional detectors, and those that need text rather than bytes.
    #[cold]
    fn scan_again(&self, text: &[u8], found: &mut Vec<Finding>) {
        let Ok(text) = std::str::from_utf8(text) else {
            return;
        };
        if self.kinds.has(Kind::Ip) {
            ip::find(text, found);
        }
        for pattern in &self.own {
            found.extend(pattern.find_iter(text).filter(|found| !found.is_empty()).map(|found| Finding {
                start: found.start(),
                end: found.end(),
                kind: Kind::Pattern,
            }));
        }
    }
}

/// Sorts findings and merges overlapping ones; the kind of the longer one is
/// kept.
fn settle(found: &mut Vec<Finding>) {
    let place = |finding: &Finding| (finding.start, finding.end);
    if !found.is_sorted_by_key(place) {
        found.sort_unstable_by_key(place);
    }
    found.dedup_by(|next, kept| {
        if next.start >= kept.end {
            return false;
        }
        if next.end - next.start > kept.end - kept.start {
            kept.kind = next.kind;
        }
        kept.end = kept.end.max(next.end);
        true
    });
}
