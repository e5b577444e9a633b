//! Builds canonical records from entries, for formats other than those that this crate reads itself.
//!
//! A protocol calls, for each of its records, [`begin`](Composer::begin), then the functions that add something, in any
//! order, and [`end`](Composer::end) with whether that succeeded. What it adds as an entry is normalised by the rules in
//! the crate's documentation, whatever its format. What the format itself says about a record, such as the time of an
//! envelope, is passed to [`time`](Composer::time), [`level`](Composer::level), [`source`](Composer::source) and
//! [`message`](Composer::message): it wins over entries with the same meaning, which keep their names (canonical ones
//! become `<key>_original`).

use crate::arrival::{BodyBudget, Defaults, ReadError, RecordFault, RejectedRecord, SyntaxError};
use crate::batch::Batch;
use crate::builder::RecordBuilder;
use crate::from_json::Json;
use crate::level::Level;
use crate::values::{SharedValue, ValueWriter};
use crate::{from_msgpack, from_msgpack::valid_text, read_json};

/// Builds the records of one body, one after another.
pub struct Composer<'d, 'o> {
    builder: RecordBuilder<'d>,
    out: &'o mut Batch,
    /// Records in the batch before this body.
    before: usize,
    budget: BodyBudget,
    index: u32,
    scratch: Vec<u8>,
}

/// Why a value or a record could not be composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComposeError(pub(crate) ReadError);

impl ComposeError {
    /// The bytes are not of the format, and nothing after them can be trusted: the whole body is refused.
    #[must_use]
    pub fn syntax(reason: &'static str) -> ComposeError {
        ComposeError(ReadError::Syntax(reason))
    }

    /// Only this record can't be kept, for a reason that its sender can understand.
    #[must_use]
    pub fn record(reason: &'static str) -> ComposeError {
        ComposeError(ReadError::Record(RecordFault::Other(reason)))
    }

    /// Whether the bytes are not of the format.
    #[must_use]
    pub fn is_syntax(self) -> bool {
        matches!(self.0, ReadError::Syntax(_))
    }

    /// Why, for the sender.
    #[must_use]
    pub fn reason(self) -> &'static str {
        self.0.reason()
    }
}

impl<'d, 'o> Composer<'d, 'o> {
    /// Appends records to `out`.
    #[must_use]
    pub fn new(defaults: &'d Defaults<'d>, out: &'o mut Batch) -> Composer<'d, 'o> {
        Composer {
            builder: RecordBuilder::new(defaults),
            before: out.len(),
            budget: BodyBudget::new(out),
            out,
            index: 0,
            scratch: Vec::new(),
        }
    }

    /// Starts a record.
    pub fn begin(&mut self) {
        self.builder.start();
    }

    /// The time that the format gives, in nanoseconds since 1970.
    pub fn time(&mut self, ns: i64) {
        self.builder.given.timestamp = Some(ns);
    }

    /// The level that the format gives.
    pub fn level(&mut self, level: Level) {
        self.builder.given.level = Some(level);
    }

    /// The source that the format gives.
    pub fn source(&mut self, source: &[u8]) {
        self.builder.given.source = Some(self.builder.keep_aside(&valid_text(source)));
    }

    /// The message that the format gives.
    pub fn message(&mut self, message: &[u8]) {
        self.builder.given.message = Some(self.builder.keep_aside(&valid_text(message)));
    }

    /// The time of this record if nothing else gives one.
    pub fn fallback_time(&mut self, ns: i64) {
        self.builder.fallback.timestamp = Some(ns);
    }

    /// The level of this record if nothing else gives one.
    pub fn fallback_level(&mut self, level: Level) {
        self.builder.fallback.level = Some(level);
    }

    /// The source of this record if nothing else gives one.
    pub fn fallback_source(&mut self, source: &[u8]) {
        self.builder.fallback.source = Some(self.builder.keep_aside(&valid_text(source)));
    }

    /// Adds an entry. `write` writes exactly one value.
    ///
    /// # Errors
    /// That of `write`, or the record is too large.
    pub fn entry(
        &mut self,
        key: &[u8],
        write: impl FnOnce(ValueWriter<'_>) -> Result<(), ComposeError>,
    ) -> Result<(), ComposeError> {
        let key = valid_text(key);
        self.builder
            .entry(&key, |out, fingerprints| write(ValueWriter::of_entry(out, fingerprints)).map_err(|error| error.0))
            .map_err(ComposeError)
    }

    /// Adds an entry whose value other records have, too.
    ///
    /// # Errors
    /// The record is too large.
    pub fn shared(&mut self, key: &str, value: &SharedValue) -> Result<(), ComposeError> {
        let copied = self.builder.entry(key.as_bytes(), |out, _| {
            out.extend_from_slice(value.bytes());
            Ok(())
        });
        copied.map_err(ComposeError)
    }

    /// Adds an entry whose value is text.
    ///
    /// # Errors
    /// The record is too large.
    pub fn text(&mut self, key: &str, text: &[u8]) -> Result<(), ComposeError> {
        self.entry(key.as_bytes(), |value| {
            value.text(text);
            Ok(())
        })
    }

    /// Adds the entries of a JSON object.
    ///
    /// # Errors
    /// The text is not exactly one object, or the record can't be kept.
    pub fn json_object(&mut self, object: &[u8]) -> Result<(), ComposeError> {
        let mut json = Json::new(object);
        let read = read_json::read_entries(&mut json, &mut self.builder, &mut self.scratch);
        read.and_then(|()| match json.peek() {
            None => Ok(()),
            Some(_) => Err(ReadError::Syntax("expected nothing after the object")),
        })
        .map_err(ComposeError)
    }

    /// Adds the entries of a MessagePack map at the start of `bytes`, and returns its length.
    ///
    /// # Errors
    /// The bytes do not start with a complete map, or the record can't be kept.
    pub fn msgpack_map(&mut self, bytes: &[u8]) -> Result<usize, ComposeError> {
        from_msgpack::read_entries(bytes, &mut self.builder).map_err(ComposeError)
    }

    /// Ends a record: appends it, or if `composed` or the record itself fails for a reason that concerns only it, sets
    /// aside the bytes that `sent` returns.
    ///
    /// # Errors
    /// The body can't be read further, or exceeds a limit. Nothing of it is in the batch then.
    pub fn end(
        &mut self,
        composed: Result<(), ComposeError>,
        sent: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), SyntaxError> {
        match composed.and_then(|()| self.builder.finish(self.out).map_err(ComposeError)) {
            Ok(()) => {
                self.index += 1;
                self.check()
            }
            Err(ComposeError(ReadError::Record(fault))) => self.reject(fault.reason().to_owned(), sent()),
            Err(ComposeError(stop)) => Err(self.stop(stop)),
        }
    }

    /// Sets a record aside instead of ending it.
    ///
    /// # Errors
    /// The body exceeds a limit. Nothing of it is in the batch then.
    pub fn reject(&mut self, error: String, sent: Vec<u8>) -> Result<(), SyntaxError> {
        self.budget.bad.push(RejectedRecord { index: self.index, error, bytes: sent });
        self.index += 1;
        self.check()
    }

    /// Records begun and ended so far, rejected ones too.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.index
    }

    /// Returns the records that were rejected.
    #[must_use]
    pub fn finish(self) -> Vec<RejectedRecord> {
        self.budget.bad
    }

    fn check(&mut self) -> Result<(), SyntaxError> {
        self.budget.check(self.out).map_err(|stop| self.stop(stop))
    }

    fn stop(&mut self, stop: ReadError) -> SyntaxError {
        self.out.truncate(self.before);
        SyntaxError::new(0, stop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Aliases, write_json};

    const RECEIVED_NS: i64 = 1_700_000_000_000_000_000;

    fn composed(compose: impl FnOnce(&mut Composer<'_, '_>)) -> (Vec<serde_json::Value>, Vec<RejectedRecord>) {
        let aliases = Aliases::default();
        let defaults = Defaults {
            received_ns: RECEIVED_NS,
            source: "test",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: false,
        };
        let mut batch = Batch::new();
        let mut composer = Composer::new(&defaults, &mut batch);
        compose(&mut composer);
        let bad = composer.finish();
        let json = |record| {
            let mut json = Vec::new();
            write_json(record, &mut json);
            serde_json::from_slice(&json).expect("JSON")
        };
        (batch.iter().map(json).collect(), bad)
    }

    #[test]
    fn what_the_format_gives_wins_and_entries_keep_their_names() {
        let (records, _) = composed(|composer| {
            composer.begin();
            composer.source(b"envelope");
            composer.level(Level::Error);
            composer.json_object(br#"{"source":"own","severity":"debug","msg":"hello","n":1}"#).expect("an object");
            composer.fallback_source(b"unused");
            composer.end(Ok(()), Vec::new).expect("kept");
        });
        let due = json!({"timestamp": "2023-11-14T22:13:20.000000000Z", "level": "ERROR", "source": "envelope",
            "message": "hello", "n": 1, "severity": "debug", "source_original": "own"});
        assert_eq!(records, [due]);
    }

    #[test]
    fn fallbacks_are_only_for_what_nothing_else_gives_and_end_with_their_record() {
        let (records, _) = composed(|composer| {
            for object in [&br#"{"message":"a"}"#[..], br#"{"message":"b","service":"own","level":"warn","ts":1}"#] {
                composer.begin();
                composer.fallback_source(b"stream");
                composer.fallback_level(Level::Debug);
                composer.fallback_time(RECEIVED_NS + 1);
                composer.json_object(object).expect("an object");
                composer.end(Ok(()), Vec::new).expect("kept");
            }
            composer.begin();
            composer.message(b"c");
            composer.end(Ok(()), Vec::new).expect("kept");
        });
        let heads: Vec<_> = records
            .iter()
            .map(|record| ["timestamp", "level", "source"].map(|key| record[key].as_str().expect("text").to_owned()))
            .collect();
        assert_eq!(heads[0], ["2023-11-14T22:13:20.000000001Z", "DEBUG", "stream"]);
        assert_eq!(heads[1], ["1970-01-01T00:00:01.000000000Z", "WARNING", "own"]);
        assert_eq!(heads[2], ["2023-11-14T22:13:20.000000000Z", "INFO", "test"]);
    }

    #[test]
    fn values_nest_and_of_equal_keys_the_last_stays() {
        let (records, _) = composed(|composer| {
            composer.begin();
            let written = composer.entry(b"a", |value| {
                value.map(|map| {
                    map.entry(b"x").int(1);
                    map.entry(b"y\xff").list(|list| {
                        list.item().bool(true);
                        list.item().json(br#"{"deep":[1.5]}"#)?;
                        list.item().nil();
                        Ok(())
                    })?;
                    map.entry(b"x").text(b"two");
                    Ok(())
                })
            });
            composer.message(b"m");
            composer.end(written, Vec::new).expect("kept");
        });
        assert_eq!(records[0]["a"], json!({"x": "two", "y\u{fffd}": [true, {"deep": [1.5]}, null]}));
    }

    #[test]
    fn a_shared_value_is_the_same_in_each_record() {
        let map = |value: ValueWriter<'_>| {
            value.map(|map| {
                map.entry(b"x").text(b"a\xff");
                Ok(())
            })
        };
        let shared = SharedValue::new(map).expect("a value");
        let (records, _) = composed(|composer| {
            for _ in 0..2 {
                composer.begin();
                let written = composer.shared("s", &shared).and_then(|()| composer.entry(b"e", map));
                composer.end(written, Vec::new).expect("kept");
            }
        });
        for record in &records {
            assert_eq!((&record["s"], &record["e"]), (&json!({"x": "a\u{fffd}"}), &json!({"x": "a\u{fffd}"})));
        }
        fn deep(value: ValueWriter<'_>) -> Result<(), ComposeError> {
            value.list(|list| deep(list.item()))
        }
        assert!(SharedValue::new(deep).is_err_and(|error| !error.is_syntax()));
    }

    #[test]
    fn a_record_that_is_too_deep_is_rejected_and_the_next_is_kept() {
        fn deep(value: ValueWriter<'_>) -> Result<(), ComposeError> {
            value.list(|list| deep(list.item()))
        }
        let (records, bad) = composed(|composer| {
            composer.begin();
            let written = composer.entry(b"deep", deep);
            composer.end(written, || b"sent".to_vec()).expect("only this record is bad");
            composer.begin();
            composer.message(b"next");
            composer.end(Ok(()), Vec::new).expect("kept");
        });
        assert_eq!((records.len(), bad.len()), (1, 1));
        assert_eq!((bad[0].index, &bad[0].bytes[..]), (0, &b"sent"[..]));
        assert!(bad[0].error.contains("64 levels"), "{}", bad[0].error);
    }

    #[test]
    fn after_a_syntax_error_nothing_of_the_body_is_left() {
        let (records, _) = composed(|composer| {
            composer.begin();
            composer.end(Ok(()), Vec::new).expect("kept");
            composer.begin();
            let read = composer.json_object(br#"{"a":1} x"#);
            assert!(composer.end(read, Vec::new).is_err());
        });
        assert!(records.is_empty());
    }
}
