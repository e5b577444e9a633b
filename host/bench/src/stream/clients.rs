//! The thousand clients: what they read, and what each of them got.
//!
//! All of them are in this process, on a thread that runs only while nothing else wants its core, because they would
//! otherwise take the processor from the router that is measured. For the same reason, they only count: a line is
//! recognised by how it begins, and all clients read into the same buffer.

use std::cell::RefCell;
use std::io::{BufRead, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::child::{Usage, usage_in};

pub const CLIENTS: usize = 1000;

/// Clients that read nothing under load.
pub const SLOW: usize = 50;

/// Time for all clients to connect, or to get what is left.
const FINISH: Duration = Duration::from_secs(120);

pub const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Bytes that a client reads at a time.
const READ_BYTES: usize = 256 << 10;

/// One record in forty.
const REQUEST: &str = "GET /api/tail?aliases=false&query=level%3E%3DERROR+source:checkout HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

/// How many records of a body the query selects.
pub fn matching(body: &[u8]) -> anyhow::Result<u64> {
    let records: Vec<serde_json::Value> = serde_json::from_slice(body)?;
    let matches = |record: &&serde_json::Value| record["level"] == "ERROR" && record["source"] == "checkout";
    Ok(records.iter().filter(matches).count() as u64)
}

/// Connected clients. Dropping them disconnects them.
pub struct Clients {
    counts: Vec<Arc<Counts>>,
    signals: Arc<Signals>,
    /// The thread's folder in `/proc`.
    task: PathBuf,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

#[derive(Default)]
struct Signals {
    /// The slow clients may read.
    go: AtomicBool,
    end: Notify,
}

/// What one client got.
#[derive(Default)]
struct Counts {
    is_open: AtomicBool,
    received: AtomicU64,
    missed: AtomicU64,
}

impl Clients {
    /// Connects all clients, and waits until each is connected.
    pub fn connect(address: SocketAddr) -> anyhow::Result<Clients> {
        let counts: Vec<Arc<Counts>> = (0..CLIENTS).map(|_| Arc::default()).collect();
        let signals: Arc<Signals> = Arc::default();
        let (sender, task) = std::sync::mpsc::channel();
        let (started, signalled) = (counts.clone(), signals.clone());
        let thread = std::thread::Builder::new().name("clients".into()).spawn(move || {
            // Its folder there, which other threads can read, too.
            let task = std::fs::read_link("/proc/thread-self")?;
            // At normal priority, the result would say more about this process.
            let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
            let lowered = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy);
            lowered.map_err(std::io::Error::other)?;
            let _ = sender.send(task);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            LocalSet::new().block_on(&runtime, run(address, started, signalled));
            Ok(())
        })?;
        let task = task.recv().context("the clients' thread ended")?;
        let clients = Clients { counts, signals, task, thread: Some(thread) };
        clients.wait("can't connect", |client| client.is_open.load(Ordering::Acquire))?;
        Ok(clients)
    }

    /// CPU time that all clients have used.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        usage_in(&Path::new("/proc").join(&self.task))
    }

    /// How many records all clients have received so far.
    pub fn received(&self) -> u64 {
        self.counts.iter().map(|client| client.received.load(Ordering::Relaxed)).sum()
    }

    /// Waits until every client has received all matching records, or knows what it missed. Returns how many records were
    /// received and how many missed.
    pub fn finish(&self, matched: u64) -> anyhow::Result<(u64, u64)> {
        self.signals.go.store(true, Ordering::Release);
        self.wait("lacks records; a machine this slow can't run this case", |client| client.all() >= matched)?;
        Ok((self.received(), self.counts.iter().map(|client| client.missed.load(Ordering::Relaxed)).sum()))
    }

    fn wait(&self, otherwise: &str, is_done: impl Fn(&Counts) -> bool) -> anyhow::Result<()> {
        let until = Instant::now() + FINISH;
        while !self.counts.iter().all(|client| is_done(client)) {
            if Instant::now() > until {
                bail!("a client {otherwise}");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.signals.end.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads all streams until the end is signalled.
async fn run(address: SocketAddr, counts: Vec<Arc<Counts>>, signals: Arc<Signals>) {
    let buffer = Rc::new(RefCell::new(vec![0; READ_BYTES]));
    let mut reading = tokio::task::JoinSet::new();
    for (number, counts) in counts.into_iter().enumerate() {
        let waits_for = (number < SLOW).then(|| signals.clone());
        reading.spawn_local(client(address, counts, waits_for, buffer.clone()));
    }
    signals.end.notified().await;
}

/// Reads a stream to its end, which is that of the router.
async fn client(
    address: SocketAddr,
    counts: Arc<Counts>,
    waits_for: Option<Arc<Signals>>,
    buffer: Rc<RefCell<Vec<u8>>>,
) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(REQUEST.as_bytes()).await?;
    let mut lines = Lines::default();
    loop {
        stream.readable().await?;
        read(&stream, &mut buffer.borrow_mut(), &mut lines, &counts)?;
        while let Some(signals) = &waits_for
            && counts.is_open.load(Ordering::Acquire)
            && !signals.go.load(Ordering::Acquire)
        {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Reads what is there.
fn read(stream: &TcpStream, buffer: &mut [u8], lines: &mut Lines, counts: &Counts) -> std::io::Result<()> {
    match stream.try_read(buffer) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(length) => {
            lines.read(&buffer[..length], |line| counts.line(line));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// Splits what is read into lines.
#[derive(Default)]
struct Lines {
    /// The beginning of a line whose end is not read yet.
    rest: Vec<u8>,
}

impl Lines {
    fn read(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let all = bytes;
            // It looks at several bytes at a time, and reading from memory does not fail.
            let length = bytes.skip_until(b'\n').unwrap_or_default();
            let part = &all[..length];
            if !part.ends_with(b"\n") {
                self.rest.extend_from_slice(part);
            } else if self.rest.is_empty() {
                line(part);
            } else {
                self.rest.extend_from_slice(part);
                line(&self.rest);
                self.rest.clear();
            }
        }
    }
}

impl Counts {
    fn all(&self) -> u64 {
        self.received.load(Ordering::Relaxed) + self.missed.load(Ordering::Relaxed)
    }

    fn line(&self, line: &[u8]) {
        if line.starts_with(b"data: {\"entry_id\"") {
            self.received.fetch_add(1, Ordering::Relaxed);
        } else if let Some(json) = line.strip_prefix(b"data: ") {
            self.missed.fetch_add(missed(json), Ordering::Relaxed);
        } else if line.starts_with(b":") {
            // The first comment says that the stream is open.
            self.is_open.store(true, Ordering::Release);
        }
    }
}

/// How many records a notice says were missed.
pub fn missed(notice: &[u8]) -> u64 {
    let notice: serde_json::Value = serde_json::from_slice(notice).unwrap_or_default();
    notice["missed"].as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_however_they_are_cut() {
        let stream =
            b": open\n\nid: 1-0\ndata: {\"entry_id\":\"1-0\"}\n\nevent: gap\ndata: {\"type\":\"gap\",\"missed\":7}\n\n\
            id: 2-0\ndata: {\"entry_id\":\"2-0\"}\n\n";
        for at in 0..stream.len() {
            let (counts, mut lines) = (Counts::default(), Lines::default());
            for part in [&stream[..at], &stream[at..]] {
                lines.read(part, |line| counts.line(line));
            }
            assert_eq!((counts.received.into_inner(), counts.missed.into_inner()), (2, 7), "cut at {at}");
        }
    }
}
