//! The items of a bulk answer: written while the body is read, completed when the outcome is known.
//!
//! An answer repeats the index and the id of every item, so its size depends on the body. The items are therefore the
//! notes of the protocol, which count as bytes held: first one byte, [`FAILED`] if an item has failed already, then a
//! line for each item. A line starts with [`RECORD`] or [`NO_RECORD`], and the rest is the item in JSON as it is if
//! its record is stored.

use std::io::Write;

use serde_json::json;

/// The first byte of the notes.
const FAILED: u8 = b'!';
const UNFAILED: u8 = b'.';

/// The first byte of a line.
const RECORD: u8 = b'+';
const NO_RECORD: u8 = b'-';

/// What the client wants to see of the answer, from `filter_path`.
pub(super) struct Shown {
    took: bool,
    errors: bool,
    index: bool,
    id: bool,
    status: bool,
    kind: bool,
    reason: bool,
    /// Whether anything is left out. What is empty then is left out, too.
    is_filtered: bool,
}

/// Why an item failed.
pub(super) struct Failure<'f> {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) reason: &'f str,
}

impl Shown {
    /// Reads the decoded `filter_path`: dotted paths between commas, with `*` in them; `-` excludes.
    pub(super) fn read(filter_path: &str) -> Shown {
        let paths = || filter_path.split(',').map(str::trim).filter(|path| !path.is_empty());
        let includes_all = paths().all(|path| path.starts_with('-'));
        let shows = |path: &[&str]| {
            (includes_all || paths().any(|pattern| covers(pattern, path)))
                && !paths().any(|pattern| pattern.strip_prefix('-').is_some_and(|pattern| covers(pattern, path)))
        };
        let item = |path: &[&str]| ["index", "create"].iter().any(|name| shows(&[&["items", name], path].concat()));
        Shown {
            took: shows(&["took"]),
            errors: shows(&["errors"]),
            index: item(&["_index"]),
            id: item(&["_id"]),
            status: item(&["status"]),
            kind: item(&["error", "type"]),
            reason: item(&["error", "reason"]),
            is_filtered: paths().next().is_some(),
        }
    }
}

/// Whether `pattern` selects `path`, or something that contains it.
fn covers(pattern: &str, path: &[&str]) -> bool {
    let mut path = path.iter();
    pattern.split('.').all(|part| {
        path.next().is_some_and(|name| match part.split_once('*') {
            None => part == *name,
            Some((begin, end)) => name.starts_with(begin) && name.ends_with(end.trim_start_matches('*')),
        })
    })
}

/// Begins notes.
pub(super) fn begin() -> Vec<u8> {
    vec![UNFAILED]
}

/// Notes an item that is stored if nothing else is noted later.
pub(super) fn push(notes: &mut Vec<u8>, shown: &Shown, operation: &str, index: &str, id: &str) {
    notes.push(RECORD);
    write_item(notes, shown, operation, index, id);
    notes.push(b'\n');
}

/// Notes an item that is no record.
pub(super) fn push_failed(
    notes: &mut Vec<u8>,
    shown: &Shown,
    (operation, index, id): (&str, &str, &str),
    failure: &Failure<'_>,
) {
    let mut item = Vec::new();
    write_item(&mut item, shown, operation, index, id);
    notes.push(NO_RECORD);
    write_failure(notes, shown, &item, failure);
    notes.push(b'\n');
    notes[0] = FAILED;
}

/// Changes the items of records that have failed. `failure` is called with the number of each record, ascending.
pub(super) fn fail<'f>(notes: &[u8], shown: &Shown, mut failure: impl FnMut(u32) -> Option<Failure<'f>>) -> Vec<u8> {
    let mut changed = Vec::with_capacity(notes.len() + notes.len() / 4);
    changed.push(notes.first().copied().unwrap_or(UNFAILED));
    let mut record = 0;
    for line in lines(notes) {
        changed.push(line[0]);
        let failed = if line[0] == RECORD { failure(record) } else { None };
        record += u32::from(line[0] == RECORD);
        match failed {
            Some(failure) => {
                write_failure(&mut changed, shown, &line[1..], &failure);
                changed[0] = FAILED;
            }
            None => changed.extend_from_slice(&line[1..]),
        }
        changed.push(b'\n');
    }
    changed
}

/// The whole answer: `{"took":0,"errors":false,"items":[…]}`. Some clients look for the text between `"errors"` and the
/// bracket.
pub(super) fn answer(notes: &[u8], shown: &Shown) -> String {
    let mut text = Vec::with_capacity(notes.len() + 64);
    text.push(b'{');
    if shown.took {
        text.extend_from_slice(br#""took":0,"#);
    }
    if shown.errors {
        let failed = if notes.first() == Some(&FAILED) { "true" } else { "false" };
        text.extend_from_slice(br#""errors":"#);
        text.extend_from_slice(failed.as_bytes());
        text.push(b',');
    }
    let before = text.len();
    text.extend_from_slice(br#""items":["#);
    let empty = text.len();
    for line in lines(notes).filter(|line| !shown.is_filtered || !line.ends_with(b":{}}")) {
        text.extend_from_slice(&line[1..]);
        text.push(b',');
    }
    if text.len() == empty && shown.is_filtered {
        text.truncate(before);
    } else {
        text.pop_if(|last| *last == b',');
        text.extend_from_slice(b"],");
    }
    text.pop_if(|last| *last == b',');
    text.push(b'}');
    String::from_utf8(text).unwrap_or_default()
}

fn lines(notes: &[u8]) -> impl Iterator<Item = &[u8]> {
    notes.get(1..).unwrap_or_default().split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn write_item(out: &mut Vec<u8>, shown: &Shown, operation: &str, index: &str, id: &str) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(operation.as_bytes());
    out.extend_from_slice(b"\":{");
    let texts = [(&br#""_index":"#[..], shown.index.then_some(index)), (br#""_id":"#, shown.id.then_some(id))];
    for (key, value) in texts {
        if let Some(value) = value {
            out.extend_from_slice(key);
            // Writing to a Vec can't fail.
            _ = serde_json::to_writer(&mut *out, value);
            out.push(b',');
        }
    }
    if shown.status {
        out.extend_from_slice(STORED);
    }
    out.pop_if(|last| *last == b',');
    out.extend_from_slice(b"}}");
}

/// The last entry of an item that is stored.
const STORED: &[u8] = br#""status":201"#;

/// Writes an item that is stored as one that failed.
fn write_failure(out: &mut Vec<u8>, shown: &Shown, item: &[u8], failure: &Failure<'_>) {
    let item = item.strip_suffix(b"}}").unwrap_or(item);
    let begin = item.strip_suffix(STORED).unwrap_or(item);
    out.extend_from_slice(begin);
    if !begin.ends_with(b"{") && !begin.ends_with(b",") {
        out.push(b',');
    }
    if shown.status {
        _ = write!(out, r#""status":{},"#, failure.status);
    }
    let mut error = json!({});
    if shown.kind {
        error["type"] = failure.kind.into();
    }
    if shown.reason {
        error["reason"] = failure.reason.into();
    }
    if shown.kind || shown.reason {
        _ = write!(out, r#""error":{error}"#);
    }
    out.pop_if(|last| *last == b',');
    out.extend_from_slice(b"}}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(filter_path: &str) -> (Shown, Vec<u8>) {
        let shown = Shown::read(filter_path);
        let mut notes = begin();
        push(&mut notes, &shown, "create", "a\n\"b", "1");
        push(&mut notes, &shown, "index", "logs", "2");
        (shown, notes)
    }

    fn failed(filter_path: &str) -> String {
        let (shown, notes) = noted(filter_path);
        let rejected = Failure { status: 422, kind: "rejected", reason: "by a \"filter\"" };
        let mut rejected = Some(rejected);
        let notes = fail(&notes, &shown, |record| if record == 1 { rejected.take() } else { None });
        answer(&notes, &shown)
    }

    #[test]
    fn an_answer_repeats_each_item_and_tells_which_failed() {
        let (shown, notes) = noted("");
        let due = concat!(
            r#"{"took":0,"errors":false,"items":[{"create":{"_index":"a\n\"b","_id":"1","status":201}},"#,
            r#"{"index":{"_index":"logs","_id":"2","status":201}}]}"#
        );
        assert_eq!(answer(&notes, &shown), due);
        let due = concat!(
            r#"{"took":0,"errors":true,"items":[{"create":{"_index":"a\n\"b","_id":"1","status":201}},"#,
            r#"{"index":{"_index":"logs","_id":"2","status":422,"#,
            r#""error":{"reason":"by a \"filter\"","type":"rejected"}}}]}"#
        );
        assert_eq!(failed(""), due);
    }

    #[test]
    fn filter_path_selects_what_is_answered() {
        let good = |filter_path: &str| {
            let (shown, notes) = noted(filter_path);
            answer(&notes, &shown)
        };
        assert_eq!(
            good("errors,items.*.error,items.*.status"),
            r#"{"errors":false,"items":[{"create":{"status":201}},{"index":{"status":201}}]}"#
        );
        assert_eq!(good("errors, items.*.error"), r#"{"errors":false}"#);
        assert_eq!(good("nothing"), "{}");
        assert_eq!(good("-items,-took"), r#"{"errors":false}"#);
        assert_eq!(good("e*s"), r#"{"errors":false}"#);
        assert_eq!(failed("items.*.error.type"), r#"{"items":[{"index":{"error":{"type":"rejected"}}}]}"#);
        assert_eq!(
            failed("items.index.status,items.*._id"),
            r#"{"items":[{"create":{"_id":"1","status":201}},{"index":{"_id":"2","status":422}}]}"#
        );
    }

    #[test]
    fn what_is_no_record_does_not_count_as_one() {
        let shown = Shown::read("");
        let mut notes = begin();
        let unsupported = Failure { status: 400, kind: "unsupported", reason: "no" };
        push_failed(&mut notes, &shown, ("delete", "i", "1"), &unsupported);
        push(&mut notes, &shown, "create", "i", "2");
        let notes = fail(&notes, &shown, |record| {
            assert_eq!(record, 0);
            None
        });
        let answer = answer(&notes, &shown);
        assert!(
            answer.starts_with(r#"{"took":0,"errors":true,"items":[{"delete":{"_index":"i","_id":"1","status":400,"#)
        );
        assert!(answer.ends_with(r#"{"create":{"_index":"i","_id":"2","status":201}}]}"#), "{answer}");
    }
}
