//! Events in each mode, and bodies that are none.

use hyper::Request;
use serde_json::{Value as Json, json};

use super::super::test_bodies::{self, RECEIVED};
use super::*;

const STRUCTURED: [(&str, &str); 1] = [("content-type", "application/cloudevents+json; charset=utf-8")];
const BATCHED: [(&str, &str); 1] = [("content-type", "application/cloudevents-batch+json")];

/// As in the specification, with more.
const EVENT: &str = r#"{"specversion":"1.0","type":"com.github.pull_request.opened","source":"/cloudevents/spec/pull",
    "subject":"123","id":"A234-1234-1234","time":"2018-04-05T17:31:00.123456789Z","comexampleextension1":"value",
    "comexampleothervalue":5,"datacontenttype":"application/json","dataschema":"https://example.com/s",
    "data":{"n":[1,{"ü":null}],"level":"error"}}"#;

fn one(headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Json {
    let (mut records, bad) = test_bodies::post(&PROTOCOL, "/cloudevents", headers, body).expect("taken");
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(records.len(), 1);
    records.remove(0)
}

fn refused(headers: &[(&str, &str)], body: &str) -> Refused {
    test_bodies::post(&PROTOCOL, "/cloudevents", headers, body).expect_err(body)
}

/// An event with more attributes.
fn event(more: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"/a","type":"t"{more}}}"#)
}

fn due() -> Json {
    json!({"timestamp": "2018-04-05T17:31:00.123456789Z", "level": "ERROR", "source": "/cloudevents/spec/pull",
        "message": "com.github.pull_request.opened 123", "type": "com.github.pull_request.opened", "subject": "123",
        "id": "A234-1234-1234", "comexampleextension1": "value", "comexampleothervalue": 5,
        "datacontenttype": "application/json", "dataschema": "https://example.com/s",
        "data": {"n": [1, {"ü": null}], "level": "error"}})
}

#[test]
fn an_event_is_the_same_record_in_every_mode() {
    assert_eq!(one(&STRUCTURED, EVENT), due());
    assert_eq!(one(&BATCHED, format!("[{EVENT}]")), due());
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-type", "com.github.pull_request.opened"),
        ("ce-source", "/cloudevents/spec/pull"),
        ("ce-subject", "123"),
        ("ce-id", "A234-1234-1234"),
        ("ce-time", "2018-04-05T17:31:00.123456789Z"),
        ("ce-comexampleextension1", "val%75e"),
        ("ce-comexampleothervalue", "5"),
        ("ce-dataschema", "https://example.com/s"),
        ("content-type", "application/json"),
    ];
    let mut in_headers = due();
    // Headers have no types.
    in_headers["comexampleothervalue"] = "5".into();
    assert_eq!(one(&headers, r#"{"n":[1,{"ü":null}],"level":"error"}"#), in_headers);
}

#[test]
fn data_is_kept_as_what_it_is() {
    let required = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/a"), ("ce-type", "t")];
    let binary = |content_type: &str, body: &[u8]| {
        let headers: Vec<_> = required.into_iter().chain([("content-type", content_type)]).collect();
        one(&headers, body)
    };
    let record = binary("text/plain", "hällo".as_bytes());
    assert_eq!((&record["message"], &record["data"]), (&json!("hällo"), &Json::Null));
    let record = binary("application/octet-stream", b"\xff\x00");
    assert_eq!((&record["message"], &record["data"]), (&json!("t"), &json!("/wA=")));
    let record = binary("application/vnd.acme+json", b"[1]");
    assert_eq!(record["data"], json!([1]));
    let record = binary("application/json", b"{broken");
    assert_eq!(record["message"], "{broken");
    assert_eq!(
        one(&required, b""),
        json!({"timestamp": RECEIVED, "level": "INFO", "source": "/a", "message": "t",
        "type": "t", "id": "1"})
    );
    for (more, data, message) in [
        (r#","data":"text""#, json!(null), "text"),
        (r#","data":"  ""#, json!("  "), "t"),
        (r#","data":5"#, json!(5), "t"),
        (r#","data":null"#, json!(null), "t"),
        (r#","data_base64":"AAE=""#, json!("AAE="), "t"),
        (r#","data_base64":"aGVsbG8=""#, json!(null), "hello"),
        (r#","datacontenttype":"application/json","data_base64":"eyJtc2ciOiJoaSJ9""#, json!({"msg": "hi"}), "hi"),
        (r#","data":{"message":"","log":"l"}"#, json!({"message": "", "log": "l"}), "l"),
    ] {
        let record = one(&STRUCTURED, event(more));
        assert_eq!((&record["data"], &record["message"]), (&data, &json!(message)), "{more}");
    }
    let record = one(&STRUCTURED, event(r#","data_base64":"%%","time":"soon""#));
    assert_eq!((&record["data_base64"], &record["time"]), (&json!("%%"), &json!("soon")));
}

#[test]
fn the_extension_severity_is_the_level() {
    for (more, level) in [
        (r#","severitytext":"WARN","severitynumber":17"#, "WARNING"),
        (r#","severitynumber":17"#, "ERROR"),
        (r#","severitynumber":"21""#, "CRITICAL"),
        (r#","severitytext":"odd","data":{"severity":"debug"}"#, "DEBUG"),
        (r#","data":{"level":7}"#, "INFO"),
    ] {
        assert_eq!(one(&STRUCTURED, event(more))["level"], level, "{more}");
    }
}

#[test]
fn of_a_batch_bad_events_are_set_aside_unless_all_are_bad() {
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(70), "]".repeat(70));
    let body = format!(r#" [ {} , 5,{{"id":"]}},"}},{{"a":}},{deep},{} ] "#, event(""), event(r#","subject":"s""#));
    let (records, bad) = test_bodies::post(&PROTOCOL, "/cloudevents", &BATCHED, &body).expect("taken");
    let said: Vec<_> = records.iter().map(|record| record["message"].as_str().expect("text")).collect();
    assert_eq!(said, ["t", "t s"]);
    let bad: Vec<_> = bad.iter().map(|bad| (bad.index, String::from_utf8_lossy(&bad.bytes).into_owned())).collect();
    let due = [(1, "5".to_owned()), (2, r#"{"id":"]},"}"#.to_owned()), (3, r#"{"a":}"#.to_owned()), (4, deep)];
    assert_eq!(bad, due);
    assert_eq!(refused(&BATCHED, "[5]").status, StatusCode::BAD_REQUEST);
    let (none, _) = test_bodies::post(&PROTOCOL, "/cloudevents", &BATCHED, "[]").expect("nothing is fine");
    assert!(none.is_empty());
}

#[test]
fn what_is_no_event_is_refused() {
    for (headers, body, status) in [
        (&STRUCTURED[..], "", 400),
        (&STRUCTURED, "{", 400),
        (&STRUCTURED, "[]", 400),
        (&STRUCTURED, r#"{"specversion":"1.0","id":"1","source":"/a"}"#, 400),
        (&STRUCTURED, r#"{"specversion":"1.0","id":"","source":"/a","type":"t"}"#, 400),
        (&BATCHED, "{}", 400),
        (&BATCHED, "[{},", 400),
        (&BATCHED, "[{}", 400),
        (&BATCHED, "[] x", 400),
        (&BATCHED, "[{}] x", 400),
        (&[("content-type", "application/json")], "{}", 400),
        (&[("ce-specversion", "1.0")], "{}", 400),
        (&[("content-type", "application/cloudevents+avro")], "x", 415),
    ] {
        assert_eq!(refused(headers, body).status, status, "{headers:?} {body}");
    }
    let joined = format!("[{},1 2]", event(""));
    assert_eq!(refused(&BATCHED, &joined).status, StatusCode::BAD_REQUEST, "where does the second event end?");
}

#[test]
fn a_service_that_asks_may_send() {
    let asked = |name: &str| {
        let request = Request::options("/cloudevents").header(name, "eventemitter.example.com");
        may_send(&request.body(()).expect("a request").into_parts().0, b"")
    };
    assert_eq!(asked("webhook-request-origin").expect("an answer").headers()["webhook-allowed-origin"], "*");
    assert!(asked("origin").is_none());
}

#[test]
fn mutated_events_never_panic() {
    let batch = format!("[{EVENT},{}]", event(r#","data_base64":"eyJtc2ciOiJoaSJ9""#));
    test_bodies::mutated(&PROTOCOL, "/cloudevents", &STRUCTURED, &[EVENT.as_bytes()]);
    test_bodies::mutated(&PROTOCOL, "/cloudevents", &BATCHED, &[batch.as_bytes()]);
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "%31"),
        ("ce-source", "/a"),
        ("ce-type", "%"),
        ("content-type", "application/json"),
    ];
    test_bodies::mutated(&PROTOCOL, "/cloudevents", &headers, &[br#"{"a":[1,"b"]}"#, b"hello"]);
}
