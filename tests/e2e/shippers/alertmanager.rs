//! Prometheus Alertmanager, which sends alerts that are injected with its own tool and its own API.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::{fs, thread, time::Duration};

use serde_json::{Value, json};

use super::{Client, arrived, confirm, home, ingest_token, outcome, start_at};
use crate::clients::run;
use crate::router::{Home, eventually};

/// A running Alertmanager, which is stopped with the test.
struct Alertmanager {
    process: Child,
    url: String,
}

impl Alertmanager {
    /// Starts one that sends to a router.
    fn start(home: &Home, router: &str, token: &str) -> Alertmanager {
        let configuration = format!(
            "route:\n  receiver: weir\n  group_by: [alertname]\n  group_wait: 10ms\n  group_interval: 500ms\n\
             receivers:\n  - name: weir\n    webhook_configs:\n      - url: {router}/alertmanager\n        \
             http_config:\n          authorization:\n            credentials: {token}\n"
        );
        fs::write(home.path("alertmanager.yml"), configuration).unwrap();
        // Nothing tells which port it has chosen, so it gets one that was free.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("prometheus-alertmanager")
            .current_dir(home.path(""))
            .args(["--config.file=alertmanager.yml", "--storage.path=alerts", "--cluster.listen-address="])
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::from(fs::File::create(home.path("alertmanager.log")).unwrap()))
            .spawn()
            .expect("`tests/run` installs it");
        let url = format!("http://{address}");
        let started = Alertmanager { process, url };
        eventually("it is ready", || {
            let asked = Command::new("curl").args(["-sf", &format!("{}/-/ready", started.url)]).output();
            asked.is_ok_and(|asked| asked.status.success())
        });
        started
    }

    fn post(&self, alerts: &Value) {
        let url = format!("{}/api/v2/alerts", self.url);
        run(Command::new("curl").args(["-sSf", "--json", &alerts.to_string(), &url]));
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn alerts_arrive_also_after_the_router_was_away() {
    let home = home("");
    let token = ingest_token(&home);
    let router = home.start();
    let address = router.url.trim_start_matches("http://").to_owned();
    let alerts = Alertmanager::start(&home, &router.url, &token);
    let annotations = json!({"summary": "naïve 日本 🦀 \"full\"\nnow", "description": "é".repeat(50_000)});
    alerts.post(&json!([{"startsAt": "2026-11-29T04:00:00.123456789Z", "generatorURL": "http://prometheus/graph",
        "labels": {"alertname": "DiskFull", "severity": "critical", "job": "node"}, "annotations": annotations}]));
    let firing = arrived(&home, 1).remove(0);
    assert_eq!(firing["timestamp"], "2026-11-29T04:00:00.123456789Z");
    for (name, value) in [
        ("level", "CRITICAL"),
        ("source", "node"),
        ("message", "naïve 日本 🦀 \"full\"\nnow"),
        ("alertname", "DiskFull"),
        ("status", "firing"),
        ("receiver", "weir"),
        ("groupKey", "{}:{alertname=\"DiskFull\"}"),
        ("generatorURL", "http://prometheus/graph"),
    ] {
        assert_eq!(firing[name], value, "{name} of {firing}");
    }
    assert_eq!(firing["annotations"]["description"].as_str().unwrap().len(), 100_000);
    assert_eq!(firing["fingerprint"].as_str().map(str::len), Some(16));
    assert!(firing.get("endsAt").is_none(), "{firing}");

    // Resolved while the router is away.
    router.kill();
    alerts.post(&json!([{"startsAt": "2026-11-29T04:00:00.123456789Z", "endsAt": "2026-11-29T04:30:00Z",
        "labels": {"alertname": "DiskFull", "severity": "critical", "job": "node"}, "annotations": {}}]));
    thread::sleep(Duration::from_secs(1));
    let router = start_at(&home, &address);
    let resolved = arrived(&home, 2).remove(1);
    let shown = ["timestamp", "level", "message", "status"].map(|name| resolved[name].as_str().unwrap());
    assert_eq!(shown, ["2026-11-29T04:30:00.000000000Z", "INFO", "DiskFull", "resolved"]);
    let amtool = ["alert", "add", "Slow", "service=shop", "severity=info", "--annotation=description=slow"];
    run(Command::new("amtool").arg(format!("--alertmanager.url={}", alerts.url)).args(amtool));
    let slow = arrived(&home, 3).remove(2);
    assert_eq!(["level", "source", "message"].map(|name| slow[name].as_str().unwrap()), ["INFO", "shop", "slow"]);
    drop(router);
    let version = run(Command::new("prometheus-alertmanager").arg("--version")).stdout;
    let version = String::from_utf8(version).unwrap().split_whitespace().nth(2).expect("a version").to_owned();
    confirm(&Client { protocol: "alertmanager", name: "prometheus-alertmanager", from: "Debian", version }, 3, 3);
}

#[test]
fn it_logs_that_its_token_is_wrong() {
    let home = home("");
    ingest_token(&home);
    let router = home.start();
    let alerts = Alertmanager::start(&home, &router.url, "weir_wrong");
    alerts.post(&json!([{"labels": {"alertname": "A"}}]));
    let log = || fs::read_to_string(home.path("alertmanager.log")).unwrap_or_default();
    eventually("it says why", || log().contains("unexpected status code 401"));
    outcome("alertmanager", "prometheus-alertmanager", "wrong credentials", "it logs 401");
}
