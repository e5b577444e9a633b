//! Makes a canonical record of what a database keeps of it: the four values that every record has, and the rest as
//! JSON.

use weir_record::{Value, json_to_msgpack, write};

/// The record. `None` if `rest` is not the JSON of an object.
pub(crate) fn record(timestamp: i64, level: &str, source: &str, message: &str, rest: &str) -> Option<Vec<u8>> {
    let mut fields = Vec::with_capacity(rest.len());
    json_to_msgpack(rest.as_bytes(), &mut fields).ok()?;
    let fields = Value::peek(&fields)?.as_map()?;
    let entries = u16::try_from(fields.len() + 4).ok()?;
    let mut record = Vec::with_capacity(64 + source.len() + message.len() + rest.len());
    write::map16_header(&mut record, entries);
    write::str(&mut record, "timestamp");
    write::int64(&mut record, timestamp);
    for (key, value) in [("level", level), ("source", source), ("message", message)] {
        write::str(&mut record, key);
        write::str(&mut record, value);
    }
    record.extend_from_slice(fields.entries()?);
    Some(record)
}

#[cfg(test)]
mod tests {
    use weir_record::{Record, write_json};

    use super::*;

    #[test]
    fn a_record_has_its_head_and_the_rest() {
        let bytes = record(7, "ERROR", "api", "broken", r#"{"context":{"id":18446744073709551615},"took":2.5}"#);
        let mut json = Vec::new();
        write_json(Record::new(&bytes.expect("an object")), &mut json);
        assert_eq!(
            String::from_utf8(json).expect("text"),
            r#"{"timestamp":"1970-01-01T00:00:00.000000007Z","level":"ERROR","source":"api","message":"broken","context":{"id":18446744073709551615},"took":2.5}"#
        );
        assert_eq!(record(7, "ERROR", "api", "broken", "[]"), None);
        assert_eq!(record(7, "ERROR", "api", "broken", "{"), None);
    }
}
