//! Two handlers of Python's logging for Splunk's HTTP Event Collector, and Splunk's own client for JavaScript.

use serde_json::{Value, json};

use super::given::{
    LEVELS, assert_has, assert_none_is_lost, assert_pieces_are_put_together, entries, exchange, fill_the_journal,
    script, token,
};
use super::{Client, arrived, confirm, home, outcome};

const PROTOCOL: &str = "splunk";

/// Messages of each level, and some with everything that is easily lost.
fn given(is_javascript: bool) -> Vec<Value> {
    let levels = LEVELS.iter().map(|(name, _)| json!({"level": name, "message": format!("a {name} 界")}));
    levels.chain(entries(is_javascript)).collect()
}

/// What an envelope says.
fn assert_envelope(record: &Value, sourcetype: &str) {
    let due = [("source", "shop"), ("host", "web-1"), ("sourcetype", sourcetype), ("index", "main")];
    for (key, value) in due {
        assert_eq!(record[key], value, "{record}");
    }
}

#[test]
fn splunk_handler_sends_texts_without_loss_and_fails_with_a_wrong_token() {
    let home = home("");
    let token = token(&home);
    let router = home.start();
    let (_, port) = router.url.rsplit_once(':').unwrap();
    let given = given(false);
    let send =
        |token: &str| exchange(script(&home, "splunk.py").args(["handler", "127.0.0.1", port, token]), &json!(given));
    assert!(send("weir_wrong")["printed"].as_str().unwrap().contains("403 Client Error"));
    let said = send(&token);
    assert!(!said["printed"].as_str().unwrap().contains("Exception"), "{said}");
    let records = arrived(&home, given.len());
    assert_eq!(records.len(), given.len());
    for (record, sent) in records.iter().zip(&given) {
        assert_envelope(record, "python");
        // Its formatter writes the level in front.
        let message = record["message"].as_str().unwrap().split_once(' ').unwrap().1;
        assert_eq!(message, sent["message"].as_str().unwrap());
    }
    let version = said["version"].as_str().unwrap().to_owned();
    confirm(&Client { protocol: PROTOCOL, name: "splunk-handler", from: "PyPI", version }, given.len(), records.len());
    outcome(PROTOCOL, "splunk-handler", "wrong credentials", "its own error: 403");
}

#[test]
fn splunk_hec_handler_sends_objects_without_loss_and_fails_with_a_wrong_token() {
    let home = home("");
    let token = token(&home);
    let router = home.start();
    let (_, port) = router.url.rsplit_once(':').unwrap();
    let given = given(false);
    let send =
        |token: &str| exchange(script(&home, "splunk.py").args(["hec", "127.0.0.1", port, token]), &json!(given));
    let error = &send("weir_wrong")["error"];
    assert_eq!((&error[0], &error[1]["code"], &error[1]["text"]), (&json!(403), &json!(4), &json!("Invalid token")));
    let said = send(&token);
    assert!(said.get("error").is_none(), "{said}");
    let records = arrived(&home, given.len());
    assert_eq!(records.len(), given.len());
    for (at, (record, sent)) in records.iter().zip(&given).enumerate() {
        assert_envelope(record, "_json");
        let mut sent = sent.clone();
        sent.as_object_mut().unwrap().remove("level");
        assert_has(record, &sent);
        assert_eq!(record["level"], LEVELS.get(at).map_or("INFO", |(_, level)| level));
        assert_eq!(record["region"], "eu");
    }
    let version = said["version"].as_str().unwrap().to_owned();
    let client = Client { protocol: PROTOCOL, name: "splunk-hec-handler", from: "PyPI", version };
    confirm(&client, given.len(), records.len());
    outcome(PROTOCOL, "splunk-hec-handler", "wrong credentials", "its own error: 403, Invalid token");
}

#[test]
fn splunk_logging_sends_events_without_loss_and_fails_with_a_wrong_token() {
    let home = home("");
    let token = token(&home);
    let router = home.start();
    let given = given(true);
    let send = |token: &str| exchange(script(&home, "splunk.mjs").args([&router.url, token]), &json!(given));
    assert_eq!(send("weir_wrong")["errors"][0], json!(["Invalid token", 4]));
    let said = send(&token);
    assert_eq!((&said["errors"], &said["answers"][0]), (&json!([]), &json!({"text": "Success", "code": 0})));
    let count = given.len() + 1;
    let records = arrived(&home, count);
    assert_eq!(records.len(), count);
    for (at, (record, sent)) in records.iter().zip(&given).enumerate() {
        assert_envelope(record, "node");
        assert_eq!(record["timestamp"], "2025-11-20T10:00:00.250000000Z");
        assert_eq!(record["level"], LEVELS.get(at).map_or("INFO", |(_, level)| level));
        // Its message is an object.
        let mut sent = sent.clone();
        sent.as_object_mut().unwrap().remove("level");
        assert_eq!(record["message_original"], sent);
    }
    assert_eq!(records[count - 1]["message"], "a text");
    let version = said["version"].as_str().unwrap().to_owned();
    confirm(&Client { protocol: PROTOCOL, name: "splunk-logging", from: "npm", version }, count, records.len());
    outcome(PROTOCOL, "splunk-logging", "wrong credentials", "its own error: Invalid token");
}

#[test]
fn nothing_acknowledged_to_a_sender_of_events_is_lost_by_kills_and_stops() {
    assert_none_is_lost("splunk.py");
    outcome("splunk", "requests", "restarted under load", "nothing acknowledged is lost");
}

#[test]
fn a_full_journal_is_a_busy_collector() {
    let told = fill_the_journal("splunk.py");
    assert!(told.starts_with("503 10 ") && told.contains(r#""code":9"#) && told.contains("Server is busy"), "{told}");
    outcome("splunk", "requests", "journal full", "503 with code 9; sent again, it is taken");
}

#[test]
fn events_in_pieces_are_put_together_and_half_of_one_leaves_nothing() {
    assert_pieces_are_put_together("/services/collector/event", "", r#"{"event":"slow"}"#);
    outcome("splunk", "raw bytes", "byte by byte, then cut", "put together; a request that is cut leaves nothing");
}
