//! Shared by this crate's tests: small canonical records, real journals in temporary folders, an in-memory quarantine.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use weir_journal::{Disk, Journal, OpenError, Options};
use weir_record::{Batch, write};

use crate::sink::{Indexes, Quarantine, Selected};

/// How long to wait for something that must happen: long enough for any machine; it only ends a test that would hang.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A canonical record. `head` overrides source, level and message or adds fields (a dot makes one level of nesting).
pub fn record(head: &[(&str, &str)], routes: &[&str]) -> Vec<u8> {
    record_at(1_700_000_000_123_456_789, head, routes)
}

/// Like [`record`], at a given time.
pub fn record_at(timestamp: i64, head: &[(&str, &str)], routes: &[&str]) -> Vec<u8> {
    let value = |key: &str, default| head.iter().find(|(name, _)| *name == key).map_or(default, |(_, value)| *value);
    let more: Vec<_> = head.iter().filter(|(name, _)| !["level", "source", "message"].contains(name)).collect();
    let mut out = Vec::new();
    write::map16_header(&mut out, 4 + more.len() as u16 + u16::from(!routes.is_empty()));
    write::str(&mut out, "timestamp");
    write::int64(&mut out, timestamp);
    for (key, default) in [("level", "INFO"), ("source", "app"), ("message", "hello")] {
        write::str(&mut out, key);
        write::str(&mut out, value(key, default));
    }
    for (key, value) in more {
        match key.split_once('.') {
            Some((outer, inner)) => {
                write::str(&mut out, outer);
                write::map_header(&mut out, 1);
                write::str(&mut out, inner);
            }
            None => write::str(&mut out, key),
        }
        write::str(&mut out, value);
    }
    if !routes.is_empty() {
        write::str(&mut out, "routes");
        write::array_header(&mut out, routes.len() as u32);
        routes.iter().for_each(|route| write::str(&mut out, route));
    }
    out
}

/// A batch whose records contain the numbers of `range`.
pub fn numbered(range: std::ops::Range<u64>) -> Batch {
    let mut batch = Batch::new();
    for n in range {
        batch.push(&record(&[("message", &format!("n={n}"))], &[]));
    }
    batch
}

/// A whole frame as the runner passes it to a sink.
pub fn frame(sequence: u64, batch: Batch) -> Selected {
    Selected { sequence, time_ns: 0, batch: Arc::new(batch), indexes: Indexes::All, complete: true }
}

/// The numbers that `numbered` put into lines or messages, in order.
pub fn numbers(text: &str) -> Vec<u64> {
    text.split("n=")
        .skip(1)
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().expect("a number follows n=")
        })
        .collect()
}

/// A real journal. The threads of one that was just closed may hold its lock a moment longer.
pub fn journal(folder: &Path) -> Journal {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Journal::open(Arc::new(Disk::new(folder)), Options::default()) {
            Ok((journal, _)) => return journal,
            Err(OpenError::Locked { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            Err(error) => panic!("the journal opens: {error}"),
        }
    }
}

/// Appends and waits until it is durable.
pub fn append(journal: &Journal, batch: &Batch) -> u64 {
    let (tx, rx) = std::sync::mpsc::channel();
    journal.append(batch.encode(), batch.len() as u32, move |outcome| {
        let _ = tx.send(outcome);
    });
    rx.recv().expect("the journal answers").expect("the journal takes it")
}

/// A quarantine that remembers (from, reason, record), and fails on demand.
#[derive(Default)]
pub struct MemoryQuarantine {
    pub held: Mutex<Vec<(String, String, Vec<u8>)>>,
    pub failures: Mutex<u32>,
}

impl Quarantine for MemoryQuarantine {
    fn put(&self, from: &str, reason: &str, record: &[u8]) -> Result<(), String> {
        let mut failures = self.failures.lock().expect("no test panics holding it");
        if *failures > 0 {
            *failures -= 1;
            return Err("quarantine is full".into());
        }
        self.held.lock().expect("no test panics holding it").push((from.into(), reason.into(), record.to_vec()));
        Ok(())
    }
}

/// Waits until `done` returns true.
pub async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Like [`eventually`], for a test without a runtime.
pub fn eventually_blocking(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A child process that appends and delivers, and prints `acked N` until it is killed.
pub struct ChildProcess {
    child: std::process::Child,
    reading: std::thread::JoinHandle<u64>,
}

impl ChildProcess {
    /// Starts an ignored test of this binary as the child, and waits until it has acknowledged something.
    pub fn start(test: &str, environment: &[(&str, &std::ffi::OsStr)]) -> ChildProcess {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", test, "--ignored", "--nocapture"])
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (first, began) = std::sync::mpsc::channel();
        let reading = std::thread::spawn(move || {
            let mut last = 0;
            for line in out.lines().map_while(Result::ok) {
                if let Some(number) = line.split("acked ").nth(1).and_then(|n| n.trim().parse().ok()) {
                    last = number;
                    // Nobody receives after the first.
                    let _ = first.send(());
                }
            }
            last
        });
        began.recv_timeout(PATIENCE).expect("the child acknowledges something");
        ChildProcess { child, reading }
    }

    /// Kills it. Returns the last number that it printed.
    pub fn kill(mut self) -> u64 {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
        self.reading.join().expect("read")
    }
}
