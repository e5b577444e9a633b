//! Slow, many, pipelined, half-closed and disconnecting clients, and the server's stop.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weir_ingest::{HttpOptions, IngestError, Receipt, limits};

use crate::support::{Fake, Server, eventually};

const POST: &str = "POST /ingest HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n";

fn impatient() -> HttpOptions {
    let short = Duration::from_millis(50);
    HttpOptions { quiet_timeout: short, body_idle_timeout: short, ..HttpOptions::default() }
}

#[tokio::test]
async fn a_connection_without_a_complete_head_is_closed() {
    let server = Server::start(impatient(), Fake::confirming()).await;
    for said in ["", "P", "PRI * HTTP/2.0\r\n", "POST /ingest HTTP/1.1\r\nx-slow: ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut raw = server.connect().await;
        raw.send(said).await;
        raw.closed().await;
    }
}

#[tokio::test]
async fn a_connection_with_a_slow_head_is_closed() {
    let server = Server::start(impatient(), Fake::confirming()).await;
    let mut raw = server.connect().await;
    raw.send("POST /ingest HTTP/1.1\r\n").await;
    let drip = async {
        while raw.stream.write_all(b"x-drip: 1\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), drip).await.expect("the server closes the connection");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_503() {
    let fake = Fake::confirming();
    let server = Server::start(impatient(), fake.clone()).await;
    let mut raw = server.connect().await;
    raw.send(format!("{POST}hel")).await;
    let answer = raw.until("}").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("3 bytes received"), "{answer}");
    assert!(fake.records().is_empty());
}

#[tokio::test]
async fn a_request_that_takes_longer_than_the_quiet_time_is_not_quiet() {
    let (fake, mut deliveries) = Fake::holding();
    let server = Server::start(impatient(), fake).await;
    let mut raw = server.connect().await;
    raw.send(format!("{POST}hello")).await;
    let delivery = deliveries.recv().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    delivery.reply.send(Ok(Receipt::default())).unwrap();
    assert!(raw.until("}").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_truncated_body_is_400_and_nothing_of_it_is_taken() {
    let fake = Fake::confirming();
    let server = Server::start(HttpOptions::default(), fake.clone()).await;
    let mut raw = server.connect().await;
    raw.send(format!("{POST}hel")).await;
    raw.stream.shutdown().await.unwrap();
    let answer = raw.rest().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(fake.records().is_empty());
    assert_eq!(server.post("/ingest", "", "x").await.status, 200);
}

#[tokio::test]
async fn a_client_that_closes_its_side_after_the_request_gets_the_answer() {
    let (fake, mut deliveries) = Fake::holding();
    let server = Server::start(HttpOptions::default(), fake).await;
    let mut raw = server.connect().await;
    raw.send(format!("{POST}hello")).await;
    raw.stream.shutdown().await.unwrap();
    deliveries.recv().await.unwrap().reply.send(Ok(Receipt::default())).unwrap();
    assert!(raw.rest().await.contains(r#"{"accepted":1}"#));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_on_one_connection() {
    let fake = Fake::confirming();
    let server = Server::start(HttpOptions::default(), fake.clone()).await;
    let mut raw = server.connect().await;
    let count = 200;
    let requests: String = (0..count).map(|n| format!("{POST}{n:05}")).collect();
    raw.send(format!("{requests}GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await;
    let answers = raw.rest().await;
    assert_eq!(answers.matches(r#"{"accepted":1}"#).count(), count);
    assert!(answers.ends_with(r#"{"ready":true}"#));
    let expected: Vec<String> = (0..count).map(|n| format!("{n:05}")).collect();
    assert_eq!(fake.messages(), expected);
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_rest_of_a_next_request() {
    let server = Server::start(HttpOptions::default(), Fake::confirming()).await;
    let mut raw = server.connect().await;
    raw.send(format!("{POST}helloPOST /ingest HT")).await;
    assert!(raw.until("}").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_refused_request_leaves_the_connection_usable() {
    let server = Server::start(HttpOptions::default(), Fake::confirming()).await;
    let mut raw = server.connect().await;
    raw.send("POST /ingest HTTP/1.1\r\nhost: localhost\r\ncontent-type: a/b\r\ncontent-length: 5\r\n\r\nhello").await;
    assert!(raw.until("}").await.starts_with("HTTP/1.1 415"));
    raw.send(format!("{POST}hello")).await;
    assert!(raw.until("}").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_disconnecting_client_does_not_cancel_its_delivery() {
    let (fake, mut deliveries) = Fake::holding();
    let server = Server::start(HttpOptions::default(), fake.clone()).await;
    let mut raw = server.connect().await;
    raw.send(format!("{POST}hello")).await;
    let delivery = deliveries.recv().await.unwrap();
    // A reset, which the server notices immediately.
    #[expect(deprecated, reason = "on loopback it can't block")]
    raw.stream.set_linger(Some(Duration::ZERO)).unwrap();
    drop(raw);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(delivery.batch.len(), 1);
    assert!(delivery.reply.send(Ok(Receipt::default())).is_ok(), "nobody waits for the outcome any more");
    assert_eq!(server.post("/ready", "", "").await.status, 405);
}

#[tokio::test]
async fn over_the_bound_connections_are_told_503_and_served_again_when_one_is_free() {
    let options = HttpOptions { max_connections: 2, ..HttpOptions::default() };
    let server = Server::start(options, Fake::confirming()).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    for raw in [&mut first, &mut second] {
        raw.send(format!("{POST}hello")).await;
        assert!(raw.until("}").await.starts_with("HTTP/1.1 200"));
    }
    let reply = server.post("/ingest", "", "x").await;
    assert_eq!(reply.status, 503);
    assert!(reply.head.contains("retry-after: 1") && reply.error().contains("2 connections"));
    drop(first);
    while server.post("/ingest", "", "x").await.status == 503 {}
}

#[tokio::test]
async fn a_stop_answers_requests_in_flight_and_accepts_no_new_ones() {
    let (fake, mut deliveries) = Fake::holding();
    let server = Server::start(HttpOptions::default(), fake).await;
    let address = server.address;
    let mut raw = server.connect().await;
    raw.send(format!("{POST}hello")).await;
    let mut idle = server.connect().await;
    idle.send("GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    idle.until("}").await;
    let delivery = deliveries.recv().await.unwrap();
    let stopping = server.stop();
    // An idle connection is closed immediately, and the port is free.
    assert_eq!(idle.rest().await, "");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(!stopping.is_finished());
    delivery.reply.send(Ok(Receipt::default())).unwrap();
    assert!(raw.rest().await.contains(r#"{"accepted":1}"#));
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_ends_after_its_grace_period_and_reports_unanswered_requests() {
    let (fake, mut deliveries) = Fake::holding();
    let options = HttpOptions { shutdown_grace: Some(Duration::from_millis(50)), ..HttpOptions::default() };
    let server = Server::start(options, fake).await;
    let mut raw = server.connect().await;
    raw.send(format!("{POST}hello")).await;
    let mut half = server.connect().await;
    half.send("POST /inge").await;
    let delivery = deliveries.recv().await.unwrap();
    let ended = server.stop().await.unwrap();
    assert!(matches!(ended, Err(IngestError::Unanswered { requests: 1, .. })), "{ended:?}");
    assert_eq!(raw.rest().await, "");
    drop(delivery);
}

#[tokio::test]
async fn a_stop_waits_as_long_as_bodies_and_answers_may_take_by_their_own_bounds() {
    let (fake, mut deliveries) = Fake::holding();
    let options = HttpOptions {
        body_total_timeout: Duration::from_millis(400),
        answer_timeout: Duration::from_millis(500),
        ..HttpOptions::default()
    };
    assert_eq!(options.longest_request(), Duration::from_millis(900) + limits::DECODE_TIME);
    let server = Server::start(options, fake).await;
    let mut unanswered = server.connect().await;
    unanswered.send(format!("{POST}hello")).await;
    let mut unfinished = server.connect().await;
    unfinished.send(format!("{POST}hel")).await;
    let delivery = deliveries.recv().await.unwrap();
    eventually("both are under way", || server.requests.open() == 2).await;
    let stopping = server.stop();
    // Their own timeouts end both, with an answer.
    assert!(unfinished.rest().await.contains("3 bytes received"));
    assert!(unanswered.rest().await.starts_with("HTTP/1.1 503"));
    stopping.await.unwrap().unwrap();
    drop(delivery);
}

#[tokio::test]
async fn connections_without_a_request_do_not_hold_up_a_stop() {
    let server = Server::start(HttpOptions::default(), Fake::confirming()).await;
    let silent = server.connect().await;
    let mut half = server.connect().await;
    half.send("POST /inge").await;
    let mut kept = server.connect().await;
    kept.send("GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    kept.until("}").await;
    // An HTTP/2 client that never reads.
    let mut second = server.connect().await;
    second.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(second.stream.read(&mut [0; 64]).await.unwrap() > 0);
    let began = std::time::Instant::now();
    server.stop().await.unwrap().unwrap();
    assert!(began.elapsed() < HttpOptions::default().quiet_timeout / 4, "{:?}", began.elapsed());
    drop((silent, half, kept, second));
}

#[tokio::test]
async fn unusable_options_are_refused_before_anything_is_accepted() {
    let options = HttpOptions { max_body_bytes: 0, ..HttpOptions::default() };
    let server = Server::start(options, Fake::confirming()).await;
    let ended = server.stop().await.unwrap().unwrap_err();
    assert!(ended.to_string().contains("`max_body_bytes`"), "{ended}");
}

#[tokio::test]
async fn garbage_is_refused_and_the_server_continues() {
    let fake = Fake::confirming();
    let server = Server::start(HttpOptions::default(), fake.clone()).await;
    for garbage in
        ["\r\n\r\n\r\n\x00\x01\x02", "GET\r\n\r\n", "POST /ingest HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\x00\x01"]
    {
        let mut raw = server.connect().await;
        raw.send(garbage).await;
        raw.stream.shutdown().await.unwrap();
        let answer = raw.rest().await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{garbage:?}: {answer}");
    }
    assert_eq!(server.post("/ingest", "", "x").await.status, 200);
    eventually("the record arrives", || fake.records().len() == 1).await;
}
