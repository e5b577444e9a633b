//! Request bodies: many records in one body of limited size.
//!
//! A delivery is usually one body, and several if it is too long. It is split at the same places on every attempt, so
//! that a retry has the same bodies as the first attempt.

use std::ops::RangeInclusive;

use weir_record::write;

use crate::sink::Position;

/// How records are combined into a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A JSON array.
    JsonArray,
    /// A JSON object per line.
    JsonLines,
    /// A MessagePack array.
    MsgpackArray,
}

/// The header of a MessagePack array with a 32-bit length, which is enough for any number of records.
const ARRAY32_BYTES: usize = 5;

impl Shape {
    /// Bytes in addition to the records and their separators.
    pub const fn frame_bytes(self) -> usize {
        match self {
            Shape::JsonArray => 2,
            // The line end after each record is counted with the record.
            Shape::JsonLines => 0,
            Shape::MsgpackArray => ARRAY32_BYTES,
        }
    }
}

/// Maximum length of a body: as configured, and as learned from a server that accepts less.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimit {
    configured: usize,
    learned: usize,
}

impl BodyLimit {
    /// The configured limit, in bytes.
    pub fn new(bytes: usize) -> BodyLimit {
        BodyLimit { configured: bytes, learned: bytes }
    }

    /// The configured limit, in bytes.
    pub fn configured(self) -> usize {
        self.configured
    }

    /// Learns from a body of several records that was too long: from now on bodies are half as long. That is at least
    /// half of what the server accepts, and no later delivery begins with a refusal. A record that was alone in its
    /// body says nothing about others.
    pub fn was_refused(&mut self, bytes: usize, records: u32) {
        if records > 1 {
            self.learned = self.learned.min(bytes / 2);
        }
    }
}

/// The body under construction.
pub(crate) struct BodyBuilder {
    shape: Shape,
    limit: BodyLimit,
    max_records: usize,
    body: Vec<u8>,
    count: u32,
    range: Option<RangeInclusive<Position>>,
}

/// A finished body, and its records.
pub(crate) struct Body {
    pub bytes: Vec<u8>,
    pub count: u32,
    pub first: Position,
    pub last: Position,
}

impl BodyBuilder {
    /// Builds bodies of at most this many bytes and records.
    pub fn new(shape: Shape, limit: BodyLimit, max_records: usize) -> BodyBuilder {
        BodyBuilder { shape, limit, max_records, body: Vec::new(), count: 0, range: None }
    }

    /// True if a record of this size fits into a body of its own.
    pub fn can_hold(&self, record_bytes: usize) -> bool {
        record_bytes + 1 + self.shape.frame_bytes() <= self.limit.configured
    }

    /// True if a record of this size fits into the current body; always true if that is empty.
    pub fn has_room(&self, record_bytes: usize) -> bool {
        let fits = self.body.len() + record_bytes + 2 <= self.limit.learned && (self.count as usize) < self.max_records;
        self.count == 0 || fits
    }

    /// Adds a record, encoded for the shape.
    pub fn add(&mut self, at: Position, record: &[u8]) {
        match (self.shape, self.count) {
            (Shape::JsonArray, 0) => self.body.push(b'['),
            (Shape::JsonArray, _) => self.body.push(b','),
            (Shape::MsgpackArray, 0) => self.body.resize(ARRAY32_BYTES, 0),
            _ => {}
        }
        self.body.extend_from_slice(record);
        if self.shape == Shape::JsonLines {
            self.body.push(b'\n');
        }
        self.count += 1;
        let first = self.range.take().map_or(at, |range| *range.start());
        self.range = Some(first..=at);
    }

    /// The finished body, if it contains a record. The next one starts empty.
    pub fn take(&mut self) -> Option<Body> {
        let (first, last) = self.range.take()?.into_inner();
        let mut body = std::mem::take(&mut self.body);
        match self.shape {
            Shape::JsonArray => body.push(b']'),
            Shape::JsonLines => {}
            Shape::MsgpackArray => {
                let count = self.count.to_be_bytes();
                body[0] = 0xdd;
                body[1..ARRAY32_BYTES].copy_from_slice(&count);
            }
        }
        Some(Body { bytes: body, count: std::mem::take(&mut self.count), first, last })
    }
}

/// The globally unique id of a record.
pub(crate) fn record_id(journal: &str, at: Position) -> String {
    format!("{journal}-{}-{}", at.sequence, at.index)
}

/// Appends an id to a record's JSON, unless the record has an entry of that name: a record that came through another
/// Weir keeps its id.
pub(crate) fn push_json_id(name: &str, id: &str, object: &mut Vec<u8>) {
    if object.pop_if(|last| *last == b'}').is_none() {
        return;
    }
    if object.last() != Some(&b'{') {
        object.push(b',');
    }
    weir_record::write_json_value(weir_record::Value::Str(name), object);
    object.push(b':');
    weir_record::write_json_value(weir_record::Value::Str(id), object);
    object.push(b'}');
}

/// Like [`push_json_id`], for a canonical record, whose header is a marker and a count of two bytes.
pub(crate) fn push_msgpack_id(name: &str, id: &str, record: &mut Vec<u8>) {
    let Some(count) = record.get(1..3).map(|count| u16::from_be_bytes([count[0], count[1]])) else { return };
    let Some(more) = count.checked_add(1) else { return };
    record[1..3].copy_from_slice(&more.to_be_bytes());
    write::str(record, name);
    write::str(record, id);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u32) -> Position {
        Position { sequence: 7, index }
    }

    fn bodies(shape: Shape, most: usize, records: &[&[u8]]) -> Vec<Body> {
        let (mut builder, mut out) = (BodyBuilder::new(shape, BodyLimit::new(most), 9), Vec::new());
        for (index, record) in records.iter().enumerate() {
            assert!(builder.can_hold(record.len()));
            if !builder.has_room(record.len()) {
                out.extend(builder.take());
            }
            builder.add(at(index as u32), record);
        }
        out.extend(builder.take());
        assert!(builder.take().is_none());
        out
    }

    #[test]
    fn bodies_respect_the_limit_and_hold_every_record_once_in_order() {
        let records: Vec<String> = (0..50).map(|n| format!("{{\"n\":{n}}}")).collect();
        let records: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
        for most in [16, 17, 30, 64, 10_000] {
            let arrays = bodies(Shape::JsonArray, most, &records);
            assert!(arrays.iter().all(|body| body.bytes.len() <= most), "{most}");
            let held: Vec<u64> = arrays
                .iter()
                .flat_map(|body| serde_json::from_slice::<Vec<serde_json::Value>>(&body.bytes).expect("an array"))
                .map(|value| value["n"].as_u64().expect("a number"))
                .collect();
            assert_eq!(held, (0..50).collect::<Vec<_>>());
            assert_eq!(arrays.iter().map(|body| body.count).sum::<u32>(), 50);
            assert!(arrays.iter().all(|body| body.count <= 9));
            assert!(arrays.windows(2).all(|two| two[0].last.index + 1 == two[1].first.index));
            let lines = bodies(Shape::JsonLines, most, &records);
            assert!(lines.iter().all(|body| body.bytes.len() <= most), "{most}");
            assert_eq!(lines.iter().flat_map(|body| body.bytes.clone()).filter(|b| *b == b'\n').count(), 50);
        }
    }

    #[test]
    fn a_refused_length_is_not_exceeded_but_a_longer_record_is_sent_alone() {
        let mut limit = BodyLimit::new(100);
        limit.was_refused(90, 1);
        assert!(BodyBuilder::new(Shape::JsonArray, limit, 9).has_room(90));
        limit.was_refused(60, 2);
        limit.was_refused(80, 3);
        let mut builder = BodyBuilder::new(Shape::JsonArray, limit, 9);
        assert!(builder.can_hold(90) && builder.has_room(90));
        builder.add(at(0), &[b'1'; 20]);
        assert!(!builder.has_room(20) && builder.has_room(7));
    }

    #[test]
    fn a_messagepack_body_contains_its_record_count() {
        let body = bodies(Shape::MsgpackArray, 1000, &[&[1], &[2], &[3]]);
        assert_eq!(body[0].bytes, [0xdd, 0, 0, 0, 3, 1, 2, 3]);
    }

    #[test]
    fn an_id_is_added_as_the_last_entry() {
        let mut json = b"{\"a\":1}".to_vec();
        push_json_id("id", "x-1-2", &mut json);
        assert_eq!(json, b"{\"a\":1,\"id\":\"x-1-2\"}");
        let mut empty = b"{}".to_vec();
        push_json_id("id", "x", &mut empty);
        assert_eq!(empty, b"{\"id\":\"x\"}");
        let mut map = crate::testing::record(&[], &[]);
        push_msgpack_id("id", "x", &mut map);
        let record = weir_record::Record::new(&map);
        assert_eq!(record.get("id").and_then(|value| value.as_str()), Some("x"));
        assert_eq!((record.message(), record.entries().count()), ("hello", 5));
    }
}
