//! `/metrics`, `/health` and `/ready`, as monitoring tools see them.

use std::io::Write;
use std::process::{Command, Stdio};

use super::clients::{curl, post};
use super::hostile::guests;
use super::router::{Home, eventually};

#[test]
fn promtool_accepts_the_metrics() {
    let home = Home::new();
    let router = home.start();
    assert_eq!(post(&router, r#"[{"message":"a@example.com"}, 17]"#).status, 200);
    eventually("the sinks have it", || router.stdout().contains("********"));
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

#[test]
fn health_is_degraded_while_a_filter_fails_or_a_sink_is_down() {
    let home = Home::with(
        "[[filter]]\nname = \"trap\"\nmodule = \"trap.wasm\"\n\
         [sink.away]\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\n",
    );
    home.put_filter("trap", &guests::module(guests::TRAP));
    let router = home.start();
    let records = format!(r#"[{{"message":"fine"}},{{"message":"{}"}}]"#, guests::MARKER);
    eventually("both show", || {
        assert_eq!(post(&router, &records).status, 200);
        let health = curl(&router, "/health", &[], b"").json();
        let reasons = health["reasons"].to_string();
        health["status"] == "degraded"
            && reasons.contains("filter `trap` is failing")
            && reasons.contains("sink `away` has been failing since 20")
    });
    assert_eq!(curl(&router, "/ready", &[], b"").status, 200, "it takes records all the same");
}

const COUNTED: &str = r#"
[[filter]]
name = "level"
module = "bundled:level"
[[filter]]
name = "redact"
module = "bundled:redact"
[[filter]]
name = "trap"
module = "trap.wasm"
[sink.out]
type = "file"
path = "out.jsonl"
"#;

/// The value of a filter's metric, and of an error kind.
fn number(text: &str, name: &str, filter: &str, kind: &str) -> f64 {
    let line = text.lines().find(|line| {
        line.starts_with(&format!("weir_filter_{name}{{"))
            && line.contains(&format!("filter=\"{filter}\""))
            && (kind.is_empty() || line.contains(&format!("kind=\"{kind}\"")))
    });
    line.and_then(|line| line.rsplit_once(' ')).map_or(0.0, |(_, value)| value.parse().unwrap())
}

#[test]
fn filter_metrics_match_the_sent_records() {
    let home = Home::with(COUNTED);
    home.put_filter("trap", &guests::module(guests::TRAP));
    let router = home.start();
    let bodies = [
        r#"[{"level":"DEBUG","message":"fine"},{"message":"a@example.com"},{"message":"plain"}]"#.to_owned(),
        format!(r#"[{{"message":"{}"}},{{"message":"b@example.com"}}]"#, guests::MARKER),
        r#"{"level":"TRACE","message":"finest"}"#.to_owned(),
    ];
    for body in bodies {
        assert_eq!(post(&router, &body).status, 200);
    }
    let text = curl(&router, "/metrics", &[], b"").body;
    // Name, level, redact, trap: one batch each, since each was answered before the next was sent. `trap` fails on the
    // batch of two and on its first record alone, then accepts the second.
    for (name, expected) in [
        ("calls_total", [3.0, 2.0, 4.0]),
        ("records_in_total", [6.0, 4.0, 4.0]),
        ("records_out_total", [4.0, 4.0, 3.0]),
        ("records_dropped_total", [2.0, 0.0, 0.0]),
        ("records_patched_total", [0.0, 2.0, 0.0]),
        ("records_failed_total", [0.0, 0.0, 1.0]),
        ("process_seconds_count", [3.0, 2.0, 4.0]),
    ] {
        let found = ["level", "redact", "trap"].map(|filter| number(&text, name, filter, ""));
        assert_eq!(found, expected, "{name}");
    }
    for kind in ["trap", "timeout", "memory", "stack", "output", "nonsense", "refused", "start"] {
        let expected = if kind == "trap" { 2.0 } else { 0.0 };
        assert_eq!(number(&text, "errors_total", "trap", kind), expected, "{kind}");
    }
    let seconds = number(&text, "process_seconds_sum", "trap", "");
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
    let last = number(&text.replace("le=\"+Inf\"", "kind=\"last\""), "process_seconds_bucket", "trap", "last");
    assert_eq!(last, 4.0, "every call is in the widest bucket");
}
