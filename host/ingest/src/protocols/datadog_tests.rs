//! Logs become records, and every outcome has the intake's form.

use serde_json::{Value, json};

use super::*;
use crate::{
    Receipt, RecordError,
    protocols::{test_answers, test_bodies},
};

const LOGS: &str = "/api/v2/logs";

fn records(target: &str, body: &str) -> Vec<Value> {
    test_bodies::post(&PROTOCOL, target, &[], body).expect("taken").0
}

fn record(body: &str) -> Value {
    records(LOGS, body).remove(0)
}

#[test]
fn a_log_has_its_head_and_keeps_everything_else() {
    let body = r#"{"message":"m","status":"warning","service":"shop","ddsource":"python","ddtags":"env:prod, team:web,,solo",
        "hostname":"web-1","timestamp":1447825525123,"dd":{"trace_id":"12","span_id":34},"user":{"id":1}}"#;
    let due = json!({"timestamp": "2015-11-18T05:45:25.123000000Z", "level": "WARNING", "source": "shop", "message": "m",
        "ddsource": "python", "ddtags": "env:prod, team:web,,solo", "tags": ["env:prod", "team:web", "solo"],
        "host": "web-1", "dd": {"trace_id": "12", "span_id": 34}, "context": {"trace_id": "12", "span_id": "34"},
        "user": {"id": 1}});
    assert_eq!(record(body), due);
    let dotted = record(
        r#"{"message":"m","dd.trace_id":"12","context":{"trace_id":"own","a":1},"timestamp":"2026-11-20T10:00:00Z"}"#,
    );
    assert_eq!((&dotted["context"], &dotted["dd.trace_id"]), (&json!({"trace_id": "own", "a": 1}), &json!("12")));
    assert_eq!(dotted["timestamp"], "2026-11-20T10:00:00.000000000Z");
}

#[test]
fn what_a_log_has_itself_is_not_replaced() {
    let record = record(
        r#"{"status":200,"level":"error","service":3,"source":"own","tags":{"a":"b"},"ddtags":"c:d","host":"h","hostname":"n"}"#,
    );
    let due = [
        ("status", json!(200)),
        ("level", json!("ERROR")),
        ("service", json!(3)),
        ("source", json!("own")),
        ("tags", json!({"a": "b"})),
        ("ddtags", json!("c:d")),
        ("host", json!("h")),
        ("hostname", json!("n")),
    ];
    for (key, value) in due {
        assert_eq!(record[key], value, "{record}");
    }
    assert_eq!(self::record(r#"{"status":"ok"}"#)["status"], "ok");
    let both = self::record(r#"{"status":"error","level":"info","service":"s","source":"own"}"#);
    assert_eq!((&both["level"], &both["level_original"]), (&json!("ERROR"), &json!("info")));
    assert_eq!((&both["source"], &both["source_original"]), (&json!("s"), &json!("own")));
}

#[test]
fn the_query_has_labels_for_logs_without_them() {
    let target = "/v1/input?ddsource=nodejs&service=web%20shop&hostname=h&ddtags=env%3Aprod,a:b";
    let logs =
        records(target, r#"[{"message":"a"},{"message":"b","ddsource":"go","ddtags":"x","hostname":"own"},"c"]"#);
    let labels = |log: &Value| ["source", "ddsource", "ddtags", "host", "tags"].map(|key| log[key].clone());
    let query = [json!("web shop"), json!("nodejs"), json!("env:prod,a:b"), json!("h"), json!(["env:prod", "a:b"])];
    assert_eq!(labels(&logs[0]), query);
    assert_eq!(labels(&logs[1]), [json!("web shop"), json!("go"), json!("x"), json!("own"), json!(["x"])]);
    assert_eq!((labels(&logs[2]), &logs[2]["message"]), (query.clone(), &json!("c")));
    let lines =
        test_bodies::post(&PROTOCOL, target, &[("content-type", "text/plain")], "one\r\n\n{two}").expect("taken").0;
    assert_eq!(lines.iter().map(|line| line["message"].as_str().unwrap()).collect::<Vec<_>>(), ["one", "{two}"]);
    assert_eq!(labels(&lines[1]), query);
}

#[test]
fn bodies_of_every_form_are_taken_and_signs_of_life_are_no_records() {
    for (body, count) in [
        ("[]", 0),
        ("{}", 0),
        (" [ { } ] ", 0),
        ("", 0),
        (r#"{"a":1}"#, 1),
        (r#"[{"a":1},{},{"a":2}]"#, 2),
        ("{\"a\":1}\n{\"a\":2}\n", 2),
        ("plain\ntext", 2),
    ] {
        let (records, bad) = test_bodies::post(&PROTOCOL, LOGS, &[], body).expect("taken");
        assert_eq!((records.len(), bad.len()), (count, 0), "{body}");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    let (records, bad) = test_bodies::post(&PROTOCOL, LOGS, &[], format!("[3,{{\"a\":1}},{deep}]")).expect("taken");
    assert_eq!((records.len(), bad.iter().map(|bad| bad.index).collect::<Vec<_>>()), (1, vec![0, 2]));
    for broken in ["[{\"a\":1}", "{\"a\":1}{", "[{\"a\":}]", "[1,]"] {
        let refused = test_bodies::post(&PROTOCOL, LOGS, &[], broken).expect_err(broken);
        assert_eq!(refused.status, 400, "{broken}");
    }
}

#[test]
fn answers_have_the_form_of_the_intake() {
    let post = |target: &str, body: &str, rejected: u32| {
        let rejected = (0..rejected).map(|index| RecordError { index, error: "no".to_owned() }).collect();
        let receipt = Receipt { rejected, quarantined: Vec::new() };
        let answer = test_answers::post(&PROTOCOL, target, &[], body, receipt);
        (answer.status, answer.body)
    };
    let two = r#"[{"a":1},{"a":2}]"#;
    assert_eq!(post(LOGS, two, 0), (202, "{}".to_owned()));
    assert_eq!(post("/v1/input", two, 0), (200, "{}".to_owned()));
    assert_eq!(post(LOGS, two, 1), (202, r#"{"rejected":1}"#.to_owned()));
    let (status, body) = post(LOGS, two, 2);
    let due = json!({"errors": [{"status": "400", "title": "Bad Request", "detail": "no"}]});
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (400, due));
    let key = ("dd-api-key", "weir_x");
    for (headers, refused, status) in [
        (&[][..], Refused::new(StatusCode::UNAUTHORIZED, "x"), 401),
        (&[key], Refused::new(StatusCode::UNAUTHORIZED, "x"), 403),
        (&[key], Refused::busy("x"), 503),
        (&[key], Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "x"), 413),
    ] {
        let answer = test_answers::refused(&PROTOCOL, headers, refused);
        assert_eq!((answer.status, &answer.json()["errors"][0]["status"]), (status, &json!(status.to_string())));
    }
    let valid = test_answers::ask(&PROTOCOL, Method::GET, "/api/v1/validate", &[], b"").expect("an answer");
    assert_eq!((valid.status, valid.json()), (200, json!({"valid": true})));
}

#[test]
fn mutated_bodies_are_answered() {
    let seeds: &[&[u8]] = &[
        br#"[{"message":"m","status":"warn","service":"s","ddtags":"a:b,c","hostname":"h","timestamp":1447825525123}]"#,
        b"{\"dd\":{\"trace_id\":1},\"context\":{\"a\":null}}\n{\"dd.span_id\":\"\\u00e9\"}",
        br#"["text",{},{"status":200,"host":["x"]}]"#,
    ];
    test_bodies::mutated(&PROTOCOL, "/api/v2/logs?service=a&ddtags=b", &[], seeds);
}
