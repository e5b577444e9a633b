//! The live stream over WebSocket, and queries that are hard to read or to match.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Cost, Target, read_all};
use crate::clients::curl;

/// Opens a stream.
fn stream(target: &Target) -> TcpStream {
    let mut stream = target.connect();
    let request = "GET /api/tail HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the head of an answer");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// A frame with a mask of zeros.
fn frame(first: u8, length: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, 0xff];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

const TEXT: u8 = 0x81;
const FIRST_OF_TEXT: u8 = 0x01;
const NEXT_OF_TEXT: u8 = 0x00;
const PING: u8 = 0x89;

#[test]
fn frames_that_break_the_protocol_end_the_stream() {
    let target = Target::new("WebSocket frames of 1 EiB, without a mask, of unknown kinds, messages without end");
    for (name, bytes) in [
        ("an enormous frame", frame(TEXT, 1 << 60, b"x")),
        ("a frame of 64 MiB", frame(TEXT, 64 << 20, &vec![b'x'; 64 << 20])),
        ("no mask", vec![TEXT, 1, b'x']),
        ("an unknown kind", frame(0x83, 1, b"x")),
        ("a large ping", frame(PING, 60_000, &vec![b'x'; 60_000])),
        ("text that is none", frame(TEXT, 2, b"\xc3\x28")),
        (
            "a message without end",
            [frame(FIRST_OF_TEXT, 1, b"x"), frame(NEXT_OF_TEXT, 1000, &[b'x'; 1000]).repeat(50_000)].concat(),
        ),
    ] {
        let mut stream = stream(&target);
        let reading = stream.try_clone().unwrap();
        let reader = std::thread::spawn(move || drop(read_all(reading)));
        // Closed before everything is written, or after it.
        let _ = stream.write_all(&bytes);
        reader.join().unwrap_or_else(|_| panic!("{name}: the stream is still open"));
    }
    target.ends("closed", Cost { mib: 60, descriptors: 20 });
}

#[test]
fn a_flood_of_messages_costs_its_sender() {
    let target = Target::new("WebSocket floods of pings and queries, nothing read");
    let query = br#"{"type":"query","query":"a OR b OR c"}"#;
    let connections: Vec<_> = (0..20)
        .map(|number| {
            let mut stream = stream(&target);
            stream.set_nonblocking(true).unwrap();
            let flood = match number % 2 {
                0 => frame(PING, 100, &[b'x'; 100]).repeat(1000),
                _ => frame(TEXT, query.len() as u64, query).repeat(1000),
            };
            // Until the router takes no more.
            let mut taken = 0;
            while let Ok(bytes) = stream.write(&flood)
                && taken < 100 << 20
            {
                taken += bytes;
            }
            stream
        })
        .collect();
    target.others_are_served();
    drop(connections);
    target.ends("read no faster than answered", Cost { mib: 60, descriptors: 40 });
}

#[test]
fn hostile_queries_are_refused_or_end() {
    let target = Target::new("queries: 40,000 parentheses, exponential regular expressions");
    let long = "a".repeat(40_000);
    for query in [
        "(".repeat(40_000),
        "NOT ".repeat(10_000),
        "-".repeat(40_000),
        "message~\"(a*)*(a*)*(a*)*b\"".into(),
        "message~\"((a{1000}){1000}){1000}\"".into(),
        "message~\"[[[[[[[[[[\"".into(),
        "*a".repeat(10_000),
        format!("message:{long}"),
    ] {
        for path in ["/api/logs", "/api/histogram", "/api/tail", "/api/values"] {
            let encoded = format!("query={query}");
            let arguments = ["--max-time", "20", "-G", "--data-urlencode", &encoded];
            let answer = curl(&target.router, &format!("{path}?field=level&backlog=1"), &arguments, b"");
            assert!(answer.status == 200 || (400..=431).contains(&answer.status), "{path} {query:.40}: {answer:?}");
        }
    }
    target.ends("400, or answered", Cost { mib: 100, descriptors: 40 });
}
