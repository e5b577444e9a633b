//! PEM private keys: `-----BEGIN … PRIVATE KEY-----` and what follows.

use crate::kind::{Finding, Kind};

const BEGIN: &[u8] = b"-----BEGIN ";
const MARK: &[u8] = b"PRIVATE KEY";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// Maximum bytes between `BEGIN` and `PRIVATE KEY`, such as `ENCRYPTED`.
const MAX_LABEL_BYTES: usize = 32;

/// Finds all private keys in a text. A key without an end extends to the end of
/// the text.
#[inline(never)]
pub fn find(text: &[u8], found: &mut Vec<Finding>) {
    // Of five dashes in a row, one is at a multiple of five: only those are
    // examined.
    let dashed = (4..text.len()).step_by(DASHES.len()).any(|at| text[at] == b'-' && has_dashes(text, at));
    let mut from = if dashed { 0 } else { text.len() };
    while let Some(begin) = position(&text[from..], BEGIN).map(|at| from + at) {
        from = begin + BEGIN.len();
        let label = &text[from..text.len().min(from + MAX_LABEL_BYTES)];
        if position(label, MARK).is_none() {
            continue;
        }
        let end = position(&text[from..], END).map(|at| from + at + END.len());
        let end = end.map_or(text.len(), |at| {
            position(&text[at..], DASHES).map_or(text.len(), |dashes| at + dashes + DASHES.len())
        });
        found.push(Finding { start: begin, end, kind: Kind::PrivateKey });
        from = end;
    }
}

/// Whether the dash at `at` is one of five in a row.
fn has_dashes(text: &[u8], at: usize) -> bool {
    let around = &text[at - 4..text.len().min(at + 5)];
    around.windows(DASHES.len()).any(|window| window == DASHES)
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut findings = Vec::new();
        find(text.as_bytes(), &mut findings);
        findings.iter().map(|finding| &text[finding.start..finding.end]).collect()
    }

    #[test]
    fn a_private_key_is_found_whole() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nAAAA\n-----END RSA PRIVATE KEY-----";
        assert_eq!(found(&format!("a {key} b {key}")), [key, key]);
    }

    #[test]
    fn the_beginning_is_found_wherever_it_stands() {
        for before in 0..12 {
            let text = format!("{}-----BEGIN PRIVATE KEY-----", "x".repeat(before));
            assert_eq!(found(&text).len(), 1, "{before}");
        }
    }

    #[test]
    fn one_without_an_end_goes_to_the_end_of_the_text() {
        let text = "-----BEGIN PRIVATE KEY-----\\nMIIE";
        assert_eq!(found(&format!("x {text}")), [text]);
    }

    #[test]
    fn certificates_and_public_keys_are_no_secret() {
        assert!(found("-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----").is_empty());
        assert!(found("-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----").is_empty());
    }
}
