//! Runs records through a filter under test and determines the outcome of each.
//!
//! Records are passed in batches, like in a router. If the filter fails on a batch, it is halved repeatedly until the
//! failing records are isolated.

use std::fmt;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_engine::{CallFailure, Processed, TestInstance};
use weir_record::escape::escaped;
use weir_record::{Batch, Record};

use crate::limits::{TEST_CALL_BYTES, TEST_CALL_RECORDS};

/// The outcome of a record. It depends only on the output, not on the verdict that the filter used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Verdict {
    /// It continues, byte for byte unchanged.
    Keep,
    /// Nothing continues.
    Drop,
    /// Another record continues in its place.
    Change,
    /// Several records continue in its place.
    Expand,
    /// The filter failed on it.
    Fail,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::Change => "change",
            Self::Expand => "expand",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The outcome of a record, with its output.
#[derive(Debug)]
pub struct RecordOutcome {
    pub verdict: Verdict,
    /// The output.
    pub records: Batch,
    /// Why the filter failed on it.
    pub failure: Option<CallFailure>,
}

/// The outcomes of several records.
#[derive(Debug, Default)]
pub struct RunResult {
    /// One for each record, in order.
    pub outcomes: Vec<RecordOutcome>,
    /// Set if the filter failed on a batch, but on none of its records alone.
    pub together: Option<CallFailure>,
}

/// Runs records, in pieces like in a router.
pub fn run(trial: &mut TestInstance, records: &Batch) -> RunResult {
    let mut ran = RunResult::default();
    for piece in pieces(records) {
        halves(trial, records, piece, &mut ran);
    }
    ran
}

/// Splits a batch into pieces, one for each call.
pub fn pieces(records: &Batch) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for index in 0..records.len() {
        bytes += records.get(index).len();
        if index > start && (index - start >= TEST_CALL_RECORDS || bytes > TEST_CALL_BYTES) {
            pieces.push(start..index);
            (start, bytes) = (index, records.get(index).len());
        }
    }
    if start < records.len() {
        pieces.push(start..records.len());
    }
    pieces
}

fn halves(trial: &mut TestInstance, records: &Batch, range: Range<usize>, ran: &mut RunResult) {
    let failure = match trial.call(records, range.clone()) {
        Ok(made) => {
            ran.outcomes.extend(outcomes(records, range, made));
            return;
        }
        Err(failure) => failure,
    };
    if range.len() == 1 {
        ran.outcomes.push(RecordOutcome { verdict: Verdict::Fail, records: Batch::new(), failure: Some(failure) });
        return;
    }
    let before = ran.outcomes.len();
    let middle = range.start + range.len() / 2;
    halves(trial, records, range.start..middle, ran);
    halves(trial, records, middle..range.end, ran);
    if ran.outcomes[before..].iter().all(|outcome| outcome.failure.is_none()) {
        ran.together.get_or_insert(failure);
    }
}

/// The outcome of each record of a successful call.
pub fn outcomes(given: &Batch, range: Range<usize>, made: Processed<'_>) -> Vec<RecordOutcome> {
    let Processed::Rewritten { records, origins } = made else {
        let kept = range.map(|index| RecordOutcome {
            verdict: Verdict::Keep,
            records: alone(given.get(index)),
            failure: None,
        });
        return kept.collect();
    };
    let mut made = Vec::with_capacity(range.len());
    let mut next = 0;
    for index in range {
        let count = origins[next..].iter().take_while(|origin| **origin as usize == index).count();
        let mut batch = Batch::new();
        batch.extend_range(records, next..next + count);
        next += count;
        let verdict = match count {
            0 => Verdict::Drop,
            1 if batch.get(0) == given.get(index) => Verdict::Keep,
            1 => Verdict::Change,
            _ => Verdict::Expand,
        };
        made.push(RecordOutcome { verdict, records: batch, failure: None });
    }
    made
}

fn alone(record: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.push(record);
    batch
}

/// A record as one line of JSON.
pub fn line(record: Record<'_>) -> String {
    let mut json = Vec::new();
    weir_record::write_json(record, &mut json);
    String::from_utf8_lossy(&json).into_owned()
}

/// A record as a value.
pub fn value(record: Record<'_>) -> serde_json::Value {
    // This was just written as JSON, so it can be parsed. If not, it is shown as text.
    let line = line(record);
    serde_json::from_str(&line).unwrap_or(serde_json::Value::String(line))
}

/// A record as indented JSON, to be shown: nothing in it drives a terminal.
pub fn pretty(record: Record<'_>) -> String {
    let json = format!("{:#}", value(record));
    json.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::samples;

    #[test]
    fn nothing_in_a_shown_record_drives_a_terminal() {
        let mut records = Batch::new();
        samples::read_json("{\"message\":\"a\u{9b}2Jb\u{202e}é\"}".as_bytes(), &mut records).unwrap();
        let shown = pretty(records.record(0));
        assert!(shown.contains("a\\x9b2Jb\\u{202e}é"), "{shown}");
        assert!(shown.starts_with("{\n  "), "{shown}");
    }
}
