//! python-logging-loki, winston-loki and pino-loki.

use serde_json::{Value, json};

use super::super::clients::curl;
use super::given::{assert_none_is_lost, assert_pieces_are_put_together, exchange, fill_the_journal, script, token};
use super::{Client, arrived, confirm, home, outcome};

const MESSAGE: &str = "zażółć 😀 \"quoted\"\n";

#[test]
fn python_logging_loki_sends_records_without_loss() {
    let home = home("");
    let router = home.start();
    let said = exchange(script(&home, "loki.py").args(["facts", &router.url]), &json!(null));
    assert_eq!(said["said"], json!([]));
    let records = arrived(&home, 4);
    let heads: Vec<_> = records.iter().map(|record| record["level"].as_str().unwrap()).collect();
    assert_eq!(heads, ["WARNING", "DEBUG", "CRITICAL", "INFO"]);
    assert_eq!(records[0]["message"], MESSAGE);
    let labels =
        json!({"service": "shop", "shard": "3", "severity": "warning", "logger": "cart", "user": "anna \"a\""});
    assert_eq!(records[0]["labels"], labels);
    assert_eq!((&records[1]["message"], records[2]["message"].as_str().unwrap().len()), (&json!(""), 100_000));
    assert_eq!(records[3]["message"], r#"{"json": true}"#);
    assert!(records.iter().all(|record| record["source"] == "shop"));
    let version = said["version"].as_str().unwrap().to_owned();
    confirm(&Client { protocol: "loki", name: "python-logging-loki", from: "PyPI", version }, 4, records.len());
}

/// Checks what both clients for JavaScript send, by level, because their streams are in no order.
fn assert_are(records: &mut [Value], user: &str, messages: [&str; 2]) {
    let levels = ["WARNING", "DEBUG", "ERROR"];
    records.sort_by_key(|record| levels.iter().position(|level| record["level"] == *level));
    assert_eq!([0, 1, 2].map(|at| records[at]["level"].as_str().unwrap()), levels);
    let text = |at: usize| records[at]["message"].as_str().unwrap();
    for (at, message) in messages.into_iter().chain([&*"x".repeat(100_000)]).enumerate() {
        assert!(text(at).contains(message), "{message}: {}", text(at));
    }
    assert_eq!(records[0]["labels"]["user"], user);
    assert!(records.iter().all(|record| record["source"] == "shop" && record["tenant"] == "team-a"));
}

#[test]
fn winston_loki_sends_records_without_loss_as_protobuf_and_as_json() {
    let home = home("");
    let router = home.start();
    let mut version = Value::Null;
    for kind in ["winston", "winston-json"] {
        let said = exchange(script(&home, "loki.mjs").args([kind, &router.url]), &json!(null));
        assert_eq!(said["said"], json!([]));
        version = said["version"].clone();
    }
    let mut records = arrived(&home, 6);
    for records in records.chunks_mut(3) {
        assert_are(records, "anna", [MESSAGE, "line"]);
    }
    let version = version.as_str().unwrap().to_owned();
    confirm(&Client { protocol: "loki", name: "winston-loki", from: "npm", version }, 6, records.len());
}

#[test]
fn pino_loki_sends_records_without_loss() {
    let home = home("");
    let router = home.start();
    let said = exchange(script(&home, "loki.mjs").args(["pino", &router.url]), &json!(null));
    assert_eq!(said["said"], json!([]));
    let mut records = arrived(&home, 3);
    // Its lines are JSON.
    let line = |message: &str| format!(r#""msg":{}"#, json!(message));
    assert_are(&mut records, "anna \"a\"", [&line(MESSAGE), &line("")]);
    let version = said["version"].as_str().unwrap().to_owned();
    confirm(&Client { protocol: "loki", name: "pino-loki", from: "npm", version }, 3, records.len());
}

#[test]
fn a_wrong_token_is_the_clients_own_error_and_a_right_one_is_taken() {
    let home = home("");
    let token = token(&home);
    let router = home.start();
    let python = |token: &str| exchange(script(&home, "loki.py").args(["facts", &router.url, token]), &json!(null));
    assert_eq!(python("weir_wrong")["said"][0], "Unexpected Loki API response status code: 401");
    assert_eq!(python(&token)["said"], json!([]));
    for (kind, error) in [("winston", "HTTP 401"), ("pino", "token")] {
        let javascript =
            |token: &str| exchange(script(&home, "loki.mjs").args([kind, &router.url, token]), &json!(null));
        let wrong = javascript("weir_wrong");
        assert!(wrong["said"].to_string().contains(error), "{wrong}");
        assert_eq!(javascript(&token)["said"], json!([]));
    }
    outcome("loki", "python-logging-loki", "wrong credentials", "its own error: 401");
    outcome("loki", "winston-loki and pino-loki", "wrong credentials", "their own error: 401");
}

#[test]
fn nothing_acknowledged_to_the_client_is_lost_by_kills_and_stops() {
    assert_none_is_lost("loki.py");
    outcome("loki", "python-logging-loki", "restarted under load", "nothing acknowledged is lost");
}

#[test]
fn the_client_is_told_when_the_journal_is_full() {
    assert_eq!(fill_the_journal("loki.py"), "Unexpected Loki API response status code: 503");
    outcome("loki", "python-logging-loki", "journal full", "503 is its own error; sent again, it is taken");
}

#[test]
fn a_request_in_pieces_is_put_together_and_half_of_one_leaves_nothing() {
    let body = r#"{"streams":[{"stream":{"job":"shop"},"values":[["1700000000000000000","slow"]]}]}"#;
    assert_pieces_are_put_together("/loki/api/v1/push", "content-type: application/json\r\n", body);
    outcome("loki", "raw bytes", "byte by byte, then cut", "put together; a request that is cut leaves nothing");
}

#[test]
fn what_is_not_snappy_is_refused_with_the_reason() {
    let home = home("");
    let router = home.start();
    let arguments = ["-H", "content-type: application/x-protobuf", "--data-binary", "@-"];
    let answer = curl(&router, "/loki/api/v1/push", &arguments, b"\xff\xff\xff\xff\x0f\x00");
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("snappy"), "{}", answer.body);
    outcome("loki", "raw bytes", "malformed", "400 with the reason");
}
