//! OpenTelemetry's exporters for Python and JavaScript, and pino's transport: HTTP with protobuf and JSON, and gRPC.

use serde_json::{Value, json};

use super::super::clients::curl;
use super::given::{assert_none_is_lost, assert_pieces_are_put_together, exchange, fill_the_journal, script, token};
use super::{Client, arrived, confirm, home, outcome};

const MESSAGE: &str = "zażółć 😀 \"quoted\"\n";

/// Checks the entries of the first record that both SDKs send.
fn assert_has_all_values(record: &Value, largest: i64, least: i64) {
    let due = json!({
        "level": "WARNING", "source": "shop", "message": MESSAGE, "items": 42, "largest": largest, "least": least,
        "ratio": 0.1, "huge": f64::MAX, "paid": true, "tags": ["a", "b"], "raw": "AP8=",
        "deep": {"one": {"two": [1, {"three": null}]}},
    });
    for (key, value) in due.as_object().unwrap() {
        assert_eq!(&record[key], value, "{key}");
    }
    assert_eq!(record["resource"]["service.name"], "shop");
    assert_eq!(record["resource"]["service.version"], "1.2.3");
    assert_eq!(record["scope"]["name"], "shop.cart");
}

fn python(kind: &str) {
    let home = home("");
    let router = home.start();
    let said = exchange(script(&home, "otlp.py").args(["facts", kind, &router.url]), &json!(null));
    assert_eq!((&said["stored"], &said["said"]), (&json!([true]), &json!([])));
    let records = arrived(&home, 6);
    assert_has_all_values(&records[0], i64::MAX, i64::MIN);
    assert_eq!(records[0]["timestamp"], "2023-11-14T22:13:21.500000000Z");
    assert!(records[0]["observed_time"].as_str().unwrap() > "2026", "{}", records[0]["observed_time"]);
    assert_eq!((&records[0]["code.function.name"], &records[0]["code.line.number"]), (&json!("add"), &json!(7)));
    assert_eq!((&records[1]["level"], &records[1]["message"]), (&json!("INFO"), &json!("")));
    assert_eq!((&records[2]["level"], records[2]["message"].as_str().unwrap().len()), (&json!("CRITICAL"), 100_000));
    assert_eq!(
        (&records[3]["level"], &records[3]["body"]),
        (&json!("DEBUG"), &json!({"event": "paid", "amounts": [1, 2.5]}))
    );
    assert_eq!(records[3]["message"], r#"{"event":"paid","amounts":[1,2.5]}"#);
    assert_eq!((&records[4]["level"], &records[4]["exception.message"]), (&json!("ERROR"), &json!("no such item")));
    assert_eq!((&records[5]["message"], &records[5]["severity_text"]), (&json!("odd"), &json!("Level 45")));
    assert!(records.iter().all(|record| record["severity_number"].is_null() || record["message"] == "odd"));
    let version = said["version"].as_str().unwrap().to_owned();
    let name: &'static str = match kind {
        "http" => "opentelemetry-exporter-otlp-proto-http",
        _ => "opentelemetry-exporter-otlp-proto-grpc",
    };
    confirm(&Client { protocol: "otlp", name, from: "PyPI", version }, 6, records.len());
}

#[test]
fn the_exporter_of_protobuf_for_python_sends_records_without_loss() {
    python("http");
}

#[test]
fn the_exporter_of_grpc_for_python_sends_records_without_loss() {
    python("grpc");
}

fn javascript(kind: &str, name: &'static str) {
    let home = home("");
    let router = home.start();
    let said = exchange(script(&home, "otlp.mjs").args([kind, &router.url]), &json!(null));
    assert_eq!(said["said"], json!([null]));
    let records = arrived(&home, 5);
    assert_has_all_values(&records[0], (1 << 53) - 1, 1 - (1 << 53));
    assert_eq!(records[0]["scope"]["version"], "9.9");
    assert!(records.iter().all(|record| record["timestamp"] == "2023-11-14T22:13:21.123456789Z"));
    assert_eq!((&records[1]["level"], &records[1]["message"]), (&json!("INFO"), &json!("")));
    assert_eq!((&records[2]["level"], records[2]["message"].as_str().unwrap().len()), (&json!("CRITICAL"), 100_000));
    assert_eq!(
        (&records[3]["level"], &records[3]["body"]),
        (&json!("DEBUG"), &json!({"event": "paid", "amounts": [1, 2.5]}))
    );
    let due = json!({"level": "INFO", "message": "checkout", "event_name": "checkout", "severity_number": 10, "severity_text": "notice"});
    for (key, value) in due.as_object().unwrap() {
        assert_eq!(&records[4][key], value, "{key}");
    }
    let version = said["version"].as_str().unwrap().to_owned();
    confirm(&Client { protocol: "otlp", name, from: "npm", version }, 5, records.len());
}

#[test]
fn the_exporter_of_json_for_javascript_sends_records_without_loss() {
    javascript("http", "@opentelemetry/exporter-logs-otlp-http");
}

#[test]
fn the_exporter_of_protobuf_for_javascript_sends_records_without_loss() {
    javascript("proto", "@opentelemetry/exporter-logs-otlp-proto");
}

#[test]
fn the_exporter_of_grpc_for_javascript_sends_records_without_loss() {
    javascript("grpc", "@opentelemetry/exporter-logs-otlp-grpc");
}

#[test]
fn pino_sends_records_over_each_of_its_protocols() {
    let home = home("");
    let router = home.start();
    let mut version = Value::Null;
    for kind in ["pino-http", "pino-proto", "pino-grpc"] {
        version = exchange(script(&home, "otlp.mjs").args([kind, &router.url]), &json!(null))["version"].clone();
    }
    let records = arrived(&home, 12);
    for records in records.chunks(4) {
        let heads: Vec<_> = records.iter().map(|record| record["level"].as_str().unwrap()).collect();
        assert_eq!(heads, ["WARNING", "INFO", "CRITICAL", "TRACE"]);
        assert_eq!((&records[0]["message"], &records[0]["items"]), (&json!(MESSAGE), &json!(42)));
        assert_eq!(records[0]["deep"], json!({"one": {"two": [1, null]}}));
        assert_eq!((&records[1]["message"], records[2]["message"].as_str().unwrap().len()), (&json!(""), 100_000));
        let due = json!({"trace_id": "5b".repeat(16), "span_id": "ee".repeat(8), "trace_flags": 1});
        assert_eq!(records[3]["context"], due);
        assert!(records.iter().all(|record| record["source"] == "shop" && record["scope"]["name"] == "cart"));
    }
    let version = version.as_str().unwrap().to_owned();
    confirm(
        &Client { protocol: "otlp", name: "pino-opentelemetry-transport", from: "npm", version },
        12,
        records.len(),
    );
}

#[test]
fn a_wrong_token_is_the_clients_own_error_and_a_right_one_is_taken() {
    let home = home("");
    let token = token(&home);
    let router = home.start();
    for (kind, error) in [("http", "401"), ("grpc", "UNAUTHENTICATED")] {
        let python =
            |token: &str| exchange(script(&home, "otlp.py").args(["facts", kind, &router.url, token]), &json!(null));
        let wrong = python("weir_wrong");
        assert_eq!(wrong["stored"], json!([false]));
        assert!(wrong["said"].to_string().contains(error), "{wrong}");
        assert_eq!(python(&token)["stored"], json!([true]));
    }
    for (kind, error) in [("http", "Unauthorized"), ("proto", "Unauthorized"), ("grpc", "16 UNAUTHENTICATED")] {
        let javascript =
            |token: &str| exchange(script(&home, "otlp.mjs").args([kind, &router.url, token]), &json!(null));
        let wrong = javascript("weir_wrong");
        assert!(wrong["said"].to_string().contains(error), "{wrong}");
        assert_eq!(javascript(&token)["said"], json!([null]));
    }
    outcome("otlp", "exporters for Python, HTTP and gRPC", "wrong credentials", "401 and UNAUTHENTICATED");
    outcome("otlp", "exporters for JavaScript, HTTP and gRPC", "wrong credentials", "Unauthorized and UNAUTHENTICATED");
}

#[test]
fn nothing_acknowledged_over_http_and_grpc_is_lost_by_kills_and_stops() {
    assert_none_is_lost("otlp.py");
    outcome("otlp", "exporters for Python, HTTP and gRPC", "restarted under load", "nothing acknowledged is lost");
}

#[test]
fn the_exporters_wait_for_a_full_journal_in_their_own_way() {
    let told = fill_the_journal("otlp.py");
    assert!(told.contains("max retries") && told.contains("UNAVAILABLE, error details: journal is full"), "{told}");
    outcome(
        "otlp",
        "exporters for Python, HTTP and gRPC",
        "journal full",
        "503 and UNAVAILABLE, for which they repeat the request",
    );
}

#[test]
fn a_request_in_pieces_is_put_together_and_half_of_one_leaves_nothing() {
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"slow"}}]}]}]}"#;
    assert_pieces_are_put_together("/v1/logs", "content-type: application/json\r\n", body);
    outcome("otlp", "raw bytes", "byte by byte, then cut", "put together; a request that is cut leaves nothing");
}

#[test]
fn other_services_of_grpc_are_unimplemented() {
    let home = home("");
    let router = home.start();
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let arguments = [
        "--http2-prior-knowledge",
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
        "--data-binary",
        "@-",
    ];
    let answer = curl(&router, path, &arguments, &[0; 5]);
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("grpc-status: 12") && answer.head.contains("LogsService/Export"), "{}", answer.head);
}
