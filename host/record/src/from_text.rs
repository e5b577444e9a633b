//! Plain text to canonical records: each line is the message of one record. Lines end
//! with a line feed, optionally preceded by a carriage return; blank lines are
//! skipped. Bytes that are not UTF-8 become U+FFFD. Nothing in a line is interpreted.

use crate::arrival::{BodyBudget, Defaults, RecordFault, RejectedRecord, SyntaxError};
use crate::batch::Batch;
use crate::builder::RecordBuilder;
use crate::limits::MAX_RECORD_BYTES;
use crate::scan::find_byte;
use crate::write;

/// Reads a body of text and adds its records to `out`. Returns the lines that were
/// too long. Fails only if the body exceeds a limit.
pub fn read_text(body: &[u8], defaults: &Defaults<'_>, out: &mut Batch) -> Result<Vec<RejectedRecord>, SyntaxError> {
    let mut builder = RecordBuilder::new(defaults);
    let before = out.len();
    let mut budget = BodyBudget::new(out);
    let mut index = 0;
    let mut rest = body;
    while !rest.is_empty() {
        let end = find_byte(rest, b'\n').unwrap_or(rest.len());
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.trim_ascii().is_empty() {
            continue;
        }
        builder.start();
        let text = String::from_utf8_lossy(&line[..line.len().min(MAX_RECORD_BYTES)]);
        let written = builder.entry(b"message", |out, _| {
            write::str(out, &text);
            Ok(())
        });
        if line.len() > MAX_RECORD_BYTES || written.and_then(|()| builder.finish(out)).is_err() {
            budget.bad.push(RejectedRecord {
                index,
                error: RecordFault::TooLarge.reason().to_owned(),
                bytes: line.to_vec(),
            });
        }
        index += 1;
        if let Err(stop) = budget.check(out) {
            out.truncate(before);
            return Err(SyntaxError::new(body.len() - rest.len(), stop));
        }
    }
    Ok(budget.bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Aliases, Level};

    fn read(body: &[u8]) -> (Batch, Vec<RejectedRecord>) {
        let aliases = Aliases::default();
        let defaults = Defaults {
            received_ns: 7,
            source: "text",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: true,
        };
        let mut batch = Batch::new();
        let bad = read_text(body, &defaults, &mut batch).expect("text is always readable");
        (batch, bad)
    }

    #[test]
    fn each_line_is_a_record_and_blank_lines_are_skipped() {
        let (batch, bad) = read(b"one\r\n\n  \ntwo \xff\nthree");
        let messages: Vec<_> = batch.iter().map(|record| record.message()).collect();
        assert_eq!(messages, ["one", "two \u{fffd}", "three"]);
        assert_eq!(batch.record(0).head().timestamp, 7);
        assert!(bad.is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_bad_and_the_next_is_not() {
        let body = [vec![b'x'; MAX_RECORD_BYTES + 1], b"\nshort".to_vec()].concat();
        let (batch, bad) = read(&body);
        assert_eq!(batch.len(), 1);
        assert_eq!((bad.len(), bad[0].index), (1, 0));
        assert_eq!(bad[0].bytes.len(), MAX_RECORD_BYTES + 1);
    }

    #[test]
    fn a_body_over_the_limits_is_refused_as_a_whole() {
        let aliases = Aliases::default();
        let source = "s".repeat(60_000);
        let defaults = Defaults {
            received_ns: 7,
            source: &source,
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: true,
        };
        let mut batch = Batch::new();
        let error = read_text(&b"x\n".repeat(4_000), &defaults, &mut batch).expect_err("too much");
        assert!(error.too_much && batch.is_empty() && error.offset < 8_000, "{error}");
    }
}
