//! Events become records, and every outcome has the collector's code.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::PROTOCOL;
use crate::{
    Receipt, RecordError,
    protocols::{test_answers, test_bodies},
    reply::Refused,
};

const EVENT: &str = "/services/collector/event";

fn records(body: &str) -> Vec<Value> {
    test_bodies::post(&PROTOCOL, EVENT, &[], body).expect("taken").0
}

fn record(body: &str) -> Value {
    records(body).remove(0)
}

fn post(target: &str, headers: &[(&str, &str)], body: &str) -> test_answers::Answered {
    test_answers::post(&PROTOCOL, target, headers, body, Receipt::default())
}

#[test]
fn an_event_keeps_its_envelope_and_its_entries_are_at_the_top() {
    let due = json!({"timestamp": "2015-11-18T05:45:25.123456789Z", "level": "ERROR", "source": "/var/log/a.log", "message": "m",
        "user": {"id": 1}, "host": "web", "sourcetype": "shop", "index": "main", "region": "eu", "extra": 1});
    let body = r#"{"time":1447825525.123456789,"host":"web","source":"/var/log/a.log","sourcetype":"shop","index":"main",
        "fields":{"region":"eu"},"extra":1,"event":{"severity":"error","message":"m","user":{"id":1}}}"#;
    assert_eq!(record(body), due);
    let text = body.replace("1447825525.123456789", "\"1447825525.123456789\"");
    assert_eq!(record(&text), due);
}

#[test]
fn events_of_every_type_become_records() {
    let body = r#"{"event":"té\"xt"}{"event":3.5} {"event":[1,2],"fields":{"severity":"warn"}}
        {"event":"","event":"{\"not\":\"parsed\"}"}"#;
    let records = records(body);
    let messages: Vec<_> = records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["té\"xt", "3.5", r#"{"event":[1,2]}"#, r#"{"not":"parsed"}"#]);
    assert_eq!((&records[2]["event"], &records[2]["level"]), (&json!([1, 2]), &json!("WARNING")));
    assert_eq!(self::records(r#"[{"event":"a"},{"event":"b"}]"#).len(), 2);
}

#[test]
fn the_source_is_the_envelopes_the_events_own_the_type_or_the_host() {
    let source = |body: &str| record(body)["source"].as_str().unwrap().to_owned();
    let event = r#""event":{"service":"own"},"sourcetype":"type","host":"host""#;
    assert_eq!(source(&format!("{{\"source\":\"path\",{event}}}")), "path");
    assert_eq!(source(&format!("{{\"source\":\"\",{event}}}")), "own");
    assert_eq!(source(r#"{"event":"x","sourcetype":"type","host":"host"}"#), "type");
    assert_eq!(source(r#"{"event":"x","sourcetype":null,"host":"host"}"#), "host");
    assert_eq!(source(r#"{"event":"x"}"#), "http");
}

#[test]
fn nothing_of_the_envelope_replaces_what_the_event_says() {
    let record = record(
        r#"{"host":"web","time":"yesterday","fields":{"host":"field","message":"f","envelope_host":1},
            "event":{"host":"own","message":"m"}}"#,
    );
    assert_eq!((&record["host"], &record["envelope_host"]), (&json!("own"), &json!("web")));
    assert_eq!((&record["envelope_envelope_host"], &record["envelope_message"]), (&json!("field"), &json!("f")));
    assert_eq!(record["envelope_envelope_envelope_host"], 1);
    assert_eq!((&record["message"], &record["time"]), (&json!("m"), &json!("yesterday")));
    assert_eq!(record["timestamp"], test_bodies::RECEIVED);
}

#[test]
fn a_name_that_is_repeated_often_has_few_prefixes_and_its_last_value() {
    let fields: Vec<String> = (0..9).map(|value| format!("\"a\":{value}")).collect();
    let record = record(&format!("{{\"event\":\"x\",\"fields\":{{{}}}}}", fields.join(",")));
    let values: Vec<&Value> = (0..5).map(|count| &record[format!("{}a", "envelope_".repeat(count))]).collect();
    assert_eq!(values, [0, 1, 2, 3, 8]);
    assert_eq!(record.as_object().expect("a record").len(), 4 + values.len(), "{record}");
}

#[test]
fn an_event_of_the_wrong_form_refuses_the_body_and_is_named() {
    for (body, code, event) in [
        ("", 5, None),
        (" \n", 5, None),
        ("[]", 5, None),
        (r#"{"event":"a"}{"host":"b"}"#, 12, Some(1)),
        (r#"{"event":null}"#, 12, Some(0)),
        (r#"{"event":"a"}{"event":""}"#, 13, Some(1)),
        (r#"{"event":"a"}{"event":"b""#, 6, Some(1)),
        (r#"{"event":"a"}{"event":{"b":}}"#, 6, Some(1)),
        (r#"{"event":tru}"#, 6, Some(0)),
        (r#"{"event":"a"} "b""#, 6, Some(1)),
        (r#"{"event":"a","fields":3}"#, 6, Some(0)),
        ("hello", 6, Some(0)),
    ] {
        let answer = post(EVENT, &[], body);
        let said = answer.json();
        assert_eq!((answer.status, said["code"].as_u64()), (400, Some(code)), "{body}: {said}");
        assert_eq!(said["invalid-event-number"].as_u64(), event, "{body}");
    }
    let (status, event) = (StatusCode::BAD_REQUEST, format!("{{\"event\":{}1{}}}", "[".repeat(70), "]".repeat(70)));
    let (records, bad) =
        test_bodies::post(&PROTOCOL, EVENT, &[], format!("{event}{{\"event\":\"b\"}}")).expect("taken");
    assert_eq!((records.len(), bad.len()), (1, 1), "what is too deep is set aside, without {status}");
}

#[test]
fn raw_lines_are_messages_with_the_metadata_of_the_query() {
    let target = "/services/collector/raw?host=web%201&sourcetype=syslog&index=main&time=1447825525.5&channel=c";
    let (records, _) = test_bodies::post(&PROTOCOL, target, &[], "one\r\n\n{\"a\":1}\ntwo").expect("taken");
    let messages: Vec<_> = records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["one", "{\"a\":1}", "two"]);
    let due = json!({"timestamp": "2015-11-18T05:45:25.500000000Z", "level": "INFO", "source": "syslog", "message": "one",
        "host": "web 1", "sourcetype": "syslog", "index": "main"});
    assert_eq!(records[0], due);
}

#[test]
fn ids_are_given_out_with_a_channel_and_all_are_confirmed() {
    let body = r#"{"event":"a"}"#;
    assert_eq!(post(EVENT, &[], body).body, r#"{"code":0,"text":"Success"}"#);
    let channel = ("x-splunk-request-channel", "c");
    let id = post(EVENT, &[channel], body).json()["ackId"].as_u64().expect("an id");
    assert!(id < 1 << 53, "a float can represent it");
    assert_eq!(post(&format!("{EVENT}?channel=c"), &[], body).json()["ackId"], id);
    let ask = |headers: &[(&str, &str)], body: &str| {
        let answer = test_answers::ask(&PROTOCOL, Method::POST, "/services/collector/ack", headers, body.as_bytes());
        let answer = answer.expect("an answer");
        (answer.status, answer.json())
    };
    let acks = json!({ "acks": { id.to_string(): true, "0": true } });
    assert_eq!(ask(&[channel], &format!("{{\"acks\":[{id},0]}}")), (200, acks));
    assert_eq!(ask(&[], "{\"acks\":[0]}").1["code"], 10);
    for bad in ["", "{}", "{\"acks\":[\"x\"]}", "{\"acks\":3}"] {
        assert_eq!(ask(&[channel], bad).1["code"], 6);
    }
    let health =
        test_answers::ask(&PROTOCOL, Method::GET, "/services/collector/health/1.0", &[], b"").expect("an answer");
    assert_eq!((health.status, health.json()), (200, json!({"text": "HEC is healthy", "code": 17})));
}

#[test]
fn refusals_have_the_codes_of_the_collector() {
    let unauthorized = || Refused::new(StatusCode::UNAUTHORIZED, "x");
    for (refused, shown, status, code, text) in [
        (unauthorized(), None, 401, 2, "Token is required"),
        (unauthorized(), Some("Splunk"), 401, 3, "Invalid authorization"),
        (unauthorized(), Some("Splunk weir_x"), 403, 4, "Invalid token"),
        (Refused::new(StatusCode::FORBIDDEN, "x"), Some("Splunk weir_x"), 403, 4, "Invalid token"),
        (Refused::busy("x"), None, 503, 9, "Server is busy"),
        (Refused::new(StatusCode::TOO_MANY_REQUESTS, "x"), None, 429, 9, "Server is busy"),
        (Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "x"), None, 500, 8, "Internal server error"),
        (Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "x"), None, 413, 6, "Invalid data format"),
    ] {
        let headers: Vec<_> = shown.iter().map(|shown| ("authorization", *shown)).collect();
        let answer = test_answers::refused(&PROTOCOL, &headers, refused);
        let due = json!({"text": text, "code": code, "detail": "x"});
        assert_eq!((answer.status, answer.json()), (status, due));
        assert_eq!(answer.head.contains_key("retry-after"), status == 503);
    }
}

#[test]
fn what_a_filter_rejects_is_told() {
    let rejected = |count: u32| Receipt {
        rejected: (0..count).map(|index| RecordError { index, error: "no".to_owned() }).collect(),
        quarantined: Vec::new(),
    };
    let body = r#"{"event":"a"}{"event":"b"}"#;
    let answer = test_answers::post(&PROTOCOL, EVENT, &[], body, rejected(1));
    assert_eq!((answer.status, answer.json()["rejected"].as_u64()), (200, Some(1)));
    let answer = test_answers::post(&PROTOCOL, EVENT, &[], body, rejected(2));
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (400, Some(6)));
}

#[test]
fn the_line_of_dockers_driver_is_the_message() {
    let event = r#"{"event":{"line":"hello","source":"stderr","tag":"web"},"host":"h","time":"1.5"}"#;
    let (records, _) = test_bodies::post(&PROTOCOL, EVENT, &[], event).expect("taken");
    let record = &records[0];
    assert_eq!(
        (&record["message"], &record["source"], &record["tag"]),
        (&"hello".into(), &"stderr".into(), &"web".into())
    );
    assert_eq!(record["line"], Value::Null);
    let (records, _) =
        test_bodies::post(&PROTOCOL, EVENT, &[], r#"{"event":{"line":"a","source":"shop"}}"#).expect("taken");
    assert_eq!(records[0]["line"], "a");
}

#[test]
fn mutated_bodies_are_answered() {
    let seeds: &[&[u8]] = &[
        br#"{"time":1447825525.5,"host":"web","source":"a","fields":{"x":"y"},"event":{"severity":"error","message":"m"}}"#,
        br#"[{"event":"a"},{"event":[1,{"b":null}]}]"#,
        b"{\"event\":\"t\\u00e9xt\",\"time\":\"3\"}\n{\"event\":3.5}",
    ];
    for target in [EVENT, "/services/collector/raw?host=a&source=b"] {
        test_bodies::mutated(&PROTOCOL, target, &[], seeds);
    }
}
