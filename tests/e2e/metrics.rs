//! `/metrics`, `/health` and `/ready`, as the tools that read them see them.

use std::io::Write;
use std::process::{Command, Stdio};

use super::clients::{curl, post};
use super::router::{Home, eventually};

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let home = Home::new();
    let router = home.start();
    assert_eq!(post(&router, r#"[{"message":"a@example.com"}, 17]"#).status, 200);
    eventually("the sinks have it", || router.printed().contains("********"));
    let text = curl(&router, "/metrics", &[], b"").body;
    for name in [
        "weir_ingest_requests_total",
        "weir_filter_calls_total",
        "weir_filter_process_seconds_bucket",
        "weir_quarantined_records_total",
        "weir_sink_records_total",
    ] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    assert_eq!(String::from_utf8_lossy(&said), "");
}

#[test]
fn health_names_filters_sinks_and_journal() {
    let home = Home::new();
    let router = home.start();
    eventually("the sinks are up", || {
        let health = curl(&router, "/health", &[], b"").json();
        health["sinks"].as_array().is_some_and(|sinks| sinks.len() == 2)
    });
    let health = curl(&router, "/health", &[], b"").json();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["filters"][0]["name"], "redact");
    assert_eq!(curl(&router, "/ready", &[], b"").status, 200);
}
