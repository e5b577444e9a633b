//! Heads that are large or mean two things, and requests that nobody waits for.

use std::io::Write;

use super::{Cost, Target, read_all};
use crate::clients::sqlite;
use crate::router::eventually;

#[test]
fn large_heads_are_refused() {
    let target = Target::new("heads of 100,000 headers, and of 10 MiB");
    let many = (0..100_000).map(|n| format!("X-{n}: x\r\n")).collect::<String>();
    for headers in [many, format!("X: {}\r\n", "x".repeat(10 << 20))] {
        let answered = target.exchange(format!("GET /health HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").as_bytes());
        assert!(answered.is_empty() || answered.starts_with("HTTP/1.1 431"), "{answered}");
    }
    target.ends("431, closed", Cost { mib: 20, descriptors: 10 });
}

#[test]
fn pipelined_requests_wait_for_a_client_that_reads() {
    let target = Target::new("100 connections, endless pipelined requests, nothing read");
    let one = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    let connections: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = target.connect();
            stream.set_nonblocking(true).unwrap();
            // Until the router takes no more.
            while stream.write(&one).is_ok_and(|bytes| bytes > 0) {}
            stream
        })
        .collect();
    target.others_are_served();
    drop(connections);
    target.ends("the router reads no more until they do", Cost { mib: 100, descriptors: 150 });
}

/// Bytes that a proxy may take for one request and a server for two.
fn ambiguous() -> Vec<(&'static str, String)> {
    let second =
        "POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\nsmuggled";
    let request = |headers: &str, body: &str| {
        let head = "POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain";
        format!("{head}\r\n{headers}\r\n\r\n{body}")
    };
    let chunked = format!("0\r\n\r\n{second}");
    let length = chunked.len();
    vec![
        ("both lengths", request(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"), &chunked)),
        ("both lengths, in the other order", request("Transfer-Encoding: chunked\r\nContent-Length: 4", &chunked)),
        ("two lengths", request(&format!("Content-Length: 0\r\nContent-Length: {length}"), second)),
        ("a list of lengths", request(&format!("Content-Length: 0, {length}"), second)),
        ("a length with a sign", request("Content-Length: +0", second)),
        ("a negative length", request("Content-Length: -1", second)),
        ("a length in hexadecimal", request("Content-Length: 0x0", second)),
        ("an unknown encoding", request("Transfer-Encoding: xchunked", &chunked)),
        ("an encoding after chunked", request("Transfer-Encoding: chunked, identity", &chunked)),
        ("a space before the colon", request("Transfer-Encoding : chunked\r\nContent-Length: 4", &chunked)),
        ("a folded header", request("X: y\r\n Transfer-Encoding: chunked", second)),
        ("a vertical tab", request("Transfer-Encoding: \x0bchunked", &chunked)),
        ("a chunk size with a sign", request("Transfer-Encoding: chunked", &format!("+0\r\n\r\n{second}"))),
        ("a chunk size with a prefix", request("Transfer-Encoding: chunked", &format!("0x0\r\n\r\n{second}"))),
        (
            "a chunk size that overflows",
            request("Transfer-Encoding: chunked", &format!("10000000000000000\r\n\r\n{second}")),
        ),
        ("a NUL in a header", request("X: \0\r\nContent-Length: 0", second)),
        ("an end of line without CR in a header", request("X: y\rTransfer-Encoding: chunked", second)),
    ]
}

#[test]
fn requests_that_mean_two_things_are_refused_with_their_connection() {
    let target = Target::new("17 forms of request smuggling");
    for (name, bytes) in ambiguous() {
        let answered = target.exchange(bytes.as_bytes());
        assert_eq!(answered.matches("HTTP/1.1 ").count(), 1, "{name}: {answered}");
        // With both lengths, the standard allows to take the chunks, if the connection is closed after them.
        let is_taken = answered.starts_with("HTTP/1.1 200") && name.starts_with("both lengths");
        assert!(is_taken || answered.starts_with("HTTP/1.1 4"), "{name}: {answered}");
    }
    let mut after = target.connect();
    after
        .write_all(b"POST /ingest HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n")
        .unwrap();
    after.write_all(b"Connection: close\r\n\r\nafter").unwrap();
    assert!(read_all(after).starts_with("HTTP/1.1 200"));
    let database = target.home.path("weir-data/logs.db");
    eventually("the record after them is stored", || {
        database.exists() && sqlite(&database, "select count(*) from logs where message = 'after'") == "1"
    });
    assert_eq!(sqlite(&database, "select count(*) from logs where message like '%smuggled%'"), "0");
    target.ends("400, closed; nothing of them is stored", Cost { mib: 20, descriptors: 20 });
}
