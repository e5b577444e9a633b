//! Parses a JSON object, written as MessagePack directly from parser events.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use weir_guest::encode::{self, Encode, Open};

use crate::fields::{Fields, ParseError};
use crate::limits::MAX_DEPTH;

const NOT_JSON: ParseError = "it is not a JSON object";

/// Parses a text that consists of one JSON object.
pub fn read(text: &str, fields: &mut Fields) -> Result<(), ParseError> {
    if !text.trim_start().starts_with('{') {
        return Err(NOT_JSON);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Object(fields).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    read.map_err(|error| if error.is_eof() { "the JSON is truncated" } else { NOT_JSON })
}

/// The outermost object: each of its keys is a field.
struct Object<'f>(&'f mut Fields);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut name = String::new();
        while map.next_key_seed(Key(&mut name))?.is_some() {
            let written = self.0.write::<Stopped<A::Error>>(&name, |out| {
                map.next_value_seed(Nested { out, depth: 2 }).map_err(Stopped::Parser)
            });
            written.map_err(|stopped| match stopped {
                Stopped::Parser(error) => error,
                Stopped::Full(reason) => A::Error::custom(reason),
            })?;
        }
        Ok(())
    }
}

enum Stopped<E> {
    Parser(E),
    Full(ParseError),
}

impl<E> From<ParseError> for Stopped<E> {
    fn from(reason: ParseError) -> Self {
        Stopped::Full(reason)
    }
}

/// Reads a key into a reused buffer.
struct Key<'k>(&'k mut String);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.clear();
        self.0.push_str(text);
        Ok(())
    }
}

/// Writes a key of a nested object to the output.
struct NestedKey<'o>(&'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for NestedKey<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NestedKey<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        encode::str(self.0, text);
        Ok(())
    }
}

/// Any value.
struct Nested<'o> {
    out: &'o mut Vec<u8>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Nested<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        encode::nil(self.out);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        value.encode(self.out);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        encode::int(self.out, value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        encode::uint(self.out, value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        encode::float(self.out, value);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        encode::str(self.out, value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let depth = deeper(self.depth)?;
        let open = Open::begin(self.out);
        let mut count = 0;
        while list.next_element_seed(Nested { out: &mut *self.out, depth })?.is_some() {
            count += 1;
        }
        open.end_array(self.out, count);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = deeper(self.depth)?;
        let open = Open::begin(self.out);
        let mut count = 0;
        while map.next_key_seed(NestedKey(&mut *self.out))?.is_some() {
            map.next_value_seed(Nested { out: &mut *self.out, depth })?;
            count += 1;
        }
        open.end_map(self.out, count);
        Ok(())
    }
}

fn deeper<E: Error>(depth: usize) -> Result<usize, E> {
    if depth > MAX_DEPTH { Err(E::custom("it is nested too deeply")) } else { Ok(depth + 1) }
}
