//! What each form of a message becomes, and that nothing else is taken.

use serde_json::json;
use weir_record::Aliases;

use super::*;
use crate::protocols::test_bodies::{defaults, mutations, records_of};

/// MessagePack of JSON; a text that begins with `time:` becomes an `EventTime` of one second and these nanoseconds.
fn packed(value: &serde_json::Value) -> Vec<u8> {
    let mut out = Vec::new();
    pack(value, &mut out);
    out
}

fn pack(value: &serde_json::Value, out: &mut Vec<u8>) {
    match value {
        serde_json::Value::String(text) => match text.strip_prefix("time:") {
            Some(nanos) => {
                let nanos: u32 = nanos.parse().expect("nanoseconds");
                write::ext(out, 0, &[&1_u32.to_be_bytes()[..], &nanos.to_be_bytes()].concat());
            }
            None => write::str(out, text),
        },
        serde_json::Value::Array(items) => {
            write::array_header(out, u32::try_from(items.len()).expect("few"));
            items.iter().for_each(|item| pack(item, out));
        }
        serde_json::Value::Object(entries) => {
            write::map_header(out, u32::try_from(entries.len()).expect("few"));
            for (key, value) in entries {
                write::str(out, key);
                pack(value, out);
            }
        }
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => write::int(out, number),
            None => write::float(out, number.as_f64().expect("a float")),
        },
        serde_json::Value::Bool(value) => write::bool(out, *value),
        serde_json::Value::Null => write::nil(out),
    }
}

fn read(message: &[u8]) -> Result<(Vec<serde_json::Value>, Option<Vec<u8>>), String> {
    let Some(message) = Message::read(message)? else { return Ok((Vec::new(), None)) };
    let mut held = crate::budget::ByteBudget::new(1 << 20).hold(0).expect("there is room");
    let entries = message.entries(1 << 16, &mut held)?;
    let aliases = Aliases::default();
    let defaults = defaults(&aliases);
    let mut batch = Batch::new();
    let mut composer = Composer::new(&defaults, &mut batch);
    compose_all(message.tag, &entries, &mut composer)?;
    Ok((records_of(&batch), message.chunk.map(<[u8]>::to_vec)))
}

#[test]
fn every_mode_gives_the_same_records() {
    let entry = json!(["time:5", {"log": "hello", "n": 1, "level": "warn"}]);
    let due = json!({"timestamp": "1970-01-01T00:00:01.000000005Z", "level": "WARNING", "source": "app.web",
        "message": "hello", "tag": "app.web", "n": 1});
    let two = [packed(&entry), packed(&entry)].concat();
    let with_bytes = |bytes: &[u8], options: &serde_json::Value| {
        let mut message = vec![0x93];
        write::str(&mut message, "app.web");
        write::bin(&mut message, bytes);
        pack(options, &mut message);
        message
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &two).expect("into memory");
    let gzip = gzip.finish().expect("into memory");
    let zstd = zstd::encode_all(&two[..], 1).expect("into memory");
    let messages = [
        packed(&json!(["app.web", "time:5", entry[1], {"chunk": "id"}])),
        packed(&json!(["app.web", [entry, entry], {"chunk": "id", "size": 2}])),
        packed(&json!(["app.web", [[["time:5", {}], entry[1]]], {"chunk": "id"}])),
        with_bytes(&two, &json!({"chunk": "id"})),
        with_bytes(&gzip, &json!({"chunk": "id", "compressed": "gzip"})),
        with_bytes(&zstd, &json!({"compressed": "zstd", "chunk": "id"})),
    ];
    for message in messages {
        let (records, chunk) = read(&message).expect("a message");
        assert!(!records.is_empty() && records.iter().all(|record| *record == due), "{records:?}");
        assert_eq!(chunk.as_deref(), Some(&b"\xa2id"[..]));
    }
}

#[test]
fn times_have_each_form_and_metadata_is_kept() {
    let time_of = |time: serde_json::Value| {
        let (records, _) = read(&packed(&json!(["t", time, {"message": "m"}]))).expect("a message");
        records[0]["timestamp"].as_str().expect("text").to_owned()
    };
    assert_eq!(time_of(json!(1)), "1970-01-01T00:00:01.000000000Z");
    assert_eq!(time_of(json!(1.5)), "1970-01-01T00:00:01.500000000Z");
    assert_eq!(time_of(json!("time:999999999")), "1970-01-01T00:00:01.999999999Z");
    assert_eq!(time_of(json!(null)), "2023-11-14T22:13:20.000000000Z");
    let (records, _) = read(&packed(&json!(["t", [[[1, {"otlp": 1}], {"message": "m"}]]]))).expect("a message");
    assert_eq!(records[0]["metadata"], json!({"otlp": 1}));
    let (records, _) = read(&packed(&json!(["t", [1, {"otlp": 1}], {"message": "m"}]))).expect("a message");
    assert_eq!(records[0]["metadata"], json!({"otlp": 1}));
}

#[test]
fn heartbeats_and_empty_messages_have_no_records() {
    for message in [json!(null), json!(["t", []]), json!(["t", "", {"chunk": "c"}])] {
        assert!(read(&packed(&message)).expect("a message").0.is_empty(), "{message}");
    }
}

#[test]
fn other_messages_are_refused() {
    for message in [
        json!({}),
        json!([]),
        json!(["tag"]),
        json!([1, []]),
        json!(["t", 1]),
        json!(["t", [1]]),
        json!(["t", [[1, {}, 3]]]),
        json!(["t", "not packed"]),
        json!(["t", "", {"compressed": "lz4"}]),
    ] {
        assert!(read(&packed(&message)).is_err(), "{message}");
    }
    let (records, _) = read(&packed(&json!(["t", [[1, "no map"], [1, {"message": "next"}]]]))).expect("a message");
    assert_eq!(records.len(), 1, "a record that is no map is set aside alone");
}

#[test]
fn the_end_of_a_message_is_found_however_it_arrives() {
    let message = packed(&json!(["tag", [[1, {"a": [1, {"b": "text"}]}], ["time:1", {}]], {"chunk": "c"}]));
    let mut end = MessageEnd::default();
    for length in 0..message.len() {
        assert_eq!(end.find(&message[..length]), Ok(None), "{length}");
    }
    assert_eq!(end.find(&message), Ok(Some(message.len())));
    assert!(MessageEnd::default().find(&[0x91, 0xc1]).is_err());
}

#[test]
fn damaged_messages_are_read_or_refused() {
    let seeds = [
        packed(&json!(["tag", [[1, {"a": [1, {"b": "text"}]}], ["time:1", {}]], {"chunk": "c"}])),
        packed(&json!(["tag", "time:7", {"log": "x"}, {"chunk": "c", "compressed": "gzip"}])),
    ];
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    mutations(&seeds, |_, message| {
        let mut end = MessageEnd::default();
        if let Ok(Some(length)) = end.find(message) {
            _ = read(&message[..length]);
        }
        _ = Ping::read(message);
    });
}
