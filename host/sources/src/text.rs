//! Text to records: splits bytes into lines, and makes each a record.
//!
//! A line that is a JSON object is a record with its entries, every other line is the message of one, as on the sockets of
//! `[[listen]]`. Empty lines are none.

use weir_record::{ComposeError, Composer, SyntaxError};

use crate::destination::{Delivery, Destination};
use crate::limits::MAX_LINE_BYTES;

/// Splits a stream into lines. Holds at most one incomplete line, of [`MAX_LINE_BYTES`].
#[derive(Default)]
pub struct Lines {
    rest: Vec<u8>,
}

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'l> {
    /// Its bytes.
    pub text: &'l [u8],
    /// It is too long for one record: the next line continues it.
    pub is_partial: bool,
}

impl Lines {
    /// Calls `each` with every line that these bytes complete.
    pub fn push<E>(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let room = MAX_LINE_BYTES - self.rest.len();
            let (taken, is_partial) = match end {
                Some(end) if end <= room => (end, false),
                None if bytes.len() < room => {
                    self.rest.extend_from_slice(bytes);
                    return Ok(());
                }
                _ => (room, true),
            };
            let (text, after) = bytes.split_at(taken);
            bytes = if is_partial { after } else { &after[1..] };
            if self.rest.is_empty() {
                each(Line { text, is_partial })?;
            } else {
                self.rest.extend_from_slice(text);
                each(Line { text: &self.rest, is_partial })?;
                self.rest.clear();
            }
        }
        Ok(())
    }

    /// Takes the last line, which has no end.
    pub fn end<E>(&mut self, each: impl FnOnce(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() { Ok(()) } else { each(Line { text: &rest, is_partial: false }) }
    }
}

/// Takes one line.
pub(crate) type Each<'e> = dyn FnMut(Line<'_>) -> Result<(), SyntaxError> + 'e;

/// The records of the lines that `gather` passes on, which the application wrote to this stream.
pub(crate) fn delivery(
    to: &Destination,
    stream: Option<&str>,
    gather: impl FnOnce(&mut Each<'_>) -> Result<(), SyntaxError>,
) -> Result<Delivery, String> {
    let before = |composer: &mut Composer<'_, '_>| match stream {
        Some(stream) => composer.text("stream", stream.as_bytes()),
        None => Ok(()),
    };
    to.compose(|composer| gather(&mut |line| add(composer, line, before)).map_err(|error| error.to_string()))
}

/// Makes a line a record. `before` adds entries that those of the line replace.
fn add(
    composer: &mut Composer<'_, '_>,
    line: Line<'_>,
    before: impl Fn(&mut Composer<'_, '_>) -> Result<(), ComposeError>,
) -> Result<(), SyntaxError> {
    let text = line.text.strip_suffix(b"\r").unwrap_or(line.text);
    if text.trim_ascii().is_empty() {
        return Ok(());
    }
    composer.begin();
    let composed = content(composer, Line { text, ..line }, before);
    composer.end(composed, || text.to_vec())
}

/// Adds what a line holds to the record that was begun.
pub(crate) fn content(
    composer: &mut Composer<'_, '_>,
    line: Line<'_>,
    before: impl Fn(&mut Composer<'_, '_>) -> Result<(), ComposeError>,
) -> Result<(), ComposeError> {
    before(composer)?;
    if !line.is_partial && object(composer, line.text, &before)? {
        return Ok(());
    }
    if line.is_partial {
        composer.entry(b"partial", |value| {
            value.bool(true);
            Ok(())
        })?;
    }
    composer.message(line.text);
    Ok(())
}

/// Adds the entries of a JSON object to the record that was begun with `before`. If the text is none, the record is as it
/// was, and the result is false.
pub(crate) fn object(
    composer: &mut Composer<'_, '_>,
    text: &[u8],
    before: impl Fn(&mut Composer<'_, '_>) -> Result<(), ComposeError>,
) -> Result<bool, ComposeError> {
    if !text.trim_ascii_start().starts_with(b"{") {
        return Ok(false);
    }
    match composer.json_object(text.trim_ascii_end()) {
        Err(error) if error.is_syntax() => {
            composer.begin();
            before(composer)?;
            Ok(false)
        }
        read => read.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::{Value, json};
    use weir_record::{Aliases, Batch, Defaults, Level, write_json};

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let mut keep = |line: Line<'_>| {
            found.push((line.text.to_vec(), line.is_partial));
            Ok::<(), Infallible>(())
        };
        for chunk in chunks {
            lines.push(chunk, &mut keep).expect("infallible");
        }
        lines.end(&mut keep).expect("infallible");
        found
    }

    #[test]
    fn lines_are_the_same_wherever_the_bytes_are_cut() {
        let text = b"one\n\ntwo\r\nthree";
        let due: Vec<_> = [&b"one"[..], b"", b"two\r", b"three"].map(|line| (line.to_vec(), false)).into();
        for at in 0..=text.len() {
            assert_eq!(split(&[&text[..at], &text[at..]]), due, "cut at {at}");
        }
        assert_eq!(split(&[b"end\n"]), [(b"end".to_vec(), false)]);
    }

    #[test]
    fn a_line_that_is_too_long_is_split_and_nothing_of_it_is_lost() {
        let long = vec![b'x'; 2 * MAX_LINE_BYTES + 10];
        for size in [1000, MAX_LINE_BYTES, long.len()] {
            let chunks: Vec<&[u8]> = long.chunks(size).chain([&b"\nnext\n"[..]]).collect();
            let lengths: Vec<_> = split(&chunks).iter().map(|(text, partial)| (text.len(), *partial)).collect();
            assert_eq!(lengths, [(MAX_LINE_BYTES, true), (MAX_LINE_BYTES, true), (10, false), (4, false)], "{size}");
        }
        let exact = [&long[..MAX_LINE_BYTES], b"\n"].concat();
        assert_eq!(split(&[&exact]), [(long[..MAX_LINE_BYTES].to_vec(), false)]);
    }

    #[test]
    fn objects_have_their_entries_and_everything_else_is_a_message() {
        let aliases = Aliases::default();
        let defaults = Defaults {
            received_ns: 0,
            source: "app",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: false,
        };
        let mut batch = Batch::new();
        let mut composer = Composer::new(&defaults, &mut batch);
        let stream = |composer: &mut Composer<'_, '_>| composer.text("stream", b"stdout");
        for text in [&br#"{"level":"warn","msg":"m","stream":"own"}"#[..], b"plain \xff\r", b"{not json", b" \t"] {
            add(&mut composer, Line { text, is_partial: false }, stream).expect("within the limits");
        }
        add(&mut composer, Line { text: b"{\"cut", is_partial: true }, stream).expect("within the limits");
        assert!(composer.finish().is_empty());
        let json = |record| {
            let mut json = Vec::new();
            write_json(record, &mut json);
            serde_json::from_slice::<Value>(&json).expect("JSON")
        };
        let shown: Vec<Value> =
            batch.iter().map(json).map(|r| json!([r["level"], r["message"], r["stream"]])).collect();
        let text = |message: &str| json!(["INFO", message, "stdout"]);
        assert_eq!(shown, [json!(["WARNING", "m", "own"]), text("plain \u{fffd}"), text("{not json"), text("{\"cut")]);
        assert_eq!(json(batch.record(3))["partial"], true);
    }
}
