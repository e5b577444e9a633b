//! Datadog's clients for Python and JavaScript, and Weir's own sink.

use serde_json::{Value, json};

use super::super::clients::post;
use super::super::router::Home;
use super::given::{
    LEVELS, assert_has, assert_none_is_lost, assert_pieces_are_put_together, entries, exchange, fill_the_journal,
    script, token,
};
use super::{Client, arrived, confirm, home, outcome};

const PROTOCOL: &str = "datadog";

/// Logs of each level, and some with everything that is easily lost.
fn logs(is_javascript: bool) -> Vec<Value> {
    let levels = LEVELS.iter().enumerate().map(|(number, (name, _))| {
        json!({"message": format!("a {name} 界"), "status": name, "service": "shop", "ddsource": "test", "hostname": "web-1",
            "ddtags": "env:prod,team", "timestamp": 1_763_632_800_123_u64 + number as u64, "dd.trace_id": "42"})
    });
    levels.chain(entries(is_javascript)).collect()
}

/// Checks the record of the log at this place of [`logs`].
fn assert_is(record: &Value, at: usize, sent: &Value) {
    let Some((_, level)) = LEVELS.get(at) else {
        return assert_has(record, sent);
    };
    let head = [&record["level"], &record["source"], &record["message"], &record["timestamp"]];
    let time = format!("2025-11-20T10:00:00.{}000000Z", 123 + at);
    assert_eq!(head, [&json!(level), &json!("shop"), &sent["message"], &json!(time)]);
    assert_eq!((&record["host"], &record["ddsource"]), (&json!("web-1"), &json!("test")));
    assert_eq!((&record["tags"], &record["context"]["trace_id"]), (&json!(["env:prod", "team"]), &json!("42")));
}

#[test]
fn the_client_for_python_sends_logs_without_loss_and_fails_with_a_wrong_key() {
    let home = home("");
    let token = token(&home);
    let router = home.start();
    let logs = logs(false);
    let send = |key: &str| exchange(script(&home, "datadog.py").args(["logs", &router.url, key]), &json!(logs));
    let error = &send("weir_wrong")["error"];
    assert_eq!((&error[0], &error[1]), (&json!("ForbiddenException"), &json!(403)), "{error}");
    let said = send(&token);
    // As they are, with gzip and with deflate.
    assert_eq!((&said["valid"], &said["answers"]), (&json!(true), &json!([{}, {}, {}])), "{said}");
    let records = arrived(&home, logs.len());
    assert_eq!(records.len(), logs.len());
    let order = (0..3).flat_map(|from| (from..logs.len()).step_by(3));
    for (record, at) in records.iter().zip(order) {
        assert_is(record, at, &logs[at]);
    }
    let version = said["version"].as_str().unwrap().to_owned();
    confirm(
        &Client { protocol: PROTOCOL, name: "datadog-api-client", from: "PyPI", version },
        logs.len(),
        records.len(),
    );
    outcome(PROTOCOL, "datadog-api-client (PyPI)", "wrong credentials", "ForbiddenException, 403");
}

#[test]
fn the_client_for_javascript_sends_logs_without_loss_and_fails_with_a_wrong_key() {
    let home = home("");
    let token = token(&home);
    let router = home.start();
    let address = router.url.trim_start_matches("http://");
    let logs = logs(true);
    let send = |key: &str| exchange(script(&home, "datadog.mjs").args([address, key]), &json!(logs));
    assert_eq!(send("weir_wrong")["error"][1], 403);
    let said = send(&token);
    assert_eq!((&said["valid"], &said["answers"]), (&json!(true), &json!([{}, {}, {}])), "{said}");
    let count = logs.len() * 3;
    let records = arrived(&home, count);
    assert_eq!(records.len(), count);
    for (at, record) in records.iter().enumerate() {
        let at = at % logs.len();
        assert_is(record, at, &logs[at]);
        if logs[at].get("ddtags").is_none() {
            assert_eq!(record["tags"], json!(["from:query"]));
        }
    }
    let version = said["version"].as_str().unwrap().to_owned();
    let client = Client { protocol: PROTOCOL, name: "@datadog/datadog-api-client", from: "npm", version };
    confirm(&client, count, records.len());
    outcome(PROTOCOL, "@datadog/datadog-api-client", "wrong credentials", "its own error, 403");
}

#[test]
fn what_weirs_own_sink_sends_is_the_same_record_at_another_weir() {
    let second = home("");
    let token = token(&second);
    let receiver = second.start();
    let first = Home::with(&format!(
        "[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n[sink.next]\ntype = \"datadog\"\napi_key = \"{token}\"\n\
        url = \"{}/api/v2/logs\"\n",
        receiver.url
    ));
    let router = first.start();
    let mut sent: Vec<Value> = entries(false);
    for (number, (name, _)) in LEVELS.iter().enumerate() {
        // Milliseconds, because the intake has no more. Its lowest level is debug.
        let level = if *name == "trace" { "debug" } else { *name };
        sent.push(
            json!({"level": level, "source": "shop", "message": "m", "timestamp": 1_763_632_800_123_u64 + number as u64,
            "host": "web-1", "ddsource": "python", "ddtags": "a:b", "tags": ["a:b"], "context": {"trace_id": "1"}}),
        );
    }
    assert_eq!(post(&router, &json!(sent).to_string()).status, 200);
    let before = arrived(&first, sent.len());
    let mut after = arrived(&second, sent.len());
    assert_eq!((before.len(), after.len()), (sent.len(), sent.len()));
    for (before, after) in before.iter().zip(&mut after) {
        assert!(after["weir_id"].is_string(), "{after}");
        let after = after.as_object_mut().unwrap();
        after.remove("weir_id");
        if before.get("ddsource").is_none() {
            assert_eq!(after.remove("ddsource"), Some(json!("weir")));
        }
        let mut before = before.clone();
        if before["timestamp"] != after["timestamp"] {
            // The time of receipt, in milliseconds.
            let (before, after) = (before["timestamp"].as_str().unwrap(), after["timestamp"].as_str().unwrap());
            assert_eq!(before[..23], after[..23]);
        }
        before["timestamp"] = after["timestamp"].clone();
        assert_eq!(json!(before), json!(after));
    }
    drop((router, receiver));
}

#[test]
fn nothing_acknowledged_to_the_client_of_the_intake_is_lost_by_kills_and_stops() {
    assert_none_is_lost("datadog.py");
    outcome("datadog", "datadog-api-client (PyPI)", "restarted under load", "nothing acknowledged is lost");
}

#[test]
fn a_full_journal_is_an_unavailable_intake() {
    let told = fill_the_journal("datadog.py");
    assert!(told.starts_with("503 10 ") && told.contains("Service Unavailable"), "{told}");
    outcome(
        "datadog",
        "datadog-api-client (PyPI)",
        "journal full",
        "503 or 429 is its own error; sent again, it is taken",
    );
}

#[test]
fn logs_in_pieces_are_put_together_and_half_of_one_leaves_nothing() {
    assert_pieces_are_put_together("/api/v2/logs", "", r#"[{"message":"slow"}]"#);
    outcome("datadog", "raw bytes", "byte by byte, then cut", "put together; a request that is cut leaves nothing");
}
