//! Converts the JSON form of a request to protobuf, in one pass, by tables of the fields.
//!
//! Both forms are then read by [`records`](super::records), so they give the same records by construction. As the
//! specification demands: identifiers are hexadecimal, other bytes Base64, 64-bit integers text or numbers, enumerations
//! numbers or names, `null` is an absent field, names are in lower camel case (or in the original snake case), and unknown
//! fields are ignored.
//!
//! Invariants: the result is at most a few times as long as the text; recursion is bounded; skipping does not recurse.

use std::ops::Range;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use weir_record::limits::{MAX_BATCH_RECORDS, MAX_DEPTH};

use super::text::{Integer, Step, Text};
use crate::protocols::protobuf::{write_bytes, write_fixed32, write_fixed64, write_uint, write_varint};

/// What is wrong with the text, and where.
pub(super) type Wrong = (usize, &'static str);

/// A field of a message.
struct Known {
    /// In lower camel case.
    name: &'static str,
    number: u32,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Hex,
    Base64,
    Bool,
    /// An integer without a sign, as a varint.
    Uint,
    /// An integer with a sign. The exporter for JavaScript also sends floats without a fraction here, of any size.
    Int,
    Severity,
    Fixed64,
    Fixed32,
    Double,
    One(&'static [Known]),
    Several(&'static [Known]),
    /// Log records, whose places in the text are noted.
    Records,
}

const fn known(name: &'static str, number: u32, kind: Kind) -> Known {
    Known { name, number, kind }
}

static REQUEST: [Known; 1] = [known("resourceLogs", 1, Kind::Several(&RESOURCE_LOGS))];
static RESOURCE_LOGS: [Known; 3] = [
    known("resource", 1, Kind::One(&RESOURCE)),
    known("scopeLogs", 2, Kind::Several(&SCOPE_LOGS)),
    known("schemaUrl", 3, Kind::Text),
];
static RESOURCE: [Known; 2] =
    [known("attributes", 1, Kind::Several(&KEY_VALUE)), known("droppedAttributesCount", 2, Kind::Uint)];
static SCOPE_LOGS: [Known; 3] =
    [known("scope", 1, Kind::One(&SCOPE)), known("logRecords", 2, Kind::Records), known("schemaUrl", 3, Kind::Text)];
static SCOPE: [Known; 4] = [
    known("name", 1, Kind::Text),
    known("version", 2, Kind::Text),
    known("attributes", 3, Kind::Several(&KEY_VALUE)),
    known("droppedAttributesCount", 4, Kind::Uint),
];
static LOG_RECORD: [Known; 11] = [
    known("timeUnixNano", 1, Kind::Fixed64),
    known("severityNumber", 2, Kind::Severity),
    known("severityText", 3, Kind::Text),
    known("body", 5, Kind::One(&ANY)),
    known("attributes", 6, Kind::Several(&KEY_VALUE)),
    known("droppedAttributesCount", 7, Kind::Uint),
    known("flags", 8, Kind::Fixed32),
    known("traceId", 9, Kind::Hex),
    known("spanId", 10, Kind::Hex),
    known("observedTimeUnixNano", 11, Kind::Fixed64),
    known("eventName", 12, Kind::Text),
];
static KEY_VALUE: [Known; 2] = [known("key", 1, Kind::Text), known("value", 2, Kind::One(&ANY))];
static ANY: [Known; 7] = [
    known("stringValue", 1, Kind::Text),
    known("boolValue", 2, Kind::Bool),
    known("intValue", 3, Kind::Int),
    known("doubleValue", 4, Kind::Double),
    known("arrayValue", 5, Kind::One(&ARRAY)),
    known("kvlistValue", 6, Kind::One(&KEY_VALUES)),
    known("bytesValue", 7, Kind::Base64),
];
static ARRAY: [Known; 1] = [known("values", 1, Kind::Several(&ANY))];
static KEY_VALUES: [Known; 1] = [known("values", 1, Kind::Several(&KEY_VALUE))];

/// The field of an `AnyValue` that is a float.
const DOUBLE: u32 = 4;

/// Messages within messages. Each level of a record's values is at most three, so a record that is cut by this is deeper
/// than records may be.
const MAX_MESSAGES: usize = 3 * MAX_DEPTH + 8;

/// Base64 of either alphabet, with or without padding.
const PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: [GeneralPurpose; 2] = [GeneralPurpose::new(&STANDARD, PADDING), GeneralPurpose::new(&URL_SAFE, PADDING)];

/// A request as protobuf.
pub(super) struct Converted {
    pub(super) message: Vec<u8>,
    /// Where each record is in the text.
    pub(super) records: Vec<Range<usize>>,
}

pub(super) fn to_protobuf(text: &[u8]) -> Result<Converted, Wrong> {
    let mut json = Json { text: Text::new(text), out: Vec::with_capacity(text.len()), records: Vec::new() };
    let read = json.object(&REQUEST, 0).and_then(|()| match json.text.peek() {
        None => Ok(()),
        Some(_) => Err("expected nothing after the object"),
    });
    match read {
        Ok(()) => Ok(Converted { message: json.out, records: json.records }),
        Err(reason) => Err((json.text.offset(), reason)),
    }
}

struct Json<'j> {
    text: Text<'j>,
    out: Vec<u8>,
    records: Vec<Range<usize>>,
}

impl<'j> Json<'j> {
    /// Writes the fields of an object.
    fn object(&mut self, known: &'static [Known], depth: usize) -> Step {
        self.text.expect(b'{', "expected an object")?;
        let mut is_first = true;
        while self.text.another(b'}', is_first)? {
            is_first = false;
            let key = self.text.string()?;
            self.text.expect(b':', "expected `:` after a key")?;
            match known.iter().find(|field| is_named(field.name, &key)) {
                Some(_) if self.text.peek() == Some(b'n') => self.text.skip()?,
                Some(field) => self.field(field, depth)?,
                None => self.text.skip()?,
            }
        }
        Ok(())
    }

    fn field(&mut self, Known { number, kind, .. }: &Known, depth: usize) -> Step {
        let number = *number;
        match kind {
            Kind::Text => {
                let text = self.text.string()?;
                write_bytes(&mut self.out, number, &text);
            }
            Kind::Hex => {
                let text = self.text.string()?;
                let bytes = unhex(&text).ok_or("an identifier is not hexadecimal")?;
                write_bytes(&mut self.out, number, &bytes);
            }
            Kind::Base64 => {
                let text = self.text.string()?;
                let decoded = BASE64.iter().find_map(|engine| engine.decode(&*text).ok());
                write_bytes(&mut self.out, number, &decoded.ok_or("bytes are not in Base64")?);
            }
            Kind::Bool => match self.text.peek() {
                Some(b't') => self.text.word("true").map(|()| write_uint(&mut self.out, number, 1))?,
                Some(b'f') => self.text.word("false").map(|()| write_uint(&mut self.out, number, 0))?,
                _ => return Err("expected true or false"),
            },
            Kind::Uint => {
                let value = self.text.integer()?;
                write_uint(&mut self.out, number, value as u64);
            }
            Kind::Int => match self.text.integer_or_float()? {
                Integer::Exact(value) => write_uint(&mut self.out, number, value as u64),
                Integer::Float(value) => write_fixed64(&mut self.out, DOUBLE, value.to_bits()),
            },
            Kind::Severity => {
                let value = self.severity()?;
                write_uint(&mut self.out, number, value as u64);
            }
            Kind::Fixed64 => {
                let value = self.text.integer()?;
                write_fixed64(&mut self.out, number, value as u64);
            }
            Kind::Fixed32 => {
                let value = u32::try_from(self.text.integer()?).map_err(|_| "a number has more than 32 bits")?;
                write_fixed32(&mut self.out, number, value);
            }
            Kind::Double => {
                let value = self.text.double()?;
                write_fixed64(&mut self.out, number, value.to_bits());
            }
            Kind::One(known) => self.message(number, known, depth)?,
            Kind::Several(known) => self.list(|json| json.message(number, known, depth))?,
            Kind::Records => self.list(|json| {
                json.text.peek();
                let start = json.text.offset();
                json.message(number, &LOG_RECORD, depth)?;
                // More are refused when they are composed.
                if json.records.len() <= MAX_BATCH_RECORDS {
                    json.records.push(start..json.text.offset());
                }
                Ok(())
            })?,
        }
        Ok(())
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Step) -> Step {
        self.text.expect(b'[', "expected a list")?;
        let mut is_first = true;
        while self.text.another(b']', is_first)? {
            is_first = false;
            item(self)?;
        }
        Ok(())
    }

    /// Writes an object as a field.
    fn message(&mut self, number: u32, known: &'static [Known], depth: usize) -> Step {
        if depth > MAX_MESSAGES {
            return self.text.skip();
        }
        // The length is known at the end. Short messages, which are most, are then moved.
        const ROOM: usize = 5;
        write_varint(&mut self.out, u64::from(number) << 3 | 2);
        let place = self.out.len();
        self.out.extend_from_slice(&[0; ROOM]);
        self.object(known, depth + 1)?;
        let begin = place + ROOM;
        let length = self.out.len() - begin;
        if length < 0x80 {
            self.out[place] = length as u8;
            self.out.copy_within(begin.., place + 1);
            self.out.truncate(place + 1 + length);
            return Ok(());
        }
        // A varint may be longer than it must be.
        for at in 0..ROOM {
            let more = if at + 1 < ROOM { 0x80 } else { 0 };
            self.out[place + at] = (length as u64 >> (7 * at)) as u8 & 0x7f | more;
        }
        Ok(())
    }

    /// A number, or a name such as `SEVERITY_NUMBER_INFO2`.
    fn severity(&mut self) -> Step<i64> {
        if self.text.peek() != Some(b'"') {
            return self.text.integer();
        }
        let text = self.text.string()?;
        let name = text.strip_prefix(b"SEVERITY_NUMBER_").unwrap_or(&text);
        let (name, step) = match name {
            [name @ .., digit @ b'2'..=b'4'] => (name, i64::from(digit - b'1')),
            name => (name, 0),
        };
        let first = match name {
            b"TRACE" => 1,
            b"DEBUG" => 5,
            b"INFO" => 9,
            b"WARN" => 13,
            b"ERROR" => 17,
            b"FATAL" => 21,
            b"UNSPECIFIED" => 0,
            _ => {
                let number = str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
                return number.ok_or("expected the number or the name of a severity");
            }
        };
        Ok(first + step)
    }
}

/// Whether a key is a field's name, in camel case or in snake case.
fn is_named(name: &str, key: &[u8]) -> bool {
    if key == name.as_bytes() {
        return true;
    }
    let mut key = key.iter();
    let mut next_is = |byte: u8| key.next() == Some(&byte);
    let fits = name.bytes().all(|byte| match byte.is_ascii_uppercase() {
        true => next_is(b'_') && next_is(byte.to_ascii_lowercase()),
        false => next_is(byte),
    });
    fits && key.next().is_none()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok());
    if rest.is_empty() { bytes.collect() } else { None }
}
