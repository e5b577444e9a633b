//! Canonical encoding: values that are equal in JSON Schema give equal bytes.
//!
//! In JSON Schema, 1 and 1.0 are the same number and the order of keys is
//! irrelevant; in MessagePack both may differ.

use weir_guest::encode::{self, Encode};
use weir_guest::{Map, Value};

/// Appends the canonical encoding of a value. Values of records have at most 64
/// levels.
pub fn write(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Float(number) => match whole(number) {
            Some(number) => encode::int(out, number),
            None => encode::float(out, number),
        },
        Value::Array(list) => {
            encode::array_header(out, list.len());
            list.iter().for_each(|value| write(value, out));
        }
        Value::Map(map) => write_map(map, out),
        other => other.encode(out),
    }
}

fn write_map(map: Map<'_>, out: &mut Vec<u8>) {
    let mut entries: Vec<(&str, Value<'_>)> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    encode::map_header(out, entries.len());
    for (key, value) in entries {
        encode::str(out, key);
        write(value, out);
    }
}

/// The integer value of a float, if it is one of 64 bits.
pub fn whole(number: f64) -> Option<i64> {
    // 2^63 is the first value that is too large; -2^63 still fits.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    (fits && number.fract() == 0.0).then_some(number as i64)
}
