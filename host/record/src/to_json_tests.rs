//! The rules documented in `to_json.rs`.

use super::*;
use crate::write;

fn json(value: Value<'_>) -> String {
    let (mut direct, mut bytes, mut read) = (Vec::new(), Vec::new(), Vec::new());
    write_json_value(value, &mut direct);
    write::value(&mut bytes, value);
    raw_value(&bytes, 1, &mut read);
    assert_eq!(direct, read, "a value and its bytes are written alike");
    String::from_utf8(direct).expect("valid text in, valid text out")
}

#[test]
fn values_that_json_lacks_have_a_documented_form() {
    assert_eq!(json(Value::Float(f64::NAN)), "null");
    assert_eq!(json(Value::Float(f64::NEG_INFINITY)), "null");
    assert_eq!(json(Value::Bin(b"")), "\"\"");
    assert_eq!(json(Value::Bin(b"f")), "\"Zg==\"");
    assert_eq!(json(Value::Bin(b"fo")), "\"Zm8=\"");
    assert_eq!(json(Value::Bin(b"foob")), "\"Zm9vYg==\"");
    assert_eq!(json(Value::Ext(7, b"foo")), "{\"ext\":7,\"data\":\"Zm9v\"}");
    assert_eq!(json(Value::Ext(-1, &[0, 0, 0, 1])), "\"1970-01-01T00:00:01.000000000Z\"");
}

#[test]
fn numbers_are_written_in_full() {
    for (value, text) in [
        (Value::Int(0), "0"),
        (Value::Int(i64::MIN), "-9223372036854775808"),
        (Value::UInt(u64::MAX), "18446744073709551615"),
        (Value::Float(1.0), "1.0"),
        (Value::Float(0.1), "0.1"),
        (Value::Float(1e300), "1e300"),
    ] {
        assert_eq!(json(value), text);
    }
}

#[test]
fn floats_are_written_in_the_shortest_form_that_reads_back() {
    let near = [0.0, 0.001, 0.1, 0.3, 1.0 / 3.0, 2.5, 12.34, 99.999, 123_456.789, 999_999_999.999, 1e9, 1e-4, 5e-324];
    for value in near.into_iter().flat_map(|n: f64| [n, -n, n.next_up(), n.next_down(), n * 1000.0]) {
        assert_eq!(json(Value::Float(value)), format!("{value:?}"));
    }
    for n in 0..100_000 {
        let value = f64::from(n) / 1000.0;
        assert_eq!(json(Value::Float(value)), format!("{value:?}"));
    }
}

#[test]
fn text_is_escaped_where_json_demands_it() {
    let all: String = (0..=0x7f_u8).map(char::from).chain("é\u{2028}😀".chars()).collect();
    let written = json(Value::Str(&all));
    assert_eq!(serde_json::from_str::<String>(&written).expect("JSON"), all);
    assert_eq!(json(Value::Str("a\"b\\c\n\u{1}")), "\"a\\\"b\\\\c\\n\\u0001\"");
}

#[test]
fn truncated_bytes_still_give_valid_json() {
    let mut record = Vec::new();
    write::map16_header(&mut record, 3);
    write::str(&mut record, "timestamp");
    write::int64(&mut record, 5);
    write::str(&mut record, "list");
    record.extend_from_slice(&[0x92, 0x81, 0xa1, b'k', 0x91, 1, 2]);
    write::str(&mut record, "end");
    write::bool(&mut record, true);
    for len in 0..=record.len() {
        let mut out = Vec::new();
        write_json(Record::new(&record[..len]), &mut out);
        let read = serde_json::from_slice::<serde_json::Value>(&out);
        assert!(read.is_ok(), "{len} bytes: {}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn nesting_beyond_the_limit_becomes_null() {
    let mut record = Vec::new();
    write::map16_header(&mut record, 2);
    write::str(&mut record, "deep");
    record.extend_from_slice(&[0x91; 200_000]);
    write::nil(&mut record);
    write::str(&mut record, "after");
    write::int(&mut record, 1);
    let mut out = Vec::new();
    write_json(Record::new(&record), &mut out);
    assert!(out.len() < 1000);
    assert!(out.ends_with(b",\"after\":1}"));
}
