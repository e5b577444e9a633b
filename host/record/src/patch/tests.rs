//! Merge patches with the examples of RFC 7396, changes by path, and the errors of both.

use super::*;
use crate::{Aliases, Batch, Defaults, Record, Value, json_to_msgpack, read_json, write_json};

const HEAD: &str = r#""timestamp":"2026-11-20T10:00:00.000000000Z","level":"INFO","source":"s","message":"m""#;

fn record(rest: &str) -> Vec<u8> {
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: 0,
        source: "s",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    let body = format!("{{{HEAD},{rest}}}").replace(",}", "}");
    let bad = read_json(body.as_bytes(), &defaults, &mut batch).expect("JSON");
    assert_eq!(bad, []);
    batch.get(0).to_vec()
}

fn packed(json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    json_to_msgpack(json.as_bytes(), &mut out).expect("JSON");
    out
}

/// A record's JSON without the head, which is the same in all these tests.
fn rest(record: &[u8]) -> String {
    let mut out = Vec::new();
    write_json(Record::new(record), &mut out);
    let text = String::from_utf8(out).expect("text");
    text.replace(HEAD, "").replace("{,", "{")
}

fn merged(target: &str, patch: &str) -> Result<String, PatchError> {
    let mut out = Vec::new();
    merge_patch(&record(target), &packed(patch), &mut out)?;
    assert_eq!(out[0], 0xde);
    Ok(rest(&out))
}

fn changed(target: &str, changes: &[Change<'_>]) -> Result<String, PatchError> {
    let mut out = b"before".to_vec();
    let result = apply_changes(&record(target), changes, &mut out);
    assert!(out.starts_with(b"before") && (result.is_ok() || out.len() == 6));
    result.map(|()| rest(&out[6..]))
}

#[test]
fn the_examples_of_rfc_7396_hold() {
    for (target, patch, result) in [
        (r#""a":"b""#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#""a":"b""#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#""a":"b""#, r#"{"a":null}"#, r#"{}"#),
        (r#""a":"b","b":"c""#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#""a":["b"]"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#""a":"c""#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#""a":{"b":"c"}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#""a":[{"b":"c"}]"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#""e":null"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ] {
        assert_eq!(merged(target, patch).as_deref(), Ok(result), "{target} with {patch}");
    }
}

#[test]
fn a_patch_may_name_many_keys_and_one_twice() {
    let many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":{n}")).collect();
    let ones: Vec<String> = (0..100).map(|n| format!("\"k{n}\":1")).collect();
    let patch = format!("{{{}}}", ones.join(","));
    assert_eq!(merged(&many.join(","), &patch), Ok(patch));
    let mut twice = vec![0x82];
    for byte in [1, 2] {
        twice.extend_from_slice(&[0xa1, b'a', byte]);
    }
    let mut out = Vec::new();
    merge_patch(&record(""), &twice, &mut out).expect("a map");
    assert_eq!(rest(&out), r#"{"a":2}"#);
}

#[test]
fn what_a_patch_does_not_name_stays_byte_for_byte() {
    let mut before = record(r#""a":1,"b":{"c":[1,2]}"#);
    // An encoding that this crate would not write.
    before.extend_from_slice(&[0xa1, b'w', 0xd3, 0, 0, 0, 0, 0, 0, 0, 1]);
    before[2] += 1;
    let mut out = Vec::new();
    merge_patch(&before, &packed(r#"{"a":2}"#), &mut out).expect("a map");
    let differing: Vec<_> = (0..before.len()).filter(|&at| before[at] != out[at]).collect();
    assert_eq!((out.len(), differing.len()), (before.len(), 1));
}

#[test]
fn the_head_can_be_set_and_keeps_its_layout() {
    let patch = packed(r#"{"message":"n","level":"warn","timestamp":"1970-01-01T00:00:01+00:00","source":"t"}"#);
    let mut out = Vec::new();
    merge_patch(&record(r#""a":1"#), &patch, &mut out).expect("a map");
    let (time, level, source, message) = Record::new(&out).ordered_head().expect("in order");
    assert_eq!((time, level, source, message), (1_000_000_000, Level::Warning, &b"t"[..], &b"n"[..]));
    out.clear();
    let changes = [
        Change::Level(Level::Error),
        Change::Message("x"),
        Change::Set("timestamp", Value::Int(7)),
        Change::Route("r"),
    ];
    apply_changes(&record(""), &changes, &mut out).expect("possible");
    let (time, level, _, message) = Record::new(&out).ordered_head().expect("in order");
    assert_eq!((time, level, message), (7, Level::Error, &b"x"[..]));
}

#[test]
fn a_time_in_a_patch_is_nanoseconds_however_small() {
    for ns in [0, 1, -1, 1_000, 1_795_168_800, i64::MIN, i64::MAX] {
        for patch in [format!("{{\"timestamp\":{ns}}}"), format!("{{\"timestamp\":\"{ns}\"}}")] {
            let mut out = Vec::new();
            merge_patch(&record(""), &packed(&patch), &mut out).expect("a time");
            assert_eq!(Record::new(&out).timestamp(), ns, "{patch}");
        }
    }
}

#[test]
fn the_head_can_not_be_removed_nor_get_another_type() {
    for key in ["timestamp", "level", "source", "message"] {
        assert_eq!(merged("", &format!("{{\"{key}\":null}}")), Err(PatchError::Needed(key)));
        assert_eq!(changed("", &[Change::Remove(key)]), Err(PatchError::Needed(key)));
        for wrong in ["[1]", "{}", "true", "{\"a\":1}"] {
            let error = merged("", &format!("{{\"{key}\":{wrong}}}"));
            assert!(matches!(error, Err(PatchError::WrongType { .. })), "{key} {wrong}: {error:?}");
        }
        let inside = format!("{key}.a");
        let error = changed("", &[Change::Set(&inside, Value::Int(1))]);
        assert!(matches!(error, Err(PatchError::WrongType { .. })), "{key}: {error:?}");
        assert_eq!(changed("", &[Change::Remove(&inside)]).as_deref(), Ok("{}"));
    }
    for patch in [r#"{"routes":[1]}"#, r#"{"routes":{"a":"b"}}"#, r#"{"context":"x"}"#, r#"{"metadata":[]}"#] {
        assert!(matches!(merged("", patch), Err(PatchError::WrongType { .. })), "{patch}");
    }
    let error = changed(r#""routes":["a"]"#, &[Change::Set("routes.0", Value::Int(1))]);
    assert!(matches!(error, Err(PatchError::WrongType { key: "routes", .. })));
    assert_eq!(merged(r#""routes":["a"],"context":{}"#, r#"{"routes":null,"context":null}"#).as_deref(), Ok("{}"));
}

#[test]
fn changes_by_path_set_make_replace_and_remove() {
    let target = r#""a":{"b":1,"c":[1,{"d":2}]},"t":"x""#;
    let one = Value::Str("new");
    for (change, result) in [
        (Change::Set("a.b", one), r#"{"a":{"b":"new","c":[1,{"d":2}]},"t":"x"}"#),
        (Change::Set("a.c.1.d", one), r#"{"a":{"b":1,"c":[1,{"d":"new"}]},"t":"x"}"#),
        (Change::Set("a.c.2", one), r#"{"a":{"b":1,"c":[1,{"d":2},"new"]},"t":"x"}"#),
        (Change::Set("n.e\\.w", one), r#"{"a":{"b":1,"c":[1,{"d":2}]},"t":"x","n":{"e.w":"new"}}"#),
        (Change::Set("t.u", one), r#"{"a":{"b":1,"c":[1,{"d":2}]},"t":{"u":"new"}}"#),
        (Change::Remove("a"), r#"{"t":"x"}"#),
        (Change::Remove("a.b"), r#"{"a":{"c":[1,{"d":2}]},"t":"x"}"#),
        (Change::Remove("a.c.0"), r#"{"a":{"b":1,"c":[{"d":2}]},"t":"x"}"#),
        (Change::Remove("a.c.9"), r#"{"a":{"b":1,"c":[1,{"d":2}]},"t":"x"}"#),
        (Change::Remove("t.u"), r#"{"a":{"b":1,"c":[1,{"d":2}]},"t":"x"}"#),
        (Change::Remove("n.m"), r#"{"a":{"b":1,"c":[1,{"d":2}]},"t":"x"}"#),
        (Change::Route("r"), r#"{"a":{"b":1,"c":[1,{"d":2}]},"t":"x","routes":["r"]}"#),
    ] {
        assert_eq!(changed(target, &[change]).as_deref(), Ok(result), "{change:?}");
    }
    assert_eq!(changed(r#""a":[1]"#, &[Change::Set("a.3", one)]), Err(PatchError::NoIndex("3".into())));
    assert_eq!(changed(r#""a":[1]"#, &[Change::Set("a.x", one)]), Err(PatchError::NoIndex("x".into())));
    assert_eq!(changed(r#""a":1"#, &[]).as_deref(), Ok(r#"{"a":1}"#));
    let twice = [Change::Route("r"), Change::Route("q"), Change::Route("r")];
    assert_eq!(changed("", &twice).as_deref(), Ok(r#"{"routes":["r","q"]}"#));
}

#[test]
fn maps_grow_and_shrink_across_the_widths_of_their_header() {
    let fifteen: Vec<String> = (0..15).map(|n| format!("\"k{n}\":{n}")).collect();
    let target = format!("\"a\":{{{}}}", fifteen.join(","));
    let grown = changed(&target, &[Change::Set("a.k15", Value::Int(15))]).expect("possible");
    assert_eq!(grown, format!("{{\"a\":{{{},\"k15\":15}}}}", fifteen.join(",")));
    let target = grown.trim_start_matches('{').trim_end_matches('}').to_owned() + "}";
    assert_eq!(changed(&target, &[Change::Remove("a.k15")]), Ok(format!("{{\"a\":{{{}}}}}", fifteen.join(","))));
    assert_eq!(merged(&target, r#"{"a":{"k15":null}}"#), Ok(format!("{{\"a\":{{{}}}}}", fifteen.join(","))));
}

#[test]
fn a_change_cannot_make_a_record_too_deep_or_too_large_and_leaves_nothing_behind() {
    let deep = "a.".repeat(63);
    assert!(changed("", &[Change::Set(&deep, Value::Nil)]).is_ok());
    let deeper = "a.".repeat(64);
    assert_eq!(changed("", &[Change::Set(&deeper, Value::Nil)]), Err(PatchError::TooDeep));
    let mut patch = b"\x81\xa1a".repeat(100_000);
    patch.push(1);
    let mut out = Vec::new();
    assert_eq!(merge_patch(&record(""), &patch, &mut out), Err(PatchError::TooDeep));
    let large = "x".repeat(MAX_RECORD_BYTES);
    assert_eq!(changed("", &[Change::Message(&large)]), Err(PatchError::TooLarge));
    assert!(out.is_empty());
}

#[test]
fn a_patch_that_is_no_map_or_cut_anywhere_is_refused() {
    let patch = packed(r#"{"a":{"b":[1,{"c":null}]},"d":"e"}"#);
    for len in 0..patch.len() {
        let mut out = Vec::new();
        assert!(merge_patch(&record(r#""a":{"b":1}"#), &patch[..len], &mut out).is_err(), "{len} bytes");
        assert!(out.is_empty());
    }
    assert!(merge_patch(&record(""), &[0x91, 1], &mut Vec::new()).is_err());
    assert_eq!(merge_patch(&[0x01], &patch, &mut Vec::new()), Err(PatchError::Record));
    assert!(merge_patch(&record(""), &[0xdf, 255, 255, 255, 255], &mut Vec::new()).is_err());
}

#[test]
fn many_changes_take_linear_time() {
    let large = format!("\"large\":\"{}\"", "x".repeat(900_000));
    let paths: Vec<String> = (0..20_000).map(|n| format!("a.k{}", n % 1000)).collect();
    let set: Vec<Change<'_>> = paths.iter().map(|path| Change::Set(path, Value::Int(1))).collect();
    let record = record(&large);
    let time = |changes: &[Change<'_>]| {
        let (mut out, start) = (Vec::new(), std::time::Instant::now());
        apply_changes(&record, changes, &mut out).expect("possible");
        assert_eq!(Record::new(&out).get("a.k0"), Some(Value::Int(1)));
        start.elapsed()
    };
    let (one, many) = (time(&set[..1]), time(&set));
    assert!(many < 2000 * one.max(std::time::Duration::from_micros(20)), "{many:?} for all, {one:?} for one");
}

#[test]
fn moving_list_items_is_bounded() {
    let list = format!("\"l\":[{}1]", "1,".repeat(200_000));
    let removals = vec![Change::Remove("l.0"); 1000];
    assert_eq!(changed(&list, &removals), Err(PatchError::TooManyMoves));
    assert!(changed(&list, &removals[..50]).is_ok());
    let labels: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let routes: Vec<Change<'_>> = labels.iter().map(|label| Change::Route(label)).collect();
    assert_eq!(changed("", &routes), Err(PatchError::TooManyMoves));
    assert!(changed("", &routes[..5000]).is_ok());
}

#[test]
fn paths_that_exceed_the_record_size_fail_early() {
    let below = ".a".repeat(60);
    let paths: Vec<String> = (0..20_000).map(|n| format!("k{n}{below}")).collect();
    let set: Vec<Change<'_>> = paths.iter().map(|path| Change::Set(path, Value::Nil)).collect();
    assert_eq!(changed("", &set), Err(PatchError::TooLarge));
    let keys: Vec<String> = (0..70_000).map(|n| n.to_string()).collect();
    let set: Vec<Change<'_>> = keys.iter().map(|key| Change::Set(key, Value::Nil)).collect();
    assert_eq!(changed("", &set), Err(PatchError::TooManyKeys));
}
