//! The Rust client: what its layer makes of events and spans. It is compiled into these tests, as an application's module.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::scripted::{Request, Scripted, answer};
use crate::router::Home;

#[allow(dead_code, reason = "it is a library's whole interface")]
#[path = "../../../examples/clients/rust/weir_tracing.rs"]
mod weir_tracing;

use weir_tracing::Options;

/// This program, as the driver.
pub fn driver() -> (Home, Command) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--nocapture", "--exact", "small_clients::rust::logs_as_it_is_told"]);
    (Home::new(), command)
}

#[test]
#[ignore = "other tests run it as a program, with arguments"]
fn logs_as_it_is_told() {
    let arguments: Vec<_> = std::env::args().collect();
    let [.., url, capacity, timeout, deadline] = &arguments[..] else { panic!("{arguments:?}") };
    let seconds = |text: &str| Duration::from_secs(text.parse().unwrap());
    let (layer, guard) = weir_tracing::layer(Options {
        url: url.clone(),
        capacity: capacity.parse().unwrap(),
        timeout: seconds(timeout),
        deadline: seconds(deadline),
        ..Options::named("driver")
    });
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for line in std::io::stdin().lines().map(Result::unwrap) {
            let [_, prefix, count] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            for number in 0..count.parse::<usize>().unwrap() {
                tracing::info!(id = format!("{prefix}-{number}"), "record");
            }
            println!("lost {}", guard.lost());
        }
    });
    guard.close();
    println!("lost {}", guard.lost());
}

/// The records that a function logs.
fn logged(options: Options, log: impl FnOnce()) -> Vec<Value> {
    let server = Scripted::start(|_| answer("200 OK", "", r#"{"accepted":1}"#));
    let (layer, guard) = weir_tracing::layer(Options { url: format!("{}/", server.url), ..options });
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    drop(guard);
    let requests = server.requests();
    server.stop();
    assert!(requests.iter().all(|request| request.head.starts_with("post /ingest http/1.1")), "{requests:?}");
    requests.iter().flat_map(Request::records).collect()
}

struct Rude;

impl std::fmt::Debug for Rude {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("on purpose")
    }
}

#[test]
fn fields_of_spans_and_events_are_in_the_records() {
    let records = logged(Options::named("shop"), || {
        let outer = tracing::info_span!("request", request_id = "r-1", user = tracing::field::Empty).entered();
        outer.record("user", 7);
        {
            let _inner = tracing::info_span!("payment", user = 8).entered();
            let error = std::io::Error::other("no \"card\"");
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(amount = 1.5, ok = true, big = u64::MAX, error, level = "mine", "two\nlines\u{1}");
        }
        tracing::warn!(nan = f64::NAN, rude = ?Rude, shown = %"text", r#type = 1);
    });
    let [paid, warned] = &records[..] else { panic!("{records:?}") };
    let due = json!({ "level": "ERROR", "source": "shop", "message": "two\nlines\u{1}", "amount": 1.5, "ok": true,
        "big": u64::MAX, "error": "no \"card\"", "context": { "request_id": "r-1", "user": 8 } });
    for (name, value) in due.as_object().unwrap() {
        assert_eq!(&paid[name], value, "{name}");
    }
    assert_eq!(
        (&paid["metadata"]["level"], &paid["metadata"]["spans"]),
        (&json!("mine"), &json!(["request", "payment"]))
    );
    assert!(paid["metadata"]["file"].as_str().unwrap().ends_with("rust.rs") && paid["metadata"]["line"].is_u64());
    assert!(paid["timestamp"].as_u64().unwrap() > 1_700_000_000_000_000_000);
    assert_eq!((&warned["nan"], &warned["shown"], &warned["type"]), (&json!("NaN"), &json!("text"), &json!(1)));
    assert_eq!((&warned["level"], &warned["rude"]), (&json!("WARNING"), &json!("a value that can't be shown")));
    assert_eq!(warned["context"], json!({ "request_id": "r-1", "user": 7 }));
}

#[test]
fn two_layers_in_one_registry_each_send_every_event() {
    let server = Scripted::start(|_| answer("200 OK", "", r#"{"accepted":1}"#));
    let layer = || weir_tracing::layer(Options { url: server.url.clone(), ..Options::named("shop") });
    let ((one, guard_of_one), (other, guard_of_other)) = (layer(), layer());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(one).with(other), || {
        let _request = tracing::info_span!("request", request_id = "r-17").entered();
        tracing::info!("hello");
    });
    drop((guard_of_one, guard_of_other));
    let records: Vec<_> = server.requests().iter().flat_map(Request::records).collect();
    server.stop();
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records.iter().all(|record| record["context"]["request_id"] == "r-17"), "{records:?}");
}

#[test]
fn the_snippet_of_the_documentation_runs() {
    let server = Scripted::start(|_| answer("200 OK", "", r#"{"accepted":1}"#));
    {
        // The snippet of the documentation, but for the address.
        let (layer, _guard) = weir_tracing::layer(Options { url: server.url.clone(), ..Options::named("shop") });
        let _default = tracing_subscriber::registry().with(layer).set_default();

        let _request = tracing::info_span!("request", request_id = "r-17").entered();
        tracing::info!(order = 1234, "order is paid");
    }
    let records: Vec<_> = server.requests().iter().flat_map(Request::records).collect();
    server.stop();
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!((&record["message"], &record["order"]), (&json!("order is paid"), &json!(1234)));
    assert_eq!(record["context"]["request_id"], "r-17");
}

#[test]
fn without_a_source_it_is_the_target() {
    let records = logged(Options::default(), || tracing::info!(target: "shop::cart", "hello"));
    assert_eq!((&records[0]["source"], &records[0]["message"]), (&json!("shop::cart"), &json!("hello")));
}
