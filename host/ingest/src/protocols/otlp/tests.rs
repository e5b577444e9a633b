//! Records of OTLP as they are sent, well formed and not.

use hyper::Request;
use weir_record::{Aliases, Level, RejectedRecord};

use super::*;
use crate::protocols::protobuf::{write_bytes, write_fixed32, write_fixed64, write_uint};
use crate::protocols::test_bodies::{RECEIVED_NS, mutations, records_of};

fn parts(path: &str, content_type: &str) -> Parts {
    let request = Request::post(path).version(Version::HTTP_2).header("content-type", content_type);
    request.body(()).expect("a request").into_parts().0
}

/// What becomes of a body.
fn taken(content_type: &str, body: &[u8]) -> Result<(Batch, Vec<RejectedRecord>), Refused> {
    let path = if content_type == "application/grpc" { EXPORT } else { "/v1/logs" };
    let parts = parts(path, content_type);
    check(&parts)?;
    let aliases = Aliases::default();
    let posted = Posted {
        parts: &parts,
        content: body,
        received_ns: RECEIVED_NS,
        is_replay: false,
        source: "http",
        level: Level::Info,
        aliases: &aliases,
    };
    let mut batch = Batch::new();
    let read = read(&posted, &mut batch)?;
    Ok((batch, read.bad))
}

fn message(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn text(text: &str) -> Vec<u8> {
    message(|any| write_bytes(any, 1, text.as_bytes()))
}

fn pair(key: &str, value: &[u8]) -> Vec<u8> {
    message(|pair| {
        write_bytes(pair, 1, key.as_bytes());
        write_bytes(pair, 2, value);
    })
}

/// A request of one resource, one scope and these records.
fn request(records: &[Vec<u8>]) -> Vec<u8> {
    let resource = message(|resource| write_bytes(resource, 1, &pair("service.name", &text("shop"))));
    let scope_logs = message(|out| records.iter().for_each(|record| write_bytes(out, 2, record)));
    let resource_logs = message(|out| {
        write_bytes(out, 1, &resource);
        write_bytes(out, 2, &scope_logs);
    });
    message(|out| write_bytes(out, 1, &resource_logs))
}

/// A request with everything, in both forms.
fn everything() -> (Vec<u8>, &'static str) {
    let list = message(|list| {
        write_bytes(list, 1, &message(|any| write_uint(any, 3, 1)));
        write_bytes(list, 1, &text("two"));
        write_bytes(list, 1, &[]);
    });
    let map = message(|map| {
        write_bytes(map, 1, &pair("deep", &message(|any| write_bytes(any, 5, &list))));
        write_bytes(map, 1, &pair("ünï\"c\u{1F600}", &message(|any| write_uint(any, 2, 0))));
    });
    let record = message(|record| {
        write_fixed64(record, 1, 1_700_000_001_123_456_789);
        write_uint(record, 2, 10);
        write_bytes(record, 3, b"notice");
        write_bytes(record, 5, &message(|any| write_bytes(any, 6, &map)));
        write_bytes(record, 6, &pair("http.status", &message(|any| write_uint(any, 3, 404))));
        write_bytes(record, 6, &pair("least", &message(|any| write_uint(any, 3, i64::MIN as u64))));
        write_bytes(record, 6, &pair("ratio", &message(|any| write_fixed64(any, 4, 0.1_f64.to_bits()))));
        write_bytes(record, 6, &pair("worst", &message(|any| write_fixed64(any, 4, f64::INFINITY.to_bits()))));
        write_bytes(record, 6, &pair("raw", &message(|any| write_bytes(any, 7, &[0, 255]))));
        write_bytes(record, 6, &pair("none", &[]));
        write_bytes(record, 6, &pair("scope", &text("its own")));
        write_uint(record, 7, 3);
        write_fixed32(record, 8, 1);
        write_bytes(record, 9, &[0x5b; 16]);
        write_bytes(record, 10, &[0xee; 8]);
        write_fixed64(record, 11, 1_700_000_002_000_000_000);
        write_bytes(record, 12, b"checkout");
    });
    let resource = message(|resource| {
        write_bytes(resource, 1, &pair("service.name", &text("shop")));
        write_bytes(resource, 1, &pair("host.name", &text("web-1")));
        write_uint(resource, 2, 2);
    });
    let scope = message(|scope| {
        write_bytes(scope, 1, b"lib");
        write_bytes(scope, 2, b"1.2");
        write_bytes(scope, 3, &pair("short", &message(|any| write_uint(any, 2, 1))));
    });
    let scope_logs = message(|out| {
        write_bytes(out, 2, &record);
        write_bytes(out, 1, &scope);
        write_bytes(out, 3, b"https://example.org/scope");
    });
    let resource_logs = message(|out| {
        write_bytes(out, 2, &scope_logs);
        write_bytes(out, 3, b"https://example.org/resource");
        write_bytes(out, 1, &resource);
    });
    let json = r#"{"unknown":[{"a":"]"}],"resourceLogs":[{
        "schemaUrl":"https://example.org/resource",
        "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},
            {"key":"host.name","value":{"stringValue":"web-1"}}],"droppedAttributesCount":2},
        "scope_logs":[{"scope":{"name":"lib","version":"1.2","attributes":[{"key":"short","value":{"boolValue":true}}]},
            "schemaUrl":"https://example.org/scope",
            "logRecords":[{"timeUnixNano":"1700000001123456789","observedTimeUnixNano":1700000002000000000,
                "severityNumber":"SEVERITY_NUMBER_INFO2","severityText":"notice","eventName":"checkout",
                "traceId":"5B5B5B5B5B5B5B5B5B5B5B5B5B5B5B5B","spanId":"eeeeeeeeeeeeeeee","flags":1,
                "droppedAttributesCount":3,"traceState":null,
                "body":{"kvlistValue":{"values":[
                    {"key":"deep","value":{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"two"},{}]}}},
                    {"key":"\u00fcn\u00ef\"c\ud83d\ude00","value":{"boolValue":false}}]}},
                "attributes":[{"key":"http.status","value":{"intValue":404}},
                    {"key":"least","value":{"intValue":"-9223372036854775808"}},
                    {"key":"ratio","value":{"doubleValue":0.1}},
                    {"key":"worst","value":{"doubleValue":"Infinity"}},
                    {"key":"raw","value":{"bytesValue":"AP8="}},
                    {"key":"none","value":null},
                    {"key":"scope","value":{"stringValue":"its own"}}]}]}]}]}"#;
    (message(|out| write_bytes(out, 1, &resource_logs)), json)
}

#[test]
fn both_forms_give_the_same_complete_records() {
    let (protobuf, json) = everything();
    let (from_protobuf, bad) = taken("application/x-protobuf", &protobuf).expect("taken");
    assert!(bad.is_empty());
    let (from_json, _) = taken("application/json; charset=utf-8", json.as_bytes()).expect("taken");
    assert_eq!(from_protobuf.bytes(), from_json.bytes());
    let framed = [&[0][..], &(protobuf.len() as u32).to_be_bytes(), &protobuf].concat();
    let (from_grpc, _) = taken("application/grpc", &framed).expect("taken");
    assert_eq!(from_protobuf.bytes(), from_grpc.bytes());
    let due = serde_json::json!({
        "timestamp": "2023-11-14T22:13:21.123456789Z", "level": "INFO", "source": "shop",
        "message": "{\"deep\":[1,\"two\",null],\"ünï\\\"c😀\":false}",
        "http.status": 404, "least": i64::MIN, "ratio": 0.1, "worst": null, "raw": "AP8=", "none": null,
        "scope_original": "its own",
        "observed_time": "2023-11-14T22:13:22.000000000Z", "severity_number": 10, "severity_text": "notice",
        "body": {"deep": [1, "two", null], "ünï\"c😀": false},
        "event_name": "checkout", "dropped_attributes_count": 3,
        "context": {"trace_id": "5b".repeat(16), "span_id": "ee".repeat(8), "trace_flags": 1},
        "resource": {"service.name": "shop", "host.name": "web-1", "dropped_attributes_count": 2},
        "resource_schema_url": "https://example.org/resource",
        "scope": {"name": "lib", "version": "1.2", "attributes": {"short": true}, "schema_url": "https://example.org/scope"},
    });
    assert_eq!(records_of(&from_protobuf), [due]);
}

#[test]
fn heads_come_from_the_best_field() {
    let fields = |write: fn(&mut Vec<u8>)| {
        let (batch, bad) = taken("application/x-protobuf", &request(&[message(write)])).expect("taken");
        assert!(bad.is_empty());
        records_of(&batch).remove(0)
    };
    let record = fields(|out| {
        write_fixed64(out, 11, 1_700_000_001_000_000_000);
        write_bytes(out, 3, b"warn");
        write_bytes(out, 5, &message(|any| write_uint(any, 3, 5)));
        write_bytes(out, 9, &[0; 16]);
        write_bytes(out, 6, &pair("message", &text("mine")));
    });
    let due = serde_json::json!({
        "timestamp": "2023-11-14T22:13:21.000000000Z", "level": "WARNING", "source": "shop", "message": "5", "body": 5,
        "message_original": "mine", "resource": {"service.name": "shop"},
    });
    assert_eq!(record, due);
    let record = fields(|out| {
        write_uint(out, 2, 17);
        write_bytes(out, 3, b"ERROR");
        write_bytes(out, 12, b"happened");
        write_fixed64(out, 1, u64::MAX);
    });
    let due = serde_json::json!({
        "timestamp": "2023-11-14T22:13:20.000000000Z", "level": "ERROR", "source": "shop", "message": "happened",
        "event_name": "happened", "timestamp_original": u64::MAX, "resource": {"service.name": "shop"},
    });
    assert_eq!(record, due);
    let record = fields(|out| {
        write_uint(out, 2, (-1_i64) as u64);
        write_bytes(out, 3, b"loud");
        write_bytes(out, 5, &message(|any| write_bytes(any, 7, b"raw\xff")));
        write_fixed64(out, 1, 5);
        write_fixed64(out, 11, 5);
    });
    let due = serde_json::json!({
        "timestamp": "1970-01-01T00:00:00.000000005Z", "level": "INFO", "source": "shop", "message": "raw\u{fffd}",
        "body": "cmF3/w==", "severity_number": -1, "severity_text": "loud", "resource": {"service.name": "shop"},
    });
    assert_eq!(record, due);
    let record = fields(|out| write_bytes(out, 5, &text("")));
    assert_eq!(record["message"], "");
    let nothing = fields(|_| {});
    assert_eq!(nothing["message"], r#"{"resource":{"service.name":"shop"}}"#);
}

#[test]
fn a_record_that_can_not_be_kept_is_set_aside_as_it_was_sent() {
    let deep = |levels| {
        (0..levels).fold(text("x"), |inner, _| {
            let list = message(|list| write_bytes(list, 1, &inner));
            message(|any| write_bytes(any, 5, &list))
        })
    };
    let good = message(|out| write_bytes(out, 5, &text("good")));
    let too_deep = message(|out| write_bytes(out, 6, &pair("a", &deep(64))));
    let large = message(|out| write_bytes(out, 5, &text(&"x".repeat(1 << 20))));
    let body = request(&[too_deep.clone(), good.clone(), large, message(|out| write_bytes(out, 5, &deep(20_000)))]);
    let (batch, bad) = taken("application/x-protobuf", &body).expect("taken");
    assert_eq!((batch.len(), bad.len()), (1, 3));
    assert_eq!((bad[0].index, &bad[0].bytes), (0, &too_deep));
    assert!(bad[0].error.contains("64 levels") && bad[1].error.contains("1 MiB") && bad[2].error.contains("64 levels"));
    assert!(taken("application/x-protobuf", &request(&[message(|out| write_bytes(out, 5, &deep(62)))])).is_ok());

    let deep = format!("{}{}", r#"{"arrayValue":{"values":["#.repeat(9000), "]}}".repeat(9000));
    let deep = format!(r#"{{"body":{deep}}}"#);
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{}}, {deep} ,{{}}]}}]}}]}}"#);
    let (batch, bad) = taken("application/json", body.as_bytes()).expect("taken");
    assert_eq!((batch.len(), bad.len()), (2, 1));
    assert_eq!((bad[0].index, bad[0].bytes.as_slice()), (1, deep.as_bytes()));
}

#[test]
fn a_resource_that_is_too_large_or_too_deep_costs_its_records_and_little_time() {
    let many = vec![Vec::new(); 60_000];
    let deep = (0..64).fold(text("x"), |inner, _| {
        let list = message(|list| write_bytes(list, 1, &inner));
        message(|any| write_bytes(any, 5, &list))
    });
    for (attribute, reason) in [(pair("a", &text(&"x".repeat(300_000))), "256 KiB"), (pair("a", &deep), "64 levels")] {
        let resource = message(|resource| write_bytes(resource, 1, &attribute));
        let scope_logs = message(|out| many.iter().for_each(|record| write_bytes(out, 2, record)));
        let resource_logs = message(|out| {
            write_bytes(out, 1, &resource);
            write_bytes(out, 2, &scope_logs);
        });
        let (batch, bad) =
            taken("application/x-protobuf", &message(|out| write_bytes(out, 1, &resource_logs))).expect("taken");
        assert_eq!((batch.len(), bad.len()), (0, many.len()));
        assert!(bad[0].error.contains(reason), "{}", bad[0].error);
    }
}

#[test]
fn integers_of_every_size_keep_their_value() {
    for (sent, due) in [
        ("9223372036854775807", serde_json::json!(i64::MAX)),
        (r#""-9223372036854775808""#, serde_json::json!(i64::MIN)),
        ("1e3", serde_json::json!(1000)),
        ("18446744073709551616", serde_json::json!(18_446_744_073_709_551_616.0)),
        ("1.7976931348623157e+308", serde_json::json!(f64::MAX)),
    ] {
        let attribute = format!(r#"{{"key":"n","value":{{"intValue":{sent}}}}}"#);
        let body =
            format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"attributes":[{attribute}]}}]}}]}}]}}"#);
        let (batch, _) = taken("application/json", body.as_bytes()).expect("taken");
        assert_eq!(records_of(&batch)[0]["n"], due, "{sent}");
    }
}

#[test]
fn malformed_bodies_are_refused_with_the_place() {
    for (body, hint) in [
        ("", "at byte 0: the JSON ends"),
        ("[]", "at byte 0: expected an object"),
        (r#"{"resourceLogs":{}}"#, "at byte 16: expected a list"),
        (r#"{"resourceLogs":[]} x"#, "at byte 20: expected nothing"),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xyz"}]}]}]}"#, "not hexadecimal"),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"soon"}]}]}]}"#, "integer of 64 bits"),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":1.5}]}]}]}"#, "integer of 64 bits"),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":"LOUD"}]}]}]}"#, "severity"),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":"text"}]}]}]}"#, "expected an object"),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":5}}]}]}]}"#, "expected text"),
        (r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"bytesValue":"%"}}]}]}]}"#, "Base64"),
    ] {
        let refused = taken("application/json", body.as_bytes()).expect_err(body);
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.error.contains(hint), "{body}: {}", refused.error);
    }
    let body = request(&[message(|out| write_bytes(out, 5, &text("good"))), vec![0x0a, 5]]);
    let refused = taken("application/x-protobuf", &body).expect_err("cut");
    assert!(refused.error.contains("protobuf") && refused.error.contains("cut short"), "{}", refused.error);
    for body in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\0", b"\0\0\0\0\x02x", b"\0\0\0\0\0x"] {
        assert_eq!(taken("application/grpc", body).expect_err("no message").status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(taken("text/plain", b"").expect_err("text").status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(taken("application/x-protobuf", b"").expect("nothing is fine").0.len(), 0);
}

/// Random changes to requests of both forms neither panic nor take long, and what is taken is canonical.
#[test]
fn mutated_requests_are_taken_or_refused() {
    let (protobuf, json) = everything();
    let seeds = [("application/x-protobuf", protobuf), ("application/json", json.as_bytes().to_vec())];
    let mut count = 0;
    mutations(&[&seeds[0].1, &seeds[1].1], |seed, body| match taken(seeds[seed].0, body) {
        Ok((batch, bad)) => {
            assert!(batch.iter().all(|record| record.message().len() < 1 << 20) && bad.len() <= body.len());
            count += 1;
        }
        Err(refused) => assert_eq!(refused.status, StatusCode::BAD_REQUEST),
    });
    assert!(count > 0, "no change leaves a request that can be read");
}

#[path = "answer_tests.rs"]
mod answers;
