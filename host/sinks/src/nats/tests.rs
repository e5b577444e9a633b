//! Tests against a real server: what arrives, duplicates, refusals, and server outages.

use std::path::Path;

use serde_json::{Value, json};
use weir_record::Batch;

use super::*;
use crate::compliance::{Place, context_in};
use crate::servers::nats::Nats;
use crate::testing::{frame, numbered, numbers, record};

/// A server for the compliance test.
pub(crate) struct Server {
    folder: PathBuf,
    nats: Nats,
}

impl Server {
    pub fn start(folder: &Path) -> Server {
        Server { folder: folder.into(), nats: Nats::start(folder) }
    }
}

impl Place for Server {
    fn options(&self) -> Value {
        options_for(&self.nats)
    }

    fn context(&self) -> BuildContext {
        context_in(&self.folder)
    }

    fn held(&self) -> Vec<u64> {
        said(&self.nats)
    }
}

pub(super) fn options_for(nats: &Nats) -> Value {
    json!({ "url": nats.url(), "stream": "LOGS", "create_stream": true, "timeout": "5s" })
}

/// The numbers in the messages of the stream.
pub(super) fn said(nats: &Nats) -> Vec<u64> {
    let message = |text: &String| serde_json::from_str::<Value>(text).expect("JSON")["message"].to_string();
    numbers(&nats.held("LOGS").iter().map(message).collect::<String>())
}

pub(super) fn built(options: &Value) -> Box<dyn Sink> {
    let context = BuildContext { journal_id: "j1".into(), ..BuildContext::default() };
    build("stream", options.clone(), &context).expect("builds")
}

pub(super) async fn started(options: &Value) -> Box<dyn Sink> {
    let mut sink = built(options);
    sink.start(0).await.expect("starts");
    sink
}

#[tokio::test]
async fn a_record_is_stored_once_under_its_subject_however_often_it_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut nats = Nats::start(folder.path());
    let options = options_for(&nats);
    let mut sink = started(&options).await;
    let mut batch = Batch::new();
    batch.push(&record(&[("source", "shop"), ("level", "ERROR"), ("message", "n=0")], &[]));
    batch.push(&record(&[("source", "a.b *>"), ("context.user", "u1"), ("message", "n=1")], &[]));
    let first = frame(7, batch);
    let outcome = sink.deliver(&[first.clone(), frame(8, numbered(2..500))]).await;
    assert_eq!(outcome, Ok(Delivered::default()));
    let held = nats.messages("LOGS");
    assert_eq!(held.len(), 500);
    assert_eq!((held[0].subject.as_str(), held[1].subject.as_str()), ("logs.shop.ERROR", "logs.a_b___.INFO"));
    assert_eq!(held[0].headers, "Nats-Msg-Id: j1-7-0");
    assert_eq!(held[499].headers, "Nats-Msg-Id: j1-8-497");
    let whole: Value = serde_json::from_str(&held[1].payload).expect("JSON");
    assert_eq!(whole["context"]["user"], "u1");
    // As after a lost acknowledgement: in other parts, through another connection, and after the server was killed.
    for round in 0..3 {
        if round == 2 {
            nats.kill();
            nats.restart();
        }
        let mut again = started(&options).await;
        again.deliver(std::slice::from_ref(&first)).await.expect("taken");
        again
            .deliver(&[frame(8, numbered(2..500)), frame(9 + round, numbered(500 + round..501 + round))])
            .await
            .expect("taken");
    }
    assert_eq!(said(&nats), (0..503).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_copy_for_another_sink_is_a_separate_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let nats = Nats::start(folder.path());
    let mut sink = started(&options_for(&nats)).await;
    sink.deliver(&[frame(1, numbered(0..1))]).await.expect("taken");
    let mut copies = Batch::new();
    copies.push(&record(&[("message", "n=0"), ("fallback_from", "my.store")], &[]));
    for _ in 0..2 {
        sink.stand_in(&[frame(1, copies.clone())]).await.expect("taken");
    }
    let ids: Vec<_> = nats.messages("LOGS").into_iter().map(|message| message.headers).collect();
    assert_eq!(ids, ["Nats-Msg-Id: j1-1-0", "Nats-Msg-Id: j1-1-0-my_store"]);
}

#[tokio::test]
async fn only_messages_too_large_for_server_or_stream_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let nats = Nats::start_with(folder.path(), "max_payload: 4KB");
    let created = nats.ask(
        "STREAM.CREATE.LOGS",
        &json!({ "name": "LOGS", "subjects": ["logs.>"], "storage": "file", "max_msg_size": 2000, "num_replicas": 1 }),
    );
    assert!(created["error"].is_null(), "{created}");
    let mut sink = started(&options_for(&nats)).await;
    let mut batch = numbered(0..3);
    batch.push(&record(&[("message", &"x".repeat(3000))], &[]));
    batch.push(&record(&[("message", "n=3")], &[]));
    batch.push(&record(&[("message", &"x".repeat(5000))], &[]));
    batch.push(&record(&[("message", "n=4")], &[]));
    let Delivered { rejected, durable } = sink.deliver(&[frame(1, batch)]).await.expect("the others are taken");
    assert_eq!(durable, None);
    assert_eq!(rejected.iter().map(|(at, _)| (at.sequence, at.index)).collect::<Vec<_>>(), [(1, 3), (1, 5)]);
    assert!(rejected[0].1.contains("max_msg_size") && rejected[1].1.contains("max_payload"), "{rejected:?}");
    assert_eq!(said(&nats), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_missing_or_unfit_stream_is_reported_with_advice() {
    let folder = tempfile::tempdir().expect("a folder");
    let nats = Nats::start(folder.path());
    for (options, hint) in [
        (json!({ "url": nats.url() }), "no stream takes `logs.*.*`"),
        (json!({ "url": nats.url(), "stream": "LOGS" }), "stream `LOGS` doesn't exist"),
    ] {
        let error = built(&options).start(0).await.expect_err("no stream");
        assert!(error.is_temporary() && error.to_string().contains(hint), "{error}");
        assert!(error.to_string().contains("create_stream"), "{error}");
    }
    let stream =
        json!({ "name": "MUTE", "subjects": ["mute.>"], "storage": "file", "no_ack": true, "num_replicas": 1 });
    assert!(nats.ask("STREAM.CREATE.MUTE", &stream)["error"].is_null());
    let error = built(&json!({ "url": nats.url(), "stream": "MUTE" })).start(0).await.expect_err("never answers");
    assert!(error.to_string().contains("`no_ack`"), "{error}");
    // The server stops while the sink runs.
    let mut sink = started(&options_for(&nats)).await;
    let info = nats.ask("STREAM.INFO.LOGS", &Value::Null);
    assert_eq!(info["config"]["duplicate_window"], json!(600_000_000_000u64));
    assert_eq!(info["config"]["subjects"], json!(["logs.*.*"]));
    assert_eq!(nats.ask("STREAM.DELETE.LOGS", &Value::Null)["success"], true);
    let error = sink.deliver(&[frame(1, numbered(0..2))]).await.expect_err("nobody takes it");
    assert!(error.is_temporary() && error.to_string().contains("no stream takes"), "{error}");
}

#[tokio::test]
async fn a_stopped_server_fails_the_delivery_at_once_and_a_restarted_one_accepts_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut nats = Nats::start(folder.path());
    let mut sink = started(&options_for(&nats)).await;
    sink.deliver(&[frame(1, numbered(0..10))]).await.expect("taken");
    nats.stop();
    let error = sink.deliver(&[frame(2, numbered(10..20))]).await.expect_err("nobody is there");
    assert!(error.is_temporary() && error.to_string().starts_with("sink `stream`: NATS at 127.0.0.1:"), "{error}");
    let error = sink.start(1).await.expect_err("nobody is there");
    assert!(error.to_string().contains("can't connect"), "{error}");
    nats.restart();
    sink.start(1).await.expect("it is back");
    sink.deliver(&[frame(2, numbered(10..20))]).await.expect("taken");
    assert_eq!(said(&nats), (0..20).collect::<Vec<_>>());
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let refused = |options: Value| build("stream", options, &BuildContext::default()).map(drop).expect_err("refused");
    assert!(refused(json!({})).contains("NATS_URL"));
    for bad in ["", "http://x", "nats://", "ws://x:1", "nats://a:4222,"] {
        assert!(refused(json!({ "url": bad })).contains("`url`"), "{bad}");
    }
    let url = "nats://localhost";
    assert!(refused(json!({ "url": url, "create_stream": true })).contains("`stream`"));
    assert!(refused(json!({ "url": url, "stream": "a.b" })).contains("a.b"));
    assert!(refused(json!({ "url": url, "user": "u" })).contains("`password`"));
    assert!(refused(json!({ "url": url, "user": "u", "password": "p", "token": "t" })).contains("one of"));
    assert!(refused(json!({ "url": url, "subject": "a b" })).contains("`a b`"));
    assert!(refused(json!({ "url": url, "timeout": "0" })).contains("`timeout`"));
    assert!(refused(json!({ "url": url, "tls": { "key": "k" } })).contains("`certificate`"));
}

#[tokio::test]
async fn repeats_after_the_duplicate_window_are_stored_twice_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let nats = Nats::start(folder.path());
    let mut options = options_for(&nats);
    options["duplicate_window"] = "1s".into();
    let first = [frame(1, numbered(0..5))];
    started(&options).await.deliver(&first).await.expect("taken");
    // As after an outage in which it is unknown whether these were accepted.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let mut later = started(&options).await;
    later.deliver(&first).await.expect("taken");
    later.deliver(&[frame(2, numbered(5..10))]).await.expect("taken");
    assert_eq!(said(&nats), (0..5).chain(0..10).collect::<Vec<_>>());
    let ids: Vec<_> = nats.messages("LOGS").into_iter().map(|message| message.headers).collect();
    assert_eq!(ids[..5], ids[5..10], "readers can tell");
}

#[tokio::test]
async fn the_newest_server_also_stores_each_record_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut nats = Nats::start_newest(folder.path());
    let options = options_for(&nats);
    let all = [frame(1, numbered(0..300)), frame(2, numbered(300..500))];
    started(&options).await.deliver(&all).await.expect("taken");
    nats.kill();
    nats.restart();
    let mut again = started(&options).await;
    again.deliver(&all).await.expect("taken");
    again.deliver(&[frame(3, numbered(500..510))]).await.expect("taken");
    assert_eq!(said(&nats), (0..510).collect::<Vec<_>>());
}
