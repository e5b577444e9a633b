//! Finds everything in one text.
//!
//! The block scanner names places, the patterns look at each. A text in which it
//! names none is clean, and nothing more is done. Findings come out in order and
//! apart from each other: where two overlap they become one.

use regex::Regex;

use crate::blocks::{self, Masks, STEP};
use crate::keys::KeySet;
use crate::kind::{Finding, Kind, Kinds};
use crate::limits::MIN_TEXT_BYTES;
use crate::patterns::{assignment, card, email, ip, pem, token};

/// What is searched in texts.
#[derive(Debug)]
pub struct Scanner {
    kinds: Kinds,
    /// Keys whose values are searched in texts.
    keys: KeySet,
    /// The operator's own patterns.
    own: Vec<Regex>,
    /// Whether texts are read once more, for what the block scan can't see.
    again: bool,
}

/// Up to where a text was looked at: what was seen is not looked at again, so
/// that time stays in proportion to the text.
#[derive(Default)]
struct Seen {
    tokens_to: usize,
    assigned_to: usize,
    /// Where the next number may begin.
    numbers_from: usize,
    /// Up to where the blocks before went: they overlap.
    blocks_to: usize,
}

impl Scanner {
    /// A scanner for these kinds, keys and patterns.
    pub fn new(kinds: Kinds, keys: KeySet, own: Vec<Regex>) -> Self {
        let again = kinds.has(Kind::Ip) || !own.is_empty();
        Scanner { kinds, keys, own, again }
    }

    /// Whether card numbers are searched.
    #[inline]
    pub fn finds_cards(&self) -> bool {
        self.kinds.has(Kind::Card)
    }

    /// Puts all findings in the text from `start` to `end` into `found`, by where
    /// in the text they are. `bytes` may go on after it, which is read faster.
    #[inline]
    pub fn scan(&self, bytes: &[u8], start: usize, end: usize, found: &mut Vec<Finding>) {
        found.clear();
        if end - start < MIN_TEXT_BYTES && !self.again {
            return;
        }
        let mut from = start;
        let mut seen = Seen::default();
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

    /// Looks at the places in one block.
    #[cold]
    fn look(&self, text: &[u8], from: usize, masks: &Masks, tokens: u64, seen: &mut Seen, found: &mut Vec<Finding>) {
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

    /// What only some operators ask for, and what needs text rather than bytes.
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

/// Sorts findings and joins those that overlap; the longer one's kind remains.
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
