//! Python's handlers for GELF over HTTP.

use serde_json::Value;

use super::{Client, arrived, confirm, home, installed, script};
use crate::clients::run;

#[test]
fn what_graypy_and_pygelf_log_arrives() {
    for client in ["graypy", "pygelf"] {
        let home = home("");
        let router = home.start();
        let port = router.url.rsplit(':').next().unwrap();
        let output = run(script("gelf.py").args([client, port])).stdout;
        let output = String::from_utf8(output).unwrap();
        let sent: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // Neither waits for the answer, so the order may change.
        let records = arrived(&home, sent.len());
        assert_eq!(records.len(), sent.len());
        for due in &sent {
            let same = |record: &&Value| record["message"] == due["message"];
            assert_eq!(records.iter().filter(same).count(), 2, "compressed and not: {due}");
            for record in records.iter().filter(same) {
                assert_eq!(record["level"], due["level"]);
                // pygelf always says the name of the machine.
                assert!(record["host"] == "web-1" || client == "pygelf" && record["host"].is_string(), "{record}");
                assert_eq!(record["source"], "shop.orders", "{record}");
                for (name, value) in due["more"].as_object().unwrap() {
                    assert_eq!(record[name], *value, "{name} of {record}");
                }
                let full = due["full_message"].as_str().unwrap_or_default();
                assert!(record["full_message"].as_str().unwrap_or_default().contains(full), "{record}");
                assert!(record.get("version").is_none() && record.get("timestamp_original").is_none(), "{record}");
            }
        }
        let version = installed(client);
        confirm(&Client { protocol: "gelf", name: client, from: "PyPI", version }, sent.len(), records.len());
    }
}
