//! Tokens: JWTs, keys with a known prefix, and random-looking base64.

use super::base64;
use crate::blocks::is_token;
use crate::classes;
use crate::kind::{Finding, Kind, Kinds};
use crate::limits::MIN_BASE64_BYTES;

/// The prefixes of service keys, and the number of characters after each.
const MARKS: &[(&[u8], usize)] = &[
    // AWS access keys: long-lived, temporary, bearer, role.
    (b"AKIA", 16),
    (b"ASIA", 16),
    (b"ABIA", 16),
    (b"ACCA", 16),
    // Google.
    (b"AIza", 30),
    // GitHub: personal, OAuth, user, server, refresh, fine-grained.
    (b"ghp_", 20),
    (b"gho_", 20),
    (b"ghu_", 20),
    (b"ghs_", 20),
    (b"ghr_", 20),
    (b"github_pat_", 20),
    (b"glpat-", 16),
    // Slack.
    (b"xoxa-", 10),
    (b"xoxb-", 10),
    (b"xoxe-", 10),
    (b"xoxo-", 10),
    (b"xoxp-", 10),
    (b"xoxr-", 10),
    (b"xoxs-", 10),
    (b"xapp-", 10),
    // Stripe.
    (b"sk_live_", 8),
    (b"sk_test_", 8),
    (b"rk_live_", 8),
    (b"rk_test_", 8),
    (b"whsec_", 16),
    // OpenAI, Anthropic.
    (b"sk-proj-", 16),
    (b"sk-ant-", 16),
    // npm, PyPI, Hugging Face, DigitalOcean.
    (b"npm_", 30),
    (b"pypi-", 16),
    (b"hf_", 30),
    (b"dop_v1_", 30),
];

/// The start and end of the run of token characters around `at`.
pub fn run_around(text: &[u8], at: usize) -> (usize, usize) {
    (at - classes::run_back(&text[..at], classes::TOKEN), at + classes::run(&text[at..], classes::TOKEN))
}

/// Finds tokens in the run from `start` to `end`. Returns the offset up to which
/// the text is done.
#[inline(never)]
pub fn find(text: &[u8], start: usize, end: usize, kinds: Kinds, found: &mut Vec<Finding>) -> usize {
    let run = &text[start..end];
    if kinds.has(Kind::Jwt)
        && run.starts_with(b"eyJ")
        && let Some(end) = jwt_end(text, end)
    {
        found.push(Finding { start, end, kind: Kind::Jwt });
        return end;
    }
    let before = found.len();
    let mut from = start;
    for segment in run.split(|byte| *byte == b'/') {
        let segment_end = from + segment.len();
        if kinds.has(Kind::ServiceKey) && has_mark(segment) {
            found.push(Finding { start: from, end: segment_end, kind: Kind::ServiceKey });
        } else if kinds.has(Kind::Jwt)
            && segment_end == end
            && segment.starts_with(b"eyJ")
            && let Some(end) = jwt_end(text, end)
        {
            found.push(Finding { start: from, end, kind: Kind::Jwt });
            return end;
        }
        from = segment_end + 1;
    }
    if kinds.has(Kind::Base64) && found.len() == before && run.len() >= MIN_BASE64_BYTES {
        random(text, start, end, found);
    }
    end
}

/// Whether a segment is a service key.
fn has_mark(segment: &[u8]) -> bool {
    if !matches!(segment.first(), Some(b'A' | b'd' | b'g' | b'h' | b'n' | b'p' | b'r' | b's' | b'w' | b'x')) {
        return false;
    }
    MARKS.iter().any(|(mark, len)| {
        segment.strip_prefix(*mark).is_some_and(|key| match mark.len() {
            // Words in capitals can have this prefix, but the keys have a fixed
            // length.
            4 if mark.starts_with(b"A") && *len == 16 => {
                key.len() == 16 && key.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            }
            _ => key.len() >= *len,
        })
    })
}

/// The end of the JWT whose header ends at `head_end`: two more parts, the last
/// of which may be empty; encrypted ones have five parts.
fn jwt_end(text: &[u8], head_end: usize) -> Option<usize> {
    let mut end = head_end;
    let mut parts = 1;
    while parts < 5 && text.get(end) == Some(&b'.') {
        let is_part = |byte: &&u8| is_token(**byte) && **byte != b'/' && **byte != b'+';
        let len = text[end + 1..].iter().take_while(is_part).count();
        if len == 0 && parts < 2 {
            return None;
        }
        end += 1 + len;
        parts += 1;
    }
    (parts >= 3).then_some(end)
}

/// Searches a run for base64. A run with slashes may be a path: then each segment
/// is tested on its own, otherwise the whole run.
fn random(text: &[u8], start: usize, end: usize, found: &mut Vec<Finding>) {
    let run = &text[start..end];
    let is_path = run[0] == b'/' || start > 0 && matches!(text[start - 1], b'.' | b'~');
    if !is_path && base64::looks_random(run) {
        let padding = text[end..].iter().take(2).take_while(|byte| **byte == b'=').count();
        found.push(Finding { start, end: end + padding, kind: Kind::Base64 });
        return;
    }
    let mut from = start;
    for segment in run.split(|byte| *byte == b'/') {
        let segment_end = from + segment.len();
        if segment.len() < run.len() && base64::looks_random(segment) {
            found.push(Finding { start: from, end: segment_end, kind: Kind::Base64 });
        }
        from = segment_end + 1;
    }
}
