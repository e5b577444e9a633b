//! Joins lines to the text of one record.
//!
//! What a record is depends on the bytes from its beginning on, and, if nothing follows, on time. Nothing is kept between
//! calls: the position stays at the beginning of a record until all of it is read, so a crash repeats or loses none of it.

use std::borrow::Cow;
use std::time::Duration;

use regex::bytes::Regex;

use super::lines::{Cut, Encoding};

/// When lines belong together.
#[derive(Debug)]
pub(super) struct Grouping {
    pub start: Option<Regex>,
    pub continues: Option<Regex>,
    pub timeout: Duration,
    pub max_lines: usize,
    pub max_bytes: usize,
}

/// What the bytes end, where they end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    /// A line, even without its end.
    pub line: bool,
    /// A record: nothing that could continue it follows.
    pub record: bool,
}

/// The text of one record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text<'b> {
    pub text: Cow<'b, [u8]>,
    /// How many bytes it takes.
    pub length: usize,
    /// It is the beginning of a line that goes on.
    pub is_piece: bool,
}

impl Grouping {
    fn continues(&self, line: &[u8]) -> bool {
        self.start.as_ref().is_none_or(|start| !start.is_match(line))
            && self.continues.as_ref().is_none_or(|continues| continues.is_match(line))
    }
}

/// The text of the next record. `None`: more bytes are needed. `is_inside`: the bytes begin inside a line.
pub(super) fn next<'b>(
    (encoding, max_line, grouping): (Encoding, usize, Option<&Grouping>),
    bytes: &'b [u8],
    is_inside: bool,
    ends: Ends,
) -> Option<Text<'b>> {
    let (cut, mut length) = encoding.cut(bytes, max_line, ends.line)?;
    let (first, is_piece) = match cut {
        Cut::Line(line) => (line, false),
        Cut::Piece(piece) => (piece, true),
    };
    let mut text = encoding.decode(first);
    let Some(grouping) = grouping.filter(|_| !is_piece && !is_inside) else {
        return Some(Text { text, length, is_piece });
    };
    for _ in 1..grouping.max_lines {
        match encoding.cut(&bytes[length..], max_line, ends.line) {
            Some((Cut::Line(line), more)) => {
                let line = encoding.decode(line);
                if text.len() + line.len() >= grouping.max_bytes || !grouping.continues(&line) {
                    break;
                }
                let joined = text.to_mut();
                joined.push(b'\n');
                joined.extend_from_slice(&line);
                length += more;
            }
            Some((Cut::Piece(_), _)) => break,
            None if ends.record => break,
            None => return None,
        }
    }
    Some(Text { text, length, is_piece: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouping(start: Option<&str>, continues: Option<&str>) -> Grouping {
        let regex = |text: Option<&str>| text.map(|text| Regex::new(text).expect("a regex"));
        Grouping {
            start: regex(start),
            continues: regex(continues),
            timeout: Duration::from_secs(1),
            max_lines: 4,
            max_bytes: 60,
        }
    }

    fn texts(grouping: &Grouping, mut bytes: &[u8], ends: Ends) -> (Vec<String>, usize) {
        let mut texts = Vec::new();
        while let Some(text) = next((Encoding::Utf8, 40, Some(grouping)), bytes, false, ends) {
            texts.push(String::from_utf8_lossy(&text.text).into_owned());
            bytes = &bytes[text.length..];
        }
        (texts, bytes.len())
    }

    const OPEN: Ends = Ends { line: false, record: false };
    const QUIET: Ends = Ends { line: false, record: true };

    #[test]
    fn a_start_ends_the_record_before_and_the_last_one_waits() {
        let grouping = grouping(Some("^[0-9]"), None);
        let bytes = b"cut off\n  before\n1 boom\n  at a\n  at b\n2 fine\n3";
        assert_eq!(
            texts(&grouping, bytes, OPEN),
            (vec!["cut off\n  before".into(), "1 boom\n  at a\n  at b".into()], 8)
        );
        assert_eq!(texts(&grouping, bytes, QUIET).0[2..], ["2 fine"]);
        assert_eq!(texts(&grouping, bytes, QUIET).1, 1);
        assert_eq!(texts(&grouping, bytes, Ends { line: true, record: true }).0[2..], ["2 fine", "3"]);
    }

    #[test]
    fn continuations_belong_to_the_line_before_unless_they_start_a_record() {
        let only = grouping(None, Some(r"^\s|^Caused"));
        let bytes = b"boom\n at a\nCaused by\nfine\n\n";
        assert_eq!(texts(&only, bytes, QUIET).0, ["boom\n at a\nCaused by", "fine", ""]);
        let both = grouping(Some("^ at"), Some(r"^\s"));
        assert_eq!(texts(&both, b"boom\n  x\n at a\n", QUIET).0, ["boom\n  x", " at a"]);
    }

    #[test]
    fn bounds_end_a_record_and_nothing_is_lost() {
        let grouping = grouping(Some("^[0-9]"), None);
        let lines = b"1\n a\n b\n c\n d\n e\n2\n";
        assert_eq!(texts(&grouping, lines, QUIET).0, ["1\n a\n b\n c", " d\n e", "2"]);
        let long = format!("1\n{}\n{}\n{}\n", "a".repeat(30), "b".repeat(30), "c".repeat(50));
        let due = [format!("1\n{}", "a".repeat(30)), "b".repeat(30), "c".repeat(40), "c".repeat(10)];
        assert_eq!(texts(&grouping, long.as_bytes(), QUIET).0, due);
    }
}
