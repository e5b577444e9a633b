//! Rules and the metrics they make, parsed like Prometheus does: every text here passes `promtool check metrics`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use weir_record::{Aliases, Batch, Defaults, Level, read_json};

use super::*;
use crate::compliance::{Place, context_in};
use crate::testing::{frame, numbers};

/// Metrics for the compliance test: one series per message.
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
        let text = kept("sut", self.options(), &self.context());
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

/// The saved counts of a sink that has ended, as the next run would show them.
pub(crate) fn kept(name: &str, options: Value, context: &BuildContext) -> String {
    let mut sink = build(name, options, context).expect("builds");
    futures::executor::block_on(sink.start(0)).expect("starts");
    let text = context.exposition.render();
    promtool(&text);
    text
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
    let defaults = Defaults {
        received_ns: 1,
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

async fn started(context: &BuildContext, name: &str, rules: Value) -> Result<Box<dyn Sink>, SinkError> {
    let mut sink = build(name, json!({ "rule": rules }), context).expect("builds");
    sink.start(0).await?;
    Ok(sink)
}

/// The lines that these rules make from these records, sorted.
async fn made(rules: Value, records: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let context = context_in(folder.path());
    let mut sink = started(&context, "numbers", rules).await.expect("starts");
    sink.deliver(&[frame(1, batch(records))]).await.expect("takes them");
    sink.flush().await.expect("keeps them");
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
async fn counters_count_matching_records_by_label() {
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
async fn histograms_are_cumulative_and_gauges_show_the_latest_value() {
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
async fn a_rule_respects_max_series_and_loses_no_count() {
    let records: Vec<String> = (0..50).map(|n| format!(r#"{{"message":"m{}"}}"#, n % 25)).collect();
    let rules = json!([{ "name": "m_total", "type": "counter", "labels": { "a": "message", "b": "source" }, "max_series": 10 }]);
    let lines = made(rules, &format!("[{}]", records.join(","))).await;
    assert_eq!(lines.len(), 11);
    assert!(lines.contains(&"m_total{a=\"other\",b=\"other\"} 30".to_string()), "{lines:?}");
    let sum: u64 =
        lines.iter().map(|line| line.rsplit_once(' ').expect("a value").1.parse::<u64>().expect("a count")).sum();
    assert_eq!(sum, 50);
}

/// Delivers the six records as one frame.
async fn take(sink: &mut Box<dyn Sink>, sequence: u64) {
    sink.deliver(&[frame(sequence, batch(RECORDS))]).await.expect("takes them");
}

#[tokio::test]
async fn only_saved_counts_are_shown_and_a_restarted_sink_continues_from_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let context = context_in(folder.path());
    let a = json!({ "name": "a_total", "type": "counter" });
    let b = json!({ "name": "b_seconds", "type": "histogram", "value": "context.ms", "buckets": [1, 10] });
    let build = |rules: &Value| build("one", json!({ "rule": rules }), &context).expect("builds");
    let count = |name: &str| {
        let text = context.exposition.render();
        text.lines().find_map(|line| line.strip_prefix(name)).map(|count| count.trim().parse::<u64>().expect("a count"))
    };
    let both = json!([a, b]);
    let mut sink = build(&both);
    assert_eq!(sink.start(9).await, Ok(None), "nothing is counted yet");
    take(&mut sink, 1).await;
    assert_eq!(context.exposition.render(), "", "not while a crash could take it back");
    sink.flush().await.expect("keeps them");
    assert_eq!((count("a_total"), count("b_seconds_count")), (Some(6), Some(4)));
    take(&mut sink, 2).await;
    drop(sink);
    assert_eq!(context.exposition.render(), "", "one that has ended is not shown");

    let mut sink = build(&both);
    assert_eq!(sink.start(9).await, Ok(Some(1)), "the second frame comes again");
    assert_eq!(count("a_total"), Some(6));
    take(&mut sink, 2).await;
    sink.flush().await.expect("keeps them");
    assert_eq!((count("a_total"), count("b_seconds_count")), (Some(12), Some(8)));
    drop(sink);

    let a = json!({ "name": "a_total", "type": "counter", "help": "said better" });
    let other = json!([a, { "name": "b_seconds", "type": "histogram", "value": "context.ms", "buckets": [1, 20] }]);
    let mut sink = build(&other);
    assert_eq!(sink.start(9).await, Ok(Some(2)));
    take(&mut sink, 3).await;
    sink.flush().await.expect("keeps them");
    assert_eq!((count("a_total"), count("b_seconds_count")), (Some(18), Some(4)), "a changed rule begins anew");
}

#[tokio::test]
async fn two_sinks_can_not_share_a_metric_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let context = context_in(folder.path());
    let rules = json!([{ "name": "a_total", "type": "counter" }]);
    let one = started(&context, "one", rules.clone()).await.expect("starts");
    let error = started(&context, "two", rules.clone()).await.map(drop).expect_err("taken");
    assert!(error.to_string().contains("`a_total`") && error.to_string().contains("`one`"), "{error}");
    drop(one);
    started(&context, "two", rules).await.expect("nobody's now");
}

#[tokio::test]
async fn frames_of_another_journal_or_after_a_lost_end_are_counted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let context = context_in(folder.path());
    let rules = json!([{ "name": "a_total", "type": "counter" }]);
    let mut sink = started(&context, "one", rules.clone()).await.expect("starts");
    take(&mut sink, 8).await;
    sink.flush().await.expect("keeps them");
    drop(sink);
    let build = |context: &BuildContext| build("one", json!({ "rule": rules }), context).expect("builds");
    let mut sink = build(&context);
    assert_eq!(sink.start(5).await, Ok(Some(8)), "the runner sees that the journal is behind");
    take(&mut sink, 6).await;
    sink.flush().await.expect("keeps them");
    drop(sink);
    let mut sink = build(&context);
    assert_eq!(sink.start(9).await, Ok(Some(6)));
    drop(sink);
    let other = BuildContext { journal_id: "other".into(), ..context.clone() };
    let mut sink = build(&other);
    assert_eq!(sink.start(9).await, Ok(None));
    assert!(context.exposition.render().ends_with("a_total 12\n"), "the counts go on");
}

#[tokio::test]
async fn unsaved_counts_are_not_shown_and_count_once_after_a_disk_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let context = context_in(folder.path());
    let mut sink = started(&context, "one", json!([{ "name": "a_total", "type": "counter" }])).await.expect("starts");
    take(&mut sink, 1).await;
    sink.flush().await.expect("keeps them");
    let (place, away) = (folder.path().join("data/sinks"), folder.path().join("away"));
    std::fs::rename(&place, &away).expect("moves");
    std::fs::write(&place, "no folder").expect("writes");
    take(&mut sink, 2).await;
    let error = sink.flush().await.expect_err("there is no folder");
    assert!(error.is_temporary() && error.to_string().contains("data/sinks"), "{error}");
    assert!(context.exposition.render().ends_with("a_total 6\n"));
    std::fs::remove_file(&place).expect("removes");
    std::fs::rename(&away, &place).expect("moves");
    assert_eq!(sink.start(2).await, Ok(Some(1)));
    take(&mut sink, 2).await;
    sink.flush().await.expect("keeps them");
    assert!(context.exposition.render().ends_with("a_total 12\n"));
}

#[tokio::test]
async fn a_damaged_counts_file_is_refused_with_advice() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let context = context_in(folder.path());
    let rules = json!([{ "name": "took", "type": "histogram", "value": "context.ms", "labels": { "s": "source" } }]);
    let mut sink = started(&context, "one", rules.clone()).await.expect("starts");
    take(&mut sink, 1).await;
    sink.flush().await.expect("keeps them");
    let place = folder.path().join("data/sinks/one.counts");
    let whole = std::fs::read(&place).expect("there");
    for length in 0..whole.len() {
        std::fs::write(&place, &whole[..length]).expect("writes");
        let error = sink.start(1).await.expect_err("cut");
        assert!(matches!(error, SinkError::Fatal(_)) && error.to_string().contains("move the file away"), "{error}");
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x15;
        std::fs::write(&place, bytes).expect("writes");
        // Whatever the file contains, it either starts or reports why not.
        if sink.start(1).await.is_ok() {
            take(&mut sink, 2).await;
        }
    }
}

#[test]
fn rules_invalid_for_prometheus_are_refused_by_name() {
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
    assert!(refused(twice).contains("the same name"));
}
