//! What rules make of records, read as Prometheus would: every text here passes `promtool check metrics`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use weir_record::{Aliases, Batch, Defaults, Level, read_json};

use super::*;
use crate::compliance::{Place, context_in};
use crate::testing::{frame, numbers};

/// Metrics for the compliance test: a series for each message.
pub(crate) struct Metrics {
    folder: PathBuf,
    exposition: Exposition,
}

impl Metrics {
    pub fn start(folder: &Path) -> Metrics {
        Metrics { folder: folder.into(), exposition: Exposition::default() }
    }
}

impl Place for Metrics {
    fn options(&self) -> Value {
        json!({ "rule": [{ "name": "said_total", "type": "counter", "labels": { "message": "message" } }] })
    }

    fn context(&self) -> BuildContext {
        BuildContext { exposition: self.exposition.clone(), ..context_in(&self.folder) }
    }

    fn held(&self) -> Vec<u64> {
        let text = self.exposition.render_all();
        promtool(&text);
        let mut held = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (labels, count) = line.rsplit_once(' ').expect("a value");
            for number in numbers(labels) {
                held.extend(vec![number; count.parse().expect("a count")]);
            }
        }
        held.sort_unstable();
        held
    }
}

fn promtool(text: &str) {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed; it is in the package `prometheus`");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("takes it");
    let run = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&run.stderr) + String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.trim().is_empty(), "{said}\n{text}");
}

fn batch(records: &str) -> Batch {
    let aliases = Aliases::default();
    let defaults = Defaults { received_ns: 1, source: "app", level: Level::Info, context: &[], aliases: &aliases };
    let mut batch = Batch::new();
    read_json(records.as_bytes(), &defaults, &mut batch).expect("JSON");
    batch
}

async fn started(context: &BuildContext, name: &str, rules: Value) -> Result<Box<dyn Sink>, SinkError> {
    let mut sink = build(name, json!({ "rule": rules }), context).expect("builds");
    sink.start(0).await?;
    Ok(sink)
}

/// What these rules make of these records, line by line, sorted.
async fn made(rules: Value, records: &str) -> Vec<String> {
    let context = BuildContext::default();
    let mut sink = started(&context, "numbers", rules).await.expect("starts");
    sink.deliver(&[frame(1, batch(records))]).await.expect("takes them");
    let text = context.exposition.render();
    promtool(&text);
    let mut lines: Vec<String> = text.lines().filter(|line| !line.starts_with('#')).map(String::from).collect();
    lines.sort();
    lines
}

const RECORDS: &str = r#"[
    {"source":"shop","level":"ERROR","message":"a","context":{"ms":120,"region":"eu","ok":true}},
    {"source":"shop","level":"INFO","message":"b","context":{"ms":5,"region":"us","ok":false}},
    {"source":"shop","level":"INFO","message":"c","context":{"ms":0.5,"region":"eu","code":200}},
    {"source":"auth","level":"CRITICAL","message":"d","context":{"region":"q\"\\\n"}},
    {"source":"auth","message":"e","context":{"ms":"fast"}},
    {"source":"auth","message":"f","context":{"ms":-1}}]"#;

#[tokio::test]
async fn counters_count_what_their_conditions_meet_by_label() {
    let rules = json!([{ "name": "seen_total", "type": "counter", "labels": { "source": "source", "zone": "context.region" } }]);
    assert_eq!(
        made(rules, RECORDS).await,
        [
            "seen_total{source=\"auth\",zone=\"\"} 2",
            "seen_total{source=\"auth\",zone=\"q\\\"\\\\\\n\"} 1",
            "seen_total{source=\"shop\",zone=\"eu\"} 2",
            "seen_total{source=\"shop\",zone=\"us\"} 1",
        ]
    );
    for (conditions, count) in [
        (json!({ "when": { "source": "shop" } }), 3),
        (json!({ "when": { "level": ["ERROR", "CRITICAL"] } }), 2),
        (json!({ "at_least": "error" }), 2),
        (json!({ "when": { "context.ok": true } }), 1),
        (json!({ "when": { "context.ok": { "exists": true } } }), 2),
        (json!({ "when": { "context.ok": { "exists": false } } }), 4),
        (json!({ "when": { "context.code": 200 } }), 1),
        (json!({ "when": { "context.ms": 0.5 } }), 1),
        (json!({ "when": { "source": "shop", "context.region": "eu" }, "at_least": "ERROR" }), 1),
    ] {
        let mut rule = json!({ "name": "seen_total", "type": "counter" });
        rule.as_object_mut().expect("a map").extend(conditions.as_object().expect("a map").clone());
        assert_eq!(made(json!([rule]), RECORDS).await, [format!("seen_total {count}")], "{conditions}");
    }
    let added = json!([{ "name": "spent_seconds_total", "type": "counter", "value": "context.ms", "scale": 0.001 }]);
    assert_eq!(made(added, RECORDS).await, ["spent_seconds_total 0.1255"], "neither a text nor what is below 0");
}

#[tokio::test]
async fn histograms_are_cumulative_and_gauges_show_the_newest() {
    let rules = json!([
        { "name": "took_seconds", "type": "histogram", "value": "context.ms", "scale": 0.001, "buckets": [0.001, 0.005, 0.1],
          "when": { "source": "shop" }, "labels": { "source": "source" } },
        { "name": "newest", "type": "gauge", "value": "context.ms", "help": "a \\ and\na line" },
    ]);
    assert_eq!(
        made(rules, RECORDS).await,
        [
            "newest -1",
            "took_seconds_bucket{source=\"shop\",le=\"+Inf\"} 3",
            "took_seconds_bucket{source=\"shop\",le=\"0.001\"} 1",
            "took_seconds_bucket{source=\"shop\",le=\"0.005\"} 2",
            "took_seconds_bucket{source=\"shop\",le=\"0.1\"} 2",
            "took_seconds_count{source=\"shop\"} 3",
            "took_seconds_sum{source=\"shop\"} 0.1255",
        ]
    );
}

#[tokio::test]
async fn a_rule_makes_no_more_series_than_it_may_and_loses_no_count() {
    let records: Vec<String> = (0..50).map(|n| format!(r#"{{"message":"m{}"}}"#, n % 25)).collect();
    let rules = json!([{ "name": "m_total", "type": "counter", "labels": { "a": "message", "b": "source" }, "max_series": 10 }]);
    let lines = made(rules, &format!("[{}]", records.join(","))).await;
    assert_eq!(lines.len(), 11);
    assert!(lines.contains(&"m_total{a=\"other\",b=\"other\"} 30".to_string()), "{lines:?}");
    let sum: u64 =
        lines.iter().map(|line| line.rsplit_once(' ').expect("a value").1.parse::<u64>().expect("a count")).sum();
    assert_eq!(sum, 50);
}

#[tokio::test]
async fn a_sink_that_comes_back_counts_on_one_that_has_ended_is_not_shown_and_none_takes_anothers_name() {
    let context = BuildContext::default();
    let rules = json!([{ "name": "a_total", "type": "counter" }]);
    let mut sink = started(&context, "one", rules.clone()).await.expect("starts");
    assert_eq!(context.exposition.render(), "", "no series yet");
    sink.deliver(&[frame(1, batch(RECORDS))]).await.expect("takes them");
    let error = started(&context, "two", rules.clone()).await.map(drop).expect_err("taken");
    assert!(error.to_string().contains("`a_total`") && error.to_string().contains("`one`"), "{error}");
    // As at a reload, where the new one may start before the old one is gone.
    let mut again = started(&context, "one", rules.clone()).await.expect("its own");
    again.deliver(&[frame(2, batch(RECORDS))]).await.expect("takes them");
    assert!(context.exposition.render().ends_with("a_total 12\n"));
    drop((sink, again));
    assert_eq!(context.exposition.render(), "");
    let mut third = started(&context, "one", rules).await.expect("starts");
    third.deliver(&[frame(3, batch(RECORDS))]).await.expect("takes them");
    assert!(context.exposition.render().ends_with("a_total 18\n"));
    let other = json!([{ "name": "a_total", "type": "counter", "when": { "source": "shop" } }]);
    let mut fourth = started(&context, "one", other).await.expect("starts");
    drop(third);
    fourth.deliver(&[frame(4, batch(RECORDS))]).await.expect("takes them");
    assert!(context.exposition.render().ends_with("a_total 3\n"), "another rule begins anew");
}

#[test]
fn what_prometheus_would_not_read_is_refused_with_the_rules_name() {
    let refused = |rules: Value| {
        build("numbers", json!({ "rule": rules }), &BuildContext::default()).map(drop).expect_err("refused")
    };
    assert!(refused(json!([])).contains("[[sink.numbers.rule]]"));
    for (rule, hint) in [
        (json!({ "name": "a b_total", "type": "counter" }), "letters"),
        (json!({ "name": "1_total", "type": "counter" }), "digit"),
        (json!({ "name": "weir_x_total", "type": "counter" }), "Weir's own"),
        (json!({ "name": "x", "type": "counter" }), "`x_total`"),
        (json!({ "name": "x_total", "type": "gauge", "value": "v" }), "`_total`"),
        (json!({ "name": "x_sum", "type": "histogram", "value": "v" }), "`_sum`"),
        (json!({ "name": "x", "type": "histogram" }), "`value`"),
        (json!({ "name": "x", "type": "gauge" }), "`value`"),
        (json!({ "name": "x_total", "type": "counter", "buckets": [1] }), "`buckets`"),
        (json!({ "name": "x", "type": "histogram", "value": "v", "buckets": [] }), "`buckets`"),
        (json!({ "name": "x", "type": "histogram", "value": "v", "buckets": [2, 1] }), "ascending"),
        (json!({ "name": "x_total", "type": "counter", "labels": { "le": "a" } }), "`le`"),
        (json!({ "name": "x_total", "type": "counter", "labels": { "__a": "a" } }), "`__a`"),
        (json!({ "name": "x_total", "type": "counter", "labels": { "a-b": "a" } }), "`a-b`"),
        (json!({ "name": "x_total", "type": "counter", "max_series": 0 }), "`max_series`"),
        (json!({ "name": "x_total", "type": "counter", "scale": 2 }), "`scale`"),
        (json!({ "name": "x_total", "type": "counter", "at_least": "loud" }), "`loud`"),
        (json!({ "name": "x_total", "type": "counter", "when": { "a": null } }), "{ exists = true }"),
    ] {
        let error = refused(json!([rule]));
        assert!(error.contains(hint) && error.contains("numbers"), "{rule}: {error}");
    }
    let twice = json!([{ "name": "x_total", "type": "counter" }, { "name": "x_total", "type": "counter" }]);
    assert!(refused(twice).contains("one name"));
}
