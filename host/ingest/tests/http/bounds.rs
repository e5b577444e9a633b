//! Bodies, heads and bytes in flight at and over their limits.

use std::{io::Write, time::Duration};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weir_ingest::{HttpOptions, Receipt, limits};

use crate::support::{Fake, Reply, Server};

fn small() -> HttpOptions {
    HttpOptions { max_body_bytes: 1000, max_decompressed_bytes: 2000, ..HttpOptions::default() }
}

#[tokio::test]
async fn a_body_of_exactly_the_bound_is_taken_and_one_byte_more_is_413() {
    let server = Server::start(small(), Fake::confirming()).await;
    assert_eq!(server.post("/ingest", "", "x".repeat(1000)).await.status, 200);
    let reply = server.post("/ingest", "", "x".repeat(1001)).await;
    assert_eq!(reply.status, 413);
    assert!(reply.error().contains("1000"));
}

#[tokio::test]
async fn a_declared_length_over_the_bound_is_413_before_a_byte_of_the_body_is_sent() {
    let server = Server::start(small(), Fake::confirming()).await;
    let mut raw = server.connect().await;
    raw.send("POST /ingest HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n").await;
    assert!(raw.until("}").await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn a_sender_that_writes_everything_before_it_reads_still_sees_the_413() {
    let server = Server::start(HttpOptions::default(), Fake::confirming()).await;
    // More than the sockets' buffers hold, so the sender would hang or be reset if the server stopped reading.
    let reply = server.post("/ingest", "", "x".repeat(20 << 20)).await;
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn chunked_bodies_are_taken_within_the_bound_and_413_past_it() {
    let fake = Fake::confirming();
    let server = Server::start(small(), fake.clone()).await;
    let head = "POST /ingest HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let text = server.exchange(format!("{head}4\r\none\n\r\n3\r\ntwo\r\n0\r\n\r\n")).await;
    assert_eq!(Reply::parse(&text).json(), json!({"accepted": 2}));
    assert_eq!(fake.messages(), ["one", "two"]);
    let chunk = format!("190\r\n{}\r\n", "x".repeat(400));
    // Without a last chunk: the refusal does not wait for the end.
    let mut raw = server.connect().await;
    raw.send(format!("{head}{}", chunk.repeat(3))).await;
    assert!(raw.until("}").await.starts_with("HTTP/1.1 413"));
    assert_eq!(fake.records().len(), 2);
}

#[tokio::test]
async fn expect_continue_is_asked_for_when_wanted_and_not_when_refused() {
    let server = Server::start(small(), Fake::confirming()).await;
    let head = |length| {
        format!("POST /ingest HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n")
    };
    let mut raw = server.connect().await;
    raw.send(head(5)).await;
    assert_eq!(raw.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    raw.send("hello").await;
    assert!(raw.until("}").await.starts_with("HTTP/1.1 200"));
    let mut raw = server.connect().await;
    raw.send(head(5000)).await;
    assert!(raw.rest().await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn a_bomb_is_413_whether_small_or_large() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&[b'\n'; 1 << 20]).unwrap();
    // Concatenated members are one body: 3 MiB, decompressed on another thread.
    let bomb = gzip.finish().unwrap().repeat(3);
    let bound = |bytes| HttpOptions { max_decompressed_bytes: bytes, ..HttpOptions::default() };
    let server = Server::start(bound(3 << 20), Fake::confirming()).await;
    assert_eq!(server.post("/ingest", "content-encoding: gzip\r\n", &bomb).await.status, 200);
    let server = Server::start(bound((3 << 20) - 1), Fake::confirming()).await;
    let reply = server.post("/ingest", "content-encoding: gzip\r\n", &bomb).await;
    assert_eq!(reply.status, 413);
    assert!(reply.error().contains("decompressed"));
    let server = Server::start(small(), Fake::confirming()).await;
    let bomb = zstd::encode_all(&[b'\n'; 100_000][..], 19).unwrap();
    assert_eq!(server.post("/ingest", "content-encoding: zstd\r\n", &bomb).await.status, 413);
}

#[tokio::test]
async fn over_the_bytes_in_flight_a_request_is_503_until_others_are_answered() {
    let (fake, mut deliveries) = Fake::holding();
    let options = HttpOptions { max_body_bytes: 20_000, max_in_flight_bytes: 30_000, ..HttpOptions::default() };
    let server = Server::start(options, fake).await;
    let body = "x".repeat(20_000);
    let mut first = server.connect().await;
    first.send(format!("POST /ingest HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20000\r\n\r\n{body}")).await;
    let delivery = deliveries.recv().await.unwrap();
    let reply = server.post("/ingest", "", &body).await;
    assert_eq!(reply.status, 503);
    assert!(reply.head.contains("retry-after: 1") && reply.error().contains("in flight"));
    delivery.reply.send(Ok(Receipt::default())).unwrap();
    assert!(first.until("}").await.contains("200 OK"));
    let mut second = server.connect().await;
    second.send(format!("POST /ingest HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20000\r\n\r\n{body}")).await;
    deliveries.recv().await.unwrap().reply.send(Ok(Receipt::default())).unwrap();
    assert!(second.until("}").await.contains("200 OK"));
}

#[tokio::test]
async fn bytes_stay_in_flight_when_the_client_goes_away_before_the_answer() {
    let (fake, mut deliveries) = Fake::holding();
    let options = HttpOptions {
        max_body_bytes: 20_000,
        max_in_flight_bytes: 30_000,
        answer_timeout: Duration::from_millis(10),
        ..HttpOptions::default()
    };
    let server = Server::start(options, fake).await;
    let body = "x".repeat(20_000);
    // The answer (503, not stored in time) ends the request, but not the delivery.
    assert_eq!(server.post("/ingest", "", &body).await.status, 503);
    let delivery = deliveries.recv().await.unwrap();
    let reply = server.post("/ingest", "", &body).await;
    assert!(reply.error().contains("in flight"), "{reply:?}");
    delivery.reply.send(Ok(Receipt::default())).unwrap();
    // A waiting task releases them: soon, but not immediately.
    while server.post("/ingest", "", &body).await.error().contains("in flight") {}
    assert!(deliveries.recv().await.is_some());
}

#[tokio::test]
async fn a_head_with_too_many_headers_is_431() {
    let (server, _) = Server::plain().await;
    let headers = |count| (0..count).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    let answer = server.exchange(format!("GET /health HTTP/1.1\r\n{}\r\n", headers(limits::MAX_HEADERS + 1))).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let end = format!("connection: close\r\n{}", headers(limits::MAX_HEADERS - 1));
    assert!(server.exchange(format!("GET /health HTTP/1.1\r\n{end}\r\n")).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_flood_of_headers_ends_its_connection_and_no_other() {
    let (server, _) = Server::plain().await;
    for header in ["x: 1\r\n".repeat(10_000), format!("x: {}\r\n", "y".repeat(2 * limits::READ_BUFFER_BYTES))] {
        let mut raw = server.connect().await;
        // The server closes the connection before everything is written, so the answer may be lost.
        _ = raw.stream.write_all(format!("GET /health HTTP/1.1\r\n{header}\r\n").as_bytes()).await;
        let mut answer = Vec::new();
        _ = raw.stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(server.post("/ingest", "", "fine").await.status, 200);
}

#[tokio::test]
async fn the_longest_query_is_read_and_a_longer_one_is_400() {
    let (server, _) = Server::plain().await;
    let reply = server.post(&format!("/ingest?x={}", "y".repeat(9000)), "", "a").await;
    assert_eq!(reply.status, 400);
    assert!(reply.error().contains("query"));
}

#[tokio::test]
async fn one_body_cannot_become_records_of_many_times_its_size() {
    // Three bytes per record, which become a hundred in canonical form.
    let (server, _) = Server::plain().await;
    let body = "{}\n".repeat(5_000_000);
    let reply = server.post("/ingest", "content-type: application/x-ndjson\r\n", body).await;
    assert_eq!(reply.status, 413, "{}", reply.body);
}
