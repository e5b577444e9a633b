//! Every row of the table in the crate's documentation.

use crate::{Aliases, Batch, Defaults, Level, RejectedRecord, Role, read_json, read_msgpack, write_json};

const RECEIVED: i64 = 1_795_168_800_000_000_000;

/// What a record becomes, as JSON without the time of receipt and the default source and level.
fn becomes(sent: &str) -> String {
    becomes_with(sent, &Aliases::default(), &[])
}

fn becomes_with(sent: &str, aliases: &Aliases, context: &[(&str, &str)]) -> String {
    let defaults =
        Defaults { received_ns: RECEIVED, source: "test", level: Level::Info, context, aliases, keeps_routes: false };
    let mut batch = Batch::new();
    let bad: Vec<RejectedRecord> = read_json(sent.as_bytes(), &defaults, &mut batch).expect("the test sends JSON");
    assert_eq!((bad, batch.len()), (vec![], 1), "{sent}");
    let mut out = Vec::new();
    write_json(batch.record(0), &mut out);
    String::from_utf8(out)
        .expect("text")
        .replace("\"timestamp\":\"2026-11-20T10:00:00.000000000Z\",", "")
        .replace("\"level\":\"INFO\",", "")
        .replace("\"source\":\"test\",", "")
}

/// Why a record is not kept.
fn refused(sent: &str) -> String {
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: RECEIVED,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: false,
    };
    let mut batch = Batch::new();
    let mut bad = read_json(sent.as_bytes(), &defaults, &mut batch).expect("the test sends JSON");
    assert_eq!((bad.len(), batch.len()), (1, 0));
    bad.remove(0).error
}

fn check(rows: &[(&str, &str)]) {
    for (sent, kept) in rows {
        assert_eq!(becomes(sent), *kept, "sent {sent}");
    }
}

#[test]
fn missing_values_are_filled() {
    check(&[
        (r#"{}"#, r#"{"message":"{}"}"#),
        (r#"{"a":"x","b":[1]}"#, r#"{"message":"{\"a\":\"x\",\"b\":[1]}","a":"x","b":[1]}"#),
        (r#"{"level":"warn","a":1}"#, r#"{"level":"WARNING","message":"{\"a\":1}","a":1}"#),
        (r#"{"message":""}"#, r#"{"message":""}"#),
        (
            r#"{"message":"m","level":null,"source":null,"timestamp":null,"context":null,"routes":null}"#,
            r#"{"message":"m"}"#,
        ),
        (r#"{"message":"m","level":"","source":"","timestamp":""}"#, r#"{"message":"m"}"#),
        (r#"{"message":null}"#, r#"{"message":"{}"}"#),
    ]);
}

#[test]
fn aliases_become_the_canonical_keys() {
    check(&[
        (
            r#"{"time":"2026-11-20T11:00:00+01:00","severity":"err","service":"s","msg":"m"}"#,
            r#"{"level":"ERROR","source":"s","message":"m"}"#,
        ),
        (r#"{"ts":1795168800,"levelno":20,"logger_name":"s","log":"m"}"#, r#"{"source":"s","message":"m"}"#),
        (r#"{"@timestamp":1795168800000,"severity_number":1,"content":"m"}"#, r#"{"level":"TRACE","message":"m"}"#),
        (r#"{"level":20,"msg":"m"}"#, r#"{"level":"DEBUG","message":"m"}"#),
        (r#"{"level":3,"msg":"m"}"#, r#"{"level":"ERROR","message":"m"}"#),
        (r#"{"level":"30","msg":"m"}"#, r#"{"message":"m"}"#),
    ]);
}

#[test]
fn the_first_usable_alias_wins_and_the_others_stay() {
    check(&[
        (r#"{"msg":"b","message":"a"}"#, r#"{"message":"a","msg":"b"}"#),
        (r#"{"log":"c","msg":"b"}"#, r#"{"message":"b","log":"c"}"#),
        (r#"{"logger":"l","service":"s","msg":"m"}"#, r#"{"source":"s","message":"m","logger":"l"}"#),
        (r#"{"time":"noon","ts":1795168800,"msg":"m"}"#, r#"{"message":"m","time":"noon"}"#),
        (r#"{"message":{"a":1},"msg":"b"}"#, r#"{"message":"b","message_original":{"a":1}}"#),
        (r#"{"message":null,"msg":"b"}"#, r#"{"message":"b"}"#),
    ]);
}

#[test]
fn numbers_and_booleans_become_text_where_text_is_needed() {
    check(&[
        (r#"{"message":42,"source":7}"#, r#"{"source":"7","message":"42"}"#),
        (r#"{"message":1.5,"source":true}"#, r#"{"source":"true","message":"1.5"}"#),
    ]);
}

#[test]
fn a_value_of_the_wrong_type_is_kept_under_another_name() {
    check(&[
        (r#"{"message":["a"]}"#, r#"{"message":"{\"message_original\":[\"a\"]}","message_original":["a"]}"#),
        (r#"{"message":"m","level":"loud"}"#, r#"{"message":"m","level_original":"loud"}"#),
        (r#"{"message":"m","level":9000}"#, r#"{"message":"m","level_original":9000}"#),
        (r#"{"message":"m","timestamp":"soon"}"#, r#"{"message":"m","timestamp_original":"soon"}"#),
        (r#"{"message":"m","source":{"a":1}}"#, r#"{"message":"m","source_original":{"a":1}}"#),
        (r#"{"message":"m","context":"c"}"#, r#"{"message":"m","context_original":"c"}"#),
        (r#"{"message":"m","metadata":[1]}"#, r#"{"message":"m","metadata_original":[1]}"#),
        (r#"{"message":"m","routes":"audit"}"#, r#"{"message":"m","routes_original":"audit"}"#),
        (r#"{"message":"m","routes":["a",1]}"#, r#"{"message":"m","routes_original":["a",1]}"#),
        (r#"{"message":"m","routes":["a","b"]}"#, r#"{"message":"m","routes_original":["a","b"]}"#),
        (r#"{"message":"m","\u0072outes":["a"]}"#, r#"{"message":"m","routes_original":["a"]}"#),
        (
            r#"{"message":"m","level":"loud","level_original":1,"a":{"level_original":2}}"#,
            r#"{"message":"m","level_original":1,"a":{"level_original":2},"level_original_original":"loud"}"#,
        ),
    ]);
}

#[test]
fn of_repeated_reserved_keys_with_a_wrong_type_only_the_last_is_kept() {
    check(&[
        (
            r#"{"message":"m","routes":1,"metadata":2,"routes":3,"routes":4}"#,
            r#"{"message":"m","metadata_original":2,"routes_original":4}"#,
        ),
        // What may keep its key is beside what may not, and null says nothing.
        (
            r#"{"message":"m","metadata":1,"metadata":{"a":2}}"#,
            r#"{"message":"m","metadata":{"a":2},"metadata_original":1}"#,
        ),
        (r#"{"message":"m","context":1,"context":null}"#, r#"{"message":"m","context_original":1}"#),
    ]);
    let text = "x".repeat(crate::limits::MAX_RECORD_BYTES / 2);
    let reason = refused(&format!(r#"{{{}"a":1}}"#, format!(r#""routes":"{text}","#).repeat(5)));
    assert!(reason.contains("larger than 1 MiB"), "{reason}");
}

#[test]
fn a_record_with_all_names_that_a_value_could_get_is_refused() {
    let taken = |most: usize| {
        let names: Vec<String> =
            (1..=most).map(|times| format!(r#""level{}":1,"#, "_original".repeat(times))).collect();
        names.concat()
    };
    let most = crate::limits::MAX_NAMES_TRIED;
    let kept = becomes(&format!(r#"{{{}"level":"loud"}}"#, taken(most - 1)));
    assert!(kept.contains(&format!(r#""level{}":"loud""#, "_original".repeat(most))), "{kept}");
    let reason = refused(&format!(r#"{{{}"level":"loud"}}"#, taken(most)));
    assert!(reason.contains("renamed"), "{reason}");
}

#[test]
fn routes_are_renamed_for_senders_and_kept_for_filters() {
    let aliases = Aliases::default();
    let mut body = vec![0x82];
    crate::write::str(&mut body, "message");
    crate::write::str(&mut body, "m");
    crate::write::str(&mut body, "routes");
    body.extend_from_slice(b"\x92\xa5audit\xa3hot");
    for keeps_routes in [false, true] {
        let defaults = Defaults {
            received_ns: RECEIVED,
            source: "test",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes,
        };
        let mut batch = Batch::new();
        assert_eq!(read_msgpack(&body, &defaults, &mut batch), Ok(vec![]));
        let json = br#"{"message":"m","routes":["audit","hot"]}"#;
        assert_eq!(read_json(json, &defaults, &mut batch), Ok(vec![]));
        for record in batch.iter() {
            let routes: Vec<_> = record.routes().collect();
            assert_eq!(routes, if keeps_routes { vec!["audit", "hot"] } else { vec![] });
            assert_eq!(record.get("routes_original").is_some(), !keeps_routes, "nothing is lost");
        }
    }
}

#[test]
fn an_alias_that_cannot_be_read_stays_the_senders() {
    check(&[
        (
            r#"{"message":"m","severity":"loud","time":[1],"service":null}"#,
            r#"{"message":"m","severity":"loud","time":[1],"service":null}"#,
        ),
        (r#"{"log":{"a":1}}"#, r#"{"message":"{\"log\":{\"a\":1}}","log":{"a":1}}"#),
    ]);
}

#[test]
fn defaults_fill_only_missing_keys_of_a_context() {
    let with = |sent| becomes_with(sent, &Aliases::default(), &[("request_id", "r"), ("trace_id", "t")]);
    assert_eq!(with(r#"{"msg":"m"}"#), r#"{"message":"m","context":{"request_id":"r","trace_id":"t"}}"#);
    assert_eq!(
        with(r#"{"msg":"m","context":{"trace_id":"mine"},"a":1}"#),
        r#"{"message":"m","a":1,"context":{"trace_id":"mine","request_id":"r"}}"#
    );
    assert_eq!(
        with(r#"{"msg":"m","context":5}"#),
        r#"{"message":"m","context_original":5,"context":{"request_id":"r","trace_id":"t"}}"#
    );
}

#[test]
fn callers_can_change_the_aliases() {
    let mut aliases = Aliases::none();
    aliases.add("text", Role::Message).expect("a free name");
    let kept = becomes_with(r#"{"text":"m","msg":"x"}"#, &aliases, &[]);
    assert_eq!(kept, r#"{"message":"m","msg":"x"}"#);
}

#[test]
fn a_derived_message_is_cut_at_its_bound_between_characters() {
    let sent = format!("{{\"a\":\"{}\"}}", "é".repeat(100_000));
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: RECEIVED,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    read_json(sent.as_bytes(), &defaults, &mut batch).expect("JSON");
    let message = batch.record(0).message();
    assert!(message.ends_with("é…") && message.len() <= crate::limits::MAX_DERIVED_MESSAGE_BYTES + "…".len());
    assert_eq!(batch.record(0).get("a").and_then(|a| a.as_str()).map(str::len), Some(200_000));
}

#[test]
fn messagepack_times_and_bytes_are_read_in_the_head() {
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: RECEIVED,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut body = vec![0x83, 0xa4];
    body.extend_from_slice(b"time\xd7\x00\x00\x00\x00\x05\x00\x00\x00\x07");
    body.extend_from_slice(b"\xa3msg\xc4\x03\xffhi\xa5level\xcb");
    body.extend_from_slice(&50f64.to_be_bytes());
    let mut batch = Batch::new();
    let bad = read_msgpack(&body, &defaults, &mut batch).expect("MessagePack");
    assert_eq!(bad, []);
    let head = batch.record(0).head();
    assert_eq!((head.timestamp, head.level, head.message), (5_000_000_007, Level::Error, "\u{fffd}hi"));
    assert_eq!(batch.record(0).entries().count(), 4);
}

/// The time of `{"timestamp": …}`, as a filter sends it in JSON.
fn time_in_nanoseconds(value: &str) -> (i64, bool) {
    let aliases = Aliases::default().in_nanoseconds();
    let defaults = Defaults {
        received_ns: RECEIVED,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    let body = format!(r#"{{"timestamp":{value}}}"#);
    assert_eq!(read_json(body.as_bytes(), &defaults, &mut batch), Ok(vec![]));
    (batch.record(0).timestamp(), batch.record(0).get("timestamp_original").is_some())
}

#[test]
fn in_nanoseconds_integers_have_no_other_unit() {
    for ns in [0, 1, -1, 1_000, -1_000, 1_795_168_800, 99_999_999_999, i64::MIN, i64::MIN + 1, i64::MAX] {
        assert_eq!(time_in_nanoseconds(&ns.to_string()), (ns, false));
        assert_eq!(time_in_nanoseconds(&format!("\"{ns}\"")), (ns, false), "in text");
        let aliases = Aliases::default().in_nanoseconds();
        let defaults = Defaults {
            received_ns: RECEIVED,
            source: "test",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: true,
        };
        let (mut body, mut batch) = (vec![0x81], Batch::new());
        crate::write::str(&mut body, "timestamp");
        crate::write::int(&mut body, ns);
        assert_eq!(read_msgpack(&body, &defaults, &mut batch), Ok(vec![]));
        assert_eq!(batch.record(0).timestamp(), ns);
    }
    assert_eq!(time_in_nanoseconds("\"1970-01-01T00:00:00.000000007Z\""), (7, false));
    for unusable in ["1.5", "1e9", "true", "\"soon\"", "9223372036854775808", "[1]"] {
        assert_eq!(time_in_nanoseconds(unusable), (RECEIVED, true), "{unusable} is kept under another name");
    }
    assert_eq!(time_in_nanoseconds("null"), (RECEIVED, false));
}
