//! One more client, with a query of its own, that measures how late it sees records: the time from before a record is
//! posted until the client has read it. It runs at normal priority, since a person's program runs elsewhere.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use hdrhistogram::Histogram;

use super::clients::{POLL_INTERVAL, missed};
use crate::child::Child;
use crate::load::read_answer;

/// Time between two records that it waits for.
const INTERVAL: Duration = Duration::from_millis(25);

/// Time for the last record to be seen. The result fails if it is exceeded.
const FINISH: Duration = Duration::from_secs(60);

const REQUEST: &str =
    "GET /api/tail?aliases=false&query=source:watched HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

/// The delays of the records that were sent.
pub struct Delays {
    pub sent: u64,
    pub missed: u64,
    /// Microseconds.
    pub seen: Histogram<u64>,
}

impl Default for Delays {
    fn default() -> Self {
        let seen = Histogram::new_with_bounds(1, FINISH.as_micros() as u64, 3).expect("the bounds are valid");
        Self { sent: 0, missed: 0, seen }
    }
}

impl Delays {
    pub fn add(&mut self, other: &Delays) -> anyhow::Result<()> {
        self.sent += other.sent;
        self.missed += other.missed;
        Ok(self.seen.add(&other.seen)?)
    }
}

/// A running measurement.
pub struct Watcher {
    stream: TcpStream,
    shared: Arc<Shared>,
    sending: JoinHandle<anyhow::Result<u64>>,
    reading: JoinHandle<Delays>,
}

struct Shared {
    begin: Instant,
    /// Records seen or missed.
    known: AtomicU64,
    is_over: AtomicBool,
}

impl Watcher {
    /// Starts watching, then sending.
    pub fn start(child: &Child) -> anyhow::Result<Watcher> {
        let shared =
            Arc::new(Shared { begin: Instant::now(), known: AtomicU64::new(0), is_over: AtomicBool::new(false) });
        let mut stream = TcpStream::connect(child.address)?;
        stream.write_all(REQUEST.as_bytes())?;
        let mut lines = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        // The first comment says that the stream is open.
        while !line.starts_with(':') {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                bail!("the watching client is not served");
            }
        }
        let (read_shared, send_shared) = (shared.clone(), shared.clone());
        let (address, path) = (child.address, child.path.clone());
        let reading = std::thread::spawn(move || read(lines, &read_shared));
        let sending = std::thread::spawn(move || send(address, &path, &send_shared));
        Ok(Watcher { stream, shared, sending, reading })
    }

    /// Waits until so many records were seen or missed.
    pub fn wait_for(&self, records: u64) -> anyhow::Result<()> {
        let until = Instant::now() + FINISH;
        while self.shared.known.load(Ordering::Acquire) < records {
            if Instant::now() > until {
                bail!("the watching client lacks records");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Stops sending, waits until all that was sent was seen or missed, and returns the delays.
    pub fn stop(self) -> anyhow::Result<Delays> {
        self.shared.is_over.store(true, Ordering::Release);
        let panicked = |_| anyhow!("a thread of the watching client panicked");
        let (stream, shared) = (self.stream, self.shared);
        let sent = self.sending.join().map_err(panicked)??;
        let until = Instant::now() + FINISH;
        while shared.known.load(Ordering::Acquire) < sent && Instant::now() < until {
            std::thread::sleep(POLL_INTERVAL);
        }
        stream.shutdown(Shutdown::Both)?;
        let delays = self.reading.join().map_err(panicked)?;
        if delays.seen.len() + delays.missed != sent {
            bail!("the watching client saw {} of {sent} records and was told of {}", delays.seen.len(), delays.missed);
        }
        Ok(Delays { sent, ..delays })
    }
}

/// Sends records, each with the time when it was sent.
fn send(address: SocketAddr, path: &str, shared: &Shared) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut sent, mut answer) = (0, Vec::new());
    while !shared.is_over.load(Ordering::Acquire) {
        let body = format!(r#"{{"source":"watched","message":"sent at {}"}}"#, shared.begin.elapsed().as_micros());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        read_answer(&mut stream, &mut answer)?;
        sent += 1;
        std::thread::sleep(INTERVAL);
    }
    Ok(sent)
}

/// Reads until the stream ends.
fn read(mut lines: impl BufRead, shared: &Shared) -> Delays {
    let mut delays = Delays::default();
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        if let Ok(sent) = sent_at(&line) {
            let delay = shared.begin.elapsed().as_micros() as u64 - sent;
            delays.seen.saturating_record(delay);
            shared.known.fetch_add(1, Ordering::AcqRel);
        } else if let Some(notice) = line.strip_prefix(b"data: ") {
            let missed = missed(notice);
            delays.missed += missed;
            shared.known.fetch_add(missed, Ordering::AcqRel);
        }
        line.clear();
    }
    delays
}

/// The time that a record was sent at.
fn sent_at(line: &[u8]) -> anyhow::Result<u64> {
    let json = line.strip_prefix(b"data: {\"entry_id\"").context("no record")?;
    let text = std::str::from_utf8(json)?;
    let (_, time) = text.split_once("sent at ").context("no time")?;
    Ok(time.split('"').next().unwrap_or_default().parse()?)
}
