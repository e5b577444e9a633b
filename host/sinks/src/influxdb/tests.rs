//! Tests against real servers: InfluxDB 1, and VictoriaMetrics, whose version 2 of the write API stands in for InfluxDB
//! 2. Answers that only InfluxDB 2 gives are tested with recorded texts.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use weir_record::{Aliases, Batch, Defaults, Level, read_json};

use super::*;
use crate::compliance::{Place, context_in};
use crate::servers::influx::Influx;
use crate::servers::victoria::Victoria;
use crate::testing::{frame, numbered, numbers};

/// A server for the compliance test.
pub(crate) struct Database {
    folder: PathBuf,
    influx: Influx,
}

impl Database {
    pub fn start(folder: &Path) -> Database {
        Database { folder: folder.into(), influx: Influx::start(folder) }
    }
}

impl Place for Database {
    fn options(&self) -> Value {
        options_for(&self.influx)
    }

    fn context(&self) -> BuildContext {
        context_in(&self.folder)
    }

    fn held(&self) -> Vec<u64> {
        numbers_in(&self.influx)
    }
}

fn options_for(influx: &Influx) -> Value {
    json!({ "url": influx.url(), "database": "logs", "fields": ["message"], "timeout": "10s" })
}

/// The numbers in all points, sorted, since points are ordered only by time.
fn numbers_in(influx: &Influx) -> Vec<u64> {
    let mut numbers = numbers(&influx.held("message").iter().map(Value::to_string).collect::<String>());
    numbers.sort_unstable();
    numbers
}

fn built(options: &Value) -> Box<dyn Sink> {
    build("metrics", options.clone(), &BuildContext::default()).expect("builds")
}

fn batch(records: &str) -> Batch {
    let aliases = Aliases::default();
    let received_ns = 1_700_000_000_123_456_789;
    let defaults = Defaults {
        received_ns,
        source: "app",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    read_json(records.as_bytes(), &defaults, &mut batch).expect("JSON");
    batch
}

#[tokio::test]
async fn influxdb_returns_written_points_with_their_types_and_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let influx = Influx::start(folder.path());
    for gzip in [true, false] {
        let mut options = options_for(&influx);
        options["gzip"] = gzip.into();
        let mut sink = built(&options);
        let records = r#"[
            {"measurement":"m, x=1","tags":{"a b":"c,d=e","back\\":"C:\\dir\\","line":"1\n2"},
             "fields":{"i":5,"f":0.1,"b":true,"s":"q\"\\u\n,= é","time":1,"f 2":-2.5e-7,"many":[1,"x"],"big":18446744073709551615}},
            {"measurement":"m, x=1","fields":{"i":6}}]"#;
        // Twice, as after a lost answer.
        for _ in 0..2 {
            assert_eq!(sink.deliver(&[frame(1, batch(records))]).await, Ok(Delivered::default()));
        }
        let series = influx.query("SELECT * FROM \"m, x=1\" ORDER BY time");
        let (columns, rows) = (&series[0]["columns"], series[0]["values"].as_array().expect("rows"));
        assert_eq!(rows.len(), 2, "{series:?}");
        let value = |row: &Value, name: &str| {
            let at = columns.as_array().and_then(|names| names.iter().position(|column| column == name));
            row[at.unwrap_or_else(|| panic!("no column {name} in {columns}"))].clone()
        };
        let row = rows.iter().find(|row| value(row, "i") == 5).expect("the first");
        for (name, due) in [
            ("time", json!(1_700_000_000_123_000_000i64)),
            ("a b", json!("c,d=e")),
            ("back/", json!("C:\\dir/")),
            ("line", json!("1_2")),
            ("f", json!(0.1)),
            ("b", json!(true)),
            ("s", json!("q\"\\u\n,= é")),
            ("time_", json!(1)),
            ("f 2", json!(-2.5e-7)),
            ("many", json!("[1,\"x\"]")),
            ("big", json!(18446744073709551615.0)),
        ] {
            assert_eq!(value(row, name).to_string(), due.to_string(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_refused_point_is_rejected_and_the_others_can_be_sent_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let influx = Influx::start(folder.path());
    let mut sink = built(&options_for(&influx));
    let first = batch(r#"{"measurement":"m","fields":{"a":1}}"#);
    sink.deliver(&[frame(1, first)]).await.expect("taken");
    let conflict = batch(r#"[{"measurement":"m","fields":{"b":1}},{"measurement":"m","fields":{"a":1.5}}]"#);
    let error = sink.deliver(&[frame(2, conflict.clone())]).await.expect_err("another type");
    assert!(matches!(error, SinkError::Reject(_)) && error.to_string().contains("field type conflict"), "{error}");
    let (good, bad) = frame(2, conflict).split(1);
    assert_eq!(sink.deliver(&[good]).await, Ok(Delivered::default()));
    assert!(matches!(sink.deliver(&[bad]).await, Err(SinkError::Reject(_))));
    let mut options = options_for(&influx);
    options["integers_as_floats"] = true.into();
    let floats = r#"[{"measurement":"x","fields":{"a":1}},{"measurement":"x","fields":{"a":1.5}}]"#;
    built(&options).deliver(&[frame(3, batch(floats))]).await.expect("floats both");
}

#[tokio::test]
async fn a_record_whose_point_would_be_many_times_as_long_is_refused_and_not_sent() {
    let numbers: Vec<String> = (0..5000).map(|n| format!("\"{n}\":1")).collect();
    let record = format!(r#"{{"message":"m","{}":{{{}}}}}"#, "k".repeat(1000), numbers.join(","));
    // Nobody is there.
    let mut sink = built(&json!({ "url": "http://localhost:1", "database": "logs" }));
    let delivered = sink.deliver(&[frame(1, batch(&record))]).await.expect("nothing is sent");
    assert_eq!(delivered.rejected.len(), 1);
    assert!(delivered.rejected[0].1.contains("4 MiB"), "{delivered:?}");
}

#[tokio::test]
async fn a_missing_database_and_a_stopped_server_are_retried() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut influx = Influx::start(folder.path());
    let mut options = options_for(&influx);
    options["database"] = "nope".into();
    let error = built(&options).deliver(&[frame(1, numbered(0..3))]).await.expect_err("no database");
    assert!(error.is_temporary() && error.to_string().contains("database not found: \"nope\"; create it"), "{error}");
    let mut sink = built(&options_for(&influx));
    influx.stop();
    let error = sink.deliver(&[frame(1, numbered(0..3))]).await.expect_err("nobody is there");
    assert!(error.is_temporary() && error.to_string().contains("can't connect"), "{error}");
    influx.restart();
    sink.start(0).await.expect("starts");
    sink.deliver(&[frame(1, numbered(0..3))]).await.expect("taken");
    influx.kill();
    influx.restart();
    assert_eq!(numbers_in(&influx), [0, 1, 2], "what was answered 204 outlives kill -9");
}

#[tokio::test]
async fn user_and_password_are_sent_and_appear_in_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let influx = Influx::start(folder.path());
    influx.query("CREATE USER weir WITH PASSWORD 'correct:horse' WITH ALL PRIVILEGES");
    drop(influx);
    let influx = Influx::start_with(folder.path(), "auth-enabled = true");
    let mut options = options_for(&influx);
    options["user"] = "weir".into();
    options["password"] = "correct:horse".into();
    built(&options).deliver(&[frame(1, numbered(0..3))]).await.expect("let in");
    options["password"] = "hunter2".into();
    let error = built(&options).deliver(&[frame(1, numbered(0..3))]).await.expect_err("kept out");
    assert!(error.is_temporary() && error.to_string().contains("401"), "{error}");
    assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("correct"), "{error}");
}

#[tokio::test]
async fn victoria_metrics_accepts_both_versions_of_the_write_api() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut victoria = Victoria::start(folder.path());
    let records = r#"[{"measurement":"cpu","tags":{"host":"a b"},"fields":{"usage":0.5,"cores":4}},
                      {"message":"paid","context":{"ms":12.5}}]"#;
    for (at, options) in [
        (1, json!({ "url": victoria.url(), "database": "one" })),
        (
            2,
            json!({ "url": format!("{}/", victoria.url()), "bucket": "two", "org": "o", "token": "t", "precision": "s" }),
        ),
    ] {
        built(&options).deliver(&[frame(at, batch(records))]).await.expect("taken");
    }
    victoria.stop();
    victoria.restart();
    let held = victoria.held();
    let find = |name: &str, version: u8| {
        let series = held
            .iter()
            .find(|series| series["metric"]["__name__"] == name && (series["metric"]["db"] == "one") == (version == 1));
        let series = series.unwrap_or_else(|| panic!("no {name} of version {version} in {held:?}"));
        (series["metric"].clone(), series["values"][0].clone(), series["timestamps"][0].clone())
    };
    let (labels, value, time) = find("cpu_usage", 1);
    assert_eq!((labels["host"].as_str(), value, time), (Some("a b"), json!(0.5), json!(1_700_000_000_123i64)));
    let (labels, value, time) = find("app_context.ms", 1);
    assert_eq!((labels["level"].as_str(), value, time), (Some("INFO"), json!(12.5), json!(1_700_000_000_123i64)));
    let (_, value, time) = find("cpu_cores", 2);
    assert_eq!((value, time), (json!(4), json!(1_700_000_000_000i64)));
}

#[test]
fn the_url_contains_bucket_and_organisation() {
    let options = json!({ "url": "http://localhost:1", "bucket": "b", "org": "o", "token": "secret" });
    let parsed: InfluxOptions = serde_json::from_value(options).expect("options");
    let (_, url) = write_url(&parsed).expect("fine");
    assert_eq!(url, "http://localhost:1/api/v2/write?bucket=b&org=o&precision=ns");
}

#[test]
fn options_without_a_destination_are_refused() {
    let refused = |options: Value| build("metrics", options, &BuildContext::default()).map(drop).expect_err("refused");
    let error = refused(json!({}));
    assert!(error.contains("`bucket`") && error.contains("INFLUX_TOKEN") && error.contains("`database`"), "{error}");
    assert!(refused(json!({ "bucket": "b", "database": "d" })).contains("not both"));
    assert!(refused(json!({ "org": "o", "token": "t" })).contains("`bucket`"));
    assert!(refused(json!({ "user": "u", "password": "p" })).contains("`database`"));
    assert!(refused(json!({ "database": "d", "user": "u" })).contains("`password`"));
    assert!(refused(json!({ "database": "d", "url": "http://u:p@h" })).contains("`url`"));
    assert!(refused(json!({ "database": "d", "url": "ftp://h" })).contains("`url`"));
    assert!(refused(json!({ "database": "d", "precision": "m" })).contains("`ms`"));
    assert!(refused(json!({ "bucket": "b", "token": "a\nb" })).contains("header"));
    assert!(refused(json!({ "database": "d", "timeout": "0" })).contains("`timeout`"));
    assert!(refused(json!({ "database": "" })).contains("`database`"));
    assert!(refused(json!({ "bucket": "", "org": "o" })).contains("`bucket`"));
}
