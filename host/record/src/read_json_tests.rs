//! JSON bodies: their forms, errors, and unusual values. `builder_tests.rs` tests the rules for the head.

use super::*;
use crate::limits::MAX_RECORD_BYTES;
use crate::{Aliases, Level, Value, write_json};

fn read_into(body: &[u8], out: &mut Batch) -> Result<Vec<RejectedRecord>, SyntaxError> {
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: 0,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    read_json(body, &defaults, out)
}

fn read(body: impl AsRef<[u8]>) -> (Batch, Vec<RejectedRecord>) {
    let mut batch = Batch::new();
    let bad = read_into(body.as_ref(), &mut batch).expect("readable");
    (batch, bad)
}

fn refused(body: impl AsRef<[u8]>) -> SyntaxError {
    let mut batch = Batch::new();
    batch.push(&[0xde, 0, 0]);
    let error = read_into(body.as_ref(), &mut batch).expect_err("not readable");
    assert_eq!(batch.len(), 1, "nothing is accepted");
    error
}

fn messages(batch: &Batch) -> Vec<&str> {
    batch.iter().map(|record| record.message()).collect()
}

/// The value `x` of a record `{"x": …}`, as JSON.
fn value(json: &str) -> String {
    let (batch, bad) = read(format!("[{{\"x\":{json}}}]"));
    assert_eq!(bad, [], "{json}");
    let mut out = Vec::new();
    crate::write_json_value(batch.record(0).get("x").expect("x is kept"), &mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn an_object_a_list_and_lines_are_distinguished() {
    for body in ["{\"msg\":\"a\"}", " \n{\"msg\":\n\"a\"\n}\n", "[{\"msg\":\"a\"}]", "\u{feff}[ {\"msg\" : \"a\"} ]\n"]
    {
        assert_eq!(messages(&read(body).0), ["a"], "{body}");
    }
    for body in [
        "{\"msg\":\"a\"}\n{\"msg\":\"b\"}\n",
        "{\"msg\":\"a\"}\r\n\r\n{\"msg\":\"b\"}",
        "{\"msg\":\"a\"}{\"msg\":\"b\"}",
        "[{\"msg\":\"a\"},{\"msg\":\"b\"}]",
    ] {
        assert_eq!(messages(&read(body).0), ["a", "b"], "{body}");
    }
    for body in ["", " \n", "[]", "[ ]"] {
        let (batch, bad) = read(body);
        assert!(batch.is_empty() && bad.is_empty(), "{body}");
    }
}

#[test]
fn a_syntax_error_in_a_list_names_its_byte_and_accepts_nothing() {
    for (body, offset) in [
        ("[{\"a\":1},{\"a\":tru}]", 14),
        ("[{\"a\":1}", 8),
        ("[{\"a\":1}]x", 9),
        ("[{\"a\":1} {\"a\":2}]", 9),
        ("[{\"a\" 1}]", 6),
        ("[{a:1}]", 2),
        ("[{\"a\":01}]", 6),
        ("[{\"a\":1,}]", 8),
        ("[{\"a\":\"\n\"}]", 7),
        ("[{\"a\":\"\\x\"}]", 7),
        ("[{\"a\":1.}]", 6),
        ("[nope]", 1),
        ("[", 1),
    ] {
        assert_eq!(refused(body).offset, offset, "{body}");
    }
}

#[test]
fn list_items_that_are_not_objects_are_bad_and_the_others_accepted() {
    let (batch, bad) = read("[{\"msg\":\"a\"},7,\"x\",[{\"y\":[1]}],null,{\"msg\":\"b\"}]");
    assert_eq!(messages(&batch), ["a", "b"]);
    let found: Vec<_> = bad.iter().map(|bad| (bad.index, bad.bytes.as_slice())).collect();
    assert_eq!(found, [(1, &b"7"[..]), (2, b"\"x\""), (3, b"[{\"y\":[1]}]"), (4, b"null")]);
}

#[test]
fn a_malformed_line_is_bad_and_the_others_accepted() {
    let body = "{\"msg\":\"a\"}\n{\"msg\":\"b\"\n{\"msg\":\"c\"}\nnope\n[1]\n{\"msg\":\"d\"} x\n\n{\"msg\":\"e\"}";
    let (batch, bad) = read(body);
    assert_eq!(messages(&batch), ["a", "c", "e"]);
    let found: Vec<_> = bad.iter().map(|bad| (bad.index, bad.bytes.as_slice())).collect();
    assert_eq!(found, [(1, &b"{\"msg\":\"b\""[..]), (3, b"nope"), (4, b"[1]"), (5, b"{\"msg\":\"d\"} x")]);
    assert!(bad[0].error.ends_with("at byte 22"), "{}", bad[0].error);
    assert_eq!(messages(&read("nope\n{\"msg\":\"a\"}").0), ["a"]);
}

#[test]
fn a_body_in_which_no_line_can_be_read_is_a_syntax_error() {
    for (body, offset) in [("nope", 0), ("{\"a\":\n", 6), ("{\"a\"\n:1", 7), ("{\"a\":1\nnope\n", 7)] {
        assert_eq!(refused(body).offset, offset, "{body}");
    }
}

#[test]
fn records_too_deep_or_too_large_are_bad_and_the_others_accepted() {
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_RECORD_BYTES));
    let many = format!("{{\"a\":[{}1]}}", "1,".repeat(2 * MAX_RECORD_BYTES));
    let keys: String = (0..70_000).map(|n| format!("\"{n}\":1,")).collect();
    let keys = format!("{{{keys}\"a\":1}}");
    for body in [
        format!("[{},{},{large},{many},{keys},{{}}]", nested(64), nested(65)),
        format!("{}\n{}\n{large}\n{many}\n{keys}\n{{}}", nested(64), nested(65)),
    ] {
        let (batch, bad) = read(&body);
        assert_eq!(batch.len(), 2);
        assert_eq!(bad.iter().map(|bad| bad.index).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(bad[0].bytes, nested(65).as_bytes());
        assert_eq!(bad[1].bytes.len(), large.len());
    }
}

#[test]
fn a_body_of_brackets_alone_neither_overflows_nor_costs_more_than_its_bytes() {
    refused("[".repeat(16 << 20));
    for piece in ["{\"a\":", "{\"a\":\n", "{\"a\":[\n", "[{\"a\":", "\"\n", "{\"\n"] {
        refused(piece.repeat((1 << 20) / piece.len()));
    }
}

#[test]
fn of_duplicate_keys_the_last_wins_at_any_depth() {
    assert_eq!(value("{\"a\":1,\"b\":2,\"a\":3}"), "{\"b\":2,\"a\":3}");
    assert_eq!(value("1,\"y\":2,\"x\":[{\"a\":1,\"\\u0061\":2}]"), "[{\"a\":2}]");
    let (batch, _) = read("[{\"msg\":\"a\",\"msg\":\"b\",\"level\":\"warn\",\"level\":\"error\"}]");
    assert_eq!(batch.record(0).head().message, "b");
    assert_eq!(batch.record(0).head().level, Level::Error);
    assert_eq!(batch.record(0).entries().count(), 4);
}

#[test]
fn numbers_keep_their_value_or_the_nearest_float_or_their_text() {
    for (sent, kept) in [
        ("0", "0"),
        ("-0", "-0.0"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
        // Integers beyond 64 bits: floats with the same digits, otherwise text.
        ("18446744073709551616", "\"18446744073709551616\""),
        ("-9223372036854775809", "\"-9223372036854775809\""),
        ("123456789012345678901234567890", "\"123456789012345678901234567890\""),
        ("100000000000000000000", "1e20"),
        ("-123456789012345680000", "-1.2345678901234568e20"),
        ("1e2", "100.0"),
        ("1.5E-3", "0.0015"),
        // Beyond the range of floats: text.
        ("1e400", "\"1e400\""),
        ("-1.5E+400", "\"-1.5E+400\""),
        ("1e-400", "\"1e-400\""),
        ("1.7976931348623157e308", "1.7976931348623157e308"),
        ("5e-324", "5e-324"),
        ("0e-400", "0.0"),
        ("-0.00e9", "-0.0"),
        ("NaN", "null"),
        ("Infinity", "null"),
        ("-Infinity", "null"),
    ] {
        assert_eq!(value(sent), kept, "{sent}");
    }
    let (batch, _) = read("[{\"x\":NaN}]");
    assert!(matches!(batch.record(0).get("x"), Some(Value::Float(n)) if n.is_nan()));
}

#[test]
fn floats_of_every_length_are_read_exactly() {
    for text in
        ["0.1", "-0.0", "-12.25", "0.000001", "123456789.012345", "1234567890.012345", "3.0e2", "0.30000000000000004"]
    {
        let (batch, _) = read(format!("[{{\"x\":{text}}}]"));
        let expected: f64 = text.parse().expect("a float");
        let Some(Value::Float(found)) = batch.record(0).get("x") else { panic!("{text} is no float") };
        assert_eq!(found.to_bits(), expected.to_bits(), "{text}");
    }
}

#[test]
fn invalid_text_and_lone_surrogates_become_the_replacement_character() {
    for (sent, kept) in [
        ("\\ud83d\\ude00", "😀"),
        ("\\ud83d", "\u{fffd}"),
        ("\\ude00\\ud83d", "\u{fffd}\u{fffd}"),
        ("\\ud83d\\u0041", "\u{fffd}A"),
        ("\\ud83dx", "\u{fffd}x"),
        ("\\u00e9\\/\\b", "é/\u{8}"),
    ] {
        let (batch, _) = read(format!("[{{\"{sent}\":\"{sent}\",\"msg\":\"\"}}]"));
        let expected = (kept, Value::Str(kept));
        assert!(batch.record(0).entries().any(|entry| entry == expected), "{sent}");
    }
    let (batch, bad) = read(b"[{\"a\xff\":\"\xc3\\n\xc3\xa9\xe2\x82\"}]");
    assert_eq!(bad, []);
    assert_eq!(batch.record(0).get("a\u{fffd}"), Some(Value::Str("\u{fffd}\né\u{fffd}")));
}

#[test]
fn a_value_alone_is_read_as_it_is() {
    let mut out = vec![1];
    assert_eq!(json_to_msgpack(b" {\"level\":\"warn\",\"a\":[1,null]} ", &mut out), Ok(()));
    assert_eq!(out, b"\x01\x82\xa5level\xa4warn\xa1a\x92\x01\xc0");
    let error = json_to_msgpack(b"{} 1", &mut out).expect_err("two values");
    assert_eq!((error.offset, out.len()), (3, 18));
}

#[test]
fn json_survives_a_round_trip() {
    let sent = "{\"timestamp\":\"2026-11-20T10:00:00.000000001Z\",\"level\":\"INFO\",\"source\":\"s\",\"message\":\"m\",\
                \"a\":{\"b\":[1,-2,3.5,true,false,null,\"x\\\"\"],\"c\":{}},\"d\":[]}";
    let mut out = Vec::new();
    write_json(read(sent).0.record(0), &mut out);
    assert_eq!(String::from_utf8(out).expect("text"), sent);
}

#[test]
fn a_body_over_the_limits_is_refused_as_a_whole() {
    let aliases = Aliases::default();
    let source = "s".repeat(60_000);
    let defaults = Defaults {
        received_ns: 0,
        source: &source,
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    for body in [format!("[{}{{}}]", "{},".repeat(4_000)), "{}\n".repeat(4_000), "x\n{}\n".repeat(4_000)] {
        let error = read_json(body.as_bytes(), &defaults, &mut batch).expect_err("too much");
        assert!(error.too_much && batch.is_empty(), "{error}");
    }
    let records = format!("[{}{{}}]", "{},".repeat(crate::limits::MAX_BATCH_RECORDS));
    let error = refused(records);
    assert!(error.too_much && error.reason.contains("1048576 records"), "{error}");
    let bad = "1,".repeat(crate::limits::MAX_BAD_PER_BODY + 1);
    assert!(refused(format!("[{bad}1]")).too_much);
    assert!(!refused("[1").too_much);
}
