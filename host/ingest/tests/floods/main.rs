//! What one client can make the server hold or do with hand-written HTTP/2, and how that affects others.
//!
//! Runs as a separate process, one test after another, because memory is measured for the whole process.

mod frames;
#[path = "../http/support.rs"]
#[expect(dead_code, reason = "made for the other tests")]
mod support;

use std::{sync::Arc, time::Duration};

use frames::{Connection, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, frame, head};
use support::{Fake, Server, eventually};
use weir_ingest::{HttpOptions, limits};

const MIB: usize = 1 << 20;

/// Resident memory of this process in bytes.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_end_or_stay_within_bounds_and_others_are_served() {
    heads_of_requests_that_never_end_are_bounded().await;
    answers_that_nobody_takes_are_bounded().await;
    frames_that_are_no_requests_end_the_connection().await;
    a_busy_client_is_no_flood().await;
}

/// 100 connections of 128 requests with 15 KiB of headers each: 190 MiB of headers alone.
async fn heads_of_requests_that_never_end_are_bounded() {
    let options = HttpOptions {
        max_body_bytes: MIB,
        max_in_flight_bytes: 32 * MIB,
        max_connections: 200,
        // Nothing is released by a timeout meanwhile.
        body_idle_timeout: Duration::from_secs(600),
        ..HttpOptions::default()
    };
    let server = Server::start(options, Fake::confirming()).await;
    let block = head("POST", "/ingest", 15_000);
    let before = resident_bytes();
    let mut connections = Vec::new();
    for _ in 0..100 {
        let mut connection = Connection::open(&server, &[]).await;
        for number in 0..limits::MAX_STREAMS {
            assert!(connection.send(&frame(HEADERS, END_HEADERS, 2 * number + 1, &block)).await);
        }
        connection.all_is_seen().await;
        connections.push(connection);
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("heads: {} MiB more", grown / MIB);
    // The bytes in flight, plus 0.95 MiB per connection, including the client's side and the allocator's overhead.
    assert!(grown < (32 + 95) * MIB, "{} MiB for 32 MiB in flight", grown / MIB);
    assert_eq!(server.post("/ingest", "", "an honest line").await.status, 200);
    drop(connections);
    let task = server.stop();
    task.await.unwrap().unwrap();
}

/// 100 requests for a page of 1 MiB by a client whose window is closed.
async fn answers_that_nobody_takes_are_bounded() {
    let fake = Fake::confirming();
    *fake.page.lock().unwrap() = "x".repeat(MIB);
    let server = Server::start(HttpOptions::default(), Arc::clone(&fake)).await;
    // SETTINGS_INITIAL_WINDOW_SIZE = 0.
    let mut connection = Connection::open(&server, &[0, 4, 0, 0, 0, 0]).await;
    let before = resident_bytes();
    for number in 0..100 {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &head("GET", "/metrics", 0));
        assert!(connection.send(&request).await);
    }
    connection.all_is_seen().await;
    let mut refused = false;
    while !refused {
        refused = server.exchange("GET /metrics HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 503");
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("answers: {} MiB more", grown / MIB);
    assert!(grown < limits::MAX_ANSWER_BYTES + 32 * MIB, "{} MiB", grown / MIB);
    assert_eq!(server.post("/ingest", "", "an honest line").await.status, 200);
    drop(connection);
    while !server.exchange("GET /metrics HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 200") {}
}

async fn frames_that_are_no_requests_end_the_connection() {
    let server = Server::start(HttpOptions::default(), Fake::confirming()).await;
    let block = head("POST", "/ingest", 0);
    let many = |frame: Vec<u8>| frame.repeat(65_536 / frame.len());
    let floods = [
        ("PING", many(frame(PING, 0, 0, &[1; 8]))),
        ("SETTINGS", many(frame(SETTINGS, 0, 0, &[]))),
        ("PRIORITY", many(frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9]))),
        ("frames of unknown types", many(frame(0x55, 0, 0, &[0; 100]))),
    ];
    for (name, frames) in floods {
        let connection = Connection::open(&server, &[]).await;
        let sent = connection.send_until_closed(&frames, 256 * MIB).await;
        println!("{name}: {} KiB", sent >> 10);
        // The sockets' buffers add to this.
        assert!(sent < 64 * MIB, "{name} went on for {sent} bytes");
    }
    let mut connection = Connection::open(&server, &[]).await;
    let (mut number, mut sent) = (1, 0);
    loop {
        let request = frame(HEADERS, END_HEADERS, number, &block);
        let reset = frame(RST_STREAM, 0, number, &[0, 0, 0, 8]);
        let bytes = [request, reset].concat();
        if !connection.send(&bytes).await {
            break;
        }
        number += 2;
        sent += bytes.len();
        assert!(sent < 64 * MIB, "requests taken back at once went on for {sent} bytes");
    }
    let mut connection = Connection::open(&server, &[]).await;
    connection.send(&frame(HEADERS, END_HEADERS, 1, &block)).await;
    let sent = connection.send_until_closed(&many(frame(DATA, 0, 1, &[])), 256 * MIB).await;
    assert!(sent < 64 * MIB, "empty DATA went on for {sent} bytes");
    assert_eq!(server.post("/ingest", "", "an honest line").await.status, 200);
}

/// More heads than the flood limit in bytes, and bodies larger than it.
async fn a_busy_client_is_no_flood() {
    let fake = Fake::confirming();
    let server = Server::start(HttpOptions::default(), Arc::clone(&fake)).await;
    // Fails if it is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let mut heads = 0;
    while heads < 2 * limits::FLOOD_BYTES {
        let asked = (0..64).map(|number| {
            let request = client.post(server.url("/ingest")).header("x-padding", format!("{number}").repeat(5_000));
            tokio::spawn(request.body("a line").send())
        });
        for answer in asked.collect::<Vec<_>>() {
            assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        }
        heads += 64 * 5_000;
    }
    let line = format!("{}\n", "x".repeat(1023));
    let large = line.repeat(limits::MAX_BODY_BYTES / line.len());
    assert_eq!(client.post(server.url("/ingest")).body(large).send().await.unwrap().status(), 200);
    eventually("everything has arrived", || fake.records().len() > limits::MAX_BODY_BYTES / line.len()).await;
}
