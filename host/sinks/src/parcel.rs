//! Many records as one body of bounded size, and what of a failed delivery a server has already.
//!
//! Used by sinks that post records over HTTP. A delivery becomes one body as a rule, and several when it is too long;
//! it is cut at the same places each time it is tried, so that a repetition has the bounds of the first attempt.

use std::ops::RangeInclusive;

use weir_record::write;

use crate::sink::Position;

/// How the records of a body are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A JSON array.
    JsonArray,
    /// A JSON object a line.
    JsonLines,
    /// A MessagePack array.
    MsgpackArray,
}

/// A MessagePack array's head with a length of 32 bits: enough for any number of records.
const ARRAY32_BYTES: usize = 5;

impl Shape {
    /// Bytes beside those of the records and what stands between them.
    pub const fn frame_bytes(self) -> usize {
        match self {
            Shape::JsonArray => 2,
            // A line end after each record is counted with the record.
            Shape::JsonLines => 0,
            Shape::MsgpackArray => ARRAY32_BYTES,
        }
    }
}

/// How long a body may be: as configured, and as a server that takes less has taught.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimit {
    most: usize,
    taught: usize,
}

impl BodyLimit {
    /// Nothing is known but what is configured.
    pub fn new(most: usize) -> BodyLimit {
        BodyLimit { most, taught: most }
    }

    /// A body of several records was too long. From now on they are half as long: so at least half as long as the
    /// server would take, and no delivery begins with a refusal again. One record alone teaches nothing about others.
    pub fn was_refused(&mut self, bytes: usize, records: u32) {
        if records > 1 {
            self.taught = self.taught.min(bytes / 2);
        }
    }
}

/// The body that is being filled.
pub(crate) struct Parcel {
    shape: Shape,
    limit: BodyLimit,
    most_records: usize,
    body: Vec<u8>,
    count: u32,
    range: Option<RangeInclusive<Position>>,
}

/// A body with records, and which these are.
pub(crate) struct Filled {
    pub body: Vec<u8>,
    pub count: u32,
    pub first: Position,
    pub last: Position,
}

impl Parcel {
    /// One that holds no more than so many bytes and records.
    pub fn new(shape: Shape, limit: BodyLimit, most_records: usize) -> Parcel {
        Parcel { shape, limit, most_records, body: Vec::new(), count: 0, range: None }
    }

    /// True when a record of so many bytes fits into a body of its own.
    pub fn can_hold(&self, record_bytes: usize) -> bool {
        record_bytes + 1 + self.shape.frame_bytes() <= self.limit.most
    }

    /// True when it fits beside those that are there; always when none is there.
    pub fn has_room(&self, record_bytes: usize) -> bool {
        let fits = self.body.len() + record_bytes + 2 <= self.limit.taught && (self.count as usize) < self.most_records;
        self.count == 0 || fits
    }

    /// Adds a record, in the form that the shape asks for.
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

    /// The body, when there is a record in it; the next begins empty.
    pub fn take(&mut self) -> Option<Filled> {
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
        Some(Filled { body, count: std::mem::take(&mut self.count), first, last })
    }
}

/// What of a delivery that failed later the server has taken. The runner gives the whole delivery again, or its parts.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    range: Option<RangeInclusive<Position>>,
}

impl Taken {
    /// A body was taken.
    pub fn note(&mut self, first: Position, last: Position) {
        let first = self.range.take().map_or(first, |range| *range.start());
        self.range = Some(first..=last);
    }

    /// True for a record that is not to be sent again.
    pub fn holds(&self, at: Position) -> bool {
        self.range.as_ref().is_some_and(|range| range.contains(&at))
    }

    /// A delivery that ends here has succeeded: nothing before it comes again.
    pub fn delivered(&mut self, end: Position) {
        if self.range.as_ref().is_some_and(|range| *range.end() <= end) {
            self.range = None;
        }
    }
}

/// The name of a record that no other in the world has.
pub(crate) fn record_id(journal: &str, at: Position) -> String {
    format!("{journal}-{}-{}", at.sequence, at.index)
}

/// Appends a record's id to the record's JSON, unless the record has an entry of that name: one that came through
/// another Weir keeps the id that it has.
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

/// The same for a canonical record, whose head is a marker and a count of two bytes.
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

    fn bodies(shape: Shape, most: usize, records: &[&[u8]]) -> Vec<Filled> {
        let (mut parcel, mut out) = (Parcel::new(shape, BodyLimit::new(most), 9), Vec::new());
        for (index, record) in records.iter().enumerate() {
            assert!(parcel.can_hold(record.len()));
            if !parcel.has_room(record.len()) {
                out.extend(parcel.take());
            }
            parcel.add(at(index as u32), record);
        }
        out.extend(parcel.take());
        assert!(parcel.take().is_none());
        out
    }

    #[test]
    fn a_body_is_never_longer_than_asked_for_and_holds_every_record_once_in_order() {
        let records: Vec<String> = (0..50).map(|n| format!("{{\"n\":{n}}}")).collect();
        let records: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
        for most in [16, 17, 30, 64, 10_000] {
            let arrays = bodies(Shape::JsonArray, most, &records);
            assert!(arrays.iter().all(|filled| filled.body.len() <= most), "{most}");
            let held: Vec<u64> = arrays
                .iter()
                .flat_map(|filled| serde_json::from_slice::<Vec<serde_json::Value>>(&filled.body).expect("an array"))
                .map(|value| value["n"].as_u64().expect("a number"))
                .collect();
            assert_eq!(held, (0..50).collect::<Vec<_>>());
            assert_eq!(arrays.iter().map(|filled| filled.count).sum::<u32>(), 50);
            assert!(arrays.iter().all(|filled| filled.count <= 9));
            assert!(arrays.windows(2).all(|two| two[0].last.index + 1 == two[1].first.index));
            let lines = bodies(Shape::JsonLines, most, &records);
            assert!(lines.iter().all(|filled| filled.body.len() <= most), "{most}");
            assert_eq!(lines.iter().flat_map(|filled| filled.body.clone()).filter(|b| *b == b'\n').count(), 50);
        }
    }

    #[test]
    fn a_refused_length_is_kept_clear_of_but_a_longer_record_goes_alone() {
        let mut limit = BodyLimit::new(100);
        limit.was_refused(90, 1);
        assert!(Parcel::new(Shape::JsonArray, limit, 9).has_room(90));
        limit.was_refused(60, 2);
        limit.was_refused(80, 3);
        let mut parcel = Parcel::new(Shape::JsonArray, limit, 9);
        assert!(parcel.can_hold(90) && parcel.has_room(90));
        parcel.add(at(0), &[b'1'; 20]);
        assert!(!parcel.has_room(20) && parcel.has_room(7));
    }

    #[test]
    fn a_messagepack_body_says_how_many_there_are() {
        let filled = bodies(Shape::MsgpackArray, 1000, &[&[1], &[2], &[3]]);
        assert_eq!(filled[0].body, [0xdd, 0, 0, 0, 3, 1, 2, 3]);
    }

    #[test]
    fn what_was_taken_is_left_out_until_the_delivery_has_succeeded_also_in_parts() {
        let mut taken = Taken::default();
        taken.note(at(0), at(3));
        taken.note(at(4), at(7));
        assert!((0..8).all(|n| taken.holds(at(n))) && !taken.holds(at(8)));
        taken.delivered(at(5));
        assert!(taken.holds(at(6)), "the other half still comes");
        taken.delivered(Position::whole(7));
        assert!((0..8).all(|n| !taken.holds(at(n))), "what comes now was asked for anew");
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
