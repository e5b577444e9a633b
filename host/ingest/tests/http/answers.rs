//! The answers to requests of all kinds.

use std::{io::Write, time::Duration};

use serde_json::json;
use weir_ingest::{HttpOptions, Receipt, RecordError, Refusal};

use crate::support::{Fake, Server};

fn msgpack(messages: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        rmp::encode::write_map_len(&mut bytes, 1).unwrap();
        rmp::encode::write_str(&mut bytes, "message").unwrap();
        rmp::encode::write_str(&mut bytes, message).unwrap();
    }
    bytes
}

/// A real client.
fn client() -> reqwest::ClientBuilder {
    // Fails if it is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

#[tokio::test]
async fn every_kind_of_body_becomes_records_and_is_answered_with_their_number() {
    let array = [&[0x92][..], &msgpack(&["a", "b"])].concat();
    let cases: [(&str, Vec<u8>, usize); 12] = [
        ("content-type: application/json\r\n", br#"{"message":"a"}"#.to_vec(), 1),
        ("content-type: application/json\r\n", br#"[{"message":"a"},{"message":"b"}]"#.to_vec(), 2),
        ("content-type: application/x-ndjson\r\n", b"{\"message\":\"a\"}\n{\"message\":\"b\"}\n".to_vec(), 2),
        ("content-type: application/msgpack\r\n", msgpack(&["a"]), 1),
        ("content-type: application/msgpack\r\n", msgpack(&["a", "b"]), 2),
        ("content-type: application/msgpack\r\n", array.clone(), 2),
        ("content-type: text/plain\r\n", b"a\nb\n".to_vec(), 2),
        ("", br#"{"message":"a"}"#.to_vec(), 1),
        ("", array, 2),
        ("", b"a\r\nb".to_vec(), 2),
        ("content-type: application/x-www-form-urlencoded\r\n", br#"{"message":"a"}"#.to_vec(), 1),
        ("content-type: text/plain\r\n", Vec::new(), 0),
    ];
    for (head, body, count) in cases {
        let (server, fake) = Server::plain().await;
        let reply = server.post("/ingest", head, &body).await;
        assert_eq!((reply.status, reply.json()), (200, json!({"accepted": count})), "{head} {body:?}");
        assert_eq!(fake.messages(), ["a", "b"][..count], "{head} {body:?}");
    }
}

#[tokio::test]
async fn query_and_headers_fill_what_records_lack_and_nothing_else() {
    let (server, fake) = Server::plain().await;
    let head = "content-type: application/json\r\nx-request-id: r-7\r\n\
                traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let body = br#"[{"message":"a"},{"message":"b","source":"own","level":"error","context":{"request_id":"mine"}}]"#;
    let reply = server.post("/ingest?source=web&level=warn", head, body).await;
    assert_eq!(reply.status, 200);
    let records = fake.records();
    assert_eq!((&records[0]["source"], &records[0]["level"]), (&json!("web"), &json!("WARNING")));
    assert_eq!(
        records[0]["context"],
        json!({"request_id": "r-7", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"})
    );
    assert_eq!((&records[1]["source"], &records[1]["level"]), (&json!("own"), &json!("ERROR")));
    assert_eq!(records[1]["context"]["request_id"], "mine");
}

#[tokio::test]
async fn an_unusable_query_is_400_with_a_hint() {
    let (server, fake) = Server::plain().await;
    let reply = server.post("/ingest?source=%ff", "", "x").await;
    assert_eq!(reply.status, 400);
    assert!(reply.error().contains("UTF-8"));
    let reply = server.post("/ingest?level=loud", "", "x").await;
    assert!(reply.status == 400 && reply.error().contains("WARNING"));
    assert!(fake.records().is_empty());
}

#[tokio::test]
async fn bad_records_go_to_quarantine_while_the_good_ones_are_accepted() {
    let (server, fake) = Server::plain().await;
    let body = "{\"message\":\"a\"}\n42\n{\"message\":\"b\"}\n";
    let reply = server.post("/ingest", "content-type: application/x-ndjson\r\n", body).await;
    let answer = reply.json();
    assert_eq!(reply.status, 200);
    assert_eq!((&answer["accepted"], &answer["quarantined"]), (&json!(2), &json!(1)));
    assert_eq!(answer["errors"][0]["record"], 1);
    assert_eq!(fake.messages(), ["a", "b"]);
    assert_eq!(fake.bad(), [b"42".to_vec()]);
}

#[tokio::test]
async fn json_that_cannot_be_read_is_400_with_the_byte() {
    let (server, fake) = Server::plain().await;
    let reply = server.post("/ingest", "content-type: application/json\r\n", r#"[{"message":"a"},!]"#).await;
    assert_eq!(reply.status, 400);
    assert!(reply.json()["offset"].is_u64(), "{}", reply.body);
    assert!(reply.error().contains("at byte"), "{}", reply.body);
    assert!(fake.records().is_empty());
}

#[tokio::test]
async fn json_nested_a_million_deep_is_refused_or_quarantined_and_harms_nothing() {
    let (server, fake) = Server::plain().await;
    let deep = [r#"{"a":"#.repeat(1_000_000), "1".to_owned(), "}".repeat(1_000_000)].concat();
    let reply = server.post("/ingest", "content-type: application/json\r\n", deep).await;
    let kept = reply.json()["accepted"] == 0 && reply.status == 200;
    assert!(kept || reply.status == 400, "{reply:?}");
    assert!(fake.records().is_empty());
    assert_eq!(server.post("/ingest", "", "still here").await.status, 200);
}

#[tokio::test]
async fn unknown_types_and_encodings_are_415_naming_what_is_supported() {
    let (server, _) = Server::plain().await;
    let reply = server.post("/ingest", "content-type: application/xml\r\n", "<a/>").await;
    assert_eq!(reply.status, 415);
    assert!(reply.error().contains("application/msgpack"));
    let reply = server.post("/ingest", "content-encoding: br\r\n", "x").await;
    assert_eq!(reply.status, 415);
    assert!(reply.error().contains("zstd"));
}

#[tokio::test]
async fn compressed_bodies_of_any_size_are_taken() {
    // The large one is decoded on another thread.
    for lines in [3, 40_000] {
        let text: String = (0..lines).map(|line| format!("line {line} of them\n")).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(text.as_bytes()).unwrap();
        let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
        let bodies = [("gzip", gzip.finish().unwrap()), ("deflate", zlib.finish().unwrap()), ("zstd", zstd)];
        for (encoding, body) in bodies {
            let (server, fake) = Server::plain().await;
            let reply = server.post("/ingest", &format!("content-encoding: {encoding}\r\n"), body).await;
            assert_eq!((reply.status, reply.json()), (200, json!({"accepted": lines})), "{encoding}");
            let messages = fake.messages();
            assert_eq!(messages.last(), Some(&format!("line {} of them", lines - 1)), "{encoding}");
        }
    }
}

#[tokio::test]
async fn a_damaged_compressed_body_is_400_and_nothing_of_it_is_taken() {
    let (server, fake) = Server::plain().await;
    let reply = server.post("/ingest", "content-encoding: gzip\r\n", "this is no gzip").await;
    assert_eq!(reply.status, 400);
    assert!(reply.error().contains("gzip"));
    assert!(fake.records().is_empty());
}

#[tokio::test]
async fn rejections_are_reported_by_position_and_422_if_all_were_rejected() {
    let reject_last = |all: bool| {
        Fake::new(move |delivery| {
            let last = u32::try_from(delivery.batch.len()).unwrap() - 1;
            let rejected =
                (if all { 0 } else { last }..=last).map(|index| RecordError { index, error: "no tenant".to_owned() });
            let receipt = Receipt { quarantined: vec![], rejected: rejected.collect() };
            _ = delivery.reply.send(Ok(receipt));
            Ok(())
        })
    };
    let body = "{\"message\":\"a\"}\n42\n{\"message\":\"b\"}\n";
    let server = Server::start(HttpOptions::default(), reject_last(false)).await;
    let reply = server.post("/ingest", "content-type: application/x-ndjson\r\n", body).await;
    let answer = reply.json();
    assert_eq!((reply.status, &answer["accepted"], &answer["rejected"]), (200, &json!(1), &json!(1)));
    assert_eq!(answer["errors"][1], json!({"record": 2, "error": "no tenant"}));
    let server = Server::start(HttpOptions::default(), reject_last(true)).await;
    let reply = server.post("/ingest", "", "one\ntwo\n").await;
    assert_eq!((reply.status, &reply.json()["rejected"]), (422, &json!(2)));
    assert!(reply.error().contains("rejected"));
}

#[tokio::test]
async fn refusals_of_the_pipeline_are_503_with_retry_after_or_500() {
    let refusing = |make: fn() -> Refusal| Fake::new(move |_| Err(make()));
    let late = |make: fn() -> Refusal| {
        Fake::new(move |delivery| {
            _ = delivery.reply.send(Err(make()));
            Ok(())
        })
    };
    let full: fn() -> Refusal = || Refusal::Full("the journal is full".to_owned());
    let busy: fn() -> Refusal = || Refusal::Busy("the queue is full".to_owned());
    let failed: fn() -> Refusal = || Refusal::Failed("the disk is broken".to_owned());
    for (make, status, text) in [(full, 503, "journal"), (busy, 503, "queue"), (failed, 500, "disk")] {
        for fake in [refusing(make), late(make)] {
            let server = Server::start(HttpOptions::default(), fake).await;
            let reply = server.post("/ingest", "", "x").await;
            assert_eq!(reply.status, status);
            assert!(reply.error().contains(text));
            assert_eq!(reply.head.contains("retry-after:"), status == 503, "{}", reply.head);
        }
    }
}

#[tokio::test]
async fn a_pipeline_that_ends_or_never_confirms_is_never_answered_with_success() {
    let server = Server::start(
        HttpOptions::default(),
        Fake::new(|delivery| {
            drop(delivery);
            Ok(())
        }),
    )
    .await;
    assert_eq!(server.post("/ingest", "", "x").await.status, 500);
    let (fake, mut deliveries) = Fake::holding();
    let options = HttpOptions { answer_timeout: Duration::from_millis(20), ..HttpOptions::default() };
    let server = Server::start(options, fake).await;
    let reply = server.post("/ingest", "", "x").await;
    assert_eq!(reply.status, 503);
    assert!(reply.error().contains("not stored within") && reply.head.contains("retry-after:"));
    assert!(deliveries.try_recv().is_ok());
}

#[tokio::test]
async fn the_answer_waits_for_the_confirmation() {
    let (fake, mut deliveries) = Fake::holding();
    let server = Server::start(HttpOptions::default(), fake).await;
    let mut raw = server.connect().await;
    raw.send("POST /ingest HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\nx").await;
    let delivery = deliveries.recv().await.unwrap();
    let early = raw.stream.try_read(&mut [0; 1]).unwrap_err();
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    delivery.reply.send(Ok(Receipt::default())).unwrap();
    assert!(raw.until("}").await.contains(r#"{"accepted":1}"#));
}

#[tokio::test]
async fn a_cross_site_post_is_403() {
    let (server, fake) = Server::plain().await;
    let head = "content-type: text/plain\r\norigin: https://evil.example\r\n";
    let reply = server.post("/ingest", head, "forged").await;
    assert_eq!(reply.status, 403);
    assert!(reply.error().contains("another site"));
    assert!(fake.records().is_empty());
    let head = format!("content-type: text/plain\r\norigin: http://{}\r\n", server.address);
    assert_eq!(server.post("/ingest", &head, "own").await.status, 200);
}

#[tokio::test]
async fn health_readiness_metrics_and_the_front_page_are_served() {
    let (server, fake) = Server::plain().await;
    let client = client().build().unwrap();
    let get = |path: &str| client.get(server.url(path)).send();
    let health = get("/health").await.unwrap();
    assert_eq!(health.status(), 200);
    assert_eq!(health.headers()["content-type"], "application/json");
    assert!(health.text().await.unwrap().contains(r#""status":"ok""#));
    assert_eq!(get("/ready").await.unwrap().status(), 200);
    *fake.not_ready.lock().unwrap() = Some("the journal is full".to_owned());
    let ready = get("/ready").await.unwrap();
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("the journal is full"));
    let metrics = get("/metrics").await.unwrap();
    assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.text().await.unwrap().contains("weir_up 1\n"));
    let front = get("/").await.unwrap();
    assert_eq!(front.headers()["x-content-type-options"], "nosniff");
    assert!(front.text().await.unwrap().contains(&format!("http://{}/ingest", server.address)));
}

#[tokio::test]
async fn head_answers_as_get_would_without_the_body() {
    let (server, _) = Server::plain().await;
    let ask = |method: &str| {
        server.exchange(format!("{method} /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"))
    };
    let (get, head) = (ask("GET").await, ask("HEAD").await);
    let (head_of_get, body) = get.split_once("\r\n\r\n").unwrap();
    assert!(head.ends_with("\r\n\r\n") && head.starts_with("HTTP/1.1 200"), "{head}");
    let length = format!("content-length: {}", body.len());
    assert!(head.contains(&length) && head_of_get.contains(&length), "{head}");
}

#[tokio::test]
async fn wrong_paths_and_methods_get_a_hint() {
    let (server, _) = Server::plain().await;
    let reply = server.post("/ingest/", "", "x").await;
    assert_eq!((reply.status, reply.error().contains("did you mean /ingest?")), (404, true));
    let reply = server.post("/somewhere", "", "x").await;
    assert_eq!((reply.status, reply.error().contains("/ingest")), (404, true));
    let reply = server.post("/health", "", "x").await;
    assert_eq!((reply.status, reply.head.contains("allow: get, head")), (405, true));
    let client = client().build().unwrap();
    for method in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::OPTIONS, reqwest::Method::DELETE] {
        let reply = client.request(method.clone(), server.url("/ingest")).send().await.unwrap();
        assert_eq!((reply.status().as_u16(), &reply.headers()["allow"]), (405, &"POST".parse().unwrap()), "{method}");
        assert!(reply.text().await.unwrap().contains("use POST"));
    }
    let reply = client.head(server.url("/ingest")).send().await.unwrap();
    assert_eq!(reply.status(), 405);
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_on_the_same_port() {
    let (server, fake) = Server::plain().await;
    let client = client().http2_prior_knowledge().build().unwrap();
    let post = |text: String| client.post(server.url("/ingest?source=h2")).body(text).send();
    // Longer than what HTTP/2 lets a sender be ahead.
    let long = format!("{}\n", "x".repeat(150)).repeat(10_000);
    let answers = tokio::join!(post("one".to_owned()), post("two".to_owned()), post(long));
    for (reply, count) in [(answers.0, 1), (answers.1, 1), (answers.2, 10_000)] {
        let reply = reply.unwrap();
        assert_eq!((reply.status().as_u16(), reply.version()), (200, reqwest::Version::HTTP_2));
        assert_eq!(reply.text().await.unwrap(), format!(r#"{{"accepted":{count}}}"#));
    }
    assert!(fake.records().iter().all(|record| record["source"] == "h2"));
    let reply = client.post(server.url("/ingest")).header("content-type", "image/png").body("x").send().await.unwrap();
    assert_eq!(reply.status(), 415);
    let reply = client.head(server.url("/health")).send().await.unwrap();
    assert_eq!(reply.status(), 200);
}
