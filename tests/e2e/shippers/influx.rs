//! The clients of InfluxDB 1 and 2, and Weir's own sink.

use std::collections::HashSet;
use std::fs;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use super::{Client, all, arrived, confirm, home, ingest_token, installed, script, start_at};
use crate::clients::{curl, run, sqlite};
use crate::router::{Home, eventually};

/// Writes with one of the clients; what was written, or the refusal.
fn written(version: &str, url: &str, token: &str) -> Result<Vec<Value>, String> {
    let output = run(script("influx.py").args([version, url, token]));
    let lines = String::from_utf8(output.stdout).unwrap();
    match lines.strip_prefix("refused ") {
        Some(refused) => Err(refused.trim().to_owned()),
        None => Ok(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()),
    }
}

/// The time of a record in nanoseconds, from its digits.
fn nanoseconds(record: &Value) -> i64 {
    weir_record::time::parse(record["timestamp"].as_str().unwrap()).expect("a time")
}

#[test]
fn every_kind_of_point_arrives_from_both_clients() {
    for (version, name, parameters) in [
        ("two", "influxdb-client", json!({"bucket": "my logs", "org": "acme"})),
        ("one", "influxdb", json!({"db": "my logs"})),
    ] {
        let home = home("");
        let router = home.start();
        let points = written(version, &router.url, "").expect("it is written");
        let mut records = all(&home, router);
        // The second client sends its batches one after another, so the order is that of the points.
        assert_eq!(records.len(), points.len());
        for (record, point) in records.iter_mut().zip(&points) {
            assert_eq!(nanoseconds(record), point["timestamp"].as_i64().unwrap(), "{record}");
            assert_eq!(record["measurement"], point["measurement"]);
            assert_eq!((&record["source"], &record["level"]), (&point["measurement"], &json!("INFO")));
            assert_eq!(record["fields"], point["fields"]);
            let tags = if point["tags"] == json!({}) { &Value::Null } else { &point["tags"] };
            assert_eq!(record["tags"], *tags);
            for (key, value) in parameters.as_object().unwrap() {
                assert_eq!(record[key], *value);
            }
        }
        let version = installed(name);
        confirm(&Client { protocol: "influxdb", name, from: "PyPI", version }, points.len(), records.len());
    }
}

#[test]
fn the_clients_understand_what_they_ask_and_why_they_are_refused() {
    let home = home("");
    let token = ingest_token(&home);
    let router = home.start();
    let output = run(script("influx.py").args(["ask", &router.url, &token])).stdout;
    let answers = String::from_utf8(output).unwrap();
    assert_eq!(answers, "{\"ping\": true, \"version\": \"1.8.10\", \"health\": \"pass\"}\n{\"ping\": \"1.8.10\"}\n");
    for version in ["two", "one"] {
        let refused = written(version, &router.url, "weir_wrong").expect_err("it is refused");
        assert!(refused.starts_with("401 ") && refused.contains("token"), "{refused}");
        assert!(written(version, &router.url, &token).is_ok());
    }
    let health = curl(&router, "/health", &[], b"");
    assert_eq!(health.status, 401, "Weir's own /health is not open: {health:?}");
}

#[test]
fn of_points_that_are_acknowledged_none_is_lost_in_kills_and_stops() {
    let home = home("");
    let acknowledged = home.path("acknowledged");
    let known = || fs::read_to_string(&acknowledged).unwrap_or_default().lines().count();
    let mut router = home.start();
    let address = router.url.trim_start_matches("http://").to_owned();
    let mut load = Load(
        script("influx.py")
            .args(["load", &router.url])
            .arg(&acknowledged)
            .stdin(Stdio::piped())
            .spawn()
            .expect("python3 is installed"),
    );
    for round in 1..=4 {
        let before = known();
        eventually("points are acknowledged", || known() > before + 20);
        if round % 2 == 0 {
            router.kill();
        } else {
            assert!(router.stop().0.success());
        }
        router = start_at(&home, &address);
    }
    drop(load.0.stdin.take());
    assert!(load.0.wait().unwrap().success());
    let records = all(&home, router);
    let stored: HashSet<String> = records.iter().map(|record| record["fields"]["n"].to_string()).collect();
    let acknowledged = fs::read_to_string(acknowledged).unwrap();
    let lost: Vec<&str> = acknowledged.lines().filter(|n| !stored.contains(*n)).collect();
    assert!(lost.is_empty() && stored.len() > 80, "{lost:?} of {}", stored.len());
}

/// A sender that ends with the test.
struct Load(Child);

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_point_that_one_weir_sends_to_another_is_the_same_record() {
    for options in ["database = \"logs\"", "bucket = \"logs\"\norg = \"acme\""] {
        let second = home("");
        let receiver = second.start();
        let sink =
            format!("[sink.metrics]\ntype = \"influxdb\"\nurl = \"{}\"\nprecision = \"ns\"\n{options}", receiver.url);
        let first = Home::with(&sink);
        let sender = first.start();
        let points = json!([
            {"measurement": "cpu 1", "tags": {"host": "a,b"}, "timestamp": "2026-11-30T04:05:06.123456789Z",
             "fields": {"usage": 0.5, "cores": 4, "up": true, "state": "on \"x\" \\ ü\n", "least": i64::MIN}},
            {"measurement": "m", "tags": {"t": "1"}, "fields": {"f": -1.5e300}, "timestamp": 1},
        ]);
        let json = ["-H", "Content-Type: application/json", "--data-binary", "@-"];
        let answer = curl(&sender, "/v1/timeseries", &json, points.to_string().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let records = arrived(&second, 2);
        for (record, point) in records.iter().zip(points.as_array().unwrap()) {
            for key in ["measurement", "tags", "fields"] {
                assert_eq!(record[key], point[key], "{record}");
            }
        }
        assert_eq!(records[0]["timestamp"], "2026-11-30T04:05:06.123456789Z");
        assert_eq!(records[1]["timestamp"], "1970-01-01T00:00:01.000000000Z");
        assert!(sender.stop().0.success());
    }
}

#[test]
fn bad_lines_are_in_quarantine_and_reported_in_a_header() {
    let home = Home::with("[sink.db]\ntype = \"sqlite\"\n");
    let router = home.start();
    let partial = curl(&router, "/write?db=a", &["--data-binary", "@-"], b"a f=1\nbad\nb f=2\n");
    assert_eq!((partial.status, &partial.body[..]), (204, ""), "{partial:?}");
    let said = "x-influxdb-error: partial write: 1 points were set aside: unable to parse 'bad': missing fields";
    assert!(partial.head.to_lowercase().contains(said), "{}", partial.head);
    let database = home.path("weir-data/logs.db");
    eventually("the others arrive", || sqlite(&database, "SELECT count(*) FROM logs") == "2");
    for (path, body) in [
        ("/write", json!({"error": "unable to parse 'bad': missing fields"})),
        ("/api/v2/write", json!({"code": "invalid", "message": "unable to parse 'bad': missing fields"})),
    ] {
        let refused = curl(&router, path, &["--data-binary", "@-"], b"bad");
        assert_eq!((refused.status, refused.json()), (400, body));
    }
}
