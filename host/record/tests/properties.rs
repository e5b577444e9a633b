//! Properties that hold for all values and all bytes.

use proptest::prelude::*;
use serde_json::{Map, Number, Value as Json, json};
use weir_record::{
    Aliases, Batch, Change, Defaults, Level, Record, RejectedRecord, SyntaxError, Value, apply_changes,
    json_to_msgpack, merge_patch, read_json, read_msgpack, read_text, write_json,
};

type Reader = fn(&[u8], &Defaults<'_>, &mut Batch) -> Result<Vec<RejectedRecord>, SyntaxError>;

fn read(reader: Reader, body: &[u8]) -> (Result<Vec<RejectedRecord>, SyntaxError>, Batch) {
    let aliases = Aliases::default();
    let context = [("request_id", "r")];
    let defaults = Defaults {
        received_ns: 7,
        source: "test",
        level: Level::Info,
        context: &context,
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    let result = reader(body, &defaults, &mut batch);
    (result, batch)
}

fn to_json(record: Record<'_>) -> Json {
    let mut out = Vec::new();
    write_json(record, &mut out);
    serde_json::from_slice(&out).expect("records are written as JSON")
}

/// Any JSON value, a few levels deep.
fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(|n| Number::from_f64(n).map_or(Json::Null, Json::Number)),
        any::<String>().prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Json::Array),
            prop::collection::vec((any::<String>(), inner), 0..20)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// Any record with a canonical head.
fn record() -> impl Strategy<Value = Map<String, Json>> {
    let rest = prop::collection::vec(("x[a-z]{0,6}", value()), 0..20);
    (any::<String>(), "[a-z]{1,9}", 0..6usize, rest).prop_map(|(message, source, level, rest)| {
        let mut map: Map<String, Json> = rest.into_iter().collect();
        map.insert("timestamp".into(), json!("2026-11-20T10:00:00.123456789Z"));
        map.insert("level".into(), json!(Level::ALL[level].as_str()));
        map.insert("source".into(), json!(source));
        map.insert("message".into(), json!(message));
        map.insert("context".into(), json!({"request_id": "mine"}));
        map
    })
}

/// RFC 7396, as in its pseudocode.
fn merge_by_the_book(target: &Json, patch: &Json) -> Json {
    let Json::Object(patch) = patch else { return patch.clone() };
    let mut merged = target.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            merged.remove(key);
        } else {
            merged.insert(key.clone(), merge_by_the_book(merged.get(key).unwrap_or(&Json::Null), value));
        }
    }
    Json::Object(merged)
}

/// Checks what holds for every record of a batch.
fn assert_canonical(record: Record<'_>) {
    let bytes = record.as_bytes();
    assert_eq!(bytes[0], 0xde);
    let (Value::Map(map), len) = Value::read(bytes).expect("whole") else { panic!("not a map") };
    assert_eq!((len, map.iter().count()), (bytes.len(), map.len()));
    assert!(bytes.len() <= weir_record::limits::MAX_RECORD_BYTES);
    assert_unique_and_valid(Value::Map(map), 1);
    assert!(matches!(record.get("timestamp"), Some(Value::Int(_))));
    assert!(matches!(record.get("level"), Some(Value::Str(name)) if Level::ALL.iter().any(|l| l.as_str() == name)));
    assert!(matches!((record.get("source"), record.get("message")), (Some(Value::Str(_)), Some(Value::Str(_)))));
}

fn assert_unique_and_valid(value: Value<'_>, depth: usize) {
    match value {
        Value::Map(map) => {
            assert!(depth <= weir_record::limits::MAX_DEPTH);
            let mut keys = std::collections::HashSet::new();
            assert_eq!(map.iter().count(), map.len(), "every key and text is valid");
            for (key, value) in map.iter() {
                assert!(keys.insert(key), "{key} is there twice");
                assert_unique_and_valid(value, depth + 1);
            }
        }
        Value::Array(list) => {
            assert!(depth <= weir_record::limits::MAX_DEPTH);
            assert_eq!(list.iter().count(), list.len());
            list.iter().for_each(|item| assert_unique_and_valid(item, depth + 1));
        }
        _ => {}
    }
}

/// An owned change.
#[derive(Clone, Debug)]
enum Made {
    Set(&'static str, Vec<u8>),
    Remove(&'static str),
    Level(Level),
    Message(String),
    Route(&'static str),
}

impl Made {
    fn as_change(&self) -> Change<'_> {
        match self {
            Self::Set(path, value) => Change::Set(path, Value::read(value).expect("a value").0),
            Self::Remove(path) => Change::Remove(path),
            Self::Level(level) => Change::Level(*level),
            Self::Message(message) => Change::Message(message),
            Self::Route(label) => Change::Route(label),
        }
    }
}

/// Any change to a record with `a`, `l` and `t`. Most are valid.
fn change() -> impl Strategy<Value = Made> {
    let places = [
        "a",
        "a.b",
        "a.b.x",
        "a.c",
        "a.c.0",
        "a.c.1.d",
        "a.c.1.e.f",
        "a.n\\.w",
        "l",
        "l.0",
        "l.1",
        "l.2.0",
        "t",
        "t.u",
        "t.u.v",
        "new",
        "new.er",
        "context.k",
        "context",
        "routes",
        "metadata.x",
    ];
    let values = prop_oneof![
        5 => Just(json!(1)),
        2 => Just(json!("text")),
        1 => Just(json!({"b": {"x": 1}, "c": [1, {"d": 1}], "0": 2})),
        1 => Just(json!(["p", ["q"], {"d": 1}])),
    ];
    let packed = values.prop_map(|value| {
        let mut out = Vec::new();
        json_to_msgpack(value.to_string().as_bytes(), &mut out).expect("JSON");
        out
    });
    let place = || prop::sample::select(places.to_vec());
    prop_oneof![
        6 => (place(), packed).prop_map(|(path, value)| Made::Set(path, value)),
        5 => place().prop_map(Made::Remove),
        1 => (0..6usize).prop_map(|level| Made::Level(Level::ALL[level])),
        1 => "[a-z]{0,4}".prop_map(Made::Message),
        2 => prop::sample::select(vec!["r", "s", "t"]).prop_map(Made::Route),
    ]
}

/// Fragments of JSON in any order, which reach more edge cases than random bytes.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\n",
        " ",
        "\"a\":",
        "\"msg\"",
        "\"level\":",
        "1",
        "-",
        ".5",
        "e9",
        "true",
        "null",
        "NaN",
        "\\ud800",
        "\\u00e9",
        "{\"a\":1}",
        "{\"time\":\"x\"}",
        "é",
        "\u{0}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes())
}

/// MessagePack markers in any order.
fn nearly_msgpack() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        prop::sample::select(vec![
            0x80u8, 0x81, 0x82, 0x91, 0x92, 0xa0, 0xa1, 0xc0, 0xc4, 0xd6, 0xff, 0xde, 0xdc, b'a', 0, 1
        ]),
        any::<u8>(),
    ];
    prop::collection::vec(byte, 0..60)
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..200), nearly_json(), nearly_msgpack()]
}

proptest! {
    // Values of hundreds of parts; more cases would take a minute.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn json_to_batch_to_json_keeps_the_value(records in prop::collection::vec(record(), 1..4)) {
        let list = serde_json::to_vec(&records).expect("JSON");
        let lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).expect("JSON")).collect();
        for body in [list, lines.join("\n").into_bytes()] {
            let (result, batch) = read(read_json, &body);
            prop_assert_eq!(result, Ok(vec![]));
            let kept: Vec<Json> = batch.iter().map(to_json).collect();
            let sent: Vec<Json> = records.iter().cloned().map(Json::Object).collect();
            prop_assert_eq!(kept, sent);
            batch.iter().for_each(assert_canonical);
        }
    }

    #[test]
    fn messagepack_of_the_same_value_gives_the_same_record(record in record()) {
        let body = serde_json::to_vec(&record).expect("JSON");
        let mut packed = Vec::new();
        json_to_msgpack(&body, &mut packed).expect("JSON");
        prop_assert_eq!(read(read_json, &body), read(read_msgpack, &packed));
    }

    #[test]
    fn a_canonical_record_read_again_is_itself(record in record()) {
        let (_, batch) = read(read_json, &serde_json::to_vec(&record).expect("JSON"));
        let (result, again) = read(read_msgpack, batch.bytes());
        prop_assert_eq!(result, Ok(vec![]));
        prop_assert_eq!(to_json(again.record(0)), to_json(batch.record(0)));
        prop_assert_eq!(Batch::decode(&batch.encode()), Ok(batch));
    }

    #[test]
    fn merging_is_what_the_rfc_says(record in record(), patch in prop::collection::vec(("x[a-z]{0,1}", value()), 0..40)) {
        let patch = Json::Object(patch.into_iter().collect());
        let (_, batch) = read(read_json, &serde_json::to_vec(&record).expect("JSON"));
        let (mut packed, mut merged) = (Vec::new(), Vec::new());
        json_to_msgpack(patch.to_string().as_bytes(), &mut packed).expect("JSON");
        merge_patch(batch.get(0), &packed, &mut merged).expect("the head is not touched");
        prop_assert_eq!(to_json(Record::new(&merged)), merge_by_the_book(&Json::Object(record), &patch));
        assert_canonical(Record::new(&merged));
    }

    #[test]
    fn any_bytes_make_canonical_records_or_none(bytes in any_bytes()) {
        for reader in [read_json as Reader, read_msgpack, read_text] {
            let (result, batch) = read(reader, &bytes);
            prop_assert!(result.is_ok() || batch.is_empty());
            batch.iter().for_each(assert_canonical);
        }
    }

    #[test]
    fn any_bytes_are_viewed_changed_and_written_without_panic(bytes in any_bytes(), patch in any_bytes(), path in "[a-c0-1.\\\\]{0,8}") {
        let _ = Batch::decode(&bytes);
        for bytes in [bytes.clone(), [b"\xde\0\x03", &bytes[..]].concat()] {
            let record = Record::new(&bytes);
            let _ = (record.head(), record.timestamp(), record.level(), record.source(), record.message());
            let _ = (record.get(&path), record.routes().count(), record.entries().count());
            write_json(record, &mut Vec::new());
            let _ = merge_patch(&bytes, &patch, &mut Vec::new());
            for change in [Change::Set(&path, Value::Nil), Change::Remove(&path), Change::Route("r"), Change::Message("m")] {
                let _ = apply_changes(&bytes, &[change], &mut Vec::new());
            }
        }
    }

    #[test]
    fn many_changes_at_once_equal_changes_in_sequence(made in prop::collection::vec(change(), 9..30)) {
        let record = br#"{"source":"s","message":"m","a":{"b":1,"c":[1,{"d":2}]},"l":[1,2,[3]],"routes":["r"],"t":"x"}"#;
        let (_, batch) = read(read_json, record);
        let changes: Vec<Change<'_>> = made.iter().map(Made::as_change).collect();
        let mut one_by_one = Ok(batch.get(0).to_vec());
        for change in changes {
            one_by_one = one_by_one.and_then(|record: Vec<u8>| {
                let mut out = Vec::new();
                apply_changes(&record, &[change], &mut out).map(|()| out)
            });
        }
        let changes: Vec<Change<'_>> = made.iter().map(Made::as_change).collect();
        let mut out = Vec::new();
        let at_once = apply_changes(batch.get(0), &changes, &mut out).map(|()| out);
        prop_assert_eq!(at_once, one_by_one);
    }

    #[test]
    fn any_patch_or_change_leaves_a_canonical_record_or_an_error(patch in nearly_msgpack(), path in "[a-c0-1.\\\\]{0,8}", record in record()) {
        let (_, batch) = read(read_json, &serde_json::to_vec(&record).expect("JSON"));
        let mut out = Vec::new();
        match merge_patch(batch.get(0), &patch, &mut out) {
            Ok(()) => assert_canonical(Record::new(&out)),
            Err(_) => prop_assert!(out.is_empty()),
        }
        out.clear();
        if let Some((value, _)) = Value::read(&patch) {
            match apply_changes(batch.get(0), &[Change::Set(&path, value), Change::Remove(&path)], &mut out) {
                Ok(()) => assert_canonical(Record::new(&out)),
                Err(_) => prop_assert!(out.is_empty()),
            }
        }
    }
}
