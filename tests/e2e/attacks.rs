//! Hostile senders, each against a router of its own with default limits: what they get, how much memory and how many
//! descriptors they cost, and that a sender at another address is served meanwhile.
//!
//! | file | attacks |
//! |---|---|
//! | `attacks/connections.rs` | slow and idle connections |
//! | `attacks/requests.rs` | heads, pipelining, request smuggling |
//! | `attacks/frames.rs` | HTTP/2 frames |
//! | `attacks/bodies.rs` | bombs, deep and wide values |
//! | `attacks/streams.rs` | the WebSocket, and hostile queries |
//! | `attacks/records.rs` | values that become names of files, headers, subjects and lines |
//!
//! Each attack prints a line of the table in `host/BENCHMARKS.md`.

mod bodies;
mod connections;
mod frames;
mod records;
mod requests;
mod streams;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::clients::{Answer, curl};
use super::router::{Home, PATIENCE, Router};

/// A router that is attacked.
struct Target {
    name: &'static str,
    home: Home,
    router: Router,
    descriptors: Descriptors,
    memory_before: u64,
}

/// The most that an attack may cost.
struct Cost {
    mib: u64,
    descriptors: usize,
}

impl Target {
    fn new(name: &'static str) -> Target {
        Target::with(name, "[sink.db]\ntype = \"sqlite\"\n")
    }

    fn with(name: &'static str, configuration: &str) -> Target {
        let home = Home::with(configuration);
        let router = home.start();
        let descriptors = Descriptors::watch(router.pid());
        let target = Target { name, home, descriptors, memory_before: 0, router };
        // The first request makes what every later one uses.
        target.others_are_served();
        Target { memory_before: memory(target.router.pid(), "VmRSS:"), ..target }
    }

    /// A sender at another address gets its record acknowledged, and somebody who reads gets an answer.
    fn others_are_served(&self) {
        for (path, body) in [("/ingest", r#"{"source":"honest","message":"an honest line"}"#), ("/health", "")] {
            let from = ["--interface", "127.0.0.2", "-H", "Content-Type: application/json"];
            let arguments = match body {
                "" => from.to_vec(),
                _ => [&from[..], &["--data-binary", "@-"]].concat(),
            };
            let answer = curl(&self.router, path, &arguments, body.as_bytes());
            assert_eq!(answer.status, 200, "{}: {answer:?}", self.name);
        }
    }

    fn address(&self) -> &str {
        self.router.url.strip_prefix("http://").expect("a URL")
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("connections are accepted");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes on a new connection, and returns everything that is answered until the router closes it.
    fn exchange(&self, bytes: &[u8]) -> String {
        let stream = self.connect();
        let mut writing = stream.try_clone().unwrap();
        let bytes = bytes.to_vec();
        // The router may answer and close before it has read everything.
        let writer = std::thread::spawn(move || drop(writing.write_all(&bytes)));
        let answered = read_all(stream);
        writer.join().unwrap();
        answered
    }

    fn post(&self, headers: &[&str], body: &[u8]) -> Answer {
        let headers = headers.iter().flat_map(|header| ["-H", header]);
        curl(&self.router, "/ingest", &headers.chain(["--data-binary", "@-"]).collect::<Vec<_>>(), body)
    }

    /// Ends an attack: prints its line of the table, and checks what it cost and that nothing of it stays.
    fn ends(self, outcome: &str, most: Cost) {
        self.others_are_served();
        let pid = self.router.pid();
        let mib = memory(pid, "VmHWM:").saturating_sub(self.memory_before) / 1024;
        let descriptors = self.descriptors.most();
        println!("| {} | {outcome} | {mib} | {descriptors} |", self.name);
        assert!(mib <= most.mib, "{}: {mib} MiB", self.name);
        assert!(descriptors <= most.descriptors, "{}: {descriptors} descriptors", self.name);
        assert!(!self.router.stderr().contains("panic"), "{}", self.router.stderr());
        let (status, said) = self.router.stop();
        assert!(status.success(), "{}: {said}", self.name);
    }
}

/// How many descriptors a process has opened at most, beyond those at the start.
struct Descriptors {
    ends: Arc<AtomicBool>,
    watching: JoinHandle<usize>,
}

impl Descriptors {
    fn watch(pid: u32) -> Descriptors {
        let ends = Arc::new(AtomicBool::new(false));
        let has_ended = ends.clone();
        let count = move || std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let before = count();
        let watching = std::thread::spawn(move || {
            let mut most = before;
            while !has_ended.load(Ordering::Relaxed) {
                most = most.max(count());
                std::thread::sleep(Duration::from_millis(5));
            }
            most - before
        });
        Descriptors { ends, watching }
    }

    fn most(self) -> usize {
        self.ends.store(true, Ordering::Relaxed);
        self.watching.join().unwrap()
    }
}

/// An entry of a process's status, in KiB.
fn memory(pid: u32, entry: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(entry)).expect("in every status");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Everything until the other side closes the connection, even with a reset.
fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the router neither answers nor closes"),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}
