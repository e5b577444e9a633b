//! Sources are added, changed and removed while the router runs; the demonstration.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::clients::curl;
use super::router::{Home, Router, eventually};

const SINK: &str = "[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n";

fn stored(home: &Home) -> Vec<Value> {
    let text = fs::read_to_string(home.path("out.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn pipeline_sources(router: &Router) -> Vec<(String, Option<String>, u64)> {
    let shown: Value = curl(router, "/api/pipeline", &[], b"").json();
    let source = |source: &Value| {
        let state = source["state"].as_str().map(str::to_owned);
        (source["name"].as_str().unwrap().to_owned(), state, source["records"].as_u64().unwrap())
    };
    shown["sources"].as_array().unwrap().iter().map(source).collect()
}

#[test]
fn the_demonstration_fills_every_view_without_configuration() {
    let home = Home::with(SINK);
    let router = home.start_with(&["--demo"]);
    let sources = || -> BTreeSet<String> {
        stored(&home).iter().map(|record| record["source"].as_str().unwrap().to_owned()).collect()
    };
    eventually("several services write", || {
        ["auth", "catalog", "checkout", "payments", "web"].iter().all(|name| sources().contains(*name))
    });
    let all = fs::read_to_string(home.path("out.jsonl")).unwrap();
    assert!(!all.contains("hunter2") && !all.contains("4111 1111"), "secrets are masked before they are stored");
    let shown = pipeline_sources(&router);
    assert!(
        shown
            .iter()
            .any(|(name, state, records)| { name == "demo" && state.as_deref() == Some("running") && *records > 0 })
    );
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn sources_are_added_changed_and_removed_by_reload() {
    let home = Home::with(SINK);
    let mut router = home.start();
    home.configure(&format!("{SINK}[source.shop]\ntype = \"demo\"\nrate = 100\n"));
    eventually("records arrive", || stored(&home).len() > 10);
    home.configure(&format!("{SINK}[source.shop]\ntype = \"demo\"\nrate = 200\n"));
    router.wait_for_line("source `shop` restarts");
    let before = stored(&home).len();
    eventually("more arrive", || stored(&home).len() > before);
    home.configure(&format!("{SINK}[source.shop]\ntype = \"demo\"\nrate = 0\n"));
    let said = router.wait_for_line("nothing was changed");
    assert!(said.contains("error"), "{said}");
    home.configure(SINK);
    router.wait_for_line("source `shop` removed");
    assert!(pipeline_sources(&router).iter().all(|(name, ..)| name != "shop"));
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn a_source_that_fails_makes_the_router_degraded_and_says_why() {
    let unused = super::servers::free_port();
    let home = Home::with(&format!(
        "{SINK}[source.bus]\ntype = \"nats\"\nurl = \"nats://127.0.0.1:{unused}\"\nstream = \"LOGS\"\n"
    ));
    let mut router = home.start();
    router.wait_for_line("source `bus` failed");
    let health: Value = curl(&router, "/health", &[], b"").json();
    assert_eq!(health["status"], "degraded");
    assert!(health["reasons"].to_string().contains("source `bus`: NATS at 127.0.0.1"), "{health}");
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}
