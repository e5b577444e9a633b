//! The SDK for CloudEvents with requests.

use serde_json::{Value, json};

use super::{Client, all, confirm, home, ingest_token, installed, script};
use crate::clients::run;

#[test]
fn events_of_the_sdk_arrive_in_every_mode() {
    let home = home("");
    let token = ingest_token(&home);
    let router = home.start();
    let send = |token: &str| {
        let output = run(script("cloudevents.py").args([router.url.as_str(), token])).stdout;
        String::from_utf8(output).unwrap()
    };
    let refused = send("weir_wrong");
    assert!(refused.starts_with("refused 401 ") && refused.contains("token"), "{refused}");
    let output = send(&token);
    let mut sent: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    // The batch repeats the events of the structured mode.
    sent.extend_from_within(sent.len() / 2..);
    let records = all(&home, router);
    assert_eq!(records.len(), sent.len());
    for (record, due) in records.iter().zip(&sent) {
        assert_eq!(record["timestamp"], "2026-11-30T04:05:06.123456000Z", "{record}");
        for (name, value) in due["attributes"].as_object().unwrap() {
            assert_eq!(record[name], *value, "{name} of {record}");
        }
        let data = &due["data"];
        let kind = due["attributes"]["type"].as_str().unwrap();
        let (message, level) = match kind {
            "order.created" => ("hello", "ERROR"),
            "order.paid" => ("order.paid naïve 日本 100%", "INFO"),
            "note" => (data.as_str().unwrap(), "INFO"),
            "long" => (data["message"].as_str().unwrap(), "INFO"),
            kind => (kind, "INFO"),
        };
        assert_eq!((&record["message"], &record["level"]), (&json!(message), &json!(level)));
        let kept = match kind {
            "note" => Value::Null,
            "blob" => json!("AP8="),
            _ => data.clone(),
        };
        assert_eq!(record["data"], kept, "{record}");
    }
    let version = installed("cloudevents");
    confirm(&Client { protocol: "cloudevents", name: "cloudevents", from: "PyPI", version }, sent.len(), records.len());
}
